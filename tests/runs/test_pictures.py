from itertools import pairwise

import numpy as np
import pytest

from sb3_distral.runs import DISTILLED_POLICY, TASK_POLICY, Evaluation, TaskChoice

pictures = pytest.importorskip("sb3_distral.runs.pictures", reason="the extra pictures is not installed")


def evaluation(returns, tmp_path):
    return Evaluation(
        path=tmp_path, timesteps=0, tasks=TaskChoice(), n_episodes=20, deterministic=False, seed=0, returns=returns
    )


def test_intervals_hold_the_mean_in_95_percent_of_all_evaluations():
    generator = np.random.default_rng(0)
    hits = {"a": 0, pictures.MEAN_OF_TASKS: 0}
    for _ in range(200):
        own = {task: generator.normal(mean, 1.0, 20).tolist() for task, mean in (("a", 3.0), ("b", 1.0))}
        intervals = pictures.mean_intervals(own)
        for name, mean in (("a", 3.0), (pictures.MEAN_OF_TASKS, 2.0)):
            hits[name] += intervals[name].low <= mean <= intervals[name].high
    assert all(182 <= n <= 198 for n in hits.values()), hits


def test_intervals_of_equal_returns_and_of_one_return_are_points():
    intervals = pictures.mean_intervals({"a": [2.0] * 5, "b": [4.0]})
    assert [intervals[name] for name in ("a", "b")] == [(2.0, 2.0, 2.0), (4.0, 4.0, 4.0)]
    assert intervals[pictures.MEAN_OF_TASKS] == (3.0, 3.0, 3.0)


def test_bars_are_means_and_each_policy_has_its_colour(tmp_path):
    returns = {TASK_POLICY: {"a": [1.0, 3.0], "b": [-1.0, -3.0]}, DISTILLED_POLICY: {"a": [5.0], "b": [0.0]}}
    (axes,) = pictures.draw_returns(evaluation(returns, tmp_path)).axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["a", "b", "mean of tasks"]
    bars = [[bar.get_width() for bar in policy] for policy in axes.containers if hasattr(policy, "patches")]
    assert bars == [[2.0, -2.0, 0.0], [5.0, 0.0, 2.5]]
    (alone,) = pictures.draw_returns(evaluation({DISTILLED_POLICY: {"a": [5.0]}}, tmp_path)).axes
    assert alone.patches[0].get_facecolor() == axes.patches[3].get_facecolor() != axes.patches[0].get_facecolor()


def test_bars_of_many_tasks_do_not_overlap(tmp_path):
    returns = {policy: {f"maze-{i}": [float(i)] for i in range(32)} for policy in (TASK_POLICY, DISTILLED_POLICY)}
    figure = pictures.draw_returns(evaluation(returns, tmp_path))
    figure.draw_without_rendering()
    (axes,) = figure.axes
    boxes = [label.get_window_extent() for label in axes.get_yticklabels()]
    assert all(upper.y0 > lower.y1 for upper, lower in pairwise(boxes))


def test_the_file_is_whole(tmp_path):
    path = pictures.write_returns(evaluation({DISTILLED_POLICY: {"a": [5.0, 1.0]}}, tmp_path), tmp_path / "new")
    assert path.read_bytes().startswith(b"\x89PNG") and list((tmp_path / "new").iterdir()) == [path]
