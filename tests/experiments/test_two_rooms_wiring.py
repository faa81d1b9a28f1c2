"""Two rooms: which learner gets what, and the measures, intervals and drawings of hand-made results."""

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrow

from sb3_distral.experiments import two_rooms, two_rooms_claims, two_rooms_figure
from sb3_distral.experiments.two_rooms import CORRIDOR, METHODS, N_STATES, Results, draw_goals, make_tasks, run_seeds
from sb3_distral.experiments.two_rooms_claims import (
    DOWN,
    LEFT,
    RIGHT,
    STAY,
    TEST,
    TRAINING,
    UP,
    difference,
    direction_margin,
    interval,
    sideways_probability,
    smoothed,
    spread_difference,
)
from sb3_distral.experiments.two_rooms_figure import draw_arrows, draw_figure, paper_curves
from sb3_distral.experiments.two_rooms_page import claims_text, make_claims


class Spy:
    """Stands for a learner: remembers what it was given, and its returns and its π0 tell which learner they are of."""

    made: list["Spy"]

    def __init__(self, tasks: Any, generators: Any, distilled_policy: Any = None) -> None:
        self.tasks, self.prior, self.number, self.n_iterations = tasks, distilled_policy, len(self.made), 0
        self.draws = [generator.random() for generator in generators]
        shape = (len(generators), N_STATES, 5)
        self.distilled_policy = 1e6 * self.number + np.arange(np.prod(shape)).reshape(shape)
        self.made.append(self)

    def iterate(self, n_rollouts: int, length: int) -> Any:
        assert (n_rollouts, length) == (10, 100)
        self.n_iterations += 1
        return np.full((len(self.draws), 8, n_rollouts), 10 * self.number + self.n_iterations)


@pytest.fixture
def learners(monkeypatch: pytest.MonkeyPatch) -> list[Spy]:
    monkeypatch.setattr(Spy, "made", [], raising=False)
    monkeypatch.setattr(two_rooms, "TabularDistral", Spy)
    return Spy.made


def test_every_learner_has_its_tasks_and_its_prior(learners: list[Spy]) -> None:
    seeds = [3, 5]
    results = run_seeds(seeds, 2, lambda n: None)
    goals = np.stack([draw_goals(seed) for seed in seeds])
    assert len(learners) == 4
    for learner, phase in zip(learners, (TRAINING, TEST, TRAINING, TEST), strict=True):
        assert (learner.tasks.rewards == make_tasks(goals[:, phase]).rewards).all()
    training, test, *separate = learners
    assert training.prior is None and test.prior is training.distilled_policy
    assert all((learner.prior == 0.2).all() for learner in separate)
    # Both methods act by the same random numbers, others on test tasks than on training tasks.
    assert training.draws == separate[0].draws != test.draws == separate[1].draws
    assert results.returns.tolist() == [[[[1, 2], [11, 12]], [[21, 22], [31, 32]]]] * 2
    assert (results.goals == goals).all() and results.seeds.tolist() == seeds


def test_corridor_is_the_trained_prior_after_moves_that_did_not_run_into_a_wall(learners: list[Spy]) -> None:
    results = run_seeds([0, 1], 1, lambda n: None)
    policy = learners[0].distilled_policy
    assert results.corridor.shape == (2, 4, 5, 5)
    for seed, cell, previous in np.ndindex(2, 4, 5):
        # Six previous actions, the first of them none, times two bins of the previous reward, the first of them free.
        state = CORRIDOR[cell] * 12 + (previous + 1) * 2
        assert results.corridor[seed, cell, previous].tolist() == policy[seed, state].tolist()


def by_hand(n_seeds: int = 2) -> Results:
    """Curves of four iterations, in which the seeds lie 1 (Distral) and 3 (separate) above or below their mean."""
    distral = np.array([[0.0, 0, 4, 4], [0, 0, 0, 2]])
    separate = np.array([[0.0, 1, 1, 1], [3, 3, 3, 3]])
    signs = np.where(np.arange(n_seeds) % 2, 1.0, -1.0)[:, None, None]
    returns = np.stack([distral + signs, separate + 3 * signs], axis=1)
    corridor = np.zeros((n_seeds, 4, 5, 5))
    corridor[:, :, :, UP] = 1.0
    corridor[:, :, LEFT, [STAY, UP, DOWN, LEFT, RIGHT]] = [0.05, 0.02, 0.03, 0.80, 0.10]
    corridor[:, :, RIGHT, [STAY, UP, DOWN, LEFT, RIGHT]] = [0.08, 0.01, 0.07, 0.14, 0.70]
    goals = np.tile(np.arange(8), (n_seeds, 2, 1))
    return Results(np.arange(n_seeds), returns, corridor, goals)


