"""The command line of a study: ``run`` does what is not done yet and draws, ``draw`` draws what is done."""

import shlex
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import tyro

from experiments.common.runner import Work, run_study
from experiments.common.study import Study
from sb3_distral import ALGORITHMS
from sb3_distral.cli.terminal import replace_unprintable
from sb3_distral.errors import UsageError

if TYPE_CHECKING:
    Algorithm = str
else:
    #: An algorithm of Table 1, as an option.
    Algorithm = tyro.extras.literal_type_from_choices(list(ALGORITHMS))

#: Draws what there is of the study in the first folder into the second and says what it drew.
Draw = Callable[[Path, Path], str]


@dataclass(kw_only=True)
class StudyOptions(ABC):
    """Options of ``run``: a dataclass whose fields they are. One of them is ``output``, the folder of the results."""

    program: ClassVar[str]
    output: Path

    @property
    @abstractmethod
    def study(self) -> Study[Any]:
        """The study that the options ask for."""

    @property
    @abstractmethod
    def work(self) -> Work[Any]:
        """What does one of its runs."""

    @property
    def n_at_once(self) -> int:
        """Runs at the same time."""
        return int(getattr(self, "n_jobs", 1))

    @property
    def command(self) -> str:
        """The command with its options."""
        options = {f"--{own.name.replace('_', '-')}": getattr(self, own.name) for own in fields(self)}
        words = ["python", "-m", self.program, "run"]
        for name, value in options.items():
            if isinstance(value, tuple):
                words += [name, *map(str, value)]
            elif value is not None:
                words.append(f"{name}={value}")
        return shlex.join(words)

    def run(self, draw: Draw) -> None:
        """
        Do the runs that are not done yet, then draw.

        :param draw: Draws the study
        :raises SystemExit: With a message, exit code 1, if runs failed
        """
        study = self.study
        failures = run_study(study, self.output, self.work, self.n_at_once, self.command)
        if len(failures) < len(study.runs):
            print(draw(self.output, self.output))
        if failures:
            raise SystemExit(
                f"{self.program}: {len(failures)} of {len(study.runs)} runs failed. Their tracebacks are in the files "
                "named above; once the cause is mended, the same command repeats these runs alone."
            )


@dataclass
class DrawOptions:
    """
    Draw the figures of a study and write its claims or tables, from its raw results.

    :param folder: Folder of the study, complete or not
    :param output: Folder for the figures; by default that of the study
    """

    folder: tyro.conf.Positional[Path]
    output: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None


def main(options: type[StudyOptions], draw: Draw, args: Sequence[str] | None = None) -> None:
    """
    Parse the options and run or draw the study.

    Mistakes of the user end with a message and exit code 2, an interruption with 130, failed runs with 1, all else with
    a traceback.

    :param options: Options of ``run``
    :param draw: Draws the study
    :param args: Words after the program's name; those of the process by default
    """
    replace_unprintable()
    run: Any = Annotated[options, tyro.conf.subcommand("run")]
    commands: Any = run | Annotated[DrawOptions, tyro.conf.subcommand("draw")]
    config = (tyro.conf.FlagCreatePairsOff, tyro.conf.OmitSubcommandPrefixes)
    given: Any = tyro.cli(commands, prog=f"python -m {options.program}", args=args, config=config)
    try:
        if isinstance(given, DrawOptions):
            print(draw(given.folder, given.output or given.folder))
        else:
            given.run(draw)
    except (UsageError, OSError) as error:
        print(f"{options.program}: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    except KeyboardInterrupt as error:
        print(f"\n{options.program}: interrupted. The same command goes on where it stopped.", file=sys.stderr)
        raise SystemExit(130) from error
