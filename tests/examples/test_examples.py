"""Every example runs, in a short form, and gives what it says."""

import json
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "examples"
#: Examples that are tests' own subjects elsewhere, or parts of another.
ELSEWHERE = {"quickstart", "metaworld_mt10", "metaworld_report", "metaworld_tasks"}

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))


def load(name: str, *needed: str) -> ModuleType:
    for package in needed:
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    return import_module(name)


def test_own_tasks() -> None:
    means = load("own_tasks").main(timesteps=2_000)
    assert list(means) == ["0.25 m", "0.5 m", "1.0 m", "2.0 m", "1.5 m, never seen"]
    assert all(8 < mean <= 500 for mean in means.values())


def test_poles_of_own_tasks_have_their_lengths() -> None:
    pole = load("own_tasks").make_pole(2.0).unwrapped
    assert pole.length == 2.0 and pole.polemass_length == pytest.approx(0.2)


def test_transfer() -> None:
    assert set(load("transfer").main(source_timesteps=640, timesteps=1_280)) == {"from nothing", "from π0"}


def test_prior_under_ppo() -> None:
    returns = load("prior_ppo").main(source_timesteps=640, timesteps=2_000)
    assert set(returns) == {"from nothing", "from π0", "π0 as prior"} and all(0 <= own < 20 for own in returns.values())


def test_costs_of_tasks_and_schedules() -> None:
    costs = load("costs").main(timesteps=1_280)
    assert costs["by task"]["c_KL"] == pytest.approx([0.5 / 30] * 4 + [0.5 / 300] * 4)
    # Nearly at the end of the schedule: α is nearly 0.5.
    assert costs["annealed"]["c_KL"][0] == pytest.approx(0.005, rel=0.3)
    assert costs["annealed"]["c_KL"][0] > costs["annealed"]["c_Ent"][0]
    assert len(set(costs["controlled"]["c_KL"])) == 8


def test_continuous_control() -> None:
    returns = load("continuous").main(timesteps=2_048)
    assert len(returns) == 8 and all(-2_000 < own < 0 for own in returns.values())


def test_memory() -> None:
    example = load("recurrent")
    assert example.WithoutSpeeds(1.0).reset(seed=0)[0].shape == (2,)
    assert all(8 < own <= 500 for own in example.main(timesteps=1_024).values())


def test_a_killed_training_goes_on(tmp_path: Path) -> None:
    main = load("resume").main
    assert main(tmp_path, timesteps=1_280, save_freq=10).num_timesteps == 1_280
    assert main(tmp_path, timesteps=1_280, save_freq=10).num_timesteps <= 1_280
    model = main(tmp_path, timesteps=2_560, save_freq=10)
    assert model.num_timesteps == 2_560
    whole = main(tmp_path / "whole", timesteps=2_560, save_freq=10)
    for name, weights in whole.policy.state_dict().items():
        np.testing.assert_array_equal(model.policy.state_dict()[name].numpy(), weights.numpy(), err_msg=name)


def test_optuna() -> None:
    study = load("optuna_search", "optuna").main(n_trials=2, timesteps=1_280)
    assert set(study.best_trial.params) == {"alpha", "total_cost", "learning_rate"}
    assert [len(trial.intermediate_values) for trial in study.trials] == [4, 4]


def test_weights_and_biases_and_mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_SILENT", "true")
    example = load("tracking", "wandb", "mlflow")
    example.main(tmp_path, timesteps=32_000)
    assert list(tmp_path.glob("wandb/offline-run-*/*.wandb"))
    (run,) = example.mlflow.search_runs(experiment_names=["distral"], output_format="list")
    assert run.data.params["alpha"] == "0.5" and run.data.metrics["distral/maze-3/kl"] >= 0


def test_onnx_acts_as_the_policies_do(tmp_path: Path) -> None:
    differing = load("onnx_export", "onnx", "onnxruntime").main(tmp_path, timesteps=640)
    assert len(differing) == 6 and set(differing.values()) == {0}
    assert len(list(tmp_path.glob("*.onnx"))) == 6


def test_minigrid() -> None:
    example = load("minigrid_tasks", "minigrid")
    env = example.make_grid(example.IDS[0])
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation) and 0 < observation.max() <= 1
    assert set(example.main(timesteps=1_536)) == set(example.IDS)


def test_atari() -> None:
    example = load("atari", "ale_py", "cv2")
    env = example.make_games(1, seed=0)
    assert env.observation_space["obs"].shape == (84, 84, 4)
    # Breakout has four of Pong's six actions.
    assert env.reset()["action_mask"].sum(axis=1).tolist() == [6, 4]
    env.close()


def test_video(tmp_path: Path) -> None:
    path = load("video", "moviepy").main(tmp_path, timesteps=640, n_steps=10)
    assert path.stat().st_size > 1_000


def test_hub(tmp_path: Path) -> None:
    loaded = load("hub", "huggingface_hub").main(tmp_path, timesteps=640)
    assert loaded.task_names == [f"maze-{task}" for task in range(8)]
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlibrary_name: sb3-distral") and "load_policy(hf_hub_download" in card


def test_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    cells = json.loads((FOLDER / "first_look.ipynb").read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert "TIMESTEPS = 200_000" in code[0] and all(not cell.get("outputs") for cell in cells)
    names: dict[str, Any] = {}
    for cell in code:
        exec(cell.replace("200_000", "2_560"), names)
    assert len(names["evaluation"].results) == 8 and set(names["after"]) == set(names["before"])
    pyplot.close("all")


def test_every_example_is_tested() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    names = {path.stem for path in FOLDER.glob("*.py")} - ELSEWHERE
    assert len(names) >= 12 and [name for name in names if f'load("{name}"' not in text] == []


def test_examples_say_what_they_are() -> None:
    page = (FOLDER.parent / "docs" / "examples.md").read_text(encoding="utf-8")
    assert [path.name for path in FOLDER.glob("*.py") if path.name not in page] == []
