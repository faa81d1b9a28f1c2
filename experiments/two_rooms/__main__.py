"""``python -m experiments.two_rooms``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import tyro
from typing_extensions import override

from experiments.common.command import StudyOptions, main
from experiments.common.runner import Work
from experiments.two_rooms.learning import learn
from experiments.two_rooms.page import draw_study
from experiments.two_rooms.study import Run, Study
from sb3_distral.runs.choice import check_at_least


@dataclass(kw_only=True)
class TwoRooms(StudyOptions):
    """
    Run the paper's two-room experiment (Figure 3) and draw its figure.

    Seeds that are done are not done again: an interrupted study goes on where it stopped.

    :param n_seeds: Number of seeds
    :param first_seed: The first of them
    :param n_iterations: Iterations of each method on the training tasks, and again on the test tasks
    :param output: Folder of the results
    :param n_jobs: Seeds at the same time, each on one core
    """

    program: ClassVar[str] = "experiments.two_rooms"

    n_seeds: int = 10
    first_seed: int = 0
    n_iterations: int = 1000
    output: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs/two-rooms")
    n_jobs: int = 2

    @property
    @override
    def study(self) -> Study:
        check_at_least(0, first_seed=self.first_seed)
        check_at_least(1, n_seeds=self.n_seeds, n_iterations=self.n_iterations, n_jobs=self.n_jobs)
        return Study(tuple(range(self.first_seed, self.first_seed + self.n_seeds)), self.n_iterations)

    @property
    @override
    def work(self) -> Work[Run]:
        return learn


if __name__ == "__main__":
    main(TwoRooms, draw_study)
