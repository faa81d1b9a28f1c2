"""The minds of laser-tag's bots: no pictures."""

from typing import Any

import numpy as np
import pytest

from sb3_distral.tasks.batched import Array

pytest.importorskip("sb3_distral.tasks.miniworld.rendering", exc_type=ImportError)

from arenas import hall

from sb3_distral.tasks.miniworld import bots as bots_module
from sb3_distral.tasks.miniworld.arena import CENTRES, Arena, make_arena
from sb3_distral.tasks.miniworld.bots import BODY, CHASES, FLEES, NEAREST, PATROLS, REACTION, RELOAD, SIGHT, Bots

AGENT = np.zeros(2)
EAST, NORTH, WEST, SOUTH = np.arange(4) * np.pi / 2

#: North of an agent in the middle.
WALL = (0.0, -1.0, 2.0, 0.1)


@pytest.fixture(autouse=True)
def no_turns_by_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bots_module, "TURN", 0.0)


@pytest.fixture
def sure_aim(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bots_module, "SCATTER", 0.0)


def three(place: tuple[float, float], heading: float) -> Bots:
    """Make one bot of each kind at the same place."""
    kinds = np.array([FLEES, PATROLS, CHASES])
    return Bots(np.array([place] * 3), np.full(3, heading), kinds, np.full(3, 0.1))


def one(kind: int, place: tuple[float, float], heading: float, speed: float = 0.1) -> Bots:
    return Bots(np.array([place]), np.array([heading]), np.array([kind]), np.array([speed]))


def directions(bots: Bots) -> Array:
    """Return headings in degrees."""
    return np.rad2deg(bots.headings).round().astype(int) % 360


def think(bots: Bots, arena: Arena, agent: Any = AGENT, seed: int = 0) -> bool:
    return bots.think(arena, np.asarray(agent, dtype=float), np.random.default_rng(seed))


def shots(bots: Bots, arena: Arena, n_steps: int) -> list[int]:
    """Return the steps in which an agent in the middle is hit."""
    return [step for step in range(n_steps) if think(bots, arena)]


def test_bots_flee_patrol_and_chase() -> None:
    bots = three((0.0, 3.0), EAST)
    think(bots, hall())
    assert directions(bots).tolist() == [270, 0, 90]
    for _ in range(10):
        bots.move(hall())
    np.testing.assert_allclose(bots.positions, [[0, 4], [1, 3], [0, 2]], atol=1e-9)


@pytest.mark.parametrize(
    ("place", "sees"), [((0.0, -3.0), False), ((0.0, 3.0), True), ((5.5, 5.5), True), ((5.9, 5.9), False)]
)
def test_who_does_not_see_the_agent_goes_straight_on(place: tuple[float, float], sees: bool) -> None:
    assert np.hypot(5.5, 5.5) < SIGHT < np.hypot(5.9, 5.9)
    bots = three(place, WEST)
    think(bots, hall(walls=[WALL]))
    assert (directions(bots) == 180).tolist() == [not sees, True, not sees]


def test_barriers_hide_nobody_but_stop_bots() -> None:
    arena = hall(barriers=[WALL])
    bots = three((0.0, -3.0), EAST)
    think(bots, arena)
    assert directions(bots).tolist() == [90, 0, 270]
    for _ in range(30):
        bots.move(arena)
    assert -1.6 < bots.positions[2, 1] < -1.5


def test_chasers_keep_their_distance() -> None:
    bots = one(CHASES, (0.0, 5.0), EAST)
    distances = []
    for _ in range(60):
        think(bots, hall())
        for _ in range(4):
            bots.move(hall())
        distances.append(bots.positions[0, 1])
    assert min(distances) > NEAREST - 0.5 and distances[-1] < NEAREST
    think(bots, hall(), agent=(4.0, 0.0))
    bots.move(hall())
    assert bots.positions[0, 0] > 0.05


