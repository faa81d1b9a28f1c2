"""What ``docs/miniworld.md`` says, against the code."""

import re
from functools import partial
from math import asin, degrees, erf, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.pyplot import imread

from sb3_distral import tasks
from sb3_distral.tasks.suites import WorldSuite

pytest.importorskip("sb3_distral.tasks.miniworld.rendering", exc_type=ImportError)

from tag_player import play, play_randomly, stand_still
from world_players import episode_return, navigate, play_maze, play_random

from sb3_distral.tasks.miniworld import arena, block_world, bots, figures, laser_tag, mazes, navigation, world
from sb3_distral.tasks.miniworld.blocks import CELL, HEIGHT

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "miniworld.md").read_text(encoding="utf-8")
#: Texts by heading.
SECTIONS = dict(part.split("\n", 1) for part in re.split(r"^##? ", PAGE, flags=re.MULTILINE)[1:])
WORLD_SUITES = {name: suite for name, suite in tasks.SUITES.items() if isinstance(suite, WorldSuite)}
WORLDS: dict[str, Any] = {
    "maze": mazes.MazeEnv,
    "navigation": navigation.NavigationEnv,
    "laser-tag": laser_tag.LaserTagEnv,
}
#: Number of episodes, then the players in the order of the columns.
PLAYERS: dict[str, Any] = {
    "maze": (20, play_random, play_maze),
    "navigation": (20, play_random, navigate),
    "laser-tag": (10, stand_still, play_randomly, play, partial(play, jumps=False)),
}


def rows(heading: str) -> dict[str, list[str]]:
    """Cells of the tables of a section by their first cell."""
    lines = [line.strip("|").split("|") for line in SECTIONS[heading].splitlines() if line.startswith("|")]
    return {first.strip(): [cell.strip() for cell in others] for first, *others in lines}


def test_pictures_are_those_that_the_code_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs/images").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    [block] = re.findall(r"```python\n(.*?)```", SECTIONS["Pictures"], flags=re.DOTALL)
    exec(block, {})
    for suite in WORLD_SUITES:
        image = f"images/{suite}.png"
        assert f"]({image})" in SECTIONS[suite]
        drawn, kept = imread(tmp_path / "docs" / image), imread(DOCS / image)
        assert drawn.shape == kept.shape
        # Other versions of OpenGL and Matplotlib draw otherwise; another maze or place differs by more than 0.05.
        assert np.abs(drawn[..., :3] - kept[..., :3]).mean() < 0.03


def test_first_table() -> None:
    table = rows("Suites in the first person")
    assert table[""] == [f"`{suite}`" for suite in WORLD_SUITES]
    for column, (suite, own) in enumerate(zip(WORLD_SUITES.values(), WORLDS.values(), strict=True)):
        assert int(table["tasks"][column].split()[0]) == own.n_tasks
        assert table["ids"][column] == f"`{suite.prefix}-0-v0` … `-{own.n_tasks - 1}-v0`"
        assert int(table["actions"][column]) == len(own.motions)
        assert table["end of an episode"][column] == f"{own.max_episode_steps} steps"
        arguments = [argument for argument in suite.arguments if argument != "previous_action_and_reward"]
        assert re.findall(r"\w+", table["arguments"][column]) == arguments
    cells = f"{navigation.SIZE}×{navigation.SIZE} cells"
    assert [cell.split(",")[0] for cell in table["map"]] == [cells, cells, f"arena of {arena.SIZE:.0f} m"]
    assert tasks.default_arguments("mazes")["size"] == navigation.SIZE


def test_numbers_of_all_suites() -> None:
    text = SECTIONS["Suites in the first person"]
    assert f"{world.VIEW}×{world.VIEW} pixels" in text
    assert world.ACTION_REPEAT == 4 and "An action lasts four frames (`action_repeat`)" in text
    assert f"lasts {world.EPISODE_STEPS * world.ACTION_REPEAT / 30:.0f} seconds" in text


