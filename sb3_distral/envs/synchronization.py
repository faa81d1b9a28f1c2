"""The statistics of ``VecNormalize`` in an evaluation are those of the training, also under ``EvalCallback``."""

from copy import deepcopy
from typing import Any

from stable_baselines3.common import callbacks
from stable_baselines3.common.vec_env import VecEnv, VecNormalize, sync_envs_normalization, unwrap_vec_normalize

from sb3_distral.envs.statistics import normalized_parts, parts_by_task, pooled
from sb3_distral.envs.task_id import OBSERVATION_KEY, has_task_key
from sb3_distral.errors import UsageError


def synchronize_statistics(training_env: VecEnv, eval_env: VecEnv, same_tasks: bool = True) -> None:
    """
    Copy statistics from ``VecNormalize`` around all tasks, and from that of each task to the task of the same name.

    Other tasks, and environments on plain observations, in which π0 acts, get those of all tasks: what
    ``VecNormalize`` around all knows, or what those of the tasks know together.

    :param training_env: Tasks of a training
    :param eval_env: Tasks of an evaluation, or an environment on plain observations
    :param same_tasks: Whether tasks of one name are the same
    :raises UsageError: If the environments of the evaluation are not wrapped as those of the training
    """
    if not has_task_key(eval_env.observation_space):
        _copy_to_plain(training_env, eval_env)
        return
    if unwrap_vec_normalize(training_env) is not None:
        copy_statistics(training_env, eval_env)
    trained, own = normalized_parts(training_env), parts_by_task(eval_env)
    for name in eval_env.task_names if trained else ():  # type: ignore[attr-defined]
        if same_tasks and name in trained:
            copy_statistics(parts_by_task(training_env)[name], own.get(name, eval_env.unwrapped))
        elif name in own and (layer := unwrap_vec_normalize(own[name])) is not None:
            _take(layer, pooled(list(trained.values())))


def copy_statistics(source: VecEnv, target: VecEnv) -> None:
    """
    Copy statistics from one environment to another.

    :param source: An environment in ``VecNormalize``
    :param target: One that has to be wrapped alike
    :raises UsageError: If it is not
    """
    try:
        sync_envs_normalization(source, target)
    except (AssertionError, AttributeError) as error:
        raise _not_alike(source, target) from error


def _copy_to_plain(training_env: VecEnv, eval_env: VecEnv) -> None:
    around_all, own = unwrap_vec_normalize(training_env), list(normalized_parts(training_env).values())
    if around_all is None and not own:
        return
    target = unwrap_vec_normalize(eval_env)
    if target is None:
        raise _not_alike(training_env, eval_env)
    _take(target, pooled(own) if around_all is None else around_all)


def _take(layer: VecNormalize, source: VecNormalize) -> None:
    known: Any = getattr(source, "obs_rms", None)
    # Of plain observations that are no Dict the tasks make one.
    if isinstance(known, dict) and not isinstance(getattr(layer, "obs_rms", None), dict):
        known = known.get(OBSERVATION_KEY)
    if known is not None and hasattr(layer, "obs_rms"):
        layer.obs_rms = deepcopy(known)
    layer.ret_rms = deepcopy(source.ret_rms)


def _not_alike(source: VecEnv, target: VecEnv) -> UsageError:
    return UsageError(
        f"The tasks of the training are normalised by VecNormalize ({source}), and those of the evaluation are not "
        f"wrapped alike ({target}). Wrap them in the same way, with VecNormalize(…, training=False)."
    )


def synchronize_any(env: VecEnv, eval_env: VecEnv) -> None:
    """
    Synchronise as Stable-Baselines3 does, also where the training is one of tasks.

    :param env: Environments of a training
    :param eval_env: Those of an evaluation
    """
    synchronize = synchronize_statistics if has_task_key(env.observation_space) else sync_envs_normalization
    synchronize(env, eval_env)


# EvalCallback has no argument for it.
callbacks.sync_envs_normalization = synchronize_any  # type: ignore[attr-defined]
