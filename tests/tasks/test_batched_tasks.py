"""What every suite owes: checkers, seeds, equality of batch and single environments, time limits, saved states."""

import pickle
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as gymnasium_check_env
from players import random_actions
from stable_baselines3.common.env_checker import check_env as sb3_check_env
from stable_baselines3.common.vec_env import DummyVecEnv

from sb3_distral import tasks
from sb3_distral.tasks import BatchedTasks, BatchedVecEnv, SingleTaskEnv
from sb3_distral.tasks.grids.families import GridFamilies, GridFamilyEnv
from sb3_distral.tasks.grids.likeness import GridLikeness, GridLikenessEnv
from sb3_distral.tasks.grids.mazes import GridMazeEnv, GridMazes
from sb3_distral.tasks.grids.navigation import GridNavigation, GridNavigationEnv
from sb3_distral.tasks.grids.scales import GridScaleEnv, GridScales
from sb3_distral.tasks.grids.tag import GridTag, GridTagEnv
from sb3_distral.tasks.grids.two_rooms import TwoRooms, TwoRoomsEnv
from sb3_distral.tasks.pendulums import PendulumEnv, Pendulums
from sb3_distral.tasks.suites import ArraySuite

ID_PREFIXES = {
    "grid-families": "GridFamily",
    "grid-likeness": "GridLikeness",
    "grid-mazes": "GridMaze",
    "grid-navigation": "GridNavigation",
    "grid-scales": "GridScale",
    "grid-tag": "GridTag",
    "pendulums": "Pendulum",
    "two-rooms": "TwoRooms",
}
BATCHES: dict[str, type[BatchedTasks]] = {
    name: suite.batch for name, suite in tasks.SUITES.items() if isinstance(suite, ArraySuite)
}
SUITES = sorted(BATCHES)
IDS = [f"sb3_distral/{ID_PREFIXES[suite]}-{task}-v0" for suite in SUITES for task in range(BATCHES[suite].n_tasks)]
#: Suites whose tasks have one unchanging map each and nothing that moves but the agent.
STILL_SUITES = ["grid-mazes", "grid-scales", "two-rooms"]
OTHER_SUITE_SEED: dict[str, dict[str, Any]] = {
    "grid-families": {"maze_seed": 1},
    "grid-likeness": {"maze_seed": 1, "likeness": 0.25},
    "grid-mazes": {"maze_seed": 1},
    "grid-navigation": {},
    "grid-scales": {"maze_seed": 1},
    "grid-tag": {"map_seed": 1},
    "pendulums": {"pendulum_seed": 1},
    "two-rooms": {"goal_seed": 1},
}


def batched(suite: str, task_of_each: list[int], **arguments: Any) -> BatchedVecEnv:
    return BatchedVecEnv(BATCHES[suite](task_of_each, **arguments), render_mode="rgb_array")


def singles(suite: str, task_of_each: list[int], **arguments: Any) -> DummyVecEnv:
    def maker(task: int) -> Any:
        env_id = f"sb3_distral/{ID_PREFIXES[suite]}-{task}-v0"
        return lambda: gym.make(env_id, render_mode="rgb_array", **arguments)

    return DummyVecEnv([maker(task) for task in task_of_each])


def assert_same_step(step: Any, other: Any) -> None:
    for value, other_value in zip(step[:3], other[:3], strict=True):
        np.testing.assert_array_equal(value, other_value, strict=True)
    for info, other_info in zip(step[3], other[3], strict=True):
        assert info.keys() == other_info.keys()
        assert info["TimeLimit.truncated"] is other_info["TimeLimit.truncated"]
        if "terminal_observation" in info:
            np.testing.assert_array_equal(info["terminal_observation"], other_info["terminal_observation"], strict=True)


