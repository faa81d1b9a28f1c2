"""The regulariser of Distral inside the reward."""

from typing import Any, Protocol

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn
from typing_extensions import override

from sb3_distral.errors import UsageError
from sb3_distral.method import objective
from sb3_distral.method.returns import ReturnScales


class ActingPolicy(Protocol):
    """A policy that keeps what it knows of its last actions, an ``ActionStep``."""

    last_step: Any


class RegularizedReward(VecEnvWrapper):
    """
    Turn each reward into R + (α/β) log π0(a|s) − (1/β) log πi(a|s), the regularised reward of (9).

    R is the task's reward, or that in units of the spread of its returns where the algorithm has set ``return_scales``.
    The log-probabilities are those of the forward pass that chose the action. The reward that the environment below
    gave (normalised under ``VecNormalize``) stays in ``info["task_reward"]``. Every Distral algorithm puts this wrapper
    outermost and connects it.

    :param venv: A ``TaskVecEnv``, wrapped or not
    :raises UsageError: If it is none
    """

    def __init__(self, venv: VecEnv):
        super().__init__(venv)
        if not (hasattr(venv, "tasks") and hasattr(venv, "task_names")):
            raise UsageError(f"RegularizedReward got {venv}, which holds no tasks. Make it with make_task_vec_env.")
        self.tasks: np.ndarray = venv.tasks
        self.task_names: list[str] = venv.task_names
        self.policy: ActingPolicy | None = None
        self.kl_cost = self.entropy_cost = np.zeros(self.num_envs, dtype=np.float32)
        self.regularizes = False
        self.return_scales: ReturnScales | None = None
        # The policy's step whose actions were taken last.
        self._paid: Any = None
        # Where the environment is now: amid a roll-out the algorithm's own last observation is one step behind.
        self.last_observations: VecEnvObs | None = None
        self.last_dones = np.ones(self.num_envs, dtype=bool)

    def set_costs(self, kl_cost: th.Tensor, entropy_cost: th.Tensor) -> None:
        """
        Set the costs that the next steps pay.

        :param kl_cost: c_KL of each task, shape (n_tasks,)
        :param entropy_cost: c_Ent of each task, shape (n_tasks,)
        """
        self.kl_cost, self.entropy_cost = kl_cost.numpy()[self.tasks], entropy_cost.numpy()[self.tasks]
        self.regularizes = bool(self.kl_cost.any() or self.entropy_cost.any())

    @override
    def reset(self) -> VecEnvObs:
        self.last_observations = self.venv.reset()
        self.last_dones = np.ones(self.num_envs, dtype=bool)
        if self.return_scales is not None:
            self.return_scales.restart()
        return self.last_observations

    @override
    def step_async(self, actions: np.ndarray) -> None:
        if self.regularizes:
            self._check_actions(actions)
        self.venv.step_async(actions)

    @override
    def step_wait(self) -> VecEnvStepReturn:
        observations, rewards, dones, infos = self.venv.step_wait()
        for info, reward in zip(infos, rewards, strict=True):
            info["task_reward"] = reward
        self.last_observations, self.last_dones = observations, dones
        if self.return_scales is not None:
            rewards = self.return_scales.normalize(rewards, dones)
        # SubprocVecEnv gives float64, DummyVecEnv float32: the roll-out is the same under both.
        return observations, rewards.astype(np.float32) + self._regularizers(), dones, infos

    def _check_actions(self, actions: np.ndarray) -> None:
        step = None if self.policy is None else self.policy.last_step
        if step is None or step is self._paid or not np.array_equal(actions, self._as_taken(step.actions)):
            raise UsageError(
                "RegularizedReward was stepped with other actions than those of its policy's last forward pass, whose "
                "log-probabilities it pays for. Step model.get_env(), the environment without regularisation, or let "
                "the policy choose the actions: policy(observations), then step with what it returns (Box actions "
                "clipped to the action space)."
            )
        self._paid = step

    def _as_taken(self, actions: th.Tensor) -> np.ndarray:
        taken: np.ndarray = actions.cpu().numpy()
        space = self.action_space
        return np.clip(taken, space.low, space.high) if isinstance(space, spaces.Box) else taken

    def _regularizers(self) -> np.ndarray:
        if not self.regularizes:
            return np.zeros(self.num_envs, dtype=np.float32)
        task_log_prob = self._paid.task_log_prob.cpu().numpy()
        distilled_log_prob = np.zeros_like(task_log_prob)
        if self._paid.distilled_log_prob is not None:
            distilled_log_prob = self._paid.distilled_log_prob.cpu().numpy()
        return objective.regularizer(distilled_log_prob, task_log_prob, self.kl_cost, self.entropy_cost)
