"""``python -m experiments.view``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import tyro
from typing_extensions import override

from experiments.common.command import StudyOptions, main
from experiments.common.runner import Work
from experiments.view.page import draw_study
from experiments.view.study import Run, Study
from experiments.view.training import do_run
from sb3_distral.runs.choice import check_at_least


@dataclass(kw_only=True)
class View(StudyOptions):
    """
    Train on eight mazes while π0 sees all, or not where it is, and look what it is worth on unseen mazes.

    Started again with the same folder it goes on where it stopped; seeds may be added.

    :param output: Folder of the results
    :param n_seeds: Seeds of each view
    :param timesteps: Steps of each training, all mazes together
    :param n_jobs: Runs at the same time, each on one core
    """

    program: ClassVar[str] = "experiments.view"

    output: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    n_seeds: int = 8
    timesteps: int = 307_200
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
    main(View, draw_study)
