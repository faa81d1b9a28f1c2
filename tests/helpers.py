"""Small environments whose every number is known, and the method written out in loops to compare with."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any, NamedTuple
from unittest.mock import patch

import gymnasium as gym
import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter, Logger
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import nn

from sb3_distral import DistralA2C

N_STATES = 4
N_ACTIONS = 3


class TableEnv(gym.Env[np.ndarray, int]):
    """
    A task whose next states and rewards are two tables, drawn with the task's number as seed.

    :param task: Which tables
    :param reward_scale: Factor of all rewards
    :param time_limit: Steps after which an episode is truncated
    :param terminal_state: State that ends the episode on entering it, -1 for none
    :param constant_reward: The reward of every step, in place of the table
    """

    def __init__(
        self,
        task: int = 0,
        reward_scale: float = 1.0,
        time_limit: int = 1000,
        terminal_state: int = -1,
        constant_reward: float | None = None,
    ):
        tables = np.random.default_rng(task)
        self.next_states = tables.integers(N_STATES, size=(N_STATES, N_ACTIONS))
        self.rewards = tables.normal(size=(N_STATES, N_ACTIONS)) * reward_scale
        if constant_reward is not None:
            self.rewards[:] = constant_reward
        self.time_limit, self.terminal_state = time_limit, terminal_state
        self.observation_space = spaces.Box(0.0, 1.0, (N_STATES,), np.float32)
        self.action_space = spaces.Discrete(N_ACTIONS)

    def _observe(self) -> np.ndarray:
        return np.eye(N_STATES, dtype=np.float32)[self.state]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        states = [state for state in range(N_STATES) if state != self.terminal_state]
        self.state, self.n_steps = int(self.np_random.choice(states)), 0
        return self._observe(), {}

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, dict]:
        reward = float(self.rewards[self.state, action])
        self.state = int(self.next_states[self.state, action])
        self.n_steps += 1
        terminated = self.state == self.terminal_state
        return self._observe(), reward, terminated, self.n_steps >= self.time_limit and not terminated, {}


class SpaceEnv(gym.Env[Any, int]):
    """
    Random observations of a space, random rewards, episodes of five steps.

    :param observation_space: The space
    """

    def __init__(self, observation_space: spaces.Space[Any]):
        self.observation_space = observation_space
        self.action_space = spaces.Discrete(N_ACTIONS)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict]:
        super().reset(seed=seed)
        if seed is not None:
            self.observation_space.seed(seed)
        self.n_steps = 0
        return self.observation_space.sample(), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict]:
        self.n_steps += 1
        return self.observation_space.sample(), float(self.np_random.normal()), False, self.n_steps == 5, {}


def save_diverged(model: Any, path: Any) -> None:
    """Save a model whatever it holds, as earlier versions did."""
    with patch.object(type(model), "_check_worth_saving"):
        model.save(path)


def table_task(task: int, **arguments: Any) -> Callable[[], TableEnv]:
    return lambda: TableEnv(task, **arguments)


def table_tasks(n_tasks: int = 3, **arguments: Any) -> dict[str, Callable[[], TableEnv]]:
    return {f"table-{task}": table_task(task, **arguments) for task in range(n_tasks)}


def distral(tasks: Any, randomized: bool = True, algorithm: Any = DistralA2C, **arguments: Any) -> Any:
    """A small model; its weights are far from the nearly uniform policies that initial weights give."""
    defaults = {"policy_kwargs": {"net_arch": [8]}, "seed": 0, "device": "cpu", "n_steps": 6}
    model = algorithm(tasks, **(defaults | arguments))
    if randomized:
        randomize(model.policy)
    return model


def with_sgd(**policy_kwargs: Any) -> dict[str, Any]:
    """Arguments under which an update is minus the gradient: no clipping, no optimizer state, learning rate 1."""
    return {
        "policy_kwargs": {"net_arch": [8], "optimizer_class": th.optim.SGD, **policy_kwargs},
        "learning_rate": 1.0,
        "max_grad_norm": 1e9,
    }


def a2cs_optimizer(eps: float = 1e-5) -> dict[str, Any]:
    """Arguments of a policy that make A2C's own optimizer, where the default is bias-corrected."""
    return {"optimizer_class": th.optim.RMSprop, "optimizer_kwargs": {"alpha": 0.99, "eps": eps, "weight_decay": 0}}


def randomize(module: nn.Module, scale: float = 0.5, seed: int = 0) -> None:
    generator = th.Generator().manual_seed(seed)
    with th.no_grad():
        for parameter in module.parameters():
            parameter += scale * th.randn(parameter.shape, generator=generator)


def copied_parameters(module: nn.Module) -> dict[str, th.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in module.named_parameters()}


def assert_equal_parameters(first: dict[str, th.Tensor], second: dict[str, th.Tensor], **tolerances: float) -> None:
    """Equal bit for bit where no tolerance is given."""
    tolerances = tolerances or {"rtol": 0.0, "atol": 0.0}
    assert first.keys() == second.keys()
    for name in first:
        th.testing.assert_close(first[name], second[name], msg=lambda text, name=name: f"{name}: {text}", **tolerances)


