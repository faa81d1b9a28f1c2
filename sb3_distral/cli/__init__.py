"""
The command line.

.. code-block:: bash

    sb3-distral train --suite grid-mazes             # all files go to runs/grid-mazes-KL+ent_2col-seed0
    sb3-distral train --suite grid-mazes --resume    # go on as if not interrupted; MiniWorld begins new episodes
    sb3-distral evaluate runs/grid-mazes-KL+ent_2col-seed0
    sb3-distral evaluate runs/grid-mazes-KL+ent_2col-seed0 --suite-arguments maze_seed=1    # π0 on unseen mazes
    sb3-distral report runs/grid-mazes-KL+ent_2col-seed0    # curves, settings and versions as one page of HTML
    tensorboard --logdir runs
    sb3-distral doctor    # what is installed, whether MiniWorld can draw, how fast the tasks are

``python -m sb3_distral`` is the same. A command is a dataclass with a method ``run``; its fields are the options.
"""

import logging
import sys
from collections.abc import Sequence

import gymnasium as gym
import tyro
from typing_extensions import override

from sb3_distral.cli.doctor import Doctor
from sb3_distral.cli.evaluate import Evaluate
from sb3_distral.cli.report import Report
from sb3_distral.cli.terminal import replace_unprintable
from sb3_distral.cli.train import Train
from sb3_distral.errors import UsageError

__all__ = ["Doctor", "Evaluate", "Report", "Train", "main"]

Command = Train | Evaluate | Report | Doctor
FLAGS = (tyro.conf.FlagCreatePairsOff, tyro.conf.OmitSubcommandPrefixes)


class Printer(logging.Handler):
    """Print what the package reports."""

    @override
    def emit(self, record: logging.LogRecord) -> None:
        print(record.getMessage())


PRINTER = Printer()


def main(args: Sequence[str] | None = None) -> None:
    """
    Parse the options and run the command.

    Mistakes of the user end with a message and exit code 2, an interruption with 130, all else with a traceback.

    :param args: Words after the program's name; those of the process by default
    """
    replace_unprintable()
    package = logging.getLogger("sb3_distral")
    package.setLevel(logging.INFO)
    package.addHandler(PRINTER)
    try:
        parse(sys.argv[1:] if args is None else args).run()
    except (UsageError, OSError, gym.error.Error) as error:
        print(f"sb3-distral: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    except KeyboardInterrupt as error:
        print("\nsb3-distral: interrupted. A training goes on with --resume.", file=sys.stderr)
        raise SystemExit(130) from error


def parse(args: Sequence[str]) -> Command:
    """
    Parse the options.

    :param args: Words after the program's name
    :return: The command; options not given to a training that goes on are those it began with
    """
    command: Command = tyro.cli(Command, prog="sb3-distral", args=args, config=FLAGS)
    if isinstance(command, Train) and command.resume and (begun := Train.read(command.folder)) is not None:
        return tyro.cli(Train, prog="sb3-distral train", args=args[1:], default=begun, config=FLAGS)
    return command
