"""
The suite ``pendulums``: swing up a pendulum with a weak motor; each task has a pendulum of another mass and length.

The task is gymnasium's ``Pendulum-v1``, whose pendulum has mass 1 and length 1, for learning with continuous actions.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from typing_extensions import override

from sb3_distral.tasks.adapters import SingleTaskEnv
from sb3_distral.tasks.batched import Array, BatchedTasks
from sb3_distral.tasks.checks import check_seed

#: Acceleration of gravity in m/s², and duration of a step in seconds.
GRAVITY, STEP = 10.0, 0.05

#: The motor's greatest torque in Nm, and the greatest angular velocity in rad/s.
MAX_TORQUE, MAX_VELOCITY = 2.0, 8.0

#: Bounds of masses in kg and of lengths in m.
MASSES = LENGTHS = (0.6, 1.4)

#: Weights of angular velocity and torque in the costs, beside 1 for the angle; all are squared.
VELOCITY_COST, TORQUE_COST = 0.1, 0.001

#: Width and height of a picture in pixels, and pixels for a metre.
PICTURE, METRE = 192, 56

PAPER_COLOUR, ROD_COLOUR, PIVOT_COLOUR = (240, 238, 230), (45, 50, 60), (215, 70, 50)
TORQUE_COLOUR, TRACK_COLOUR = (50, 110, 210), (215, 213, 205)

# (right, up) of the centre of each pixel from the pivot in metres, shape (PICTURE, PICTURE, 2).
_AXIS = (np.arange(PICTURE) - (PICTURE - 1) / 2) / METRE
_PLACES = np.stack(np.meshgrid(_AXIS, -_AXIS), axis=-1)


def draw_pendulum(task: int, pendulum_seed: int = 0) -> tuple[float, float]:
    """
    Draw the pendulum of one task, uniformly within :data:`MASSES` and :data:`LENGTHS`.

    :param task: index of the task
    :param pendulum_seed: seed of the whole suite; other seeds give new tasks
    :return: mass in kg and length in m
    """
    generator = np.random.default_rng([pendulum_seed, task])
    return float(generator.uniform(*MASSES)), float(generator.uniform(*LENGTHS))


class Pendulums(BatchedTasks):
    """
    A rod that turns about one end, under gravity and the torque of a motor too weak to lift most rods at once.

    Mass and length differ between tasks. Gravity and motor are the same: gravity and torque turn the rod by 3g/2l and
    3/(ml²), so that mass and length alone give all the pendulums there are. The episode is cut off after 200 steps.

    Action: the torque, ``float32``, shape ``(1,)``, from -2 to 2 Nm; what is beyond is clipped. Reward of a step:
    -(angle² + 0.1 velocity² + 0.001 torque²), with the angle from upright, from -π to π, and the velocity before the
    step. Every episode starts at a random angle with a velocity between -1 and 1 rad/s.

    Observation, ``float32``, length 3: cosine and sine of the angle, angular velocity. It does not tell the task.

    In pictures the rod is as long and as heavy as it is, and the bar below is the torque of the last step.

    :param tasks: task of each sub-environment, shape ``(n_envs,)``
    :param pendulum_seed: seed of masses and lengths; another seed gives new tasks
    :raises ValueError: if an argument is outside its range
    """

    task_name = "pendulum"
    max_episode_steps = 200
    state_arrays: ClassVar[tuple[str, ...]] = ("angle", "velocity", "torque")
    row_attributes: ClassVar[tuple[str, ...]] = (*state_arrays, "tasks", "mass", "length")

    def __init__(self, tasks: Sequence[int], pendulum_seed: int = 0) -> None:
        check_seed("pendulum_seed", pendulum_seed)
        super().__init__(tasks)
        self.pendulum_seed = pendulum_seed
        self.mass, self.length = np.array([draw_pendulum(int(task), pendulum_seed) for task in self.tasks]).T
        high = np.array([1.0, 1.0, MAX_VELOCITY], dtype=np.float32)
        self.observation_space = spaces.Box(-high, high)
        self.action_space = spaces.Box(-MAX_TORQUE, MAX_TORQUE, (1,))
        self.angle, self.velocity, self.torque = np.zeros((3, self.n_envs))
        self._begin_episode(np.arange(self.n_envs))

    @property
    @override
    def fingerprint(self) -> str:
        return f"{type(self).__name__} {self.pendulum_seed} {self.tasks.tolist()}"

    @override
    def _begin_episode(self, rows: Array) -> None:
        for row in rows:
            self.angle[row], self.velocity[row] = self.generators[row].uniform([-np.pi, -1.0], [np.pi, 1.0])
        self.torque[rows] = 0.0

    @override
    def _observe(self, rows: Array | slice) -> Array:
        angle = self.angle[rows]
        return np.stack([np.cos(angle), np.sin(angle), self.velocity[rows]], axis=1).astype(np.float32)

    @override
    def _advance(self, actions: Array) -> tuple[Array, Array]:
        self.torque[:] = np.clip(actions[:, 0], -MAX_TORQUE, MAX_TORQUE)
        from_upright = (self.angle + np.pi) % (2 * np.pi) - np.pi
        costs = from_upright**2 + VELOCITY_COST * self.velocity**2 + TORQUE_COST * self.torque**2
        falling = 3 * GRAVITY / (2 * self.length) * np.sin(self.angle)
        turning = 3.0 / (self.mass * self.length**2) * self.torque
        self.velocity[:] = np.clip(self.velocity + (falling + turning) * STEP, -MAX_VELOCITY, MAX_VELOCITY)
        self.angle += self.velocity * STEP
        return -costs, np.zeros(self.n_envs, dtype=np.bool_)

    @override
    def render(self, row: int) -> npt.NDArray[np.uint8]:
        picture = np.full((PICTURE, PICTURE, 3), PAPER_COLOUR, dtype=np.uint8)
        # The angle grows counter-clockwise.
        end = np.array([-np.sin(self.angle[row]), np.cos(self.angle[row])]) * self.length[row]
        along = np.clip(_PLACES @ end / self.length[row] ** 2, 0.0, 1.0)
        beside = np.linalg.norm(_PLACES - along[..., None] * end, axis=-1)
        picture[beside <= 0.1 * self.mass[row] / self.length[row]] = ROD_COLOUR
        picture[np.hypot(*np.moveaxis(_PLACES, -1, 0)) <= 0.05] = PIVOT_COLOUR
        right = _AXIS / _AXIS[-1] * MAX_TORQUE
        bar = picture[-8:-2]
        bar[:] = TRACK_COLOUR
        bar[:, (right * self.torque[row] >= 0.0) & (np.abs(right) <= abs(self.torque[row]))] = TORQUE_COLOUR
        return picture


class PendulumEnv(SingleTaskEnv):
    """
    One pendulum as a gymnasium environment, see :class:`Pendulums`; ids ``sb3_distral/Pendulum-0-v0`` to ``-7-v0``.

    :param task: index of the task
    :param pendulum_seed: seed of masses and lengths
    :param render_mode: ``None`` or ``"rgb_array"``
    :raises ValueError: if an argument is outside its range
    """

    batch: Pendulums

    def __init__(self, task: int = 0, pendulum_seed: int = 0, render_mode: str | None = None) -> None:
        super().__init__(Pendulums([task], pendulum_seed), render_mode)
