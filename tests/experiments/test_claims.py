"""One claim, whatever the study: verdicts on its numbers and on it, and how they are printed."""

import numpy as np
import pytest

from experiments.common.bootstrap import Estimate
from experiments.common.claims import Claim, interval_text, number_text

#: The results of these claims are the estimates themselves, one for each number.
Estimates = list[Estimate]


def claim_of(n_numbers: int, bound: float = 2.4, is_above: bool = True) -> Claim[Estimates]:
    numbers = tuple(lambda results, _, i=i: results[i] for i in range(n_numbers))
    return Claim("a claim", numbers, bound, is_above)


@pytest.mark.parametrize(
    ("is_above", "ends", "expected"),
    [
        (True, (2.4, 3), "holds"),
        (True, (2, 2.3), "does not hold"),
        (True, (2, 3), "undecided"),
        (True, (2, 2.4), "undecided"),
        (True, (2.5, np.inf), "holds"),
        (False, (0, 2.4), "holds"),
        (False, (2.5, 3), "does not hold"),
        (False, (2, 3), "undecided"),
        (False, (2.4, 3), "undecided"),
        (True, (2.4, 2.4), "undecided"),
        (False, (2.4, 2.4), "undecided"),
        (True, (np.nan, np.nan), "undecided"),
        (True, (np.nan, 1), "undecided"),
        (False, (3, np.nan), "undecided"),
    ],
)
def test_verdict_on_a_number(is_above: bool, ends: tuple[float, float], expected: str) -> None:
    assert claim_of(1, is_above=is_above).verdict(Estimate(0.0, *ends)) == expected
    assert claim_of(1, is_above=is_above).judge([Estimate(0.0, *ends)]).verdict == expected


HOLDS, FAILS, OPEN = Estimate(3.0, 2.9, 3.1), Estimate(1.0, 0.9, 1.1), Estimate(2.0, 1.0, 3.0)


@pytest.mark.parametrize(
    ("estimates", "expected"),
    [
        ([HOLDS, HOLDS], "holds"),
        ([HOLDS, OPEN], "undecided"),
        ([HOLDS, FAILS], "does not hold"),
        ([OPEN, FAILS], "does not hold"),
    ],
)
def test_a_claim_holds_if_all_its_numbers_do(estimates: Estimates, expected: str) -> None:
    assert claim_of(2).judge(estimates).verdict == expected


def test_a_number_refutes_a_claim_only_beyond_what_chance_does_to_so_many() -> None:
    def number(width: float, n_comparisons: int) -> Estimate:
        return Estimate(1.0, 1 - n_comparisons * width, 1 + n_comparisons * width)

    for width, expected in ((0.4, "does not hold"), (0.6, "undecided")):
        judgement = Claim("a claim", (number,) * 3, bound=2.4).judge(width)
        assert judgement.counts == "0 / 3 / 0"
        assert judgement.verdict == expected


def test_print() -> None:
    judgement = claim_of(3).judge([HOLDS, FAILS, Estimate(np.nan)])
    assert judgement.counts == "1 / 1 / 1"
    assert judgement.rows == [
        ["3.00", "[2.90, 3.10]", "holds"],
        ["1.00", "[0.90, 1.10]", "does not hold"],
        ["–", "–", "undecided"],
    ]
    assert (claim_of(1).bound_text, claim_of(1, is_above=False).bound_text) == ("≥ 2.40", "≤ 2.40")
    assert [number_text(0.4, ".1%"), number_text(19_936.4), number_text(-999.9)] == ["40.0%", "19936", "-999.90"]
    assert interval_text(Estimate(0.4, 0.1, 0.5), ".1%") == "[10.0%, 50.0%]"
