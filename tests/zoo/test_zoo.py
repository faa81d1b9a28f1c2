"""The commands of the RL Zoo, run as its users run them."""

import subprocess
import sys
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.monitor import load_results
from stable_baselines3.common.vec_env import VecNormalize

from sb3_distral import DistralA2C, tasks
from sb3_distral.errors import UsageError

pytest.importorskip("rl_zoo3", reason="the RL Zoo is not installed")
yaml = pytest.importorskip("yaml")
zoo = pytest.importorskip("sb3_distral.zoo.commands")
task_sets = pytest.importorskip("sb3_distral.zoo.task_sets")

TINY = ["-params", "n_envs:4", "--env-kwargs", "n_tasks:2", "-n", "80", "--seed", "1", "--device", "cpu"]
EVALUATED = ["--eval-freq", "40", "--eval-episodes", "2"]


@pytest.fixture(autouse=True)
def registered():
    """Ids of suites are those of the zoo's processes alone."""
    task_sets.register()
    yield
    for suite in tasks.SUITES:
        del gym.registry[suite]


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Run a command with its log folder, and return what it prints."""

    def call(command, *words, algo="distral_a2c", env="grid-mazes"):
        words = ["--algo", algo, "--env", env, "-f", str(tmp_path), *words]
        monkeypatch.setattr(sys, "argv", ["zoo", command, *words])
        zoo.main()
        return capsys.readouterr().out

    return call


def test_a_suite_is_trained_evaluated_saved_and_enjoyed(run, tmp_path):
    run("train", *TINY, *EVALUATED)
    folder = tmp_path / "distral_a2c" / "grid-mazes_1"
    model = DistralA2C.load(folder / "grid-mazes.zip", device="cpu")
    assert model.n_tasks == 2 and model.num_timesteps == 80 and model.n_envs == 4
    assert {file.name for file in folder.iterdir()} >= {"best_model.zip", "evaluations.npz", "0.monitor.csv"}
    assert np.load(folder / "evaluations.npz")["results"].shape == (2, 2)  # evaluations, episodes: one of each task
    printed = run("enjoy", "--env-kwargs", "task:1", "--no-render", "-n", "400")
    assert "2 Episodes" in printed and "Mean episode length: 200.00" in printed


def test_episodes_of_all_tasks_are_what_the_zoo_draws(run, tmp_path):
    run("train", "-params", "n_envs:2", "--env-kwargs", "n_tasks:2", "-n", "800", "--eval-freq", "-1")
    assert load_results(str(tmp_path / "distral_a2c" / "grid-mazes_1"))["l"].tolist() == [200] * 4


def test_enjoy_acts_with_the_policy_of_the_task_and_with_the_statistics_of_the_training(run, tmp_path, monkeypatch):
    # gymnasium's pendulum has observations that a normalisation changes.
    run(
        "train",
        *TINY,
        "-params",
        "n_envs:2",
        "n_steps:8",
        "batch_size:8",
        "normalize:True",
        algo="distral_ppo",
        env="pendulums",
    )
    seen = []
    predict = zoo.DistralPPO.predict
    monkeypatch.setattr(
        zoo.DistralPPO, "predict", lambda model, obs, **kwargs: seen.append(obs) or predict(model, obs, **kwargs)
    )
    run("enjoy", "--env-kwargs", "task:1", "n_tasks:2", "--no-render", "-n", "3", algo="distral_ppo", env="pendulums")
    file = tmp_path / "distral_ppo" / "pendulums_1" / "pendulums" / "vecnormalize.pkl"
    task = tasks.make("pendulums", n_tasks=2)
    statistics = VecNormalize.load(str(file), task)
    assert [int(obs["task"][0]) for obs in seen] == [1, 1, 1]
    assert statistics.obs_rms["obs"].count > 50
    speeds = [obs["obs"][0, 2] for obs in seen]
    plain = statistics.unnormalize_obs({"obs": np.array([obs["obs"][0] for obs in seen]), "task": np.ones(3)})["obs"]
    assert not np.allclose(speeds, plain[:, 2]) and np.allclose(np.linalg.norm(plain[:, :2], axis=1), 1, atol=1e-4)


def test_training_goes_on_with_a_saved_agent(run, tmp_path):
    run("train", *TINY)
    run("train", *TINY, "-i", str(tmp_path / "distral_a2c" / "grid-mazes_1" / "grid-mazes.zip"))
    assert (tmp_path / "distral_a2c" / "grid-mazes_2" / "grid-mazes.zip").is_file()


@pytest.mark.parametrize("algo", ["distral_a2c", "recurrent_distral_ppo"])
def test_hyperparameters_are_searched_without_the_entropy_bonus(run, tmp_path, algo):
    storage = f"sqlite:///{tmp_path}/study.db"
    search = ("-optimize", "--n-trials", "1", "--n-evaluations", "1", "--eval-episodes", "2", "--no-optim-plots")
    study = ("--storage", storage, "--study-name", "costs")
    printed = run("train", *TINY, *search, *study, algo=algo)
    assert "total_cost: " in printed and "alpha: " in printed and "ent_coef" not in printed
    (report,) = (tmp_path / algo).glob("report_*.csv")
    assert "COMPLETE" in report.read_text()
    # What was found is trained anew.
    run("train", *TINY, *study, "--trial-id", "0", algo=algo)
    assert (tmp_path / algo / "grid-mazes_2" / "grid-mazes.zip").is_file()


@pytest.mark.parametrize("suite", [name for name in tasks.SUITES if tasks.SUITES[name].is_array_program])
@pytest.mark.parametrize("algo", list(zoo.LEARNERS))
def test_every_algorithm_has_hyperparameters_for_every_suite(algo, suite):
    hyperparameters = yaml.safe_load((zoo.HYPERPARAMS / f"{algo}.yml").read_text())
    own = hyperparameters.get(suite, hyperparameters["default"])
    own = {name: value for name, value in own.items() if name not in ("n_timesteps", "n_envs", "learning_rate")}
    model = zoo.LEARNERS[algo][0](env=tasks.make(suite, n_envs_per_task=8), device="cpu", **own)
    assert model.n_tasks == tasks.SUITES[suite].n_tasks


def test_a_single_task_is_one_of_gymnasium():
    env = gym.make("grid-mazes", task=1)
    observation, _ = env.reset(seed=0)
    assert observation["task"] == 1 and env.observation_space.contains(observation)
    alone = gym.make("sb3_distral/GridMaze-1-v0")
    assert (observation["obs"] == alone.reset(seed=0)[0]).all()


def test_sub_environments_that_cannot_be_dealt_are_refused():
    with pytest.raises(UsageError, match=r"12 environments were asked for.*8 tasks.*n_envs:64"):
        task_sets.make_all_tasks([None] * 12, "grid-mazes")


def test_a_task_that_is_not_there_is_refused():
    with pytest.raises(UsageError, match=r"task=8 was given.*0 to 7"):
        gym.make("grid-mazes", task=8)


def test_mistakes_of_the_user_end_without_a_traceback(monkeypatch, tmp_path, capsys):
    words = ["--algo", "distral_a2c", "--env", "grid-mazes", "-f", str(tmp_path), "-params", "n_envs:3", "-n", "10"]
    monkeypatch.setattr(sys, "argv", ["zoo", "train", *words])
    with pytest.raises(SystemExit) as stop:
        zoo.main()
    assert stop.value.code == 2 and "3 environments were asked for" in capsys.readouterr().err


def test_the_command_and_a_single_environment(tmp_path):
    what = ("--algo", "distral_a2c", "--env", "CartPole-v1", "-n", "64", "--eval-freq", "-1", "-params", "n_envs:2")
    command = [sys.executable, "-m", "sb3_distral.zoo", "train", *what, "-f", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    assert Path(tmp_path, "distral_a2c", "CartPole-v1_1", "CartPole-v1.zip").is_file()
