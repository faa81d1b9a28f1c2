"""What is measured of the study of transfer, on learning curves whose numbers are known."""

from pathlib import Path

import numpy as np
import pytest

from experiments.common.curves import N_BINS
from experiments.common.store import Store
from experiments.transfer import measures
from experiments.transfer.measures import AREA, FINAL, Pair, bins_to, claims, estimated, steps_to
from experiments.transfer.page import claims_lines
from experiments.transfer.study import ARMS, Results, Study, read_results
from sb3_distral.errors import UsageError

STUDY = Study((0, 1, 2), timesteps=1000 * N_BINS, n_tasks=2, n_envs_per_task=1)
STEPS, CLAIMS = steps_to(STUDY), claims(STUDY)


def ramp(step: int, top: float = 10.0) -> np.ndarray:
    """A return that rises by one a bin from the given bin on, up to the top."""
    return np.clip(np.arange(N_BINS) - step + 1.0, 0, top)


def results_of(starts: dict[str, list[int]], default: int = 12, top: float = 10.0) -> Results:
    """Ramps that begin in the given bins, one for each of three seeds."""
    curves = {arm: np.array([ramp(step, top) for step in starts.get(arm, [default] * 3)]) for arm in ARMS}
    zeros = {arm: np.zeros(3) for arm in ARMS}
    return Results(STUDY, "all", 3, curves, zeros, zeros)


def test_steps_by_hand() -> None:
    # Ends of bins 0, 1, 2 …; half way between the ends of the second and the third.
    curve = np.array([0.0, 1.0, 3.0, 1.0, 9.0])
    assert [bins_to(level, curve) for level in (1, 2, 3, 5)] == [2, 2.5, 3, 4.5]


def test_what_is_passed_at_once_takes_the_first_bin_and_what_is_not_never_ends() -> None:
    assert bins_to(2, np.array([2.5, 0.0])) == 1
    assert bins_to(2, np.array([1.9, 1.5])) == np.inf


def test_measures_by_hand() -> None:
    results = results_of({"frozen": [0, 0, 0]})
    rows = np.arange(3)
    assert [measure(results, "frozen", rows) for measure in STEPS] == [2000, 4000, 8000]
    assert FINAL(results, "frozen", rows) == 10
    assert AREA(results, "frozen", rows) == pytest.approx((45 + 15 * 10) / N_BINS)


def test_the_mean_curve_counts_and_not_the_mean_of_steps() -> None:
    results = results_of({"frozen": [0, 0, 20]}, top=6.0)
    # Two of three seeds alone bring the mean to a return of 2, when they are at 3.
    assert STEPS[0](results, "frozen", np.arange(3)) == 3000


def test_interval_over_seeds() -> None:
    results = results_of({"frozen": [4, 5, 6], "trained-on": [5, 5, 5]})
    value, low, high = estimated(lambda rows: STEPS[0](results, "frozen", rows), 3)
    assert value == pytest.approx(7000)
    assert low < 7000 < high
    same = estimated(lambda rows: STEPS[0](results, "trained-on", rows), 3)
    assert same == pytest.approx((7000, 7000, 7000))


def test_seeds_are_drawn_alike_for_both_of_a_pair() -> None:
    """Differences between seeds that both share leave no doubt about the pair."""
    results = results_of({"frozen": [2, 6, 10], "trained-on": [1, 5, 9]})
    estimate = Pair("trained-on", "frozen", AREA)(results, 1)
    assert estimate == pytest.approx([10 / N_BINS] * 3)


def test_claims_hold_where_they_should() -> None:
    starts = {"frozen-then-on": [-2] * 3, "KL+ent_2col": [16] * 3}
    judged = [claim.judge(results_of(starts)) for claim in CLAIMS]
    assert [own.estimate.value for own in judged[0].judged] == pytest.approx([1 / 18, 2 / 20, 6 / 24])
    # Final returns are level.
    assert [judgement.verdict for judgement in judged] == ["holds", "undecided", *["holds"] * 4]


def test_the_ratio_to_a_return_that_is_not_reached_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "N_RESAMPLES", 50)
    results = results_of({"frozen-then-on": [0] * 3, "KL+ent_2col": [20] * 3})
    assert [row[2] for row in CLAIMS[0].judge(results).rows] == ["holds", "holds", "undecided"]
    assert CLAIMS[0].judge(results).rows[2] == ["–", "–", "undecided"]
    assert CLAIMS[0].judge(results_of({"frozen-then-on": [24] * 3})).rows[0][2] == "does not hold"
    assert any("never [never, never]" in line for line in claims_lines(results))


def test_seeds_that_are_not_whole_are_left_out(tmp_path: Path) -> None:
    store, runs = Store(tmp_path), STUDY.runs
    store.begin(STUDY, "made up")
    for run in runs[:1]:
        store.write(run, {"results": {}})
    with pytest.raises(UsageError, match=r"No seed of the study in .* is whole"):
        read_results(tmp_path)
    for run in runs[:-1]:
        curves = run.seed + np.outer([0.0, 2.0], np.ones(N_BINS))
        store.write(run, {"results": {"curves": curves.tolist(), "zero_shot": [1, 3], "initial_kl": [0, 0.5]}})
    results = read_results(tmp_path)
    assert results.n_seeds == 2
    assert results.curves["frozen"].tolist() == [[1.0] * N_BINS, [2.0] * N_BINS]
    assert results.zero_shot["frozen"].tolist() == [2, 2] and results.divergence["frozen"].tolist() == [0.25] * 2


def test_what_is_not_tried_on_a_suite_is_not_claimed() -> None:
    study = Study((0,), timesteps=64_000, suite="two-rooms")
    assert {run.arm for run in study.runs} == set(ARMS) - {"prior-only", "multitask"}
    compared = {arm for claim in claims(study) for own in claim.numbers for arm in (own.first, own.second)}  # type: ignore[attr-defined]
    assert compared <= set(study.arms) and len(claims(study)) == len(CLAIMS) - 1
    assert "two columns have more area than one column that begins as π0" in [claim.text for claim in claims(study)]
    assert [measure.name for measure in steps_to(study)] == ["steps to -4", "steps to -2", "steps to -1"]
