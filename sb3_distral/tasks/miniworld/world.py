"""What the three MiniWorld suites share: what the agent sees, how it moves, how long an episode lasts."""

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from miniworld.miniworld import MiniWorldEnv
from miniworld.params import DEFAULT_PARAMS, DomainParams
from typing_extensions import override

from sb3_distral.errors import UsageError
from sb3_distral.tasks.checks import check_render_mode
from sb3_distral.tasks.miniworld.rendering import WINDOW

#: Width and height of observations in pixels, as in the paper, and of pictures of ``render``.
VIEW, PICTURE = 84, 256

#: How many frames an action lasts by default, as in the paper; only the last is drawn. 30 frames are a second.
ACTION_REPEAT = 4

#: Half the width of the agent's body in metres.
BODY = 0.4

#: Size of the agent in pictures from above, in metres.
MARKER = 0.9

#: Steps of an episode: 40 seconds.
EPISODE_STEPS = 300


class Motion(NamedTuple):
    """
    What an action does to the agent in each frame.

    :param forward: metres ahead
    :param turn: degrees to the left
    """

    forward: float = 0.0
    turn: float = 0.0


FORWARD, TURN = 0.2, 7.5

#: Ahead, ahead in a curve to the left and to the right, turn left and right on the spot: with :data:`ACTION_REPEAT`
#: 0.8 m and 30 degrees, so three turns make a corner.
WALK = (Motion(FORWARD), Motion(FORWARD, TURN), Motion(FORWARD, -TURN), Motion(0.0, TURN), Motion(0.0, -TURN))

#: MiniWorld's parameters that differ from its defaults: a wide view, and a light that falls on the sides of a block
#: differently, which tells directions apart.
PARAMETERS = {"cam_fov_y": 80, "light_pos": [-20, 40, -40]}


