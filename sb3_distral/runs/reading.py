"""Options of a training from a file, which may be anybody's: nothing of the wrong kind comes in."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from sb3_distral.errors import UsageError, one_line

#: Most tasks of a run that are environments
MOST_ENVS = 1000


def read_options(path: Path, kind: type[Any]) -> dict[str, Any]:
    """
    Read the options of a training.

    :param path: JSON file
    :param kind: Dataclass of the options
    :return: Options by name, those of the dataclass alone, each of the type that it has there
    :raises UsageError: If the file holds something else
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return checked(values, kind)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise UsageError(
            f"{path} cannot be read ({one_line(error)}); expected the options of a training as JSON, as sb3-distral "
            "train writes them. Put it back from a copy, or begin anew in another folder."
        ) from error


def checked(values: Any, kind: type[Any]) -> dict[str, Any]:
    """
    Check options that came from a file.

    :param values: What the file holds
    :param kind: Dataclass of the options
    :return: The options, in the form of now
    :raises UsageError: If one is unknown or of the wrong type
    """
    if not isinstance(values, dict):
        raise UsageError(f"it holds a {type(values).__name__}")
    if isinstance(values.get("suite_arguments"), list):  # as words, in runs of version 0.1
        words = [str(word).split("=") for word in values["suite_arguments"]]
        values["suite_arguments"] = {name: int(value) for name, value in words}
    hints = {name: hint for name, hint in get_type_hints(kind).items() if name != "output"}
    for name, value in values.items():
        if name not in hints:
            raise UsageError(f"it holds the unknown option {name!a:.100}")
        if not is_of(value, hints[name]):
            raise UsageError(f"its option {name} is {value!a:.100}, which is of the wrong type")
    if len(values["envs"]) > MOST_ENVS:
        raise UsageError(f"it names {len(values['envs'])} environments, expected at most {MOST_ENVS}")
    return {**values, "envs": tuple(values["envs"])}


def is_of(value: Any, hint: Any) -> bool:
    """
    Tell whether something out of JSON is of a type.

    :param value: It
    :param hint: The type, of those that options have
    :return: Whether it is
    """
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(is_of(value, part) for part in parts)
    if origin is tuple:
        return isinstance(value, list) and all(is_of(own, parts[0]) for own in value)
    if origin is Mapping:
        return isinstance(value, dict) and all(is_of(own, parts[1]) for own in value.values())
    if hint is NoneType or value is None:
        return hint is NoneType and value is None
    return isinstance(value, int | float) if hint is float else type(value) is hint
