import json
import shutil

import numpy as np
import pytest
from envs.messages import refuses
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import VecNormalize

from sb3_distral import DistralA2C, SharedModel, load_policy, save_policy, tasks
from sb3_distral.errors import UsageError
from sb3_distral.runs import DISTILLED_POLICY, TASK_POLICY, TaskChoice, Training, evaluate

from .tiny import tiny

TWO_ROOMS = TaskChoice(suite="two-rooms", suite_arguments={"n_tasks": 2})


@pytest.fixture
def model_file(tmp_path):
    """A model without a run."""
    model = DistralA2C(
        tasks.make("two-rooms", n_tasks=2), seed=0, alpha=0.0, beta=float("inf"), architecture="one_column"
    )
    save_policy(model, tmp_path / "rooms.zip")
    return tmp_path / "rooms.zip"


def test_returns_by_policy_and_task(finished):
    evaluation = evaluate(finished, n_episodes=2)
    assert (evaluation.path, evaluation.timesteps, evaluation.notes) == (finished / "policies.zip", 2000, ())
    assert list(evaluation.returns) == [TASK_POLICY, DISTILLED_POLICY]
    for by_task in evaluation.returns.values():
        assert {task: len(returns) for task, returns in by_task.items()} == {"maze-0": 2, "maze-1": 2}


def test_json(finished):
    evaluation = evaluate(finished, n_episodes=2)
    results = json.loads(json.dumps(evaluation.as_json()))
    assert results["tasks"] == {
        "suite": "grid-mazes",
        "suite_arguments": {"size": 13, "maze_seed": 0, "n_tasks": 2},
        "envs": [],
    }
    assert (results["timesteps"], results["n_episodes"], results["seed"]) == (2000, 2, 0)
    assert results["results"].keys() == evaluation.returns.keys()
    for policy, by_task in results["results"].items():
        for task, entry in by_task.items():
            assert entry["returns"] == evaluation.returns[policy][task]
            assert entry["mean"] == np.mean(entry["returns"]) and entry["std"] == np.std(entry["returns"])


# Action 0 stays where it is, for 0.1 in each of 100 steps; action 1 runs up, for 0.5 a step at the wall.
def test_each_column_is_of_its_own_policy(model_file):
    model = load_policy(model_file)
    model.distilled_policy.action_net.bias.data[0] = 1e4
    model.policy.task_columns.action_net.bias.data[1, 0, 1] = 1e4
    save_policy(model, model_file)
    returns = evaluate(model_file, TWO_ROOMS, deterministic=True).returns
    assert returns[DISTILLED_POLICY]["two-rooms-1"] == pytest.approx([-10.0] * 20)
    assert min(returns[TASK_POLICY]["two-rooms-1"]) < -40


def test_evaluation_repeats(finished):
    def returns(**arguments):
        return evaluate(finished, n_episodes=10, **arguments).returns

    first = returns()
    assert first == returns()
    assert first != returns(seed=5)
    assert first != returns(deterministic=True)


def test_unseen_tasks_are_for_the_distilled_policy(finished):
    unseen = TaskChoice(suite_arguments={"maze_seed": 1, "n_tasks": 3})
    evaluation = evaluate(finished, unseen, n_episodes=2)
    assert list(evaluation.returns) == [DISTILLED_POLICY]
    assert list(evaluation.returns[DISTILLED_POLICY]) == ["maze-0", "maze-1", "maze-2"]
    assert evaluation.tasks == TaskChoice(suite="grid-mazes", suite_arguments=unseen.suite_arguments)
    (note,) = evaluation.notes
    assert "π0 acts alone: each task policy belongs to a task of the training" in note


def test_tasks_of_the_training_may_be_spelled_out(finished):
    choice = TaskChoice(suite="grid-mazes", suite_arguments={"maze_seed": 0, "n_tasks": 2, "size": 13})
    assert TASK_POLICY in evaluate(finished, choice, n_episodes=2).returns


def test_an_unfinished_run_is_evaluated_at_its_newest_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr(Training, "learn", interrupted_after(Training.learn))
    with pytest.raises(KeyboardInterrupt):
        tiny(tmp_path / "run").train()
    evaluation = evaluate(tmp_path / "run", n_episodes=2)
    assert (evaluation.path.name, evaluation.timesteps) == ("policies.zip", 1600)


