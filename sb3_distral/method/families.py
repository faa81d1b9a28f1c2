"""Families of policies: what a policy is made of, for every kind of action space.

A policy of any family is a tensor with a row of parameters for each state, so that rows can be sorted and padded
without knowing which family they belong to. In each of the families (8), πi ∝ π0^α exp(f), is an addition of natural
parameters, η_i = α η_0 + η_f, which :meth:`Family.combine` does.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch as th
from gymnasium import spaces
from torch.nn import functional
from typing_extensions import override

from sb3_distral.errors import UsageError

#: Logarithm of a standard deviation that a network puts out: below and above nothing can be learned.
LOG_STD_RANGE = (-20.0, 2.0)
#: The same of a column that shall leave π0 as it is, and still be able to learn. It is the end of the range: where π0
#: is wide itself the column narrows it, by 0.02 nats a dimension at a standard deviation of 4.5 (0.0001 at 1)
NEUTRAL_LOG_STD = 2.0
LOG_TWO_PI = 1.8378770664093453


class Family(ABC):
    """
    A kind of distribution over actions. Every method takes rows of parameters, shape (batch, n_parameters).

    :param n_parameters: Length of a row
    """

    def __init__(self, n_parameters: int):
        self.n_parameters = n_parameters

    @abstractmethod
    def canonical(self, outputs: th.Tensor) -> th.Tensor:
        """
        Bring what a network puts out into the form that all other methods take.

        :param outputs: Outputs of a network, shape (batch, n_parameters)
        :return: Parameters, shape (batch, n_parameters)
        """

    @abstractmethod
    def combine(self, distilled: th.Tensor, task: th.Tensor, weight: th.Tensor) -> th.Tensor:
        """
        Policy of two columns, πi ∝ π0^α exp(f), (8) in the form of (11)-(12) where f stands for β times the advantage.

        :param distilled: Parameters of π0, shape (batch, n_parameters)
        :param task: Outputs f of the task's network, shape (batch, n_parameters)
        :param weight: α, shape (batch, 1) or scalar
        :return: Parameters of πi, shape (batch, n_parameters)
        """

    def pool(self, components: th.Tensor, weights: th.Tensor) -> th.Tensor:
        """
        Pool policies into π̄ ∝ Πz π0^z(a)^q_z, their weighted geometric mean: natural parameters add.

        :param components: Parameters of the policies, shape (k, batch, n_parameters)
        :param weights: q_z, sums to 1, shape (batch, k)
        :return: Parameters of the pool, shape (batch, n_parameters)
        """
        return self.canonical((weights.t().unsqueeze(2) * components).sum(dim=0))

    def neutral(self) -> th.Tensor:
        """
        Give outputs f under which two columns are π0^α.

        :return: Outputs, shape (n_parameters,)
        """
        return th.zeros(self.n_parameters)

    @abstractmethod
    def log_prob(self, parameters: th.Tensor, actions: th.Tensor) -> th.Tensor:
        """
        Log-probability (for continuous actions its density) of actions.

        :param parameters: Parameters, shape (batch, n_parameters)
        :param actions: Actions, shape (batch,) or (batch, n_dimensions)
        :return: log π(a|s) in nats, shape (batch,)
        """

    @abstractmethod
    def sample(self, parameters: th.Tensor) -> th.Tensor:
        """
        Draw an action from each row, from PyTorch's generator and in the order of Stable-Baselines3's distributions.

        :param parameters: Parameters, shape (batch, n_parameters)
        :return: Actions, shape (batch,) or (batch, n_dimensions)
        """

    @abstractmethod
    def mode(self, parameters: th.Tensor) -> th.Tensor:
        """
        Likeliest action of each row.

        :param parameters: Parameters, shape (batch, n_parameters)
        :return: Actions, shape (batch,) or (batch, n_dimensions)
        """

    @abstractmethod
    def cross_entropy(self, parameters: th.Tensor, others: th.Tensor) -> th.Tensor:
        """
        Cross-entropy −E_π log π'(a), the exact mean over actions of the likelihood (5).

        :param parameters: Parameters of π, over which the mean is taken, shape (batch, n_parameters)
        :param others: Parameters of π', shape (batch, n_parameters)
        :return: The cross-entropy in nats, shape (batch,)
        """

    def entropy(self, parameters: th.Tensor) -> th.Tensor:
        """
        Entropy H(π), the cross-entropy of a policy with itself.

        :param parameters: Parameters, shape (batch, n_parameters)
        :return: The entropy in nats, shape (batch,)
        """
        return self.cross_entropy(parameters, parameters)

    def kl_divergence(self, parameters: th.Tensor, others: th.Tensor) -> th.Tensor:
        """
        KL(π‖π'), the divergence of (1): how far a task policy has gone from the distilled one.

        :param parameters: Parameters of π, shape (batch, n_parameters)
        :param others: Parameters of π', shape (batch, n_parameters)
        :return: The divergence in nats, shape (batch,)
        """
        return self.cross_entropy(parameters, others) - self.entropy(parameters)

    def restrict(self, parameters: th.Tensor, mask: th.Tensor) -> th.Tensor:
        """
        Condition a policy on the actions that are valid.

        :param parameters: Parameters, shape (batch, n_parameters)
        :param mask: Whether each choice is valid, shape (batch, n_parameters)
        :return: Parameters of the policy among valid actions, shape (batch, n_parameters)
        :raises UsageError: If actions of this family cannot be masked
        """
        raise UsageError(
            "Masks of actions were given, but only Discrete and MultiDiscrete actions can be masked. Take action_masks "
            "away, or let the environment offer a fixed set of actions."
        )


class Categorical(Family):
    """
    One choice among n: the parameters are log-probabilities, the natural parameters logits.

    :param n: Number of actions
    :param start: The first action
    """

    def __init__(self, n: int, start: int = 0):
        super().__init__(n)
        self.start = start

    @override
    def canonical(self, outputs: th.Tensor) -> th.Tensor:
        return th.log_softmax(outputs, dim=-1)

    @override
    def combine(self, distilled: th.Tensor, task: th.Tensor, weight: th.Tensor) -> th.Tensor:
        # log π0 differs from its logits by a constant, which the softmax removes.
        return self.canonical(weight * distilled + task)

    @override
    def log_prob(self, parameters: th.Tensor, actions: th.Tensor) -> th.Tensor:
        places = actions.long().view(-1, 1)
        if self.start != 0:
            places = places - self.start
        return parameters.gather(1, places).squeeze(1)

    @override
    def sample(self, parameters: th.Tensor) -> th.Tensor:
        places = th.multinomial(parameters.exp(), 1).squeeze(1)
        return places + self.start if self.start != 0 else places

    @override
    def mode(self, parameters: th.Tensor) -> th.Tensor:
        return parameters.argmax(dim=1) + self.start

    @override
    def cross_entropy(self, parameters: th.Tensor, others: th.Tensor) -> th.Tensor:
        return -(parameters.exp() * others).sum(dim=-1)

    @override
    def kl_divergence(self, parameters: th.Tensor, others: th.Tensor) -> th.Tensor:
        # In one sum, which stays exact where the two are close.
        return (parameters.exp() * (parameters - others)).sum(dim=-1)

    @override
    def restrict(self, parameters: th.Tensor, mask: th.Tensor) -> th.Tensor:
        # Not -inf: 0 times that is not a number, in entropies and divergences.
        return self.canonical(parameters.masked_fill(mask == 0, th.finfo(parameters.dtype).min))


class MultiCategorical(Categorical):
    """
    Several independent choices: the parameters are the log-probabilities of each, one after the other.

    :param sizes: Number of actions of each choice
    :param starts: First action of each choice
    """

    def __init__(self, sizes: Sequence[int], starts: Sequence[int]):
        super().__init__(sum(sizes))
        self.sizes = list(sizes)
        self.starts = th.tensor(starts)
        ends = th.tensor(self.sizes).cumsum(0)
        #: Place of each choice's first action in a row
        self.offsets = ends - th.tensor(self.sizes)

    @override
    def canonical(self, outputs: th.Tensor) -> th.Tensor:
        return th.cat([th.log_softmax(part, dim=-1) for part in self._parts(outputs)], dim=-1)

    @override
    def log_prob(self, parameters: th.Tensor, actions: th.Tensor) -> th.Tensor:
        places = actions.long() + (self.offsets - self.starts).to(actions.device)
        return parameters.gather(1, places).sum(dim=1)

    @override
    def sample(self, parameters: th.Tensor) -> th.Tensor:
        drawn = [th.multinomial(part.exp(), 1) for part in self._parts(parameters)]
        return th.cat(drawn, dim=1) + self.starts.to(parameters.device)

    @override
    def mode(self, parameters: th.Tensor) -> th.Tensor:
        likeliest = [part.argmax(dim=1) for part in self._parts(parameters)]
        return th.stack(likeliest, dim=1) + self.starts.to(parameters.device)

    def _parts(self, parameters: th.Tensor) -> Sequence[th.Tensor]:
        return th.split(parameters, self.sizes, dim=-1)


class Bernoulli(Family):
    """
    Independent choices between 0 and 1: the parameters are log-odds, which are the natural parameters.

    :param n: Number of choices
    """

    @override
    def canonical(self, outputs: th.Tensor) -> th.Tensor:
        return outputs

    @override
    def combine(self, distilled: th.Tensor, task: th.Tensor, weight: th.Tensor) -> th.Tensor:
        return weight * distilled + task

    @override
    def log_prob(self, parameters: th.Tensor, actions: th.Tensor) -> th.Tensor:
        return -_binary_cross_entropy(actions.to(parameters.dtype), parameters)

    @override
    def sample(self, parameters: th.Tensor) -> th.Tensor:
        return th.bernoulli(parameters.sigmoid())

    @override
    def mode(self, parameters: th.Tensor) -> th.Tensor:
        return parameters.sigmoid().round()

    @override
    def cross_entropy(self, parameters: th.Tensor, others: th.Tensor) -> th.Tensor:
        return _binary_cross_entropy(parameters.sigmoid(), others)


def _binary_cross_entropy(probabilities: th.Tensor, log_odds: th.Tensor) -> th.Tensor:
    # The form of binary_cross_entropy_with_logits, whose gradient also reaches the probabilities.
    return (functional.softplus(log_odds) - probabilities * log_odds).sum(dim=-1)


class Gaussian(Family):
    """
    A normal distribution in each dimension: the parameters are means, then logarithms of standard deviations.

    The natural parameters are mean/σ² and 1/σ²: in two columns precisions add, and means weigh by precision.

    :param n: Number of dimensions
    :param bounded: Whether logarithms of standard deviations are kept within ``LOG_STD_RANGE``, for those that a
        network puts out
    """

    def __init__(self, n: int, bounded: bool = False):
        super().__init__(2 * n)
        self.bounded = bounded

    @override
    def canonical(self, outputs: th.Tensor) -> th.Tensor:
        if not self.bounded:
            return outputs
        means, log_stds = outputs.chunk(2, dim=-1)
        return th.cat([means, log_stds.clamp(*LOG_STD_RANGE)], dim=-1)

    @override
    def combine(self, distilled: th.Tensor, task: th.Tensor, weight: th.Tensor) -> th.Tensor:
        means, log_stds = distilled.chunk(2, dim=-1)
        task_means, task_log_stds = self.canonical(task).chunk(2, dim=-1)
        precisions, task_precisions = weight * (-2.0 * log_stds).exp(), (-2.0 * task_log_stds).exp()
        sums = precisions + task_precisions
        return th.cat([(precisions * means + task_precisions * task_means) / sums, -0.5 * sums.log()], dim=-1)

    @override
    def pool(self, components: th.Tensor, weights: th.Tensor) -> th.Tensor:
        means, log_stds = components.chunk(2, dim=-1)
        precisions = weights.t().unsqueeze(2) * (-2.0 * log_stds).exp()
        sums = precisions.sum(dim=0)
        return th.cat([(precisions * means).sum(dim=0) / sums, -0.5 * sums.log()], dim=-1)

    @override
    def neutral(self) -> th.Tensor:
        # Nearly: no logarithm stands for no precision, and out of a very low one nothing is learned.
        n = self.n_parameters // 2
        return th.cat([th.zeros(n), th.full((n,), NEUTRAL_LOG_STD)])

    @override
    def log_prob(self, parameters: th.Tensor, actions: th.Tensor) -> th.Tensor:
        means, log_stds = parameters.chunk(2, dim=-1)
        squares = (actions - means).square() / (2.0 * log_stds).exp()
        return -(0.5 * (squares + LOG_TWO_PI) + log_stds).sum(dim=-1)

    @override
    def sample(self, parameters: th.Tensor) -> th.Tensor:
        means, log_stds = parameters.chunk(2, dim=-1)
        return means + log_stds.exp() * th.randn_like(means)

    @override
    def mode(self, parameters: th.Tensor) -> th.Tensor:
        return parameters.chunk(2, dim=-1)[0]

    @override
    def cross_entropy(self, parameters: th.Tensor, others: th.Tensor) -> th.Tensor:
        means, log_stds = parameters.chunk(2, dim=-1)
        other_means, other_log_stds = others.chunk(2, dim=-1)
        second_moments = (2.0 * log_stds).exp() + (means - other_means).square()
        squares = second_moments / (2.0 * other_log_stds).exp()
        return (0.5 * (squares + LOG_TWO_PI) + other_log_stds).sum(dim=-1)

    @override
    def entropy(self, parameters: th.Tensor) -> th.Tensor:
        return (parameters.chunk(2, dim=-1)[1] + 0.5 * (1.0 + LOG_TWO_PI)).sum(dim=-1)


def check_box(space: spaces.Box) -> None:
    """
    Refuse continuous actions of which a normal distribution gives none.

    :param space: Action space
    :raises UsageError: If it has no bounds, or consists of integers
    """
    if not space.is_bounded():
        raise UsageError(
            f"The tasks have the action space {space}; expected finite bounds, to which actions are clipped. Give them "
            "by gymnasium.wrappers.RescaleAction, or TransformAction with a bounded Box."
        )
    if not np.issubdtype(space.dtype, np.floating):
        raise UsageError(
            f"The tasks have the action space {space} of integers; expected a Box of floating-point numbers. Turn it "
            "into MultiDiscrete by gymnasium.wrappers.TransformAction."
        )


def make_family(space: spaces.Space[object], state_dependent_std: bool = False) -> Family:
    """
    Choose the family of policies for an action space.

    :param space: Action space
    :param state_dependent_std: Whether a network puts out standard deviations too, for ``Box`` alone
    :return: The family
    :raises UsageError: If there is none for this space
    """
    if isinstance(space, spaces.Box):
        check_box(space)
        return Gaussian(math.prod(space.shape), bounded=state_dependent_std)
    if state_dependent_std:
        raise UsageError(f"state_dependent_std=True was given with the actions {space}; only Box actions have one.")
    if isinstance(space, spaces.Discrete):
        return Categorical(int(space.n), int(space.start))
    if isinstance(space, spaces.MultiDiscrete) and space.nvec.ndim == 1:
        return MultiCategorical(space.nvec.tolist(), space.start.tolist())
    if isinstance(space, spaces.MultiBinary) and len(space.shape) == 1:
        return Bernoulli(space.shape[0])
    raise UsageError(
        f"The tasks have the action space {space}, but Distral takes Box and Discrete actions, and MultiDiscrete and "
        "MultiBinary ones of one dimension. Wrap the environments with gymnasium.wrappers.TransformAction so that they "
        "offer one of these, for example a Dict or Tuple flattened."
    )
