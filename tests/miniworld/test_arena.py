"""Bodies, sight and shots in the arenas of laser-tag, and the arenas themselves."""

import numpy as np
import pytest

from sb3_distral.tasks.batched import Array

pytest.importorskip("sb3_distral.tasks.miniworld.rendering", exc_type=ImportError)

from arenas import boxes, hall

from sb3_distral.tasks.miniworld import arena
from sb3_distral.tasks.miniworld.arena import CENTRES, SIZE, Boxes, ahead, choose_cells, hits, make_arena, slide

BODY = 0.4


def test_bodies_touch_boxes_by_hand() -> None:
    wide = boxes((1.0, 2.0, 1.0, 0.1), (-3.0, 0.0, 0.1, 0.1))
    beside, above, at_the_corner, on_the_other = [-0.3, 2.0], [1.0, 2.45], [2.3, 2.4], [-3.0, 0.3]
    places = np.array([beside, above, at_the_corner, on_the_other, [-0.5, 2.0], [1.0, 2.6], [2.5, 2.4]])
    assert wide.touch(places, BODY).tolist() == [True] * 4 + [False] * 3
    assert not boxes().touch(places, BODY).any()


def test_lines_are_cut_where_they_pass_through_a_box() -> None:
    generator = np.random.default_rng(0)
    drawn = Boxes(generator.uniform(-4, 4, (6, 2)), generator.uniform(0.1, 1.5, (6, 2)))
    starts, ends = generator.uniform(-6, 6, (2, 150, 2))
    along = np.linspace(0, 1, 2001)[:, None, None]
    points = (starts + along * (ends - starts)).reshape(-1, 2)
    expected = drawn.touch(points, 0.0).reshape(2001, 150).any(axis=0)
    assert 20 < expected.sum() < 130
    np.testing.assert_array_equal(drawn.cut(starts, ends), expected)


def test_one_start_serves_many_lines() -> None:
    wall = boxes((0.0, 1.0, 1.0, 0.1))
    ends = np.array([[0.0, 2.0], [0.0, 0.5], [3.0, 2.0], [0.0, -2.0]])
    assert wall.cut(np.zeros(2), ends).tolist() == [True, False, False, False]
    assert wall.cut(ends, np.zeros(2)).tolist() == [True, False, False, False]


def test_bodies_slide_along_walls_and_never_into_them() -> None:
    wall = boxes((1.0, 0.0, 0.1, 3.0))
    start = np.array([[0.4, 0.0], [0.4, 0.0], [-2.0, 0.0]])
    moved = slide(wall, start, np.array([[0.2, 0.1], [0.2, 0.0], [0.2, 0.1]]), BODY)
    np.testing.assert_allclose(moved, [[0.4, 0.1], [0.4, 0.0], [-1.8, 0.1]])
    generator = np.random.default_rng(1)
    place, made = CENTRES.copy(), make_arena(True, generator)
    for _ in range(300):
        place = slide(made.solid, place, generator.uniform(-0.3, 0.3, place.shape), BODY)
        assert not made.solid.touch(place, BODY).any()
        assert (np.abs(place) <= SIZE / 2 - BODY + 1e-9).all()


def test_directions_are_those_of_miniworld() -> None:
    np.testing.assert_allclose(ahead(np.array([0.0, np.pi / 2, np.pi])), [[1, 0], [0, -1], [-1, 0]], atol=1e-12)
    np.testing.assert_allclose(ahead(np.float64(np.pi / 2)), [0, -1], atol=1e-12)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ((3.0, 0.0), True),
        ((3.0, 0.45), True),
        ((3.0, 0.55), False),
        ((-3.0, 0.0), False),
        ((0.0, 0.3), False),
        ((5.5, 0.0), False),  # behind the wall
    ],
)
def test_shots_hit_what_is_ahead_and_not_behind_a_wall(target: tuple[float, float], expected: bool) -> None:
    wall = boxes((4.5, 0.0, 0.1, 1.0))
    assert hits(wall, np.zeros(2), np.float64(0.0), np.array([target]), 0.5).tolist() == [expected]


def test_shots_hit_who_is_half_hidden() -> None:
    wall = boxes((2.0, 1.1, 0.1, 1.0))  # from z = 0.1 on
    target = np.array([[4.0, 0.3]])
    assert wall.cut(np.zeros(2), target).all()
    assert hits(wall, np.zeros(2), np.float64(0.0), target, 0.5).all()


def test_many_shots_at_one_target() -> None:
    starts = np.array([[-3.0, 0.0], [0.0, 3.0], [0.0, -3.0]])
    angles = np.array([0.0, np.pi / 2, np.pi / 2])
    assert hits(boxes(), starts, angles, np.zeros(2), 0.3).tolist() == [True, True, False]


def region(stops: Boxes, start: Array) -> Array:
    """
    :param stops: What stops steps
    :param start: A place
    :return: Which cells a body can reach from there
    """
    ticks = np.arange(-SIZE / 2, SIZE / 2 + 0.1, 0.25)
    grid = np.stack(np.meshgrid(ticks, ticks, indexing="ij"), axis=-1)
    is_free = ~stops.touch(grid.reshape(-1, 2), BODY).reshape(grid.shape[:2])
    reached, before = np.abs(grid - start).max(axis=2) < 0.3, -1
    while reached.sum() > before:
        before = reached.sum()
        for axis in (0, 1):
            for shift in (-1, 1):
                reached |= np.roll(reached, shift, axis=axis) & is_free
    near = np.abs(grid[:, :, None] - CENTRES).max(axis=3) < 0.3
    cells: Array = (near & reached[..., None]).any(axis=(0, 1))
    return cells


@pytest.mark.parametrize("seed", range(8))
def test_all_cells_can_be_reached_and_barriers_part_them_into_four_regions(seed: int) -> None:
    generator = np.random.default_rng(seed)
    for has_barriers in (False, True):
        made = make_arena(has_barriers, generator)
        assert not made.solid.touch(CENTRES, 1.0).any()
        assert region(made.walls, CENTRES[0]).all()
        regions = {tuple(region(made.solid, centre)) for centre in CENTRES}
        assert len(regions) == (4 if has_barriers else 1)
        assert np.sum(list(regions), axis=0).tolist() == [1] * len(CENTRES)
        assert len(made.barriers.centres) == (4 if has_barriers else 0)


def test_arenas_differ_and_the_first_four_walls_are_the_border() -> None:
    arenas = [make_arena(False, np.random.default_rng(seed)) for seed in range(5)]
    assert len({made.walls.centres.tobytes() for made in arenas}) == 5
    for made in arenas:
        low, high = made.walls.corners
        assert (low[4:] >= -SIZE / 2 - arena.THICKNESS).all() and (high[4:] <= SIZE / 2 + arena.THICKNESS).all()
        assert hall().walls.centres.tolist() == made.walls.centres[:4].tolist()


def test_cells_are_chosen_where_nothing_is() -> None:
    generator = np.random.default_rng(0)
    taken = np.array([[-4.5, -4.5], [1.0, 0.5]])
    chosen = np.concatenate([choose_cells(3, taken, generator) for _ in range(100)])
    assert {tuple(cell) for cell in chosen.tolist()} == {
        tuple(cell) for cell in CENTRES.tolist() if cell not in ([-4.5, -4.5], [1.5, 1.5])
    }
    everything = choose_cells(16, np.zeros((0, 2)), generator)
    assert len(np.unique(everything, axis=0)) == 16
    assert everything.tolist() != CENTRES.tolist()
