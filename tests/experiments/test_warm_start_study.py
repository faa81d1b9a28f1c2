"""The study of starts from π0 under PPO: what each way begins with, what is claimed, and the command."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch as th

from experiments.common.command import main
from experiments.common.curves import N_BINS
from experiments.common.store import Store
from experiments.common.sweeps import Place, Sweep
from experiments.warm_start.__main__ import WarmStart
from experiments.warm_start.page import claims, claims_lines, draw_study, groups
from experiments.warm_start.study import MAZES, WAYS, Results, Run, Study
from experiments.warm_start.training import Recorder, WarmStartWork, make_ppo, maze
from sb3_distral import VecDistilledPriorReward

RUN = Run(5, "start", 0, timesteps=1600, source_timesteps=320, n_envs=2)


def results_of(areas: dict[str, tuple[float, float]], n_seeds: int = 3) -> Results:
    """Areas of each way where π0 finds goals and where it finds none."""
    zero_shot = {9: 9.0, 11: 8.0, 3: 0.1, 5: 0.0}
    shifts = np.arange(n_seeds) / 10
    numbers = {
        Place(number, way): np.full(n_seeds, areas[way][own < 0.5]) + shifts
        for number, own in zero_shot.items()
        for way in WAYS
    }
    measures = ("area", "final return", "first_entropy", "last_entropy")
    sweep = Sweep("all", tuple(range(n_seeds)), MAZES, tuple(WAYS), dict.fromkeys(measures, numbers))
    return Results(Study(tuple(range(n_seeds))), sweep, zero_shot)


def test_what_each_way_begins_with(tmp_path: Path) -> None:
    source = WarmStartWork(tmp_path).source(RUN)
    models = {way: make_ppo(source, replace(RUN, way=way)) for way in WAYS}
    own = source.distilled_policy.action_net.weight
    starts = {way: model.policy.action_net.weight for way, model in models.items()}
    assert th.equal(starts["start"], own) and th.allclose(starts["start-tempered"], own / 4)
    assert th.equal(starts["nothing"], starts["prior"]) and not th.equal(starts["nothing"], own)
    with_prior = [way for way, model in models.items() if isinstance(model.get_env(), VecDistilledPriorReward)]
    assert with_prior == ["prior"]


def test_the_new_maze_is_the_one_of_its_number() -> None:
    env: Any = maze(RUN, 2)
    assert env.unwrapped.batch.tasks.tolist() == [5, 5] and env.unwrapped.batch.maze_seed == 1
    assert env.observation_space.shape == (81,)


def test_the_recorder_takes_the_own_rewards_of_the_maze() -> None:
    recorder: Any = Recorder(10 * N_BINS)
    recorder.num_timesteps = 2
    recorder.locals = {"infos": [{"task_reward": 1.0}, {}], "rewards": np.array([-5.0, 0.5])}
    recorder._on_step()
    assert (recorder.sums[0], recorder.counts[0]) == (1.5, 2)


def test_claims_hold_where_they_should() -> None:
    areas = {"nothing": (3.0, 2.0), "start": (9.0, 0.2), "start-tempered": (7.0, 2.5), "prior": (5.0, 2.2)}
    results = results_of(areas)
    assert groups(results) == {"π0 finds goals": (9, 11), "π0 finds none": (3, 5)}
    judged = [claim.judge(results.sweep) for claim in claims(results)]
    assert [own.verdict for own in judged] == ["holds"] * 7
    assert [own.judged[0].estimate.value for own in judged] == pytest.approx([6, 4, 2, 1.8, 2.3, 0.5, 0.2])
    assert any("9.10" in line and "0.30" in line for line in claims_lines(results) if line.startswith("| start |"))


def test_the_command_runs_and_writes(tmp_path: Path, capsys: Any) -> None:
    options = ["--n-seeds", "1", "--timesteps", "1536", "--source-timesteps", "640", "--n-jobs", "1"]
    main(WarmStart, draw_study, ["run", "--output", str(tmp_path), *options])
    assert f"{4 * len(MAZES)} of {4 * len(MAZES)} runs" in capsys.readouterr().out
    assert {own.name for own in tmp_path.iterdir()} == {"study.json", "runs", "sources", "claims.md"}
    study = Study((0,), timesteps=1536, source_timesteps=640)
    by_place = {run.place: own for run, own in Store(tmp_path).outcomes(study).results.items()}
    assert np.shape(by_place[Place(5, "prior")]["curve"]) == (N_BINS,)
    assert len({own["zero_shot"] for place, own in by_place.items() if place.value == 5}) == 1
    assert all(own["first_entropy"] <= 1.387 for own in by_place.values())
