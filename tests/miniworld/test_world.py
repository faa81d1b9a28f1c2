"""What mazes and navigation share, and what every MiniWorld suite owes."""

import inspect
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as gymnasium_check_env
from stable_baselines3.common.env_checker import check_env as sb3_check_env

from sb3_distral import tasks
from sb3_distral.envs.concat_vec_env import ConcatVecEnv
from sb3_distral.envs.remote_vec_env import RemoteVecEnv
from sb3_distral.tasks.grids.cells import MOVES
from sb3_distral.tasks.suites import WorldSuite

pytest.importorskip("sb3_distral.tasks.miniworld.rendering", exc_type=ImportError)

from world_players import AHEAD, CURVE_LEFT, CURVE_RIGHT, TURN_LEFT, TURN_RIGHT, hall, look, play_random

from sb3_distral.tasks.miniworld.block_world import GOAL
from sb3_distral.tasks.miniworld.blocks import CELL, wall_sides
from sb3_distral.tasks.miniworld.mazes import MazeEnv
from sb3_distral.tasks.miniworld.navigation import CLOSED, HELD, NavigationEnv
from sb3_distral.tasks.miniworld.things import Thing, faces
from sb3_distral.tasks.miniworld.world import ACTION_REPEAT, BODY, EPISODE_STEPS

IDS = [f"sb3_distral/{name}-{task}-v0" for name, n in (("Mazes", 8), ("Navigation", 4)) for task in range(n)]
WORLD_SUITES = {name: suite for name, suite in tasks.SUITES.items() if isinstance(suite, WorldSuite)}


@pytest.fixture
def env() -> Iterator[MazeEnv]:
    env = MazeEnv()
    hall(env)
    yield env
    env.close()


@pytest.fixture
def remote() -> Iterator[list[Any]]:
    made: list[Any] = []
    yield made
    for env in made:
        env.close()


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.filterwarnings("ignore:.*Overriding environment")
def test_registered_task_passes_both_checkers(env_id: str) -> None:
    env = gym.make(env_id, render_mode="rgb_array").unwrapped
    sb3_check_env(env)
    gymnasium_check_env(env, skip_render_check=True)
    assert env.observation_space == gym.spaces.Box(0, 255, (84, 84, 3), np.uint8)
    assert env.action_space == gym.spaces.Discrete(5)
    env.close()


@pytest.mark.parametrize(("world", "task"), [(MazeEnv, 3), *((NavigationEnv, task) for task in range(4))])
def test_two_copies_with_one_seed_agree_step_by_step(world: Any, task: int) -> None:
    first, second = world(task), world(task)
    np.testing.assert_array_equal(first.reset(seed=5)[0], second.reset(seed=5)[0])
    other = second.reset(seed=6)[0]
    assert not np.array_equal(other, second.reset(seed=5)[0])
    actions = np.random.default_rng(0).integers(5, size=EPISODE_STEPS)
    seen = []
    for action in actions:
        step, copy = first.step(action), second.step(action)
        np.testing.assert_array_equal(step[0], copy[0])
        assert step[1:] == copy[1:]
        seen.append(step[0])
    assert step[3] and len(np.unique(seen, axis=0)) > EPISODE_STEPS / 2
    np.testing.assert_array_equal(first.reset()[0], second.reset()[0])
    assert not np.array_equal(first.reset()[0], first.reset()[0])
    first.close()
    second.close()


