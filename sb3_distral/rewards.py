"""The regulariser of Distral inside the reward: while training, and as a prior for any other algorithm."""

from typing import Any, Protocol

import gymnasium as gym
import numpy as np
import torch as th
from gymnasium import spaces
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.preprocessing import is_image_space, is_image_space_channels_first
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecTransposeImage
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

from sb3_distral import objective
from sb3_distral.costs import check_coefficients


class ActingPolicy(Protocol):
    """A policy that keeps the outputs of its last forward pass, an :class:`~sb3_distral.policies.ActionStep`."""

    last_step: Any


class RegularizedReward(VecEnvWrapper):
    """
    Turn each reward into R + (α/β) log π0(a|s) − (1/β) log πi(a|s), the regularised reward of (9).

    The log-probabilities are those of the forward pass that chose the action. The reward that the environment below
    gave (normalised under ``VecNormalize``) stays in ``info["task_reward"]``. ``DistralA2C`` puts this wrapper
    outermost and connects it.

    :param venv: A ``TaskVecEnv``, wrapped or not
    :raises ValueError: If it is none
    """

    def __init__(self, venv: VecEnv):
        super().__init__(venv)
        if not (hasattr(venv, "tasks") and hasattr(venv, "task_names")):
            raise ValueError(f"RegularizedReward got {venv}, which holds no tasks. Make it with make_task_vec_env.")
        self.tasks: np.ndarray = venv.tasks
        self.task_names: list[str] = venv.task_names
        self.policy: ActingPolicy | None = None
        self.kl_cost = self.entropy_cost = np.zeros(self.num_envs, dtype=np.float32)
        self._rows = np.arange(self.num_envs)
        self.regularizes = False
        # Where the environment is now: amid a roll-out the algorithm's own last observation is one step behind.
        self.last_observations: VecEnvObs | None = None
        self.last_dones = np.ones(self.num_envs, dtype=bool)

    def set_costs(self, kl_cost: th.Tensor, entropy_cost: th.Tensor) -> None:
        """
        :param kl_cost: c_KL of each task, shape (n_tasks,)
        :param entropy_cost: c_Ent of each task, shape (n_tasks,)
        """
        self.kl_cost, self.entropy_cost = kl_cost.numpy()[self.tasks], entropy_cost.numpy()[self.tasks]
        self.regularizes = bool(self.kl_cost.any() or self.entropy_cost.any())

    def reset(self) -> VecEnvObs:
        """
        :return: First observations of all sub-environments
        """
        self.last_observations = self.venv.reset()
        self.last_dones = np.ones(self.num_envs, dtype=bool)
        return self.last_observations

    def step_wait(self) -> VecEnvStepReturn:
        """
        :return: As :class:`VecEnv`, with regularised rewards
        :raises ValueError: If a task's own reward is NaN or infinite
        """
        observations, rewards, dones, infos = self.venv.step_wait()
        self._check_finite(rewards)
        for info, reward in zip(infos, rewards, strict=True):
            info["task_reward"] = reward
        self.last_observations, self.last_dones = observations, dones
        # SubprocVecEnv gives float64, DummyVecEnv float32: the roll-out is the same under both.
        return observations, rewards.astype(np.float32) + self._regularizers(), dones, infos

    def _regularizers(self) -> np.ndarray:
        if not self.regularizes:
            return np.zeros(self.num_envs, dtype=np.float32)
        assert self.policy is not None and self.policy.last_step is not None
        step = self.policy.last_step
        task_log_prob = step.task_log_prob.cpu().numpy()
        distilled_log_prob = np.zeros_like(task_log_prob)
        if step.distilled_log_policy is not None:
            log_policy, actions = step.distilled_log_policy.cpu().numpy(), step.actions.cpu().numpy()
            distilled_log_prob = log_policy[self._rows, actions]
        return objective.regularizer(distilled_log_prob, task_log_prob, self.kl_cost, self.entropy_cost)

    def _check_finite(self, rewards: np.ndarray) -> None:
        if np.isfinite(rewards).all():
            return
        index = int(np.flatnonzero(~np.isfinite(rewards))[0])
        raise ValueError(
            f"Task '{self.task_names[self.tasks[index]]}' gave the reward {rewards[index]} in sub-environment {index}; "
            "expected a finite number. Check the task's reward function (a division by zero, a logarithm of zero)."
        )


