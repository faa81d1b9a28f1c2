"""Numbers of single tasks in Stable-Baselines3's logs."""

from stable_baselines3.common.logger import Logger


def record_of_task(logger: Logger, section: str, task_name: str, key: str, value: float) -> None:
    """
    Log a number of one task as ``<section>/<task>/<key>``.

    :param logger: Stable-Baselines3's logger
    :param section: ``"rollout"``, ``"distral"`` or the name of an evaluation
    :param task_name: Name of the task
    :param key: What the number is
    :param value: The number
    """
    # The printed table cuts keys off at 36 characters and fails where two become equal; files keep them whole.
    is_long = len(f"   {task_name}/{key}") > 36
    logger.record(f"{section}/{task_name}/{key}", value, exclude="stdout" if is_long else None)
