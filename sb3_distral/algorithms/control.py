"""What follows the training beside the weights: costs under a controller, and the scales of returns."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch as th

from sb3_distral.algorithms.reward import RegularizedReward
from sb3_distral.algorithms.update import UpdatingAlgorithm
from sb3_distral.method.choices import TaskMask
from sb3_distral.method.controller import CostController, entropy_range
from sb3_distral.method.costs import Costs, CostSchedule, TaskBeta, TaskCoefficient
from sb3_distral.method.returns import ReturnScales


class ControllingAlgorithm(UpdatingAlgorithm):
    """
    An algorithm whose costs are those of α and β, or begin there and follow a :class:`CostController`.

    Costs are in units of the tasks' rewards, or, with ``normalize_returns``, of the spread of their returns.
    """

    env: RegularizedReward | None
    alpha: TaskCoefficient
    beta: TaskBeta
    costs: Costs
    task_masks: Any
    #: The costs of now where a controller sets them. They are saved with the model.
    controlled_costs: Costs | None
    normalize_returns: bool
    #: The scales of now where returns are normalised, saved likewise
    return_scales: ReturnScales | None
    _cost_schedule: CostSchedule
    #: Remaining progress at which the costs were last set
    _cost_progress: float

    @property
    def cost_controller(self) -> CostController | None:
        """What the costs follow; ``None`` where they are those of α and β."""
        return self._cost_schedule.controller

    @property
    def _controls_kl(self) -> bool:
        return self.cost_controller is not None and bool(self.costs.kl.any())

    def _costs_of_now(self) -> Costs:
        if self.cost_controller is None:
            return self._cost_schedule(self._cost_progress)
        if self.controlled_costs is None:
            self.controlled_costs = self._costs_at_start()
        return self.controlled_costs

    def _costs_at_start(self) -> Costs:
        assert self.cost_controller is not None
        return self.cost_controller.bounded(self._cost_schedule(1.0))

    def _control_costs(self) -> None:
        """Let the controller, if there is one, set the costs of the next roll-out by what the update has found."""
        controller = self.cost_controller
        if controller is None:
            return
        assert self.env is not None and self.controlled_costs is not None
        measured = {key: values.cpu() for key, values in self._measure_policies().items()}
        masks: list[TaskMask | None] = list(self.task_masks or [None] * self.n_tasks)
        self.controlled_costs = controller.step(
            self.controlled_costs,
            kl=measured.get("kl", th.zeros(self.n_tasks)),
            entropy=measured["entropy"],
            ranges=th.tensor([entropy_range(self.action_space, mask) for mask in masks]),
            progress_remaining=self._current_progress_remaining,
            n_steps=th.tensor(self.n_steps * np.bincount(self.env.tasks)),
        )
        self._update_costs()

    def _update_costs(self) -> None:
        raise NotImplementedError

    def _connect_return_scales(self, env: RegularizedReward) -> None:
        if not self.normalize_returns:
            self.return_scales = None
        elif self.return_scales is None:
            self.return_scales = ReturnScales(env.tasks, self.gamma)
        if self.return_scales is not None:
            # A load may have changed it.
            self.return_scales.gamma = self.gamma
        if self.return_scales is not None and not np.array_equal(self.return_scales.tasks, env.tasks):
            self.return_scales.restart(env.tasks)
        env.return_scales = self.return_scales

    def _keep_followed(self, kept: Sequence[int], rows: np.ndarray, tasks: np.ndarray) -> None:
        """
        Let the state follow tasks that come and go; new ones begin as those of a new model do.

        :param kept: Indices of those that stay, which come first then
        :param rows: Their sub-environments, which come first likewise
        :param tasks: Task of each sub-environment then; the schedule of costs is made for them already
        """
        if self.controlled_costs is not None:
            first = self._costs_at_start()
            own = [
                th.cat([now[list(kept)], new[len(kept) :]])
                for now, new in zip(self.controlled_costs, first, strict=True)
            ]
            self.controlled_costs = Costs(*own)
        if self.return_scales is not None:
            self.return_scales.keep(kept, rows, tasks)

    def _log_costs(self) -> None:
        if self.return_scales is not None:
            self._record_by_task("return_scale", th.from_numpy(self.return_scales.scales))
        if self.cost_controller is not None or not self._cost_schedule.is_constant:
            self._record_by_task("kl_cost", self.costs.kl)
            self._record_by_task("entropy_cost", self.costs.entropy)
