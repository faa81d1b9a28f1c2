"""Evaluations while training: files, held-out tasks, the best model, statistics of VecNormalize."""

import json

import gymnasium as gym
import numpy as np
import pytest
from envs.messages import refuses
from integration.toys import Chooser, Recorder, Toy, same, training_state
from stable_baselines3.common.callbacks import BaseCallback, StopTrainingOnRewardThreshold
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from sb3_distral import DistralA2C, TaskEvalCallback, make_task_vec_env
from sb3_distral.errors import UsageError


class Succeeding(Chooser):
    """An episode succeeds where the action is not 0."""

    def step(self, action):
        *step, _ = super().step(action)
        return *step, {"is_success": action > 0}


def prefer(model, distilled, *tasks):
    """Make π0 and the task policies certain of one action each."""
    model.distilled_policy.action_net.bias.data[:] = 0.0
    model.distilled_policy.action_net.bias.data[distilled] = 1000.0
    biases = model.policy.task_columns.action_net.bias.data.view(len(tasks), 3)
    biases[:] = 0.0
    biases[range(len(tasks)), tasks] = 1000.0


@pytest.fixture
def decided():
    """π0 takes action 2, the task policies take 0 and 1."""
    model = DistralA2C({"a": Succeeding, "b": Succeeding}, architecture="one_column", learning_rate=0.0, device="cpu")
    prefer(model, 2, 0, 1)
    return model


class Turn(BaseCallback):
    """Let the task policies prefer other actions from step to step."""

    def __init__(self, *turns):
        super().__init__()
        self.turns = turns

    def _on_step(self):
        prefer(self.model, 2, *self.turns[min(self.n_calls, len(self.turns)) - 1])
        return True


def evaluation(path=None, n_eval_episodes=2, eval_freq=10, **arguments):
    return TaskEvalCallback({"a": Succeeding, "b": Succeeding}, n_eval_episodes, eval_freq, log_path=path, **arguments)


def read(path):
    with np.load(path / "evaluations.npz") as arrays:
        return {name: arrays[name].tolist() for name in arrays}


def test_files_are_those_of_eval_callback_for_each_task_and_the_means(decided, tmp_path):
    decided.learn(40, evaluation(tmp_path))
    assert read(tmp_path / "b") == {
        "timesteps": [20, 40],
        "results": [[1.0, 1.0]] * 2,
        "ep_lengths": [[1, 1]] * 2,
        "successes": [[True, True]] * 2,
    }
    means = {"timesteps": [20, 40], "results": [[0.0, 1.0]] * 2, "ep_lengths": [[1.0, 1.0]] * 2}
    assert read(tmp_path) == means | {"successes": [[0.0, 1.0]] * 2, "task_names": ["a", "b"]}
    assert read(tmp_path / "distilled" / "a")["results"] == [[2.0, 2.0]] * 2
    assert read(tmp_path / "distilled")["results"] == [[2.0, 2.0]] * 2
    assert not list(tmp_path.rglob("*.part")) and not (tmp_path / "held_out").exists()


def test_the_distilled_policy_alone_is_evaluated_on_held_out_tasks(decided, tmp_path):
    """Held-out tasks may be called like those of the training, and are of another number."""
    held_out = {"a": Succeeding, "c": Succeeding, "d": Succeeding}
    callback = evaluation(tmp_path / "files", held_out=held_out)
    decided.set_logger(configure(str(tmp_path), ["json"]))
    decided.learn(20, callback)
    decided.logger.close()
    log = json.loads((tmp_path / "progress.json").read_text().splitlines()[0])
    assert callback.results[0]["held_out"] == {"a": [2.0, 2.0], "c": [2.0, 2.0], "d": [2.0, 2.0]}
    assert {key: value for key, value in log.items() if key.startswith("eval_held_out")} == {
        "eval_held_out/a/distilled_mean_reward": 2.0,
        "eval_held_out/c/distilled_mean_reward": 2.0,
        "eval_held_out/d/distilled_mean_reward": 2.0,
        "eval_held_out/distilled_mean_reward": 2.0,
    }
    assert log["eval/a/mean_reward"] == 0.0
    assert read(tmp_path / "files" / "held_out" / "d")["results"] == [[2.0, 2.0]]
    assert read(tmp_path / "files" / "a")["results"] == [[0.0, 0.0]]