def test_who_meets_a_wall_goes_along_it_or_turns() -> None:
    arena = hall(walls=[WALL])
    slanting, straight = one(PATROLS, (-3.0, -1.5), np.pi * 1.75), one(PATROLS, (0.0, -1.5), SOUTH)
    for bots in (slanting, straight):
        for _ in range(3):
            bots.move(arena)
        think(bots, arena)
    assert directions(slanting).tolist() == [315]
    assert directions(straight).tolist() != [270]
    cornered = one(FLEES, (5.6, 5.6), SOUTH)
    headings = set()
    for seed in range(10):
        cornered.move(arena)
        think(cornered, arena, agent=(3.0, 3.0), seed=seed)
        headings.update(directions(cornered).tolist())
    assert len(headings) > 3


def test_who_patrols_turns_by_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bots_module, "TURN", 0.3)
    turned = []
    for seed in range(300):
        bots = three((0.0, 3.0), EAST)
        think(bots, hall(), seed=seed)
        turned.append(directions(bots) != [270, 0, 90])
    flees, patrols, chases = np.mean(turned, axis=0)
    assert flees == chases == 0 and 0.22 < patrols < 0.38


def test_bots_never_enter_walls_or_barriers() -> None:
    generator = np.random.default_rng(0)
    arena = make_arena(True, generator)
    bots = Bots(CENTRES.copy(), generator.uniform(0, 6, 16), np.arange(16) % 3, np.full(16, 0.15))
    travelled = np.zeros(16)
    for _ in range(150):
        bots.think(arena, AGENT, generator)
        for _ in range(4):
            before = bots.positions.copy()
            bots.move(arena)
            travelled += np.abs(bots.positions - before).sum(axis=1)
        assert not arena.solid.touch(bots.positions, BODY).any()
    assert (travelled[np.arange(16) % 3 == PATROLS] > 20).all()


@pytest.mark.usefixtures("sure_aim")
def test_shots_come_after_a_reaction_and_then_at_intervals() -> None:
    bots = one(CHASES, (0.0, 2.0), NORTH)
    assert shots(bots, hall(), 2 * RELOAD + REACTION) == [
        REACTION - 1,
        REACTION - 1 + RELOAD,
        REACTION - 1 + 2 * RELOAD,
    ]


@pytest.mark.usefixtures("sure_aim")
@pytest.mark.parametrize(
    ("heading", "n_shots"), [(NORTH, 1), (NORTH + 0.7, 1), (NORTH - 0.7, 1), (NORTH + 0.9, 0), (SOUTH, 0)]
)
def test_bots_shoot_only_ahead(heading: float, n_shots: int) -> None:
    assert len(shots(one(PATROLS, (0.0, 3.0), heading, speed=0.0), hall(), RELOAD)) == n_shots


@pytest.mark.usefixtures("sure_aim")
def test_shots_pass_barriers_but_not_walls() -> None:
    bots = one(CHASES, (0.0, -3.0), SOUTH)
    assert shots(bots, hall(walls=[WALL]), 2 * RELOAD) == []
    assert shots(bots, hall(barriers=[WALL]), RELOAD) == [REACTION - 1]


@pytest.mark.usefixtures("sure_aim")
def test_who_loses_the_agent_aims_anew_while_the_gun_loads() -> None:
    bots, dark = one(PATROLS, (0.0, -3.0), SOUTH, speed=0.0), hall(walls=[WALL])
    assert shots(bots, hall(), REACTION - 1) == []
    think(bots, dark)
    assert shots(bots, hall(), REACTION) == [REACTION - 1]
    assert shots(bots, dark, RELOAD - 2) == []
    assert shots(bots, hall(), RELOAD) == [REACTION - 1]


@pytest.mark.usefixtures("sure_aim")
def test_tagged_bots_have_to_load() -> None:
    bots = one(CHASES, (0.0, 2.0), NORTH)
    assert shots(bots, hall(), REACTION - 1) == []
    bots.send(0, np.array([2.0, 0.0]))
    assert bots.positions.tolist() == [[2.0, 0.0]]
    assert shots(bots, hall(), RELOAD) == [RELOAD - 1]


def test_aim_is_the_worse_the_farther_the_agent_is() -> None:
    rates = []
    for distance in (2.0, 5.0):
        bots = one(PATROLS, (0.0, distance), NORTH)
        n_hits = 0
        for seed in range(300):
            bots.waits[:] = 0
            n_hits += think(bots, hall(), seed=seed)
        rates.append(n_hits / 300)
    near, far = rates
    assert 0.56 < near < 0.76 and 0.2 < far < 0.4
