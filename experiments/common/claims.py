"""What a paper claims as data, and how it is judged: one number or several, all on one side of a bound."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, TypeVar

import numpy as np

from experiments.common.bootstrap import Estimate

Verdict = Literal["holds", "does not hold", "undecided"]
ResultsT = TypeVar("ResultsT")
#: Measures a number of the results, in an interval so wide that so many hold together with 95 % (Bonferroni).
Number = Callable[[ResultsT, int], Estimate]


class Judged(NamedTuple):
    """
    What came out for one number of a claim.

    :param estimate: What was measured
    :param verdict: Verdict on the number
    :param refutes: Whether it refutes the claim: chance alone brings up a number like this in a claim of so many
        numbers in 2.5 % of all studies
    """

    estimate: Estimate
    verdict: Verdict
    refutes: bool


@dataclass(frozen=True)
class Claim(Generic[ResultsT]):
    """
    Numbers that are claimed to be above or below a bound, all of them.

    :param text: What is claimed
    :param numbers: The numbers
    :param bound: The bound
    :param is_above: Whether the numbers should be above the bound, else below
    :param unit: How a number is printed, a format specification
    :param name: A short name
    """

    text: str
    numbers: tuple[Number[ResultsT], ...]
    bound: float = 0.0
    is_above: bool = True
    unit: str = ".2f"
    name: str = ""

    @property
    def bound_text(self) -> str:
        """The bound in words."""
        return f"{'≥' if self.is_above else '≤'} {number_text(self.bound, self.unit)}"

    def judge(self, results: ResultsT) -> "Judgement[ResultsT]":
        """
        Measure all numbers of the claim and judge them.

        :param results: Results of the study
        :return: What came out
        """
        judged = []
        for number in self.numbers:
            estimate = number(results, 1)
            jointly = number(results, len(self.numbers)) if len(self.numbers) > 1 else estimate
            judged.append(Judged(estimate, self.verdict(estimate), self.verdict(jointly) == "does not hold"))
        return Judgement(self, judged)

    def verdict(self, estimate: Estimate) -> Verdict:
        """
        Judge one number. An interval that is the bound and nothing else decides nothing, nor does a missing one (NaN).

        :param estimate: What was measured
        :return: "holds" or "does not hold" where the whole interval is on one side of the bound, else "undecided"
        """
        _, low, high = estimate
        low, high, bound = (low, high, self.bound) if self.is_above else (-high, -low, -self.bound)
        if low >= bound and high > bound:
            return "holds"
        return "does not hold" if low < bound and high < bound else "undecided"


@dataclass(frozen=True)
class Judgement(Generic[ResultsT]):
    """
    What came out for a claim.

    :param claim: The claim
    :param judged: What came out for each of its numbers
    """

    claim: Claim[ResultsT]
    judged: list[Judged]

    @property
    def verdict(self) -> Verdict:
        """What is said of the claim: it holds if every number does, and does not if at least one refutes it."""
        if all(own.verdict == "holds" for own in self.judged):
            return "holds"
        return "does not hold" if any(own.refutes for own in self.judged) else "undecided"

    @property
    def counts(self) -> str:
        """How many numbers hold, do not hold and are undecided."""
        verdicts = [own.verdict for own in self.judged]
        return " / ".join(str(verdicts.count(name)) for name in ("holds", "does not hold", "undecided"))

    @property
    def rows(self) -> list[list[str]]:
        """For each number the cells of a table: its value, its interval, the verdict."""
        unit = self.claim.unit
        return [
            [number_text(estimate.value, unit), interval_text(estimate, unit), verdict]
            for estimate, verdict, _ in self.judged
        ]


def number_text(value: float, unit: str = ".2f") -> str:
    """
    Print a number.

    :param value: The number
    :param unit: A format specification
    :return: The number in it, without decimals from a thousand on, "–" for NaN
    """
    if np.isnan(value):
        return "–"
    return format(value, ".0f" if abs(value) >= 1000 else unit)


def interval_text(estimate: Estimate, unit: str = ".2f") -> str:
    """
    Print an interval.

    :param estimate: A number with its interval
    :param unit: A format specification
    :return: The ends in it, "–" where there is no interval
    """
    if np.isnan([estimate.low, estimate.high]).any():
        return "–"
    return f"[{number_text(estimate.low, unit)}, {number_text(estimate.high, unit)}]"
