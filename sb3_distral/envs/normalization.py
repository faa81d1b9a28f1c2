"""How observations were normalised while a policy was trained, which is a part of what it is."""

import warnings
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecEnv, VecNormalize, unwrap_vec_normalize

from sb3_distral.envs.statistics import normalized_parts, observation_statistics, pooled
from sb3_distral.envs.task_id import OBSERVATION_KEY, has_task_key
from sb3_distral.errors import UsageError

#: Of normalised observations, for what single precision rounds up
CLIP_TOLERANCE = 1.001


class ObservationNormalization(NamedTuple):
    """
    What ``VecNormalize`` does to plain observations, by statistics that stay as they are.

    :param statistics: Mean and variance of each normalised key, the only one being ``obs`` where the plain observation
        is no Dict
    :param clip: Largest absolute value of a normalised observation
    :param epsilon: What is added to variances
    :param is_pooled: Whether each task of the training had its own statistics, which are pooled here
    """

    statistics: dict[str, RunningMeanStd]
    clip: float
    epsilon: float
    is_pooled: bool = False

    def normalize(self, observation: Any) -> Any:
        """
        Normalise as in the training.

        :param observation: Plain observation, single or batched
        :return: The observation as π0 saw it
        """
        if isinstance(observation, Mapping):
            return {**observation, **{key: self._normalize(key, observation[key]) for key in self.statistics}}
        return self._normalize(OBSERVATION_KEY, observation)

    def warn_if_raw(self, observation: Any) -> None:
        """
        Warn of observations that cannot have been normalised, since they are larger than any that were.

        :param observation: Plain observation or one with a task, single or batched
        """
        parts = observation if isinstance(observation, Mapping) else {OBSERVATION_KEY: observation}
        largest = max((float(np.abs(parts[key]).max()) for key in self.statistics if key in parts), default=0.0)
        if largest > CLIP_TOLERANCE * self.clip:
            warnings.warn(
                f"Observations as large as {largest:.4g} were given to a policy that was trained on those that "
                f"VecNormalize normalised, which are at most {self.clip:g}: what it does with them means nothing. Give "
                "normalize_as_trained(env, policy) as the environment, where policy is model.distilled_policy or "
                "model.task_policy(…).",
                stacklevel=3,
            )

    def _normalize(self, key: str, values: Any) -> np.ndarray:
        own = self.statistics[key]
        normalized = (values - own.mean) / np.sqrt(own.var + self.epsilon)
        return np.asarray(np.clip(normalized, -self.clip, self.clip), dtype=np.float32)

    def shapes(self, space: spaces.Space[Any]) -> dict[str, Any]:
        """
        Tell the shapes of what is normalised.

        :param space: Space of plain observations
        :return: The shape of each normalised key in the space, ``None`` where it has no such key
        """
        parts = space.spaces if isinstance(space, spaces.Dict) else {OBSERVATION_KEY: space}
        return {key: parts[key].shape if key in parts else None for key in self.statistics}


def current_normalization(venv: VecEnv) -> ObservationNormalization | None:
    """
    Copy how the observations of a training are normalised now.

    :param venv: Environments of the training
    :return: The normalisation, pooled over tasks of which each has its own; ``None`` where observations are as they are
    """
    layer = unwrap_vec_normalize(venv)
    own = [] if layer is not None else own_normalizations(venv)
    return _normalization_by(pooled(own) if own else layer, bool(own))


def task_normalizations(venv: VecEnv) -> list[ObservationNormalization | None]:
    """
    Copy how the observations of each task are normalised now.

    :param venv: Tasks of the training
    :return: The normalisation of each task, ``None`` where its observations are as they are; an empty list where all
        are alike, by a layer around all of them or none at all
    """
    own = {} if unwrap_vec_normalize(venv) is not None else normalized_parts(venv)
    names: list[str] = venv.task_names  # type: ignore[attr-defined]
    known = [_normalization_by(own.get(name)) for name in names]
    return known if any(known) else []


def _normalization_by(layer: VecNormalize | None, is_pooled: bool = False) -> ObservationNormalization | None:
    if layer is None or not layer.norm_obs:
        return None
    statistics = {key or OBSERVATION_KEY: known for key, known in observation_statistics(layer).items()}
    if not statistics:
        return None
    return ObservationNormalization(deepcopy(statistics), layer.clip_obs, layer.epsilon, is_pooled)


def own_normalizations(venv: VecEnv) -> list[VecNormalize]:
    """
    Find the normalisations of observations of single tasks.

    :param venv: Environments of the training
    :return: Those of all tasks; none if the observations of a task are as they are, or other keys are normalised
    """
    if not has_task_key(venv.observation_space):
        return []
    layers = list(normalized_parts(venv).values())
    is_complete = len(layers) == len(venv.task_names)  # type: ignore[attr-defined]
    keys = [observation_statistics(layer).keys() if layer.norm_obs else None for layer in layers]
    return layers if is_complete and None not in keys and all(own == keys[0] for own in keys) else []