def interrupted_after(learn):
    def learn_and_stop(*args):
        learn(*args)
        raise KeyboardInterrupt

    return learn_and_stop


def test_a_run_of_an_earlier_version_has_to_be_trusted(finished, tmp_path):
    """It holds nothing but pickles; of an unfinished one the newest checkpoint acts that can be used."""
    folder = shutil.copytree(finished, tmp_path / "run")
    (folder / "policies.zip").unlink()
    with refuses("model.zip", "a pickle", "runs whatever code", "pass --trust", "ask for a file of save_policy"):
        evaluate(folder, n_episodes=2)
    assert evaluate(folder, n_episodes=2, trust=True).path.name == "model.zip"
    (folder / "model.zip").unlink()
    with refuses("checkpoint_1600_steps.zip", "a pickle", "pass --trust"):
        evaluate(folder, n_episodes=2)
    evaluation = evaluate(folder, n_episodes=2, trust=True)
    assert (evaluation.path.name, evaluation.timesteps) == ("checkpoint_1600_steps.zip", 1600)


@pytest.mark.parametrize("file", ["model.zip", "checkpoints/checkpoint_1200_steps.zip"])
def test_files_of_a_run_know_their_tasks(file, finished):
    with refuses(file, "a pickle", f"take {finished / 'policies.zip'}, which runs none"):
        evaluate(finished / file, n_episodes=2)
    assert list(evaluate(finished / file, n_episodes=2, trust=True).returns[TASK_POLICY]) == ["maze-0", "maze-1"]


def test_a_model_without_a_run(model_file):
    with pytest.raises(UsageError, match="Pass --suite or --envs"):
        evaluate(model_file)
    evaluation = evaluate(model_file, TWO_ROOMS, n_episodes=2)
    taken, untrained = evaluation.notes
    assert TASK_POLICY in evaluation.returns and "taken for those it was trained on" in taken
    assert "π0 was never trained" in untrained
    alone, _ = evaluate(model_file, TaskChoice(suite="two-rooms"), n_episodes=2).notes
    assert "π0 acts alone" in alone


def test_gymnasium_ids(model_file):
    returns = evaluate(model_file, TaskChoice(envs=("sb3_distral/TwoRooms-0-v0",)), n_episodes=2).returns
    assert list(returns[DISTILLED_POLICY]) == ["sb3_distral_TwoRooms-0-v0"]


def test_tasks_of_other_spaces_are_refused(finished):
    with pytest.raises(UsageError, match=r"(?s)the observation space Box.*\(60,\).*\(81,\)"):
        evaluate(finished, TaskChoice(suite="two-rooms"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"n_episodes": 0}, "--n-episodes is 0, expected at least 1"), ({"seed": -1}, "--seed is -1")],
)
def test_wrong_numbers_are_refused(arguments, message, finished):
    with pytest.raises(UsageError, match=message):
        evaluate(finished, **arguments)


def test_observations_are_normalised_as_in_the_training(tmp_path):
    """Else a model that was trained in ``VecNormalize`` is evaluated on observations that it does not know."""
    env = VecNormalize(tasks.make("two-rooms", n_tasks=2))
    env.obs_rms["obs"].mean[:], env.obs_rms["obs"].var[:] = 0.5, 0.01
    model = DistralA2C(env, seed=0)
    seen, act = [], SharedModel.predict

    def predict(self, observation, *args, **kwargs):
        seen.append(np.unique(observation["obs"]))
        return act(self, observation, *args, **kwargs)

    save_policy(model, tmp_path / "model.zip")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SharedModel, "predict", predict)
        evaluate(tmp_path / "model.zip", TWO_ROOMS, n_episodes=1)
    # One-hot and previous reward: 0 and 1 are five standard deviations from the mean.
    assert {-5.0, 5.0} <= set(np.concatenate(seen).round(2).tolist())


def test_statistics_of_each_task_are_refused(tmp_path):
    envs = {f"two-rooms-{task}": VecNormalize(make_vec_env(f"sb3_distral/TwoRooms-{task}-v0")) for task in range(2)}
    save_policy(DistralA2C(envs), tmp_path / "model.zip")
    with refuses("in a VecNormalize of its own", "Evaluate it in Python"):
        evaluate(tmp_path / "model.zip", TWO_ROOMS, n_episodes=1)