def test_success_is_left_out_where_a_task_does_not_say(tmp_path):
    callback = TaskEvalCallback({"quiet": Toy, "loud": Loud}, 2, 4, log_path=tmp_path)
    DistralA2C({"quiet": Toy, "loud": Loud}).learn(8, callback)
    columns = {"timesteps", "results", "ep_lengths"}
    assert (set(read(tmp_path)), set(read(tmp_path / "quiet"))) == (columns | {"task_names"}, columns)
    assert read(tmp_path / "loud")["successes"] == [[True, True]]


class Loud(Toy):
    """A toy whose every step succeeds."""

    def step(self, action):
        return *super().step(action)[:4], {"is_success": True}


def test_files_go_on_after_a_resume_and_what_comes_again_replaces_what_was(decided, tmp_path):
    decided.learn(60, evaluation(tmp_path))
    decided.num_timesteps = 40  # as from a checkpoint
    prefer(decided, 2, 1, 1)
    decided.learn(40, evaluation(tmp_path), reset_num_timesteps=False)
    assert read(tmp_path / "a")["timesteps"] == [20, 40, 60, 80]
    assert read(tmp_path / "a")["results"] == [[0.0, 0.0]] * 2 + [[1.0, 1.0]] * 2
    assert read(tmp_path)["successes"] == [[0.0, 1.0]] * 2 + [[1.0, 1.0]] * 2
    decided.learn(20, evaluation(tmp_path))
    assert read(tmp_path)["timesteps"] == [20], "a training from the beginning"


def test_going_on_with_other_numbers_of_episodes_is_refused_at_once(decided, tmp_path):
    decided.learn(20, evaluation(tmp_path))
    recorder = Recorder()
    with pytest.raises(
        UsageError, match=r"a.evaluations\.npz holds evaluations of 2 numbers each, but now there are 3"
    ):
        decided.learn(20, [evaluation(tmp_path, 3), recorder], reset_num_timesteps=False)
    assert not recorder.rewards


def test_going_on_with_other_tasks_is_refused_at_once(decided, tmp_path):
    decided.learn(20, evaluation(tmp_path))
    before = read(tmp_path)
    decided.add_tasks({"c": Succeeding}).remove_tasks(["a"])
    other = TaskEvalCallback({"b": Succeeding, "c": Succeeding}, 2, 10, log_path=tmp_path)
    with refuses("evaluations.npz", "['a', 'b']", "['b', 'c']", "another log_path"):
        decided.learn(20, other, reset_num_timesteps=False)
    assert read(tmp_path) == before


def test_files_of_earlier_versions_go_on(decided, tmp_path):
    decided.learn(20, evaluation(tmp_path))
    with np.load(tmp_path / "evaluations.npz") as arrays:
        old = {name: array for name, array in arrays.items() if name != "task_names"}
    np.savez(tmp_path / "evaluations.npz", **old)
    decided.learn(20, evaluation(tmp_path), reset_num_timesteps=False)
    assert read(tmp_path)["timesteps"] == [20, 40] and read(tmp_path)["task_names"] == ["a", "b"]


@pytest.mark.parametrize(
    ("best_by", "kept"),
    [("tasks", {"timesteps": 4, "mean_reward": 1.5}), ("distilled", {"timesteps": 2, "mean_reward": 2.0})],
)
def test_the_best_model_is_kept(best_by, kept, decided, tmp_path):
    turn = Turn((0, 1), (2, 1), (1, 1), (2, 1))
    decided.learn(10, [turn, evaluation(eval_freq=1, best_model_save_path=tmp_path, best_by=best_by)])
    assert json.loads((tmp_path / "best_model.json").read_text()) == {**kept, "best_by": best_by}
    assert DistralA2C.load(tmp_path / "best_model").num_timesteps == kept["timesteps"]