def normalization_of(policy: BasePolicy) -> ObservationNormalization | None:
    """
    Give the normalisation that a policy carries.

    :param policy: ``model.distilled_policy`` or ``model.task_policy(task)``
    :return: The normalisation; ``None`` where it was trained on observations as they are
    :raises UsageError: If it is of observations in another form than those that the policy sees
    """
    normalization: ObservationNormalization | None = getattr(policy, "observation_normalization", None)
    if normalization is not None:
        check_shapes(normalization, policy.observation_space)
    return normalization


def normalization_to_json(normalization: ObservationNormalization | None) -> dict[str, Any] | None:
    """
    Describe a normalisation.

    :param normalization: That which a policy carries
    :return: What ``json.dumps`` takes; ``None`` where there is none
    """
    if normalization is None:
        return None
    statistics = {key: [own.mean.tolist(), own.var.tolist()] for key, own in normalization.statistics.items()}
    described = {"statistics": statistics, "clip": normalization.clip, "epsilon": normalization.epsilon}
    return {**described, "is_pooled": True} if normalization.is_pooled else described


def normalization_from_json(described: Mapping[str, Any] | None) -> ObservationNormalization | None:
    """
    Make the normalisation that :func:`normalization_to_json` has described.

    :param described: The description
    :return: The normalisation; ``None`` where there is none
    :raises UsageError: If its numbers are none
    :raises Exception: Of any kind, if it is no such description
    """
    if described is None:
        return None
    statistics = {}
    for key, (mean, variance) in described["statistics"].items():
        statistics[key] = own = RunningMeanStd(shape=np.shape(mean))
        own.mean, own.var = np.array(mean, dtype=np.float64), np.array(variance, dtype=np.float64)
        if own.mean.shape != own.var.shape or not (np.isfinite(own.mean).all() and (own.var >= 0).all()):
            raise UsageError(f"its statistics of {key!a} are no means and variances")
    clip, epsilon = float(described["clip"]), float(described["epsilon"])
    if not (0 < clip < np.inf and 0 < epsilon < np.inf):
        raise UsageError(f"its statistics have the clip {clip} and epsilon {epsilon}, expected finite numbers above 0")
    return ObservationNormalization(statistics, clip, epsilon, bool(described.get("is_pooled")))


def check_shapes(normalization: ObservationNormalization, space: spaces.Space[Any]) -> None:
    """
    Refuse to normalise observations by statistics of others.

    :param normalization: The statistics
    :param space: Space of the observations
    :raises UsageError: If the shapes differ
    """
    known = {key: own.mean.shape for key, own in normalization.statistics.items()}
    if normalization.shapes(space) != known:
        raise UsageError(
            f"The observations are {space}, but those that VecNormalize knew in the training of the distilled policy "
            f"have the shapes {known}. Wrap the environment so that they are equal; in a training put VecNormalize "
            "around all wrappers that change observations (VecFrameStack, VecTransposeImage)."
        )


def normalize_as_trained(venv: VecEnv, distilled_policy: BasePolicy) -> VecEnv:
    """
    Normalise the observations of a new task as those of π0's training, to act as π0 or to start from its weights; or
    those of a task as in its training, to act as its policy::

        new_tasks = normalize_as_trained(make_vec_env("CartPole-v1"), model.distilled_policy)
        evaluate_policy(model, new_tasks)

    Where each task of the training had statistics of its own, new ones get those of all together: a start, with which a
    task's own ``VecNormalize`` is left as it is.

    :param venv: Environments on plain observations, or tasks, not normalised
    :param distilled_policy: ``model.distilled_policy``, or ``model.task_policy(task)``
    :return: They in a ``VecNormalize`` with the statistics of the training, which stay as they are, and rewards as they
        are; ``venv`` itself where the training did not normalise
    :raises UsageError: If the observations are others, or normalised already
    """
    normalization = normalization_of(distilled_policy)
    if normalization is None:
        return venv
    if is_normalized_alike(venv, normalization):
        return venv
    check_shapes(normalization, venv.observation_space)
    keys = list(normalization.statistics) if isinstance(venv.observation_space, spaces.Dict) else None
    statistics = deepcopy(normalization.statistics)
    wrapped = VecNormalize(
        venv,
        training=False,
        norm_reward=False,
        clip_obs=normalization.clip,
        epsilon=normalization.epsilon,
        norm_obs_keys=keys,
    )
    wrapped.obs_rms = statistics if keys else statistics[OBSERVATION_KEY]  # type: ignore[assignment]
    return wrapped


def is_normalized_alike(venv: VecEnv, normalization: ObservationNormalization) -> bool:
    """
    Refuse to normalise observations twice.

    :param venv: Environments of a new task
    :param normalization: How those of the training were
    :return: Whether the task has statistics of its own, as each of the training had
    :raises UsageError: If the observations are normalised, and the tasks of the training had common statistics
    """
    is_normalized = current_normalization(venv) is not None
    if is_normalized and not normalization.is_pooled:
        raise UsageError(
            "The environments are in a VecNormalize that normalises observations, but the distilled policy brings the "
            "statistics of its training. Give the environments without it; another VecNormalize may go around the "
            "prior: VecNormalize(VecDistilledPriorReward(venv, distilled_policy))."
        )
    return is_normalized
