"""``python -m experiments.continual``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import tyro
from typing_extensions import override

from experiments.common.command import StudyOptions, main
from experiments.common.runner import Work
from experiments.continual.page import draw_study
from experiments.continual.study import Run, Study
from experiments.continual.training import ContinualWork
from sb3_distral.runs.choice import check_at_least


@dataclass(kw_only=True)
class Continual(StudyOptions):
    """
    Learn mazes that arrive in groups, of which the earlier ones are removed, with and without rehearsal of π0.

    Started again with the same folder it goes on where it stopped; seeds may be added. The models of the first group,
    with which all ways go on, are kept in the folder ``sources`` beside the results.

    :param output: Folder of the results
    :param n_seeds: Seeds of each way
    :param timesteps: Steps on each group, of all its mazes together
    :param n_groups: Groups that the eight mazes arrive in
    :param n_jobs: Runs at the same time, each on one core
    """

    program: ClassVar[str] = "experiments.continual"

    output: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    n_seeds: int = 5
    timesteps: int = 128_000
    n_groups: int = 2
    n_jobs: int = 2

    @property
    @override
    def study(self) -> Study:
        check_at_least(1, n_seeds=self.n_seeds, n_jobs=self.n_jobs)
        return Study(tuple(range(self.n_seeds)), self.timesteps, self.n_groups)

    @property
    @override
    def work(self) -> Work[Run]:
        return ContinualWork(self.output / "sources")


if __name__ == "__main__":
    main(Continual, draw_study)
