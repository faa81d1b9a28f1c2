"""α and β as users give them: numbers, schedules of the remaining progress, or one of these for each task."""

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, Literal, NamedTuple

import numpy as np
import torch as th
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.common.utils import ConstantSchedule, FloatSchedule

from sb3_distral.errors import UsageError
from sb3_distral.method import objective
from sb3_distral.method.controller import CostController, controller_of

Coefficient = float | Schedule
TaskCoefficient = Coefficient | Sequence[Coefficient] | Mapping[str, Coefficient]
#: β, or what sets the costs in the course of training
TaskBeta = TaskCoefficient | CostController | Literal["auto"]


class Costs(NamedTuple):
    """
    The costs of (1) at one moment of training, for each task, shape (n_tasks,).

    :param alpha: α, in [0, 1]
    :param kl: c_KL = α/β, in units of reward per nat
    :param entropy: c_Ent = (1 − α)/β, in units of reward per nat
    """

    alpha: th.Tensor
    kl: th.Tensor
    entropy: th.Tensor


class CostSchedule:
    """
    α and β of each task over the course of training.

    :param alpha: α, in [0, 1]: a number, a schedule of the remaining progress (from 1 to 0), or a list (by task) or
        dict (by task name) of these
    :param beta: β > 0, likewise; ``inf`` means no regularisation. ``"auto"`` or a controller: the β that costs begin
        with
    :param task_names: Names of the tasks
    :raises ValueError: If there is not one for each task, or α is a schedule and a controller was given
    """

    def __init__(self, alpha: TaskCoefficient, beta: TaskBeta, task_names: Sequence[str]):
        #: What sets the costs from the first roll-out on, ``None`` where schedules do
        self.controller = controller_of(beta)
        self.task_names = list(task_names)
        self.alphas = task_schedules("alpha", alpha, task_names)
        self.betas = task_schedules("beta", starting_beta(beta), task_names)
        given = [schedule.value_schedule for schedule in self.alphas + self.betas]
        self.is_constant = all(isinstance(schedule, ConstantSchedule) for schedule in given)
        if self.controller is not None and not self.is_constant:
            raise UsageError(
                "alpha holds a schedule, but beta a controller of the costs, which only begin as alpha says. Give a "
                "number, or one for each task."
            )

    def __call__(self, progress_remaining: float) -> Costs:
        """
        Evaluate the schedules.

        :param progress_remaining: From 1 (start) to 0 (end)
        :return: The costs at that moment
        :raises ValueError: If α is outside [0, 1] or β <= 0
        """
        alphas = [schedule(progress_remaining) for schedule in self.alphas]
        betas = [schedule(progress_remaining) for schedule in self.betas]
        for name, alpha, beta in zip(self.task_names, alphas, betas, strict=True):
            check_coefficients(f"task '{name}'", alpha, beta)
        pairs = list(zip(alphas, betas, strict=True))
        kl = [objective.kl_cost(alpha, beta) for alpha, beta in pairs]
        entropy = [objective.entropy_cost(alpha, beta) for alpha, beta in pairs]
        return Costs(th.tensor(alphas), th.tensor(kl), th.tensor(entropy))


def starting_beta(beta: TaskBeta) -> TaskCoefficient:
    """
    Give the β that a training begins with.

    :param beta: What the user gave
    :return: The β of a controller, anything else as it is
    """
    controller = controller_of(beta)
    return controller.beta if controller is not None else beta  # type: ignore[return-value]


def in_task_order(argument: str, value: Any, task_names: Sequence[str]) -> Any:
    """
    Bring what the user gave for single tasks into their order.

    :param argument: ``"alpha"`` or ``"beta"``
    :param value: What the user gave
    :param task_names: Names of the tasks
    :return: One for all tasks as it is, or a list with one for each
    :raises ValueError: If there is not one for each task
    """
    if isinstance(value, Mapping):
        if set(value) != set(task_names):
            raise UsageError(
                f"{argument} was given for the tasks {sorted(value)}, but the tasks are {sorted(task_names)}. "
                "Give one for each task, by its name."
            )
        return [value[name] for name in task_names]
    if isinstance(value, (Sequence, np.ndarray)) and not isinstance(value, str):
        if len(value) != len(task_names):
            raise UsageError(
                f"{argument} has {len(value)} entries, but there are {len(task_names)} tasks: {list(task_names)}. "
                "Give one number or schedule for all tasks, or one for each."
            )
        return list(value)
    return value


def task_schedules(argument: str, value: TaskCoefficient, task_names: Sequence[str]) -> list[FloatSchedule]:
    """
    Make a schedule for each task.

    :param argument: ``"alpha"`` or ``"beta"``
    :param value: What the user gave
    :param task_names: Names of the tasks
    :return: A schedule of the remaining progress for each task
    :raises ValueError: If there is not one for each task
    """
    ordered = in_task_order(argument, value, task_names)
    values = ordered if isinstance(ordered, list) else [ordered] * len(task_names)
    return [schedule(argument, single) for single in values]


def schedule(argument: str, value: Coefficient) -> FloatSchedule:
    """
    Make a schedule of a number or a function.

    :param argument: ``"alpha"`` or ``"beta"``
    :param value: A number or a schedule
    :return: A schedule of the remaining progress
    :raises ValueError: If it is neither
    """
    if isinstance(value, Real):
        return FloatSchedule(float(value))
    if not callable(value):
        raise UsageError(
            f"{argument} holds {value!r}; expected a number, or a function of the remaining progress (from 1 to 0)."
        )
    return FloatSchedule(value)


def check_coefficients(owner: str, alpha: float, beta: float) -> None:
    """
    Refuse coefficients that stand for no costs.

    :param owner: What they are for, such as "task 'maze-0'"
    :param alpha: Its α
    :param beta: Its β
    :raises ValueError: If α is outside [0, 1] or β <= 0
    """
    if not 0.0 <= alpha <= 1.0:
        raise UsageError(
            f"alpha={alpha} was given for {owner}, but α = c_KL / (c_KL + c_Ent) lies in [0, 1]: "
            "0 is entropy regularisation alone, 1 is divergence from the distilled policy alone."
        )
    if not beta > 0.0:
        raise UsageError(
            f"beta={beta} was given for {owner}, but β = 1 / (c_KL + c_Ent) is positive: "
            "larger is weaker regularisation, float('inf') is none."
        )
