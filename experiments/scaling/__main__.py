"""``python -m experiments.scaling``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import tyro
from typing_extensions import override

from experiments.common.command import StudyOptions, main
from experiments.common.runner import Work
from experiments.scaling.page import draw_study
from experiments.scaling.study import Run, Study
from experiments.scaling.training import train_run
from sb3_distral.runs.choice import check_at_least


@dataclass(kw_only=True)
class Scaling(StudyOptions):
    """
    Train the seven algorithms on more and more mazes, with the same steps in all.

    Started again with the same folder it goes on where it stopped; seeds and numbers of mazes may be added.

    :param output: Folder of the results
    :param n_tasks: Numbers of mazes
    :param n_seeds: Seeds of each algorithm on each number of mazes
    :param timesteps: Steps of each run, all mazes together
    :param n_envs: Sub-environments, all mazes together
    :param n_jobs: Runs at the same time, each on one core
    """

    program: ClassVar[str] = "experiments.scaling"

    output: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    n_tasks: tuple[int, ...] = (4, 16, 64)
    n_seeds: int = 5
    timesteps: int = 614_400
    n_envs: int = 256
    n_jobs: int = 2

    @property
    @override
    def study(self) -> Study:
        check_at_least(1, n_seeds=self.n_seeds, n_jobs=self.n_jobs, n_envs=self.n_envs)
        return Study(self.n_tasks, tuple(range(self.n_seeds)), self.timesteps, self.n_envs)

    @property
    @override
    def work(self) -> Work[Run]:
        return train_run


if __name__ == "__main__":
    main(Scaling, draw_study)
