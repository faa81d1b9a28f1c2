"""Several distilled policies, and which of them the policy of each task is drawn to."""

from collections.abc import Sequence

import torch as th
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import PyTorchObs
from torch import nn

from sb3_distral.method import mixture
from sb3_distral.method.families import Family
from sb3_distral.networks.columns import TaskColumns
from sb3_distral.policies.evaluation import Prior

#: N of :mod:`sb3_distral.method.mixture`: for how many steps of a task its responsibilities count once.
STEPS_PER_ASSIGNMENT = 10.0
#: Steps of a task over which its log-likelihoods are averaged.
WINDOW = 300.0


class DistilledBank(nn.Module):
    """
    k distilled policies π0^z, evaluated as one network, and their responsibilities q for the tasks.

    :param columns: The networks, of equal structure and different weights; their parameters are copied
    :param family: Family of their policies
    :param n_tasks: Number of tasks
    """

    log_likelihoods: th.Tensor
    responsibilities: th.Tensor
    sums: th.Tensor
    n_steps: th.Tensor

    def __init__(self, columns: Sequence[ActorCriticPolicy], family: Family, n_tasks: int):
        super().__init__()
        self.family, self.k = family, len(columns)
        self.columns = TaskColumns(columns)
        zeros = th.zeros(n_tasks, self.k)
        # With the weights these are all of its state: a training that goes on finds them in its file.
        self.register_buffer("log_likelihoods", zeros)
        self.register_buffer("responsibilities", mixture.responsibilities(zeros, STEPS_PER_ASSIGNMENT))
        # Of the roll-out that is being collected
        self.register_buffer("sums", zeros.clone())
        self.register_buffer("n_steps", th.zeros(n_tasks))

    def evaluate(self, plain: PyTorchObs, tasks: th.Tensor, mask: th.Tensor | None) -> Prior:
        """
        Evaluate all components, and their pool for the task of each row.

        :param plain: A batch of plain observations
        :param tasks: Task of each row, shape (batch,)
        :param mask: Whether each choice is valid, shape (batch, n_parameters); ``None``: all are
        :return: Pool and components among valid actions; the values are Σz q_iz V0^z(s)
        """
        outputs, values = self.columns.all(plain)
        weights = self.responsibilities[tasks]
        components = self.family.canonical(outputs)
        pooled = self.family.pool(components, weights)
        if mask is not None:
            pooled = self.family.restrict(pooled, mask)
            components = self.family.restrict(components, mask)
        pooled_values = (weights.t().unsqueeze(2) * values).sum(dim=0)
        log_normalizer = mixture.log_normalizer(self.family, pooled, components, weights)
        return Prior(pooled, pooled_values, log_normalizer, components)

    def observe(self, tasks: th.Tensor, log_likelihoods: th.Tensor) -> None:
        """
        Take in a step of the roll-out.

        :param tasks: Task of each row, shape (batch,)
        :param log_likelihoods: Of its actions under each component, shape (batch, k)
        """
        self.sums.index_add_(0, tasks, log_likelihoods)
        self.n_steps += th.bincount(tasks, minlength=len(self.n_steps))

    def change_tasks(self, kept: Sequence[int], n_new: int) -> None:
        """
        Let tasks leave and others come, to which all components are alike as they are to those of a new bank.

        :param kept: Indices of the tasks that stay, which keep what is known of them and are the first ones then
        :param n_new: Number of those that come
        """
        beginnings = {"log_likelihoods": 0.0, "responsibilities": 1.0 / self.k, "sums": 0.0, "n_steps": 0.0}
        for name, beginning in beginnings.items():
            own: th.Tensor = getattr(self, name)
            setattr(self, name, th.cat([own[list(kept)], own.new_full((n_new, *own.shape[1:]), beginning)]))

    def assign(self) -> None:
        """Set the responsibilities by what was taken in: between roll-outs, since policies and rewards follow them."""
        means = mixture.running_means(self.log_likelihoods, self.sums, self.n_steps, WINDOW)
        self.log_likelihoods.copy_(means)
        self.responsibilities.copy_(mixture.responsibilities(means, STEPS_PER_ASSIGNMENT))
        self.sums.zero_()
        self.n_steps.zero_()
