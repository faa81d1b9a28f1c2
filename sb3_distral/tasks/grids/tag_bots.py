"""The built-in players of ``grid-tag``: what they see and where they go."""

import numpy as np

from sb3_distral.tasks.batched import Array
from sb3_distral.tasks.grids.layered import BARRIER, STEPS, WALL, WIDTH

#: Kinds of bots.
FLEES, PATROLS, CHASES = range(3)

#: How far agent and bots see along a row or column, in cells; as far goes a tag.
SIGHT = 4

#: Probability that a bot moves in a step, and that a bot that follows no one turns.
SPEED, TURN = 0.5, 0.1

#: Random numbers that one bot needs in one step.
N_DRAWS = 2 + len(STEPS)

_RAYS = STEPS[:, None] * np.arange(1, SIGHT + 1)
_OPPOSITE = np.array([1, 0, 3, 2])
_N_CELLS = WIDTH * WIDTH
# How far a cell lies in each direction, by the difference to it; more than SIGHT if not in this direction.
_DISTANCES = np.full((2 * _N_CELLS, len(STEPS)), SIGHT + 1)
_DISTANCES[_RAYS.T, np.arange(len(STEPS))] = np.arange(1, SIGHT + 1)[:, None]
_DISTANCES[0] = 0


def in_sight(layers: Array, cells: Array, bots: Array) -> Array:
    """
    Tell which bots the agents see in which direction; walls hide, barriers do not, and the own cell is seen.

    :param layers: shape ``(n_envs, n_layers, WIDTH ** 2)``
    :param cells: cells of the agents, shape ``(n_envs,)``
    :param bots: cells of the bots, shape ``(n_envs, n_bots)``
    :return: ``bool``, shape ``(n_envs, n_bots, 4)``, directions as ``STEPS``
    """
    n_envs, n_layers, _ = layers.shape
    starts = (np.arange(n_envs) * n_layers + WALL) * _N_CELLS
    # Where a ray leaves its map it has met the border before, so it does not matter what is there.
    walls = layers.reshape(-1).take((cells + starts)[:, None, None] + _RAYS, mode="clip")
    hidden = np.logical_or.accumulate(walls, axis=2)
    n_clear = SIGHT - hidden.sum(axis=2)
    seen: Array = _DISTANCES[bots - cells[:, None]] <= n_clear[:, None]
    return seen


def choose_headings(kinds: Array, headings: Array, seen: Array, is_open: Array, draws: Array) -> Array:
    """
    Decide where the bots go.

    Who sees the agent flees straight away from it or chases it, by its kind. Everyone else, and who has a wall or a
    barrier ahead, patrols: straight on, and at a wall or by chance in a random open direction.

    :param kinds: shape ``(n_envs, n_bots)``
    :param headings: directions so far, shape ``(n_envs, n_bots)``
    :param seen: as :func:`in_sight` returns
    :param is_open: whether each direction is free, shape ``(n_envs, n_bots, 4)``
    :param draws: random numbers, shape ``(n_envs, n_bots, 5)``: for turning, and one a direction
    :return: directions, shape ``(n_envs, n_bots)``
    """
    follows = seen.any(axis=2) & (kinds != PATROLS)
    away = seen.argmax(axis=2)
    wanted = np.where(follows, np.where(kinds == FLEES, away, _OPPOSITE[away]), headings)
    ahead_is_open = np.take_along_axis(is_open, wanted[..., None], axis=2)[..., 0]
    turns = ~ahead_is_open | (~follows & (draws[..., 0] < TURN))
    chosen: Array = np.where(turns, (is_open * (1.0 + draws[..., 1:])).argmax(axis=2), wanted)
    return chosen


def move_bots(
    layers: Array, cells: Array, kinds: Array, bots: Array, headings: Array, draws: Array
) -> tuple[Array, Array]:
    """
    Move all bots that move in this step.

    :param layers: shape ``(n_envs, n_layers, WIDTH ** 2)``
    :param cells: cells of the agents, shape ``(n_envs,)``
    :param kinds: shape ``(n_envs, n_bots)``
    :param bots: cells of the bots, shape ``(n_envs, n_bots)``
    :param headings: directions of the bots, shape ``(n_envs, n_bots)``
    :param draws: random numbers, shape ``(n_envs, n_bots, N_DRAWS)``
    :return: new cells and new directions
    """
    around = bots[..., None] + STEPS
    stops = layers[:, WALL] + layers[:, BARRIER]
    is_open = stops[np.arange(len(cells))[:, None, None], around] == 0.0
    chosen = choose_headings(kinds, headings, in_sight(layers, cells, bots), is_open, draws[..., 1:])
    moves = (draws[..., 0] < SPEED) & np.take_along_axis(is_open, chosen[..., None], axis=2)[..., 0]
    return np.where(moves, bots + STEPS[chosen], bots), np.where(moves, chosen, headings)
