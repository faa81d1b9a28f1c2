"""The statistics of ``VecNormalize`` in an evaluation are those of the training."""

from stable_baselines3.common.vec_env import VecEnv, sync_envs_normalization, unwrap_vec_normalize

from sb3_distral.envs.concat_vec_env import ConcatVecEnv
from sb3_distral.errors import UsageError


def synchronize_statistics(training_env: VecEnv, eval_env: VecEnv, same_tasks: bool = True) -> None:
    """
    Copy statistics from ``VecNormalize`` around all tasks, and from that of each task to the task of the same name.

    :param training_env: Tasks of a training
    :param eval_env: Tasks of an evaluation
    :param same_tasks: Whether tasks of one name are the same; else those of the evaluation keep statistics of their own
    :raises UsageError: If the tasks of the evaluation are not wrapped as those of the training
    """
    pairs = [(training_env, eval_env)]
    if same_tasks:
        own, names = parts_by_task(eval_env), eval_env.task_names  # type: ignore[attr-defined]
        trained = parts_by_task(training_env)
        pairs += [(part, own.get(name, eval_env.unwrapped)) for name, part in trained.items() if name in names]
    for source, target in pairs:
        if unwrap_vec_normalize(source) is not None:
            copy_statistics(source, target)


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
        raise UsageError(
            f"The tasks of the training are normalised by VecNormalize ({source}), and those of the evaluation are not "
            f"wrapped alike ({target}). Wrap them in the same way, with VecNormalize(…, training=False)."
        ) from error


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