def test_numbers_of_mazes_and_navigation() -> None:
    text = SECTIONS["Suites in the first person"]
    ahead, turn = world.ACTION_REPEAT * world.FORWARD, world.ACTION_REPEAT * world.TURN
    assert f"| {ahead:.1f} m ahead |" in text and f"| {ahead:.1f} m in a curve of {turn:.0f}° to" in text
    assert f"| turn by {turn:.0f}° to" in text
    assert f"a cell is {CELL:.0f} m wide, the walls are {HEIGHT:.0f} m high" in text
    goal, apple = f"+{block_world.GOAL_REWARD:.0f}", f"+{block_world.APPLE_REWARD:.0f}"
    assert f"goals at {goal} and apples at {apple}" in text
    assert re.findall(r"\| (\+\d+)", SECTIONS["mazes"]) == [goal, apple]
    assert re.findall(r"\| (\+\d+)", SECTIONS["navigation"]) == [apple, goal, goal, goal]
    assert mazes.N_APPLES == 6 and "one of the six apples" in SECTIONS["mazes"]
    assert navigation.N_APPLES == 8 and navigation.N_DOORS == 6
    assert "eight apples" in SECTIONS["navigation"] and "six doors" in SECTIONS["navigation"]
    assert f"with probability {navigation.TOGGLE} in every frame" in SECTIONS["navigation"]


def test_numbers_of_laser_tag() -> None:
    text, repeat = SECTIONS["laser-tag"], world.ACTION_REPEAT
    ahead, turn = repeat * world.FORWARD, repeat * laser_tag.TURN
    assert f"| 0 | {ahead:.1f} m ahead |" in text and f"| 1 | {ahead:.1f} m back |" in text
    assert f"| 2, 3 | turn by {turn:.0f}° to" in text
    assert f"| {laser_tag.TAG} tag |" in text and f"| {laser_tag.JUMP} jump | {ahead:.1f} m ahead, and up" in text
    height = sum(laser_tag.JUMP_SPEED - frame * laser_tag.GRAVITY for frame in range(repeat))
    assert f"the agent is {height:.0f} m high" in text
    assert figures.BARRIER_HEIGHT == 0.5 and "half a metre high" in text
    assert f"at most {laser_tag.HIT_RADIUS} m beside the line of fire" in text
    assert laser_tag.RELOAD == 12 == 3 * repeat and "takes twelve frames to load, so at most every third step" in text
    rewards = laser_tag.TAG_REWARD, laser_tag.OBJECT_REWARD, laser_tag.TAGGED_REWARD
    assert re.findall(r"\| ([+−][\d.]+) \|", text) == [f"{reward:+g}".replace("-", "−") for reward in rewards]
    assert laser_tag.N_OBJECTS == 6 and "after the last of six, six new ones" in text
    barriers = arena.make_arena(True, np.random.default_rng(0)).barriers
    assert len(barriers.centres) == 4 and "| 4 to 7 | as 0 to 3 | as 0 to 3 | four |" in text


def test_numbers_of_the_bots() -> None:
    text = SECTIONS["laser-tag"]
    assert laser_tag.BOT_SPEED == world.FORWARD / 2 and "three, one of each kind, half as fast as the agent" in text
    assert laser_tag.BOT_NUMBERS == (2, 4) and "two to four, kinds and speeds drawn" in text
    assert f"Up to {bots.SIGHT:.0f} m away" in text and f"up to {bots.NEAREST:.0f} m near" in text
    assert f"less than {degrees(bots.AIM):.0f}° beside" in text and f"scatter by {degrees(bots.SCATTER):.0f}°" in text
    assert (bots.REACTION, bots.RELOAD) == (6, 30) and "six steps after" in text and "every thirty steps" in text
    near, far = (erf(asin(bots.BODY / metres) / bots.SCATTER / sqrt(2)) for metres in (2, 5))
    assert near == pytest.approx(2 / 3, abs=0.02) and far == pytest.approx(0.3, abs=0.02)
    assert "at 2 m about two of three hit, at 5 m three of ten" in text


def test_every_task_has_its_returns() -> None:
    assert "over twenty episodes" in PAGE and "; ten episodes" in PAGE
    table = rows("What can be reached")
    for name, own in WORLDS.items():
        assert all(len(table[f"{name}-{task}"]) == len(PLAYERS[name]) - 1 for task in range(own.n_tasks))


@pytest.mark.parametrize("task", ["maze-6", "navigation-0", "laser-tag-5"])
def test_returns_are_those_of_the_players(task: str) -> None:
    name, index = task.rsplit("-", 1)
    env = WORLDS[name](int(index))
    env.render_obs = lambda: np.zeros((84, 84, 3), dtype=np.uint8)
    env._render_static = lambda: None
    n_episodes, *players = PLAYERS[name]
    for cell, player in zip(rows("What can be reached")[task], players, strict=True):
        returns = [episode_return(env, player, seed) for seed in range(n_episodes)]
        assert float(cell.replace("−", "-")) == pytest.approx(np.mean(returns), abs=0.051)
    env.close()
