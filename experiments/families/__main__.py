"""``python -m experiments.families``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import tyro
from typing_extensions import override

from experiments.common.command import StudyOptions, main
from experiments.common.runner import Work
from experiments.families.page import draw_study
from experiments.families.study import Run, Study
from experiments.families.training import do_run
from sb3_distral.runs.choice import check_at_least


@dataclass(kw_only=True)
class Families(StudyOptions):
    """
    Learn tasks of two families that want opposite switches, and of one, with one distilled policy and with two.

    Started again with the same folder it goes on where it stopped; seeds may be added.

    :param output: Folder of the results
    :param n_seeds: Seeds of each way
    :param timesteps: Steps of each run, all tasks together
    :param n_jobs: Runs at the same time, each on one core
    """

    program: ClassVar[str] = "experiments.families"

    output: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    n_seeds: int = 8
    timesteps: int = 204_800
    n_jobs: int = 2

    @property
    @override
    def study(self) -> Study:
        check_at_least(1, n_seeds=self.n_seeds, n_jobs=self.n_jobs, timesteps=self.timesteps)
        return Study(tuple(range(self.n_seeds)), self.timesteps)

    @property
    @override
    def work(self) -> Work[Run]:
        return do_run


if __name__ == "__main__":
    main(Families, draw_study)
