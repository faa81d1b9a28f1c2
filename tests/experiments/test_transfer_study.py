"""The study of transfer: what each way begins with, what is recorded, and the command."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch as th

from experiments.common.command import main
from experiments.common.curves import EPISODE, N_BINS, ReturnRecorder, RewardRecorder
from experiments.common.store import Store
from experiments.transfer import measures, page
from experiments.transfer.__main__ import Transfer
from experiments.transfer.page import draw_study
from experiments.transfer.study import ARMS, Run, Study
from experiments.transfer.suites import SUITES
from experiments.transfer.training import TransferWork
from sb3_distral.errors import UsageError
from sb3_distral.tasks.grids.two_rooms import goal_cell

RUN = Run("frozen", 3, timesteps=2 * N_BINS, source_timesteps=80, n_tasks=2, n_envs_per_task=1)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> TransferWork:
    return TransferWork(tmp_path_factory.mktemp("sources"))


def parameters_of(module: Any) -> th.Tensor:
    return th.nn.utils.parameters_to_vector(module.parameters()).detach()


def first_column(model: Any) -> th.Tensor:
    return parameters_of(model.task_policy(0)) if model.policy.architecture == "one_column" else th.zeros(1)


def test_what_each_way_begins_with(work: TransferWork) -> None:
    models = {arm: work.make_model(replace(RUN, arm=arm)) for arm in ARMS}
    priors = {arm: parameters_of(model.distilled_policy) for arm, model in models.items()}
    distral, multitask = (parameters_of(work.distilled_policy(name, RUN)) for name in ("KL+ent_2col", "A3C_multitask"))
    own = ["warm-start", "prior-only", "frozen", "trained-on", "frozen-then-on", "weight-0.5"]
    assert [arm for arm, prior in priors.items() if th.equal(prior, distral)] == own
    assert [arm for arm, prior in priors.items() if th.equal(prior, multitask)] == ["multitask"]
    assert th.equal(first_column(models["warm-start"]), distral)
    assert th.equal(first_column(models["prior-only"]), first_column(models["A3C"]))
    assert [model.train_distilled for model in models.values()] == [True, True, *[False] * 3, True, *[100_000] * 3]
    weights = {arm: float(model.policy.distilled_weights[0]) for arm, model in models.items()}
    assert (weights["KL+ent_2col"], weights["frozen"], weights["weight-0.5"]) == (0.5, 1, 0.5)
    # A prior in the reward costs, the start alone does not.
    assert [bool(models[arm].costs.kl.any()) for arm in ("prior-only", "warm-start")] == [True, False]


def test_a_source_is_trained_once(work: TransferWork, monkeypatch: pytest.MonkeyPatch) -> None:
    first = parameters_of(work.distilled_policy("KL+ent_2col", RUN))
    monkeypatch.setattr("experiments.transfer.training._model", None)
    assert th.equal(parameters_of(work.distilled_policy("KL+ent_2col", replace(RUN, arm="multitask"))), first)
    with pytest.raises(TypeError):
        work.distilled_policy("KL+ent_2col", replace(RUN, seed=4))


def test_rewards_are_credited_to_their_task_at_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder: Any = RewardRecorder(RUN.timesteps, RUN.n_tasks)
    recorder.model = SimpleNamespace(get_env=lambda: SimpleNamespace(tasks=np.array([1, 0])))
    for step in range(1, N_BINS + 2):
        recorder.num_timesteps = 2 * step
        recorder.locals = {"infos": [{"task_reward": 100.0 * step}, {"task_reward": step}]}
        recorder._on_step()
    steps = np.arange(1.0, N_BINS + 1)
    # What comes after the last step of the study belongs to the last bin.
    steps[-1] = (N_BINS + N_BINS + 1) / 2
    assert recorder.curves() == pytest.approx(EPISODE * np.array([steps, 100 * steps]))


def test_the_command_runs_and_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(measures, "N_RESAMPLES", 20)
    monkeypatch.setattr(page, "N_RESAMPLES", 20)
    options = ["--n-seeds", "1", "--timesteps", "1920", "--source-timesteps", "3200", "--n-jobs", "1"]
    main(Transfer, draw_study, ["run", "--output", str(tmp_path), *options])
    assert "9 of 9 runs" in capsys.readouterr().out
    assert {"study.json", "runs", "sources", "claims.md", "transfer.png"} == {own.name for own in tmp_path.iterdir()}
    results = Store(tmp_path).outcomes(Study((0,), 1920, 3200)).results
    by_arm = {run.arm: own for run, own in results.items()}
    assert np.shape(by_arm["frozen"]["curves"]) == (10, N_BINS)
    # π0 is not trained on before step 100 000, so that these are one and the same.
    assert by_arm["frozen"]["curves"] == by_arm["frozen-then-on"]["curves"] != by_arm["trained-on"]["curves"]
    assert by_arm["frozen"]["zero_shot"] == by_arm["warm-start"]["zero_shot"] != by_arm["multitask"]["zero_shot"]
    assert max(map(abs, by_arm["frozen"]["initial_kl"])) < 1e-5 < min(by_arm["weight-0.5"]["initial_kl"])


def test_returns_are_credited_to_the_bin_in_which_the_episode_began() -> None:
    recorder: Any = ReturnRecorder(10 * N_BINS, n_tasks=2, n_envs=2)
    recorder.model = SimpleNamespace(get_env=lambda: SimpleNamespace(tasks=np.array([1, 0])))
    for step, dones, returns in [(12, [True, False], [3.0, 0]), (24, [True, True], [5.0, 7.0])]:
        recorder.num_timesteps = step
        recorder.locals = {"dones": dones, "infos": [{"episode": {"r": own}} for own in returns]}
        recorder._on_step()
    # What begins after the last bin is left out.
    recorder.num_timesteps = 10 * N_BINS
    recorder._on_step()
    recorder._on_step()
    assert recorder.curves()[1].tolist() == [3.0, *[5.0] * (N_BINS - 1)]
    assert recorder.curves()[0].tolist() == [7.0, 7.0, *[7.0] * (N_BINS - 2)]


@pytest.mark.parametrize("suite", ["two-rooms", "grid-navigation"])
def test_other_suites(suite: str, tmp_path: Path) -> None:
    own, work = SUITES[suite], TransferWork(tmp_path)
    old, new = (own.make(is_new, 3, own.n_tasks, 1) for is_new in (False, True))
    assert not set(old.task_names) & set(new.task_names) and len(new.task_names) == own.n_tasks
    run = Run("frozen-then-on", 3, 40 * N_BINS, 640, own.n_tasks, 1, suite)
    results = work(run)
    assert np.shape(results["curves"]) == (own.n_tasks, N_BINS) and np.isfinite(results["curves"]).all()
    assert work.make_model(run).train_distilled == own.frozen_steps


def test_new_goals_are_no_goals_of_the_source() -> None:
    for seed in range(8):
        old, new = (SUITES["two-rooms"].make(is_new, seed, 8, 1) for is_new in (False, True))
        goals = [{goal_cell(int(name.split("-")[-1]), seed) for name in env.task_names} for env in (old, new)]
        assert not goals[0] & goals[1]


def test_a_curve_with_empty_bins_is_refused() -> None:
    with pytest.raises(UsageError, match="--timesteps is 1919, expected at least 1920"):
        Study((0,), timesteps=1919)
