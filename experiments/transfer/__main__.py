"""``python -m experiments.transfer``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import tyro
from typing_extensions import override

from experiments.common.command import StudyOptions, main
from experiments.common.runner import Work
from experiments.transfer.page import draw_study
from experiments.transfer.study import Run, Study
from experiments.transfer.training import TransferWork
from sb3_distral.runs.choice import check_at_least


@dataclass(kw_only=True)
class Transfer(StudyOptions):
    """
    Learn unseen mazes in nine ways, with and without the distilled policy of a training on other mazes.

    Started again with the same folder it goes on where it stopped; seeds may be added. The models that the distilled
    policies come from are kept in the folder ``sources`` beside the results.

    :param output: Folder of the results
    :param n_seeds: Seeds of each way
    :param timesteps: Steps of each run on the unseen mazes, all together
    :param source_timesteps: Steps of the training on the other mazes, all together
    :param n_jobs: Runs at the same time, each on one core
    """

    program: ClassVar[str] = "experiments.transfer"

    output: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    n_seeds: int = 8
    timesteps: int = 256_000
    source_timesteps: int = 307_200
    n_jobs: int = 2

    @property
    @override
    def study(self) -> Study:
        check_at_least(1, n_seeds=self.n_seeds, n_jobs=self.n_jobs, source_timesteps=self.source_timesteps)
        return Study(tuple(range(self.n_seeds)), self.timesteps, self.source_timesteps)

    @property
    @override
    def work(self) -> Work[Run]:
        return TransferWork(self.output / "sources")


if __name__ == "__main__":
    main(Transfer, draw_study)
