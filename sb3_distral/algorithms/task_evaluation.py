"""Evaluations while training: every task policy, and the distilled policy on every task and on held-out ones."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch as th
from stable_baselines3.common.callbacks import BaseCallback, EventCallback
from stable_baselines3.common.type_aliases import PolicyPredictor
from stable_baselines3.common.vec_env import VecEnv, VecTransposeImage
from typing_extensions import override

from sb3_distral.algorithms.checkpoint import random_state, set_random_state
from sb3_distral.algorithms.evaluation import EVALUATION_SEED, DistilledPredictor, Episode, count_episodes, play_tasks
from sb3_distral.algorithms.evaluation_files import DISTILLED_FOLDER, HELD_OUT_FOLDER, EvaluationFolder
from sb3_distral.algorithms.logs import record_of_task
from sb3_distral.algorithms.task_names import acting_by_name
from sb3_distral.envs.state import layers_of
from sb3_distral.envs.synchronization import synchronize_statistics
from sb3_distral.envs.task_id import plain_space
from sb3_distral.envs.task_vec_env import Tasks, as_task_vec_env
from sb3_distral.errors import UsageError, one_line
from sb3_distral.files import atomic_write

if TYPE_CHECKING:
    from sb3_distral.algorithms.base import DistralAlgorithm

#: What is evaluated: the task policies, π0 on their tasks, π0 on held-out tasks.
TASKS, DISTILLED, HELD_OUT = "tasks", "distilled", "held_out"
FOLDERS = {TASKS: "", DISTILLED: DISTILLED_FOLDER, HELD_OUT: HELD_OUT_FOLDER}
BEST_MODEL, BEST_RESULT = "best_model", "best_model.json"


class TaskEvalCallback(EventCallback):
    """
    Evaluate every task policy, and the distilled policy on every task and on held-out ones, at regular intervals.

    Logs ``eval/<task>/mean_reward``, ``eval/<task>/distilled_mean_reward`` and their means over tasks; of held-out
    tasks ``eval_held_out/<task>/distilled_mean_reward`` and its mean. The results of all stay in :attr:`results`.
    A training is the same with and without it, and a training that goes on evaluates as if never stopped: each
    evaluation has a seed of its own where the model has one, files go on where they were, and which model was the best
    is known.

    :param eval_env: Tasks of its own, not the training environment: a ``TaskVecEnv``, or a list or dict of tasks; some
        of the model's or all, which are found by name. Where ``VecNormalize`` normalises the tasks of the training,
        they are wrapped as those are
    :param n_eval_episodes: Episodes of each task
    :param eval_freq: Steps of all sub-environments at once between evaluations
    :param deterministic: Whether to take the likeliest actions; unlike ``EvalCallback``, not by default, since an
        entropy-regularised policy is a stochastic one
    :param name: First part of the logged keys, to tell several callbacks apart
    :param held_out: Tasks that are not trained on, in the same forms, on which π0 alone is evaluated; not with several
        distilled policies, of which each task of the training has its best
    :param log_path: Folder of ``<task>/evaluations.npz`` and, with their means, ``evaluations.npz``, in the form of
        ``EvalCallback``; those of π0 are in its folder ``distilled``, those of the held-out tasks in ``held_out``
    :param best_model_save_path: Folder of ``best_model.zip``, the model with the highest mean over tasks so far
    :param best_by: Whose mean decides what is best: that of the task policies (``"tasks"``), of π0 on the same tasks
        (``"distilled"``) or on those held out (``"held_out"``)
    :param callback_on_new_best: Called when there is a new best model, as by ``EvalCallback``
    :param callback_after_eval: Called after every evaluation, as by ``EvalCallback``
    :param verbose: 1 prints the means of every evaluation
    :raises UsageError: If ``best_by`` names nothing that is evaluated; when a training begins, if the model has no task
        of a name
    """

    model: "DistralAlgorithm"

    def __init__(
        self,
        eval_env: VecEnv | Tasks,
        n_eval_episodes: int = 5,
        eval_freq: int = 10_000,
        deterministic: bool = False,
        name: str = "eval",
        *,
        held_out: VecEnv | Tasks | None = None,
        log_path: str | Path | None = None,
        best_model_save_path: str | Path | None = None,
        best_by: str = TASKS,
        callback_on_new_best: BaseCallback | None = None,
        callback_after_eval: BaseCallback | None = None,
        verbose: int = 0,
    ):
        super().__init__(callback_after_eval, verbose)
        self.name = name
        self.eval_env = as_task_vec_env(eval_env)
        self.held_out = None if held_out is None else as_task_vec_env(held_out)
        self.n_eval_episodes = n_eval_episodes
        self.eval_freq = eval_freq
        self.deterministic = deterministic
        self.best_folder = None if best_model_save_path is None else Path(best_model_save_path)
        self.best_by = best_by
        self.callback_on_new_best = callback_on_new_best
        if callback_on_new_best is not None:
            callback_on_new_best.parent = self
        self.best_mean_reward = self.last_mean_reward = -np.inf
        self.results: list[dict[str, Any]] = []
        self._envs = {TASKS: self.eval_env, DISTILLED: self.eval_env}
        if self.held_out is not None:
            self._envs[HELD_OUT] = self.held_out
        if best_by not in self._envs:
            raise UsageError(f"best_by={best_by!r} was given; expected one of {list(self._envs)}, which are evaluated.")
        self._files = {} if log_path is None else {kind: self._make_files(Path(log_path), kind) for kind in self._envs}

    def _make_files(self, log_path: Path, kind: str) -> EvaluationFolder:
        return EvaluationFolder(log_path / FOLDERS[kind], count_episodes(self._envs[kind], self.n_eval_episodes))

    @override
    def _init_callback(self) -> None:
        if self.callback_on_new_best is not None:
            self.callback_on_new_best.init_callback(self.model)

    @override
    def _on_training_start(self) -> None:
        super()._on_training_start()
        # So that what is wrapped otherwise, or would be done by several, is refused at once.
        self._synchronize()
        self._check_observations()
        for kind, policy in self._policies().items():
            acting_by_name(policy, self._envs[kind])
        if self.best_by != TASKS and not self.model.policy.distilled_is_trained:
            raise UsageError(
                f"best_by={self.best_by!r} was given, but nothing trains the distilled policy here (alpha=0 or "
                "beta=inf). Choose by the task policies: best_by='tasks'."
            )
        for files in self._files.values():
            files.begin(self.num_timesteps)
        if self.num_timesteps > 0:
            self.best_mean_reward = max(self.best_mean_reward, self._read_best())

    @override
    def _on_step(self) -> bool:
        # Counted from the beginning of a training that goes on.
        if self.num_timesteps // self.training_env.num_envs % self.eval_freq != 0:
            return True
        self._synchronize()
        episodes = self._play()
        for kind, files in self._files.items():
            files.append(self.num_timesteps, episodes[kind])
        returns = {kind: {task: [e.total for e in own] for task, own in episodes[kind].items()} for kind in episodes}
        self.results.append({"timesteps": self.num_timesteps, **returns})
        means = {kind: self._record(kind, returns[kind]) for kind in returns}
        self.logger.record("time/total_timesteps", self.num_timesteps, exclude="tensorboard")
        self.logger.dump(self.num_timesteps)
        if self.verbose >= 1:
            shown = ", ".join(f"{kind}: {mean:.2f}" for kind, mean in means.items())
            print(f"Eval num_timesteps={self.num_timesteps}, mean reward of {shown}")
        self.last_mean_reward = means[self.best_by]
        return self._keep_best() and self._on_event()

    def _check_observations(self) -> None:
        # Images of the training may be turned around; those of an evaluation are when π0 or a task policy sees them.
        layers = [layer for layer in layers_of(self.training_env) if isinstance(layer, VecTransposeImage)]
        known: list[Any] = [self.training_env.observation_space, *(layer.venv.observation_space for layer in layers)]
        expected = [plain_space(space) for space in known]
        for kind, env in self._envs.items():
            given: Any = env.observation_space
            if plain_space(given) not in expected:
                argument = "held_out" if kind == HELD_OUT else "eval_env"
                raise UsageError(
                    f"TaskEvalCallback got tasks with the observations {plain_space(given)} as {argument}; expected "
                    f"those of the training, {expected[-1]}. Pass tasks of the same kind, wrapped in the same way."
                )

    def _synchronize(self) -> None:
        synchronize_statistics(self.training_env, self.eval_env)
        if self.held_out is not None:
            synchronize_statistics(self.training_env, self.held_out, same_tasks=False)

    def _policies(self) -> dict[str, PolicyPredictor]:
        policies: dict[str, PolicyPredictor] = {TASKS: self.model, DISTILLED: DistilledPredictor.of(self.model)}
        if self.held_out is not None:
            # Of several nothing says which would act there.
            policies[HELD_OUT] = DistilledPredictor(self.model.distilled_policy)
        return policies

    def _play(self) -> dict[str, dict[str, list[Episode]]]:
        policies, before = self._policies(), random_state()
        try:
            return {kind: self._episodes(policies[kind], env) for kind, env in self._envs.items()}
        finally:
            set_random_state(before)

    def _episodes(self, policy: PolicyPredictor, env: VecEnv) -> dict[str, list[Episode]]:
        if self.model.seed is not None:
            seed = EVALUATION_SEED + self.model.seed + self.num_timesteps
            th.manual_seed(seed)
            env.seed(seed)
        return play_tasks(policy, env, self.n_eval_episodes, self.deterministic)

    def _record(self, kind: str, returns: dict[str, list[float]]) -> float:
        """
        Log the mean of every task and that of all.

        :param kind: What was evaluated
        :param returns: Returns by task
        :return: The mean over tasks
        """
        # Held-out tasks have a section of their own, since they may be called like those of the training.
        section = f"{self.name}_{HELD_OUT}" if kind == HELD_OUT else self.name
        key = "mean_reward" if kind == TASKS else "distilled_mean_reward"
        means = {task: float(np.mean(values)) for task, values in returns.items()}
        for task, mean in means.items():
            record_of_task(self.logger, section, task, key, mean)
        overall = float(np.mean(list(means.values())))
        self.logger.record(f"{section}/{key}", overall)
        return overall

    def _keep_best(self) -> bool:
        """
        Save the model where it is the best so far.

        :return: Whether the training goes on
        """
        if not self.last_mean_reward > self.best_mean_reward:
            return True
        if self.verbose >= 1:
            print("New best mean reward!")
        self.best_mean_reward = self.last_mean_reward
        if self.best_folder is not None:
            self.model.save(self.best_folder / BEST_MODEL)
            result = {"timesteps": self.num_timesteps, "mean_reward": self.best_mean_reward, "best_by": self.best_by}
            with atomic_write(self.best_folder / BEST_RESULT) as beside:
                beside.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        return self.callback_on_new_best is None or self.callback_on_new_best.on_step()

    def _read_best(self) -> float:
        """
        Read how good the best model is that was saved before the training went on.

        :return: Its mean; minus infinity if there is none, or another mean decided
        :raises UsageError: If the file is damaged
        """
        path = None if self.best_folder is None else self.best_folder / BEST_RESULT
        if path is None or not path.exists():
            return -np.inf
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            return float(result["mean_reward"]) if result["best_by"] == self.best_by else -np.inf
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise UsageError(
                f"{path} cannot be read ({one_line(error)}); expected how good the best model is, as JSON. Put it back "
                "from a copy, or delete it, so that the next evaluation begins anew."
            ) from error
