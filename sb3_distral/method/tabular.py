"""
Distral on tables: soft Q-learning with a prior, (2) to (4), in turn with distillation by counts, (5).

The functions are the equations of Distral (Teh et al., 2017); :class:`TabularDistral` holds tables and learns. Separate
soft Q-learning is the same learner with a fixed, uniform π0. All arrays end with the axis of the actions, and
everything runs over seeds, tasks and roll-outs at once.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sb3_distral.errors import UsageError
from sb3_distral.method.costs import check_coefficients

Array = npt.NDArray[Any]


def soft_value(log_prior: Array, q_values: Array, alpha: float, beta: float) -> Array:
    """
    The soft state value (2): Vi(s) = (1/β) log Σa π0(a|s)^α exp(β Qi(a,s)), without overflow.

    :param log_prior: log π0(·|s), shape (..., n_actions)
    :param q_values: Qi(·,s), in units of reward, shape (..., n_actions)
    :param alpha: α, share of the divergence in the two costs, in [0, 1]
    :param beta: β, inverse temperature, > 0, finite
    :return: Vi(s), in units of reward, shape (...)
    """
    scores = alpha * log_prior + beta * q_values
    highest = scores.max(axis=-1, keepdims=True)
    value: Array = (highest[..., 0] + np.log(np.exp(scores - highest).sum(axis=-1))) / beta
    return value


def soft_backup(rewards: Array, ended: Array, next_values: Array, gamma: float) -> Array:
    """
    The soft Bellman backup (3) of one transition: Ri(a,s) + γ Vi(s'), with the plain reward.

    :param rewards: Ri(a,s), shape (...)
    :param ended: Whether the task ended with the transition, so that nothing follows; a cut roll-out has not ended
    :param next_values: Vi(s'), shape (...)
    :param gamma: γ, discount
    :return: Target of Qi(a,s), in units of reward, shape (...)
    """
    target: Array = rewards + gamma * np.where(ended, 0.0, next_values)
    return target


def boltzmann_policy(log_prior: Array, q_values: Array, alpha: float, beta: float) -> Array:
    """
    The task policy (4): πi(a|s) = π0(a|s)^α exp(β Qi(a,s) − β Vi(s)).

    :param log_prior: log π0(·|s), shape (..., n_actions)
    :param q_values: Qi(·,s), in units of reward, shape (..., n_actions)
    :param alpha: α, share of the divergence in the two costs, in [0, 1]
    :param beta: β, inverse temperature, > 0, finite
    :return: πi(·|s), shape (..., n_actions)

    >>> uniform, q_values = np.log([0.5, 0.5]), np.array([1.0, 1.0])
    >>> boltzmann_policy(uniform, q_values, alpha=1.0, beta=5.0).round(3).tolist()
    [0.5, 0.5]
    """
    values = soft_value(log_prior, q_values, alpha, beta)[..., None]
    policy: Array = np.exp(alpha * log_prior + beta * (q_values - values))
    return policy


def distilled_policy_from_counts(counts: Array, pseudocount: float = 1.0) -> Array:
    """
    The distilled policy that maximises (5), a log-likelihood: the frequencies of the actions of all tasks in a state.

    :param counts: How often each action was taken in each state, summed over tasks, shape (..., n_actions)
    :param pseudocount: Added to every count, > 0: a state never visited has the uniform policy
    :return: π0(·|s), shape (..., n_actions)
    :raises ValueError: If the pseudocount is not above 0

    >>> distilled_policy_from_counts(np.array([0, 2])).tolist()
    [0.25, 0.75]
    """
    if not pseudocount > 0:
        raise UsageError(f"pseudocount is {pseudocount}, expected a number above 0; the paper has 1.")
    smoothed = counts + pseudocount
    policy: Array = smoothed / smoothed.sum(axis=-1, keepdims=True)
    return policy


class TabularTasks(NamedTuple):
    """
    Deterministic tasks of equal states, actions and moves that differ in rewards, ends and first states.

    :param next_state: Next state by state and action, shape (n_states, n_actions)
    :param rewards: Rewards, shape (n_seeds, n_tasks, n_states, n_actions)
    :param ends: Whether the action ends the episode, shape (n_seeds, n_tasks, n_states, n_actions)
    :param starts: States where an episode starts, all equally likely, shape (n_seeds, n_tasks, n_starts)
    """

    next_state: Array
    rewards: Array
    ends: Array
    starts: Array


class TabularDistral:
    """
    Soft Q-learning of every task, in turn with the distillation of π0.

    A roll-out is one episode: it stops where the task ends, or is cut at its greatest length and then bootstraps from
    the value of the last state. All roll-outs of an iteration advance together, and each step moves Qi by ``step_size``
    times the error of (3); where several roll-outs of a task are in one state with one action, their moves add up.

    :param tasks: The tasks of each seed
    :param generators: A source of random numbers for each seed; a seed's results do not depend on the other seeds
    :param alpha: α, share of the divergence in the two costs, in [0, 1]
    :param beta: β, inverse temperature, > 0, finite
    :param gamma: γ, discount, in [0, 1]
    :param step_size: Step size of soft Q-learning, in (0, 1]
    :param pseudocount: Count of each action in each state before anything was seen, > 0
    :param distilled_policy: π0 that stays fixed, above 0 everywhere, shape (n_seeds, n_states, n_actions); ``None``: π0
        starts uniform and is learned from the counts of all roll-outs so far
    :raises ValueError: If a number is outside its range, or generators or π0 do not fit the tasks
    """

    def __init__(
        self,
        tasks: TabularTasks,
        generators: Sequence[np.random.Generator],
        *,
        alpha: float = 1.0,
        beta: float = 5.0,
        gamma: float = 0.95,
        step_size: float = 0.1,
        pseudocount: float = 1.0,
        distilled_policy: Array | None = None,
    ) -> None:
        check_coefficients("all tasks", alpha, beta)
        _check_ranges(beta, gamma, step_size)
        self.tasks, self.generators = tasks, generators
        self.alpha, self.beta, self.gamma = alpha, beta, gamma
        self.step_size, self.pseudocount = step_size, pseudocount
        self.distils = distilled_policy is None
        self.n_seeds, self.n_tasks, self.n_states, self.n_actions = tasks.rewards.shape
        self.q_values = np.zeros(tasks.rewards.shape)
        self.counts = np.zeros((self.n_seeds, self.n_states, self.n_actions), dtype=np.int64)
        uniform = distilled_policy_from_counts(self.counts, pseudocount)
        prior = uniform if distilled_policy is None else distilled_policy
        if prior.shape != self.counts.shape or len(generators) != self.n_seeds:
            raise UsageError(
                f"Got {len(generators)} generators and a π0 of shape {prior.shape}, expected {self.n_seeds} generators "
                f"and the shape {self.counts.shape} for these tasks (seeds, states, actions)."
            )
        _check_policy(prior)
        self._set_prior(prior)

    def _set_prior(self, distilled_policy: Array) -> None:
        self.distilled_policy = distilled_policy
        self._log_prior = np.log(distilled_policy)

    def iterate(self, n_rollouts: int = 10, length: int = 100) -> Array:
        """
        Learn from roll-outs of all tasks, then distil.

        :param n_rollouts: Roll-outs of each task
        :param length: Greatest number of steps of a roll-out
        :return: Sum of the rewards of each roll-out, not discounted, shape (n_seeds, n_tasks, n_rollouts)
        """
        n_columns = self.n_tasks * n_rollouts
        n_starts = self.tasks.starts.shape[-1]
        starts = np.stack([generator.integers(n_starts, size=n_columns) for generator in self.generators])
        chances = np.stack([generator.random((length, n_columns)) for generator in self.generators], axis=1)
        learners = np.repeat(np.arange(self.n_seeds * self.n_tasks), n_rollouts)
        first_states = self.tasks.starts.reshape(-1, n_starts)[learners, starts.ravel()]
        returns = self._roll_out(learners, first_states, chances.reshape(length, -1))
        if self.distils:
            self._set_prior(distilled_policy_from_counts(self.counts, self.pseudocount))
        return returns.reshape(self.n_seeds, self.n_tasks, n_rollouts)

    def _roll_out(self, learners: Array, states: Array, chances: Array) -> Array:
        """
        :param learners: Seed and task of each roll-out as one index, shape (n_rollouts,)
        :param states: First states, shape (n_rollouts,)
        :param chances: Uniform random numbers that choose the actions, shape (length, n_rollouts)
        :return: Sum of the rewards of each roll-out, shape (n_rollouts,)
        """
        # Views with one row for each state of a learner, and of a seed.
        q_values = self.q_values.reshape(-1, self.n_actions)
        rewards, ends = (table.reshape(-1, self.n_actions) for table in (self.tasks.rewards, self.tasks.ends))
        log_prior, counts = (table.reshape(-1, self.n_actions) for table in (self._log_prior, self.counts))
        returns = np.zeros(len(learners))
        going = np.arange(len(learners))
        for step_chances in chances:
            rows = learners * self.n_states + states
            prior_rows = learners // self.n_tasks * self.n_states + states
            policy = boltzmann_policy(log_prior[prior_rows], q_values[rows], self.alpha, self.beta)
            actions = (step_chances[going, None] > policy.cumsum(axis=-1)[:, :-1]).sum(axis=-1)
            next_states = self.tasks.next_state[states, actions]
            shift = next_states - states
            next_values = soft_value(log_prior[prior_rows + shift], q_values[rows + shift], self.alpha, self.beta)
            ended = ends[rows, actions]
            targets = soft_backup(rewards[rows, actions], ended, next_values, self.gamma)
            np.add.at(q_values, (rows, actions), self.step_size * (targets - q_values[rows, actions]))
            np.add.at(counts, (prior_rows, actions), 1)
            returns[going] += rewards[rows, actions]
            going, learners, states = going[~ended], learners[~ended], next_states[~ended]
        return returns


def _check_ranges(beta: float, gamma: float, step_size: float) -> None:
    if np.isinf(beta):
        raise UsageError("beta is inf, but a Boltzmann policy needs a finite β. Pass a large number, such as 1000.")
    if not 0.0 <= gamma <= 1.0:
        raise UsageError(f"gamma is {gamma}, expected a discount in [0, 1]; the paper has 0.95.")
    if not 0.0 < step_size <= 1.0:
        raise UsageError(f"step_size is {step_size}, expected a number above 0, at most 1; the paper has 0.1.")


def _check_policy(policy: Array) -> None:
    sums = policy.sum(axis=-1)
    if not ((policy > 0).all() and np.allclose(sums, 1.0)):
        raise UsageError(
            f"distilled_policy has entries from {policy.min()} to {policy.max()} and sums over actions from "
            f"{sums.min()} to {sums.max()}, expected entries above 0, since log π0 is taken, and sums of 1. Divide by "
            "the sums, or mix in a little of the uniform policy."
        )
