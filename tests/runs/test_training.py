import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch as th
from helpers import assert_equal_parameters, copied_parameters, save_diverged
from stable_baselines3.common.save_util import load_from_zip_file

from sb3_distral import CostController, DistralA2C, DistralPPO, RecurrentDistralA2C, RecurrentDistralPPO
from sb3_distral.errors import UsageError
from sb3_distral.policies.recurrent import RecurrentDistralPolicy
from sb3_distral.runs import TASK_POLICY, Training, evaluate, load_model

from .tiny import TINY, tiny

KILLED = """
import json, os, signal, sys
from pathlib import Path
from sb3_distral import DistralA2C
from sb3_distral.runs import Training

own_update, own_replace = DistralA2C._update_info_buffer, Path.replace

def update(model, *args):
    own_update(model, *args)
    if not SAVING and model.num_timesteps >= STEPS:
        os.kill(os.getpid(), signal.SIGKILL)

def replace(path, target):
    if SAVING and target.name == "checkpoint_STEPS_steps.zip":
        os.kill(os.getpid(), signal.SIGKILL)
    own_replace(path, target)

DistralA2C._update_info_buffer, Path.replace = update, replace
Training(**json.loads(sys.argv[1]), output=Path(sys.argv[2])).train()
"""


def train_until_killed(folder, steps, saving=False):
    script = KILLED.replace("SAVING", str(saving)).replace("STEPS", str(steps))
    process = subprocess.run([sys.executable, "-c", script, json.dumps(TINY), str(folder)], capture_output=True)
    assert process.returncode == -signal.SIGKILL, process.stderr.decode()


@pytest.fixture(scope="module")
def killed_once(tmp_path_factory):
    """Folder of a run that was killed between two checkpoints, in the middle of a roll-out."""
    folder = tmp_path_factory.mktemp("run") / "killed"
    train_until_killed(folder, 1512)
    return folder


@pytest.fixture
def killed(killed_once, tmp_path):
    return shutil.copytree(killed_once, tmp_path / "killed")


def go_on(folder):
    return Training.read(folder).train(resume=True)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def assert_equal(one, other):
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for first, second in zip(one, other, strict=True):
            assert_equal(first, second)
    elif isinstance(one, (th.Tensor, np.ndarray)):
        assert one.shape == other.shape and (one == other).all()
    else:
        assert one == other


def assert_same_training(run, other):
    """Weights, optimizer, counters, generators and the place in every task."""
    (data, weights, _), (other_data, other_weights, _) = (load_from_zip_file(r / "model.zip") for r in (run, other))
    assert_equal(weights, other_weights)
    for name in ("num_timesteps", "_n_updates", "_current_progress_remaining", "_resume_state"):
        assert_equal(data[name], other_data[name])
    episodes = [{name: [e["r"] for e in es] for name, es in d["_task_episodes"].items()} for d in (data, other_data)]
    assert episodes[0] == episodes[1]


def evaluations(path):
    return [{key: own for key, own in row.items() if "eval/" in key} for row in rows(path) if row["eval/mean_reward"]]


def evaluation_files(run):
    """Arrays by name of the file, then by key."""
    files = {}
    for path in (run / "evaluations").rglob("*.npz"):
        with np.load(path) as arrays:
            files[str(path.relative_to(run / "evaluations"))] = {name: arrays[name].tolist() for name in arrays}
    return files


