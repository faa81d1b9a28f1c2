"""What ``laser-tag`` looks like: shapes and colours, walls and barriers, and what is drawn over the agent's view."""

import numpy as np
import numpy.typing as npt
from miniworld.entity import Entity
from miniworld.opengl import drawBox
from pyglet import gl
from typing_extensions import override

from sb3_distral.tasks.miniworld.arena import Boxes
from sb3_distral.tasks.miniworld.bots import CHASES, FLEES, PATROLS
from sb3_distral.tasks.miniworld.things import Shape
from sb3_distral.tasks.miniworld.world import VIEW

#: Heights of walls and barriers in metres; the agent's eyes are at 1.5 m.
WALL_HEIGHT, BARRIER_HEIGHT = 2.74, 0.5

WALL_COLOUR, BARRIER_COLOUR = (0.75, 0.7, 0.6), (1.0, 0.45, 0.0)

#: Outline of a bot: a body, a neck and a head. Its gun is a post before the body.
_BOT = ((0.45, 0.0), (0.45, 1.0), (0.15, 1.15), (0.3, 1.25), (0.3, 1.5), (0.0, 1.65))
BOTS = {
    kind: Shape(_BOT, colour)
    for kind, colour in ((FLEES, (0.1, 0.6, 1.0)), (PATROLS, (0.1, 0.7, 0.2)), (CHASES, (0.6, 0.1, 0.8)))
}
GUN, GUN_DISTANCE = Shape(((0.14, 0.75), (0.14, 1.0), (0.0, 1.05)), (0.1, 0.1, 0.1), n_sides=4), 0.45

OBJECT = Shape(((0.0, 0.3), (0.35, 0.65), (0.0, 1.0)), (1.0, 0.85, 0.1), n_sides=4)

#: Colours of the sights while the gun is loaded and while it loads.
_LOADED, _LOADING = (255, 255, 255), (230, 40, 30)


class Obstacles(Entity):  # type: ignore[misc]
    """
    Boxes that stand on the floor for a whole episode.

    :param boxes: where they stand
    :param height: in metres
    :param colour: red, green and blue from 0 to 1
    """

    is_static = True

    def __init__(self, boxes: Boxes, height: float, colour: tuple[float, float, float]) -> None:
        super().__init__()
        self.boxes, self.height, self.colour = boxes, height, colour

    @override
    def render(self) -> None:
        gl.glDisable(gl.GL_TEXTURE_2D)
        gl.glColor3f(*self.colour)
        for (low_x, low_z), (high_x, high_z) in zip(*self.boxes.corners, strict=True):
            drawBox(low_x, high_x, 0.0, self.height, low_z, high_z)


def draw_sights(picture: npt.NDArray[np.uint8], loaded: float) -> None:
    """
    Draw a cross where the gun points, and at the lower edge a bar as long as the gun is loaded; red until it is.

    :param picture: what the agent sees, shape ``(size, size, 3)``; is changed
    :param loaded: from 0 to 1
    """
    size, unit = len(picture), len(picture) // VIEW
    middle, colour = size // 2, _LOADED if loaded == 1.0 else _LOADING
    picture[middle - unit : middle + unit, middle - 3 * unit : middle + 3 * unit] = colour
    picture[middle - 3 * unit : middle + 3 * unit, middle - unit : middle + unit] = colour
    picture[-3 * unit :, : round(loaded * size)] = colour
