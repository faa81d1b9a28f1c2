from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread
from synthetic import made_up, write_study_of

from experiments.common.pages import STYLES
from experiments.figure4 import aggregates, figures
from experiments.figure4.figures import CAPTION, draw_study
from experiments.figure4.results import StudyResults, read_results
from experiments.figure4.study import FIGURE_4, Run, Setting, Study
from sb3_distral import ALGORITHMS


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregates, "N_RESAMPLES", 40)


def test_every_algorithm_has_a_style_of_its_own() -> None:
    assert set(STYLES) == set(ALGORITHMS)
    for key in ("color", "marker"):
        assert len({style[key] for style in STYLES.values()}) == len(ALGORITHMS)


@pytest.mark.parametrize("suite", ["grid-mazes", "grid-tag"])
def test_figures_of_a_whole_study(suite: str, tmp_path: Path) -> None:
    folder = write_study_of(tmp_path / "study", FIGURE_4[suite])
    draw_study(folder, tmp_path / "figures")
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
        draw_study(folder, tmp_path / output)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_figures_of_a_study_that_has_just_begun(tmp_path: Path) -> None:
    folder = write_study_of(tmp_path, is_there=lambda run: run.seed == 0 and run.algorithm in ("A3C", "KL_2col"))
    assert draw_study(folder, folder).startswith("18 of 252 runs.")
    assert (folder / "figure4.png").exists()


#: π0 is best at the higher cost, the task policies at the lower.
BEST, BEST_DISTILLED = Setting(0.01, 2e-3), Setting(0.03, 2e-3)
SMALL = Study("grid-mazes", entropy_costs=(0.01, 0.03), learning_rates=(2e-3,), seeds=(0, 1))


def small(run: Run) -> dict[str, Any]:
    results = made_up(run)
    if run.setting == BEST_DISTILLED:
        results["distilled_curves"] = (10 * np.array(results["distilled_curves"])).tolist()
    return results


@pytest.fixture
def results(tmp_path: Path) -> StudyResults:
    return read_results(write_study_of(tmp_path, SMALL, small))


def mean_over_seeds(name: str, setting: Setting, what: str, task_axis: int) -> np.ndarray:
    runs = [np.array(small(SMALL.run(name, setting, seed))[what]) for seed in SMALL.seeds]
    return np.mean(runs, axis=0).mean(axis=task_axis)


def test_panels_show_the_best_settings_of_each_policy_and_all_runs(results: StudyResults) -> None:
    figure = figures.draw_panels(results)
    curves, distilled_curves, scores, distilled_scores = figure.axes
    for line, other, name in zip(curves.lines, distilled_curves.lines, STYLES, strict=True):
        assert line.get_ydata() == pytest.approx(mean_over_seeds(name, BEST, "curves", 0))
        assert other.get_ydata() == pytest.approx(mean_over_seeds(name, BEST_DISTILLED, "distilled_curves", 1))
        assert (line.get_xdata()[-1], other.get_xdata()[-1]) == (307.2, 307.2)
    for line, other, name in zip(scores.lines, distilled_scores.lines, STYLES, strict=True):
        runs = [small(run) for run in SMALL.runs if run.algorithm == name]
        at_end = [np.mean(np.array(run["curves"])[:, -3:]) for run in runs]
        assert line.get_ydata() == pytest.approx(sorted(at_end, reverse=True))
        assert other.get_ydata() == pytest.approx(sorted((np.mean(run["distilled"]) for run in runs), reverse=True))


def test_panels_have_a_legend_and_labels(results: StudyResults) -> None:
    figure = figures.draw_panels(results)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(STYLES)
    for axis in figure.axes:
        assert axis.get_ylabel() == "return of an episode" and axis.get_xlabel() and axis.get_title()
    titles = [axis.get_title().split(",")[0] for axis in figure.axes]
    assert titles == ["A1: task policies", "B1: distilled policy", "A2: task policies", "B2: distilled policy"]
    (profiles,) = figures.draw_profiles(results).legends
    assert [text.get_text() for text in profiles.get_texts()] == list(STYLES)


def test_all_pairs_of_algorithms_are_compared(results: StudyResults) -> None:
    figure = figures.draw_improvement(results)
    labels = [label.get_text().split(" > ") for label in figure.axes[0].get_yticklabels()]
    assert {frozenset(pair) for pair in labels} == {frozenset((x, y)) for x in STYLES for y in STYLES if x != y}
    assert len(labels) == 21
    # KL+ent_2col ends higher than everyone in the made-up results.
    marks = [line.get_xdata()[0] for line in figure.axes[0].lines[:21]]
    assert min(marks[:6]) > 0.9


def test_figures_with_intervals_by_rliable_say_what_these_leave_out(results: StudyResults) -> None:
    for draw in (figures.draw_interquartile_means, figures.draw_profiles, figures.draw_improvement):
        assert draw(results).get_supxlabel() == CAPTION


def test_single_runs_are_drawn_without_bars(tmp_path: Path) -> None:
    folder = write_study_of(tmp_path, SMALL, small, lambda run: run.seed == 0 and run.setting == BEST)
    figure = figures.draw_interquartile_means(read_results(folder))
    assert [len(axis.patches) for axis in figure.axes] == [0, 0]
    assert [len(axis.lines) for axis in figure.axes] == [7, 7]
