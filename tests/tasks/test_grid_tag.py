"""The rules of the suite ``grid-tag`` and of its bots."""

from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from players import play_random, play_tag, returns

from sb3_distral.tasks.grids import tag_bots
from sb3_distral.tasks.grids.layered import BARRIER, BETWEEN, ITEM, ROOMS, WALL, WIDTH, coordinates
from sb3_distral.tasks.grids.tag import CHASERS, JUMP, N_OBJECTS, N_OBSTACLES, PREY, TAG, GridTag
from sb3_distral.tasks.grids.tag_bots import CHASES, FLEES, PATROLS, choose_headings, in_sight

UP, DOWN, LEFT, RIGHT = range(4)


def cell_at(row: int, column: int) -> int:
    return (row + 1) * WIDTH + column + 1


FAR = cell_at(9, 9)


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> GridTag:
    """A hall with the agent in its middle, no objects, and three bots in a corner that do not move by themselves."""
    monkeypatch.setattr(tag_bots, "SPEED", 0.0)
    env = GridTag([0])
    env.reset(np.array([0]), [0])
    env.layers[0] = 0.0
    env.layers[0, WALL] = 1.0
    env.layers[0, WALL].reshape(WIDTH, WIDTH)[2:-2, 2:-2] = 0.0
    env.layers[0, ITEM, cell_at(1, 9)] = 1.0
    env.cell[0] = cell_at(5, 5)
    env.bots[0] = FAR
    return env


def step(env: GridTag, action: int) -> tuple[np.ndarray, float]:
    observations, rewards, terminated = env.step(np.array([action]))
    assert not terminated[0]
    return observations[0], float(rewards[0])


def test_properties_of_the_tasks() -> None:
    env = GridTag(list(range(8)))
    first = env.layers.copy()
    env.reset(np.arange(8), range(8))
    kinds = []
    for seed in range(30):
        env.reset(np.arange(8), range(seed, seed + 8))
        kinds.append(env.kinds.copy())
    same_maze = (env.layers[:, [WALL, BARRIER]] == first[:, [WALL, BARRIER]]).all(axis=(1, 2))
    assert same_maze.tolist() == [True, True, False, False, True, True, False, False]
    drawn = np.std(kinds, axis=0).any(axis=1)
    assert drawn.tolist() == [False, True] * 4
    assert env.kinds[::2].tolist() == [[FLEES, PATROLS, CHASES]] * 4
    obstacles = env.layers[:, BARRIER].sum(axis=1)
    assert obstacles.tolist() == [0] * 4 + [N_OBSTACLES] * 4
    assert not env.layers[:, BARRIER][:, np.setdiff1d(np.arange(WIDTH**2), BETWEEN)].any()
    assert (env.layers[:, ITEM].sum(axis=1) == N_OBJECTS).all()
    assert all(len({cell, *bots}) == 4 for cell, bots in zip(env.cell.tolist(), env.bots.tolist(), strict=True))


