"""``python -m experiments.mazes``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import tyro
from typing_extensions import override

from experiments.common.command import Algorithm, StudyOptions, main
from experiments.common.runner import Work
from experiments.mazes.page import draw_study
from experiments.mazes.study import Run, Study
from experiments.mazes.training import MazeWork
from sb3_distral.runs.choice import check_at_least


@dataclass(kw_only=True)
class Mazes(StudyOptions):
    """
    Train the paper's columns on the first-person mazes with each algorithm, one run each, and draw what came out.

    A run of a million steps takes one to two hours on two cores. Interrupted, the same command goes on where it was.

    :param output: Folder of the results
    :param runs: Folder of models, checkpoints and logs, some 300 MB for each algorithm
    :param algorithms: Algorithms of Table 1
    :param total_timesteps: Steps of each run, all mazes together
    :param seed: Seed of all runs
    :param n_threads: Threads of PyTorch
    """

    program: ClassVar[str] = "experiments.mazes"

    output: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    runs: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs/mazes")
    algorithms: tuple[Algorithm, ...] = ("KL+ent_2col", "KL_2col", "A3C", "A3C_multitask")
    total_timesteps: int = 1_000_000
    seed: int = 0
    n_threads: int = 2

    @property
    @override
    def study(self) -> Study:
        check_at_least(0, seed=self.seed)
        check_at_least(1, total_timesteps=self.total_timesteps, n_threads=self.n_threads)
        return Study(self.algorithms, self.total_timesteps, self.seed)

    @property
    @override
    def work(self) -> Work[Run]:
        return MazeWork(self.runs, self.output, self.n_threads)


if __name__ == "__main__":
    main(Mazes, draw_study)
