"""The statistics of every ``VecNormalize`` of a training, around all tasks or around single ones."""

from copy import deepcopy
from typing import Any

import numpy as np
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecEnv, VecNormalize, unwrap_vec_normalize

from sb3_distral.envs.concat_vec_env import ConcatVecEnv
from sb3_distral.envs.state import layers_of


def parts_by_task(env: VecEnv) -> dict[str, VecEnv]:
    """
    Find the environments that stand side by side, one for each task.

    :param env: Tasks
    :return: The environments by name of the task; none where the tasks are one environment
    """
    inner = env.unwrapped
    if not isinstance(inner, ConcatVecEnv):
        return {}
    tasks, names = env.tasks, env.task_names  # type: ignore[attr-defined]
    return {names[tasks[start]]: part for part, start in zip(inner.venvs, inner.offsets, strict=False)}


def normalized_parts(env: VecEnv) -> dict[str, VecNormalize]:
    """
    Find the ``VecNormalize`` of single tasks.

    :param env: Tasks
    :return: The outermost of each task that has one, by name of the task
    """
    found = {name: unwrap_vec_normalize(part) for name, part in parts_by_task(env).items()}
    return {name: layer for name, layer in found.items() if layer is not None}


def normalizing_layers(env: VecEnv) -> list[VecNormalize]:
    """
    Find every ``VecNormalize``, around all tasks and around single ones.

    :param env: An environment
    :return: The layers, from the outside in
    """
    layers = layers_of(env)
    parts = layers[-1].venvs if isinstance(layers[-1], ConcatVecEnv) else []
    own = [layer for layer in layers if isinstance(layer, VecNormalize)]
    return own + [layer for part in parts for layer in normalizing_layers(part)]


def observation_statistics(layer: VecNormalize) -> dict[str, RunningMeanStd]:
    """
    List what a layer knows of observations.

    :param layer: The layer
    :return: Statistics of each normalised key, the only one being empty where observations are no Dict
    """
    known: Any = getattr(layer, "obs_rms", {})
    return known if isinstance(known, dict) else {"": known}


def are_finite(env: VecEnv) -> bool:
    """
    Look for statistics that are NaN or infinite.

    :param env: An environment
    :return: Whether there are none
    """
    layers = normalizing_layers(env)
    known = [own for layer in layers for own in (*observation_statistics(layer).values(), layer.ret_rms)]
    return all(bool(np.isfinite(own.mean).all() and np.isfinite(own.var).all()) for own in known)


def pooled(layers: list[VecNormalize]) -> VecNormalize:
    """
    Pool what the layers of several tasks know, as if one had seen the observations and returns of all.

    :param layers: ``VecNormalize`` of tasks, of the same keys
    :return: A copy that wraps nothing
    """
    copy = VecNormalize.__new__(VecNormalize)
    copy.__setstate__(deepcopy(layers[0].__getstate__()))
    copy.class_attributes, copy.returns = {}, np.zeros(0)  # which its method save leaves out
    own = observation_statistics(copy)
    for other in layers[1:]:
        copy.ret_rms.combine(other.ret_rms)
        for key, statistics in observation_statistics(other).items():
            if key in own:
                own[key].combine(statistics)
    return copy