def test_evaluations_leave_the_training_as_it_is_and_go_on_as_if_never_stopped(finished, tmp_path):
    tiny(tmp_path / "run", eval_freq=1000, n_eval_episodes=8).train()
    assert_same_training(finished, tmp_path / "run")
    logged = evaluations(tmp_path / "run" / "progress.csv")
    assert len(logged) == 2 and logged[0] != logged[1]
    assert {"eval/maze-1/mean_reward", "eval/maze-1/distilled_mean_reward", "eval/mean_reward"} <= logged[0].keys()
    files, best = evaluation_files(tmp_path / "run"), (tmp_path / "run" / "best_model.json").read_text()
    assert files["evaluations.npz"]["timesteps"] == [1000, 2000]
    assert {f"{folder}maze-1/evaluations.npz" for folder in ("", "distilled/")} <= files.keys() and len(files) == 6
    means = [np.mean(row) for row in files["evaluations.npz"]["results"]]
    assert json.loads(best)["mean_reward"] == pytest.approx(max(means))
    assert DistralA2C.load(tmp_path / "run" / "best_model").num_timesteps == 1000 * (1 + int(np.argmax(means)))
    assert TASK_POLICY in evaluate(tmp_path / "run" / "best_policies.zip", n_episodes=2).returns
    (tmp_path / "run" / "model.zip").unlink()
    go_on(tmp_path / "run")
    assert_same_training(finished, tmp_path / "run")
    assert evaluation_files(tmp_path / "run") == files and (tmp_path / "run" / "best_model.json").read_text() == best
    assert evaluations(tmp_path / "run" / "progress_1_from_1600.csv") == logged[1:]


def test_files_of_a_run(finished):
    assert [name for name in names(finished) if not name.startswith("events.")] == [
        "checkpoints",
        "model.zip",
        "policies.zip",
        "progress.csv",
        "train.json",
    ]
    assert len(list(finished.glob("events.out.tfevents.*"))) == 1
    assert names(finished / "checkpoints") == ["checkpoint_1200_steps.zip", "checkpoint_1600_steps.zip"]
    assert [int(row["time/total_timesteps"]) for row in rows(finished / "progress.csv")] == list(range(200, 2001, 200))
    assert "rollout/maze-1/ep_rew_mean" in rows(finished / "progress.csv")[-1]
    assert DistralA2C.load(finished / "model.zip").num_timesteps == 2000


def test_options_reach_the_model_and_are_saved(finished):
    options = json.loads((finished / "train.json").read_text())
    assert options["suite"] == "grid-mazes" and options["suite_arguments"] == {"n_tasks": 2} and options["beta"] == 30
    assert (options["learner"], options["learning_rate"]) == ("a2c", 2e-3)
    assert "output" not in options
    model = DistralA2C.load(finished / "model.zip")
    assert (model.alpha, model.beta, model.learning_rate, model.n_envs) == (0.5, 30, 2e-3, 4)
    assert model.task_names == ["maze-0", "maze-1"]


def test_adaptive_costs_and_normalized_returns_reach_the_model(tmp_path):
    path = tiny(tmp_path / "run", total_timesteps=200, adaptive_costs=True, normalize_returns=True).train()
    model = DistralA2C.load(path)
    assert model.beta == CostController(beta=30.0) and model.normalize_returns
    assert model.costs.kl.tolist() != [0.5 / 30.0] * 2
    assert not DistralA2C.load(tiny(tmp_path / "plain", total_timesteps=200).train()).normalize_returns


def test_held_out_tasks_are_evaluated(tmp_path):
    """They are other mazes, in the number of the training's."""
    run = tiny(tmp_path / "run", total_timesteps=400, eval_freq=200, n_eval_episodes=2, held_out={"maze_seed": 1})
    mazes, others = (choice.make_env(1).get_attr("walls")[:2] for choice in (run, run.held_out_choice()))
    assert np.shape(mazes) == np.shape(others) and not np.array_equal(mazes, others)
    run.train()
    files = evaluation_files(tmp_path / "run")
    assert files["held_out/evaluations.npz"]["timesteps"] == [200, 400]
    assert {"held_out/maze-0/evaluations.npz", "held_out/maze-1/evaluations.npz"} <= files.keys()


def test_the_file_of_a_model_is_given_back(finished):
    assert tiny(finished).train(resume=True) == finished / "model.zip"


def test_the_seed_decides(finished, tmp_path):
    tiny(tmp_path / "same").train()
    assert_same_training(finished, tmp_path / "same")
    tiny(tmp_path / "other", seed=1).train()
    with pytest.raises(AssertionError):
        assert_same_training(finished, tmp_path / "other")


