"""What a run records, with stubs in place of model and environments."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from experiments.figure4 import training
from experiments.figure4.study import Run
from experiments.figure4.training import (
    N_BINS,
    RunRecorder,
    _distilled_returns,
    _filled,
    _final_distilled_returns,
    train_run,
)
from sb3_distral import DistilledPredictor

#: A hundred steps for each bin of the learning curve.
RUN = Run("two-rooms", "A3C", 0.01, 1e-3, 3, 100 * N_BINS, n_envs_per_task=1, n_evaluations=2)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> RunRecorder:
    """A recorder of eight tasks whose sub-environments stand in reverse order."""
    own: Any = RunRecorder(RUN)
    own.model = SimpleNamespace(get_env=lambda: SimpleNamespace(tasks=np.arange(8)[::-1]))
    monkeypatch.setattr(training, "_distilled_returns", lambda model, env, n: np.array([own.num_timesteps]))
    return own


def step(recorder: RunRecorder, n_steps: int, offset: float) -> None:
    """All sub-environments end an episode; the return is the offset and the number of the task."""
    recorder.num_timesteps = n_steps
    infos = [{"episode": {"r": offset + task}} for task in range(7, -1, -1)]
    recorder.locals = {"dones": np.ones(8, dtype=bool), "infos": infos}
    recorder._on_step()


def test_returns_are_credited_to_their_task_at_their_time(recorder: RunRecorder) -> None:
    for n_steps, offset in ((100, 0), (101, 10), (200, 20), (2400, 60)):
        step(recorder, n_steps, offset)
    for task, curve in enumerate(recorder.curves()):
        # The first hundred steps are the first bin, the second hundred the next; then a line up to the last.
        assert curve == pytest.approx([task, *np.linspace(15, 60, N_BINS - 1) + task])


def test_distilled_policy_is_evaluated_at_equal_distances(recorder: RunRecorder) -> None:
    for n_steps in (1192, 1200, 1208, 2392, 2400):
        step(recorder, n_steps, 0)
    assert np.ravel(recorder.distilled).tolist() == [1200, 2400]


def test_returns_of_the_distilled_policy_are_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []

    def evaluate(*arguments: Any) -> dict[str, list[float]]:
        given.extend(arguments)
        return {"maze-0": [1.0, 3.0], "maze-1": [5.0]}

    monkeypatch.setattr(training, "evaluate_tasks", evaluate)
    model, env = SimpleNamespace(distilled_policy=object()), object()
    assert _distilled_returns(model, env, 4).tolist() == [2, 5]
    predictor, *rest = given
    assert isinstance(predictor, DistilledPredictor) and predictor.policies == [model.distilled_policy]
    assert rest == [env, 4]


@pytest.mark.parametrize(
    ("suite", "unseen"),
    [("grid-mazes", {"maze_seed": 1}), ("grid-tag", {"map_seed": 1}), ("grid-navigation", None)],
)
def test_unseen_tasks_are_not_those_of_the_training(
    suite: str, unseen: dict[str, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training.tasks, "make", lambda name, n_envs, seed, **own: (name, n_envs, seed, own))
    monkeypatch.setattr(training, "_distilled_returns", lambda model, env, n: env)
    returns: Any = _final_distilled_returns(None, replace(RUN, suite=suite))  # type: ignore[arg-type]
    assert returns["distilled"] == (suite, 8, 10_003, {})
    assert returns.get("distilled_unseen") == (None if unseen is None else (suite, 8, 10_003, unseen))


def test_bin_without_an_episode_lies_between_its_neighbours() -> None:
    values, known = np.array([0.0, 2.0, 0.0, 6.0]), np.array([False, True, False, True])
    assert _filled(values, known).tolist() == [2, 2, 4, 6]


def test_results_of_a_run() -> None:
    results = train_run(replace(RUN, suite="grid-mazes", timesteps=1600))
    assert len(results["tasks"]) == len(results["curves"]) == len(results["distilled_unseen"]) == 8
    assert {len(curve) for curve in results["curves"]} == {N_BINS}
    assert [len(returns) for returns in results["distilled_curves"]] == [8, 8]
    assert results["timing"]["steps_per_second"] > 0
