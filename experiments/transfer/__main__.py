"""``python -m experiments.transfer``."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import tyro
from typing_extensions import override

from experiments.common.command import StudyOptions, main
from experiments.common.runner import Work
from experiments.transfer.page import draw_study
from experiments.transfer.study import Run, Study
from experiments.transfer.suites import SUITES
from experiments.transfer.training import TransferWork
from sb3_distral.runs.choice import check_at_least

if TYPE_CHECKING:
    Suite = str
else:
    Suite = tyro.extras.literal_type_from_choices(list(SUITES))


@dataclass(kw_only=True)
class Transfer(StudyOptions):
    """
    Learn unseen tasks in up to nine ways, with and without the distilled policy of a training on others.

    Started again with the same folder it goes on where it stopped; seeds may be added. The models that the distilled
    policies come from are kept in the folder ``sources`` beside the results.

    :param output: Folder of the results
    :param suite: Suite of the tasks: unseen mazes, unseen goals, or unseen kinds of tasks in mazes that are always new
    :param n_seeds: Seeds of each way
    :param timesteps: Steps of each run on the unseen tasks, all together; as many as suit the suite by default
    :param source_timesteps: Steps of the training on the other tasks, likewise
    :param n_jobs: Runs at the same time, each on one core
    """

    program: ClassVar[str] = "experiments.transfer"

    output: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    suite: Suite = "grid-mazes"
    n_seeds: int = 8
    timesteps: int | None = None
    source_timesteps: int | None = None
    n_jobs: int = 2

    @property
    @override
    def study(self) -> Study:
        check_at_least(1, n_seeds=self.n_seeds, n_jobs=self.n_jobs)
        return Study.on(self.suite, tuple(range(self.n_seeds)), self.timesteps, self.source_timesteps)

    @property
    @override
    def work(self) -> Work[Run]:
        return TransferWork(self.output / "sources")


if __name__ == "__main__":
    main(Transfer, draw_study)
