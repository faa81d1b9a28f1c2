"""Things in the mazes: plain shapes of one colour. MiniWorld's own meshes would take longer to draw than the maze."""

from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from miniworld.entity import Entity
from pyglet import gl
from typing_extensions import override


class Shape(NamedTuple):
    """
    A shape as a lathe makes it, with flat sides.

    :param profile: (radius, height) of its outline from bottom to top, in metres; the radius is that of the corners
    :param colour: red, green and blue from 0 to 1
    :param n_sides: number of sides, seen from above; of four, two each lie along x and z
    """

    profile: tuple[tuple[float, float], ...]
    colour: tuple[float, float, float]
    n_sides: int = 8


class Thing(Entity):  # type: ignore[misc]
    """
    A thing without a body: the agent walks through it.

    :param shape: what it looks like
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.radius = max(radius for radius, _ in shape.profile)
        self.height = shape.profile[-1][1]

    @override
    def render(self) -> None:
        gl.glPushMatrix()
        gl.glTranslatef(*self.pos)
        gl.glCallList(_display_list(self.shape))
        gl.glPopMatrix()


@cache
def _display_list(shape: Shape) -> int:
    """Compile a shape once for the process: all contexts of OpenGL share their display lists."""
    display_list = int(gl.glGenLists(1))
    gl.glNewList(display_list, gl.GL_COMPILE)
    gl.glDisable(gl.GL_TEXTURE_2D)
    gl.glColor3f(*shape.colour)
    gl.glBegin(gl.GL_QUADS)
    for normal, corners in faces(shape):
        gl.glNormal3f(*normal)
        for corner in corners:
            gl.glVertex3f(*corner)
    gl.glEnd()
    gl.glEndList()
    return display_list


def faces(shape: Shape) -> list[tuple[np.ndarray, np.ndarray]]:
    """
    Compute the faces of a shape.

    :param shape: the shape
    :return: for each face its normal, shape ``(3,)``, and its corners, counter-clockwise from outside, shape ``(4, 3)``
    """
    angles = (np.arange(shape.n_sides + 1) + 0.5) * 2 * np.pi / shape.n_sides
    sides = np.stack([np.cos(angles), np.zeros_like(angles), -np.sin(angles)], axis=1)
    found = []
    for (lower, bottom), (upper, top) in pairwise(shape.profile):
        for left, right in pairwise(sides):
            middle = left + right
            # Across the way up along the face, in the plane of the axis and the middle of the side.
            normal = middle / np.linalg.norm(middle) * (top - bottom)
            normal[1] = (lower - upper) * np.linalg.norm(middle) / 2
            corners = np.array([left * lower, right * lower, right * upper, left * upper])
            corners[:, 1] = bottom, bottom, top, top
            found.append((normal / np.linalg.norm(normal), corners))
    return found