def test_measures_by_hand() -> None:
    results = by_hand()
    assert sideways_probability(results) == pytest.approx((0.02 + 0.03 + 0.01 + 0.07) / 2)
    assert direction_margin(results) == pytest.approx(0.70 - 0.14)
    assert difference(results, TRAINING, at_end=False) == 2 - 0.75
    assert difference(results, TRAINING, at_end=True) == 4 - 1
    assert difference(results, TEST, at_end=True) == 2 - 3
    assert spread_difference(results) == 1 - 3


def test_claims_are_about_the_tasks_that_they_name() -> None:
    found = {claim.text.split(" (")[0]: claim.statistic(by_hand()) for claim in make_claims()}
    for phase, name in enumerate(("training", "test")):
        assert found[f"Distral learns faster on {name} tasks"] == difference(by_hand(), phase, at_end=False)
        assert found[f"Distral ends higher on {name} tasks"] == difference(by_hand(), phase, at_end=True)
    assert len(found) == 11


def test_interval_of_a_mean_is_that_of_a_t_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(two_rooms_claims, "N_RESAMPLES", 20_000)
    values = np.random.default_rng(0).normal(size=10)
    results = by_hand(10)._replace(corridor=values)
    half = 2.2622 * values.std(ddof=1) / 10**0.5
    found = interval(results, lambda own: float(own.corridor.mean()))
    assert found == pytest.approx((values.mean() - half, values.mean() + half), abs=0.08 * half)
    band = two_rooms_figure.band(np.stack([values, values + 5], axis=1))
    assert band[:, 1] - 5 == pytest.approx(np.array(found), abs=0.1 * half)


def test_infinite_ends_stay_infinite() -> None:
    results = by_hand(4)
    low, high = interval(results, lambda own: np.inf if (own.seeds == 0).any() else 2.0)
    assert np.isnan(low) and high == np.inf


def test_one_seed_decides_nothing() -> None:
    assert np.isnan(interval(by_hand(1), sideways_probability)).all()
    assert np.isnan(interval(by_hand(1), lambda own: np.inf)).all()
    assert np.isnan(two_rooms_figure.band(np.ones((1, 3)))).all()
    text = claims_text(by_hand(1))
    assert text.count("**undecided**") == 11 and "nan" not in text.split("Iterations after")[0]
    assert "One seed says nothing" in text


@pytest.mark.parametrize(("action", "direction"), [(UP, (0, 1)), (DOWN, (0, -1)), (LEFT, (-1, 0)), (RIGHT, (1, 0))])
def test_longest_arrow_points_where_the_likeliest_action_goes(action: int, direction: tuple[int, int]) -> None:
    policy = np.full((2, 5), 0.05)
    policy[1, action] = 0.8
    axes = Figure().subplots()
    draw_arrows(axes, policy, "")
    ends = [patch.get_xy() - [1, 0] for patch in axes.patches if isinstance(patch, FancyArrow)][4:]
    tips = [corners[np.abs(corners).max(axis=1).argmax()] for corners in ends]
    longest = max(tips, key=lambda tip: float(np.abs(tip).max()))
    assert longest == pytest.approx(0.386 * np.array(direction), abs=0.01)
    assert [text.get_text() for text in axes.texts] == ["0.05", "0.80"]


def test_figure_shows_the_curves_with_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(two_rooms_figure, "N_RESAMPLES", 20)
    results = by_hand()
    training, test, paper = draw_figure(results).subfigs[0].axes
    for axes, phase in ((training, TRAINING), (test, TEST)):
        for line, method in zip(axes.lines, range(2), strict=False):
            assert line.get_ydata() == pytest.approx(smoothed(results.returns[:, method, phase]).mean(axis=0))
    assert paper.lines[0].get_ydata() == pytest.approx(paper_curves()["multi_task_mean"])
    assert paper.lines[1].get_ydata() == pytest.approx(paper_curves()["separately_mean"])
    for axes in (training, paper):
        assert [text.get_text() for text in axes.get_legend().get_texts()] == list(METHODS)
        assert axes.get_legend().get_title().get_text()
    assert all(axes.get_ylabel() and axes.get_xlabel() for axes in (training, test, paper))
