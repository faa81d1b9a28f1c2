"""A study as data: what all of its runs have in common, and the runs."""

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from typing_extensions import Self

from sb3_distral.errors import UsageError


@dataclass(frozen=True)
class Run(ABC):
    """One run of a study. Its fields are all that its results follow from."""

    @property
    @abstractmethod
    def key(self) -> str:
        """Name of the run inside its study."""


RunT = TypeVar("RunT", bound=Run)


@dataclass(frozen=True)
class Study(ABC, Generic[RunT]):
    """
    All runs of an experiment.

    Fields named in ``grows_by`` are tuples to which values may be added later; the others are the same for all runs.

    :raises UsageError: If a tuple holds a value twice: two runs would write the same file at once
    """

    kind: ClassVar[str]
    grows_by: ClassVar[tuple[str, ...]]

    def __post_init__(self) -> None:
        """Refuse repeated values."""
        for name, values in vars(self).items():
            repeated = {value for value in values if values.count(value) > 1} if isinstance(values, tuple) else None
            if repeated:
                raise UsageError(
                    f"{name} holds {sorted(repeated)} more than once in {list(values)}. Give each one once."
                )

    @property
    @abstractmethod
    def runs(self) -> list[RunT]:
        """All runs, in the order in which they are done."""

    def joined(self, other: Self) -> Self:
        """
        Add the runs of another study.

        :param other: The other study
        :return: The study with what either grew by
        :raises UsageError: If they differ in anything else
        """
        grown = {name: tuple(dict.fromkeys(getattr(self, name) + getattr(other, name))) for name in self.grows_by}
        joined, wanted = dataclasses.replace(self, **grown), dataclasses.replace(other, **grown)
        differing = [name for name, value in vars(joined).items() if value != getattr(wanted, name)]
        if differing:
            own, given = (
                ", ".join(f"{name}={getattr(study, name)!r}" for name in differing) for study in (self, other)
            )
            raise UsageError(
                f"The folder holds a study with {own}, which differs from {given}: only {' and '.join(self.grows_by)} "
                "can be added. Pass another --output, or the options that the study began with."
            )
        return joined

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """
        Make a study of what :func:`dataclasses.asdict` gave.

        :param values: That, read back from a file
        :return: The study
        """
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
