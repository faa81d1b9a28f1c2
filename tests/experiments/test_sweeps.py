"""Studies of algorithms along an axis: what is gathered, estimated and compared, on numbers that are known."""

import numpy as np
import pytest

from experiments.common.bootstrap import Estimate
from experiments.common.claims import Claim
from experiments.common.curves import N_BINS
from experiments.common.pages import claims_table
from experiments.common.sweep_pages import numbers_table
from experiments.common.sweeps import AREA, FINAL, Contrast, Place, difference, estimated, gathered, growth
from sb3_distral.errors import UsageError

PLACES = [Place(value, algorithm) for value in (4, 16) for algorithm in ("A3C", "KL_2col")]
#: Final returns of seeds 0 and 1 by place; the area is half of it.
FINALS = {PLACES[0]: (1.0, 3.0), PLACES[1]: (2.0, 4.0), PLACES[2]: (1.0, 1.0), PLACES[3]: (5.0, 9.0)}


def curve(final: float) -> list[float]:
    """Nothing in the first half, the final return in the second."""
    return [0.0] * (N_BINS // 2) + [final] * (N_BINS // 2)


def found() -> dict[tuple[Place, int], dict[str, object]]:
    return {
        (place, seed): {"curve": curve(finals[seed]), "unseen": 10.0 + seed, "learn_seconds": 7.0}
        for place, finals in FINALS.items()
        for seed in (0, 1)
    }


def test_numbers_of_each_place_are_gathered_by_seed() -> None:
    results = gathered("all", PLACES, (0, 1), found())  # type: ignore[arg-type]
    assert (results.seeds, results.values, results.algorithms) == ((0, 1), (4, 16), ("A3C", "KL_2col"))
    assert {name: own[PLACES[3]].tolist() for name, own in results.numbers.items()} == {
        FINAL: [5, 9],
        AREA: [2.5, 4.5],
        "unseen": [10, 11],
    }


def test_seeds_that_are_not_whole_are_left_out() -> None:
    part = found()
    del part[PLACES[2], 0]
    assert gathered("part", PLACES, (0, 1), part).seeds == (1,)  # type: ignore[arg-type]
    del part[PLACES[0], 1]
    with pytest.raises(UsageError, match=r"No seed of the study is whole \(part\)"):
        gathered("part", PLACES, (0, 1), part)  # type: ignore[arg-type]


def test_interval_by_hand() -> None:
    # Mean 2, standard error 1; the quantiles of the t distribution with one degree of freedom are 12.706 and 25.452.
    assert estimated(np.array([1.0, 3.0])) == pytest.approx((2, 2 - 12.706, 2 + 12.706), abs=1e-3)
    assert estimated(np.array([1.0, 3.0]), 2) == pytest.approx((2, 2 - 25.452, 2 + 25.452), abs=1e-3)
    assert estimated(np.array([5.0])) == pytest.approx(Estimate(5.0), nan_ok=True)


def test_contrasts_by_hand() -> None:
    results = gathered("all", PLACES, (0, 1), found())  # type: ignore[arg-type]
    # Both seeds agree, so that there is no doubt although the seeds differ.
    assert difference(FINAL, 4, "KL_2col", "A3C")(results, 1) == pytest.approx((1, 1, 1))
    assert growth(FINAL, (4, 16), "KL_2col")(results, 1).value == 4
    assert Contrast("", AREA, {PLACES[3]: 1.0})(results, 1).value == 3.5


def test_tables_say_what_is_what() -> None:
    results = gathered("all", PLACES, (0, 1), found())  # type: ignore[arg-type]
    claim = Claim("two columns end higher", (difference(FINAL, 4, "KL_2col", "A3C"),))
    assert claims_table([claim], results)[2:] == [
        "| two columns end higher |  | ≥ 0.00 |  |  | **holds** |",
        "|  | final return at 4: KL_2col − A3C |  | 1.00 | [1.00, 1.00] | holds |",
    ]
    lines = numbers_table(results, FINAL, "mazes:", without=("A3C",))
    assert lines == [
        "| algorithm | mazes: 4 | mazes: 16 |",
        "|---|---:|---:|",
        "| KL_2col | 3.00 [-9.71, 15.71] | 7.00 [-18.41, 32.41] |",
    ]
