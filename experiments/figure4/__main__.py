"""``python -m experiments.figure4``."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro
from typing_extensions import override

from experiments.common.command import Algorithm, StudyOptions, main
from experiments.common.runner import Work
from experiments.figure4.figures import draw_study
from experiments.figure4.study import FIGURE_4, Run, Study
from experiments.figure4.training import train_run
from sb3_distral import ALGORITHMS
from sb3_distral.runs.choice import check_at_least


@dataclass(kw_only=True)
class Figure4(StudyOptions):
    """
    Run the study behind Figure 4: algorithms × nine settings × seeds, in parallel.

    Started again with the same folder it goes on where it stopped; algorithms and seeds may be added. The figures and
    claims.md are drawn at the end. The exit code is 1 if runs failed. docs/figure4.md says how to use a cluster.

    :param suite: Tasks
    :param output: Folder of the results
    :param algorithms: Algorithms of Table 1, all seven by default
    :param n_seeds: Seeds of each algorithm in each setting
    :param timesteps: Steps of each run, all tasks together; by default as many as suit the suite
    :param n_jobs: Runs at the same time, each on one core
    """

    program: ClassVar[str] = "experiments.figure4"

    suite: Literal["grid-mazes", "grid-navigation", "grid-tag"]
    output: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    algorithms: tuple[Algorithm, ...] = tuple(ALGORITHMS)
    n_seeds: int = 4
    timesteps: int | None = None
    n_jobs: int = 2

    @property
    @override
    def study(self) -> Study:
        study = FIGURE_4[self.suite]
        timesteps = study.timesteps if self.timesteps is None else self.timesteps
        check_at_least(1, n_seeds=self.n_seeds, n_jobs=self.n_jobs, timesteps=timesteps)
        return replace(study, algorithms=self.algorithms, seeds=tuple(range(self.n_seeds)), timesteps=timesteps)

    @property
    @override
    def work(self) -> Work[Run]:
        return train_run


if __name__ == "__main__":
    main(Figure4, draw_study)
