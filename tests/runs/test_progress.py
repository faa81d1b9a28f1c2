import numpy as np
import pytest

from sb3_distral.errors import UsageError
from sb3_distral.runs.progress import STEPS, by_task, read_progress, steps_per_second


def write(folder, name, rows):
    (folder / name).write_text("\n".join(",".join(map(str, row)) for row in rows) + "\n")


def test_a_later_part_holds_where_it_begins_before_the_end_of_an_earlier_one(tmp_path):
    write(tmp_path, "progress.csv", [(STEPS, "a"), (100, 1), (200, 2), (300, 3)])
    write(tmp_path, "progress_1_from_150.csv", [("a", STEPS), (20, 200), (30, 350)])
    # Ten parts: by name the tenth would come before the second.
    write(tmp_path, "progress_10_from_340.csv", [("a", STEPS), (99, 350)])
    write(tmp_path, "progress_2_from_200.csv", [("a", STEPS), (50, 300), (60, 400)])
    columns = read_progress(tmp_path)
    assert columns[STEPS].tolist() == [100, 200, 300, 350]
    assert columns["a"].tolist() == [1, 20, 50, 99]


def test_what_a_row_does_not_have_is_nan_and_a_torn_last_row_is_left_out(tmp_path):
    write(tmp_path, "progress.csv", [(STEPS, "a"), (100, ""), (200, 2)])
    with (tmp_path / "progress.csv").open("a") as file:
        file.write(",3")
    columns = read_progress(tmp_path)
    assert columns[STEPS].tolist() == [100, 200] and np.isnan(columns["a"][0]) and columns["a"][1] == 2


@pytest.mark.parametrize("text", [None, "", f"{STEPS},a\n"])
def test_a_run_that_has_logged_nothing_is_refused(tmp_path, text):
    if text is not None:
        (tmp_path / "progress.csv").write_text(text)
    with pytest.raises(UsageError, match=r"Nothing is logged in .*--log-freq"):
        read_progress(tmp_path)


def test_tasks_are_in_the_order_of_their_numbers_whatever_that_of_the_log():
    columns = {f"distral/maze-{i}/kl": np.array([i]) for i in (10, 2, 1)} | {"distral/maze-1/kl_cost": np.array([7])}
    assert {task: kl.tolist() for task, kl in by_task(columns, "distral/*/kl").items()} == {
        "maze-1": [1],
        "maze-2": [2],
        "maze-10": [10],
    }
    assert list(by_task(columns, "distral/*/kl")) == ["maze-1", "maze-2", "maze-10"]


def test_speed_is_that_of_long_stretches_and_begins_anew_with_the_clock():
    columns = {
        STEPS: np.array([0.0, 100, 200, 1000, 1100, 1200]),
        "time/time_elapsed": np.array([0.0, 1, 5, 25, 0, 10]),
    }
    steps, speed = steps_per_second(columns)
    assert steps.tolist() == [200, 1000, 1200] and speed.tolist() == [40, 40, 10]
