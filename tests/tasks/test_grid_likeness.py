"""The rules of the suite ``grid-likeness``, and what its dial changes and does not change."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from experiments.likeness.optimum import best_returns
from sb3_distral.tasks.grids.cells import free_cells
from sb3_distral.tasks.grids.likeness import N_PASSAGES, SIZE, GridLikeness, make_switch_maze, wishes

DIAL = np.arange(N_PASSAGES + 1) / N_PASSAGES
UP, DOWN, LEFT, RIGHT = range(4)


@pytest.mark.parametrize("maze_seed", [0, 1, 2])
def test_what_the_dial_changes_and_what_it_does_not(maze_seed: int) -> None:
    own, one_for_all = np.array([best_returns(likeness, maze_seed) for likeness in DIAL]).T
    assert own[0] > 40 and own == pytest.approx(own[0])
    assert one_for_all[0] == 0 and (np.diff(one_for_all) > 0).all() and one_for_all[-1] == pytest.approx(own[0])


def test_wishes_are_common_in_a_part_of_the_passages_and_opposite_for_every_two_tasks_in_the_others() -> None:
    for n_common, likeness in enumerate(DIAL):
        wanted = np.array([wishes(task, likeness, maze_seed=3) for task in range(6)])
        assert (wanted[:, :n_common] == wanted[0, :n_common]).all()
        assert (wanted[::2, n_common:] + wanted[1::2, n_common:] == 1).all()
    nothing_common = [wishes(task, 0.0, maze_seed=3) for task in range(6)]
    assert len({own.tobytes() for own in nothing_common}) == 6


def test_the_first_wishes_stay_when_the_dial_moves() -> None:
    """Else two values of the dial would differ in more than how much is common."""
    before = wishes(3, 0.25)
    for likeness in DIAL[2:]:
        after = wishes(3, likeness)
        n_common = round(likeness * N_PASSAGES)
        assert (after[:2] == before[:2]).all() and (after[n_common:] == before[n_common:]).all()


def test_switches_are_on_opposite_walls_of_eight_passages() -> None:
    for maze_seed in range(10):
        maze = make_switch_maze(maze_seed)
        cells = free_cells(maze.walls)[maze.passages]
        assert len({tuple(cell) for cell in cells.tolist()}) == N_PASSAGES
        for (row, column), presses in zip(cells, maze.presses.tolist(), strict=True):
            sides = {UP: (row - 1, column), DOWN: (row + 1, column), LEFT: (row, column - 1), RIGHT: (row, column + 1)}
            assert [move for move, side in sides.items() if maze.walls[side]] == presses


def test_a_switch_pays_or_costs_and_moves_the_agent_without_ending() -> None:
    env = GridLikeness([2] * 300)
    env.reset(np.arange(300), range(300))
    passage, (first, second) = env.maze.passages[5], env.maze.presses[5]
    wanted, other = (first, second) if wishes(2, 0.5)[5] == 0 else (second, first)
    for move, reward in ((wanted, 1), (other, -1)):
        env.cell[:] = passage
        observations, rewards, terminated = env.step(np.full(300, move))
        assert (rewards == reward).all() and not terminated.any()
        # Spread over all cells: each one is missed by chance alone, with probability 0.02.
        assert len(np.unique(env.cell)) > 60
    assert observations.shape == (300, 25 + 2 * SIZE)


def test_a_passage_is_walked_through_without_a_reward() -> None:
    env = GridLikeness([0])
    passage = int(env.maze.passages[0])
    along = next(move for move in range(4) if move not in env.maze.presses[0])
    env.cell[0] = passage
    _, rewards, _ = env.step(np.array([along]))
    assert rewards[0] == 0
    moved = (env._positions[env.cell[0]] - env._positions[passage]).tolist()
    assert moved == [[-1, 0], [1, 0], [0, -1], [0, 1]][along]


def test_the_observation_tells_the_place_and_not_the_task() -> None:
    env = GridLikeness(range(8), likeness=0.25)
    env.cell[:] = 7
    observations, _, _ = env.step(np.full(8, UP))
    env.cell[:] = env.cell[0]
    observations = env._observe(slice(None))
    assert (observations == observations[0]).all()
    row, column = env.position[0]
    assert observations[0, 25 + row] == observations[0, 25 + SIZE + column] == 1 and observations[0, 25:].sum() == 2
    padded = np.pad(env.walls[0], 2, constant_values=True)
    assert (observations[0, :25].reshape(5, 5) == padded[row : row + 5, column : column + 5]).all()


def test_episodes_start_anywhere() -> None:
    env = GridLikeness([0] * 2000)
    env.reset(np.arange(2000), range(2000))
    assert set(env.cell.tolist()) == set(range(len(free_cells(env.maze.walls))))


def test_pictures_have_the_switches_on_their_walls() -> None:
    env = GridLikeness([0], likeness=1.0)
    picture = env.render(0)
    edges = {UP: (2, 12), DOWN: (21, 12), LEFT: (12, 2), RIGHT: (12, 21)}
    for passage, presses, wanted in zip(env.maze.passages, env.maze.presses, wishes(0, 1.0), strict=True):
        row, column = env._positions[passage] * 24
        for place, move in enumerate(presses.tolist()):
            pixel = picture[row + edges[move][0], column + edges[move][1]]
            assert tuple(pixel) == ((70, 170, 90) if place == wanted else (120, 40, 150))


def test_single_env_takes_the_dial() -> None:
    env: Any = gym.make("sb3_distral/GridLikeness-3-v0", likeness=0.125, maze_seed=4).unwrapped
    np.testing.assert_array_equal(env.batch.payoffs, GridLikeness([3], 0.125, 4).payoffs)


@pytest.mark.parametrize("likeness", [-0.125, 1.125, 0.3, float("nan")])
def test_a_dial_between_its_steps_is_refused(likeness: float) -> None:
    with pytest.raises(ValueError, match=r"likeness is .*, expected a number from 0 to 1 in steps of 0.125"):
        GridLikeness([0], likeness)
