from pathlib import Path

import pytest

from sb3_distral.errors import UsageError
from sb3_distral.runs.folder import checkpoints, load_saved, run_folder


def test_the_newest_checkpoint_is_the_first(tmp_path):
    for name in ("checkpoint_400_steps.zip", "checkpoint_1200_steps.zip", "checkpoint_best.zip", "other.zip"):
        (tmp_path / name).touch()
    assert [path.name for path in checkpoints(tmp_path)] == ["checkpoint_1200_steps.zip", "checkpoint_400_steps.zip"]


def test_missing_models_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"There is no .*missing; expected the folder of a run"):
        load_saved(tmp_path / "missing")
    with pytest.raises(UsageError, match=r"neither policies\.zip nor model\.zip nor a checkpoint"):
        load_saved(tmp_path)


def test_the_run_of_a_model(tmp_path):
    assert run_folder(tmp_path) == tmp_path
    assert (
        run_folder(Path("run/model.zip")) == run_folder(Path("run/checkpoints/checkpoint_1_steps.zip")) == Path("run")
    )
