"""Pictures of several sub-environments as one, each under the number of its task."""

from collections.abc import Sequence
from math import ceil, sqrt

import numpy as np
import numpy.typing as npt

#: Width of a dot of a digit, and of the space around pictures and digits, in pixels.
DOT, GAP = 4, 8
PAPER_COLOUR, INK_COLOUR = 255, 45
#: Rows of the digits 0 to 9 of 3x5 dots; the bits of a row are its dots from left to right.
_ROWS = ("75557", "26227", "71747", "71717", "55711", "74717", "74757", "71111", "75757", "75717")
#: ``bool``, shape ``(10, 5, 3)``.
DIGITS = np.array([[[int(row) & bit > 0 for bit in (4, 2, 1)] for row in rows] for rows in _ROWS])

Picture = npt.NDArray[np.uint8]


def mosaic(pictures: Sequence[Picture], numbers: Sequence[int]) -> Picture:
    """
    Put pictures side by side in rows, as square as can be with as few empty places as can be.

    :param pictures: RGB pictures of one size, ``uint8``, shape ``(height, width, 3)``
    :param numbers: the number above each
    :return: RGB picture, ``uint8``
    """
    height, width, _ = pictures[0].shape
    strip = DIGITS.shape[1] * DOT + 2 * GAP
    n_columns = choose_columns(len(pictures))
    n_rows = ceil(len(pictures) / n_columns)
    shape = (n_rows * (strip + height) + GAP, n_columns * (width + GAP) + GAP, 3)
    canvas = np.full(shape, PAPER_COLOUR, dtype=np.uint8)
    for place, (picture, number) in enumerate(zip(pictures, numbers, strict=True)):
        row, column = divmod(place, n_columns)
        top, left = row * (strip + height), GAP + column * (width + GAP)
        canvas[top + strip : top + strip + height, left : left + width] = picture
        dots = draw_number(number)
        canvas[top + GAP :, left:][: dots.shape[0], : dots.shape[1]][dots] = INK_COLOUR
    return canvas


def choose_columns(n_pictures: int) -> int:
    """
    Choose the shape of the mosaic.

    :param n_pictures: how many pictures
    :return: how many of them to put into a row
    """
    square = ceil(sqrt(n_pictures))
    return min(range(square, 2 * square), key=lambda n_columns: -n_pictures % n_columns)


def draw_number(number: int) -> npt.NDArray[np.bool_]:
    """
    Draw a number in dots.

    :param number: a number, at least 0
    :return: its ink, shape ``(height, width)``
    """
    digits = [np.pad(DIGITS[int(digit)], ((0, 0), (0, 1))) for digit in str(number)]
    return np.hstack(digits).repeat(DOT, axis=0).repeat(DOT, axis=1)