def test_an_action_is_four_frames_of_which_one_is_drawn(env: MazeEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, played = [], []
    monkeypatch.setattr(env, "render_obs", lambda: drawn.append(1))
    monkeypatch.setattr(env, "_play_frame", lambda action: float(bool(played.append(action)) or 0.5))
    assert env.step(np.int64(CURVE_LEFT))[1] == 2.0
    assert len(drawn) == 1 and played == [CURVE_LEFT] * ACTION_REPEAT


@pytest.mark.parametrize("suite", WORLD_SUITES)
@pytest.mark.parametrize("repeat", [1, 8])
def test_an_action_lasts_as_many_frames_as_asked_for(suite: str, repeat: int, monkeypatch: pytest.MonkeyPatch) -> None:
    single = WORLD_SUITES[suite].make_single(0, False, {"action_repeat": repeat})
    world: Any = single.unwrapped
    monkeypatch.setattr(world, "render_obs", lambda: None)
    single.reset(seed=0)
    played: list[int] = []
    monkeypatch.setattr(world, "_play_frame", lambda action: float(bool(played.append(action)) or 0.5))
    assert single.step(np.int64(0))[1] == 0.5 * repeat
    assert played == [0] * repeat and world.step_count == 1
    single.close()


@pytest.mark.parametrize("repeat", [0, 1.5])
def test_an_action_lasts_a_whole_frame_at_least(repeat: Any) -> None:
    with pytest.raises(ValueError, match=f"action_repeat is {repeat}, expected an integer >= 1"):
        MazeEnv(action_repeat=repeat)


@pytest.mark.parametrize(
    ("action", "ahead", "left", "turned"),
    [
        (AHEAD, 0.8, 0.0, 0),
        (TURN_LEFT, 0.0, 0.0, 30),
        (TURN_RIGHT, 0.0, 0.0, -30),
        # Four chords of 0.2 m, turned by 7.5, 15, 22.5 and 30 degrees.
        (CURVE_LEFT, 0.7494, 0.2544, 30),
        (CURVE_RIGHT, 0.7494, -0.2544, -30),
    ],
)
@pytest.mark.parametrize("looks", [0.0, 0.5, 2.0, -1.5])
def test_motions_by_hand(env: MazeEnv, action: int, ahead: float, left: float, turned: float, looks: float) -> None:
    env.put_in((4, 4), env.agent, looks)
    before, forward, right = env.agent.pos, env.agent.dir_vec, env.agent.right_vec
    env.step(action)
    np.testing.assert_allclose(env.agent.pos - before, ahead * forward - left * right, atol=1e-4)
    np.testing.assert_allclose(np.rad2deg(env.agent.dir - looks), turned)


def test_the_agent_slides_along_a_wall(env: MazeEnv) -> None:
    env.put(env.agent, 1.5 * CELL, CELL + BODY + 0.01, np.pi / 4)  # looks at the wall at an angle of 45 degrees
    env.step(AHEAD)
    np.testing.assert_allclose(env.agent.pos, [1.5 * CELL + 0.8 * np.cos(np.pi / 4), 0, CELL + BODY + 0.01])
    env.put(env.agent, 1.5 * CELL, CELL + BODY + 0.01, np.pi / 2)  # looks straight at it
    env.step(AHEAD)
    np.testing.assert_allclose(env.agent.pos, [1.5 * CELL, 0, CELL + BODY + 0.01])


def test_the_body_stays_out_of_the_walls() -> None:
    env: Any = NavigationEnv(3)
    env.render_obs = lambda: None
    for seed in range(3):
        env.reset(seed=seed)
        places = set()
        for _ in range(EPISODE_STEPS):
            env.step(play_random(env))
            x, _, z = env.agent.pos
            corners = [(x + i * BODY, z + j * BODY) for i in (-1, 1) for j in (-1, 1)]
            assert not any(env.blocked[int(v // CELL), int(u // CELL)] for u, v in corners)
            places.add(env.cell_of(env.agent))
        assert len(places) > 5
    env.close()


def test_the_last_step_counts(env: MazeEnv) -> None:
    for step in range(1, EPISODE_STEPS + 1):
        if step == EPISODE_STEPS:
            env.put(env.agent, *env.goal.pos[[0, 2]])
        _, reward, terminated, truncated, info = env.step(TURN_LEFT)
        assert not terminated and truncated == (step == EPISODE_STEPS)
    assert reward >= 10.0 and info["is_success"]
    assert env.reset()[1] == {"is_success": False}
    assert not env.step(TURN_LEFT)[3]


def test_the_view_is_not_mirrored(env: MazeEnv) -> None:
    """What is to the left is seen on the left, what is ahead in the middle, what is behind not at all."""
    for looks in (0.0, np.pi / 2):
        columns = []
        for side in (-0.5, 0.0, 0.5, np.pi):
            env.entities = [env.agent, env.goal]
            env.put_in((4, 4), env.agent, looks)
            x, _, z = env.agent.pos
            env.put(env.goal, x + 3 * np.cos(looks + side), z - 3 * np.sin(looks + side))
            columns.append(look(env, GOAL.colour).mean(axis=0))
        right, middle, left, behind = columns
        assert right[60:].sum() > 0.5 and right[:50].sum() == 0
        assert middle[30:54].sum() > 0.5 and middle[:30].sum() == middle[54:].sum() == 0
        np.testing.assert_allclose(middle, middle[::-1], atol=0.1)
        assert left[:24].sum() > 0.5 and left[34:].sum() == 0
        assert behind.sum() == 0


def test_picture_from_above_shows_where_everything_is() -> None:
    env = MazeEnv(2, render_mode="rgb_array", view="top")
    env.reset(seed=0)
    # A pure colour for walls, none for anything else.
    picture: Any = env.render()
    assert picture.shape == (256, 256, 3) and picture.dtype == np.uint8
    scale = 256 / (9 * CELL + 2)  # MiniWorld leaves a metre on each side
    for thing, bright in ((env.goal, 1), (env.apples[0], 0), (env.agent, 0)):
        x, _, z = thing.pos
        pixel = picture[round((z + 1) * scale), round((x + 1) * scale)].astype(int)
        assert pixel[bright] == pixel.max() > 80 > pixel[2], (thing, pixel)
    rows, columns = np.indices((9, 9))
    brightness = [
        picture[int((row * CELL + 1.3) * scale) :, int((column * CELL + 1.3) * scale) :][:18, :18].std()
        for row, column in zip(rows.ravel(), columns.ravel(), strict=True)
    ]
    # The floor is chequered, blocks are of one grey.
    assert np.mean(np.reshape(brightness, (9, 9))[~env.walls]) > 3 * np.mean(np.reshape(brightness, (9, 9))[env.walls])
    env.view = "agent"
    own: Any = env.render()
    small = own[: 84 * 3, : 84 * 3].reshape(84, 3, 84, 3, 3).mean(axis=(1, 3))
    assert np.abs(small[:80, :80] - env.render_obs()[:80, :80]).mean() < 25
    env.close()


def test_no_render_mode_means_no_picture(env: MazeEnv) -> None:
    assert env.render() is None


def test_sides_of_walls_by_hand() -> None:
    walls = np.ones((4, 5), dtype=bool)
    walls[1, 1:4] = walls[2, 2] = False
    sides = wall_sides(walls) / CELL
    # The T has ten sides, each of a cell's width; to the left of the way from right end to left end lies its inside.
    assert len(sides) == 10
    ways, middles = sides[:, 1] - sides[:, 0], sides.mean(axis=1)
    np.testing.assert_array_equal(np.abs(ways).sum(axis=1), 1)
    inside = middles + 0.5 * np.stack([ways[:, 1], -ways[:, 0]], axis=1)
    behind = middles - 0.5 * np.stack([ways[:, 1], -ways[:, 0]], axis=1)
    assert not walls[inside[:, 1].astype(int), inside[:, 0].astype(int)].any()
    assert walls[behind[:, 1].astype(int), behind[:, 0].astype(int)].all()


def test_walls_are_drawn_where_they_stop_the_agent() -> None:
    env = NavigationEnv(2)
    env.entities.remove(env.goal)
    n_sides = 0
    for row, column in np.argwhere(~env.walls).tolist():
        middle = np.array([(column + 0.5) * CELL, 0, (row + 0.5) * CELL])
        own_sides = sum(env.walls[tuple(cell)] for cell in np.array([row, column]) + MOVES)
        n_sides += own_sides
        # MiniWorld's own collisions are with the sides that are drawn.
        assert not env.intersect(env.agent, middle, 0.49 * CELL)
        assert bool(env.intersect(env.agent, middle, 0.51 * CELL)) == (own_sides > 0)
    [room] = env.rooms
    corners, normals = room.wall_verts.reshape(-1, 4, 3), room.wall_norms[::4]
    assert len(corners) == n_sides + env.walls.sum() and len(room.wall_texcs) == 4 * len(corners)
    # OpenGL draws a quad only for those who see its corners counter-clockwise.
    np.testing.assert_allclose(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) / CELL**2, normals
    )
    env.close()


@pytest.mark.parametrize("shape", [GOAL, HELD, CLOSED])
def test_faces_of_shapes_look_outward(shape: Any) -> None:
    middle = np.array([0.0, shape.profile[0][1] + shape.profile[-1][1], 0.0]) / 2
    for normal, corners in faces(shape):
        np.testing.assert_allclose(np.linalg.norm(normal), 1)
        across = np.cross(corners[2] - corners[0], corners[3] - corners[1])
        np.testing.assert_allclose(across / np.linalg.norm(across), normal, atol=1e-9)
        if shape is not GOAL:  # convex
            assert normal @ (corners.mean(axis=0) - middle) > 0
    radii = np.hypot(corners[:, 0], corners[:, 2])
    assert radii.max() <= Thing(shape).radius + 1e-9


@pytest.mark.parametrize("action", [-1, 5, 0.5, [0, 1]])
def test_invalid_actions_are_refused(env: MazeEnv, action: Any) -> None:
    with pytest.raises(ValueError, match="expected an integer from 0 to 4"):
        env.step(action)


@pytest.mark.parametrize("world", [MazeEnv, NavigationEnv])
def test_invalid_arguments_are_refused(world: Any) -> None:
    with pytest.raises(ValueError, match="expected 'agent' or 'top'"):
        world(view="left")
    with pytest.raises(ValueError, match="expected None or 'rgb_array'"):
        world(render_mode="human")
    with pytest.raises(ValueError, match=r"task is -1, expected an integer"):
        world(task=-1)


def test_made_tasks_are_the_single_ones_in_processes_of_their_own(remote: list[Any]) -> None:
    env: Any = tasks.make("mazes", n_envs_per_task=2, seed=100, n_tasks=2, maze_seed=1, previous_action_and_reward=True)
    remote.append(env)
    assert env.task_names == ["maze-0", "maze-1"]
    assert isinstance(env.venv, ConcatVecEnv) and [type(venv) for venv in env.venv.venvs] == [RemoteVecEnv] * 2
    observations = env.reset()
    np.testing.assert_array_equal(observations["task"], [0, 0, 1, 1])
    assert not observations["previous_action"].any() and not observations["previous_reward"].any()
    for row in range(4):
        single = MazeEnv(row // 2, maze_seed=1)
        np.testing.assert_array_equal(observations["obs"][row], single.reset(seed=100 + row)[0])
        single.close()
    observations = env.step(np.array([4, 3, 2, 1]))[0]
    np.testing.assert_array_equal(observations["previous_action"].argmax(axis=1), [4, 3, 2, 1])
    env.env_method("set_wrapper_attr", "max_episode_steps", 2)
    infos = env.step(np.zeros(4, dtype=int))[3]
    assert all(info["episode"]["l"] == 2 and info["TimeLimit.truncated"] for info in infos)
    assert infos[3]["terminal_observation"]["task"] == 1


def test_errors_of_the_tasks_reach_the_caller() -> None:
    with pytest.raises(ValueError, match="size is 8, expected an odd number"):
        tasks.make("mazes", n_tasks=1, size=8)
    with pytest.raises(ValueError, match="expected None or 'rgb_array'"):
        tasks.make("mazes", render_mode="human")


@pytest.mark.parametrize("suite", WORLD_SUITES)
def test_descriptions_agree_with_the_classes(suite: str) -> None:
    described = WORLD_SUITES[suite]
    module, name = described.entry_point.split(":")
    world = getattr(import_module(module), name)
    parameters = inspect.signature(world).parameters.values()
    own = {parameter.name: parameter.default for parameter in parameters}
    assert {**own, "previous_action_and_reward": False} == {
        "task": 0,
        **tasks.default_arguments(suite),
        "render_mode": None,
        "view": "agent",
    }
    assert (world.task_name, world.n_tasks) == (described.task_name, described.n_tasks)
    assert world.max_episode_steps == described.max_episode_steps
    for task, task_id in enumerate(described.ids):
        spec = gym.spec(task_id)
        assert spec.entry_point == described.entry_point and spec.kwargs == {"task": task}


def test_registration_does_not_load_miniworld() -> None:
    script = "import sys, sb3_distral; sys.exit('miniworld' in sys.modules or 'pyglet' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
