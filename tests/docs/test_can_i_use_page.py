"""Every cell of docs/can-i-use.md, against the code."""

import re
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import SyncVectorEnv
from stable_baselines3.common.vec_env import DummyVecEnv, VecCheckNan, VecFrameStack, VecMonitor, VecNormalize

import sb3_distral
from sb3_distral import DistralA2C, make_task_vec_env
from sb3_distral.errors import UsageError
from tests.algorithms.test_all_spaces import ACTIONS, OBSERVATIONS

PAGE = (Path(__file__).parents[2] / "docs" / "can-i-use.md").read_text(encoding="utf-8")
SPACES = vars(spaces) | {"inf": np.inf, "uint8": np.uint8, "int64": np.int64, "float64": np.float64}
WRAPPERS = {kind.__name__: kind for kind in (VecNormalize, VecMonitor, VecCheckNan, VecFrameStack, DummyVecEnv)}
make = partial(gym.make, "CartPole-v1")


def rows(heading: str) -> list[list[str]]:
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines if "---" not in line]


@pytest.mark.parametrize(("heading", "tested"), [("Observations", OBSERVATIONS), ("Actions", ACTIONS)])
def test_spaces_are_those_that_are_tested(heading: str, tested: dict[str, tuple[Any, str | None]]) -> None:
    _, *found = rows(heading)
    assert [row[1] for row in found] == list(tested)
    for code, name, works, advice in found:
        space, expected = tested[name]
        assert eval(code, SPACES) == space, code
        assert (works, advice) == (("yes", "") if expected is None else ("no", expected)), code


ARGUMENTS = [
    (algorithm, row[0], works)
    for row in rows("Arguments")[1:]
    for algorithm, works in zip(rows("Arguments")[0][1:], row[1:], strict=True)
]


@pytest.mark.parametrize(("name", "arguments", "works"), ARGUMENTS)
def test_arguments(name: str, arguments: str, works: str) -> None:
    small = {"lstm_hidden_size": 4} if "Recurrent" in name else {"net_arch": [4]}
    batch = {"batch_size": 8, "n_epochs": 1} if "PPO" in name else {}
    given = eval(f"dict({arguments})")

    def train() -> None:
        algorithm = getattr(sb3_distral, name)
        algorithm(["Pendulum-v1", "Pendulum-v1"], n_steps=4, seed=0, policy_kwargs=small, **batch, **given).learn(8)

    if works == "yes":
        train()
        return
    assert works == "no"
    with pytest.raises(UsageError, match=re.split("=", arguments)[0]):
        train()


@pytest.mark.parametrize(("code", "works"), rows("Wrappers")[1:])
def test_wrappers(code: str, works: str) -> None:
    names = WRAPPERS | {"SyncVectorEnv": SyncVectorEnv, "make": make, "env": make_task_vec_env({"a": make, "b": make})}
    assert works == "yes"
    model = DistralA2C(eval(code, names), seed=0, policy_kwargs={"net_arch": [4]}).learn(20)
    assert model.task_names == ["a", "b"]
