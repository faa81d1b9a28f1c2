"""The built-in players of ``laser-tag``: what they see, where they go and when they shoot."""

import numpy as np

from sb3_distral.tasks.batched import Array
from sb3_distral.tasks.miniworld.arena import Arena, ahead, hits, slide

#: Kinds of bots.
FLEES, PATROLS, CHASES = range(3)

#: Half the width of bots and agent in metres.
BODY = 0.4

#: How far bots see, all around; and how near a chasing bot comes, in metres.
SIGHT, NEAREST = 8.0, 2.0

#: A bot shoots at what is at most this far beside its heading, and misses by an angle of this deviation, in radians.
AIM, SCATTER = np.pi / 4, np.pi / 15

#: Steps from when a bot has the agent before it until it shoots, and from one shot to the next.
REACTION, RELOAD = 6, 30

#: Probability that a bot that follows no one turns in a step.
TURN = 0.05


class Bots:
    """
    All bots of an episode.

    Who sees the agent flees straight away from it or chases it, by its kind. Everyone else patrols: straight on, along
    what is in the way, and in a random direction by chance or where there is no way on. All shoot, but only ahead.
    Bodies pass through each other.

    :param positions: (x, z) in metres, shape ``(n_bots, 2)``
    :param headings: directions in radians, shape ``(n_bots,)``
    :param kinds: shape ``(n_bots,)``
    :param speeds: in metres a frame, less than ``BODY``, shape ``(n_bots,)``
    """

    def __init__(self, positions: Array, headings: Array, kinds: Array, speeds: Array) -> None:
        self.positions, self.headings, self.kinds, self.speeds = positions, headings, kinds, speeds
        self.waits = np.full(len(kinds), REACTION)
        self._stands, self._is_stuck = np.zeros((2, len(kinds)), dtype=np.bool_)

    def send(self, bot: int, position: Array) -> None:
        """
        Put a tagged bot somewhere else, where it first has to find the agent.

        :param bot: index of the bot
        :param position: (x, z) in metres
        """
        self.positions[bot] = position
        self.waits[bot] = RELOAD

    def move(self, arena: Arena) -> None:
        """
        Move all bots for one frame; walls and barriers stop them.

        :param arena: where they are
        """
        steps = (self.speeds * ~self._stands)[:, None] * ahead(self.headings)
        moved = slide(arena.solid, self.positions, steps, BODY)
        # Along a wall a bot goes on as long as this is half of what it wanted.
        self._is_stuck = np.square(moved - self.positions).sum(axis=1) < np.square(steps / 2).sum(axis=1)
        self.positions = moved

    def think(self, arena: Arena, agent: Array, generator: np.random.Generator) -> bool:
        """
        Let all bots look at the agent, choose their headings and shoot.

        :param arena: where they are
        :param agent: (x, z) of the agent in metres
        :param generator: source of all random choices
        :return: whether a shot has hit the agent
        """
        offsets = agent - self.positions
        distances, bearings = np.hypot(*offsets.T), np.arctan2(-offsets[:, 1], offsets[:, 0])
        sees = (distances < SIGHT) & ~arena.walls.cut(self.positions, agent)
        chases = sees & (self.kinds == CHASES)
        self._steer(sees & (self.kinds == FLEES), chases, bearings, generator)
        self._stands = chases & (distances < NEAREST)
        return self._shoot(arena, agent, sees, bearings, generator)

    def _steer(self, flees: Array, chases: Array, bearings: Array, generator: np.random.Generator) -> None:
        chances = generator.random((2, len(self.kinds)))
        turns = ~chases & (self._is_stuck | (~flees & (chances[0] < TURN)))
        wanted = np.where(chases, bearings, np.where(flees, bearings + np.pi, self.headings))
        self.headings = np.where(turns, chances[1] * 2 * np.pi, wanted)

    def _shoot(self, arena: Arena, agent: Array, sees: Array, bearings: Array, generator: np.random.Generator) -> bool:
        aims = sees & (np.cos(bearings - self.headings) > np.cos(AIM))
        # Who loses the agent has to aim anew, and guns load all the time.
        self.waits = np.maximum(self.waits - 1, np.where(aims, 0, REACTION))
        shots = bearings + SCATTER * generator.standard_normal(len(bearings))
        shoots = aims & (self.waits == 0)
        self.waits[shoots] = RELOAD
        return bool((shoots & hits(arena.walls, self.positions, shots, agent, BODY)).any())
