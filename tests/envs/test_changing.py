"""Tasks that join environments which run already, or leave them: the others notice nothing."""

import numpy as np
import pytest
from gymnasium import spaces
from helpers import SpaceEnv, table_task
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    SubprocVecEnv,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
    VecTransposeImage,
)

from sb3_distral import TaskVecEnv, join_tasks, make_task_vec_env, select_tasks, tasks
from sb3_distral.envs.changing import change, first_observations, with_actions
from sb3_distral.errors import UsageError

SUITES = ["grid-mazes", "grid-navigation", "grid-tag", "two-rooms", "pendulums"]


def suite(name="grid-mazes", n_tasks=3, **arguments):
    return tasks.make(name, 2, n_tasks=n_tasks, seed=0, **arguments)


def parts(wrap=lambda venv: venv, names="abc"):
    venvs = [wrap(DummyVecEnv([table_task(place, time_limit=6)] * 2)) for place, _ in enumerate(names)]
    env = make_task_vec_env(dict(zip(names, venvs, strict=True)))
    env.seed(0)
    return env


def normalized(venv):
    return VecNormalize(venv, norm_obs_keys=["obs"] if isinstance(venv, TaskVecEnv) else None)


STACKS = {
    **{name: lambda name=name: suite(name) for name in SUITES},
    "ids": lambda: make_task_vec_env([f"sb3_distral/GridMaze-{task}-v0" for task in range(3)], 2, seed=0),
    "parts": parts,
    "monitored parts": lambda: parts(VecMonitor),
    "normalized parts": lambda: parts(normalized),
    "monitored": lambda: VecMonitor(parts()),
}


def play(env, actions, rows=slice(None)):
    """What the rows see in steps, without the seconds that episodes take."""
    seen = []
    for step in actions:
        observations, rewards, dones, infos = env.step(step[rows])
        plain = {key: own for key, own in observations.items() if key != "task"}
        returns = [info.get("episode", {}).get("r") for info in infos]
        seen.append((plain, rewards, dones, returns))
    return seen


def assert_same(first, second, rows):
    for (plain, *numbers, returns), (other_plain, *others, other_returns) in zip(first, second, strict=True):
        for key in plain:
            assert np.array_equal(plain[key][rows], other_plain[key])
        for own, other in zip(numbers, others, strict=True):
            assert np.array_equal(own[rows], other)
        assert [returns[row] for row in rows] == other_returns


@pytest.mark.parametrize("stack", STACKS)
def test_tasks_that_stay_go_on_where_they_were(stack):
    whole, env = STACKS[stack](), STACKS[stack]()
    whole.action_space.seed(0)
    actions = np.array([[whole.action_space.sample() for _ in range(6)] for _ in range(260)])
    for each in (whole, env):
        each.reset()
        play(each, actions[:7])
    names = list(env.task_names)
    changed = change(env, [names[2], names[0]])
    assert changed.rows.tolist() == [0, 1, 4, 5]
    assert changed.env.task_names == [names[0], names[2]] and changed.env.tasks.tolist() == [0, 0, 1, 1]
    first, second = play(whole, actions[7:]), play(changed.env, actions[7:], changed.rows)
    assert_same(first, second, changed.rows)


def test_seeds_of_a_reset_to_come_stay():
    def first(env):
        env.seed(3)
        return select_tasks(env, [env.task_names[1]]).reset()["obs"]

    for make in (lambda: parts(names="ab"), lambda: make_task_vec_env([table_task(0)] * 3, 2), suite):
        assert np.array_equal(first(make()), first(make()))


def test_environments_of_tasks_that_leave_are_closed():
    closed = []

    class Closing(SpaceEnv):
        def __init__(self, task):
            super().__init__(spaces.Box(-1.0, 1.0, (2,)))
            self.task = task

        def close(self):
            closed.append(self.task)

    env = select_tasks(make_task_vec_env([lambda task=task: Closing(task) for task in range(3)], 2), ["task-1"])
    assert closed == [0, 0, 2, 2]
    assert env.reset()["task"].tolist() == [0, 0]


def test_tasks_that_join_are_behind_the_others():
    first, second = suite(n_tasks=2), make_task_vec_env({"new": "sb3_distral/GridMaze-5-v0"}, 3)
    env = join_tasks(first, second)
    assert env.task_names == ["maze-0", "maze-1", "new"] and env.tasks.tolist() == [0, 0, 1, 1, 2, 2, 2]
    assert env.observation_space["task"].n == 3
    assert env.reset()["obs"].shape[0] == 7


def test_parts_are_the_same_whatever_joined_first():
    """So that a place that was saved can be found again."""
    env = join_tasks(join_tasks(suite(n_tasks=1), parts_of_mazes("b")), parts_of_mazes("c"))
    other = join_tasks(suite(n_tasks=1), join_tasks(parts_of_mazes("b"), parts_of_mazes("c")))
    kinds = [[type(part).__name__ for part in each.venv.venvs] for each in (env, other)]
    assert kinds[0] == kinds[1] == ["VecMonitor", "DummyVecEnv", "DummyVecEnv"]


def parts_of_mazes(name):
    return make_task_vec_env({name: "sb3_distral/GridMaze-3-v0"})


