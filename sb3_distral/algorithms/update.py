"""What the updates of all learners share: one batch evaluated, one loss, one step, clipped column by column."""

from typing import Any, ClassVar, NamedTuple

import torch as th
from gymnasium import spaces
from stable_baselines3.common.utils import explained_variance

from sb3_distral.algorithms.distillation import DistillationCallback
from sb3_distral.algorithms.finite import check_gradients
from sb3_distral.algorithms.logs import record_of_task
from sb3_distral.algorithms.saving import ResumableAlgorithm
from sb3_distral.method import objective
from sb3_distral.networks.distributions import distribution_of
from sb3_distral.networks.rearranging import begin_sizes
from sb3_distral.policies.evaluation import Evaluation


class Batch(NamedTuple):
    """
    What an update knows about a batch.

    :param evaluation: Policies and values now
    :param log_prob: log πi(a|s) now, shape (batch,)
    :param values: Vi(s) now, shape (batch,)
    :param advantages: Advantages of the regularised returns, normalised by task if asked for, shape (batch,)
    :param distills: Whether π0 learns by distillation
    """

    evaluation: Evaluation
    log_prob: th.Tensor
    values: th.Tensor
    advantages: th.Tensor
    distills: bool


class UpdatingAlgorithm(ResumableAlgorithm):
    """An algorithm that learns from roll-outs of several tasks, task by task."""

    #: Under which the host logs the loss of the policies
    policy_loss_key: ClassVar[str] = "train/policy_loss"
    train_distilled: bool | int
    rehearsal_coef: float
    normalize_advantage: bool
    _distillation: DistillationCallback
    #: Steps of the model that a ``learn`` which counts from 0 again no longer counts
    _earlier_timesteps: int = 0
    #: Names of tasks that the optimizer has not seen yet, after others
    _new_tasks: list[str]
    #: What the last pass over the roll-out found, for the log
    _evaluations: list[Evaluation]

    @property
    def distilled_is_frozen(self) -> bool:
        """Whether π0 learns nothing now, see ``train_distilled``."""
        first = self.train_distilled
        return not first if isinstance(first, bool) else self._earlier_timesteps + self.num_timesteps < first

    @property
    def _controls_kl(self) -> bool:
        return False

    def rollout_memory(self) -> Any:
        """
        What recurrent columns remembered when the roll-out began.

        :return: Their memory, anew at each call; ``None``: these have none
        """
        return None

    def _batch_memory(self, rollout_data: Any) -> Any:
        return None

    def _evaluate(self, rollout_data: Any) -> Batch:
        """
        Evaluate a batch of a roll-out under the policies of now.

        :param rollout_data: The batch, as the buffer gives it
        :return: What all updates need to know about it
        """
        distillation = self._distillation
        distills = distillation.distills()
        evaluation = self.policy.evaluate(
            rollout_data.observations,
            self._batch_memory(rollout_data),
            distilled=distills or self._controls_kl,
            distilled_values=distillation.value_l2_coef > 0,
            distilled_gradient=not (distillation.alternating or self.distilled_is_frozen),
            former=distills and not distillation.alternating and distillation.rehearses(),
        )
        advantages = rollout_data.advantages
        if self.normalize_advantage:
            advantages = objective.normalize_by_task(advantages, evaluation.tasks, self.n_tasks)
        log_prob = self.policy.family.log_prob(evaluation.task_parameters, rollout_data.actions)
        return Batch(evaluation, log_prob, evaluation.values.flatten(), advantages, distills)

    def _descend(self, batch: Batch, policy_rows: th.Tensor, value_rows: th.Tensor) -> dict[str, th.Tensor]:
        """
        Take one optimizer step on the losses of all columns, those of π0 among them.

        :param batch: The batch
        :param policy_rows: Policy loss of each row, shape (batch,)
        :param value_rows: Value loss of each row, shape (batch,)
        :return: The losses, means for each task summed over tasks, by their key in the log
        """
        evaluation, distillation = batch.evaluation, self._distillation
        parameters = evaluation.task_parameters
        # Without a bonus it is logged only.
        entropy = self.policy.family.entropy(parameters if self.ent_coef > 0 else parameters.detach())
        rows = {self.policy_loss_key: policy_rows, "train/value_loss": value_rows, "train/entropy_loss": -entropy}
        weights = [1.0, self.vf_coef, self.ent_coef]
        if batch.distills and not distillation.alternating:
            rows["distral/distillation_loss"] = distillation.loss(evaluation)
            weights.append(1.0)
        if distillation.value_l2_coef > 0 and evaluation.distilled_values is not None:
            differences = batch.values - evaluation.distilled_values.flatten().detach()
            rows["train/value_transfer_loss"] = differences.square()
            weights.append(distillation.value_l2_coef)
        losses = objective.sum_of_task_means(th.stack(list(rows.values()), dim=1), evaluation.tasks, self.n_tasks)
        loss = losses @ losses.new_tensor(weights)
        loss.backward()  # type: ignore[no-untyped-call]
        self._step()
        self._evaluations.append(Evaluation(*(None if part is None else part.detach() for part in evaluation)))  # type: ignore[arg-type]
        return {**dict(zip(rows, losses.detach(), strict=True)), "train/loss": loss.detach()}

    def _step(self) -> None:
        """Clip column by column, so that one task's reward scale cannot shrink another's step, and update."""
        policy = self.policy
        norms = policy.clip_grad_norm_(self.max_grad_norm)
        if not th.isfinite(norms).all():
            self._check_gradients()
        if self._new_tasks and policy.task_columns is not None:
            new = [self.task_names.index(name) for name in self._new_tasks]
            begin_sizes(policy.optimizer, policy.task_columns, new)
            self._new_tasks = []
        policy.optimizer.step()
        policy.optimizer.zero_grad()
        if policy.bank is not None:
            policy.bank.step()

    def _check_gradients(self) -> None:
        """Refuse gradients that are not finite. Those that are merely huge have been made 0 by their clip."""
        norms = self.policy.clip_grad_norm_(self.max_grad_norm)
        if th.isnan(norms).any():
            self.policy.optimizer.zero_grad()
        check_gradients(norms, self.task_names, self._n_updates)

    def _log_update(self, losses: list[dict[str, th.Tensor]]) -> None:
        buffer = self.rollout_buffer
        variance = explained_variance(buffer.values.flatten(), buffer.returns.flatten())
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/explained_variance", variance)
        if losses:
            means = th.stack([th.stack(list(step.values())) for step in losses]).mean(dim=0).tolist()
            for key, mean in zip(losses[0], means, strict=True):
                self.logger.record(key, mean)
        if isinstance(self.action_space, spaces.Box) and self._evaluations:
            distribution: Any = distribution_of(self._evaluations[-1].task_parameters, self.action_space).distribution
            self.logger.record("train/std", distribution.stddev.mean().item())

    def _measure_policies(self) -> dict[str, th.Tensor]:
        """
        Measure how certain each task policy was in the last pass over the roll-out, and how far from π0.

        :return: ``entropy`` and, where π0 was evaluated, ``kl`` in nats, of shape (n_tasks,) each
        """
        family, evaluations = self.policy.family, self._evaluations
        tasks = th.cat([evaluation.tasks for evaluation in evaluations])
        parameters = th.cat([evaluation.task_parameters for evaluation in evaluations])
        rows = {"entropy": family.entropy(parameters)}
        if all(evaluation.distilled_parameters is not None for evaluation in evaluations):
            priors = th.cat([evaluation.distilled_parameters for evaluation in evaluations])  # type: ignore[misc]
            rows["kl"] = family.kl_divergence(parameters, priors)
            if self.policy.bank is not None:
                # Σz q_iz KL(πi‖π0^z), what is paid for, is more than the divergence from the pool.
                rows["kl"] -= th.cat([evaluation.log_normalizer for evaluation in evaluations])  # type: ignore[misc]
        return {key: objective.task_means(values, tasks, self.n_tasks) for key, values in rows.items()}

    def _log_divergences(self) -> None:
        if not self._evaluations:
            return
        for key, means in self._measure_policies().items():
            self._record_by_task(key, means)
        if self.policy.bank is not None:
            for component, shares in enumerate(self.policy.bank.responsibilities.detach().t()):
                self._record_by_task(f"distilled_{component}", shares)

    def _record_by_task(self, key: str, values: th.Tensor) -> None:
        for name, value in zip(self.task_names, values.tolist(), strict=True):
            record_of_task(self.logger, "distral", name, key, value)
