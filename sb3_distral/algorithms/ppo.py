"""Distral on Stable-Baselines3's proximal policy optimisation."""

from math import ceil
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch as th
from stable_baselines3 import PPO
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.type_aliases import MaybeCallback
from typing_extensions import override

from sb3_distral.algorithms.base import DistralAlgorithm
from sb3_distral.algorithms.update import Batch
from sb3_distral.errors import UsageError
from sb3_distral.method import objective

SelfDistralPPO = TypeVar("SelfDistralPPO", bound="DistralPPO")


class DistralPPO(DistralAlgorithm, PPO):
    """
    Distral on PPO: several epochs of minibatches for each roll-out, in which every task has its share.

    π0 is distilled in every minibatch. ``target_kl`` ends the update of all tasks when their policies have moved that
    far on average.

    Its arguments are those of :class:`~sb3_distral.algorithms.base.DistralAlgorithm`, and all others of
    :class:`stable_baselines3.PPO`.
    """

    host_class: ClassVar[type[OnPolicyAlgorithm]] = PPO
    policy_loss_key: ClassVar[str] = "train/policy_gradient_loss"

    @override
    def _setup_model(self) -> None:
        self._check_tasks(self.env)
        super()._setup_model()

    @override
    def _check_tasks(self, env: Any) -> None:
        # Tasks may have different numbers of sub-environments.
        shares = [self.n_tasks] * self.n_tasks if env is None else env.num_envs / np.bincount(env.tasks)
        smallest = ceil(2 * max(shares))
        if self.normalize_advantage and self.batch_size < smallest:
            raise UsageError(
                f"batch_size={self.batch_size} was given with {len(shares)} tasks, each of whose advantages are "
                "normalised: a minibatch needs at least two rows of each. "
                f"Give batch_size={smallest} or more, or normalize_advantage=False."
            )

    @override
    def learn(
        self: SelfDistralPPO,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 1,
        tb_log_name: str | None = None,
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> SelfDistralPPO:
        # Recurrent and other derived classes have a name of their own.
        name = tb_log_name or type(self).__name__
        return super().learn(total_timesteps, callback, log_interval, name, reset_num_timesteps, progress_bar)

    @override
    def train(self) -> None:
        # The policy gradients of (9) and (10) by PPO's surrogate; the distillation is in the same steps.
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        clip_range = self._now(self.clip_range)
        losses: list[dict[str, th.Tensor]] = []
        for _ in range(self.n_epochs):
            goes_on = self._train_epoch(clip_range, losses)
            self._n_updates += 1
            if not goes_on:
                break
        self._log_update(losses)
        self._control_costs()
        self.logger.record("train/clip_range", clip_range)
        if self.clip_range_vf is not None:
            self.logger.record("train/clip_range_vf", self._now(self.clip_range_vf))

    def _train_epoch(self, clip_range: float, losses: list[dict[str, th.Tensor]]) -> bool:
        """
        Pass over the roll-out once.

        :param clip_range: ε of the surrogate
        :param losses: What each minibatch gave, for the log; appended to
        :return: Whether the policies are still near those that acted
        """
        for number, rollout_data in enumerate(self.rollout_buffer.get(self.batch_size)):
            batch = self._evaluate(rollout_data)
            log_ratio = batch.log_prob - rollout_data.old_log_prob
            moved = self._mean(objective.approximate_kl(log_ratio.detach()), batch)
            if self.target_kl is not None and moved > 1.5 * self.target_kl:
                if self.verbose >= 1:
                    print(f"Early stopping of the update, the policies have moved by {moved:.2f} nats.")
                return False
            if number == 0:
                self._evaluations = []
            ratio = log_ratio.exp()
            policy_rows = objective.clipped_policy_loss(ratio, batch.advantages, clip_range)
            step = self._descend(batch, policy_rows, self._value_rows(rollout_data, batch.values))
            clipped = self._mean(((ratio.detach() - 1.0).abs() > clip_range).float(), batch)
            losses.append({**step, "train/approx_kl": moved, "train/clip_fraction": clipped})
        return True

    def _value_rows(self, rollout_data: Any, values: th.Tensor) -> th.Tensor:
        if self.clip_range_vf is not None:
            old, clip_range = rollout_data.old_values, self._now(self.clip_range_vf)
            values = old + (values - old).clamp(-clip_range, clip_range)
        differences: th.Tensor = rollout_data.returns - values
        return differences.square()

    def _mean(self, rows: th.Tensor, batch: Batch) -> th.Tensor:
        return objective.sum_of_task_means(rows, batch.evaluation.tasks, self.n_tasks) / self.n_tasks

    def _now(self, schedule: Any) -> float:
        return float(schedule(self._current_progress_remaining))