def test_a_resumed_training_does_not_forget_which_model_was_best(decided, tmp_path):
    arguments = {"eval_freq": 1, "best_model_save_path": tmp_path}
    decided.learn(10, [Turn((0, 1), (2, 2), (0, 0)), evaluation(**arguments)])
    decided.learn(10, [Turn((1, 1)), evaluation(**arguments)], reset_num_timesteps=False)
    assert DistralA2C.load(tmp_path / "best_model").num_timesteps == 4
    # Means of another kind are not compared.
    decided.learn(10, [Turn((1, 1)), evaluation(**arguments, best_by="distilled")], reset_num_timesteps=False)
    assert DistralA2C.load(tmp_path / "best_model").num_timesteps == 22
    decided.learn(10, [Turn((0, 0)), evaluation(**arguments)])
    assert DistralA2C.load(tmp_path / "best_model").num_timesteps == 2, "a training from the beginning"


def test_callbacks_of_eval_callback(decided):
    recorder = Recorder()
    stop = StopTrainingOnRewardThreshold(1.5)
    callback = evaluation(eval_freq=1, callback_on_new_best=stop, callback_after_eval=recorder)
    decided.learn(100, [Turn((0, 0), (1, 1), (0, 1), (2, 2), (0, 0)), callback])
    assert decided.num_timesteps == 8, "stopped at the first mean above the threshold"
    assert len(recorder.rewards) == 3, "after every evaluation but the one that stopped the training"
    assert (callback.best_mean_reward, callback.last_mean_reward) == (2.0, 2.0)


def test_a_callback_after_an_evaluation_can_stop_the_training(decided):
    class Stop(BaseCallback):
        def _on_step(self):
            return False

    decided.learn(100, evaluation(eval_freq=3, callback_after_eval=Stop()))
    assert decided.num_timesteps == 6


def test_progress_is_printed_if_asked_for(decided, capsys):
    decided.learn(20, evaluation(verbose=1))
    assert "Eval num_timesteps=20, mean reward of tasks: 0.50, distilled: 2.00" in capsys.readouterr().out
    decided.learn(20, evaluation())
    assert capsys.readouterr().out == ""


def test_names_of_tasks_are_safe_as_names_of_folders(tmp_path):
    names = ["distilled", "sb3:Maze v0", "sb3_Maze_v0", "a..b", "A", "a"]
    tasks = dict.fromkeys(names, Succeeding)
    model = DistralA2C(tasks, architecture="one_column", learning_rate=0.0, device="cpu")
    prefer(model, 2, 0, 1, 2, 0, 1, 2)
    model.learn(60, TaskEvalCallback(tasks, 1, 10, log_path=tmp_path / "log"))
    folders = ["distilled_", "sb3_Maze_v0", "sb3_Maze_v0_", "a..b", "A", "a_"]
    assert sorted(path.name for path in (tmp_path / "log").iterdir() if path.is_dir()) == sorted(
        ["distilled", *folders]
    )
    assert [read(tmp_path / "log" / folder)["results"] for folder in folders] == [[[own]] for own in (0, 1, 2, 0, 1, 2)]


def test_unknown_measures_of_the_best_are_refused():
    for arguments in ({"best_by": "held_out"}, {"best_by": "median"}):
        with pytest.raises(UsageError, match=r"expected one of \['tasks', 'distilled'\]"):
            evaluation(**arguments)


class Global(Toy):
    """Rewards drawn from numpy's global generator."""

    def step(self, action):
        observation, _, *rest = super().step(action)
        return observation, float(np.random.normal()), *rest


def test_a_training_is_the_same_with_all_of_it_and_without(tmp_path):
    def trained(**arguments):
        model = DistralA2C([Global, Global], seed=0, device="cpu")
        return training_state(model.learn(200, **arguments))

    tasks = [Global, Global]
    arguments = {"held_out": tasks, "log_path": tmp_path, "best_model_save_path": tmp_path}
    callback = TaskEvalCallback(tasks, 2, 10, **arguments)
    assert same(trained(), trained(callback=callback)) and len(callback.results) == 10


# VecNormalize


