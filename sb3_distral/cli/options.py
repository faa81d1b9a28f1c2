"""How the options that commands share are written on the command line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from sb3_distral import tasks
from sb3_distral.algorithms.table1 import ALGORITHMS
from sb3_distral.runs import LEARNERS, POLICIES, TaskChoice

if TYPE_CHECKING:
    Algorithm = str
    Learner = str
    Policy = str
    Suite = str
else:
    Algorithm = tyro.extras.literal_type_from_choices(list(ALGORITHMS))
    Learner = tyro.extras.literal_type_from_choices(list(LEARNERS))
    Policy = tyro.extras.literal_type_from_choices(POLICIES)
    Suite = tyro.extras.literal_type_from_choices(sorted(tasks.SUITES))

Folder = Annotated[Path | None, tyro.conf.arg(metavar="DIR")]
File = Annotated[Path | None, tyro.conf.arg(metavar="FILE")]


def read_words(words: Sequence[str]) -> dict[str, float]:
    """
    Read arguments of a suite.

    :param words: ``NAME=NUMBER`` each
    :return: Numbers by name, integers where they are written as such
    :raises ValueError: If a word is something else; tyro shows the message
    """
    arguments: dict[str, float] = {}
    for word in words:
        name, _, value = word.partition("=")
        try:
            arguments[name] = int(value) if value.isdecimal() else float(value)
        except ValueError:
            raise ValueError(f"got {word!r}; expected NAME=NUMBER, for example n_tasks=4.") from None
    return arguments


def write_words(arguments: Mapping[str, float]) -> list[str]:
    """
    Inverse of :func:`read_words`.

    :param arguments: Numbers by name
    :return: ``NAME=NUMBER`` each
    """
    return [f"{name}={value}" for name, value in arguments.items()]


SuiteArguments = Annotated[
    Mapping[str, float],
    tyro.constructors.PrimitiveConstructorSpec(
        nargs="*",
        metavar="NAME=NUMBER [...]",
        instance_from_str=read_words,
        is_instance=lambda value: isinstance(value, dict),
        str_from_instance=write_words,
    ),
]


@dataclass(kw_only=True)
class TaskOptions(TaskChoice):
    """Which tasks, as options of a command."""

    suite: Annotated[Suite | None, tyro.conf.arg(metavar=f"{{{','.join(sorted(tasks.SUITES))}}}")] = None
    envs: Annotated[tuple[str, ...], tyro.conf.arg(metavar="ID [ID ...]")] = ()
    suite_arguments: SuiteArguments = field(default_factory=dict)
