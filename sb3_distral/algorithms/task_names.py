"""Which task of a model an environment for evaluation means: that of the same name, whatever its index is there."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from stable_baselines3.common.type_aliases import PolicyPredictor
from stable_baselines3.common.vec_env import VecEnv

from sb3_distral.envs.task_id import keys_in
from sb3_distral.errors import UsageError


class ActsByName:
    """
    Act on observations of other tasks than those of a model, or of the same in another order.

    :param model: What acts
    :param indices: Index in the model of each task of the observations
    """

    def __init__(self, model: PolicyPredictor, indices: Sequence[int]):
        self.model, self.indices = model, np.array(indices, dtype=np.int64)

    def predict(self, observation: Any, *args: Any, **kwargs: Any) -> Any:
        """
        Act as the model does in the tasks of these names.

        :param observation: Observation with a task
        :param args: As the model's ``predict``
        :param kwargs: As the model's ``predict``
        :return: Actions and state
        """
        key = keys_in(observation).task
        named = {**observation, key: self.indices[np.asarray(observation[key], dtype=np.int64)]}
        return self.model.predict(named, *args, **kwargs)


def acting_by_name(model: PolicyPredictor, task_env: VecEnv) -> PolicyPredictor:
    """
    Let each task of an environment be that of the same name in a model.

    :param model: What acts; one without ``task_names`` acts alike in all tasks, or knows them by their index
    :param task_env: Tasks, some of the model's in any order
    :return: What acts in these tasks
    :raises UsageError: If the model has no such task
    """
    names, known = list(task_env.task_names), list(getattr(model, "task_names", None) or [])  # type: ignore[attr-defined]
    unknown = [name for name in names if name not in known]
    if not known or names == known[: len(names)]:
        return model
    if unknown:
        raise UsageError(
            f"The environment has the tasks {names}, the model has {known}: none of its policies is that of {unknown}. "
            "Give tasks under the model's names, make_task_vec_env({name: task, …}), some of them or all, in any "
            "order. On other tasks the distilled policy acts: DistilledPredictor(model.distilled_policy)."
        )
    return ActsByName(model, [known.index(name) for name in names])
