"""``sb3-distral study two-rooms``, and the part of ``sb3-distral plot`` that draws its results."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from sb3_distral.errors import UsageError
from sb3_distral.runs.choice import check_at_least


@contextmanager
def experiments_extra() -> Iterator[None]:
    """Turn a missing library into a mistake of the user, with advice."""
    try:
        yield
    except ImportError as error:
        raise UsageError(str(error)) from error


@dataclass(kw_only=True)
class StudyTwoRooms:
    """
    Run the paper's two-room experiment (Figure 3) and draw its figure.

    Seeds that are done are not done again: an interrupted study goes on where it stopped.

    :param n_seeds: Number of seeds
    :param first_seed: The first of them
    :param n_iterations: Iterations of each method on the training tasks, and again on the test tasks
    :param output: Folder of the results
    """

    n_seeds: int = 10
    first_seed: int = 0
    n_iterations: int = 1000
    output: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs/two-rooms")

    @property
    def command(self) -> str:
        """The command with all of its options."""
        options = {"n-seeds": self.n_seeds, "first-seed": self.first_seed, "n-iterations": self.n_iterations}
        words = [f"--{name}={value}" for name, value in options.items()]
        return shlex.join(["sb3-distral", "study", "two-rooms", *words, f"--output={self.output}"])

    def run(self) -> None:
        """Learn what is not done yet, then draw."""
        check_at_least(0, first_seed=self.first_seed)
        check_at_least(1, n_seeds=self.n_seeds, n_iterations=self.n_iterations)
        with experiments_extra():
            from sb3_distral.experiments.two_rooms import run_study

        seeds = range(self.first_seed, self.first_seed + self.n_seeds)
        run_study(self.output, seeds, self.n_iterations, self.command)
        plot_two_rooms(self.output, self.output)


def plot_two_rooms(folder: Path, output: Path) -> None:
    """
    Rebuild the figure and the claims from the results.

    :param folder: Folder of the results
    :param output: Folder of the figure and the claims
    :raises ValueError: If there are no results
    """
    from sb3_distral.experiments.two_rooms import RESULTS, read_results
    from sb3_distral.experiments.two_rooms_figure import FIGURE, write_figure
    from sb3_distral.experiments.two_rooms_page import CLAIMS_FILE, write_claims

    results = read_results(folder)
    if results is None:
        raise UsageError(
            f"There is no readable {RESULTS} in {folder}; pass the --output of sb3-distral study two-rooms."
        )
    write_figure(output, results)
    write_claims(output, results)
    print(f"The figure is {output / FIGURE}, the claims are in {output / CLAIMS_FILE}.")
