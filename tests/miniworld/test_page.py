"""What ``docs/miniworld.md`` says of mazes and navigation, against the code."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.pyplot import imread

from sb3_distral import tasks

pytest.importorskip("sb3_distral.tasks.miniworld.rendering", exc_type=ImportError)

from world_players import episode_return, navigate, play_maze, play_random

from sb3_distral.tasks.miniworld import block_world, mazes, navigation, world
from sb3_distral.tasks.miniworld.blocks import CELL, HEIGHT

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "miniworld.md").read_text(encoding="utf-8")


def test_pictures_are_those_that_the_code_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs/images").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    [block] = [code for code in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL) if "mazes" not in code]
    exec(block, {})
    for suite in ("mazes", "navigation"):
        image = f"images/{suite}.png"
        assert f"]({image})" in PAGE
        drawn, kept = imread(tmp_path / "docs" / image), imread(DOCS / image)
        assert drawn.shape == kept.shape
        # Another version of OpenGL rounds otherwise; another maze or place differs by more than 0.05.
        assert np.abs(drawn[..., :3] - kept[..., :3]).mean() < 0.02


def test_first_table() -> None:
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line[:1] == "|"]
    rows = {row[0]: row[1:3] for row in table[:10]}
    assert rows[""] == ["`mazes`", "`navigation`"]
    worlds: list[Any] = [mazes.MazeEnv, navigation.NavigationEnv]
    for column, own in enumerate(worlds):
        suite = tasks.WORLD_SUITES[rows[""][column].strip("`")]
        assert int(rows["tasks"][column].split()[0]) == own.n_tasks
        assert rows["ids"][column] == f"`{suite.prefix}-0-v0` … `-{own.n_tasks - 1}-v0`"
        assert int(rows["actions"][column]) == len(own.motions)
        assert rows["end of an episode"][column] == f"{own.max_episode_steps} steps"
        assert re.findall(r"\w+", rows["arguments"][column]) == list(suite.arguments)
        assert f"{navigation.SIZE}×{navigation.SIZE} cells" in rows["map"][column]
    assert suite is not tasks.WORLD_SUITES["mazes"] and tasks.default_arguments("mazes")["size"] == navigation.SIZE


def test_numbers_in_the_text() -> None:
    ahead, turn = world.ACTION_REPEAT * world.FORWARD, world.ACTION_REPEAT * world.TURN
    assert f"{world.VIEW}×{world.VIEW} pixels" in PAGE
    assert f"| {ahead:.1f} m ahead |" in PAGE and f"in a curve of {turn:.0f}° " in PAGE and f"by {turn:.0f}° to" in PAGE
    assert f"A cell is {CELL:.0f} m wide, and the walls are {HEIGHT:.0f} m high." in PAGE
    assert f"lasts {world.EPISODE_STEPS * world.ACTION_REPEAT / 30:.0f} seconds" in PAGE
    assert f"goals at +{block_world.GOAL_REWARD:.0f} and apples at +{block_world.APPLE_REWARD:.0f}" in PAGE
    assert mazes.N_APPLES == 6 and "one of the six apples" in PAGE
    assert navigation.N_APPLES == 8 and "eight apples" in PAGE and navigation.N_DOORS == 6 and "six doors" in PAGE
    assert f"with probability {navigation.TOGGLE} in every frame" in PAGE


@pytest.mark.parametrize("task", ["maze-6", "navigation-0"])
def test_returns_are_those_of_the_players(task: str) -> None:
    name, index = task.split("-")
    env: Any = (mazes.MazeEnv if name == "maze" else navigation.NavigationEnv)(int(index))
    env.render_obs = lambda: np.zeros((84, 84, 3), dtype=np.uint8)
    env._render_static = lambda: None
    [row] = [line.strip("|").split("|") for line in PAGE.splitlines() if line.startswith(f"| {task} |")]
    for column, player in ((1, play_random), (2, play_maze if name == "maze" else navigate)):
        returns = [episode_return(env, player, seed) for seed in range(20)]
        assert float(row[column]) == pytest.approx(np.mean(returns), abs=0.051)
    env.close()
