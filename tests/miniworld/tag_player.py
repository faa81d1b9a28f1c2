"""A scripted player of laser-tag that knows the whole arena: it shows that the tasks can be solved."""

import numpy as np

from sb3_distral.tasks.batched import Array
from sb3_distral.tasks.miniworld.arena import CELL, CENTRES, N_CELLS, SIZE, Boxes, hits
from sb3_distral.tasks.miniworld.laser_tag import BODY, HIT_RADIUS, JUMP, TAG, LaserTagEnv
from sb3_distral.tasks.miniworld.world import VIEW

AHEAD, BACK, LEFT, RIGHT = range(4)

#: How far beside its way the player looks before it turns, in radians: somewhat more than half a turn of a step.
TOLERANCE = np.deg2rad(9)


def without_pictures(env: LaserTagEnv) -> LaserTagEnv:
    nothing = np.zeros((VIEW, VIEW, 3), dtype=np.uint8)
    env.render_obs = lambda frame_buffer=None: nothing  # type: ignore[method-assign]
    return env


def cell_of(place: Array) -> int:
    column, row = np.clip((place + SIZE / 2) // CELL, 0, N_CELLS - 1).astype(int)
    return int(column * N_CELLS + row)


def gaps(walls: Boxes, start: int, end: int) -> Array:
    """
    :param walls: Walls of the arena
    :param start: Index of a cell
    :param end: Index of a neighbouring cell
    :return: Where a body fits between them: at most three places, the middle of their edge first
    """
    across = CENTRES[end] - CENTRES[start]
    middle, along = CENTRES[start] + across / 2, np.abs(across[::-1]) / 4
    candidates = np.array([middle, middle - along, middle + along])
    places: Array = candidates[~walls.touch(candidates, BODY)]
    return places


def neighbours(cell: int) -> list[int]:
    return np.flatnonzero(np.isclose(np.abs(CENTRES - CENTRES[cell]).sum(axis=1), CELL)).tolist()


def way(env: LaserTagEnv, jumps: bool) -> tuple[Array, bool]:
    """
    :param env: One task
    :param jumps: Whether barriers may be crossed
    :return: Where to go on a shortest way to the nearest object or bot, and whether a barrier is there
    """
    place, barriers = env.agent.pos[::2], env.arena.barriers
    targets = {cell_of(target): target for target in (*(thing.pos[::2] for thing in env.objects), *env.bots.positions)}
    start = cell_of(place)
    gates: dict[int, tuple[Array, int]] = {start: (place, start)}
    queue = [start]
    for cell in queue:
        gate, following = gates[cell]
        if cell in targets:
            # In line with the gap the player goes straight through it, so it is not caught by a wall's end.
            across = (CENTRES[following] - CENTRES[start]) / CELL
            is_in_line = np.abs((gate - place) * (across == 0)).max() < 0.25
            is_barred = cell != start and bool(barriers.touch(gate[None], BODY)[0])
            return targets[cell] if cell == start else gate + 0.5 * across * is_in_line, is_barred
        for neighbour in neighbours(cell):
            open_gaps = gaps(env.arena.walls, cell, neighbour)
            is_passable = len(open_gaps) > 0 and (jumps or not barriers.touch(open_gaps[:1], BODY)[0])
            if is_passable and neighbour not in gates:
                gates[neighbour] = (open_gaps[0], neighbour) if cell == start else gates[cell]
                queue.append(neighbour)
    return place, False


def turn_to(env: LaserTagEnv, target: Array) -> int:
    """
    :param env: One task
    :param target: A place
    :return: Action that turns the agent there, ``AHEAD`` if it looks there
    """
    x, z = target - env.agent.pos[::2]
    beside = (np.arctan2(-z, x) - env.agent.dir + np.pi) % (2 * np.pi) - np.pi
    return AHEAD if abs(beside) < TOLERANCE else LEFT if beside > 0 else RIGHT


def play(env: LaserTagEnv, jumps: bool = True) -> int:
    """Shoot at what is ahead, turn to the nearest bot in sight, otherwise go to the nearest object or bot."""
    place, bots, walls = env.agent.pos[::2], env.bots.positions, env.arena.walls
    if env.loading <= 1 and hits(walls, place, env.agent.dir, bots, HIT_RADIUS).any():
        return TAG
    visible = bots[~walls.cut(place, bots)]
    if len(visible) > 0:
        return turn_to(env, visible[np.square(visible - place).sum(axis=1).argmin()])
    target, is_barred = way(env, jumps)
    action = turn_to(env, target)
    return JUMP if action == AHEAD and is_barred and np.abs(target - place).max() < 2.0 else action


def play_randomly(env: LaserTagEnv) -> int:
    return int(np.random.default_rng([env.step_count, env.task]).integers(6))


def stand_still(env: LaserTagEnv) -> int:
    return (LEFT, RIGHT)[env.step_count % 2]
