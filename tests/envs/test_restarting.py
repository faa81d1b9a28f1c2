"""Processes that are started again."""

import multiprocessing
import os
import signal
import time
from functools import partial

import numpy as np
import pytest
import torch as th
from integration.toys import DICT_SPACE, assert_equal
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv

from sb3_distral import DistralA2C, RemoteVecEnv, make_task_vec_env
from sb3_distral.envs.link import WorkerError

from .test_remote_vec_env import is_done
from .test_workers import Mortal


def make(max_restarts=1, **arguments):
    mortal = partial(Mortal, reward=None, length=50, **arguments)
    kwargs = {"max_restarts": max_restarts}
    return make_task_vec_env({"a": mortal, "b": mortal}, 2, seed=3, vec_env_cls=RemoteVecEnv, vec_env_kwargs=kwargs)


@pytest.fixture
def made():
    env = make()
    yield env
    env.close()


def kill(env, signal_=signal.SIGKILL):
    os.kill(env.get_attr("pid")[-1], signal_)


def row(observations, index):
    return {key: own[index] for key, own in observations.items()}


def test_the_episodes_of_the_task_are_cut_where_they_were_and_the_others_go_on(made):
    env, undisturbed = made, make()
    for venv in (env, undisturbed):
        venv.reset()
    last, pid = env.step(np.zeros(4, dtype=int))[0], env.get_attr("pid")[-1]
    undisturbed.step(np.zeros(4, dtype=int))
    kill(env)
    with pytest.warns(UserWarning, match=r"of task 'b' has ended .* It is started again, the 1\. of at most 1 times"):
        observations, rewards, dones, infos = env.step(np.zeros(4, dtype=int))
    assert dones.tolist() == [False, False, True, True] and rewards[2:].tolist() == [0.0, 0.0]
    for index in (2, 3):
        assert infos[index]["TimeLimit.truncated"]
        assert_equal(
            {key: np.asarray(own) for key, own in infos[index]["terminal_observation"].items()}, row(last, index)
        )
        assert not np.array_equal(observations["obs"][index], last["obs"][index])
    expected = undisturbed.step(np.zeros(4, dtype=int))
    assert_equal(observations["obs"][:2], expected[0]["obs"][:2])
    assert rewards[:2].tolist() == expected[1][:2].tolist()
    assert env.get_attr("pid")[-1] != pid and is_done(pid)
    assert env.step(np.zeros(4, dtype=int))[2].tolist() == [False] * 4
    undisturbed.close()


def test_observations_under_keys_are_cut_too():
    env = make(observation_space=DICT_SPACE)
    last = env.reset()
    kill(env)
    with pytest.warns(UserWarning, match="started again"):
        infos = env.step(np.zeros(4, dtype=int))[3]
    for key in DICT_SPACE.spaces:
        assert np.array_equal(infos[3]["terminal_observation"][key], last[key][3])
    env.close()


def test_the_new_process_is_seeded_and_does_not_play_the_same_episodes_again():
    first, seen = None, []
    for _ in range(2):
        env = make()
        first = env.reset()["obs"]
        kill(env)
        with pytest.warns(UserWarning, match="started again"):
            seen.append(env.reset()["obs"])
        env.close()
    assert np.array_equal(*seen)
    assert not np.isclose(seen[0][2:], first[2:]).any()


def test_a_process_that_hangs_is_started_again_too(made):
    made.set_timeouts(step=0.5)
    made.reset()
    kill(made, signal.SIGSTOP)
    with pytest.warns(UserWarning, match=r"of task 'b' has not answered for 0\.5 s .* started again"):
        assert made.step(np.zeros(4, dtype=int))[2].tolist() == [False, False, True, True]
    made.step(np.zeros(4, dtype=int))


class Slow(Mortal):
    """An environment that takes longer to be made than it may to answer."""

    def __init__(self, **arguments):
        time.sleep(1.5)
        super().__init__(**arguments)


def test_a_process_may_take_longer_to_start_than_to_answer():
    slow = partial(Slow, reward=None, length=50)
    kwargs = {"max_restarts": 1}
    env = make_task_vec_env({"a": slow}, vec_env_cls=RemoteVecEnv, vec_env_kwargs=kwargs, step_timeout=1)
    env.reset()
    kill(env)
    with pytest.warns(UserWarning, match=r"the 1\. of at most 1 times"):
        assert env.step(np.zeros(1, dtype=int))[2].tolist() == [True]
    env.close()


def test_the_last_restart_is_the_last():
    env = make(max_restarts=2)
    env.reset()
    for _ in range(2):
        kill(env)
        with pytest.warns(UserWarning, match="started again"):
            env.step(np.zeros(4, dtype=int))
    kill(env)
    with pytest.raises(WorkerError, match="of task 'b' has ended"):
        env.step(np.zeros(4, dtype=int))
    assert not any(process.is_alive() for process in multiprocessing.active_children())


def test_an_environment_whose_processes_die_at_once_ends_too(tmp_path):
    """The first lives; those that are started after it do not."""

    def make_first():
        if (tmp_path / "made").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        (tmp_path / "made").touch()
        return DummyVecEnv([Mortal])

    env = make_task_vec_env({"a": RemoteVecEnv(make_first, max_restarts=2)})
    env.reset()
    kill(env)
    with pytest.warns(UserWarning, match="started again") as warned, pytest.raises(WorkerError, match="exit code -9"):
        env.step(np.zeros(1, dtype=int))
    assert len([own for own in warned if "started again" in str(own.message)]) == 2


class KillAtThirdStep(BaseCallback):
    """And remember what was observed then."""

    def _on_step(self):
        if self.n_calls == 3:
            self.last = {key: np.array(own) for key, own in self.locals["new_obs"].items()}
            kill(self.training_env)
        return True


def test_the_value_of_the_last_observation_stands_for_what_would_have_come(made):
    model = DistralA2C(made, alpha=0.0, beta=float("inf"), n_steps=5, learning_rate=0.0, gamma=0.9, seed=0)
    callback = KillAtThirdStep()
    with pytest.warns(UserWarning, match="started again"):
        model.learn(20, callback=callback)
    with th.no_grad():
        values = model.policy.predict_values(model.policy.obs_to_tensor(callback.last)[0]).numpy().flatten()
    assert model.rollout_buffer.rewards[3, 2:] == pytest.approx(0.9 * values[2:], rel=1e-5)


def test_restarts_are_counted_in_the_log(made):
    model = DistralA2C(made, n_steps=5, seed=0)
    with pytest.warns(UserWarning, match="started again"):
        model.learn(20, callback=KillAtThirdStep(), log_interval=100)
    model.logger.name_to_value.clear()
    model.logger.dump = lambda step=0: None
    model.dump_logs()
    logged = {key: own for key, own in model.logger.name_to_value.items() if key.endswith("restarts")}
    assert logged == {"rollout/a/restarts": 0, "rollout/b/restarts": 1}
