"""Distillation at the end of each roll-out, evaluation task by task, and checkpoints that a training can go on from."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch as th
from stable_baselines3.common.callbacks import BaseCallback, CheckpointCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.type_aliases import PolicyPredictor
from stable_baselines3.common.utils import obs_as_tensor, update_learning_rate
from stable_baselines3.common.vec_env import VecEnv, sync_envs_normalization

from sb3_distral import objective
from sb3_distral.evaluation import DistilledPredictor, evaluate_tasks
from sb3_distral.policies import ActionStep
from sb3_distral.vec_env import Tasks, as_task_vec_env

if TYPE_CHECKING:
    from sb3_distral.distral_a2c import DistralA2C

#: Added to the seed of a training for evaluations, whose episodes are others.
EVALUATION_SEED = 10_000


def record_of_task(logger: Logger, section: str, task_name: str, key: str, value: float) -> None:
    """
    Log a number of one task as ``<section>/<task>/<key>``.

    :param logger: Stable-Baselines3's logger
    :param section: ``"rollout"``, ``"distral"`` or the name of an evaluation
    :param task_name: Name of the task
    :param key: What the number is
    :param value: The number
    """
    # The printed table cuts keys off at 36 characters and fails where two become equal; files keep them whole.
    is_long = len(f"   {task_name}/{key}") > 36
    logger.record(f"{section}/{task_name}/{key}", value, exclude="stdout" if is_long else None)


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


class TaskEvalCallback(BaseCallback):
    """
    Evaluate every task policy, and the distilled policy on every task, at regular intervals.

    Logs ``eval/<task>/mean_reward``, ``eval/<task>/distilled_mean_reward`` and their means over tasks. The results of
    all evaluations stay in :attr:`results`. A training is the same with and without it, and a training that goes on
    evaluates as if never stopped: each evaluation has a seed of its own where the model has one.

    :param eval_env: Tasks of its own, not the training environment: a ``TaskVecEnv``, or a list or dict of tasks
    :param n_eval_episodes: Episodes of each task
    :param eval_freq: Steps of all sub-environments at once between evaluations
    :param deterministic: Whether to take the likeliest actions; unlike ``EvalCallback``, not by default, since an
        entropy-regularised policy is a stochastic one
    :param name: First part of the logged keys, to tell several callbacks apart
    """

    model: "DistralA2C"

    def __init__(
        self,
        eval_env: VecEnv | Tasks,
        n_eval_episodes: int = 5,
        eval_freq: int = 10_000,
        deterministic: bool = False,
        name: str = "eval",
    ):
        super().__init__()
        self.name = name
        self.eval_env = as_task_vec_env(eval_env)
        self.n_eval_episodes = n_eval_episodes
        self.eval_freq = eval_freq
        self.deterministic = deterministic
        self.results: list[dict[str, Any]] = []

    def _on_step(self) -> bool:
        # Counted from the beginning of a training that goes on.
        if self.num_timesteps // self.training_env.num_envs % self.eval_freq == 0:
            self._evaluate()
        return True

    def _evaluate(self) -> None:
        if self.model.get_vec_normalize_env() is not None:
            sync_envs_normalization(self.training_env, self.eval_env)
        with th.random.fork_rng():
            tasks = self._returns(self.model)
            distilled = self._returns(DistilledPredictor(self.model.distilled_policy))
        self.results.append({"timesteps": self.num_timesteps, "tasks": tasks, "distilled": distilled})
        for prefix, returns in (("", tasks), ("distilled_", distilled)):
            means = {name: float(np.mean(values)) for name, values in returns.items()}
            for name, mean in means.items():
                record_of_task(self.logger, self.name, name, f"{prefix}mean_reward", mean)
            self.logger.record(f"{self.name}/{prefix}mean_reward", float(np.mean(list(means.values()))))
        self.logger.record("time/total_timesteps", self.num_timesteps, exclude="tensorboard")
        self.logger.dump(self.num_timesteps)

    def _returns(self, policy: PolicyPredictor) -> dict[str, list[float]]:
        if self.model.seed is not None:
            seed = EVALUATION_SEED + self.model.seed + self.num_timesteps
            th.manual_seed(seed)
            self.eval_env.seed(seed)
        return evaluate_tasks(policy, self.eval_env, self.n_eval_episodes, self.deterministic)


class RolloutCheckpointCallback(CheckpointCallback):
    """
    Save checkpoints between roll-outs, from which a training goes on bit for bit.

    :class:`CheckpointCallback` saves in the middle of a roll-out, whose first part is then lost.

    :param save_freq: Calls of the callback (steps of all sub-environments at once) between checkpoints; a checkpoint is
        written at the first roll-out that starts after them
    :param save_path: Folder of the checkpoints
    :param name_prefix: Beginning of their names
    """

    def __init__(self, save_freq: int, save_path: str, name_prefix: str = "checkpoint"):
        super().__init__(save_freq, save_path, name_prefix)
        self.last_save = 0

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        if self.n_calls - self.last_save >= self.save_freq:
            self.last_save = self.n_calls
            self.model.save(self._checkpoint_path(extension="zip"))
