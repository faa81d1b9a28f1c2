"""Scripted players that know the whole maze: they show that the tasks can be solved."""

from collections.abc import Callable
from math import atan2, degrees, remainder
from typing import Any

import numpy as np

from sb3_distral.tasks.batched import Array
from sb3_distral.tasks.grids.cells import MOVES
from sb3_distral.tasks.miniworld.block_world import BlockWorld, Cell
from sb3_distral.tasks.miniworld.blocks import CELL
from sb3_distral.tasks.miniworld.mazes import MazeEnv
from sb3_distral.tasks.miniworld.navigation import CARRY, COLLECT, NavigationEnv

AHEAD, CURVE_LEFT, CURVE_RIGHT, TURN_LEFT, TURN_RIGHT = range(5)


def shortest_way(blocked: Array, start: Cell, targets: set[Cell]) -> list[Cell]:
    """
    :param blocked: Cells that stop the agent
    :param start: Cell of the agent
    :param targets: Cells to reach
    :return: Cells of a shortest way to the nearest target, without the first; empty if there is none
    """
    before: dict[Cell, Cell] = {}
    queue = [start]
    for cell in queue:
        if cell in targets:
            way = [cell]
            while way[-1] != start:
                way.append(before[way[-1]])
            return way[-2::-1]
        for row, column in (np.array(cell) + MOVES).tolist():
            if not blocked[row, column] and (row, column) not in before and (row, column) != start:
                before[row, column] = cell
                queue.append((row, column))
    return []


def steer(env: BlockWorld, x: float, z: float) -> int:
    """
    :param env: A world
    :param x: Where to go, in metres along x
    :param z: And along z
    :return: The action that leads there
    """
    angle = atan2(env.agent.pos[2] - z, x - env.agent.pos[0]) - env.agent.dir
    left = remainder(degrees(angle), 360)
    if abs(left) <= 15:
        return AHEAD
    if abs(left) <= 60:
        return CURVE_LEFT if left > 0 else CURVE_RIGHT
    return TURN_LEFT if left > 0 else TURN_RIGHT


def go(env: BlockWorld, things: list[Any]) -> int:
    """Go to the nearest of some things; where doors close all ways to them, as if the doors were open."""
    start, targets = env.cell_of(env.agent), {env.cell_of(thing) for thing in things}
    way = shortest_way(env.blocked, start, targets) or shortest_way(env.walls, start, targets) or [start]
    return steer(env, (way[0][1] + 0.5) * CELL, (way[0][0] + 0.5) * CELL)


def play_maze(env: MazeEnv) -> int:
    """Go to the goal, again and again."""
    return go(env, [env.goal])


def navigate(env: NavigationEnv) -> int:
    """Go to the goal, the nearest apple or the start."""
    if env.task == CARRY and env.held is not None:
        return go(env, [env.start])
    return go(env, env.apples if env.task in (COLLECT, CARRY) else [env.goal])


def play_random(env: BlockWorld) -> int:
    """Take any action."""
    return int(env.np_random.integers(env.action_space.n))


def episode_return(env: Any, player: Callable[[Any], int], seed: int) -> float:
    """
    :param env: A world
    :param player: Gives the actions
    :param seed: Seed of the episode
    :return: Return of one episode; nothing is drawn
    """
    env.reset(seed=seed)
    total, truncated = 0.0, False
    while not truncated:
        _, reward, _, truncated, _ = env.step(player(env))
        total += reward
    return total


def hall(env: BlockWorld) -> None:
    """Begin an episode in a hall without inner walls, with the agent in the middle, and without apples."""
    walls = np.ones((9, 9), dtype=bool)
    walls[1:-1, 1:-1] = False
    env._draw_walls = lambda: walls  # type: ignore[method-assign]
    env.reset(seed=0)
    for thing in getattr(env, "apples", []):
        env.entities.remove(thing)
    env.apples = []  # type: ignore[attr-defined]
    env.put_in((4, 4), env.agent)


def look(env: BlockWorld, colour: tuple[float, float, float]) -> Array:
    """
    :param env: A world
    :param colour: Colour of a thing
    :return: Where the agent sees it, in the light or not, ``bool``, shape ``(84, 84)``
    """
    picture = env.render_obs().astype(float)
    shares = picture / np.maximum(picture.sum(axis=2, keepdims=True), 1)
    near: Array = np.abs(shares - np.array(colour) / sum(colour)).max(axis=2) < 0.06
    return near