def test_fixed_mazes_depend_on_task_and_map_seed() -> None:
    fixed = [0, 1, 4, 5]
    first, again, other = (GridTag(fixed, map_seed=seed).walls for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert len({walls.tobytes() for walls in [*first, *other]}) == 8


def test_moves_turn_even_at_a_wall(env: GridTag) -> None:
    env.cell[0] = cell_at(1, 1)
    for action, position in ((RIGHT, (1, 2)), (UP, (1, 2)), (DOWN, (2, 2)), (TAG, (2, 2)), (JUMP, (2, 2))):
        step(env, action)
        assert tuple(env.position[0]) == position
    assert env.facing[0] == DOWN


def test_observation_by_hand(env: GridTag) -> None:
    env.bots[0] = [cell_at(5, 7), cell_at(1, 6), cell_at(7, 6)]
    env.layers[0, BARRIER, cell_at(4, 4)] = 1.0
    observation, reward = step(env, RIGHT)  # to (5, 6), where all three are in a row or column
    assert observation.shape == env.observation_space.shape == (169,) and reward == 0
    views = observation[:150].reshape(6, 5, 5)
    assert np.argwhere(views[BARRIER]).tolist() == [[1, 0]]
    assert np.argwhere(views[PREY]).tolist() == [[2, 3]]
    assert np.argwhere(views[CHASERS]).tolist() == [[4, 2]]
    assert observation[150:154].tolist() == [0, 0, 0, 1]
    assert observation[154:158].tolist() == [1, 0, 0, 1]  # prey above, four cells away, and to the right
    assert observation[158:162].tolist() == [0, 1, 0, 0]  # the chaser below
    assert observation[162:].tolist() == [0, 0, 0, 1, 0, 0, 0]


def test_sight_ends_at_walls_and_after_four_cells_but_not_at_obstacles(env: GridTag) -> None:
    def seen(*position: int) -> list[bool]:
        return in_sight(env.layers, env.cell, np.array([[cell_at(*position)]]))[0, 0].tolist()

    env.layers[0, WALL, cell_at(3, 5)] = 1.0
    env.layers[0, BARRIER, cell_at(5, 6)] = 1.0
    assert seen(4, 5) == [True, False, False, False]
    assert seen(2, 5) == seen(6, 6) == [False] * 4
    assert seen(9, 5) == [False, True, False, False]
    assert seen(5, 1) == [False, False, True, False]
    assert seen(5, 7) == [False, False, False, True]
    assert seen(5, 5) == [True] * 4
    env.cell[0] = cell_at(5, 4)
    assert seen(5, 9) == [False] * 4
    env.cell[0] = cell_at(5, 9)  # the next row begins behind the border
    assert seen(6, 1) == seen(6, 0) == [False] * 4


def test_the_highest_reward_is_in_the_observation_space(env: GridTag) -> None:
    env.layers[0, ITEM, env.cell[0]] = 1.0
    env.facing[0] = LEFT
    env.bots[0] = [cell_at(5, 4), cell_at(5, 3), cell_at(5, 2)]
    observation, reward = step(env, TAG)
    assert reward == pytest.approx(3.2) and env.observation_space.contains(observation)


def test_tag_reaches_every_bot_ahead_and_no_other(env: GridTag) -> None:
    env.facing[0] = LEFT
    env.bots[0] = [cell_at(5, 3), cell_at(5, 1), cell_at(5, 6)]
    observation, reward = step(env, TAG)
    assert reward == 2 and observation[-1] == 2
    assert env.bots[0, 2] == cell_at(5, 6)
    assert all(bot in ROOMS and bot != env.cell[0] for bot in env.bots[0, :2])
    env.bots[0] = FAR
    assert step(env, TAG)[1] == 0


def test_tagged_bots_can_come_back_anywhere_but_at_the_agent(env: GridTag) -> None:
    env.facing[0] = LEFT
    rooms = set()
    for _ in range(300):
        env.bots[0] = [cell_at(5, 3), FAR, FAR]
        step(env, TAG)
        rooms.add(int(env.bots[0, 0]))
    assert rooms == set(ROOMS) - {cell_at(5, 5)}


def test_only_a_jump_passes_an_obstacle(env: GridTag) -> None:
    env.layers[0, BARRIER, cell_at(5, 6)] = 1.0
    step(env, RIGHT)
    assert tuple(env.position[0]) == (5, 5)
    step(env, JUMP)
    assert tuple(env.position[0]) == (5, 7)
    step(env, JUMP)  # nothing ahead
    assert tuple(env.position[0]) == (5, 7)
    step(env, LEFT)
    step(env, JUMP)
    assert tuple(env.position[0]) == (5, 5)


def test_objects_pay_and_come_back_after_the_last(env: GridTag) -> None:
    env.layers[0, ITEM, cell_at(5, 6)] = 1.0
    assert step(env, RIGHT)[1] == pytest.approx(0.2)
    assert env.layers[0, ITEM].sum() == 1
    env.cell[0] = cell_at(1, 8)
    assert step(env, RIGHT)[1] == pytest.approx(0.2)
    assert env.layers[0, ITEM].sum() == N_OBJECTS and not env.layers[0, ITEM, env.cell[0]]


def test_chaser_costs_and_sends_the_agent_away(env: GridTag) -> None:
    env.bots[0] = [FAR, FAR, cell_at(5, 6)]
    observation, reward = step(env, RIGHT)
    assert reward == -1 and observation[-1] == -1
    assert env.cell[0] in ROOMS and env.cell[0] not in env.bots[0]
    assert env.bots[0, 2] == cell_at(5, 6)


def test_prey_does_not_cost(env: GridTag) -> None:
    env.bots[0] = [cell_at(5, 6), cell_at(5, 6), FAR]
    assert step(env, RIGHT)[1] == 0


def test_bots_flee_chase_and_patrol_by_hand(env: GridTag, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tag_bots, "SPEED", 1.0)
    monkeypatch.setattr(tag_bots, "TURN", 0.0)
    env.bots[0] = [cell_at(5, 7), cell_at(5, 3), cell_at(8, 5)]
    env.headings[0] = [UP, UP, RIGHT]
    step(env, TAG)  # to the front, where nobody is
    assert coordinates(env.bots[0]).tolist() == [[5, 8], [4, 3], [7, 5]]
    assert env.headings[0].tolist() == [RIGHT, UP, UP]
    step(env, TAG)
    assert coordinates(env.bots[0]).tolist() == [[5, 9], [3, 3], [6, 5]]
    assert step(env, TAG)[1] == -1  # the chaser is there


def test_bots_turn_at_walls_and_obstacles_to_an_open_direction() -> None:
    kinds, headings = np.array([[FLEES, PATROLS, CHASES]]), np.array([[UP, UP, UP]])
    unseen = np.zeros((1, 3, 4), dtype=bool)
    is_open = np.array([[[0, 1, 0, 1], [1, 1, 0, 0], [0, 0, 0, 1]]], dtype=bool)
    draws = np.full((1, 3, 5), 0.5)
    draws[0, :, 1:] = [0.9, 0.2, 0.8, 0.3]
    assert choose_headings(kinds, headings, unseen, is_open, draws).tolist() == [[RIGHT, UP, RIGHT]]
    draws[0, 1, :2] = [0.05, 0.1]  # a patrolling bot turns by chance, here down
    assert choose_headings(kinds, headings, unseen, is_open, draws)[0, 1] == DOWN
    seen = unseen.copy()
    seen[0, :, LEFT] = True  # all bots are to the left of the agent: one flees on, one takes no notice, one comes
    is_open[:] = True
    assert choose_headings(kinds, headings, seen, is_open, np.full((1, 3, 5), 0.5)).tolist() == [[LEFT, UP, RIGHT]]


def test_bots_never_enter_walls_or_obstacles_and_move_half_of_the_time() -> None:
    env = GridTag(list(range(8)) * 4)
    env.reset(np.arange(32), range(32))
    rows, moved, n_far = env._rows[:, None], 0.0, 0
    for _ in range(200):
        before = env.bots.copy()
        env.step(np.full(32, UP))  # nobody is tagged
        assert not env.layers[rows, : BARRIER + 1, env.bots].any()
        distances = np.abs(coordinates(env.bots) - coordinates(before)).sum(axis=-1)
        n_far += int((distances > 1).sum())
        moved += distances[:4].mean() / 200
    assert n_far == 0
    assert 0.4 < moved <= 0.52  # of the first four tasks: in the others some bots are shut in


def test_scripted_player_solves_every_task_and_needs_the_jump() -> None:
    env = GridTag(np.repeat(np.arange(8), 4).tolist())
    scripted, chance = returns(env, play_tag), returns(env, play_random)
    without_jump = returns(env, partial(play_tag, jumps=False))
    assert (scripted > 25).all(), scripted
    assert (chance < 6).all(), chance
    assert (without_jump[4:] < scripted[4:] / 2).all(), without_jump


def test_picture_shows_where_everything_is() -> None:
    env: Any = gym.make("sb3_distral/GridTag-4-v0", render_mode="rgb_array").unwrapped
    env.reset(seed=0)
    picture, batch = env.render(), env.batch
    assert picture.shape == (24 * 11, 24 * 11, 3) and picture.dtype == np.uint8
    centres = picture[12::24, 12::24]
    for cells, colour in (
        (batch.cell, (215, 70, 50)),
        (batch.bots[0, :1], (50, 160, 220)),
        (batch.bots[0, 1:2], (60, 140, 80)),
        (batch.bots[0, 2:], (120, 40, 150)),
    ):
        assert np.argwhere((centres == colour).all(axis=-1)).tolist() == coordinates(cells).tolist()
    notches = [np.array_equal(env.render(), picture)]
    for facing in (DOWN, LEFT, RIGHT):
        batch.facing[0] = facing
        notches.append(np.array_equal(env.render(), picture))
    assert notches == [True, False, False, False]


@pytest.mark.parametrize("task", [8, 100])
def test_unknown_task_is_refused(task: int) -> None:
    with pytest.raises(ValueError, match="expected integers less than 8"):
        GridTag([0, task])


@pytest.mark.parametrize("map_seed", [-1, 0.5, None])
def test_invalid_map_seed_is_refused(map_seed: Any) -> None:
    with pytest.raises(ValueError, match=r"map_seed is .*, expected an integer >= 0"):
        GridTag([0], map_seed=map_seed)


def test_state_of_another_map_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="other tasks"):
        GridTag([0], map_seed=1).set_state(GridTag([0]).get_state())
