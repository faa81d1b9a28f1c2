"""How observations were normalised while a policy was trained, which is a part of what it is."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecEnv, VecNormalize, unwrap_vec_normalize

from sb3_distral.envs.task_id import OBSERVATION_KEY
from sb3_distral.errors import UsageError


class ObservationNormalization(NamedTuple):
    """
    What ``VecNormalize`` does to plain observations, by statistics that stay as they are.

    :param statistics: Mean and variance of each normalised key, the only one being ``obs`` where the plain observation
        is no Dict
    :param clip: Largest absolute value of a normalised observation
    :param epsilon: What is added to variances
    """

    statistics: dict[str, RunningMeanStd]
    clip: float
    epsilon: float

    def normalize(self, observation: Any) -> Any:
        """
        Normalise as in the training.

        :param observation: Plain observation, single or batched
        :return: The observation as π0 saw it
        """
        if isinstance(observation, Mapping):
            return {**observation, **{key: self._normalize(key, observation[key]) for key in self.statistics}}
        return self._normalize(OBSERVATION_KEY, observation)

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
    :return: The normalisation; ``None`` where there is none, or each task has its own
    """
    layer = unwrap_vec_normalize(venv)
    if layer is None or not layer.norm_obs:
        return None
    statistics = layer.obs_rms if isinstance(layer.obs_rms, dict) else {OBSERVATION_KEY: layer.obs_rms}
    return ObservationNormalization(deepcopy(statistics), layer.clip_obs, layer.epsilon) if statistics else None


def normalization_of(policy: BasePolicy) -> ObservationNormalization | None:
    """
    Give the normalisation that a policy carries.

    :param policy: ``model.distilled_policy``
    :return: The normalisation; ``None`` where it was trained on observations as they are
    :raises UsageError: If it is of observations in another form than those that the policy sees
    """
    normalization: ObservationNormalization | None = getattr(policy, "observation_normalization", None)
    if normalization is not None:
        check_shapes(normalization, policy.observation_space)
    return normalization


def normalization_to_json(policy: BasePolicy) -> dict[str, Any] | None:
    """
    Describe the normalisation that a policy carries.

    :param policy: A policy
    :return: What ``json.dumps`` takes; ``None`` where there is none
    """
    normalization: ObservationNormalization | None = getattr(policy, "observation_normalization", None)
    if normalization is None:
        return None
    statistics = {key: [own.mean.tolist(), own.var.tolist()] for key, own in normalization.statistics.items()}
    return {"statistics": statistics, "clip": normalization.clip, "epsilon": normalization.epsilon}


def normalization_from_json(described: Mapping[str, Any]) -> ObservationNormalization:
    """
    Make the normalisation that :func:`normalization_to_json` has described.

    :param described: The description
    :return: The normalisation
    """
    statistics = {}
    for key, (mean, variance) in described["statistics"].items():
        statistics[key] = own = RunningMeanStd(shape=np.shape(mean))
        own.mean, own.var = np.array(mean, dtype=np.float64), np.array(variance, dtype=np.float64)
    return ObservationNormalization(statistics, float(described["clip"]), float(described["epsilon"]))


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
    Normalise the observations of a new task as those of π0's training, to act as π0 or to start from its weights::

        new_tasks = normalize_as_trained(make_vec_env("CartPole-v1"), model.distilled_policy)
        evaluate_policy(model, new_tasks)

    :param venv: Environments on plain observations, not normalised
    :param distilled_policy: ``model.distilled_policy``
    :return: They in a ``VecNormalize`` with the statistics of the training, which stay as they are, and rewards as they
        are; ``venv`` itself where the training did not normalise
    :raises UsageError: If the observations are others, or normalised already
    """
    normalization = normalization_of(distilled_policy)
    if normalization is None:
        return venv
    check_not_normalized(venv)
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


def check_not_normalized(venv: VecEnv) -> None:
    """
    Refuse to normalise observations twice.

    :param venv: Environments of a new task
    :raises UsageError: If their observations are normalised
    """
    if current_normalization(venv) is not None:
        raise UsageError(
            "The environments are in a VecNormalize that normalises observations, but the distilled policy brings the "
            "statistics of its training. Give the environments without it; another VecNormalize may go around the "
            "prior: VecNormalize(VecDistilledPriorReward(venv, distilled_policy))."
        )
