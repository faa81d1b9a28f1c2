"""The policies of Distral: π0 and a policy for each of n tasks, by Stable-Baselines3's protocol."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch as th
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import PyTorchObs
from typing_extensions import override

from sb3_distral.envs.normalization import ObservationNormalization
from sb3_distral.envs.task_id import names_task, with_task
from sb3_distral.errors import UsageError
from sb3_distral.method.choices import narrow, unmasked
from sb3_distral.networks.distributions import distribution_of
from sb3_distral.networks.heads import CnnColumn, MultiInputColumn
from sb3_distral.policies.checks import check_finite, check_maskable, check_single
from sb3_distral.policies.evaluation import ActionStep
from sb3_distral.policies.joint import JointPolicy
from sb3_distral.policies.task_policy import MixtureTaskPolicy, TaskPolicy


class DistralPolicy(JointPolicy):
    """
    One distilled column π0 and a policy πi for each of n tasks, on observations that name the task.

    With a ``task`` in the observation it acts as that task's policy, without as π0. π0 is a plain Stable-Baselines3
    policy on the plain observation. What πi is made of is the architecture, a column of Table 1:

    - ``"shared"``: πi = π0, one network for all tasks;
    - ``"one_column"``: πi from a network for each task;
    - ``"two_columns"``: πi ∝ π0^α exp(f), the distilled network and one for each task (8).

    Each task's value comes from its own column (from the shared network where that is all there is).

    With several distilled policies (``n_distilled``) π0 is, for each task, the pool of them by their responsibilities,
    see :mod:`sb3_distral.method.mixture`. Arguments are those of :class:`~sb3_distral.policies.columns.PolicyColumns`.
    """

    task_policy_class: ClassVar[type[TaskPolicy]] = TaskPolicy
    # Algorithms that need nothing of π0 in a roll-out switch this off.
    evaluates_distilled: bool = True
    #: Whether π0 has ever learned to act, or come from a model where it had; the algorithm sets it
    distilled_is_trained: bool = True
    last_step: ActionStep | None = None
    #: How the observations of the training are normalised; the algorithm sets it
    observation_normalization: ObservationNormalization | None = None

    def task_policy(self, task: int) -> BasePolicy:
        """
        Copy one task's policy as it is now.

        :param task: Index of the task
        :return: A Stable-Baselines3 policy on plain observations, among the actions that the task's fixed mask leaves;
            its ``predict`` takes ``action_masks``
        :raises UsageError: If the task has a mask, which columns of this class cannot have
        """
        # Initial weights are overwritten at once: drawing them must not move the generators of a training.
        with th.random.fork_rng():
            if self.architecture == "two_columns":
                policy: Any = self._two_columns(task)
                column = policy.task_column
            else:
                view = self.distilled_view if self.task_columns is None else None
                policy = column = self._make_column(self._dummy_schedule, view)
        if self.task_columns is None:
            column.load_state_dict(self.distilled_policy.state_dict())
        else:
            self.task_columns.copy_column(task, column)
        if self.task_masks is not None and not all(self.task_masks[task].valid):
            check_maskable(policy)
            policy.set_task_mask(self.task_masks[task])
        return policy.to(self.device)  # type: ignore[no-any-return]

    def _two_columns(self, task: int) -> TaskPolicy:
        arguments: dict[str, Any] = {
            "observation_space": self.plain_observation_space,
            "action_space": self.action_space,
            "column_class": self.column_class,
            "column_kwargs": self.column_kwargs,
            "distilled_weight": float(self.distilled_weights[task]),
            "distilled_view": self.distilled_view,
        }
        if self.bank is None:
            policy = self.task_policy_class(**arguments)
            policy.distilled_policy.load_state_dict(self.distilled_policy.state_dict())
            return policy
        policy = MixtureTaskPolicy(**arguments, responsibilities=self.bank.responsibilities[task].tolist())
        for index, column in enumerate(policy.components):
            self.bank.columns.copy_column(index, column)  # type: ignore[arg-type]
        return policy

    @override
    def forward(self, obs: dict[str, th.Tensor], deterministic: bool = False) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        return self._act(obs, deterministic)

    def _act(
        self, obs: dict[str, th.Tensor], deterministic: bool, memory: Any = None
    ) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        """
        Choose actions, as :class:`ActorCriticPolicy` does, and keep what is to be known about them in ``last_step``.

        :param obs: A batch of observations with a task
        :param deterministic: Whether to take the likeliest action
        :param memory: What recurrent columns remember
        :return: Actions (batch, ...), values (batch, 1) and log-probabilities of the actions (batch,)
        """
        # What remembers has to see every step.
        evaluation = self.evaluate(obs, memory, distilled=self.evaluates_distilled, former=self.is_recurrent)
        family, parameters, prior = self.family, evaluation.task_parameters, evaluation.distilled_parameters
        check_finite(parameters, evaluation.tasks, self.task_names)
        rows = family.mode(parameters) if deterministic else family.sample(parameters)
        log_prob = family.log_prob(parameters, rows)
        distilled_log_prob = None
        if self.evaluates_distilled and prior is not None:
            distilled_log_prob = log_prob if prior is parameters else family.log_prob(prior, rows)
        if evaluation.log_normalizer is not None and distilled_log_prob is not None:
            distilled_log_prob = distilled_log_prob + evaluation.log_normalizer
        actions = rows.reshape(-1, *self.action_space.shape)  # type: ignore[misc]
        self.last_step = ActionStep(actions, log_prob, distilled_log_prob)
        return actions, evaluation.values, log_prob

    @override
    def obs_to_tensor(self, observation: Any) -> tuple[PyTorchObs, bool]:
        if names_task(observation, self.task_keys):
            return super().obs_to_tensor(observation)
        check_single(self.n_distilled)
        return self.distilled_policy.obs_to_tensor(observation)

    def _with_task(self, obs: Any) -> dict[str, th.Tensor] | None:
        """
        Tell the task of plain observations where there is but one.

        :param obs: A batch of observations, with a task or plain
        :return: The batch with tasks; ``None`` where π0 acts
        """
        if names_task(obs, self.task_keys):
            return obs  # type: ignore[no-any-return]
        if self.n_tasks > 1:
            check_single(self.n_distilled)
            self._warn_untrained()
            return None
        rows = len(next(iter(obs.values())) if isinstance(obs, Mapping) else obs)
        return with_task(obs, th.zeros(rows, dtype=th.long, device=self.device))

    def _warn_untrained(self) -> None:
        if not self.distilled_is_trained:
            warnings.warn(
                "Observations without a task were given, on which the distilled policy π0 acts. Nothing trains π0 here "
                "(no task pays for its divergence from it: alpha=0 or beta=inf), so that it acts like an untrained "
                "network. Take model.task_policy(…), or observations that name their task.",
                stacklevel=2,
            )

    def evaluate_actions(self, obs: dict[str, th.Tensor], actions: th.Tensor) -> tuple[th.Tensor, th.Tensor, th.Tensor]:
        """
        Evaluate actions, as :meth:`ActorCriticPolicy.evaluate_actions` does.

        :param obs: A batch of observations with a task
        :param actions: Actions, shape (batch,) or (batch, n_dimensions)
        :return: Values (batch, 1), log-probabilities of the actions (batch,) and entropies (batch,)
        """
        named = self._with_task(obs)
        if named is None:
            return self.distilled_policy.evaluate_actions(obs, actions)  # type: ignore[return-value]
        evaluation = self.evaluate(named)
        parameters = evaluation.task_parameters
        return evaluation.values, self.family.log_prob(parameters, actions), self.family.entropy(parameters)

    def get_distribution(self, obs: dict[str, th.Tensor]) -> Distribution:
        """
        Distribution of the actions in a batch of states.

        :param obs: A batch of observations with a task
        :return: The action distributions of the rows' tasks
        """
        named = self._with_task(obs)
        if named is None:
            return self.distilled_policy.get_distribution(obs)
        return distribution_of(self.evaluate(named).task_parameters, self.action_space)

    def predict_values(self, obs: dict[str, th.Tensor]) -> th.Tensor:
        """
        Value of a batch of states in the rows' tasks, regularised returns included.

        :param obs: A batch of observations with a task
        :return: Vi(s), shape (batch, 1)
        """
        named = self._with_task(obs)
        if named is None:
            return self.distilled_policy.predict_values(obs)
        plain, tasks = self.split(named)
        if self.task_columns is None:
            return self.distilled_policy.predict_values(plain)
        return self.task_columns.values(plain, tasks)

    @override
    def predict(self, observation: Any, *args: Any, action_masks: Any = None, **kwargs: Any) -> tuple[Any, Any]:
        if not names_task(observation, self.task_keys):
            # Of an (observation, info) of gymnasium Stable-Baselines3's method says what to do.
            if isinstance(observation, tuple):
                return super().predict(observation)  # type: ignore[arg-type]
            if self.n_tasks > 1 or self.n_distilled > 1:
                return self._predict_distilled(observation, *args, action_masks=action_masks, **kwargs)
            # The only task's policy is the better one.
            batch, is_batch = self.distilled_policy.obs_to_tensor(observation)
            n_rows = len(next(iter(batch.values())) if isinstance(batch, Mapping) else batch)
            observation = with_task(observation, np.zeros(n_rows, dtype=np.int64) if is_batch else np.int64(0))
        if self.observation_normalization is not None:
            self.observation_normalization.warn_if_raw(observation)
        key, mask_key = self.task_keys
        observation = {**observation, key: self._indices(observation[key])}
        with self._masked(observation[key].ravel(), [observation.get(mask_key), action_masks]):
            return self._predict_task(observation, *args, **kwargs)

    def _predict_distilled(self, *args: Any, action_masks: Any, **kwargs: Any) -> tuple[Any, Any]:
        check_single(self.n_distilled)
        self._warn_untrained()
        masks: dict[str, Any] = {} if action_masks is None else {"action_masks": action_masks}
        return self.distilled_policy.predict(*args, **(kwargs | masks))

    def _indices(self, tasks: Any) -> np.ndarray:
        """
        Read tasks of observations.

        :param tasks: Index or name of a task, or of that of each row
        :return: Indices, of the same shape
        :raises UsageError: If there is no such task
        """
        given, names = np.asarray(tasks), list(self.task_names or [])
        if given.dtype.kind == "U" and names and set(given.ravel()) <= set(names):
            given = np.array([names.index(name) for name in given.ravel()]).reshape(given.shape)
        is_integer = given.dtype.kind in "iu" or (given.dtype.kind == "f" and (given == given.round()).all())
        if not is_integer or given.min() < 0 or given.max() >= self.n_tasks:
            raise UsageError(
                f"The observation names the tasks {given.tolist()}; expected integers below {self.n_tasks}"
                + (f", or names among {names}." if names else ".")
            )
        return given.astype(np.int64)

    @contextmanager
    def _masked(self, tasks: np.ndarray, given: Sequence[Any]) -> Iterator[None]:
        """
        Hold the masks of rows while actions are chosen.

        :param tasks: Task of each row, shape (batch,)
        :param given: Masks that hold beside those of the tasks, each for all rows, for each row or ``None``
        :raises UsageError: If one does not fit the actions, or no action is left
        """
        given = [masks for masks in given if masks is not None]
        if given:
            task_masks = self.task_masks or [unmasked(self.action_space)] * self.n_tasks
            narrowed = narrow([task_masks[task] for task in tasks], given, self.action_space)
            self._predict_mask = th.as_tensor(narrowed, device=self.device)
        try:
            yield
        finally:
            self._predict_mask = None

    def _predict_task(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        return super().predict(*args, **kwargs)

    @override
    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> th.Tensor:
        assert isinstance(observation, dict)
        evaluation = self.evaluate(observation)
        parameters = evaluation.task_parameters
        check_finite(parameters, evaluation.tasks, self.task_names)
        return self.family.mode(parameters) if deterministic else self.family.sample(parameters)


MlpPolicy = DistralPolicy


class CnnPolicy(DistralPolicy):
    """:class:`DistralPolicy` with convolutional columns, for images."""

    column_class = CnnColumn


class MultiInputPolicy(DistralPolicy):
    """:class:`DistralPolicy` for Dict observations."""

    column_class = MultiInputColumn


POLICY_ALIASES: dict[str, type[BasePolicy]] = {
    "MlpPolicy": MlpPolicy,
    "CnnPolicy": CnnPolicy,
    "MultiInputPolicy": MultiInputPolicy,
}
