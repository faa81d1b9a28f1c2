"""Returns of every task policy, and of the distilled policy on every task, at the end and while training."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch as th
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.type_aliases import PolicyPredictor
from stable_baselines3.common.vec_env import VecEnv, sync_envs_normalization
from typing_extensions import override

from sb3_distral.algorithms.logs import record_of_task
from sb3_distral.envs.task_id import MASK_KEY, TASK_KEY, plain_observation
from sb3_distral.envs.task_vec_env import Tasks, as_task_vec_env
from sb3_distral.errors import UsageError

if TYPE_CHECKING:
    from sb3_distral.algorithms.base import DistralAlgorithm

#: Added to the seed of a training for evaluations, whose episodes are others.
EVALUATION_SEED = 10_000


class DistilledPredictor:
    """
    Act with the distilled policy on observations that name a task, or with the best one for it among several.

    :param distilled_policy: ``model.distilled_policy``, or the list ``model.distilled_policies``
    :param responsibilities: ``model.responsibilities``, shape (n_tasks, n_distilled); needed for several of them
    :raises UsageError: If there are several and nothing says which of them is best
    """

    def __init__(
        self, distilled_policy: PolicyPredictor | Sequence[PolicyPredictor], responsibilities: np.ndarray | None = None
    ):
        self.policies = [distilled_policy] if not isinstance(distilled_policy, Sequence) else list(distilled_policy)
        if len(self.policies) > 1 and (responsibilities is None or responsibilities.shape[1] != len(self.policies)):
            raise UsageError(
                f"{len(self.policies)} distilled policies were given without their responsibilities. Give "
                "model.responsibilities too, or one policy."
            )
        #: Index of the best policy by task
        self.best = None if responsibilities is None else responsibilities.argmax(axis=1)

    @classmethod
    def of(cls, model: "DistralAlgorithm") -> "DistilledPredictor":
        """
        Act with the distilled policies of a model.

        :param model: The model
        :return: What acts with them as they are now
        """
        return cls(model.distilled_policies, model.responsibilities)

    def predict(self, observation: Any, *args: Any, **kwargs: Any) -> Any:
        """
        Act as π0, among the actions that are valid.

        :param observation: Observation with a task
        :param args: As the policy's ``predict``
        :param kwargs: As the policy's ``predict``
        :return: Actions and state
        """
        if len(self.policies) == 1:
            return self._predict(self.policies[0], observation, *args, **kwargs)
        assert self.best is not None
        components = self.best[np.asarray(observation[TASK_KEY]).ravel()]
        chosen, states = self._predict(self.policies[components[0]], observation, *args, **kwargs)
        for component in set(components[1:]) - {components[0]}:
            rows = components == component
            own = {key: value[rows] for key, value in observation.items()}
            chosen[rows] = self._predict(self.policies[component], own, *args, **kwargs)[0]
        return chosen, states

    def _predict(self, policy: Any, observation: Any, *args: Any, **kwargs: Any) -> Any:
        masks: dict[str, Any] = {"action_masks": observation[MASK_KEY]} if MASK_KEY in observation else {}
        return policy.predict(plain_observation(observation), *args, **kwargs, **masks)


def evaluate_tasks(
    model: PolicyPredictor,
    task_env: VecEnv,
    n_eval_episodes: int = 5,
    deterministic: bool = False,
) -> dict[str, list[float]]:
    """
    Evaluate a model task by task, where :func:`evaluate_policy` pools the returns of all sub-environments.

    :param model: Any Distral algorithm (each task's own policy acts), or a :class:`DistilledPredictor`
    :param task_env: A ``TaskVecEnv``, wrapped or not
    :param n_eval_episodes: Episodes of each task, rounded up to a multiple of its sub-environments
    :param deterministic: Whether to take the likeliest actions
    :return: Returns of the episodes, by task name
    """
    tasks, task_names = task_env.tasks, task_env.task_names  # type: ignore[attr-defined]
    returns: dict[str, list[float]] = {name: [] for name in task_names}
    totals = np.zeros(task_env.num_envs)

    def keep_return(local_variables: dict[str, Any], _: dict[str, Any]) -> None:
        index, info = local_variables["i"], local_variables["info"]
        totals[index] += local_variables["reward"]
        if local_variables["done"]:
            own_return = info["episode"]["r"] if "episode" in info else totals[index]
            returns[task_names[tasks[index]]].append(float(own_return))
            totals[index] = 0.0

    rounds = int(np.ceil(n_eval_episodes / np.bincount(tasks).min()))
    evaluate_policy(
        model,
        task_env,
        n_eval_episodes=rounds * task_env.num_envs,
        deterministic=deterministic,
        callback=keep_return,
        warn=False,
    )
    return returns


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

    model: "DistralAlgorithm"

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

    @override
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
            distilled = self._returns(DistilledPredictor.of(self.model))
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
