"""The Meta-World example, where Meta-World is installed."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "examples"))

import metaworld_mt10 as example  # noqa: E402
from metaworld_tasks import TASKS, MetaWorldTask, make_task, rescale  # noqa: E402

NAMES = ("drawer-close-v3", "window-close-v3")

needs_metaworld = pytest.mark.usefixtures("_metaworld")


@pytest.fixture
def _metaworld() -> None:
    pytest.importorskip("metaworld", reason="the extra metaworld is not installed")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings = {**example.SETTINGS, "batch_size": 250, "n_epochs": 1, "policy_kwargs": {"net_arch": [16]}}
    monkeypatch.setattr(example, "SETTINGS", settings)
    yield


def run(output: Path, timesteps: int) -> dict[str, Any]:
    example.main(timesteps, output, evaluation_episodes=1, tasks=NAMES)
    results: dict[str, Any] = json.loads((output / "results.json").read_text())
    return results


@pytest.mark.slow
@needs_metaworld
@pytest.mark.usefixtures("small")
def test_two_tasks_train_go_on_and_are_evaluated(tmp_path: Path) -> None:
    assert run(tmp_path, 1_000)["timesteps"] == 1_000
    (tmp_path / "checkpoints").mkdir(exist_ok=True)
    (tmp_path / "model.zip").rename(tmp_path / "checkpoints" / "checkpoint_1000_steps.zip")

    results = run(tmp_path, 2_000)

    assert results["timesteps"] == 2_000
    assert len(results["curves"]["drawer-close-v3"]["return"]) == 2
    assert [row[:2] for row in example.read_episodes(tmp_path / "episodes.csv")] == [
        (steps, name) for steps in (1_000, 2_000) for name in NAMES
    ]
    assert set(results["success"]) == {"task", "distilled", "task_mean", "distilled_mean"}
    for rates in results["success"].values():
        assert list(rates) == list(NAMES) and set(rates.values()) <= {0.0, 1.0}
    assert (tmp_path / "metaworld.png").stat().st_size > 0


@needs_metaworld
def test_the_seed_of_a_reset_chooses_the_goals_that_come() -> None:
    env = make_task("drawer-close-v3")
    first, other, again = (env.reset(seed=seed)[0] for seed in (1, 2, 1))
    assert first.dtype == np.float32 and env.observation_space.contains(first)
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert not np.array_equal(env.reset()[0], again)
    env.close()


class Successes(gym.Env[np.ndarray, np.ndarray]):
    """Succeeds in the second of three steps alone."""

    observation_space = gym.spaces.Box(0, 0, (39,))
    action_space = gym.spaces.Box(-1, 1, (4,))

    def reset(self, **_: Any) -> tuple[np.ndarray, dict[str, Any]]:
        self.steps = 0
        return np.zeros(39), {}

    def step(self, _: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        return np.zeros(39), 10.0, False, self.steps == 3, {"success": float(self.steps == 2)}


def test_an_episode_is_a_success_once_it_has_succeeded() -> None:
    env = MetaWorldTask(Successes())
    for _ in range(2):
        env.reset()
        steps = [env.step(np.zeros(4)) for _ in range(3)]
        assert [info["is_success"] for *_, info in steps] == [False, True, True]
        assert [reward for _, reward, *_ in steps] == [1.0, 1.0, 1.0]


@needs_metaworld
def test_the_tasks_are_those_of_mt10() -> None:
    from metaworld.env_dict import MT10_V3

    assert list(MT10_V3) == list(TASKS)


def test_only_positions_are_rescaled() -> None:
    observation = np.arange(39.0)
    scaled = rescale(observation)
    assert scaled[0] == 0.0 and scaled[1] == pytest.approx((1.0 - 0.6) / 0.1)
    assert scaled[38] == pytest.approx((38.0 - 0.15) / 0.1, rel=1e-5)
    others = [3, *range(7, 11), *range(14, 18), 21, *range(25, 29), *range(32, 36)]
    assert scaled[others].tolist() == others


def test_curves_hold_each_episode_once() -> None:
    episodes = [(step, "a", step > 50, float(step)) for step in range(1, 101)]
    curve = example.curves(episodes, 100)["a"]
    assert curve["step"] == list(range(10, 101, 10))
    assert curve["return"] == [5.5 + first for first in range(0, 100, 10)]
    assert curve["success"] == [0.0] * 5 + [1.0] * 5


def test_the_newest_checkpoint_is_the_one_with_most_steps(tmp_path: Path) -> None:
    assert example.newest_checkpoint(tmp_path) is None
    for steps in (900, 10_000):
        (tmp_path / f"checkpoint_{steps}_steps.zip").touch()
    newest = example.newest_checkpoint(tmp_path)
    assert newest is not None and newest.name == "checkpoint_10000_steps.zip"
