"""``python -m experiments.likeness``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import tyro
from typing_extensions import override

from experiments.common.command import StudyOptions, main
from experiments.common.runner import Work
from experiments.likeness.page import draw_study
from experiments.likeness.study import Run, Study
from experiments.likeness.training import train_run
from sb3_distral.runs.choice import check_at_least


@dataclass(kw_only=True)
class Likeness(StudyOptions):
    """
    Train six algorithms on tasks that are more and more alike, from opposite wishes to one task.

    Started again with the same folder it goes on where it stopped; seeds and values of the dial may be added.

    :param output: Folder of the results
    :param likeness: Values of the dial, from 0 to 1 in eighths
    :param n_seeds: Seeds of each algorithm at each value
    :param timesteps: Steps of each run, all tasks together
    :param n_jobs: Runs at the same time, each on one core
    """

    program: ClassVar[str] = "experiments.likeness"

    output: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    likeness: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    n_seeds: int = 5
    timesteps: int = 204_800
    n_jobs: int = 2

    @property
    @override
    def study(self) -> Study:
        check_at_least(1, n_seeds=self.n_seeds, n_jobs=self.n_jobs)
        return Study(self.likeness, tuple(range(self.n_seeds)), self.timesteps)

    @property
    @override
    def work(self) -> Work[Run]:
        return train_run


if __name__ == "__main__":
    main(Likeness, draw_study)
