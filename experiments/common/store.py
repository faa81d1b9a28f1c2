"""
The results of a study on disk.

``study.json`` says which study a folder holds and which commands made its results; ``runs`` has a file for each run
that has ended, which says itself which run it is of. The name of a file is for people and for writing it anew.
"""

import json
import zlib
from collections.abc import Iterator
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any, Generic, TypeVar

from experiments.common.provenance import provenance
from experiments.common.study import Run, RunT, Study
from sb3_distral.errors import UsageError
from sb3_distral.files import atomic_write

STUDY, RUNS = "study.json", "runs"

StudyT = TypeVar("StudyT", bound=Study[Any])


@dataclass
class Outcomes(Generic[RunT]):
    """
    What has come of the runs of a study so far.

    :param results: Results by run that has ended well
    :param failures: Last line of the traceback by run that has failed
    :param damaged: Files that cannot be read, or are of no run of the study
    :param n_runs: Runs of the study, ended or not
    """

    results: dict[RunT, dict[str, Any]]
    failures: dict[RunT, str]
    damaged: list[Path]
    n_runs: int

    @property
    def progress(self) -> str:
        """How many of the runs there are, in words."""
        text = f"{len(self.results)} of {self.n_runs} runs"
        text += f", {len(self.failures)} failed" if self.failures else ""
        return text + (f", {len(self.damaged)} with a damaged file" if self.damaged else "")


@dataclass(frozen=True)
class Store:
    """
    Folder of a study.

    :param folder: The folder, which may not be there yet
    """

    folder: Path

    def joined(self, study: StudyT) -> StudyT:
        """
        Add a study to what the folder holds.

        :param study: What is to be run
        :return: It and what the folder holds already
        :raises UsageError: If the folder holds another study, or one that cannot be read
        """
        return self.read_study(type(study)).joined(study) if (self.folder / STUDY).exists() else study

    def read_study(self, study: type[StudyT]) -> StudyT:
        """
        Read which study the folder holds.

        :param study: The class that it should be of
        :return: The study
        :raises UsageError: If there is none, or one of another experiment
        """
        record = self._record()
        if record["kind"] != study.kind:
            raise UsageError(
                f"{self.folder} holds the study {record['kind']}, expected {study.kind} or an empty folder. "
                "Pass another --output."
            )
        try:
            return study.from_json(record["study"])
        except (TypeError, ValueError) as error:
            raise self._unreadable(error) from error

    @property
    def commands(self) -> list[dict[str, Any]]:
        """The commands that made the results in order, each with versions, machine and date."""
        commands: list[dict[str, Any]] = self._record()["commands"]
        return commands

    def begin(self, study: Study[Any], command: str) -> None:
        """
        Write ``study.json``; the commands that are there already stay.

        :param study: The whole study, as :meth:`joined` gave it
        :param command: The command that goes on with it
        """
        before = self.commands if (self.folder / STUDY).exists() else []
        record = {
            "kind": study.kind,
            "study": asdict(study),
            "commands": [*before, {"command": command, **provenance()}],
        }
        with atomic_write(self.folder / STUDY) as beside:
            beside.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")

    def run_path(self, run: Run) -> Path:
        """
        Say where the file of a run is written.

        :param run: A run
        :return: The file
        """
        return self.folder / RUNS / f"{run.key.replace(' ', '-')}.json"

    def write(self, run: Run, outcome: dict[str, Any]) -> None:
        """
        Write the file of a run.

        :param run: The run
        :param outcome: ``{"results": …}``, or ``{"failure": traceback}``
        """
        content = {"run": asdict(run), "made_by": provenance(), **outcome}
        with atomic_write(self.run_path(run)) as beside:
            text = json.dumps(content | {"checksum": _checksum(content)}, separators=(",", ":"))
            beside.write_text(text + "\n", encoding="utf-8")

    def outcomes(self, study: Study[RunT]) -> Outcomes[RunT]:
        """
        Read what there is of a study.

        :param study: The study
        :return: Its results and failures so far
        """
        run_of = {_text(asdict(run)): run for run in study.runs}
        # Fields that runs have got since then have the values that were meant before.
        defaults = {
            own.name: own.default for run in study.runs[:1] for own in fields(run) if own.default is not MISSING
        }
        found: Outcomes[RunT] = Outcomes({}, {}, [], len(run_of))
        for path, content in self._contents():
            run = run_of.get(_text(defaults | content["run"])) if content else None
            if run is None:
                found.damaged.append(path)
            elif "results" in content:
                found.results[run] = content["results"]
            else:
                found.failures[run] = content["failure"].strip().splitlines()[-1]
        return found

    def _contents(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Yield the file of each run and its content, which is empty where it is not as it was written."""
        for path in sorted((self.folder / RUNS).glob("*.json")):
            try:
                content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
                is_whole = content.pop("checksum") == _checksum(content)
            except (AttributeError, KeyError, TypeError, ValueError):
                is_whole = False
            yield path, content if is_whole else {}

    def _record(self) -> dict[str, Any]:
        try:
            record: dict[str, Any] = json.loads((self.folder / STUDY).read_text(encoding="utf-8"))
            missing = {"kind", "study", "commands"} - set(record)
        except (OSError, TypeError, ValueError) as error:
            raise self._unreadable(error) from error
        if missing:
            raise self._unreadable(KeyError(*missing))
        return record

    def _unreadable(self, error: Exception) -> UsageError:
        return UsageError(
            f"There is no study in {self.folder}: {STUDY} cannot be read ({error!r}). Pass the folder that was the "
            "--output of a study, or an empty one to begin."
        )


def read_done(folder: Path, study: type[StudyT]) -> tuple[StudyT, Outcomes[Any]]:
    """
    Read a study, complete or not.

    :param folder: Its folder
    :param study: Its class
    :return: The study, and what has come of its runs, at least one of which has ended well
    :raises UsageError: If there is no such study, or no run that has ended well
    """
    store = Store(folder)
    found = store.read_study(study)
    outcomes = store.outcomes(found)
    if not outcomes.results:
        advice = f"Read a traceback in {folder / RUNS}." if outcomes.failures else "Wait for the first one."
        raise UsageError(f"No run of the study in {folder} has ended well ({outcomes.progress}). {advice}")
    return found, outcomes


def _text(content: dict[str, Any]) -> str:
    """The same for equal contents, whatever their order."""
    return json.dumps(content, sort_keys=True)


def _checksum(content: dict[str, Any]) -> int:
    return zlib.crc32(_text(content).encode())
