"""``sb3-distral evaluate``."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch as th
import tyro
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sb3_distral.cli.options import File, Folder, TaskOptions
from sb3_distral.errors import UsageError
from sb3_distral.runs import DISTILLED_POLICY, Evaluation, evaluate
from sb3_distral.runs.choice import check_at_least
from sb3_distral.runs.folder import write_json


@dataclass(kw_only=True)
class Evaluate(TaskOptions):
    """
    Evaluate every task policy, and the distilled policy on every task.

    The tasks are those of the training unless others are given.

    :param path: Folder of a run, or file of a model
    :param n_episodes: Episodes of each task
    :param deterministic: Take the likeliest actions
    :param seed: Seed of tasks and actions
    :param n_threads: Threads of PyTorch; more than one pays for large networks only
    :param trust: Load what can run code: models of the method save, which are pickles, and modules that environment ids
        of the run name. For files that are yours, or of someone you trust
    :param output: JSON file for the results
    :param pictures: Folder for returns.png, bars by task with 95 % intervals, and, where the tasks can be drawn,
        episode.gif, a film of an episode; needs the extra "pictures"
    """

    path: tyro.conf.Positional[Path]
    n_episodes: int = 20
    deterministic: bool = False
    seed: int = 0
    n_threads: int = 1
    trust: bool = False
    output: File = None
    pictures: Folder = None

    def run(self) -> None:
        """Write the results as JSON and pictures, if asked for, and print a table."""
        check_at_least(1, n_threads=self.n_threads)
        if self.pictures is not None:
            check_matplotlib("--pictures")  # before an evaluation that may take long
        th.set_num_threads(self.n_threads)
        evaluation = evaluate(self.path, self, self.n_episodes, self.deterministic, self.seed, self.trust)
        # Before anything is printed: whatever becomes of the output, the evaluation is not lost.
        if self.output is not None:
            write_json(self.output, evaluation.as_json())
        pictures = [] if self.pictures is None else write_pictures(evaluation, self.pictures)
        print_table(evaluation)
        for line in (*evaluation.notes, *pictures):
            print(line)


def check_matplotlib(what: str) -> None:
    """
    Check that pictures can be made.

    :param what: What needs them
    :raises UsageError: If they cannot
    """
    if find_spec("matplotlib") is None:
        raise UsageError(f"{what} needs matplotlib, which is not installed: pip install 'sb3-distral[pictures]'.")


def write_pictures(evaluation: Evaluation, folder: Path) -> list[str]:
    """
    Write bars and, where the tasks can be drawn, a film.

    :param evaluation: What was measured
    :param folder: Where to write
    :return: Where they are, or why there is no film
    """
    from sb3_distral.runs.film import write_film
    from sb3_distral.runs.pictures import write_returns

    bars = f"Bars: {write_returns(evaluation, folder)}"
    try:
        return [bars, f"Film: {write_film(evaluation, folder)}"]
    except UsageError as error:
        return [bars, str(error)]


def print_table(evaluation: Evaluation) -> None:
    """
    Print a column for each policy, a row for each task and one for their mean.

    :param evaluation: What was measured
    """
    returns, n_episodes = evaluation.returns, evaluation.n_episodes
    print(f"{evaluation.path} after {evaluation.timesteps} steps: mean ± std of {n_episodes} returns")
    table = Table("task")
    for policy in returns:
        table.add_column(policy, justify="right")
    for task in returns[DISTILLED_POLICY]:
        cells = [f"{np.mean(by_task[task]):.2f} ± {np.std(by_task[task]):.2f}" for by_task in returns.values()]
        table.add_row(escape(task), *cells)
    table.add_section()
    means = [np.mean([np.mean(values) for values in by_task.values()]) for by_task in returns.values()]
    table.add_row("mean of tasks", *(f"{mean:.2f}" for mean in means))
    Console().print(table)
