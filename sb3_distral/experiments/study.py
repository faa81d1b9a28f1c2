"""A study as data: suite × algorithm × setting × seed."""

from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any, NamedTuple

from sb3_distral.algorithms.table1 import ALGORITHMS


class Setting(NamedTuple):
    """
    What the paper varies for every algorithm alike.

    :param entropy_cost: 1/β
    :param learning_rate: ε; it falls linearly to ε/6 in the course of the run, as in the paper
    """

    entropy_cost: float
    learning_rate: float


@dataclass(frozen=True)
class Run:
    """One training of one algorithm."""

    suite: str
    algorithm: str
    setting: Setting
    seed: int
    timesteps: int
    n_envs_per_task: int
    n_evaluations: int

    @property
    def key(self) -> str:
        """Name of the run inside its study."""
        return f"{self.algorithm}-cost{self.setting.entropy_cost:g}-rate{self.setting.learning_rate:g}-seed{self.seed}"


@dataclass(frozen=True)
class Study:
    """
    All runs of an experiment.

    :param suite: Suite of tasks
    :param algorithms: Names of Table 1
    :param entropy_costs: The values of 1/β
    :param learning_rates: The values of ε
    :param n_seeds: Seeds of every algorithm in every setting: 0, 1, …
    :param timesteps: Steps of a run, all tasks together
    :param n_envs_per_task: Sub-environments of each task
    :param n_evaluations: How often a run evaluates its distilled policy
    :raises ValueError: If an algorithm, an entropy cost or a learning rate is there twice
    """

    suite: str
    algorithms: tuple[str, ...] = tuple(ALGORITHMS)
    entropy_costs: tuple[float, ...] = (0.003, 0.01, 0.03)
    learning_rates: tuple[float, ...] = (1e-3, 2e-3, 4e-3)
    n_seeds: int = 4
    timesteps: int = 307_200
    n_envs_per_task: int = 8
    n_evaluations: int = 8

    def __post_init__(self) -> None:
        """Refuse runs that would write the same file at once."""
        for name in ("algorithms", "entropy_costs", "learning_rates"):
            values = getattr(self, name)
            repeated = sorted({value for value in values if values.count(value) > 1})
            if repeated:
                raise ValueError(f"{name} holds {repeated} more than once in {list(values)}. Give each one once.")

    @property
    def settings(self) -> tuple[Setting, ...]:
        """All pairs of an entropy cost and a learning rate, the same for every algorithm."""
        return tuple(Setting(*pair) for pair in product(self.entropy_costs, self.learning_rates))

    @property
    def runs(self) -> list[Run]:
        """All runs, seed by seed, so that a part of a study holds something of everything."""
        places = product(range(self.n_seeds), self.settings, self.algorithms)
        return [self.run(algorithm, setting, seed) for seed, setting, algorithm in places]

    def run(self, algorithm: str, setting: Setting, seed: int) -> Run:
        """
        :param algorithm: An algorithm
        :param setting: A setting
        :param seed: A seed
        :return: That run
        """
        return Run(self.suite, algorithm, setting, seed, self.timesteps, self.n_envs_per_task, self.n_evaluations)

    def joined(self, other: "Study") -> "Study":
        """
        :param other: Another study
        :return: The study with the algorithms and seeds of both
        :raises ValueError: If they differ in anything else
        """
        n_seeds = max(self.n_seeds, other.n_seeds)
        algorithms = tuple(name for name in ALGORITHMS if name in self.algorithms + other.algorithms)
        joined, wanted = (replace(study, algorithms=algorithms, n_seeds=n_seeds) for study in (self, other))
        differing = [name for name, value in vars(joined).items() if value != getattr(wanted, name)]
        if differing:
            own, given = (
                ", ".join(f"{name}={getattr(study, name)!r}" for name in differing) for study in (self, other)
            )
            raise ValueError(
                f"The folder holds a study with {own}, which differs from {given}: only algorithms and seeds can be "
                "added. Pass another --output, or the options that the study began with."
            )
        return joined

    def as_json(self) -> dict[str, Any]:
        """
        :return: The study for JSON
        """
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Study":
        """
        :param values: What :meth:`as_json` gave, read back from a file
        :return: The study
        """
        lists: dict[str, Any] = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        return cls(**values | lists)


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
