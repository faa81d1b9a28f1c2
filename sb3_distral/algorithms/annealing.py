"""The weight of a prior in the reward, over the course of a training."""

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.common.vec_env import unwrap_vec_wrapper
from typing_extensions import override

from sb3_distral.envs.prior import DistilledPriorReward
from sb3_distral.envs.vec_prior import VecDistilledPriorReward
from sb3_distral.errors import UsageError


class AnnealPriorCallback(BaseCallback):
    """
    Let α of the prior follow a schedule while any Stable-Baselines3 algorithm trains::

        env = VecDistilledPriorReward(make_vec_env("CartPole-v1", n_envs=8), model.distilled_policy)
        PPO("MlpPolicy", env).learn(100_000, AnnealPriorCallback(LinearSchedule(0.5, 0.0, 0.8)))

    α is set at the beginning of each roll-out.

    :param alpha: α as a schedule of the remaining progress (from 1 to 0), in [0, 1]
    :raises UsageError: If the training environment has no prior; while training, if α is out of range
    """

    def __init__(self, alpha: Schedule):
        super().__init__()
        self.alpha = alpha

    @override
    def _on_training_start(self) -> None:
        if self._vec_prior() is None and not all(self.training_env.env_is_wrapped(DistilledPriorReward)):
            raise UsageError(
                f"AnnealPriorCallback was given, but the training environment {self.training_env} has no prior. Wrap "
                "it in VecDistilledPriorReward, or each of its environments in DistilledPriorReward."
            )

    @override
    def _on_rollout_start(self) -> None:
        # Stable-Baselines3's own number is that of the last update, and of the last training in the first roll-out.
        alpha = float(self.alpha(1.0 - self.model.num_timesteps / self.model._total_timesteps))
        vec_prior = self._vec_prior()
        if vec_prior is None:
            self.training_env.env_method("set_alpha", alpha)
        else:
            vec_prior.set_alpha(alpha)

    @override
    def _on_step(self) -> bool:
        return True

    def _vec_prior(self) -> VecDistilledPriorReward | None:
        return unwrap_vec_wrapper(self.training_env, VecDistilledPriorReward)