def test_a_killed_run_goes_on_as_if_never_stopped(finished, killed, said):
    assert names(killed / "checkpoints") == ["checkpoint_1200_steps.zip", "checkpoint_800_steps.zip"]
    before = (killed / "progress.csv").read_text()
    go_on(killed)
    assert "1200 of 2000 steps are done" in said()
    assert_same_training(killed, finished)
    assert (killed / "progress.csv").read_text() == before
    joined = [row for row in rows(killed / "progress.csv") if int(row["time/total_timesteps"]) <= 1200]
    joined += rows(killed / "progress_1_from_1200.csv")
    assert len(joined) == 10
    for row, expected in zip(joined, rows(finished / "progress.csv"), strict=True):
        for key in ("time/total_timesteps", "train/value_loss", "train/policy_loss", "rollout/ep_rew_mean"):
            assert row[key] == expected[key]


def test_a_run_killed_while_it_saves_goes_on(finished, tmp_path):
    folder = tmp_path / "run"
    train_until_killed(folder, 1200, saving=True)
    saved = names(folder / "checkpoints")
    assert saved[0].startswith("checkpoint_1200_steps.zip.") and saved[0].endswith(".part")
    assert saved[1:] == ["checkpoint_400_steps.zip", "checkpoint_800_steps.zip"]
    go_on(folder)
    assert_same_training(folder, finished)
    assert not list(folder.rglob("*.part"))


def test_without_a_checkpoint_a_run_begins_again_and_says_so(finished, killed, said):
    shutil.rmtree(killed / "checkpoints")
    before = (killed / "progress.csv").read_text()
    go_on(killed)
    assert "starting from the beginning" in said()
    assert_same_training(killed, finished)
    assert (killed / "progress.csv").read_text() == before
    assert len(rows(killed / "progress_1_from_0.csv")) == 10


def test_resume_in_a_new_folder_begins(tmp_path, said):
    path = tiny(tmp_path / "new", total_timesteps=20).train(resume=True)
    assert "starting from the beginning" in said()
    assert path.exists()


@pytest.mark.parametrize("damage", ["truncated", "changed", "empty"])
def test_a_damaged_checkpoint_is_passed_over(damage, finished, killed, said):
    newest = killed / "checkpoints" / "checkpoint_1200_steps.zip"
    content = newest.read_bytes()
    middle = len(content) // 2
    changed = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    newest.write_bytes({"truncated": content[:middle], "changed": changed, "empty": b""}[damage])
    go_on(killed)
    report = said()
    assert "passed over" in report and "checkpoint_1200_steps.zip is damaged" in report
    assert "800 of 2000 steps are done" in report
    assert_same_training(killed, finished)


def test_damaged_checkpoints_alone_are_refused(killed):
    for path in (killed / "checkpoints").iterdir():
        path.write_bytes(b"")
    with pytest.raises(UsageError, match="None of the 2 checkpoints"):
        go_on(killed)
    assert len(names(killed / "checkpoints")) == 2


def test_a_checkpoint_that_is_not_finite_is_passed_over(finished, killed, said):
    newest = killed / "checkpoints" / "checkpoint_1200_steps.zip"
    model = DistralA2C.load(newest)
    with th.no_grad():
        model.policy.task_columns.value_net.bias[-1] = th.nan
    save_diverged(model, newest)
    go_on(killed)
    report = said()
    assert "checkpoint_1200_steps.zip holds parameters that are not finite" in report
    assert "800 of 2000 steps are done" in report
    assert_same_training(killed, finished)


@pytest.fixture
def diverges(monkeypatch):
    """From some step on the values of a task are no numbers, of which actions tell nothing."""

    def at(steps):
        train = DistralA2C.train

        def update(model):
            train(model)
            if model.num_timesteps >= steps:
                with th.no_grad():
                    model.policy.task_columns.value_net.bias[-1] = th.nan

        monkeypatch.setattr(DistralA2C, "train", update)

    return at


def test_a_model_that_diverged_is_not_saved(diverges, tmp_path):
    diverges(2000)
    with pytest.raises(UsageError, match=r"diverged: after 2000 steps .* learning rate lower than 0\.002"):
        tiny(tmp_path / "run").train()
    assert "model.zip" not in names(tmp_path / "run")


