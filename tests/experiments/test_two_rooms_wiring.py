"""Two rooms: which learner gets what, and the measures, intervals and drawings of hand-made results."""

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrow

from experiments.two_rooms import learning, measures
from experiments.two_rooms.figure import draw_arrows, draw_figure, paper_curves
from experiments.two_rooms.learning import CORRIDOR, N_STATES, draw_goals, learn, make_tasks
from experiments.two_rooms.measures import (
    DOWN,
    LEFT,
    RIGHT,
    STAY,
    TEST,
    TRAINING,
    UP,
    band,
    difference,
    direction_margin,
    estimated,
    sideways_probability,
    smoothed,
    spread_difference,
)
from experiments.two_rooms.page import claims_lines, make_claims
from experiments.two_rooms.study import METHODS, Results, Study


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
    monkeypatch.setattr(learning, "TabularDistral", Spy)
    return Spy.made


def test_every_learner_has_its_tasks_and_its_prior(learners: list[Spy]) -> None:
    results = learn(Study((3,), n_iterations=2).runs[0])
    goals = draw_goals(3, 8)[None]
    assert len(learners) == 4
    for learner, phase in zip(learners, (TRAINING, TEST, TRAINING, TEST), strict=True):
        assert (learner.tasks.rewards == make_tasks(goals[:, phase]).rewards).all()
    training, test, *separate = learners
    assert training.prior is None and test.prior is training.distilled_policy
    assert all((learner.prior == 0.2).all() for learner in separate)
    # Both methods act by the same random numbers, others on test tasks than on training tasks.
    assert training.draws == separate[0].draws != test.draws == separate[1].draws
    assert results["returns"] == [[[1, 2], [11, 12]], [[21, 22], [31, 32]]]
    assert results["goals"] == goals[0].tolist()


def test_corridor_is_the_trained_prior_after_moves_that_did_not_run_into_a_wall(learners: list[Spy]) -> None:
    corridor = np.array(learn(Study((0,), n_iterations=1).runs[0])["corridor"])
    policy = learners[0].distilled_policy
    assert corridor.shape == (4, 5, 5)
    for cell, previous in np.ndindex(4, 5):
        # Six previous actions, the first of them none, times two bins of the previous reward, the first of them free.
        state = CORRIDOR[cell] * 12 + (previous + 1) * 2
        assert corridor[cell, previous].tolist() == policy[0, state].tolist()


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
    found = {claim.text.split(" (")[0]: claim.judge(by_hand()).judged[0].estimate.value for claim in make_claims()}
    for phase, name in enumerate(("training", "test")):
        assert found[f"Distral learns faster on {name} tasks"] == difference(by_hand(), phase, at_end=False)
        assert found[f"Distral ends higher on {name} tasks"] == difference(by_hand(), phase, at_end=True)
    assert len(found) == 11


def test_interval_of_a_mean_is_that_of_a_t_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "N_RESAMPLES", 20_000)
    values = np.random.default_rng(0).normal(size=10)
    results = by_hand(10)._replace(corridor=values)
    half = 2.2622 * values.std(ddof=1) / 10**0.5
    _, *found = estimated(results, lambda own: float(own.corridor.mean()))
    assert found == pytest.approx([values.mean() - half, values.mean() + half], abs=0.08 * half)
    ends = band(np.stack([values, values + 5], axis=1))
    assert ends[:, 1] - 5 == pytest.approx(np.array(found), abs=0.1 * half)


def test_infinite_ends_stay_infinite() -> None:
    results = by_hand(4)
    assert estimated(results, lambda own: np.inf if (own.seeds == 0).all() else 2.0) == (2.0, 2.0, 2.0)
    _, low, high = estimated(results, lambda own: np.inf if own.seeds.sum() < 3 else 2.0)
    assert (low, high) == (2.0, np.inf)


def test_one_seed_decides_nothing() -> None:
    assert np.isnan(estimated(by_hand(1), sideways_probability)[1:]).all()
    assert np.isnan(estimated(by_hand(1), lambda own: np.inf)[1:]).all()
    assert np.isnan(band(np.ones((1, 3)))).all()
    text = "\n".join(claims_lines(by_hand(1)))
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
    monkeypatch.setattr(measures, "N_RESAMPLES", 20)
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
