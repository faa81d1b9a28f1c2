"""
The suite ``laser-tag``: tag bots in an arena seen in first person, in eight tasks.

Stands for the laser-tag tasks of the Distral paper (Table 2).
"""

from math import hypot
from typing import Any

import numpy as np
import numpy.typing as npt
from typing_extensions import override

from sb3_distral.tasks.batched import Array
from sb3_distral.tasks.checks import check_seed
from sb3_distral.tasks.miniworld import figures
from sb3_distral.tasks.miniworld.arena import SIZE, Boxes, ahead, choose_cells, hits, make_arena
from sb3_distral.tasks.miniworld.bots import CHASES, FLEES, PATROLS, Bots
from sb3_distral.tasks.miniworld.things import Thing
from sb3_distral.tasks.miniworld.world import ACTION_REPEAT, BODY, FORWARD, Motion, World

#: Actions, after ahead, back, turn left and turn right.
TAG, JUMP = 4, 5

#: Degrees by which the agent turns in a frame.
TURN = 4.0

#: How far beside the middle of a bot the agent's shot still hits, in metres, and frames from one shot to the next.
HIT_RADIUS, RELOAD = 0.6, 12
#: After how many frames the bots look and turn.
THINKING = 4

#: Upward speed of a jump in metres a frame, and how much of it is lost in a frame; a jump lasts eight frames.
JUMP_SPEED, GRAVITY = 0.4375, 0.125

#: Speed of the bots in metres a frame; bounds of speed and number where they are drawn.
BOT_SPEED, BOT_SPEEDS, BOT_NUMBERS = 0.1, (0.05, 0.15), (2, 4)

N_OBJECTS = 6

#: How near the middle of an object the agent takes it, in metres.
REACH = 0.8

#: Rewards for tagging a bot, for an object and for being tagged.
TAG_REWARD, OBJECT_REWARD, TAGGED_REWARD = 1.0, 0.2, -1.0