@pytest.mark.parametrize("env_id", IDS)
def test_registered_task_passes_both_checkers(env_id: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # the category of both checkers
        # The torque goes from -2 to 2, as gymnasium's own.
        warnings.filterwarnings("ignore", message=".*symmetric and normalized")
        sb3_check_env(gym.make(env_id, render_mode="rgb_array"))
        gymnasium_check_env(gym.make(env_id, render_mode="rgb_array").unwrapped)


@pytest.mark.parametrize("suite", SUITES)
def test_batch_equals_single_environments(suite: str) -> None:
    task_of_each = [task % BATCHES[suite].n_tasks for task in (0, 1, 2, 3, 4, 5, 6, 7, 0, 3)]
    arguments = OTHER_SUITE_SEED[suite]
    batch, single = batched(suite, task_of_each, **arguments), singles(suite, task_of_each, **arguments)
    assert batch.observation_space == single.observation_space
    assert batch.action_space == single.action_space
    for round_seed in (5, None):  # the second reset continues the generators
        if round_seed is not None:
            batch.seed(round_seed)
            single.seed(round_seed)
        np.testing.assert_array_equal(batch.reset(), single.reset(), strict=True)
        ended: list[str] = []
        for actions in random_actions(batch, 450):
            step = batch.step(actions)
            assert_same_step(step, single.step(actions))
            ended += ["cut" if info["TimeLimit.truncated"] else "end" for info in step[3] if len(info) > 1]
        assert "cut" in ended
        assert ("end" in ended) == (suite == "two-rooms")


@pytest.mark.parametrize("suite", SUITES)
def test_stream_of_a_sub_env_depends_on_its_seed_alone(suite: str) -> None:
    wide, narrow = batched(suite, [0, 1, 2]), batched(suite, [2])
    wide.seed(10)
    narrow.seed(12)
    np.testing.assert_array_equal(wide.reset()[2], narrow.reset()[0])
    for actions in random_actions(wide, 300):
        np.testing.assert_array_equal(wide.step(actions)[0][2], narrow.step(actions[2:])[0][0])


@pytest.mark.parametrize("suite", SUITES)
def test_seed_is_used_once(suite: str) -> None:
    env = batched(suite, list(range(BATCHES[suite].n_tasks)))
    env.seed(0)
    first, second = env.reset(), env.reset()
    assert not np.array_equal(first, second)
    env.seed(0)
    np.testing.assert_array_equal(env.reset(), first)
    np.testing.assert_array_equal(env.reset(), second)
    env.seed(1)
    assert not np.array_equal(env.reset(), first)


@pytest.mark.parametrize("suite", STILL_SUITES)
def test_time_limit_is_flagged_with_the_last_observation(suite: str) -> None:
    env = batched(suite, [0])
    env.seed(0)
    observations = env.reset()
    last = env.batch.max_episode_steps
    # The same move for ever (no goal lies on its way) ends at a wall.
    for step in range(1, last + 1):
        before = observations
        observations, _, dones, infos = env.step(np.array([1]))
        assert dones[0] == (step == last)
    assert infos[0]["TimeLimit.truncated"] is True
    # The agent did not move, so its last observation differs from the one before in nothing.
    np.testing.assert_array_equal(infos[0]["terminal_observation"], before[0], strict=True)
    assert observations[0, -1] == 0.0
    assert not np.array_equal(observations[0], before[0])


@pytest.mark.parametrize("suite", SUITES)
def test_state_survives_pickle_bit_for_bit(suite: str) -> None:
    last = BATCHES[suite].n_tasks - 1
    env, copy = batched(suite, [0, 0, 2, last]), batched(suite, [0, 0, 2, last])
    env.seed(3)
    env.reset()
    copy.reset()
    actions = random_actions(env, 600)
    for action in actions[:130]:
        env.step(action)
    env.seed(8)  # pending until the next reset
    state = pickle.loads(pickle.dumps(env.get_state()))
    expected = [env.step(action) for action in actions[130:]]
    expected_reset = env.reset()
    for restored in (copy, env):
        restored.set_state(state)
        for action, step in zip(actions[130:], expected, strict=True):
            assert_same_step(restored.step(action), step)
        np.testing.assert_array_equal(restored.reset(), expected_reset)


@pytest.mark.parametrize("suite", SUITES)
def test_selected_sub_envs_go_on_as_if_nothing_had_happened(suite: str) -> None:
    rows, arguments = np.array([0, 3, 4]), OTHER_SUITE_SEED[suite]
    whole, other = (batched(suite, [0, 1, 2, 3, 1], **arguments) for _ in range(2))
    for env in (whole, other):
        env.seed(5)
        env.reset()
    actions = list(random_actions(whole, 240))
    for each in actions[:30]:
        whole.step(each)
        other.step(each)
    selected = other.select(rows)
    for each in actions[30:]:
        observations, rewards, dones, _ = whole.step(each)
        own = selected.step(each[rows])
        for value, own_value in zip((observations, rewards, dones), own, strict=False):
            np.testing.assert_array_equal(value[rows], own_value)


def test_state_is_a_copy() -> None:
    env = batched("grid-mazes", [0, 1])
    env.reset()
    state = env.get_state()
    before = pickle.dumps(state)
    for actions in random_actions(env, 250):
        env.step(actions)
    assert pickle.dumps(state) == before


@pytest.mark.parametrize("suite", SUITES)
def test_returned_arrays_are_never_written_again(suite: str) -> None:
    env = batched(suite, [0, 1, 2])
    env.seed(0)
    steps = [(env.reset(),)] + [env.step(actions)[:3] for actions in random_actions(env, 10)]
    arrays = [array for step in steps for array in step]
    copies = [array.copy() for array in arrays]
    for actions in random_actions(env, 250, seed=1):
        env.step(actions)
    for array, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(array, copy)
    assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])


