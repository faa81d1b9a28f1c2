"""One picture of several sub-environments."""

import numpy as np
import pytest

from sb3_distral.tasks.adapters import BatchedVecEnv
from sb3_distral.tasks.grids.mazes import GridMazes
from sb3_distral.tasks.mosaic import DIGITS, DOT, GAP, INK_COLOUR, choose_columns, draw_number

STRIP = 5 * DOT + 2 * GAP


@pytest.mark.parametrize(("n_pictures", "n_columns"), [(1, 1), (2, 2), (3, 3), (4, 2), (7, 4), (8, 4), (64, 8)])
def test_rows_are_as_full_and_the_whole_as_square_as_can_be(n_pictures: int, n_columns: int) -> None:
    assert choose_columns(n_pictures) == n_columns


def test_digits_can_be_read() -> None:
    assert len({digit.tobytes() for digit in DIGITS}) == 10
    assert ["".join(".#"[int(dot)] for dot in row) for row in DIGITS[4]] == ["#.#", "#.#", "###", "..#", "..#"]
    rows = ["".join(".#"[int(dot)] for dot in row) for row in draw_number(14)[::DOT, ::DOT]]
    assert rows == [".#..#.#.", "##..#.#.", ".#..###.", ".#....#.", "###...#."]


def test_every_picture_is_whole_under_its_number_and_the_rest_is_white() -> None:
    env = BatchedVecEnv(GridMazes([2, 0, 5, 1, 1, 7, 3], size=5), render_mode="rgb_array")
    env.reset()
    whole = np.array(env.render())
    size = 5 * 24
    assert whole.shape == (2 * (STRIP + size) + GAP, 4 * (size + GAP) + GAP, 3)
    for place, (picture, number) in enumerate(zip(env.get_images(), (2, 0, 5, 1, 1, 7, 3), strict=True)):
        top, left = place // 4 * (STRIP + size), GAP + place % 4 * (size + GAP)
        shown = whole[top + STRIP : top + STRIP + size, left : left + size]
        np.testing.assert_array_equal(shown, picture)
        shown[:] = 255
        label = whole[top + GAP : top + GAP + 5 * DOT, left : left + 4 * DOT]
        np.testing.assert_array_equal(label[..., 0] == INK_COLOUR, draw_number(number))
        label[:] = 255
    assert (whole == 255).all()
