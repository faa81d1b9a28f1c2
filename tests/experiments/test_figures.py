from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from sb3_distral.algorithms import ALGORITHMS
from sb3_distral.experiments import statistics
from sb3_distral.experiments.figures import STYLES, plot_study
from sb3_distral.experiments.study import FIGURE_4
from tests.experiments.synthetic import write_study_of


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "N_RLIABLE_RESAMPLES", 40)


def test_every_algorithm_has_a_style_of_its_own() -> None:
    assert set(STYLES) == set(ALGORITHMS)
    for key in ("color", "marker"):
        assert len({style[key] for style in STYLES.values()}) == len(ALGORITHMS)


@pytest.mark.parametrize("suite", ["grid-mazes", "grid-tag"])
def test_figures_of_a_whole_study(suite: str, tmp_path: Path) -> None:
    folder = write_study_of(tmp_path / "study", FIGURE_4[suite])
    plot_study(folder, tmp_path / "figures")
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert names == {"figure4.png", "iqm.png", "profiles.png", "improvement.png", "claims.md"}
    for path in (tmp_path / "figures").glob("*.png"):
        picture = imread(path)
        # Nothing is cut: the margin is white.
        edges = (picture[0], picture[-1], picture[:, 0], picture[:, -1])
        assert all(np.all(edge == 1) for edge in edges), path
        assert picture.std() > 0.05


def test_figures_are_the_same_when_drawn_again(tmp_path: Path) -> None:
    folder = write_study_of(tmp_path / "study", is_there=lambda run: run.seed == 0)
    for output in ("one", "two"):
        plot_study(folder, tmp_path / output)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_figures_of_a_study_that_has_just_begun(tmp_path: Path) -> None:
    folder = write_study_of(tmp_path, is_there=lambda run: run.seed == 0 and run.algorithm in ("A3C", "KL_2col"))
    results = plot_study(folder, folder)
    assert results.progress == "18 of 252 runs"
    assert (folder / "figure4.png").exists()


def test_study_without_any_run_is_refused(tmp_path: Path) -> None:
    folder = write_study_of(tmp_path, is_there=lambda run: False)
    with pytest.raises(ValueError, match="No run"):
        plot_study(folder, folder)


def test_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"study\.json"):
        plot_study(tmp_path, tmp_path)
