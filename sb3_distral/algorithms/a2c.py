"""Distral on Stable-Baselines3's advantage actor-critic."""

from typing import TypeVar

from stable_baselines3 import A2C
from stable_baselines3.common.type_aliases import MaybeCallback
from typing_extensions import override

from sb3_distral.algorithms.base import DistralAlgorithm
from sb3_distral.method import objective

SelfDistralA2C = TypeVar("SelfDistralA2C", bound="DistralA2C")


class DistralA2C(DistralAlgorithm, A2C):
    """
    Distral on A2C, the synchronous form of the paper's A3C: one gradient step for each roll-out.

    Its arguments are those of :class:`~sb3_distral.algorithms.base.DistralAlgorithm`, and all others of
    :class:`stable_baselines3.A2C`.
    """

    @override
    def learn(
        self: SelfDistralA2C,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 100,
        tb_log_name: str | None = None,
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> SelfDistralA2C:
        # Recurrent and other derived classes have a name of their own.
        name = tb_log_name or type(self).__name__
        return super().learn(total_timesteps, callback, log_interval, name, reset_num_timesteps, progress_bar)

    @override
    def train(self) -> None:
        # The policy gradients of (9) and (10); the distillation is in the same step.
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        self._evaluations = []
        losses = []
        for rollout_data in self.rollout_buffer.get(batch_size=None):
            batch = self._evaluate(rollout_data)
            policy_rows = objective.policy_gradient_loss(batch.log_prob, batch.advantages)
            losses.append(self._descend(batch, policy_rows, (rollout_data.returns - batch.values).square()))
        self._n_updates += 1
        self._log_update(losses)
        self._control_costs()
