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

#: Step size of the responsibilities, in 1/reward
STEP_SIZE = 20.0


class DistilledBank(nn.Module):
    """
    k distilled policies π0^z, evaluated as one network, and their responsibilities q for the tasks.

    :param columns: The networks, of equal structure and different weights; their parameters are copied
    :param family: Family of their policies
    :param n_tasks: Number of tasks
    """

    evidence: th.Tensor
    #: What the mean of the evidence over tasks lost or gained when tasks came or left, shape (k,)
    offset: th.Tensor
    responsibilities: th.Tensor

    def __init__(self, columns: Sequence[ActorCriticPolicy], family: Family, n_tasks: int):
        super().__init__()
        self.family, self.k = family, len(columns)
        self.columns = TaskColumns(columns)
        # With the weights these are all of its state: a training that goes on finds them in its file.
        self.register_buffer("evidence", th.zeros(n_tasks, self.k))
        self.register_buffer("offset", th.zeros(self.k))
        self.register_buffer("responsibilities", mixture.responsibilities(self.evidence))
        # No parameter, since the optimizer does not step it, but every backward pass leaves its gradient.
        self.responsibilities.requires_grad_()

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
        with th.no_grad():
            log_normalizer = mixture.log_normalizer(self.family, pooled, components, weights)
        # What the responsibilities ascend is the return of the policies that they are part of, and nothing else.
        pooled_values = (weights.detach().t().unsqueeze(2) * values).sum(dim=0)
        return Prior(pooled, pooled_values, log_normalizer, components)

    def cross_entropy(self, targets: th.Tensor, components: th.Tensor, tasks: th.Tensor) -> th.Tensor:
        """
        Cross-entropy of the components under the task policies, −Σz q_iz Σa πi(a|s) log π0^z(a|s).

        :param targets: Parameters of πi, shape (batch, n_parameters)
        :param components: Parameters of π0^z, shape (k, batch, n_parameters)
        :param tasks: Task of each row, shape (batch,)
        :return: In nats, shape (batch,); no gradient reaches the responsibilities
        """
        own = th.stack([self.family.cross_entropy(targets, component) for component in components], dim=1)
        return (self.responsibilities.detach()[tasks] * own).sum(dim=1)

    def change_tasks(self, kept: Sequence[int], n_new: int) -> None:
        """
        Let tasks leave and others come, which begin between all components as those of a new bank do.

        :param kept: Indices of the tasks that stay, which keep what is known of them and are the first ones then
        :param n_new: Number of those that come
        """
        evidence, shares = self.evidence[list(kept)], self.responsibilities.detach()[list(kept)]
        # Tasks are compared with what all were, not with those that are left: else a task whose whole family is left
        # would be the mean, and belong to no family any more.
        centre = self.evidence.mean(dim=0) - self.offset
        self.evidence = th.cat([evidence, centre.expand(n_new, -1)])
        self.offset = self.evidence.mean(dim=0) - centre
        self.responsibilities = th.cat([shares, th.full_like(self.evidence[len(kept) :], 1.0 / self.k)])
        self.responsibilities.requires_grad_()

    @th.no_grad()
    def step(self) -> None:
        """Step the responsibilities along the gradient of the tasks' returns, which a backward pass has left."""
        assert self.responsibilities.grad is not None
        self.evidence -= STEP_SIZE * self.responsibilities.grad
        self.responsibilities.copy_(mixture.responsibilities(self.evidence, self.offset))
        self.responsibilities.grad = None