class LaserTagEnv(World):
    """
    Tag bots, collect objects, avoid being tagged; ids ``sb3_distral/LaserTag-0-v0`` to ``-7-v0``.

    Tasks are the eight combinations of three properties: tasks 2, 3, 6 and 7 have a new arena in every episode (the
    others one arena each), odd tasks draw number, kinds and speeds of the bots for the episode (the others have one bot
    of each kind, half as fast as the agent), tasks 4 to 7 have low barriers that part the arena into four regions.

    Actions: ahead, back, turn left, turn right; tag: shoot straight ahead, over barriers but not through walls, and tag
    the first bot whose middle is at most 0.6 m beside the line of fire; jump: ahead, and up for two steps, high enough
    to pass barriers; who comes down on a barrier stands on it. After a shot the gun takes three steps to load: the bar
    at the lower edge of the picture shows how far it is, and is red until it is full.

    Rewards: +1 for a tagged bot, which goes to a random cell; +0.2 for an object (after the last of six, six new ones
    appear); -1 for being tagged by a bot, after which the agent is in a random cell. ``info["is_success"]`` tells
    whether the agent leads: has tagged bots more often than they have tagged it.

    :param task: index of the task
    :param map_seed: seed of the fixed arenas; another seed gives unseen ones
    :param render_mode: ``None`` or ``"rgb_array"``: a picture of 256x256 pixels
    :param view: ``"agent"``, what the agent sees, or ``"top"``, the arena from above
    :param action_repeat: frames that an action lasts
    :raises ValueError: if an argument is outside its range
    """

    task_name = "laser-tag"
    motions = (
        Motion(FORWARD),
        Motion(-FORWARD),
        Motion(turn=TURN),
        Motion(turn=-TURN),
        Motion(),
        Motion(FORWARD),
    )

    def __init__(
        self,
        task: int = 0,
        map_seed: int = 0,
        render_mode: str | None = None,
        view: str = "agent",
        action_repeat: int = ACTION_REPEAT,
    ) -> None:
        check_seed("map_seed", map_seed)
        self.check_task(task)
        self.map_seed = map_seed
        self.has_barriers, self.has_new_map, self.has_random_bots = (bool(task & bit) for bit in (4, 2, 1))
        super().__init__(task, render_mode, view, action_repeat)

    @override
    def _gen_world(self) -> None:
        fixed = np.random.default_rng([self.map_seed, self.task])
        self.arena = make_arena(self.has_barriers, self.np_random if self.has_new_map else fixed)
        edge = SIZE / 2
        self.add_rect_room(-edge, edge, -edge, edge, wall_tex="brick_wall", floor_tex="asphalt", no_ceiling=True)
        inner = Boxes(*(part[4:] for part in self.arena.walls))
        self.entities.append(figures.Obstacles(inner, figures.WALL_HEIGHT, figures.WALL_COLOUR))
        self.entities.append(figures.Obstacles(self.arena.barriers, figures.BARRIER_HEIGHT, figures.BARRIER_COLOUR))
        self.loading, self.frames, self.lead = 0, 0, 0
        self.objects: list[Thing] = []
        self._place_players()
        self._scatter()

    def _draw_bots(self) -> tuple[Array, Array]:
        """Return kinds and speeds of the bots."""
        if not self.has_random_bots:
            return np.array([FLEES, PATROLS, CHASES]), np.full(3, BOT_SPEED)
        n_bots = self.np_random.integers(*BOT_NUMBERS, endpoint=True)
        return self.np_random.integers(3, size=n_bots), self.np_random.uniform(*BOT_SPEEDS, size=n_bots)

    def _place_players(self) -> None:
        kinds, speeds = self._draw_bots()
        start, *cells = choose_cells(1 + len(kinds), np.zeros((0, 2)), self.np_random)
        self._place_agent(start)
        headings = self.np_random.uniform(0.0, 2 * np.pi, size=len(kinds))
        self._add_bots(Bots(np.array(cells), headings, kinds, speeds))

    def _add_bots(self, bots: Bots) -> None:
        self.bots = bots
        self.bodies = [Thing(figures.BOTS[kind]) for kind in bots.kinds.tolist()]
        self.guns = [Thing(figures.GUN) for _ in self.bodies]
        for thing in (*self.bodies, *self.guns):
            self.put(thing, 0.0, 0.0)
        self._show_bots()

    def _place_agent(self, cell: Array) -> None:
        # Towards the middle, give or take 45 degrees: an agent that looks at a wall learns nothing.
        x, z = cell.tolist()
        self.put(self.agent, x, z, np.arctan2(z, -x) + self.np_random.uniform(-np.pi / 4, np.pi / 4))
        self.rise = 0.0

    def _show_bots(self) -> None:
        gun_places = self.bots.positions + figures.GUN_DISTANCE * ahead(self.bots.headings)
        for things, places in ((self.bodies, self.bots.positions), (self.guns, gun_places)):
            for thing, place in zip(things, places, strict=True):
                thing.pos[::2] = place

    def _scatter(self) -> None:
        for cell in choose_cells(N_OBJECTS, self.agent.pos[None, ::2], self.np_random):
            x, z = cell.tolist()
            self.objects.append(Thing(figures.OBJECT))
            self.put(self.objects[-1], x, z)

    @override
    def _can_stand(self, x: float, z: float) -> bool:
        stops = self.arena.solid if self.agent.pos[1] < figures.BARRIER_HEIGHT else self.arena.walls
        return not stops.touch(np.array([[x, z]]), BODY)[0]

    @override
    def _play_frame(self, action: int) -> float:
        self._rise_and_fall(action)
        reward = TAG_REWARD * self._shoot(action) + OBJECT_REWARD * self._collect()
        self.bots.move(self.arena)
        self.frames += 1
        if self.frames % THINKING == 0:
            reward += TAGGED_REWARD * self._let_bots_think()
        return reward

    def _rise_and_fall(self, action: int) -> None:
        height = float(self.agent.pos[1])
        if height == 0.0 and action != JUMP:
            return
        floor = figures.BARRIER_HEIGHT if self.arena.barriers.touch(self.agent.pos[None, ::2], BODY)[0] else 0.0
        if action == JUMP and height == floor:
            self.rise = JUMP_SPEED
        height += self.rise
        self.rise = 0.0 if height <= floor else self.rise - GRAVITY
        self.agent.pos[1] = max(height, floor)

    def _shoot(self, action: int) -> bool:
        """Shoot if this is the action and the gun is loaded, and return whether a bot is tagged."""
        self.loading = max(self.loading - 1, 0)
        if action != TAG or self.loading > 0:
            return False
        self.loading = RELOAD
        place, bots = self.agent.pos[::2], self.bots.positions
        hit = np.flatnonzero(hits(self.arena.walls, place, self.agent.dir, bots, HIT_RADIUS))
        if len(hit) == 0:
            return False
        first = hit[np.square(bots[hit] - place).sum(axis=1).argmin()]
        self.bots.send(first, choose_cells(1, np.array([place, *bots]), self.np_random)[0])
        self.lead += 1
        return True

    def _collect(self) -> bool:
        """Take the object in reach, if there is one, and return whether."""
        x, _, z = self.agent.pos.tolist()
        for thing in self.objects:
            if hypot(thing.pos[0] - x, thing.pos[2] - z) < REACH:
                self.objects.remove(thing)
                self.entities.remove(thing)
                if not self.objects:
                    self._scatter()
                return True
        return False

    def _let_bots_think(self) -> bool:
        """Let the bots look, turn and shoot, and return whether the agent is tagged."""
        tagged = self.bots.think(self.arena, self.agent.pos[::2], self.np_random)
        if tagged:
            self._place_agent(choose_cells(1, self.bots.positions, self.np_random)[0])
            self.lead -= 1
        self._show_bots()
        self.is_success = self.lead > 0
        return tagged

    @override
    def render_obs(self, frame_buffer: Any = None) -> npt.NDArray[np.uint8]:
        picture: npt.NDArray[np.uint8] = super().render_obs(frame_buffer)
        figures.draw_sights(picture, 1.0 - self.loading / RELOAD)
        return picture