def test_a_diverged_training_ends_before_its_checkpoints_take_the_place_of_good_ones(diverges, tmp_path):
    diverges(1200)
    with pytest.raises(UsageError, match="diverged: after 1200 steps"):
        tiny(tmp_path / "run").train()
    assert names(tmp_path / "run" / "checkpoints") == ["checkpoint_400_steps.zip", "checkpoint_800_steps.zip"]


def test_where_numbers_that_are_none_make_it_fail_the_cause_is_named(tmp_path, monkeypatch):
    def learn(model, *args, **kwargs):
        with th.no_grad():
            model.policy.task_columns.value_net.bias[-1] = th.nan
        raise RuntimeError("probability tensor contains nan")

    monkeypatch.setattr(DistralA2C, "learn", learn)
    with pytest.raises(UsageError, match="diverged"):
        tiny(tmp_path / "run").train()


def test_a_finished_run_whose_model_diverged_is_not_called_finished(finished, tmp_path):
    """Earlier versions saved such models."""
    shutil.copytree(finished, tmp_path / "run")
    model = DistralA2C.load(tmp_path / "run" / "model.zip")
    with th.no_grad():
        model.policy.task_columns.value_net.bias[-1] = th.nan
    save_diverged(model, tmp_path / "run" / "model.zip")
    with pytest.raises(UsageError, match=r"model\.zip holds parameters that are not finite"):
        tiny(tmp_path / "run").train(resume=True)


def test_a_finished_run_is_left_alone(finished, said):
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*")}
    tiny(finished).train(resume=True)
    assert "is finished" in said()
    assert before == {path: path.stat().st_mtime_ns for path in finished.rglob("*")}


def test_a_folder_with_a_run_is_refused(finished):
    with pytest.raises(UsageError, match=r"holds a run already.*--resume.*--output"):
        tiny(finished).train()


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_with_other_things_is_refused(resume, tmp_path):
    (tmp_path / "thesis.tex").write_text("all of it")
    with pytest.raises(UsageError, match="is not empty but holds no run"):
        tiny(tmp_path).train(resume)
    assert names(tmp_path) == ["thesis.tex"]


@pytest.mark.parametrize(
    "given",
    [
        {"total_timesteps": 4000},
        {"seed": 1},
        {"algorithm": "KL_2col"},
        {"learner": "ppo"},
        {"suite_arguments": {"n_tasks": 3}},
        {"beta": 100.0},
    ],
)
def test_contradicting_options_are_refused(given, killed):
    (name,) = given
    with pytest.raises(UsageError, match=f"began with {name}=.*Leave {name} as it was"):
        replace(Training.read(killed), **given).train(resume=True)
    assert "model.zip" not in names(killed)


def test_a_run_may_go_on_with_more_threads(killed):
    replace(Training.read(killed), n_threads=3).check_folder(resume=True)


def test_options_that_were_left_to_their_defaults_may_be_spelled_out(killed):
    tiny(killed, learning_rate=2e-3).check_folder(resume=True)
    with pytest.raises(UsageError, match=r"began with learning_rate=0\.002"):
        tiny(killed, learning_rate=1e-3).check_folder(resume=True)


def test_a_run_of_version_0_1_goes_on(finished, killed):
    options = json.loads((killed / "train.json").read_text())
    assert options.pop("learner") == "a2c"
    (killed / "train.json").write_text(json.dumps(options | {"suite_arguments": ["n_tasks=2"]}))
    go_on(killed)
    assert_same_training(killed, finished)


def test_options_that_cannot_be_read_are_refused(killed):
    (killed / "train.json").write_text("{")
    with pytest.raises(UsageError, match=r"train\.json cannot be read"):
        Training.read(killed)


def test_a_folder_without_a_run_has_no_options(tmp_path):
    assert Training.read(tmp_path) is None