@pytest.mark.parametrize("suite", STILL_SUITES)
def test_pictures_have_the_right_shape_and_tell_states_apart(suite: str) -> None:
    env = batched(suite, [0, 1])
    env.seed(0)
    env.reset()
    images = env.get_images()
    height, width = env.batch.walls.shape[1:]
    assert all(image.shape == (24 * height, 24 * width, 3) and image.dtype == np.uint8 for image in images)
    assert not np.array_equal(images[0], images[1])
    for row, image in enumerate(images):
        centres = image[12::24, 12::24]
        assert tuple(np.argwhere((centres == (215, 70, 50)).all(axis=-1))[0]) == tuple(env.batch.position[row])
        assert tuple(np.argwhere((centres == (70, 170, 90)).all(axis=-1))[0]) == tuple(env.batch.goal[row])
        np.testing.assert_array_equal((centres == (45, 50, 60)).all(axis=-1), env.batch.walls[row])
    np.testing.assert_array_equal(env.env_method("render", indices=[1])[0], images[1])
    assert env.render().shape[-1] == 3


def test_no_render_mode_means_no_picture() -> None:
    env = BatchedVecEnv(GridMazes([0, 1]))
    with pytest.warns(UserWarning, match="render_mode='rgb_array'"):
        assert list(env.get_images()) == [None, None]
    assert SingleTaskEnv(GridMazes([0])).render() is None


def test_attributes_of_sub_envs_equal_those_of_single_envs() -> None:
    batch, single = batched("grid-mazes", [2, 5]), singles("grid-mazes", [2, 5])
    for env in (batch, single):
        env.seed(0)
        env.reset()
    assert [tuple(goal) for goal in batch.get_attr("goal")] == single.get_attr("goal")
    assert [tuple(position) for position in batch.get_attr("position")] == single.get_attr("position")
    np.testing.assert_array_equal(batch.get_attr("walls"), single.get_attr("walls"))
    assert batch.get_attr("max_episode_steps", indices=[1]) == [200]
    assert batch.get_attr("render_mode") == ["rgb_array", "rgb_array"]
    assert not batch.has_attr("no_such_thing")
    assert batch.env_is_wrapped(gym.Wrapper) == [False, False]


def test_attributes_are_set_for_all_sub_envs_or_none() -> None:
    env = batched("two-rooms", [0, 1])
    env.set_attr("max_episode_steps", 7)
    assert env.get_attr("max_episode_steps") == [7, 7]
    with pytest.raises(ValueError, match="leave indices out"):
        env.set_attr("max_episode_steps", 9, indices=[1])


@pytest.mark.parametrize("actions", [[0], [0, 4], [-1, 0], [[0, 0]]])
def test_invalid_actions_are_refused(actions: list[int]) -> None:
    env = batched("grid-mazes", [0, 1])
    env.reset()
    with pytest.raises(ValueError, match="expected 2 integers from 0 to 3"):
        env.step(np.array(actions))


@pytest.mark.parametrize("actions", [[0.0, 0.0], [[0.0]], [[0.0], [np.nan]], [[np.inf], [0.0]]])
def test_invalid_numbers_are_refused(actions: list[Any]) -> None:
    env = batched("pendulums", [0, 1])
    env.reset()
    with pytest.raises(ValueError, match=r"expected finite numbers of shape \(2, 1\)"):
        env.step(np.array(actions))


@pytest.mark.parametrize("invalid", [[], [-1], [0.5], [[0, 1]], 3])
@pytest.mark.parametrize(
    "suite", [GridFamilies, GridLikeness, GridMazes, GridNavigation, GridScales, GridTag, Pendulums, TwoRooms]
)
def test_invalid_tasks_are_refused(suite: Any, invalid: Any) -> None:
    with pytest.raises(ValueError, match="expected the task index"):
        suite(invalid)


def test_state_of_another_batch_size_is_refused() -> None:
    with pytest.raises(ValueError, match="holds 3 sub-environments, expected 2"):
        batched("two-rooms", [0, 1]).set_state(batched("two-rooms", [0, 1, 2]).get_state())


@pytest.mark.parametrize(
    "env_class",
    [
        GridFamilyEnv,
        GridLikenessEnv,
        GridMazeEnv,
        GridNavigationEnv,
        GridScaleEnv,
        GridTagEnv,
        PendulumEnv,
        TwoRoomsEnv,
    ],
)
def test_unknown_render_mode_is_refused(env_class: Any) -> None:
    with pytest.raises(ValueError, match="expected None or 'rgb_array'"):
        env_class(render_mode="ansi")
    with pytest.raises(ValueError, match="expected None or 'rgb_array'"):
        BatchedVecEnv(GridMazes([0]), render_mode="human")
