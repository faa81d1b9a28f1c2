"""How a model acts: the policies of its tasks and the distilled one, in a training and without."""

from typing import Any

import numpy as np
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy

from sb3_distral.envs.normalization import ObservationNormalization, current_normalization, task_normalizations
from sb3_distral.errors import UsageError
from sb3_distral.policies.checks import check_single
from sb3_distral.policies.feedforward import DistralPolicy


class ActingModel:
    """What acts by the policies of several tasks, and by π0 where none is named."""

    policy: DistralPolicy
    task_names: list[str]
    num_timesteps: int
    #: The tasks of a training, ``None`` without
    env: Any = None
    #: How observations are normalised, all alike or pooled over tasks, for a model without its tasks
    observation_normalization: ObservationNormalization | None = None
    #: The same of each task, ``None`` where its observations are as they are; empty where all are alike
    task_normalizations: list[ObservationNormalization | None] = []  # noqa: RUF012  (replaced, never changed)

    def _remember_normalization(self) -> None:
        if self.env is not None:
            self.observation_normalization = current_normalization(self.env)
            self.task_normalizations = task_normalizations(self.env)

    @property
    def n_tasks(self) -> int:
        """Number of tasks."""
        return len(self.task_names)

    @property
    def distilled_policy(self) -> ActorCriticPolicy:
        """π0, a Stable-Baselines3 policy on plain observations. It follows the training and carries its statistics."""
        check_single(self.policy.n_distilled)
        return self.distilled_policies[0]

    @property
    def distilled_policies(self) -> list[ActorCriticPolicy]:
        """All distilled policies: :attr:`distilled_policy` alone, or copies of several as they are now."""
        policy = self.policy
        policies: list[Any] = [policy.distilled_policy] if policy.bank is None else policy.copy_distilled()
        self._remember_normalization()
        for own in policies:
            own.observation_normalization = self.observation_normalization
        return policies

    @property
    def responsibilities(self) -> np.ndarray:
        """Share of each distilled policy in the prior of each task, shape (n_tasks, n_distilled)."""
        bank = self.policy.bank
        return np.ones((self.n_tasks, 1)) if bank is None else bank.responsibilities.detach().cpu().numpy().copy()

    def task_policy(self, task: int | str) -> BasePolicy:
        """
        Copy the policy of one task as it is now, on plain observations.

        :param task: Index or name of the task
        :return: A Stable-Baselines3 policy; with one column its ``state_dict`` fits the host's policy of that
            architecture. It acts among the actions that the task's fixed mask leaves; its ``predict`` takes
            ``action_masks``, which narrow them further. It carries the statistics of ``VecNormalize`` that the task
            had, for :func:`~sb3_distral.normalize_as_trained`
        :raises UsageError: If there is no such task
        """
        names = self.task_names
        is_index = isinstance(task, int | np.integer) and not isinstance(task, bool)
        if task not in names and not (is_index and task in range(len(names))):
            raise UsageError(
                f"There is no task {task!r}. Give an index below {len(names)} or one of the names {names}."
            )
        index = names.index(task) if isinstance(task, str) else int(task)
        policy: Any = self.policy.task_policy(index)
        self._remember_normalization()
        own = self.task_normalizations
        policy.observation_normalization = own[index] if own else self.observation_normalization
        return policy  # type: ignore[no-any-return]

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: np.ndarray | None = None,
        deterministic: bool = False,
        action_masks: Any = None,
    ) -> tuple[np.ndarray, Any]:
        """
        Choose actions: those of the task that an observation names, of π0 where it names none.

        :param observation: Observation, single or batched
        :param state: State of policies that remember
        :param episode_start: Whether it is the first of its episode, for each row
        :param deterministic: Whether to take the likeliest action
        :param action_masks: Whether each action is valid, as in sb3-contrib's ``MaskablePPO``
        :return: Actions and the next state
        """
        return self.policy.predict(observation, state, episode_start, deterministic, action_masks=action_masks)
