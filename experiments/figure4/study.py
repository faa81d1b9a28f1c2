"""The study as data: suite × algorithm × setting × seed."""

from dataclasses import dataclass
from itertools import product
from typing import ClassVar, NamedTuple

from typing_extensions import override

from experiments.common import study as common
from sb3_distral import ALGORITHMS, tasks
from sb3_distral.errors import UsageError


class Setting(NamedTuple):
    """
    What the paper varies for every algorithm alike.

    :param entropy_cost: 1/β
    :param learning_rate: ε; it falls linearly to ε/6 in the course of the run, as in the paper
    """

    entropy_cost: float
    learning_rate: float


@dataclass(frozen=True)
class Run(common.Run):
    """One training of one algorithm in one setting."""

    suite: str
    algorithm: str
    entropy_cost: float
    learning_rate: float
    seed: int
    timesteps: int
    n_envs_per_task: int
    n_evaluations: int

    @property
    @override
    def key(self) -> str:
        return f"{self.algorithm}-cost{self.entropy_cost:g}-rate{self.learning_rate:g}-seed{self.seed}"

    @property
    def setting(self) -> Setting:
        """What is varied."""
        return Setting(self.entropy_cost, self.learning_rate)


@dataclass(frozen=True)
class Study(common.Study[Run]):
    """
    All runs of the study on one suite.

    :param suite: Suite of tasks
    :param algorithms: Names of Table 1
    :param entropy_costs: The values of 1/β
    :param learning_rates: The values of ε
    :param seeds: Seeds of every algorithm in every setting
    :param timesteps: Steps of a run, all tasks together
    :param n_envs_per_task: Sub-environments of each task
    :param n_evaluations: How often a run evaluates its distilled policy
    :raises UsageError: If a value is there twice, or a run has too few steps for an episode
    """

    suite: str
    algorithms: tuple[str, ...] = tuple(ALGORITHMS)
    entropy_costs: tuple[float, ...] = (0.003, 0.01, 0.03)
    learning_rates: tuple[float, ...] = (2e-3, 4e-3, 8e-3)
    seeds: tuple[int, ...] = (0, 1, 2, 3)
    timesteps: int = 307_200
    n_envs_per_task: int = 8
    n_evaluations: int = 8

    kind: ClassVar[str] = "figure4"
    grows_by: ClassVar[tuple[str, ...]] = ("algorithms", "seeds")

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        suite = tasks.SUITES[self.suite]
        length, n_envs = suite.max_episode_steps, suite.n_tasks * self.n_envs_per_task
        if self.timesteps < length * n_envs:
            raise UsageError(
                f"--timesteps is {self.timesteps}, expected at least {length * n_envs}: an episode of {length} steps "
                f"in each of the {n_envs} sub-environments of {self.suite}. Pass more steps."
            )

    @property
    def settings(self) -> tuple[Setting, ...]:
        """All pairs of an entropy cost and a learning rate, the same for every algorithm."""
        return tuple(Setting(*pair) for pair in product(self.entropy_costs, self.learning_rates))

    @property
    @override
    def runs(self) -> list[Run]:
        # Seed by seed, so that a part of a study holds something of everything.
        places = product(self.seeds, self.settings, self.algorithms)
        return [self.run(algorithm, setting, seed) for seed, setting, algorithm in places]

    def run(self, algorithm: str, setting: Setting, seed: int) -> Run:
        """
        Make one run.

        :param algorithm: An algorithm
        :param setting: A setting
        :param seed: A seed
        :return: The run
        """
        return Run(self.suite, algorithm, *setting, seed, self.timesteps, self.n_envs_per_task, self.n_evaluations)


#: The studies behind Figure 4: settings and steps that suit each suite on two cores, the same for all algorithms.
FIGURE_4 = {
    "grid-mazes": Study("grid-mazes"),
    # Half as many tasks share the steps: as many episodes of each as on grid-mazes.
    "grid-navigation": Study("grid-navigation", timesteps=153_600),
    # Bots and maps take longer to simulate: half the steps, so that the study takes no longer than the others.
    "grid-tag": Study("grid-tag", timesteps=153_600),
}
#: Suites whose scores are divided by those of the best A3C on each task, as in the paper.
NORMALISED_SUITES = ("grid-navigation", "grid-tag")
