"""Arenas made by hand."""

from collections.abc import Iterable

import numpy as np

from sb3_distral.tasks.miniworld.arena import Arena, Boxes, make_arena

#: (x, z) of the middle of a box, then half of its widths.
Box = tuple[float, float, float, float]


def boxes(*parts: Box) -> Boxes:
    numbers = np.array(parts).reshape(-1, 4)
    return Boxes(numbers[:, :2], numbers[:, 2:])


def hall(walls: Iterable[Box] = (), barriers: Iterable[Box] = ()) -> Arena:
    """
    :param walls: Inner walls
    :param barriers: Barriers
    :return: An arena with nothing else but its outer walls
    """
    outer = [part[:4] for part in make_arena(False, np.random.default_rng(0)).walls]
    sides = [(*centre, *half) for centre, half in zip(*outer, strict=True)]
    return Arena(boxes(*sides, *walls), boxes(*barriers), boxes(*sides, *walls, *barriers))
