import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from experiments.figure4.study import FIGURE_4, Setting, Study
from experiments.figure4.training import make_model
from sb3_distral import ALGORITHMS
from sb3_distral.errors import UsageError


def test_study_of_figure_4_is_the_papers() -> None:
    for study in FIGURE_4.values():
        runs = study.runs
        assert len(runs) == 252 == len({run.key for run in runs})
        assert {run.algorithm for run in runs} == set(ALGORITHMS)
        assert len(study.settings) == 9
        assert {run.seed for run in runs} == {0, 1, 2, 3}


def test_every_algorithm_has_the_same_settings() -> None:
    study = FIGURE_4["grid-mazes"]
    for name in ALGORITHMS:
        assert {run.setting for run in study.runs if run.algorithm == name} == set(study.settings)


def test_first_part_of_a_study_holds_every_algorithm_and_setting() -> None:
    study = FIGURE_4["grid-mazes"]
    assert {(run.algorithm, run.setting) for run in study.runs[:63]} == {
        (run.algorithm, run.setting) for run in study.runs
    }


def test_study_survives_json() -> None:
    study = FIGURE_4["grid-tag"]
    assert Study.from_json(json.loads(json.dumps(asdict(study)))) == study


def test_studies_join_by_algorithms_and_seeds_only() -> None:
    study = Study("grid-mazes", ("A3C",), seeds=(0, 1, 2))
    joined = study.joined(Study("grid-mazes", ("KL_2col", "A3C"), seeds=(1, 5)))
    assert (joined.algorithms, joined.seeds) == (("A3C", "KL_2col"), (0, 1, 2, 5))
    with pytest.raises(UsageError, match=r"a study with timesteps=307200, which differs from timesteps=307199: only"):
        study.joined(replace(study, timesteps=307_199, seeds=(5,)))


@pytest.mark.parametrize(
    "repeated",
    [
        {"algorithms": ("A3C", "KL_2col", "A3C")},
        {"entropy_costs": (0.1, 0.1)},
        {"learning_rates": (1e-3, 1e-3)},
        {"seeds": (3, 3)},
    ],
)
def test_repeated_values_are_refused(repeated: dict[str, Any]) -> None:
    ((name, values),) = repeated.items()
    with pytest.raises(UsageError, match=rf"{name} holds \['?{values[0]}'?\] more than once"):
        Study("grid-mazes", **repeated)


def test_learning_rate_falls_to_a_sixth() -> None:
    study = FIGURE_4["grid-mazes"]
    model = make_model(study.run("KL_2col", Setting(0.01, 6e-3), 0))
    assert [model.lr_schedule(progress) for progress in (1.0, 0.5, 0.0)] == pytest.approx([6e-3, 3.5e-3, 1e-3])
    assert model.beta == 100


def test_too_few_steps_for_an_episode_are_refused() -> None:
    with pytest.raises(UsageError, match=r"--timesteps is 12799, expected at least 12800: an episode of 200 steps"):
        Study("grid-mazes", timesteps=12_799)