@pytest.mark.parametrize("wrap", [lambda venv: venv, normalized, VecMonitor], ids=["bare", "normalized", "monitored"])
def test_the_first_observations_after_a_change(wrap):
    env, new = wrap(parts()), parts(names="d")
    last = env.reset()
    for _ in range(4):
        last, *_ = env.step(np.zeros(6, dtype=int))
    changed = change(env, ["a", "c"], new)
    observations = first_observations(changed, new, last)
    assert observations["task"].tolist() == [0, 0, 1, 1, 2, 2]
    assert np.array_equal(observations["obs"][:4], last["obs"][[0, 1, 4, 5]])
    begun = np.array([np.eye(4, dtype=np.float32)[inner.unwrapped.state] for inner in new.venv.venvs[0].envs])
    assert (new.venv.venvs[0].envs[0].unwrapped.n_steps, changed.env.num_envs) == (0, 6)
    expected = begun if wrap is not normalized else changed.env.normalize_obs({"obs": begun})["obs"]
    assert observations["obs"][4:] == pytest.approx(expected)


def test_statistics_of_normalisation_go_on():
    env = normalized(parts())
    env.reset()
    for _ in range(3):
        env.step(np.zeros(6, dtype=int))
    new = parts(names="d")
    changed = change(env, ["b"], new).env
    new.reset()
    assert isinstance(changed, VecNormalize) and changed.obs_rms is env.obs_rms and changed.ret_rms is env.ret_rms
    assert changed.returns.tolist() == [*env.returns[2:4], 0.0, 0.0]
    assert changed.observation_space["task"].n == 2
    observations, rewards, *_ = changed.step(np.zeros(4, dtype=int))
    assert len(observations["obs"]) == len(rewards) == 4


def test_images_stay_channel_first():
    class Picture(SpaceEnv):
        def __init__(self):
            super().__init__(spaces.Box(0, 255, (36, 36, 3), np.uint8))

    env, new = VecTransposeImage(make_task_vec_env({"a": Picture, "b": Picture})), make_task_vec_env({"c": Picture})
    last = env.reset()
    changed = change(env, ["b"], new)
    assert first_observations(changed, new, last)["obs"].shape == (2, 3, 36, 36)
    assert changed.env.observation_space["obs"].shape == (3, 36, 36)


# Actions and masks


class Choices(SpaceEnv):
    def __init__(self, n=4, low=-1.0):
        super().__init__(spaces.Box(low, 1.0, (2,)))
        self.action_space = spaces.Discrete(n)


@pytest.mark.filterwarnings("ignore:The action spaces")
def test_masks_follow_their_tasks():
    made = make_task_vec_env({"a": Choices, "b": lambda: Choices(3)}, action_masks={"b": [True, False, True]})
    joined = join_tasks(made, make_task_vec_env({"c": lambda: Choices(2)}))
    valid = {"a": [True] * 4, "b": [True, False, True, False], "c": [True, True, False, False]}
    assert [mask.valid for mask in joined.task_masks] == list(valid.values())
    chosen = select_tasks(joined, ["c", "b"])
    assert chosen.task_names == ["b", "c"] and [mask.valid for mask in chosen.task_masks] == [
        valid["b"][:3],
        valid["c"][:3],
    ]


@pytest.mark.filterwarnings("ignore:The action spaces")
def test_tasks_of_fewer_actions_get_masks():
    env = with_actions(VecMonitor(make_task_vec_env({"a": lambda: Choices(3)})), spaces.Discrete(4))
    assert isinstance(env, VecMonitor) and env.action_space == spaces.Discrete(4)
    assert env.reset()["action_mask"].tolist() == [[1, 1, 1, 0]]
    assert env.observation_space["action_mask"].n == 4
    same = make_task_vec_env({"a": Choices})
    assert with_actions(same, spaces.Discrete(4)) is same
    assert with_actions(same, spaces.Discrete(3)) is same


# Refusals


def test_wrappers_that_cannot_follow_are_named():
    with pytest.raises(UsageError, match=r"in a VecFrameStack, which cannot follow.*VecNormalize can.*of its own"):
        change(VecFrameStack(parts(), 2), ["a"])
    with pytest.raises(UsageError, match="A VecMonitor was given; expected a TaskVecEnv"):
        select_tasks(VecMonitor(parts()), ["a"])


@pytest.mark.slow
def test_what_cannot_be_taken_apart_is_named():
    env = make_task_vec_env([table_task(0), table_task(1)], vec_env_cls=SubprocVecEnv)
    try:
        with pytest.raises(UsageError, match=r"2 sub-environments of a SubprocVecEnv.*Make a VecEnv for each task"):
            select_tasks(env, ["task-0"])
    finally:
        env.close()


def test_tasks_that_are_not_there_and_names_that_repeat():
    with pytest.raises(UsageError, match=r"\['z'\] were named; expected at least one of \['a', 'b', 'c'\]"):
        select_tasks(parts(), ["z"])
    with pytest.raises(UsageError, match="at least one"):
        select_tasks(parts(), [])
    with pytest.raises(UsageError, match="repeat"):
        join_tasks(parts(), parts())


def test_spaces_that_do_not_fit_are_refused():
    with pytest.raises(UsageError, match="The observation space of task 'x' is"):
        join_tasks(parts(), make_task_vec_env({"x": Choices}))
    with pytest.raises(UsageError, match=r"the distilled policy only Discrete\(3\)"):
        change(
            make_task_vec_env({"a": lambda: Choices(3)}), ["a"], make_task_vec_env({"b": Choices}), spaces.Discrete(3)
        )


def test_tasks_get_other_names():
    env = make_task_vec_env({"a": Choices, "b": Choices}, action_masks={"b": [True, False, True, True]})
    env.rename(["a", "c"])
    assert env.task_names == ["a", "c"] and list(env.given_masks) == ["c"]
    with pytest.raises(UsageError, match="comma"):
        env.rename(["a", "c,d"])
