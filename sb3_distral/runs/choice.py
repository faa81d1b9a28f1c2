"""Which tasks, and checks of options."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sb3_distral import tasks
from sb3_distral.envs.task_vec_env import TaskVecEnv, make_task_vec_env
from sb3_distral.errors import UsageError

#: Largest arguments of suites, which take memory
MOST = {"n_tasks": 1000, "size": 999}
#: Largest n_tasks × size³, to which the memory of mazes is proportional
LARGEST = 20_000_000


@dataclass(kw_only=True)
class TaskChoice:
    """
    Which tasks.

    :param suite: A suite of tasks that comes with the package
    :param envs: Instead of a suite: a gymnasium id for each task, all of equal spaces
    :param suite_arguments: Arguments of the suite, such as maze_seed=1 or n_tasks=4
    """

    suite: str | None = None
    envs: tuple[str, ...] = ()
    suite_arguments: Mapping[str, float] = field(default_factory=dict)

    def make_env(self, n_envs_per_task: int, render_mode: str | None = None) -> TaskVecEnv:
        """
        Make the tasks.

        :param n_envs_per_task: Sub-environments of each task
        :param render_mode: How a suite is drawn, ``"rgb_array"`` or not at all; gymnasium ids that can be always are
        :return: The tasks side by side
        :raises UsageError: If not exactly one of suite and ids was given, or they cannot be made
        """
        if (self.suite is None) != bool(self.envs):
            given = f"--suite {self.suite} together with --envs {' '.join(self.envs)}" if self.envs else "no task"
            raise UsageError(
                f"Got {given}; expected a suite or gymnasium ids. Pass either --suite with one of "
                f"{sorted(tasks.SUITES)}, or --envs with an id for each task."
            )
        suite_arguments: dict[str, Any] = self.all_suite_arguments()
        try:
            if self.suite is not None:
                return tasks.make(self.suite, n_envs_per_task, render_mode=render_mode, **suite_arguments)
            return make_task_vec_env(self.envs, n_envs_per_task)
        except ImportError as error:  # MiniWorld or OpenGL is missing
            given = f"--envs {' '.join(self.envs)}" if self.suite is None else f"--suite {self.suite}"
            raise UsageError(f"{given} cannot be made: {error}") from error

    def make_eval_env(self, n_episodes: int) -> TaskVecEnv:
        """
        Make the tasks for an evaluation.

        :param n_episodes: Episodes of each task that one evaluation plays
        :return: The tasks with as many sub-environments as pay for these
        :raises UsageError: As :meth:`make_env`
        """
        # Many episodes side by side in an array program take hardly longer than one.
        most = 1 if self.suite is None else 32 if tasks.SUITES[self.suite].is_array_program else 4
        return self.make_env(max(n for n in range(1, most + 1) if n_episodes % n == 0))

    def all_suite_arguments(self) -> dict[str, float]:
        """
        List the arguments of the suite.

        :return: The arguments, with the defaults of those not given; of gymnasium ids none
        :raises UsageError: If the suite or an argument is unknown, or an argument is negative, too large or should be
            an integer
        """
        if self.suite is None:
            if self.suite_arguments:
                raise UsageError(f"--suite-arguments {_words(self.suite_arguments)} were given without --suite.")
            return {}
        if self.suite not in tasks.SUITES:
            raise UsageError(f"There is no suite {self.suite!r}; expected one of {sorted(tasks.SUITES)}.")
        values = {**tasks.default_arguments(self.suite), "n_tasks": tasks.SUITES[self.suite].n_tasks}
        for name, value in self.suite_arguments.items():
            most = MOST.get(name, float("inf"))
            kind = "number" if isinstance(values.get(name), float) else "natural number"
            if value > most:
                raise UsageError(f"--suite-arguments got {f'{name}={value}'!r}; expected at most {name}={most}.")
            if name not in values or value < 0 or (kind == "natural number" and not isinstance(value, int)):
                raise UsageError(
                    f"--suite-arguments got {f'{name}={value}'!r}; expected a {kind} for one of the names "
                    f"{sorted(values)}, for example {name if name in values else sorted(values)[0]}=1."
                )
        values |= self.suite_arguments
        if values["n_tasks"] * values.get("size", 1) ** 3 > LARGEST:
            raise UsageError(
                f"--suite-arguments ask for {values['n_tasks']} mazes of size {values['size']}; expected n_tasks × "
                f"size³ to be at most {LARGEST}, since their observations are held in memory. Give smaller or fewer "
                "ones."
            )
        return values

    def is_same(self, other: "TaskChoice") -> bool:
        """
        Compare with another choice.

        :param other: The other choice
        :return: Whether it stands for the same tasks
        """
        own = (self.suite, self.envs, self.all_suite_arguments())
        return own == (other.suite, other.envs, other.all_suite_arguments())


def _words(arguments: Mapping[str, float]) -> str:
    return " ".join(f"{name}={value}" for name, value in arguments.items())


def check_at_least(minimum: int, **values: float) -> None:
    """
    Refuse numbers that are too small.

    :param minimum: Smallest allowed value
    :param values: Values of options
    :raises UsageError: If one is smaller
    """
    for name, value in values.items():
        if value < minimum:
            raise UsageError(f"--{name.replace('_', '-')} is {value}, expected at least {minimum}.")


def check_positive(**values: float) -> None:
    """
    Refuse numbers that are not above 0.

    :param values: Values of options
    :raises UsageError: If one is not above 0
    """
    for name, value in values.items():
        if not value > 0:
            raise UsageError(f"--{name.replace('_', '-')} is {value}, expected a number above 0.")
