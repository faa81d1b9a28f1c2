"""Where an environment was, and what comes back of it."""

import pickle
import warnings
from functools import partial

import numpy as np
import pytest
from integration.toys import Toy, assert_equal
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    VecEnvWrapper,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
    VecTransposeImage,
)

import sb3_distral.tasks
from sb3_distral import DistralA2C, RemoteVecEnv, make_task_vec_env
from sb3_distral.algorithms.checkpoint import env_state, set_env_state
from sb3_distral.tasks.adapters import BatchedVecEnv
from sb3_distral.tasks.grids.mazes import GridMazes


class Plain(VecEnvWrapper):
    """A user's own wrapper that tells nothing of its place."""

    def reset(self):
        return self.venv.reset()

    def step_wait(self):
        return self.venv.step_wait()


class Counter(Plain):
    """A user's own wrapper that tells its place."""

    count = 0

    def step_wait(self):
        self.count += 1
        observations, rewards, dones, infos = self.venv.step_wait()
        return observations, rewards + self.count, dones, infos

    def get_state(self):
        return self.count

    def set_state(self, state):
        self.count = state


def mazes(seed=0):
    return BatchedVecEnv(GridMazes([seed, seed]))


def parts(wrap=lambda venv: venv):
    return make_task_vec_env({name: wrap(mazes(i)) for i, name in enumerate(("a", "b"))})


def remote_parts():
    return make_task_vec_env({"a": RemoteVecEnv(mazes), "b": RemoteVecEnv(partial(mazes, 1))})


def normalized(venv):
    keys = ["obs"] if hasattr(venv, "task_names") else None
    return VecNormalize(venv, norm_obs_keys=keys)


STACKS = {
    "suite": lambda: sb3_distral.tasks.make("grid-mazes", 2, n_tasks=2),
    "monitored twice": lambda: VecMonitor(sb3_distral.tasks.make("grid-mazes", 2, n_tasks=2)),
    "normalized": lambda: normalized(sb3_distral.tasks.make("grid-mazes", 2, n_tasks=2)),
    "stacked": lambda: VecFrameStack(sb3_distral.tasks.make("grid-mazes", 2, n_tasks=2), 3),
    "own wrapper": lambda: Counter(sb3_distral.tasks.make("grid-mazes", 2, n_tasks=2)),
    "subclass": lambda: type("Own", (VecMonitor,), {})(sb3_distral.tasks.make("grid-mazes", 2, n_tasks=2)),
    "side by side": parts,
    "wrapped side by side": lambda: parts(lambda venv: VecFrameStack(normalized(VecMonitor(venv)), 2)),
    "remote": remote_parts,
}


def play(venv, n_steps):
    """Steps, but for the seconds that episodes took."""
    steps = []
    for step in range(n_steps):
        *values, infos = venv.step(np.full(venv.num_envs, step % 4))
        for info in infos:
            info.get("episode", {}).pop("t", None)
        steps.append((*values, infos))
    return steps


def began(venv, seed=0):
    venv.seed(seed)
    venv.reset()
    play(venv, 7)
    return venv


@pytest.fixture(autouse=True)
def no_silence():
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "The environment is reset")
        warnings.filterwarnings("ignore", "The environment is already wrapped")
        yield


@pytest.mark.parametrize("stack", STACKS)
def test_an_environment_goes_on_where_it_was(stack):
    first, second = STACKS[stack](), STACKS[stack]()
    state = pickle.loads(pickle.dumps(env_state(began(first))))
    second.reset()
    assert set_env_state(second, state)
    assert_equal(play(first, 250), play(second, 250))
    first.close()
    second.close()


def test_a_state_is_a_copy():
    venv = began(STACKS["wrapped side by side"]())
    state = env_state(venv)
    before = pickle.dumps(state)
    play(venv, 20)
    assert pickle.dumps(state) == before


def test_images_channels_first_have_no_state_of_their_own():
    space = sb3_distral.tasks.make("grid-mazes", n_tasks=1)
    assert env_state(VecTransposeImage(space, skip=True))["layers"][0] == ("VecTransposeImage", {})


# What cannot be put back


def statistics(venv):
    return venv.obs_rms["obs"].mean.tolist(), float(venv.ret_rms.var)


