"""Returns of every task policy, and of the distilled policy on every task."""

from typing import Any

import numpy as np
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.type_aliases import PolicyPredictor
from stable_baselines3.common.vec_env import VecEnv

from sb3_distral.task_observation import plain_observation


class DistilledPredictor:
    """
    Act with the distilled policy on observations that name a task.

    :param distilled_policy: ``model.distilled_policy``
    """

    def __init__(self, distilled_policy: PolicyPredictor):
        self.distilled_policy = distilled_policy

    def predict(self, observation: Any, *args: Any, **kwargs: Any) -> Any:
        """
        :param observation: Observation with a task
        :param args: As the policy's ``predict``
        :param kwargs: As the policy's ``predict``
        :return: Actions and state
        """
        return self.distilled_policy.predict(plain_observation(observation), *args, **kwargs)


def evaluate_tasks(
    model: PolicyPredictor,
    task_env: VecEnv,
    n_eval_episodes: int = 5,
    deterministic: bool = False,
) -> dict[str, list[float]]:
    """
    Evaluate a model task by task, where :func:`evaluate_policy` pools the returns of all sub-environments.

    :param model: A ``DistralA2C`` (each task's own policy acts), or a :class:`DistilledPredictor`
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
