"""The equations of Distral (Teh et al., 2017) as pure functions on tensors.

Notation: π0 is the distilled policy, πi the policy of task i, c_KL and c_Ent the costs of divergence and of certainty,
α = c_KL / (c_KL + c_Ent) and β = 1 / (c_KL + c_Ent). Everything here works with the two costs, so nothing is divided
and β = ∞ (no regularisation) needs no special case. What depends on the kind of policy is in ``families``.
"""

from typing import Any, TypeVar

import numpy as np
import torch as th

Array = TypeVar("Array", th.Tensor, np.ndarray[Any, Any])


def kl_cost(alpha: float, beta: float) -> float:
    """
    Cost of the divergence from the distilled policy, c_KL = α/β (below (1)).

    :param alpha: Share of the divergence in the two costs, in [0, 1]
    :param beta: Inverse temperature, > 0, may be infinite
    :return: c_KL, in units of reward per nat

    >>> kl_cost(alpha=0.5, beta=100)
    0.005
    """
    return alpha / beta


def entropy_cost(alpha: float, beta: float) -> float:
    """
    Cost of certainty, c_Ent = (1 − α)/β (below (1)).

    :param alpha: Share of the divergence in the two costs, in [0, 1]
    :param beta: Inverse temperature, > 0, may be infinite
    :return: c_Ent, in units of reward per nat

    >>> entropy_cost(alpha=1.0, beta=100)
    0.0
    """
    return (1.0 - alpha) / beta


def regularizer(distilled_log_prob: Array, task_log_prob: Array, kl_cost: Array, entropy_cost: Array) -> Array:
    """
    What the objective (1) adds to the reward of the action taken: (α/β) log π0(a|s) − (1/β) log πi(a|s).

    Its mean under πi is −c_KL KL(πi‖π0) + c_Ent H(πi). All arguments, tensors or arrays, broadcast against each other.

    :param distilled_log_prob: log π0(a|s) of the task policy's action
    :param task_log_prob: log πi(a|s) of the same action
    :param kl_cost: c_KL of the task of each row
    :param entropy_cost: c_Ent of the task of each row
    :return: The regularisation of each row, in units of reward
    """
    added: Array = kl_cost * distilled_log_prob - (kl_cost + entropy_cost) * task_log_prob
    return added


def policy_gradient_loss(log_prob: th.Tensor, advantage: th.Tensor) -> th.Tensor:
    """
    Loss whose negative gradient is the summand of (9), and of the first term of (10) where πi contains h.

    :param log_prob: log πi(a|s), shape (batch,)
    :param advantage: Return of the regularised reward less a baseline, a constant of the optimisation, shape (batch,)
    :return: The loss of each row, shape (batch,)
    """
    return -advantage * log_prob


def clipped_policy_loss(ratio: th.Tensor, advantage: th.Tensor, clip_range: float) -> th.Tensor:
    """
    PPO's surrogate of :func:`policy_gradient_loss` (Schulman et al., 2017, (7)), for several steps on one roll-out.

    :param ratio: πi(a|s) now over that when the action was taken, shape (batch,)
    :param advantage: As in :func:`policy_gradient_loss`
    :param clip_range: ε, how far from 1 a ratio pays
    :return: The loss of each row, shape (batch,)
    """
    return -th.min(advantage * ratio, advantage * ratio.clamp(1.0 - clip_range, 1.0 + clip_range))


def approximate_kl(log_ratio: th.Tensor) -> th.Tensor:
    """
    Estimate of how far a policy has moved since the action was taken, Schulman's unbiased one of low variance.

    :param log_ratio: log πi(a|s) now less that when the action was taken, shape (batch,)
    :return: The estimate of each row in nats, shape (batch,)
    """
    return log_ratio.exp() - 1.0 - log_ratio


def distillation_loss(cross_entropy: th.Tensor, kl_cost: th.Tensor) -> th.Tensor:
    """
    Loss of π0 whose negative gradient is the summand of the second term of (10): (α/β) Σa (πi − π0) ∇h.

    It is −(α/β) Σa πi(a|s) log π0(a|s), the exact mean over actions of (5); πi is a constant in it.

    :param cross_entropy: Cross-entropy of π0 under πi, shape (batch,)
    :param kl_cost: c_KL of the task of each row, shape (batch,)
    :return: The loss of each row, shape (batch,)
    """
    return kl_cost * cross_entropy


def rehearsal_loss(divergence: th.Tensor, rehearsal_coef: float) -> th.Tensor:
    """
    Loss that keeps π0 near what it was before the tasks changed; not in the paper.

    It is the distillation of a task whose policy is the former π0: its negative gradient is coef · Σa (π0' − π0) ∇h for
    the former π0', as in the second term of (10).

    :param divergence: KL(π0'‖π0), the former π0' being a constant, shape (batch,)
    :param rehearsal_coef: Its weight, in units of reward per nat as c_KL is
    :return: The loss of each row, shape (batch,)
    """
    return rehearsal_coef * divergence


def sum_of_task_means(rows: th.Tensor, tasks: th.Tensor, n_tasks: int) -> th.Tensor:
    """
    Mean over the rows of each task, summed over tasks: the losses of (1) and (10), in which every task weighs alike.

    :param rows: One or several numbers a row, shape (batch, ...)
    :param tasks: Task of each row, integers in [0, n_tasks), shape (batch,)
    :param n_tasks: Number of tasks
    :return: The sum, shape (...)
    """
    # One product instead of the dozen small operations of task_means(...).sum(0) and their gradients.
    counts = th.bincount(tasks, minlength=n_tasks)
    return counts[tasks].to(rows.dtype).reciprocal() @ rows


def task_means(rows: th.Tensor, tasks: th.Tensor, n_tasks: int) -> th.Tensor:
    """
    Mean over the rows of each task.

    :param rows: One or several numbers a row, shape (batch, ...)
    :param tasks: Task of each row, integers in [0, n_tasks), shape (batch,)
    :param n_tasks: Number of tasks
    :return: The means, 0 for a task without rows, shape (n_tasks, ...)

    >>> task_means(th.tensor([1.0, 3.0, 5.0]), th.tensor([0, 0, 1]), n_tasks=2).tolist()
    [2.0, 5.0]
    """
    counts = th.bincount(tasks, minlength=n_tasks).clamp(min=1)
    sums = rows.new_zeros(n_tasks, *rows.shape[1:]).index_add(0, tasks, rows)
    return sums / counts.view(-1, *[1] * (rows.dim() - 1))


def normalize_by_task(rows: th.Tensor, tasks: th.Tensor, n_tasks: int) -> th.Tensor:
    """
    Mean 0 and standard deviation 1 in each task, as A2C's ``normalize_advantage`` does over the whole batch.

    A lone row of a task stays as it is, since nothing says how large it is among others.

    :param rows: One number a row, shape (batch,)
    :param tasks: Task of each row, shape (batch,)
    :param n_tasks: Number of tasks
    :return: Shape (batch,)
    """
    counts = th.bincount(tasks, minlength=n_tasks)
    centred = rows - task_means(rows, tasks, n_tasks)[tasks]
    variance = task_means(centred.square(), tasks, n_tasks) * counts / (counts - 1).clamp(min=1)
    normalized = centred / (variance.sqrt()[tasks] + 1e-8)
    return th.where(counts[tasks] > 1, normalized, rows)
