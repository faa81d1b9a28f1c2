"""``python -m experiments.scales``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import tyro
from typing_extensions import override

from experiments.common.command import StudyOptions, main
from experiments.common.runner import Work
from experiments.scales.page import draw_study
from experiments.scales.study import Run, Study
from experiments.scales.training import train
from sb3_distral.runs.choice import check_at_least


@dataclass(kw_only=True)
class Scales(StudyOptions):
    """
    Train mazes whose rewards differ by a factor of 1000, with and without normalised returns.

    Started again with the same folder it goes on where it stopped; seeds may be added.

    :param output: Folder of the results
    :param n_seeds: Seeds of each algorithm, with and without
    :param timesteps: Steps of each run, all mazes together
    :param n_jobs: Runs at the same time, each on one core
    """

    program: ClassVar[str] = "experiments.scales"

    output: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    n_seeds: int = 8
    timesteps: int = 307_200
    n_jobs: int = 2

    @property
    @override
    def study(self) -> Study:
        check_at_least(1, n_seeds=self.n_seeds, n_jobs=self.n_jobs)
        return Study(tuple(range(self.n_seeds)), self.timesteps)

    @property
    @override
    def work(self) -> Work[Run]:
        return train


if __name__ == "__main__":
    main(Scales, draw_study)