class World(MiniWorldEnv):  # type: ignore[misc]
    """
    One task of a MiniWorld suite as a gymnasium environment.

    Observation: what the agent sees, RGB, ``uint8``, shape ``(84, 84, 3)``. Actions: the suite's ``motions``; each
    lasts ``action_repeat`` frames, of which only the last is drawn and whose rewards are summed. Nothing ends an
    episode, which is truncated after ``max_episode_steps``. ``info["is_success"]`` tells whether the task has been
    solved in this episode; each suite says what that means. All randomness comes from ``np_random``.

    A subclass builds the world of an episode in MiniWorld's ``_gen_world`` (rooms into ``rooms``, agent and things by
    :meth:`put`), says where the agent can stand, and plays a frame.

    :param task: index of the task
    :param render_mode: ``None`` or ``"rgb_array"``: a picture of 256x256 pixels
    :param view: ``"agent"``, what the agent sees, or ``"top"``, the world from above
    :param action_repeat: frames that an action lasts; episodes have as many steps with any number
    :raises ValueError: if an argument is outside its range
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 8}  # noqa: RUF012 (gymnasium types it so)

    #: What a single task is called, before its index.
    task_name: ClassVar[str]
    #: How many tasks the suite has.
    n_tasks: ClassVar[int] = 8
    max_episode_steps: ClassVar[int] = EPISODE_STEPS
    #: What each action does to the agent in each frame.
    motions: ClassVar[tuple[Motion, ...]] = WALK

    def __init__(
        self,
        task: int = 0,
        render_mode: str | None = None,
        view: str = "agent",
        action_repeat: int = ACTION_REPEAT,
    ) -> None:
        if not isinstance(action_repeat, int | np.integer) or action_repeat < 1:
            raise UsageError(f"action_repeat is {action_repeat!r}, expected an integer >= 1; pass for example 4.")
        if view not in ("agent", "top"):
            raise UsageError(f"view is {view!r}, expected 'agent' or 'top'; pass one of these.")
        self.task, self.action_repeat = task, action_repeat
        self.is_success = False
        # MiniWorld always has a buffer for pictures; it takes megabytes only where pictures are asked for.
        large = {"window_width": PICTURE, "window_height": PICTURE}
        super().__init__(
            max_episode_steps=self.max_episode_steps,
            obs_width=VIEW,
            obs_height=VIEW,
            params=_parameters(),
            render_mode=check_render_mode(render_mode),
            view=view,
            **(WINDOW if render_mode is None else large),
        )
        self.action_space = spaces.Discrete(len(self.motions))

    @abstractmethod
    def _can_stand(self, x: float, z: float) -> bool:
        """
        Tell whether the agent's body, of half width :data:`BODY`, fits in at a place.

        :param x: metres along x
        :param z: metres along z
        :return: whether nothing is in the way
        """

    @abstractmethod
    def _play_frame(self, action: int) -> float:
        """
        Do all that happens in a frame after the agent has moved.

        :param action: the agent's action
        :return: the reward of the frame
        """

    @override
    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[npt.NDArray[np.uint8], dict[str, Any]]:
        self.is_success = False
        observation, _ = super().reset(seed=seed, options=options)
        return observation, {"is_success": self.is_success}

    @classmethod
    def check_task(cls, task: int) -> None:
        """
        Refuse a task that the suite does not have.

        :param task: index of a task
        :raises ValueError: if it is not one of the ``n_tasks``
        """
        if task not in range(cls.n_tasks):
            last = cls.n_tasks - 1
            raise UsageError(f"task is {task!r}, expected an integer from 0 to {last}; pass for example task={last}.")

    @override
    def step(self, action: np.int64 | int) -> tuple[npt.NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        if not self.action_space.contains(action):
            raise UsageError(
                f"action is {action!r}, expected an integer from 0 to {self.action_space.n - 1}; "
                "pass an element of the action space."
            )
        self.step_count += 1
        reward = 0.0
        for _ in range(self.action_repeat):
            self._move(self.motions[action])
            reward += self._play_frame(int(action))
        truncated = self.step_count >= self.max_episode_steps
        return self.render_obs(), reward, False, truncated, {"is_success": self.is_success}

    @override
    def render(self) -> npt.NDArray[np.uint8] | None:
        if self.render_mode is None:
            return None
        if self.view == "top":
            # MiniWorld draws the agent as a triangle of its radius, which nothing else uses here.
            self.agent.radius = MARKER
        picture: npt.NDArray[np.uint8] = super().render()
        return picture

    def put(self, entity: Any, x: float, z: float, direction: float = 0.0) -> None:
        """
        Put the agent or a thing at a place, and into the world if it is not there yet.

        :param entity: an entity of MiniWorld
        :param x: metres along x
        :param z: metres along z
        :param direction: where it looks, in radians: 0 is along x, a quarter turn against z
        """
        entity.pos, entity.dir = np.array([x, 0.0, z]), direction
        if not any(other is entity for other in self.entities):
            self.entities.append(entity)

    def draw_direction(self) -> float:
        """
        Draw where an entity looks.

        :return: radians, from 0 to 2π
        """
        return float(self.np_random.uniform(0.0, 2.0 * np.pi))

    def _move(self, motion: Motion) -> None:
        """Turn and move the agent by one frame; it slides along what is in its way."""
        agent = self.agent
        agent.dir += np.deg2rad(motion.turn)
        if motion.forward == 0.0:
            return
        x, y, z = agent.pos.tolist()
        step_x, step_z = motion.forward * np.cos(agent.dir), -motion.forward * np.sin(agent.dir)
        if self._can_stand(x + step_x, z):
            x += step_x
        if self._can_stand(x, z + step_z):
            z += step_z
        agent.pos = np.array([x, y, z])


def _parameters() -> DomainParams:
    parameters = DEFAULT_PARAMS.no_random()
    for name, value in PARAMETERS.items():
        parameters.set(name, value)
    return parameters
