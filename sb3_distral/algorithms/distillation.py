"""Distillation at the end of each roll-out."""

from typing import TYPE_CHECKING, Any

import torch as th
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import obs_as_tensor, update_learning_rate

from sb3_distral.algorithms.logs import record_of_task
from sb3_distral.method import objective
from sb3_distral.policies.feedforward import ActionStep

if TYPE_CHECKING:
    from sb3_distral.algorithms.a2c import DistralA2C


class DistillationCallback(BaseCallback):
    """
    Teach π0 the centroid of the task policies on the states of each roll-out, the second term of (10).

    *Joint*: leave the loss of π0, to which :meth:`DistralA2C.train` adds that of the policy gradient; one backward pass
    and one optimizer step take both, so that c_KL weighs one against the other. *Alternating*: fit π0 with its own
    optimizer; the tasks then train against a fixed π0. ``DistralA2C`` installs this callback itself.

    :param alternating: Whether π0 is fitted on its own
    :param n_epochs: Gradient steps of the fit at the end of each roll-out, if alternating
    :param value_l2_coef: Weight of (V0 − Vi)², which teaches the distilled value what the tasks' values share
    """

    model: "DistralA2C"

    def __init__(self, alternating: bool = False, n_epochs: int = 1, value_l2_coef: float = 0.0):
        super().__init__()
        self.alternating = alternating
        self.n_epochs = n_epochs
        self.value_l2_coef = value_l2_coef
        self.steps: list[ActionStep] = []
        self.loss: th.Tensor | None = None
        #: log π0 on the rows of the roll-out buffer, where the update need not evaluate it again
        self.distilled_log_policy: th.Tensor | None = None

    def _on_rollout_start(self) -> None:
        self.steps = []
        self.release()

    def release(self) -> None:
        """Forget what was evaluated for the update, once that is done."""
        self.loss = self.distilled_log_policy = None

    def _on_step(self) -> bool:
        step = self.model.policy.last_step
        assert step is not None
        self.steps.append(step)
        return True

    def _on_rollout_end(self) -> None:
        policy = self.model.policy
        if policy.task_columns is None:
            return
        policy.set_training_mode(True)
        observations = self._observations()
        if self.model.costs.kl.any() or self.value_l2_coef > 0:
            self._distill(observations)
        if self.alternating:
            with th.no_grad():
                self.distilled_log_policy = policy.distilled_log_policy(observations, self.model.rollout_memory())

    def _distill(self, observations: Any) -> None:
        if not self.alternating:
            self.loss = loss = self._loss(observations)
        for _ in range(self.n_epochs if self.alternating else 0):
            loss = self._loss(observations)
            loss.backward()  # type: ignore[no-untyped-call]
            self._step()
        self.logger.record("distral/distillation_loss", loss.item())

    def _loss(self, observations: Any) -> th.Tensor:
        policy, costs = self.model.policy, self.model.costs
        tasks, task_log_policy = self._rows("tasks"), self._rows("task_log_policy")
        self.distilled_log_policy = policy.distilled_log_policy(observations, self.model.rollout_memory())
        kl_cost = costs.kl.to(tasks.device)[tasks]
        rows = objective.distillation_loss(task_log_policy, self.distilled_log_policy, kl_cost)
        if self.value_l2_coef > 0:
            _, values = policy.evaluate_distilled(observations, self.model.rollout_memory())
            task_values = th.as_tensor(self.model.rollout_buffer.values.T, device=rows.device).flatten()
            rows = rows + self.value_l2_coef * (values.flatten() - task_values).square()
        return objective.sum_of_task_means(rows, tasks, policy.n_tasks)

    def _observations(self) -> Any:
        """
        :return: Plain observations of the roll-out, sub-environment by sub-environment, as the update takes them
        """
        buffer, policy = self.model.rollout_buffer, self.model.policy
        rows = {key: buffer.swap_and_flatten(value) for key, value in buffer.observations.items()}  # type: ignore[attr-defined]
        return policy.split(obs_as_tensor(rows, self.model.device))[0]  # type: ignore[arg-type]

    def _rows(self, field: str) -> th.Tensor:
        """
        :param field: A field of :class:`ActionStep`
        :return: Its values in the roll-out, sub-environment by sub-environment
        """
        return th.stack([getattr(step, field) for step in self.steps], dim=1).flatten(0, 1)

    def _step(self) -> None:
        distilled = self.model.policy.distilled_policy
        progress = self.model._current_progress_remaining
        update_learning_rate(distilled.optimizer, self.model.lr_schedule(progress))
        th.nn.utils.clip_grad_norm_(distilled.parameters(), self.model.max_grad_norm)
        distilled.optimizer.step()
        distilled.optimizer.zero_grad()

    def log_divergences(self) -> None:
        """Record how far each task policy was from π0 in the last roll-out, and how certain."""
        if not self.steps:
            return
        tasks, task_log_policy = self._rows("tasks"), self._rows("task_log_policy")
        self._log_by_task("entropy", objective.entropy(task_log_policy), tasks)
        if self.steps[0].distilled_log_policy is not None:
            divergence = objective.kl_divergence(task_log_policy, self._rows("distilled_log_policy"))
            self._log_by_task("kl", divergence, tasks)

    def _log_by_task(self, name: str, rows: th.Tensor, tasks: th.Tensor) -> None:
        means = objective.task_means(rows, tasks, self.model.n_tasks).tolist()
        for task_name, mean in zip(self.model.task_names, means, strict=True):
            record_of_task(self.logger, "distral", task_name, name, mean)
