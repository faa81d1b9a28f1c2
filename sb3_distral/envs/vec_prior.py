"""The distilled policy as a prior in the rewards of many environments of a new task, by one forward pass a step."""

from typing import Any

import numpy as np
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn
from typing_extensions import override

from sb3_distral.envs.distilled_prior import DistilledPrior
from sb3_distral.envs.masks import ActionMasks, offer_masks
from sb3_distral.envs.normalization import is_normalized_alike


class VecDistilledPriorReward(VecEnvWrapper):
    """
    Give the environments of a new task the distilled policy as a prior, for any algorithm that takes a VecEnv.

    The rewards are those of :class:`~sb3_distral.envs.prior.DistilledPriorReward`, R + (α/β) log π0(a|s) (Section 2.2),
    for all sub-environments by one forward pass. Their own stay in ``info["task_reward"]``::

        new_tasks = make_vec_env("CartPole-v1", n_envs=8)
        PPO("MlpPolicy", VecDistilledPriorReward(new_tasks, model.distilled_policy), ent_coef=0.01).learn(100_000)

    :param venv: Environments as :class:`~sb3_distral.envs.prior.DistilledPriorReward` takes one. A ``VecNormalize`` of
        observations goes around this wrapper and not into it, since π0 knows its own statistics
    :param distilled_policy: ``model.distilled_policy``, kept fixed; a recurrent one remembers the episodes
    :param alpha: α, in [0, 1]; 0 means no prior. A callback
        :class:`~sb3_distral.algorithms.annealing.AnnealPriorCallback` changes it while training
    :param beta: β > 0, ``inf`` for no prior
    :raises UsageError: If the spaces are not those of the policy, α or β are out of range, or observations are
        normalised twice; from ``step``, if an action is not valid
    """

    def __init__(self, venv: VecEnv, distilled_policy: ActorCriticPolicy, alpha: float = 0.5, beta: float = 100.0):
        super().__init__(venv)
        offering = np.flatnonzero(offer_masks(venv))
        self.distilled_policy = distilled_policy
        self._prior = DistilledPrior(
            distilled_policy, venv.observation_space, venv.action_space, self.num_envs, offering.size > 0, alpha, beta
        )
        if self._prior.normalization is not None and is_normalized_alike(venv, self._prior.normalization):
            self._prior.normalization = None
        self._masks: ActionMasks | None = None
        if self._prior.task_mask is not None:
            tasks, masks = np.zeros(self.num_envs, dtype=np.int64), [self._prior.task_mask]
            self._masks = ActionMasks(venv, tasks, ["new task"], masks, offering, distilled_policy.action_space)
        self._observations: Any = None
        self._starts = np.ones(self.num_envs, dtype=bool)
        self._added = np.zeros(self.num_envs)

    def set_alpha(self, alpha: float) -> None:
        """
        Set α for the steps to come.

        :param alpha: α, in [0, 1]; 0 means no prior
        :raises UsageError: If it is out of range
        """
        self._prior.set_alpha(alpha)

    @override
    def reset(self) -> VecEnvObs:
        self._observations = self.venv.reset()
        self._starts = np.ones(self.num_envs, dtype=bool)
        return self._observations  # type: ignore[no-any-return]

    @override
    def step_async(self, actions: np.ndarray) -> None:
        # Before the step, while the environments tell the masks of the states in which the actions are taken.
        masks = None if self._masks is None else self._masks.current()
        self._added = self._prior.rewards(self._observations, actions, self._starts, masks)
        self.venv.step_async(actions)

    @override
    def step_wait(self) -> VecEnvStepReturn:
        self._observations, rewards, self._starts, infos = self.venv.step_wait()
        for info, reward in zip(infos, rewards, strict=True):
            info["task_reward"] = reward
        return self._observations, (rewards + self._added).astype(np.float32), self._starts, infos
