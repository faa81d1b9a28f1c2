"""The equations of Distral (Teh et al., 2017) as pure functions on tensors.

Notation: π0 is the distilled policy, πi the policy of task i, c_KL and c_Ent the costs of divergence and of certainty,
α = c_KL / (c_KL + c_Ent) and β = 1 / (c_KL + c_Ent). Everything here works with the two costs, so nothing is divided
and β = ∞ (no regularisation) needs no special case. Log-probabilities are normalised logits.
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
    """
    return alpha / beta


def entropy_cost(alpha: float, beta: float) -> float:
    """
    Cost of certainty, c_Ent = (1 − α)/β (below (1)).

    :param alpha: Share of the divergence in the two costs, in [0, 1]
    :param beta: Inverse temperature, > 0, may be infinite
    :return: c_Ent, in units of reward per nat
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


def task_log_policy(distilled_log_policy: th.Tensor, task_logits: th.Tensor, distilled_weight: th.Tensor) -> th.Tensor:
    """
    The two-column policy πi = softmax(α h + f), (8) in the form of (11)-(12) where f stands for β times the advantage.

    ``h`` may be given as log π0: the two differ by a constant, which the softmax removes.

    :param distilled_log_policy: h or log π0(·|s), shape (..., n_actions)
    :param task_logits: f, shape (..., n_actions)
    :param distilled_weight: α, shape (..., 1) or scalar
    :return: log πi(·|s), shape (..., n_actions)
    """
    return th.log_softmax(distilled_weight * distilled_log_policy + task_logits, dim=-1)


def kl_divergence(task_log_policy: th.Tensor, distilled_log_policy: th.Tensor) -> th.Tensor:
    """
    KL(πi‖π0), the divergence of (1): how far the task policy has gone from the distilled one.

    :param task_log_policy: log πi(·|s), shape (..., n_actions)
    :param distilled_log_policy: log π0(·|s), shape (..., n_actions)
    :return: The divergence in nats, shape (...)
    """
    return (task_log_policy.exp() * (task_log_policy - distilled_log_policy)).sum(dim=-1)


def entropy(log_policy: th.Tensor) -> th.Tensor:
    """
    Entropy H(π) of a policy.

    :param log_policy: log π(·|s), shape (..., n_actions)
    :return: The entropy in nats, shape (...)
    """
    return -(log_policy.exp() * log_policy).sum(dim=-1)


def policy_gradient_loss(log_prob: th.Tensor, advantage: th.Tensor) -> th.Tensor:
    """
    Loss whose negative gradient is the summand of (9), and of the first term of (10) where πi contains h.

    :param log_prob: log πi(a|s), shape (batch,)
    :param advantage: Return of the regularised reward less a baseline, a constant of the optimisation, shape (batch,)
    :return: The loss of each row, shape (batch,)
    """
    return -advantage * log_prob


def distillation_loss(task_log_policy: th.Tensor, distilled_log_policy: th.Tensor, kl_cost: th.Tensor) -> th.Tensor:
    """
    Loss of π0 whose negative gradient is the summand of the second term of (10): (α/β) Σa (πi − π0) ∇h.

    It is the cross-entropy −(α/β) Σa πi(a|s) log π0(a|s), the exact mean over actions of (5); πi is a constant in it.

    :param task_log_policy: log πi(·|s), shape (batch, n_actions)
    :param distilled_log_policy: log π0(·|s), shape (batch, n_actions)
    :param kl_cost: c_KL of the task of each row, shape (batch,)
    :return: The loss of each row, shape (batch,)
    """
    return -kl_cost * (task_log_policy.detach().exp() * distilled_log_policy).sum(dim=-1)


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
    """
    counts = th.bincount(tasks, minlength=n_tasks).clamp(min=1)
    sums = rows.new_zeros(n_tasks, *rows.shape[1:]).index_add(0, tasks, rows)
    return sums / counts.view(-1, *[1] * (rows.dim() - 1))


def normalize_by_task(rows: th.Tensor, tasks: th.Tensor, n_tasks: int) -> th.Tensor:
    """
    Mean 0 and standard deviation 1 in each task, as A2C's ``normalize_advantage`` does over the whole batch.

    :param rows: One number a row, shape (batch,)
    :param tasks: Task of each row, shape (batch,)
    :param n_tasks: Number of tasks
    :return: Shape (batch,)
    """
    counts = th.bincount(tasks, minlength=n_tasks)
    centred = rows - task_means(rows, tasks, n_tasks)[tasks]
    variance = task_means(centred.square(), tasks, n_tasks) * counts / (counts - 1).clamp(min=1)
    return centred / (variance.sqrt()[tasks] + 1e-8)
