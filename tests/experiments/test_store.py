"""The results of a study on disk: whose they are, what is read of them, what is damaged."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from experiments.common import study as common
from experiments.common.store import Store, read_done
from sb3_distral.errors import UsageError


@dataclass(frozen=True)
class Run(common.Run):
    seed: int
    steps: int

    @property
    def key(self) -> str:
        return f"seed {self.seed}"


@dataclass(frozen=True)
class Study(common.Study[Run]):
    seeds: tuple[int, ...]
    steps: int = 10

    kind: ClassVar[str] = "small"
    grows_by: ClassVar[tuple[str, ...]] = ("seeds",)

    @property
    def runs(self) -> list[Run]:
        return [Run(seed, self.steps) for seed in self.seeds]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Three runs: one that has ended well, one that has failed, one that has not ended."""
    store = Store(tmp_path)
    store.begin(Study((1, 2, 3)), "first command")
    store.write(Run(1, 10), {"results": {"score": 0.25}})
    store.write(Run(2, 10), {"failure": "Traceback\n  …\nRuntimeError: no luck\n"})
    return store


def test_what_is_written_is_read(store: Store) -> None:
    study, outcomes = read_done(store.folder, Study)
    assert study == Study((1, 2, 3))
    assert outcomes.results == {Run(1, 10): {"score": 0.25}}
    assert outcomes.failures == {Run(2, 10): "RuntimeError: no luck"}
    assert outcomes.progress == "1 of 3 runs, 1 failed"


def test_a_file_says_what_made_it(store: Store) -> None:
    content = json.loads(store.run_path(Run(1, 10)).read_text())
    assert content["run"] == {"seed": 1, "steps": 10}
    assert {"python", "torch", "sb3-distral"} <= set(content["made_by"]["versions"])
    assert content["made_by"]["machine"]["cores"] >= 1 and content["made_by"]["date"]
    assert store.run_path(Run(1, 10)).name == "seed-1.json"


def test_the_name_of_a_file_says_nothing(store: Store) -> None:
    store.run_path(Run(1, 10)).rename(store.folder / "runs" / "another-name.json")
    assert store.outcomes(Study((1, 2, 3))).results == {Run(1, 10): {"score": 0.25}}


@pytest.mark.parametrize("damage", [lambda text: text[:40], lambda text: text.replace("0.25", "0.26"), lambda text: ""])
def test_a_damaged_file_is_of_no_run(damage: Any, store: Store) -> None:
    path = store.run_path(Run(1, 10))
    whole = path.read_text()
    path.write_text(damage(whole))
    assert path.read_text() != whole
    outcomes = store.outcomes(Study((1, 2, 3)))
    assert (outcomes.results, outcomes.damaged) == ({}, [path])
    assert outcomes.progress == "0 of 3 runs, 1 failed, 1 with a damaged file"


def test_a_file_of_another_study_is_of_no_run(store: Store) -> None:
    store.write(Run(3, 20), {"results": {"score": 9.0}})
    outcomes = store.outcomes(Study((1, 2, 3)))
    assert set(outcomes.results) == {Run(1, 10)} and outcomes.damaged == [store.run_path(Run(3, 20))]


def test_commands_are_kept_with_their_provenance(store: Store) -> None:
    joined = store.joined(Study((3, 4)))
    assert joined == Study((1, 2, 3, 4))
    store.begin(joined, "second command")
    assert store.read_study(Study) == joined
    assert [made_by["command"] for made_by in store.commands] == ["first command", "second command"]
    assert all(made_by["machine"]["cores"] >= 1 and made_by["date"] for made_by in store.commands)


def test_other_settings_are_refused(store: Store) -> None:
    with pytest.raises(UsageError, match="steps=10, which differs from steps=20: only seeds can be added"):
        store.joined(Study((1,), steps=20))


def test_another_experiment_is_refused(store: Store) -> None:
    (store.folder / "study.json").write_text('{"kind": "large", "study": {}, "commands": []}')
    with pytest.raises(UsageError, match="holds the study large, expected small or an empty folder"):
        store.joined(Study((1,)))


@pytest.mark.parametrize(
    "record", ["{", "[]", "{}", '{"kind": "small", "study": {"size": 1}, "commands": []}', '{"kind": "small"}']
)
def test_an_unreadable_record_is_refused(record: str, tmp_path: Path) -> None:
    (tmp_path / "study.json").write_text(record)
    with pytest.raises(UsageError, match=r"study\.json cannot be read"):
        Store(tmp_path).joined(Study((1,)))


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"There is no study in .*study\.json"):
        read_done(tmp_path, Study)


def test_a_study_without_results_is_refused_with_advice(store: Store) -> None:
    store.run_path(Run(1, 10)).unlink()
    with pytest.raises(UsageError, match=r"has ended well \(0 of 3 runs, 1 failed\)\. Read a traceback in .*runs"):
        read_done(store.folder, Study)
    store.run_path(Run(2, 10)).unlink()
    with pytest.raises(UsageError, match=r"has ended well \(0 of 3 runs\)\. Wait"):
        read_done(store.folder, Study)


@dataclass(frozen=True)
class LaterRun(Run):
    place: str = "here"


@dataclass(frozen=True)
class LaterStudy(Study):
    place: str = "here"

    @property
    def runs(self) -> list[Run]:
        return [LaterRun(seed, self.steps, self.place) for seed in self.seeds]


def test_results_from_before_a_field_was_there_are_of_its_default(store: Store) -> None:
    assert set(store.outcomes(LaterStudy((1, 2, 3))).results) == {LaterRun(1, 10, "here")}
    assert store.outcomes(LaterStudy((1, 2, 3), place="there")).results == {}
