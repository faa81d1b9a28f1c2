"""What README.md says, and the pages that began in it, against the code."""

import re
from pathlib import Path
from typing import Any

import pytest

from sb3_distral import ALGORITHMS, DistralA2C, DistralPPO, TaskEvalCallback, tasks

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EQUATIONS = (ROOT / "docs" / "equations.md").read_text(encoding="utf-8")
LOGS = (ROOT / "docs" / "guide-logs.md").read_text(encoding="utf-8")
START = (ROOT / "docs" / "start.md").read_text(encoding="utf-8")


def first_cells(text: str) -> list[list[str]]:
    """
    :param text: Text with a table
    :return: Code in the first two cells of each of its rows
    """
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| `")]
    return [[code for cell in row[:2] for code in re.findall(r"`([^`]+)`", cell)] for row in rows]


def test_table_of_algorithms_is_algorithms() -> None:
    # The cells are code: alpha=1.0, architecture="two_columns", …
    table = {name: eval(f"dict({arguments})") for name, arguments in first_cells(EQUATIONS)}
    assert table == ALGORITHMS


@pytest.mark.parametrize("text", [README, START], ids=["README", "start"])
def test_python_blocks_run(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    exec(re.sub(r"\.learn\([\d_]+", ".learn(640", "\n".join(blocks)), {})


def test_readme_is_one_screen() -> None:
    assert len(README.splitlines()) <= 90


def test_every_logged_key_is_explained_and_exists() -> None:
    env = tasks.make("grid-mazes", seed=0, n_tasks=2)
    mazes, unseen = (tasks.make("grid-mazes", seed=1, maze_seed=maze_seed, n_tasks=2) for maze_seed in range(2))
    evaluation = TaskEvalCallback(mazes, n_eval_episodes=1, eval_freq=200, held_out=unseen)
    a2c = DistralA2C(env, seed=0, value_l2_coef=0.005, beta="auto", normalize_returns=True)
    logged = keys_of(a2c, callback=evaluation, log_interval=10)
    logged |= keys_of(DistralA2C(env, seed=0, n_distilled=2), log_interval=10)
    pendulums = tasks.make("pendulums", seed=0, n_tasks=2)
    for environment in (env, pendulums):
        logged |= keys_of(DistralPPO(environment, seed=0, n_steps=100, batch_size=100, n_epochs=1), log_interval=1)
    explained = {cells[0] for cells in first_cells(LOGS)}
    own = {re.sub(r"/(maze|pendulum)-\d", "/<task>", key) for key in logged}
    assert {re.sub(r"distilled_\d", "distilled_<k>", key) for key in own} == explained


def keys_of(model: DistralA2C | DistralPPO, **arguments: Any) -> set[str]:
    """
    :param model: A model that trains
    :param arguments: Arguments of ``learn``
    :return: All keys that it logs
    """
    logged: set[str] = set()
    model.learn(1, log_interval=10)
    dump = model.logger.dump

    def keep_keys(step: int = 0) -> None:
        logged.update(model.logger.name_to_value)
        dump(step)

    model.logger.dump = keep_keys  # type: ignore[method-assign]
    model.set_logger(model.logger)
    model.learn(1000, **arguments)
    return logged
