"""Every architecture and algorithm on every kind of action: training, acting, saving, and copies of the policies."""

import itertools
from typing import Any, get_args

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from helpers import copied_parameters, randomize

from sb3_distral import DistralA2C, DistralPPO, RecurrentDistralA2C, RecurrentDistralPPO
from sb3_distral.policies.evaluation import Architecture

LEARNERS = {"a2c": DistralA2C, "ppo": DistralPPO, "recurrent a2c": RecurrentDistralA2C}
LEARNERS["recurrent ppo"] = RecurrentDistralPPO
#: The space, and whether its actions are masked or its standard deviations depend on the state
ACTIONS = {
    "discrete": spaces.Discrete(3),
    "discrete from 3": spaces.Discrete(3, start=3),
    "masked": spaces.Discrete(4),
    "choices": spaces.MultiDiscrete([2, 3]),
    "choices from elsewhere": spaces.MultiDiscrete([2, 3], start=[1, -2]),
    "binary": spaces.MultiBinary(3),
    "continuous": spaces.Box(-0.5, 0.5, (2,)),
    "continuous of two axes": spaces.Box(-0.5, 0.5, (2, 3)),
    "deviations by state": spaces.Box(-0.5, 0.5, (2,)),
}
N_TASKS, N_ENVS, N_STEPS = 2, 2, 4
CASES = [
    case
    for case in itertools.product(LEARNERS, get_args(Architecture), ACTIONS, ["joint", "alternating"])
    if case[1] != "shared" or case[3] == "joint"
]


class StrictTask(gym.Env[np.ndarray, Any]):
    """Takes nothing but actions of its space, valid ones where it has masks; episodes of three steps."""

    def __init__(self, action_space: spaces.Space[Any], task: int, masked: bool):
        self.observation_space = spaces.Box(-1.0, 1.0, (3,), np.float32)
        self.action_space, self.task, self.masked = action_space, task, masked
        self.n_steps = 0

    def _mask(self) -> np.ndarray:
        """Others at each step and in each task, and always two of four."""
        return (np.arange(4) + self.n_steps + self.task) % 2 == 0

    def __getattr__(self, name: str) -> Any:
        if name == "action_masks" and self.masked:
            return self._mask
        raise AttributeError(name)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.n_steps = 0
        return self.np_random.uniform(-1.0, 1.0, 3).astype(np.float32), {}

    def step(self, action: Any) -> tuple[np.ndarray, float, bool, bool, dict]:
        assert self.action_space.contains(action), f"{action!r} is no element of {self.action_space}"
        assert not self.masked or self._mask()[action], f"{action!r} is not valid"
        self.n_steps += 1
        observation = self.np_random.uniform(-1.0, 1.0, 3).astype(np.float32)
        return observation, float(np.sum(action)), False, self.n_steps == 3, {}


def make_model(learner, architecture, actions, optimization):
    arguments: dict[str, Any] = {"n_steps": N_STEPS, "optimization": optimization}
    if "ppo" in learner:
        arguments |= {"batch_size": 8, "n_epochs": 2}
    policy_kwargs: dict[str, Any] = {"lstm_hidden_size": 4} if "recurrent" in learner else {"net_arch": [4]}
    if actions == "deviations by state":
        policy_kwargs["state_dependent_std"] = True
    tasks = [
        lambda task=task: StrictTask(ACTIONS[actions], task, masked=actions == "masked") for task in range(N_TASKS)
    ]
    return LEARNERS[learner](
        tasks,
        alpha=0.5,
        beta=5.0,
        n_envs_per_task=N_ENVS,
        architecture=architecture,
        policy_kwargs=policy_kwargs,
        seed=0,
        device="cpu",
        **arguments,
    )


@pytest.fixture(scope="module", params=CASES, ids=" | ".join)
def trained(request):
    """A model after two roll-outs, its parameters before them, and observations of the tasks."""
    th.manual_seed(0)
    model = make_model(*request.param)
    randomize(model.policy, 0.3)
    before = copied_parameters(model.policy)
    model.learn(2 * N_STEPS * N_TASKS * N_ENVS)
    return model, before, model.get_env().reset()


def plain_observations(n_rows=6):
    return np.random.default_rng(1).uniform(-1.0, 1.0, (n_rows, 3)).astype(np.float32)


def some_masks(model, n_rows=6):
    """Masks of plain observations, in which every second row has two valid actions of four, the others one."""
    if not isinstance(model.action_space, spaces.Discrete) or model.action_space.n != 4:
        return None
    return np.array([[True, False, True, False], [False, False, False, True]] * (n_rows // 2))


def distribution(policy, rows):
    """At the first step of episodes, where all memories are empty."""
    if not hasattr(policy, "lstm_hidden_state_shape"):
        return policy.get_distribution(rows)
    layers, _, size = policy.lstm_hidden_state_shape
    n_rows = len(rows["obs"] if isinstance(rows, dict) else rows)
    zeros = th.zeros(layers, n_rows, size)
    return policy.get_distribution(rows, (zeros, zeros), th.ones(n_rows))[0]


def test_all_parts_learn(trained):
    model, before, _ = trained
    after = copied_parameters(model.policy)
    assert all(parameter.isfinite().all() for parameter in after.values())
    moved = {name.split(".")[0] for name in before if not th.equal(before[name], after[name])}
    assert moved == {name.split(".")[0] for name in before}


def test_policies_act_on_plain_observations(trained):
    model, _, _ = trained
    masks = some_masks(model)
    arguments = {} if masks is None else {"action_masks": masks}
    for policy in (model, model.distilled_policy, *(model.task_policy(task) for task in range(N_TASKS))):
        for deterministic in (False, True):
            actions, _ = policy.predict(plain_observations(), deterministic=deterministic, **arguments)
            assert len(actions) == 6
            assert all(model.action_space.contains(action) for action in actions)
            assert masks is None or masks[range(6), actions].all()


def test_a_task_policy_is_the_policy_of_the_rows_of_its_task(trained):
    model, _, _ = trained
    plain, masks = th.tensor(plain_observations()), some_masks(model)
    for task in range(N_TASKS):
        rows = {"obs": plain, "task": th.full((6,), task)}
        own = model.task_policy(task)
        with th.no_grad(), own.masked(masks):
            if masks is not None:
                rows["action_mask"] = th.tensor(masks)
            expected, got = distribution(model.policy, rows), distribution(own, plain)
            actions = expected.sample()
            th.testing.assert_close(got.log_prob(actions), expected.log_prob(actions), rtol=1e-4, atol=1e-5)
            th.testing.assert_close(got.mode(), expected.mode(), rtol=1e-4, atol=1e-5)


def test_a_loaded_model_acts_as_the_saved_one(trained, tmp_path):
    model, _, observations = trained
    model.save(tmp_path / "model")
    loaded = type(model).load(tmp_path / "model", device="cpu")
    for each in (observations, plain_observations()):
        for deterministic in (False, True):
            drawn = []
            for policy in (model, loaded):
                th.manual_seed(5)
                drawn.append(policy.predict(each, deterministic=deterministic)[0])
            assert np.array_equal(*drawn)
