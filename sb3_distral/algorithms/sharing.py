"""Policies alone in a file that may be given to strangers: of a whole model, of π0 or of one task."""

from pathlib import Path
from typing import Any

import torch as th
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.utils import get_device

from sb3_distral.algorithms.acting import ActingModel
from sb3_distral.algorithms.base import DistralAlgorithm
from sb3_distral.envs.names import check_task_names
from sb3_distral.envs.normalization import (
    ObservationNormalization,
    check_shapes,
    normalization_from_json,
    normalization_to_json,
)
from sb3_distral.envs.space_json import Json
from sb3_distral.errors import UsageError, one_line
from sb3_distral.method.costs import Costs
from sb3_distral.policies.archive import read_archive, write_archive
from sb3_distral.policies.columns import PolicyColumns
from sb3_distral.policies.feedforward import DistralPolicy
from sb3_distral.policies.saving import build, describe, weights_of
from sb3_distral.policies.vocabulary import check_kind


class SharedModel(ActingModel):
    """
    The policies of a model, without its training: what :func:`load_policy` gives of a whole model.

    It acts and is evaluated as the model was; ``distilled_policy`` is the start of new tasks, and ``task_policy(name)``
    the policy of one. A training goes on from the file of the method ``save``.

    :param policy: The policies of all tasks
    :param task_names: Name of each task
    :param learner: Name of the class of the model
    :param num_timesteps: Steps of its training
    :param costs: Its costs at the end
    :param observation_normalization: How the observations of its training were normalised, all alike or pooled
    :param task_normalizations: The same of each task, ``None`` where they were as they are; empty where all were alike
    """

    def __init__(
        self,
        policy: DistralPolicy,
        task_names: list[str],
        learner: str,
        num_timesteps: int,
        costs: Costs,
        observation_normalization: ObservationNormalization | None = None,
        task_normalizations: list[ObservationNormalization | None] | None = None,
    ):
        self.policy, self.task_names = policy, task_names
        self.learner, self.num_timesteps, self.costs = learner, num_timesteps, costs
        self.observation_normalization = observation_normalization
        self.task_normalizations = task_normalizations or []
        policy.task_names = task_names


def save_policy(policy: BasePolicy | ActingModel, path: str | Path) -> None:
    """
    Save all policies of a model, or π0 or the policy of a task alone, as a zip of a description (JSON) and numbers.

    :func:`load_policy` makes them again without running any code of the file, so the file may be given to strangers.
    Optimizers, and all else that a training needs to go on, are left out.

    :param policy: A model, ``model.distilled_policy`` or ``model.task_policy(task)``
    :param path: File
    :raises UsageError: If a class is not one that the file has a name for (one of your own, for example), or a
        parameter is not finite
    """
    if isinstance(policy, PolicyColumns):
        raise UsageError(
            f"save_policy got a {type(policy).__name__}, which does not know the names of its tasks. Give the "
            "model, its distilled_policy, or task_policy(task)."
        )
    if isinstance(policy, ActingModel):
        write_archive(path, _describe_model(policy), weights_of(policy.policy))
    else:
        write_archive(path, {"kind": "policy", **describe(policy)}, weights_of(policy))


def load_policy(path: str | Path, device: th.device | str = "auto") -> Any:
    """
    Load what :func:`save_policy` has written, without running any code of the file.

    Sizes are checked before memory is taken: networks are made only where the file holds their weights.

    :param path: File
    :param device: Device of the policies
    :return: A policy of Stable-Baselines3 on plain observations, of the class that was saved; of a whole model a
        :class:`SharedModel`
    :raises UsageError: If the file is damaged or was written by something else

    >>> import tempfile
    >>> from sb3_distral import DistralA2C, save_policy, tasks
    >>> model = DistralA2C(tasks.make("grid-mazes", n_tasks=2))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_policy(model.distilled_policy, f"{folder}/pi0.zip")
    ...     policy = load_policy(f"{folder}/pi0.zip")
    >>> policy.observation_space == model.distilled_policy.observation_space
    True
    """
    with Path(path).open("rb") as file:
        try:
            described, weights = read_archive(file)
            check_kind("kind", described.get("kind"), str)
            is_model = described["kind"] == "model"
            if not is_model and "policy" in described:
                raise UsageError("it holds the policies of tasks without their names")
            loaded = _read_model(described, weights) if is_model else build(described, weights)
        except Exception as error:  # Whatever a strange file leads to
            raise UsageError(
                f"{path} cannot be read as a policy ({one_line(error)}). Pass a file that sb3_distral.save_policy has "
                "written; one of the method save of a model or a policy is read by the method load of its class, which "
                "trusts the file."
            ) from error
    policy: Any = loaded.policy if is_model else loaded
    policy.to(get_device(device))
    return loaded


def _describe_model(model: ActingModel) -> Json:
    own: Any = model
    model._remember_normalization()
    return {
        "kind": "model",
        "learner": type(model).__name__ if isinstance(model, DistralAlgorithm) else own.learner,
        "num_timesteps": own.num_timesteps,
        "task_names": list(model.task_names),
        "costs": {name: part.tolist() for name, part in own.costs._asdict().items()},
        "distilled_is_trained": model.policy.distilled_is_trained,
        "observation_normalization": normalization_to_json(model.observation_normalization),
        "task_normalizations": [normalization_to_json(task) for task in model.task_normalizations],
        "policies": describe(model.policy),
    }


def _read_model(described: Json, weights: dict[str, th.Tensor]) -> SharedModel:
    parts = {"learner": str, "num_timesteps": int, "task_names": list, "costs": dict, "policies": dict}
    for part, kind in {**parts, "distilled_is_trained": bool, "task_normalizations": list}.items():
        check_kind(part, described.get(part), kind)
    if not 0 <= described["num_timesteps"] < 2**63:
        raise UsageError("its number of steps is none")
    names, policies = described["task_names"], described["policies"]
    check_task_names(names)
    if "policy" not in policies or len(names) != policies.get("n_tasks"):
        raise UsageError(f"it has {len(names)} task names for the policies of {policies.get('n_tasks')} tasks")
    policy: DistralPolicy = build(policies, weights)
    policy.distilled_is_trained = described["distilled_is_trained"]
    costs = Costs(*(th.tensor(described["costs"][name], dtype=th.float32) for name in Costs._fields))
    if any(part.shape != (len(names),) or not ((part >= 0) & part.isfinite()).all() for part in costs):
        raise UsageError(f"its costs are not those of {len(names)} tasks, finite numbers from 0 on")
    check_task_names([described["learner"]])  # which is shown, too
    common = normalization_from_json(described["observation_normalization"])
    own = [normalization_from_json(part) for part in described["task_normalizations"]]
    for normalization in (common, *own):
        if normalization is not None:
            check_shapes(normalization, policy.plain_observation_space)
    if len(own) not in (0, len(names)):
        raise UsageError(f"it has {len(own)} task_normalizations for {len(names)} tasks")
    return SharedModel(policy, names, described["learner"], described["num_timesteps"], costs, common, own)
