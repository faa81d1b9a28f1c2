"""``python -m experiments.warm_start``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import tyro
from typing_extensions import override

from experiments.common.command import StudyOptions, main
from experiments.common.runner import Work
from experiments.warm_start.page import draw_study
from experiments.warm_start.study import Run, Study
from experiments.warm_start.training import WarmStartWork
from sb3_distral.runs.choice import check_at_least


@dataclass(kw_only=True)
class WarmStart(StudyOptions):
    """
    Let PPO learn unseen mazes one by one, from nothing, from the weights of π0, or with π0 in the reward.

    Started again with the same folder it goes on where it stopped; seeds may be added. The model that π0 comes from is
    kept in the folder ``sources`` beside the results.

    :param output: Folder of the results
    :param n_seeds: Seeds of each way in each maze
    :param timesteps: Steps of each run
    :param source_timesteps: Steps of the training on the other mazes, all together
    :param n_jobs: Runs at the same time, each on one core
    """

    program: ClassVar[str] = "experiments.warm_start"

    output: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    n_seeds: int = 5
    timesteps: int = 64_000
    source_timesteps: int = 307_200
    n_jobs: int = 2

    @property
    @override
    def study(self) -> Study:
        check_at_least(1, n_seeds=self.n_seeds, n_jobs=self.n_jobs, source_timesteps=self.source_timesteps)
        seeds = tuple(range(self.n_seeds))
        return Study(seeds, timesteps=self.timesteps, source_timesteps=self.source_timesteps)

    @property
    @override
    def work(self) -> Work[Run]:
        return WarmStartWork(self.output / "sources")


if __name__ == "__main__":
    main(WarmStart, draw_study)
