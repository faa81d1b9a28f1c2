"""Scripted players that know the whole map: they show that the tasks can be solved."""

from collections.abc import Callable, Iterable

import numpy as np
from gymnasium.spaces import Box, Discrete
from stable_baselines3.common.vec_env import VecEnv

from sb3_distral.tasks.batched import Array
from sb3_distral.tasks.grids.layered import BARRIER, ITEM, STEPS, WALL, LayeredTasks
from sb3_distral.tasks.grids.navigation import CARRY, GridNavigation
from sb3_distral.tasks.grids.tag import JUMP, TAG, GridTag
from sb3_distral.tasks.grids.tag_bots import CHASES, in_sight

MOVES = range(4)


def first_move(layers: Array, start: int, targets: Iterable[int], stops: tuple[int, ...], leaps: bool = False) -> int:
    """
    :param layers: Layers of one maze
    :param start: Cell of the agent
    :param targets: Cells to reach
    :param stops: Layers that block
    :param leaps: Whether an obstacle is passed in one go, from the cell before to the cell behind
    :return: Direction of the first step on a shortest way to the nearest target, -1 if there is none
    """
    wanted, blocked = {int(target) for target in targets}, layers[list(stops)].any(axis=0)
    ways = {start: -1}
    queue = [start]
    for cell in queue:
        if cell in wanted and cell != start:
            return ways[cell]
        for move in MOVES:
            neighbour = cell + int(STEPS[move])
            if leaps and layers[BARRIER, neighbour]:
                neighbour += int(STEPS[move])
            if not blocked[neighbour] and neighbour not in ways:
                ways[neighbour] = move if cell == start else ways[cell]
                queue.append(neighbour)
    return -1


def navigate(env: GridNavigation) -> Array:
    """Take the shortest way to the goal, the nearest reward or the start; wait at doors if there is no other way."""
    actions = np.zeros(env.n_envs, dtype=np.int64)
    for row, layers in enumerate(env.layers):
        carries = env.tasks[row] == CARRY and env.carrying[row]
        targets = [env.destination[row]] if carries else np.flatnonzero(layers[ITEM])
        move = first_move(layers, int(env.cell[row]), targets, (WALL, BARRIER))
        actions[row] = move if move >= 0 else max(first_move(layers, int(env.cell[row]), targets, (WALL,)), 0)
    return actions


def play_tag(env: GridTag, jumps: bool = True) -> Array:
    """Tag what is ahead, turn to what is in sight, otherwise go to the nearest object or bot that does not chase."""
    actions = np.zeros(env.n_envs, dtype=np.int64)
    for row, seen in enumerate(in_sight(env.layers, env.cell, env.bots)):
        layers, cell, facing = env.layers[row], int(env.cell[row]), int(env.facing[row])
        if seen[:, facing].any():
            actions[row] = TAG
        elif seen.any():
            actions[row] = seen.any(axis=0).argmax()
        else:
            targets = [*env.bots[row][env.kinds[row] != CHASES], *np.flatnonzero(layers[ITEM])]
            move = max(first_move(layers, cell, targets, (WALL,) if jumps else (WALL, BARRIER), leaps=jumps), 0)
            at_obstacle = jumps and facing == move and layers[BARRIER, cell + STEPS[move]]
            actions[row] = JUMP if at_obstacle else move
    return actions


def play_random(env: LayeredTasks) -> Array:
    """Take any action."""
    return np.random.default_rng(int(env.layers.sum() * 1000)).integers(env.n_actions, size=env.n_envs)


def random_actions(env: VecEnv, n_steps: int, seed: int = 0) -> Array:
    """Draw actions for every step and sub-environment; numbers also go a little beyond the bounds."""
    generator, space = np.random.default_rng(seed), env.action_space
    if isinstance(space, Discrete):
        return generator.integers(space.n, size=(n_steps, env.num_envs))
    assert isinstance(space, Box)
    return generator.uniform(1.2 * space.low, 1.2 * space.high, (n_steps, env.num_envs, *space.shape)).astype(
        space.dtype
    )


def returns(env: LayeredTasks, player: Callable[..., Array], n_episodes: int = 1) -> Array:
    """
    :param env: One suite, with as many sub-environments of each task
    :param player: Gives the actions
    :param n_episodes: Episodes of each sub-environment
    :return: Mean return of an episode of each task
    """
    totals = np.zeros(env.n_envs)
    for episode in range(n_episodes):
        env.reset(np.arange(env.n_envs), [1000 * episode + row for row in range(env.n_envs)])
        for _ in range(env.max_episode_steps):
            totals += env.step(player(env))[1]
    return totals.reshape(env.n_tasks, -1).mean(axis=1) / n_episodes
