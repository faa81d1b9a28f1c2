"""The study of continual learning: what each way does, what is measured, and the command."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th

from experiments.common.command import main
from experiments.common.store import Store
from experiments.continual.__main__ import Continual
from experiments.continual.measures import AREA, BEFORE, CLAIMS, EARLIER, FINAL, KEPT, LATEST, by_group
from experiments.continual.page import draw_study
from experiments.continual.study import ARMS, N_BINS, N_MAZES, Results, Run, Study
from experiments.continual.training import ContinualWork, RewardRecorder, group
from experiments.transfer import measures
from sb3_distral.errors import UsageError

RUN = Run("rehearsal", 3, timesteps=160, n_groups=2, n_envs_per_task=1)


def results_of(kept: dict[str, float]) -> Results:
    """Two groups, three seeds that differ a little: π0 finds 10 in a group just learned."""
    distilled = {}
    for arm, part in kept.items():
        after = np.array([[10.0] * 4 + [0.0] * 4, [10.0 * part] * 4 + [6.0] * 4])
        distilled[arm] = np.array([after * scale for scale in (0.99, 1.0, 1.01)])
    curves = {arm: np.tile(np.arange(N_BINS, dtype=float), (3, 1, 1)) for arm in kept}
    return Results(Study((0, 1, 2)), "all", 3, curves, distilled)


def test_measures_by_hand() -> None:
    results, rows = results_of({"no-rehearsal": 0.2, "rehearsal": 0.8}), np.arange(3)
    assert by_group(results.distilled["rehearsal"]) == pytest.approx(np.array([[10, 0], [8, 6]]))
    numbers = [measure(results, "no-rehearsal", rows) for measure in (BEFORE, EARLIER, KEPT, LATEST, AREA, FINAL)]
    assert numbers == pytest.approx([10, 2, 0.2, 6, (N_BINS - 1) / 2, N_BINS - 2])


def test_claims_hold_where_they_should() -> None:
    verdicts = [claim.judge(results_of({"no-rehearsal": 0.2, "rehearsal": 0.8})).verdict for claim in CLAIMS]
    assert verdicts == ["holds"] * 4 + ["undecided"]
    verdicts = [claim.judge(results_of({"no-rehearsal": 0.8, "rehearsal": 0.2})).verdict for claim in CLAIMS]
    assert verdicts == ["does not hold"] * 4 + ["undecided"]


def test_groups_are_the_mazes_in_their_order() -> None:
    names = [group(replace(RUN, n_groups=4), number).task_names for number in range(4)]
    assert [name for own in names for name in own] == [f"maze-{maze}" for maze in range(N_MAZES)]


def test_both_ways_go_on_with_one_model(tmp_path: Path) -> None:
    models = [ContinualWork(tmp_path).first_model(replace(RUN, arm=arm)) for arm in ARMS]
    assert [model.rehearsal_coef for model in models] == [0.0, 0.02]
    assert len(list(tmp_path.iterdir())) == 1
    first, second = (list(model.policy.parameters()) for model in models)
    assert all(th.equal(one, other) for one, other in zip(first, second, strict=True))


def test_rewards_are_counted_from_the_beginning_of_a_group() -> None:
    recorder: Any = RewardRecorder(2 * N_BINS)
    recorder.num_timesteps = 100
    recorder._on_training_start()
    for step in range(1, N_BINS + 1):
        recorder.num_timesteps = 100 + 2 * step
        recorder.locals = {"infos": [{"task_reward": step}, {"task_reward": 3 * step}]}
        recorder._on_step()
    assert recorder.curve() == pytest.approx(200 * 2.0 * np.arange(1, N_BINS + 1))


def test_the_command_runs_and_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(measures, "N_RESAMPLES", 20)
    monkeypatch.setattr("experiments.continual.training.N_EPISODES", 1)
    options = ["--n-seeds=1", "--timesteps=1024", "--n-jobs=1"]
    main(Continual, draw_study, ["run", "--output", str(tmp_path), *options])
    assert "2 of 2 runs" in capsys.readouterr().out
    assert {"study.json", "runs", "sources", "claims.md", "continual.png"} == {own.name for own in tmp_path.iterdir()}
    by_arm = {run.arm: own for run, own in Store(tmp_path).outcomes(Study((0,), 1024)).results.items()}
    assert np.shape(by_arm["rehearsal"]["distilled"]) == (2, N_MAZES)
    assert np.shape(by_arm["rehearsal"]["curves"]) == (1, N_BINS)
    assert by_arm["rehearsal"]["distilled"][0] == by_arm["no-rehearsal"]["distilled"][0]


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError, match="--n-groups is 3, expected 2, 4 or 8"):
        Study((0,), n_groups=3)
    with pytest.raises(UsageError, match="--timesteps is 1023, expected at least 1024"):
        Study((0,), timesteps=1023)