def prepare(model: DistralA2C, callback: Any = None, remaining: float = 1.0) -> BaseCallback:
    """What ``learn`` does before its loop, and as if all but a part of the steps were done."""
    total, prepared = model._setup_learn(10**6, callback)
    model.num_timesteps = round((1.0 - remaining) * total)
    prepared.on_training_start({}, {})
    return prepared


def roll_out(model: DistralA2C, callback: BaseCallback | None = None) -> "Rows":
    """One roll-out without the update that follows it."""
    assert model.env is not None
    callback = prepare(model) if callback is None else callback
    model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)
    return Rows.of(model)


class Rows(NamedTuple):
    """The transitions of a roll-out, before the update flattens the buffer."""

    observations: th.Tensor
    tasks: th.Tensor
    actions: th.Tensor
    returns: th.Tensor
    advantages: th.Tensor
    rewards: th.Tensor

    @classmethod
    def of(cls, model: DistralA2C) -> "Rows":
        buffer: Any = model.rollout_buffer
        observations = buffer.observations["obs"]
        flat = [buffer.observations["task"], buffer.actions, buffer.returns, buffer.advantages, buffer.rewards]
        tasks, actions, *numbers = [th.tensor(array.reshape(-1)) for array in flat]
        rows = th.tensor(observations.reshape(-1, observations.shape[-1]))
        return cls(rows, tasks.long(), actions.long(), *numbers)

    def of_task(self, task: int) -> "Rows":
        return Rows(*(column[self.tasks == task] for column in self))


class Networks(NamedTuple):
    """Copies of all networks of a model as separate policies of Stable-Baselines3."""

    architecture: str
    distilled: ActorCriticPolicy
    columns: list[ActorCriticPolicy]
    distilled_weights: list[float]

    @classmethod
    def of(cls, model: DistralA2C) -> "Networks":
        architecture, policies = model.policy.architecture, []
        if architecture != "shared":
            policies = [model.task_policy(task) for task in range(model.n_tasks)]
        columns: Any = [policy.task_column if architecture == "two_columns" else policy for policy in policies]
        return cls(architecture, deepcopy(model.distilled_policy), columns, model.policy.distilled_weights.tolist())

    def column(self, task: int) -> ActorCriticPolicy:
        return self.columns[task] if self.columns else self.distilled

    def distilled_log_policy(self, observations: th.Tensor) -> th.Tensor:
        return self.distilled.get_distribution(observations).distribution.logits

    def task_log_policy(self, task: int, observations: th.Tensor) -> th.Tensor:
        own = self.column(task).get_distribution(observations).distribution.logits
        if self.architecture == "two_columns":
            own = self.distilled_weights[task] * self.distilled_log_policy(observations) + own
        return own - th.logsumexp(own, dim=1, keepdim=True)

    def gradients(self) -> tuple[dict[str, th.Tensor], list[dict[str, th.Tensor]]]:
        return gradients_of(self.distilled), [gradients_of(column) for column in self.columns]


def gradients_of(module: nn.Module) -> dict[str, th.Tensor]:
    """Zero where a parameter has none."""
    return {
        name: th.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
        for name, parameter in module.named_parameters()
    }


def written_out_loss(
    model: DistralA2C,
    networks: Networks,
    rows: Rows,
    policy_gradient: bool = True,
    distillation: bool = True,
) -> th.Tensor:
    """The loss of one update, task by task and action by action; the costs are computed from α and β here."""
    total = th.zeros(())
    for task in range(model.n_tasks):
        own = rows.of_task(task)
        n_rows = len(own.tasks)
        log_policy = networks.task_log_policy(task, own.observations)
        prior = networks.distilled_log_policy(own.observations)
        values = networks.column(task).predict_values(own.observations)[:, 0]
        distilled_values = networks.distilled.predict_values(own.observations)[:, 0]
        kl_cost = float(model.costs.kl[task])
        for row in range(n_rows):
            probabilities = log_policy[row].exp()
            if policy_gradient:
                total = total - own.advantages[row] * log_policy[row, own.actions[row]] / n_rows
                total = total + model.vf_coef * (own.returns[row] - values[row]) ** 2 / n_rows
                total = total + model.ent_coef * (probabilities * log_policy[row]).sum() / n_rows
            if distillation and networks.columns:
                total = total - kl_cost * (probabilities.detach() * prior[row]).sum() / n_rows
            if networks.columns:
                total = total + model.value_l2_coef * (distilled_values[row] - values[row]) ** 2 / n_rows
    return total


def steps_between(before: Networks, after: Networks) -> tuple[dict[str, th.Tensor], list[dict[str, th.Tensor]]]:
    """Old parameters less new ones: with :func:`with_sgd` the gradient of the update."""

    def step(old: nn.Module, new: nn.Module) -> dict[str, th.Tensor]:
        new_parameters = copied_parameters(new)
        return {name: value - new_parameters[name] for name, value in copied_parameters(old).items()}

    columns = zip(before.columns, after.columns, strict=True)
    return step(before.distilled, after.distilled), [step(old, new) for old, new in columns]


class LogKeeper(KVWriter):
    """Keeps everything that is logged."""

    def __init__(self) -> None:
        self.logs: list[dict[str, Any]] = []

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        self.logs.append(dict(key_values))

    def close(self) -> None:
        pass

    @classmethod
    def of(cls, model: DistralA2C) -> "LogKeeper":
        keeper = cls()
        model.set_logger(Logger(None, [keeper]))
        return keeper
