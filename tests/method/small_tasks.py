"""Small random tasks and exact solutions, written out in loops."""

import numpy as np

from sb3_distral.method.tabular import (
    Array,
    TabularDistral,
    TabularTasks,
    boltzmann_policy,
    distilled_policy_from_counts,
    soft_backup,
    soft_value,
)

N_STATES, N_ACTIONS, GAMMA = 5, 3, 0.9
START = np.array([0.4, 0.3, 0.2, 0.1, 0.0])


def random_tasks(n_seeds: int = 1, n_tasks: int = 2) -> TabularTasks:
    """Tasks whose tables depend on the seed's and the task's number alone."""
    next_state = np.random.default_rng(99).integers(N_STATES, size=(N_STATES, N_ACTIONS))
    shape = (n_seeds, n_tasks, N_STATES, N_ACTIONS)
    rewards, ends = np.empty(shape), np.empty(shape, dtype=bool)
    for seed, task in np.ndindex(n_seeds, n_tasks):
        generator = np.random.default_rng([seed, task])
        rewards[seed, task] = generator.normal(size=(N_STATES, N_ACTIONS))
        ends[seed, task] = generator.random((N_STATES, N_ACTIONS)) < 0.2
    starts = np.broadcast_to(np.arange(N_STATES), (n_seeds, n_tasks, N_STATES))
    return TabularTasks(next_state, rewards, ends, starts)


def make_learner(tasks: TabularTasks, **arguments: object) -> TabularDistral:
    generators = [np.random.default_rng([7, seed]) for seed in range(len(tasks.rewards))]
    return TabularDistral(tasks, generators, **arguments)  # type: ignore[arg-type]


def solve_task(tasks: TabularTasks, task: int, distilled_policy: Array, alpha: float, beta: float) -> Array:
    """πi that maximises (1) for this π0: (3) repeated to its fixed point."""
    q_values, log_prior = np.zeros((N_STATES, N_ACTIONS)), np.log(distilled_policy)
    for _ in range(400):
        values = soft_value(log_prior, q_values, alpha, beta)[tasks.next_state]
        q_values = soft_backup(tasks.rewards[0, task], tasks.ends[0, task], values, GAMMA)
    return boltzmann_policy(log_prior, q_values, alpha, beta)


def visits(tasks: TabularTasks, task: int, policy: Array) -> Array:
    """Discounted visits Σt γ^t P(st = s, at = a) from ``START``, step by step."""
    total, places = np.zeros((N_STATES, N_ACTIONS)), START.copy()
    for step in range(400):
        joint = places[:, None] * policy
        total += GAMMA**step * joint
        places = np.zeros(N_STATES)
        np.add.at(places, tasks.next_state, np.where(tasks.ends[0, task], 0.0, joint))
    return total


def objective(tasks: TabularTasks, policies: list[Array], distilled_policy: Array, alpha: float, beta: float) -> float:
    """(1), second line."""
    total = 0.0
    for task, policy in enumerate(policies):
        regularized = tasks.rewards[0, task] + alpha / beta * np.log(distilled_policy) - np.log(policy) / beta
        total += float((visits(tasks, task, policy) * regularized).sum())
    return total


def distil(tasks: TabularTasks, policies: list[Array]) -> Array:
    """π0 that maximises (1) for these πi: (5) with discounted visits for counts."""
    counts = np.sum([visits(tasks, task, policy) for task, policy in enumerate(policies)], axis=0)
    return distilled_policy_from_counts(counts, pseudocount=1e-12)
