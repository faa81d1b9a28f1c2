import json
import re
import zipfile
from base64 import b64decode

import numpy as np
import pytest

from sb3_distral.errors import UsageError
from sb3_distral.runs.progress import STEPS

report = pytest.importorskip("sb3_distral.runs.report", reason="the extra pictures is not installed")
curves = pytest.importorskip("sb3_distral.runs.curves")


def columns_of(tasks, **others):
    steps = np.array([100.0, 200.0])
    own = {f"distral/{task}/kl": np.array([0.1, index]) for index, task in enumerate(tasks)}
    return {STEPS: steps, **own, **others}


@pytest.fixture
def run(tmp_path):
    """The folder of a run that was stopped before its end, of tasks with names that HTML would take for its own."""
    header = [STEPS, "rollout/<b>&amp;/ep_rew_mean", "eval/<b>&amp;/distilled_mean_reward", "distral/<b>&amp;/kl"]
    rows = [header, [100, "", "", 0.5], [200, 3.25, -1.5, 0.25]]
    (tmp_path / "progress.csv").write_text("\n".join(",".join(map(str, row)) for row in rows) + "\n")
    (tmp_path / "train.json").write_text(json.dumps({"suite": "<script>alert(1)</script>", "total_timesteps": 1000}))
    return tmp_path


def test_the_page_of_an_unfinished_run_holds_all_and_needs_no_other_file(run):
    page = report.write_report(run).read_text(encoding="utf-8")
    assert "Not finished: 200 of 1,000 steps" in page and "3.25" in page and "-1.50" in page
    assert "<script>" not in page and "<b>" not in page and "&lt;b&gt;&amp;amp;" in page
    assert not re.search(r'(src|href)="(?!data:)', page) and "@import" not in page
    images = re.findall(r"base64,([^\"]+)", page)
    # Returns in training, KL; evaluations are there of π0 alone, which has no solid line.
    assert len(images) == 2 and all(b"</svg>" in b64decode(image) for image in images)


def test_another_file_is_written_and_the_folder_left_alone(run):
    before = sorted(run.iterdir())
    path = report.write_report(run, run.parent / "deeper" / "page.html")
    assert path.stat().st_size > 1000 and sorted(run.iterdir()) == before


@pytest.mark.parametrize(("text", "says"), [("{bad", "is no JSON"), ("[1]", "holds list"), ('"x"', "holds str")])
def test_options_that_are_none_are_refused(run, text, says):
    (run / "train.json").write_text(text)
    with pytest.raises(UsageError, match=says):
        report.write_report(run)


def test_a_damaged_model_and_a_log_in_another_encoding_do_not_hinder(run):
    (run / "model.zip").write_bytes(b"PK\x03\x04 torn")
    with (run / "progress.csv").open("ab") as file:
        file.write(b"\xff\xfe,1\n")
    assert "Finished" in report.write_report(run).read_text(encoding="utf-8")


def test_the_versions_of_a_model_are_read_and_no_more_than_them(run):
    with zipfile.ZipFile(run / "model.zip", "w", zipfile.ZIP_DEFLATED) as model:
        model.writestr("system_info.txt", "- Python: 3.11\n" + " " * 10_000_000 + "- Later: 1\n")
    page = report.write_report(run).read_text(encoding="utf-8")
    assert "<th>Python</th><td>3.11</td>" in page and "Later" not in page


def test_names_may_look_like_formulas_or_begin_with_an_underscore(run):
    (figure,) = curves.draw_curves(columns_of(["$^$", "_hidden"])).values()
    figure.draw_without_rendering()
    assert {text.get_text() for text in figure.axes[0].get_legend().get_texts()} == {"$^$", "_hidden"}


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"holds no train\.json.*expected the folder of a run"):
        report.write_report(tmp_path)


def test_a_task_has_one_colour_in_all_figures():
    order = ["a-2", "a-10", "a-1"]
    columns = columns_of(order) | {f"distral/{task}/entropy": np.ones(2) for task in reversed(order)}
    figures = curves.draw_curves(columns)
    legends = [figure.axes[0].get_legend() for figure in figures.values()]
    colours = [
        {text.get_text(): line.get_color() for text, line in zip(own.get_texts(), own.get_lines(), strict=True)}
        for own in legends
    ]
    assert len(colours) == 2 and colours[0] == colours[1] and len(set(colours[0].values())) == 3


def test_many_tasks_are_grey_lines_and_a_black_mean():
    (figure,) = curves.draw_curves(columns_of([f"maze-{i}" for i in range(20)])).values()
    *greys, mean = figure.axes[0].get_lines()
    assert len(greys) == 20 and {line.get_color() for line in greys} == {"#BBBBBB"}
    assert mean.get_ydata().tolist() == pytest.approx([0.1, 9.5])
    (label,) = figure.axes[0].get_legend().get_texts()
    assert label.get_text() == "mean of 20 tasks"