def test_a_layer_without_state_is_named_once_and_statistics_survive():
    def make():
        return VecMonitor(normalized(Plain(make_task_vec_env([partial(Toy, reward=None)] * 2))))

    first, second = began(make()), make()
    state = env_state(first)
    with pytest.warns(UserWarning, match="The environment is reset") as warned:
        assert not set_env_state(second, state)
    told = [str(warning.message) for warning in warned]
    assert len(told) == 1
    assert "Plain has no get_state and set_state" in told[0] and "DummyVecEnv has no get_state" in told[0]
    assert statistics(second.venv) == statistics(first.venv)
    assert not second.episode_lengths.any() and first.episode_lengths.any()
    assert not second.venv.returns.any()


def test_statistics_of_parts_survive_too():
    def make():
        return make_task_vec_env([VecNormalize(DummyVecEnv([partial(Toy, reward=None)])) for _ in range(2)])

    first, second = began(make()), make()
    with pytest.warns(UserWarning, match="ConcatVecEnv: DummyVecEnv has no get_state") as warned:
        assert not set_env_state(second, env_state(first))
    assert len(warned) == 1 and str(warned[0].message).count("DummyVecEnv") == 1
    for old, new in zip(first.unwrapped.venvs, second.unwrapped.venvs, strict=True):
        assert np.array_equal(old.obs_rms.mean, new.obs_rms.mean) and old.ret_rms.var == new.ret_rms.var


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: normalized(sb3_distral.tasks.make("grid-mazes", 3, n_tasks=2)), "were 4 sub-environments and are 6"),
        (lambda: normalized(sb3_distral.tasks.make("grid-mazes", 2, n_tasks=2, maze_seed=9)), "one of other tasks"),
        (lambda: VecMonitor(STACKS["normalized"]()), "the layers were .*'VecNormalize'.* and are .*'VecMonitor'"),
    ],
    ids=["number", "tasks", "layers"],
)
def test_another_environment_starts_anew_with_the_statistics(other, message):
    first, second = began(STACKS["normalized"]()), other()
    with pytest.warns(UserWarning, match=message):
        assert not set_env_state(second, env_state(first))
    inner = second if isinstance(second, VecNormalize) else second.venv
    assert statistics(inner) == statistics(first)
    second.reset()
    play(second, 3)


def test_another_number_of_parts_starts_anew():
    with pytest.warns(UserWarning, match="2 environments side by side, not of 1"):
        assert not set_env_state(make_task_vec_env({"a": mazes()}), env_state(began(parts())))


def test_a_remote_environment_without_state_says_so():
    venv = make_task_vec_env([Toy], vec_env_cls=RemoteVecEnv)
    venv.reset()
    with pytest.warns(UserWarning, match="RemoteVecEnv: DummyVecEnv has no get_state"):
        assert not set_env_state(venv, env_state(venv))
    venv.close()


# Models


def test_a_training_under_a_users_wrapper_goes_on_bit_for_bit(tmp_path):
    def env():
        return VecFrameStack(Counter(sb3_distral.tasks.make("two-rooms", 2, n_tasks=2, seed=0)), 2)

    whole = DistralA2C(env(), seed=1).learn(400)
    DistralA2C(env(), seed=1).learn(200).save(tmp_path / "model")
    after = DistralA2C.load(tmp_path / "model", env=env()).learn(200, reset_num_timesteps=False)
    assert_equal(after.get_parameters(), whole.get_parameters())


def test_states_of_version_0_1_0_are_read():
    """A list: class and state of the outer layers, then the state of the innermost."""
    first, second = began(STACKS["normalized"]()), STACKS["normalized"]()
    normalize, monitor = first, first.venv.venv
    names = ("obs_rms", "ret_rms", "returns", "old_obs", "old_reward")
    old = [
        ("VecNormalize", {name: getattr(normalize, name) for name in names}),
        ("TaskVecEnv", {}),
        ("VecMonitor", {n: getattr(monitor, n) for n in ("episode_returns", "episode_lengths", "episode_count")}),
        first.unwrapped.get_state(),
    ]
    state = pickle.loads(pickle.dumps(old))
    second.reset()
    assert set_env_state(second, state)
    assert_equal(play(first, 250), play(second, 250))
