"""The distillation: what π0 learns from, and how."""

from typing import TYPE_CHECKING, Any

import torch as th
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import obs_as_tensor, update_learning_rate
from typing_extensions import override

from sb3_distral.algorithms.finite import check_gradients
from sb3_distral.method import objective
from sb3_distral.policies.evaluation import Evaluation

if TYPE_CHECKING:
    from sb3_distral.algorithms.base import DistralAlgorithm


class DistillationCallback(BaseCallback):
    """
    Teach π0 the centroid of the task policies on the states of each roll-out, the second term of (10).

    *Joint*: the update adds :meth:`loss` of each of its batches to the losses of the policy gradient; one backward pass
    and one optimizer step take both, so that c_KL weighs one against the other. *Alternating*: at the end of each
    roll-out π0 is fitted by its own optimizer; the tasks then train against a fixed π0.

    Every Distral algorithm has one. A ``callback`` of ``learn`` that is a ``DistillationCallback``, or of a class
    derived from it, takes its place: override :meth:`loss` to teach π0 something else. Its settings are the model's
    from then on; the callback itself is not saved with the model.

    :param alternating: Whether π0 is fitted on its own
    :param n_epochs: Gradient steps of the fit at the end of each roll-out, if alternating
    :param value_l2_coef: Weight of (V0 − Vi)², which teaches the distilled value what the tasks' values share
    """

    model: "DistralAlgorithm"

    def __init__(self, alternating: bool = False, n_epochs: int = 1, value_l2_coef: float = 0.0):
        super().__init__()
        self.alternating = alternating
        self.n_epochs = n_epochs
        self.value_l2_coef = value_l2_coef

    def distills(self) -> bool:
        """
        Say whether there is something that π0 learns by distillation.

        :return: Whether π0 learns, and is a policy of its own with a task that pays for its divergence from it or with
            shared values, or rehearses
        """
        if self.model.distilled_is_frozen:
            return False
        has_columns = self.model.policy.task_columns is not None
        return self.rehearses() or (has_columns and (bool(self.model.costs.kl.any()) or self.value_l2_coef > 0))

    def rehearses(self) -> bool:
        """
        Say whether π0 is kept near what it was before the tasks changed.

        :return: Whether the model has a weight for it, and tasks have changed
        """
        return self.model.rehearsal_coef > 0 and self.model.policy.former_distilled_policy is not None

    def loss(self, evaluation: Evaluation) -> th.Tensor:
        """
        Loss of π0: c_KL times its cross-entropy under the task policies, and the squared difference of values.

        Where tasks have changed it also rehearses: its divergence from the π0 before that, by ``rehearsal_coef``.

        :param evaluation: Policies and values of a batch; those of the tasks are constants here
        :return: Loss of each row, shape (batch,)
        """
        assert evaluation.distilled_parameters is not None
        tasks, targets = evaluation.tasks, evaluation.task_parameters.detach()
        policy = self.model.policy
        if policy.bank is None:
            cross_entropy = policy.family.cross_entropy(targets, evaluation.distilled_parameters)
        else:
            assert evaluation.components is not None
            cross_entropy = policy.bank.cross_entropy(targets, evaluation.components, tasks)
        rows = objective.distillation_loss(cross_entropy, self.model.costs.kl.to(tasks.device)[tasks])
        if self.value_l2_coef > 0 and evaluation.distilled_values is not None:
            differences = (evaluation.distilled_values - evaluation.values.detach()).flatten()
            rows = rows + self.value_l2_coef * differences.square()
        if evaluation.former_parameters is not None:
            divergence = self.model.policy.family.kl_divergence(
                evaluation.former_parameters, evaluation.distilled_parameters
            )
            rows = rows + objective.rehearsal_loss(divergence, self.model.rehearsal_coef)
        return rows

    @override
    def _on_step(self) -> bool:
        return True

    @override
    def _on_rollout_end(self) -> None:
        if self.alternating and self.distills():
            self._fit()

    def _fit(self) -> None:
        policy = self.model.policy
        policy.set_training_mode(True)
        observations = self._observations()
        with th.no_grad():
            memory = self.model.rollout_memory()
            targets = policy.evaluate(observations, memory, distilled=True, former=self.rehearses())
        plain, mask = policy.split(observations)[0], policy.mask(observations)
        for _ in range(self.n_epochs):
            parameters, values = policy.evaluate_distilled(plain, self.model.rollout_memory(), mask)
            evaluation = targets._replace(distilled_parameters=parameters, distilled_values=values)
            loss = objective.sum_of_task_means(self.loss(evaluation), targets.tasks, policy.n_tasks)
            loss.backward()  # type: ignore[no-untyped-call]
            self._step()
        self.logger.record("distral/distillation_loss", loss.item())

    def _observations(self) -> dict[str, th.Tensor]:
        """
        Take the observations of the roll-out, sub-environment by sub-environment.

        The buffer's own ``get`` would flatten its arrays in place and draw from the generator of a training.

        :return: Observations with a task, shape (n_envs * n_steps, ...) each
        """
        buffer: Any = self.model.rollout_buffer
        rows: Any = {key: buffer.swap_and_flatten(value) for key, value in buffer.observations.items()}
        return obs_as_tensor(rows, self.model.device)  # type: ignore[return-value]

    def _step(self) -> None:
        distilled = self.model.policy.distilled_policy
        progress = self.model._current_progress_remaining
        update_learning_rate(distilled.optimizer, self.model.lr_schedule(progress))
        if not th.nn.utils.clip_grad_norm_(distilled.parameters(), self.model.max_grad_norm).isfinite():
            # Clipped by an infinite norm, those that were finite are 0 now.
            norm = th.nn.utils.clip_grad_norm_(distilled.parameters(), self.model.max_grad_norm)
            check_gradients(norm.reshape(1), self.model.task_names, self.model._n_updates)
        distilled.optimizer.step()
        distilled.optimizer.zero_grad()
