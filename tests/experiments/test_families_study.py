"""The study of families: who is told what, what is recorded, and the command."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from experiments.common.command import main
from experiments.common.curves import N_BINS
from experiments.common.store import Store
from experiments.families.__main__ import Families
from experiments.families.page import draw_study
from experiments.families.study import ARMS, Study
from experiments.families.training import FamilyRecorder, ToldFamilies
from experiments.transfer import measures
from sb3_distral import DistralA2C, tasks
from sb3_distral.errors import UsageError

FAMILIES = np.array([1, 0, 0, 1])


def test_told_families_stay_as_they_were_told() -> None:
    model = DistralA2C(tasks.make("grid-families", n_tasks=4), n_distilled=2, device="cpu")
    model.learn(200, callback=ToldFamilies(FAMILIES))
    np.testing.assert_array_equal(model.responsibilities, np.eye(2)[FAMILIES])


@pytest.mark.parametrize(("best", "expected"), [(FAMILIES, 1.0), (1 - FAMILIES, 1.0), (np.array([1, 1, 0, 1]), 0.75)])
def test_agreement_does_not_ask_for_the_names_of_components(best: Any, expected: float) -> None:
    recorder: Any = FamilyRecorder(4 * N_BINS, FAMILIES)
    env = SimpleNamespace(tasks=np.arange(4))
    recorder.model = SimpleNamespace(get_env=lambda: env, responsibilities=np.eye(2)[best])
    recorder.num_timesteps = 4
    recorder.locals = {"infos": [{"task_reward": 1.0}] * 4}
    recorder._on_step()
    assert recorder.agreement[0] == expected and not recorder.agreement[1:].any()


def test_the_command_runs_and_draws(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(measures, "N_RESAMPLES", 20)
    main(Families, draw_study, ["run", "--output", str(tmp_path), "--n-seeds=1", "--timesteps=3072", "--n-jobs=1"])
    assert f"{len(ARMS)} of {len(ARMS)} runs" in capsys.readouterr().out
    assert {"study.json", "runs", "claims.md", "families.png"} == {own.name for own in tmp_path.iterdir()}
    results = Store(tmp_path).outcomes(Study((0,), 3072)).results
    by_arm = {run.arm: own for run, own in results.items()}
    assert all(np.shape(own["curve"]) == (N_BINS,) for own in by_arm.values())
    assert set(by_arm["told"]["agreement"]) == {1.0}


def test_a_curve_with_empty_bins_is_refused() -> None:
    with pytest.raises(UsageError, match="--timesteps is 3071, expected at least 3072"):
        Study((0,), timesteps=3071)
