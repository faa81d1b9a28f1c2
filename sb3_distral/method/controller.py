"""Costs that follow the training: c_KL a divergence from π0, c_Ent an entropy, task by task."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch as th
from gymnasium import spaces

from sb3_distral.errors import UsageError
from sb3_distral.method.choices import TaskMask, n_choices_of

if TYPE_CHECKING:
    from sb3_distral.method.costs import Costs

#: How far from its target a divergence (relatively) or an entropy (in parts of its range) gives the fastest change.
KL_BAND, ENTROPY_BAND = 1.0, 0.25


@dataclass(frozen=True)
class CostController:
    """
    Let the costs of each task follow targets, a step in their logarithms after each roll-out.

    As the temperature of soft actor-critic (Haarnoja et al., 2018, (18)), each cost is the multiplier of a constraint:
    it grows while the constraint is violated and falls while it is not. c_KL holds KL(πi‖π0) below a target, c_Ent
    holds H(πi) above one, which falls from a share of its range to the range's lower end as the training goes on. A
    cost that begins at 0 stays there: α = 1 leaves entropy free, α = 0 is entropy regularisation alone.

    :param beta: β = 1 / (c_KL + c_Ent) with which the training begins
    :param target_kl: Divergence to hold, in nats
    :param entropy_share: Entropy to hold at the beginning, as a share of its range, see :func:`entropy_range`
    :param rate: Largest change of a cost's logarithm in 1000 steps of its task
    :param lowest: Lower bound of each cost, in units of reward per nat
    :param highest: Upper bound, likewise
    :raises UsageError: If a number makes no sense
    """

    beta: float = 100.0
    target_kl: float = 0.1
    entropy_share: float = 0.5
    rate: float = 1.0
    lowest: float = 1e-3
    highest: float = 0.2

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense."""
        for name in ("beta", "target_kl", "rate", "lowest"):
            value = getattr(self, name)
            if not 0.0 < value < math.inf:
                raise UsageError(f"CostController got {name}={value}; expected a finite number above 0.")
        if not 0.0 <= self.entropy_share <= 1.0:
            raise UsageError(f"CostController got entropy_share={self.entropy_share}; expected a share from 0 to 1.")
        if not self.lowest <= self.highest:
            raise UsageError(
                f"CostController got lowest={self.lowest} and highest={self.highest}; expected the bounds of the costs "
                "in this order."
            )

    def bounded(self, costs: "Costs") -> "Costs":
        """
        Bring costs into their bounds, but for those that are 0.

        :param costs: Costs
        :return: The costs within the bounds
        """
        kl, entropy = (th.where(cost > 0, cost.clamp(self.lowest, self.highest), cost) for cost in costs[1:])
        return costs._replace(kl=kl, entropy=entropy)

    def target_entropy(self, ranges: th.Tensor, progress_remaining: float) -> th.Tensor:
        """
        Give the entropy to hold.

        :param ranges: Range of the entropy of each task, shape (n_tasks, 2)
        :param progress_remaining: From 1 (start) to 0 (end)
        :return: H* in nats, shape (n_tasks,)
        """
        low, high = ranges.unbind(dim=1)
        return low + self.entropy_share * progress_remaining * (high - low)

    def step(
        self,
        costs: "Costs",
        kl: th.Tensor,
        entropy: th.Tensor,
        ranges: th.Tensor,
        progress_remaining: float,
        n_steps: th.Tensor,
    ) -> "Costs":
        """
        Change the costs after a roll-out.

        :param costs: The costs that it paid
        :param kl: KL(πi‖π0) in it, in nats, shape (n_tasks,)
        :param entropy: H(πi) in it, in nats, shape (n_tasks,)
        :param ranges: Range of the entropy of each task, shape (n_tasks, 2)
        :param progress_remaining: From 1 (start) to 0 (end)
        :param n_steps: Steps of each task in it, shape (n_tasks,)
        :return: The costs of the next one
        """
        distance = (kl / self.target_kl - 1.0) / KL_BAND
        width = (ranges[:, 1] - ranges[:, 0]).clamp(min=1e-8)
        lack = (self.target_entropy(ranges, progress_remaining) - entropy) / (ENTROPY_BAND * width)
        rate = self.rate * n_steps / 1000
        changed = costs._replace(
            kl=costs.kl * (rate * distance.clamp(-1.0, 1.0)).exp(),
            entropy=costs.entropy * (rate * lack.clamp(-1.0, 1.0)).exp(),
        )
        return self.bounded(changed)


def controller_of(beta: Any) -> CostController | None:
    """
    Find the controller in what the user gave as β.

    :param beta: A controller, ``"auto"`` for the one with its own settings, or anything else
    :return: The controller; ``None``: it is none
    :raises UsageError: If it is another word
    """
    if isinstance(beta, str):
        if beta != "auto":
            raise UsageError(
                f"beta={beta!r} was given; expected a number, a schedule, one of these for each task, 'auto' or a "
                "CostController."
            )
        return CostController()
    return beta if isinstance(beta, CostController) else None


def entropy_range(space: spaces.Space[object], mask: TaskMask | None = None) -> tuple[float, float]:
    """
    Tell between which entropies the policies of a task are expected.

    Discrete actions: from 0, one action, to all actions alike. Box actions have densities, and entropies without a
    lower bound: from −1 a dimension, the target of soft actor-critic (Haarnoja et al., 2018, appendix D), to that of
    uniform actions, log 2, where an action goes from −1 to 1; other bounds move both by the logarithm of their half
    width.

    :param space: Actions of all tasks
    :param mask: Fixed mask of the task, where it has one
    :return: Lower and upper end in nats
    """
    if isinstance(space, spaces.Box):
        half_width = _half_widths(space)
        moved = float(np.log(half_width).sum())
        return moved - half_width.size, moved + half_width.size * math.log(2.0)
    if isinstance(space, spaces.MultiBinary):
        return 0.0, int(np.prod(space.shape)) * math.log(2.0)
    sizes = n_choices_of(space)
    if mask is not None:
        sizes = np.add.reduceat(np.array(mask.valid, dtype=np.int64), np.concatenate([[0], np.cumsum(sizes)[:-1]]))
    return 0.0, float(np.log(sizes).sum())


def _half_widths(space: spaces.Box) -> np.ndarray:
    bounded = space.bounded_below & space.bounded_above
    return np.where(bounded, (space.high - space.low) / 2, 1.0).astype(np.float64)
