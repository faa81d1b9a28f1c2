"""The Meta-World example, where Meta-World is installed."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "examples"))

import metaworld_mt10 as example  # noqa: E402
from metaworld_tasks import TASKS, make_task, rescale  # noqa: E402

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
def test_two_tasks_train_go_on_and_are_evaluated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(tmp_path, 1_000)["timesteps"] == 1_000
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "model.zip").rename(tmp_path / "checkpoints" / "checkpoint_1000_steps.zip")

    results = run(tmp_path, 2_000)

    assert results["timesteps"] == 2_000
    assert [row[:2] for row in example.read_episodes(tmp_path / "episodes.csv")] == [
        (steps, name) for steps in (1_000, 2_000) for name in NAMES
    ]
    assert set(results["success"]) == {"task", "distilled"}
    for rates in results["success"].values():
        assert list(rates) == list(NAMES) and set(rates.values()) <= {0.0, 1.0}
    assert (tmp_path / "metaworld.png").stat().st_size > 0


@needs_metaworld
def test_a_task_seeds_its_goals_and_says_whether_it_has_succeeded() -> None:
    env = make_task("drawer-close-v3")
    first, other, again = (env.reset(seed=seed)[0] for seed in (1, 2, 1))
    assert first.dtype == np.float32 and env.observation_space.contains(first)
    assert np.array_equal(first, again) and not np.array_equal(first, other)

    # A hand that moves on along y pushes the drawer shut, and later leaves it alone.
    successes = [env.step(np.array([0.0, 1.0, -0.4, 0.0], dtype=np.float32))[-1]["is_success"] for _ in range(100)]
    assert successes == sorted(successes) and not successes[0] and successes[-1]
    assert not env.reset()[1].get("is_success") and not env.step(np.zeros(4, dtype=np.float32))[-1]["is_success"]
    env.close()


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
    assert curve["step"][0] == 5 and curve["step"][-1] == 100
    assert curve["return"][0] == 3.0 and curve["return"][-1] == 98.0
    assert curve["success"] == [0.0] * 10 + [1.0] * 10


def test_the_newest_checkpoint_is_the_one_with_most_steps(tmp_path: Path) -> None:
    assert example.newest_checkpoint(tmp_path) is None
    for steps in (900, 10_000):
        (tmp_path / f"checkpoint_{steps}_steps.zip").touch()
    newest = example.newest_checkpoint(tmp_path)
    assert newest is not None and newest.name == "checkpoint_10000_steps.zip"
