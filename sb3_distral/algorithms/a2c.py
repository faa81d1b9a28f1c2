"""Distral on Stable-Baselines3's advantage actor-critic."""

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

import torch as th
from stable_baselines3 import A2C
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.type_aliases import MaybeCallback
from typing_extensions import override

from sb3_distral.algorithms.base import DistralAlgorithm
from sb3_distral.method import objective

SelfDistralA2C = TypeVar("SelfDistralA2C", bound="DistralA2C")


class DistralA2C(DistralAlgorithm, A2C):
    """
    Distral on A2C, the synchronous form of the paper's A3C: one gradient step for each roll-out.

    Its arguments are those of :class:`~sb3_distral.algorithms.base.DistralAlgorithm`, and all others of
    :class:`stable_baselines3.A2C`. One default differs: RMSProp's mean square is corrected for its start at 0, see
    :func:`bias_corrected_rms_prop`. ``policy_kwargs={"optimizer_class": torch.optim.RMSprop, "optimizer_kwargs":
    {"alpha": 0.99, "eps": 1e-5}}`` is the optimizer of A2C.
    """

    host_class: ClassVar[type[OnPolicyAlgorithm]] = A2C

    @override
    def _default_optimizer(self, host_arguments: Mapping[str, Any]) -> dict[str, Any]:
        if not host_arguments.get("use_rms_prop", True):
            return super()._default_optimizer(host_arguments)
        return bias_corrected_rms_prop(host_arguments.get("rms_prop_eps", 1e-5))

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


def bias_corrected_rms_prop(eps: float) -> dict[str, Any]:
    """
    Give the arguments of a policy whose optimizer is A2C's RMSProp with a bias-corrected mean square.

    PyTorch's RMSProp begins with a mean square of 0, which makes the first step of every weight ten times as long as a
    later one of the same gradient: enough to make a policy deterministic, or to destroy what π0 knows. The correction
    is that of Adam (Kingma and Ba, 2015, Section 3), which without momentum is RMSProp.

    :param eps: Added to the root of the mean square
    :return: ``optimizer_class`` and ``optimizer_kwargs``
    """
    return {"optimizer_class": th.optim.Adam, "optimizer_kwargs": {"betas": (0.0, 0.99), "eps": eps}}
