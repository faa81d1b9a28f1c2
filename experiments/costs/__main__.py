"""``python -m experiments.costs``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import tyro
from typing_extensions import override

from experiments.common.command import Algorithm, StudyOptions, main
from experiments.common.runner import Work
from experiments.costs.page import draw_study
from experiments.costs.study import Run, Study
from experiments.costs.training import train
from sb3_distral.runs.choice import check_at_least


@dataclass(kw_only=True)
class Costs(StudyOptions):
    """
    Train mazes with costs from far too small to far too large, fixed and as the start of a controller.

    Started again with the same folder it goes on where it stopped; seeds, algorithms, learning rates and 1/β
    may be added.

    :param output: Folder of the results
    :param n_seeds: Seeds of each
    :param algorithms: Algorithms
    :param rates: Learning rates ε
    :param inverse_betas: 1/β, fixed or at the start of the controller
    :param timesteps: Steps of each run, all mazes together
    :param n_jobs: Runs at the same time, each on one core
    """

    program: ClassVar[str] = "experiments.costs"

    output: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    n_seeds: int = 8
    algorithms: tuple[Algorithm, ...] = ("KL+ent_2col", "KL_2col")
    rates: tuple[float, ...] = (2e-3, 4e-3)
    inverse_betas: tuple[float, ...] = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
    timesteps: int = 307_200
    n_jobs: int = 2

    @property
    @override
    def study(self) -> Study:
        check_at_least(1, n_seeds=self.n_seeds, n_jobs=self.n_jobs)
        return Study(tuple(range(self.n_seeds)), self.algorithms, self.rates, self.inverse_betas, self.timesteps)

    @property
    @override
    def work(self) -> Work[Run]:
        return train


if __name__ == "__main__":
    main(Costs, draw_study)