class DistilledPriorReward(gym.Wrapper[Any, Any, Any, Any]):
    """
    Give a new task the distilled policy as a prior, for any Stable-Baselines3 algorithm.

    The reward becomes R'(a, s) = R + (α/β) log π0(a|s), as redefined in Section 2.2. The algorithm's own entropy bonus
    (``ent_coef``) is the rest of (1). The task's own reward stays in ``info["task_reward"]``.

    :param env: An environment with the spaces of the training tasks; put a ``Monitor`` inside to log its own returns
    :param distilled_policy: ``model.distilled_policy``, kept fixed; a recurrent one remembers the episode
    :param alpha: α, in [0, 1]
    :param beta: β > 0, ``inf`` for no prior
    :raises ValueError: If the spaces are not those of the policy, or α or β are out of range
    """

    def __init__(
        self,
        env: gym.Env[Any, Any],
        distilled_policy: ActorCriticPolicy,
        alpha: float = 0.5,
        beta: float = 100.0,
    ):
        super().__init__(env)
        check_coefficients("task 'new task'", alpha, beta)
        if env.action_space != distilled_policy.action_space:
            raise ValueError(
                f"The environment's actions are {env.action_space}, those of the distilled policy are "
                f"{distilled_policy.action_space}. Wrap the environment so that they are equal."
            )
        if as_seen_by_policies(env.observation_space) != distilled_policy.observation_space:
            raise ValueError(
                f"The environment's observations are {env.observation_space}, those of the distilled policy are "
                f"{distilled_policy.observation_space}. Wrap the environment so that they are equal."
            )
        self.distilled_policy = distilled_policy
        self.kl_cost = objective.kl_cost(alpha, beta)
        self._observation: Any = None
        # What the LSTM of a recurrent policy remembers of this episode.
        self._state: Any = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """
        :param seed: Seed of the environment
        :param options: Reset options of the environment
        :return: First observation and its info
        """
        self._observation, info = self.env.reset(seed=seed, options=options)
        if isinstance(self.distilled_policy, RecurrentActorCriticPolicy):
            zeros = th.zeros(self.distilled_policy.lstm_hidden_state_shape, device=self.distilled_policy.device)
            self._state = (zeros, zeros)
        return self._observation, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """
        :param action: Action taken
        :return: As :class:`gymnasium.Env`, with the redefined reward
        """
        prior = self.kl_cost * self._log_prob(action)
        self._observation, reward, terminated, truncated, info = self.env.step(action)
        info["task_reward"] = reward
        return self._observation, float(reward) + prior, terminated, truncated, info

    def _log_prob(self, action: Any) -> float:
        policy = self.distilled_policy
        with th.no_grad():
            observation: Any = policy.obs_to_tensor(self._observation)[0]
            if isinstance(policy, RecurrentActorCriticPolicy):
                goes_on = th.zeros(1, device=policy.device)
                distribution, self._state = policy.get_distribution(observation, self._state, goes_on)
            else:
                distribution = policy.get_distribution(observation)
            return float(distribution.log_prob(th.as_tensor(action, device=policy.device)))


def as_seen_by_policies(space: spaces.Space[Any]) -> spaces.Space[Any]:
    """
    :param space: Space of an environment's observations
    :return: The same with images channel first, as Stable-Baselines3 gives them to policies
    """
    if isinstance(space, spaces.Dict):
        return spaces.Dict({key: as_seen_by_policies(own) for key, own in space.spaces.items()})
    if isinstance(space, spaces.Box) and is_image_space(space) and not is_image_space_channels_first(space):
        return VecTransposeImage.transpose_space(space)
    return space
