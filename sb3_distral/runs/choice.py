"""Options that commands share."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from sb3_distral import tasks
from sb3_distral.envs.task_vec_env import TaskVecEnv, make_task_vec_env
from sb3_distral.errors import UsageError

SUITE_NAMES = sorted(tasks.SUITES)
if TYPE_CHECKING:
    Suite = str
else:
    Suite = tyro.extras.literal_type_from_choices(SUITE_NAMES)


@dataclass(kw_only=True)
class TaskChoice:
    """
    Which tasks.

    :param suite: A suite of tasks that comes with the package
    :param envs: Instead of a suite: a gymnasium id for each task, all of equal spaces
    :param suite_arguments: Arguments of the suite, such as maze_seed=1 or n_tasks=4
    """

    suite: Annotated[Suite | None, tyro.conf.arg(metavar=f"{{{','.join(SUITE_NAMES)}}}")] = None
    envs: Annotated[tuple[str, ...], tyro.conf.arg(metavar="ID [ID ...]")] = ()
    suite_arguments: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME=INTEGER [...]")] = ()

    def make_env(self, n_envs_per_task: int) -> TaskVecEnv:
        """
        :param n_envs_per_task: Sub-environments of each task
        :return: The tasks side by side
        :raises ValueError: If not exactly one of suite and ids was given, or they cannot be made
        """
        if (self.suite is None) != bool(self.envs):
            given = f"--suite {self.suite} together with --envs {' '.join(self.envs)}" if self.envs else "no task"
            raise UsageError(
                f"Got {given}; expected a suite or gymnasium ids. Pass either --suite with one of {SUITE_NAMES}, or "
                "--envs with an id for each task."
            )
        if self.suite is None and self.suite_arguments:
            raise UsageError(f"--suite-arguments {' '.join(self.suite_arguments)} were given without --suite.")
        suite_arguments: dict[str, Any] = self.all_suite_arguments()
        try:
            if self.suite is not None:
                return tasks.make(self.suite, n_envs_per_task, **suite_arguments)
            return make_task_vec_env(self.envs, n_envs_per_task)
        except ImportError as error:  # MiniWorld or OpenGL is missing
            given = f"--envs {' '.join(self.envs)}" if self.suite is None else f"--suite {self.suite}"
            raise UsageError(f"{given} cannot be made: {error}") from error

    def make_eval_env(self, n_episodes: int) -> TaskVecEnv:
        """
        :param n_episodes: Episodes of each task that one evaluation plays
        :return: The tasks with as many sub-environments as pay for these
        """
        # Many episodes side by side in an array program take hardly longer than one.
        most = 1 if self.suite is None else 32 if tasks.SUITES[self.suite].is_array_program else 4
        return self.make_env(max(n for n in range(1, most + 1) if n_episodes % n == 0))

    def all_suite_arguments(self) -> dict[str, int]:
        """
        :return: Arguments of the suite, with the defaults of those not given
        :raises ValueError: If one is unknown or no natural number
        """
        if self.suite is None:
            return {}
        values = {**tasks.default_arguments(self.suite), "n_tasks": tasks.SUITES[self.suite].n_tasks}
        for argument in self.suite_arguments:
            name, _, value = argument.partition("=")
            if name not in values or not value.isdecimal():
                raise UsageError(
                    f"--suite-arguments got {argument!r}; expected NAME=INTEGER with one of the names "
                    f"{sorted(values)}, for example {name if name in values else sorted(values)[0]}=1."
                )
            values[name] = int(value)
        return values

    def is_same(self, other: "TaskChoice") -> bool:
        """
        :param other: Another choice
        :return: Whether it stands for the same tasks
        """
        own = (self.suite, self.envs, self.all_suite_arguments())
        return own == (other.suite, other.envs, other.all_suite_arguments())


def check_at_least(minimum: int, **values: float) -> None:
    """
    :param minimum: Smallest allowed value
    :param values: Values of options
    :raises ValueError: If one is smaller
    """
    for name, value in values.items():
        if value < minimum:
            raise UsageError(f"--{name.replace('_', '-')} is {value}, expected at least {minimum}.")


def check_positive(**values: float) -> None:
    """
    :param values: Values of options
    :raises ValueError: If one is not above 0
    """
    for name, value in values.items():
        if not value > 0:
            raise UsageError(f"--{name.replace('_', '-')} is {value}, expected a number above 0.")
