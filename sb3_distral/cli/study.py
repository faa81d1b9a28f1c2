"""``sb3-distral study`` and ``sb3-distral plot``."""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from sb3_distral.algorithms.table1 import ALGORITHMS
from sb3_distral.cli.study_mazes import StudyMazes, plot_mazes
from sb3_distral.cli.study_two_rooms import StudyTwoRooms, experiments_extra, plot_two_rooms
from sb3_distral.runs.choice import check_at_least

if TYPE_CHECKING:
    Algorithm = str
else:
    Algorithm = tyro.extras.literal_type_from_choices(list(ALGORITHMS))


@dataclass(kw_only=True)
class Figure4:
    """
    Run the study behind Figure 4: algorithms × nine settings × seeds, in parallel.

    Started again with the same folder it goes on where it stopped; algorithms and seeds may be added. The figures and
    claims.md are drawn at the end; "sb3-distral plot DIR" draws them at any time. The exit code is 1 if runs failed.

    On a cluster whose machines share the folder, run the same study under any back end of joblib: in Python,
    "with joblib.parallel_config(backend='dask'): run_study(FIGURE_4['grid-mazes'], Path('DIR'), n_jobs=-1)", with
    run_study from sb3_distral.experiments.runner and FIGURE_4 from sb3_distral.experiments.study. Ray works likewise,
    after ray.util.joblib.register_ray(); each back end's own library has to be installed and connected first.

    :param suite: Tasks
    :param output: Folder of the results
    :param algorithms: Algorithms of Table 1, all seven by default
    :param n_seeds: Seeds of each algorithm in each setting
    :param timesteps: Steps of each run, all tasks together; by default as many as suit the suite
    :param n_jobs: Runs at the same time, each on one core
    """

    suite: Literal["grid-mazes", "grid-navigation", "grid-tag"]
    output: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    algorithms: tuple[Algorithm, ...] = tuple(ALGORITHMS)
    n_seeds: int = 4
    timesteps: int | None = None
    n_jobs: int = 2

    @property
    def command(self) -> str:
        """The command with its options."""
        words = ["sb3-distral", "study", "figure4", f"--suite={self.suite}", f"--output={self.output}"]
        words += [] if len(self.algorithms) == len(ALGORITHMS) else ["--algorithms", *self.algorithms]
        words += [] if self.timesteps is None else [f"--timesteps={self.timesteps}"]
        return shlex.join([*words, f"--n-seeds={self.n_seeds}", f"--n-jobs={self.n_jobs}"])

    def run(self) -> None:
        """
        Do the runs that are not done yet and draw the figures.

        :raises SystemExit: With a message, exit code 1, if runs failed
        """
        check_at_least(1, n_seeds=self.n_seeds, n_jobs=self.n_jobs)
        with experiments_extra():
            from sb3_distral.experiments.figures import plot_study
            from sb3_distral.experiments.runner import run_study
            from sb3_distral.experiments.study import FIGURE_4
        study = replace(FIGURE_4[self.suite], algorithms=self.algorithms, n_seeds=self.n_seeds)
        if self.timesteps is not None:
            check_at_least(1, timesteps=self.timesteps)
            study = replace(study, timesteps=self.timesteps)
        failures = run_study(study, self.output, self.n_jobs, self.command)
        if len(failures) < len(study.runs):
            print_progress(plot_study(self.output, self.output).progress, self.output)
        if failures:
            raise SystemExit(
                f"sb3-distral: {len(failures)} of {len(study.runs)} runs failed. Their tracebacks are in the files "
                "named above; once the cause is mended, the same command repeats these runs alone."
            )


@dataclass
class Study:
    """Run an experiment of the paper."""

    experiment: tyro.conf.OmitArgPrefixes[
        Annotated[Figure4, tyro.conf.subcommand("figure4")]
        | Annotated[StudyTwoRooms, tyro.conf.subcommand("two-rooms")]
        | Annotated[StudyMazes, tyro.conf.subcommand("mazes")]
    ]

    def run(self) -> None:
        """Run it, or go on where it stopped."""
        self.experiment.run()


@dataclass(kw_only=True)
class Plot:
    """
    Draw the figures of a study and write its claims or tables, from its raw results.

    :param folder: Folder of the study, complete or not
    :param output: Folder for the figures; by default that of the study
    """

    folder: tyro.conf.Positional[Path]
    output: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None

    def run(self) -> None:
        """Draw."""
        output = self.output or self.folder
        with experiments_extra():
            from sb3_distral.experiments import maze_runs, two_rooms
            from sb3_distral.experiments.figures import plot_study
            from sb3_distral.experiments.study_file import read_record

            others = {two_rooms.KIND: plot_two_rooms, maze_runs.KIND: plot_mazes}
            draw = others.get(read_record(self.folder)["kind"])
        if draw is not None:
            draw(self.folder, output)
        else:
            print_progress(plot_study(self.folder, output).progress, output)


def print_progress(progress: str, output: Path) -> None:
    """
    :param progress: How far the study is
    :param output: Where the figures are
    """
    print(f"{progress}. The figures and claims.md are in {output}.")