def shifted(mean):
    """A task whose observations are around a number of its own."""

    class Shifted(Toy):
        def draw(self, space):
            return (mean + self.np_random.normal(size=3)).astype(np.float32)

    return lambda: Shifted(observation_space=gym.spaces.Box(-1e4, 1e4, (3,), np.float32))


def normalized(means, training):
    """A VecNormalize for each task."""
    return {
        f"around {mean}": VecNormalize(DummyVecEnv([shifted(mean)]), training=training, norm_reward=training)
        for mean in means
    }


def test_statistics_of_each_task_reach_the_task_of_its_name():
    training, evaluated = normalized((1000, -500), True), normalized((-500, 1000), False)
    DistralA2C(training).learn(100, TaskEvalCallback(evaluated, 1, 50))
    for name, env in evaluated.items():
        np.testing.assert_array_equal(env.obs_rms.mean, training[name].obs_rms.mean)
        assert env.obs_rms.mean.mean() == pytest.approx(float(name.split()[1]), rel=0.2)


def test_held_out_tasks_get_what_the_tasks_of_the_training_know_together():
    training, held_out = normalized((1000, -500), True), normalized((1000,), False)
    callback = TaskEvalCallback(normalized((1000, -500), False), 1, 50, held_out=held_out)
    DistralA2C(training).learn(100, callback)
    means = [layer.obs_rms.mean for layer in training.values()]
    np.testing.assert_allclose(held_out["around 1000"].obs_rms.mean, np.mean(means, axis=0), rtol=1e-2)


def test_statistics_of_all_tasks_reach_held_out_ones():
    def around(means, training):
        env = make_task_vec_env([shifted(mean) for mean in means])
        return VecNormalize(env, training=training, norm_obs_keys=["obs"])

    training, held_out = around((1000, 1000), True), around((900,), False)
    DistralA2C(training).learn(100, TaskEvalCallback(around((1000, 1000), False), 1, 50, held_out=held_out))
    np.testing.assert_array_equal(held_out.obs_rms["obs"].mean, training.obs_rms["obs"].mean)


@pytest.mark.parametrize("kind", ["around all", "for each task"])
def test_evaluations_that_are_not_normalised_as_the_training_are_refused_at_once(kind):
    names = ["around 5", "around 7"]
    plain = {name: shifted(float(name.split()[1])) for name in names}
    whole = VecNormalize(make_task_vec_env(plain), norm_obs_keys=["obs"])
    model = DistralA2C(whole if kind == "around all" else normalized((5, 7), True))
    recorder = Recorder()
    with pytest.raises(UsageError, match="Wrap them in the same way"):
        model.learn(100, [TaskEvalCallback(plain, 1, 50), recorder])
    assert not recorder.rewards


class Wide(Succeeding):
    """The same with a longer observation."""

    observation_space = gym.spaces.Box(0.0, 1.0, (4,), np.float32)


@pytest.mark.parametrize("argument", ["eval_env", "held_out"])
def test_tasks_with_other_observations_are_refused_at_once(argument, decided):
    tasks = {"eval_env": [Succeeding], "held_out": [Succeeding]} | {argument: [Wide]}
    with pytest.raises(UsageError, match=rf"\(4,\), float32\) as {argument}; expected those of the training, .*\(3,\)"):
        decided.learn(10, callback=TaskEvalCallback(tasks["eval_env"], held_out=tasks["held_out"]))
    assert decided.num_timesteps == 0


@pytest.mark.parametrize("content", [b"", b"text", b"[]", b'{"mean_reward": "much", "best_by": "tasks"}', b"[" * 10**5])
def test_damaged_files_of_earlier_evaluations_are_named_at_once(content, decided, tmp_path):
    decided.learn(20, evaluation(tmp_path, best_model_save_path=tmp_path))
    for name in ("best_model.json", "a/evaluations.npz"):
        good = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content)
        with refuses(name, "cannot be read", "Put it back from a copy") as error:
            decided.learn(20, evaluation(tmp_path, best_model_save_path=tmp_path), reset_num_timesteps=False)
        assert f"{error.value}".isprintable()
        (tmp_path / name).write_bytes(good)