def test_gymnasium_ids(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sizes = {"n_envs_per_task": 2, "total_timesteps": 100, "log_freq": 20, "checkpoint_freq": 40}
    training = Training(envs=("CartPole-v0", "CartPole-v1"), algorithm="A3C", **sizes)
    model = DistralA2C.load(training.train())
    folder = training.folder
    assert folder.resolve() == tmp_path / "runs" / "CartPole-v0+1-A3C-seed0"
    assert model.task_names == ["CartPole-v0", "CartPole-v1"] and model.ent_coef == 0.01
    assert len(rows(folder / "progress.csv")) == 5
    (folder / "model.zip").unlink()
    assert DistralA2C.load(go_on(folder)).num_timesteps == 100


def test_default_folders():
    folder = Training(envs=("sb3_distral/GridMaze-0-v0",)).folder
    assert str(folder) == os.path.join("runs", "sb3_distral_GridMaze-0-v0-KL+ent_2col-seed0")
    folder = Training(suite="grid-tag", algorithm="A3C", learner="ppo", seed=3).folder
    assert str(folder) == os.path.join("runs", "grid-tag-A3C-ppo-seed3")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "--seed is -1, expected at least 0"),
        ({"total_timesteps": 0}, "--total-timesteps is 0, expected at least 1"),
        ({"n_threads": 0}, "--n-threads is 0, expected at least 1"),
        ({"learning_rate": 0.0}, r"--learning-rate is 0\.0, expected a number above 0"),
        ({"beta": float("nan")}, "--beta is nan, expected a number above 0"),
        ({"algorithm": "Distral"}, "There is no algorithm 'Distral'"),
        ({"learner": "sac"}, "There is no learner 'sac'"),
        ({"policy": "MlpLtsmPolicy"}, "There is no policy 'MlpLtsmPolicy'"),
        ({"algorithm": "A3C", "adaptive_costs": True}, "--algorithm A3C, which has no costs"),
        ({"held_out": {"maze_seed": 1}}, "--held-out was given without .*--eval-freq"),
        ({"held_out": {"seed": 4}, "eval_freq": 100}, "expected a natural number for one of the names"),
    ],
)
def test_wrong_options_are_refused(options, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        tiny(tmp_path / "run", **options).train()
    assert not names(tmp_path)


def train_interrupted(folder, **options):
    """Train to the end, and to the end again from the first checkpoint."""
    straight, resumed = folder / "straight", folder / "resumed"
    path = tiny(straight, **options).train()
    shutil.copytree(straight, resumed)
    (resumed / "model.zip").unlink()
    first, *others = sorted((resumed / "checkpoints").iterdir(), key=lambda path: int(path.name.split("_")[1]))
    for other in others:
        other.unlink()
    assert load_model(first).num_timesteps < load_model(path).num_timesteps
    return load_model(path), load_model(go_on(resumed))


def test_a_policy_with_memory_is_trained_resumed_and_evaluated(tmp_path):
    """The class follows the policy, when the run begins, when it goes on and when its model is evaluated."""
    model, again = train_interrupted(tmp_path, total_timesteps=800, policy="MlpLstmPolicy")
    assert type(model) is type(again) is RecurrentDistralA2C
    assert (model.n_steps, type(model.policy)) == (20, RecurrentDistralPolicy)
    assert_equal_parameters(copied_parameters(again.policy), copied_parameters(model.policy))
    assert evaluate(tmp_path / "straight", n_episodes=2).timesteps == 800


@pytest.mark.parametrize(
    ("policy", "expected"), [("MlpPolicy", DistralPPO), ("MlpLstmPolicy", RecurrentDistralPPO)], ids=["plain", "lstm"]
)
def test_ppo_is_trained_resumed_and_evaluated(policy, expected, tmp_path):
    model, again = train_interrupted(tmp_path, learner="ppo", policy=policy, algorithm="A3C_2col")
    assert type(model) is type(again) is expected
    assert (model.learning_rate, model.ent_coef, model.policy.architecture) == (3e-4, 1 / 30, "two_columns")
    assert_equal_parameters(copied_parameters(again.policy), copied_parameters(model.policy))
    assert evaluate(tmp_path / "straight", n_episodes=2).timesteps == model.num_timesteps
