"""What the columns of all policies say about a batch."""

from contextlib import nullcontext
from typing import Any

import torch as th
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.type_aliases import PyTorchObs

from sb3_distral.envs.task_id import names_task, plain_observation
from sb3_distral.errors import UsageError
from sb3_distral.networks.heads import evaluate_actor, evaluate_column
from sb3_distral.policies.columns import PolicyColumns
from sb3_distral.policies.evaluation import Evaluation, Prior


class JointPolicy(PolicyColumns):
    """
    The columns of π0 and of the policies πi of n tasks, evaluated together on observations that name the task.

    Arguments are those of :class:`~sb3_distral.policies.columns.PolicyColumns`.
    """

    def split(self, obs: dict[str, th.Tensor]) -> tuple[PyTorchObs, th.Tensor]:
        """
        Take the task out of observations.

        :param obs: A batch of observations with a task
        :return: Plain observations, and the task of each row, shape (batch,)
        :raises UsageError: If they have none
        """
        if not names_task(obs, self.task_keys):
            raise UsageError(
                "Observations without a task were given to a policy of several tasks. Give a dict with the key "
                f"'{self.task_keys.task}' (beside 'obs', or the keys of Dict observations), or take "
                "model.distilled_policy or model.task_policy(…), which act on plain ones."
            )
        return plain_observation(obs), obs[self.task_keys.task].long().flatten()

    def mask(self, obs: dict[str, th.Tensor]) -> th.Tensor | None:
        """
        Take the mask of actions out of observations.

        :param obs: A batch of observations with a task
        :return: Whether each choice is valid, shape (batch, n_parameters); ``None`` where there is no mask
        """
        if self._predict_mask is not None:
            return self._predict_mask
        if self.task_masks is None or self.task_keys.mask in obs:
            return obs.get(self.task_keys.mask)
        tasks = obs[self.task_keys.task].long().flatten()
        return th.tensor([mask.valid for mask in self.task_masks], device=tasks.device)[tasks]

    def evaluate(
        self,
        obs: dict[str, th.Tensor],
        memory: Any = None,
        *,
        distilled: bool = False,
        distilled_values: bool = False,
        distilled_gradient: bool = True,
        former: bool = False,
    ) -> Evaluation:
        """
        Evaluate the policy of each row's task, and π0 where it is asked for or a part of the task policies.

        :param obs: A batch of observations with a task
        :param memory: What recurrent columns remember; these have none
        :param distilled: Whether π0 is wanted although the task policies do not contain it
        :param distilled_values: Whether V0 is wanted too
        :param distilled_gradient: Whether gradients reach π0
        :param former: Whether the π0 before the tasks changed is wanted, where there is one
        :return: Policies and values
        """
        plain, tasks = self.split(obs)
        mask = self.mask(obs)
        former_parameters = self._evaluate_former(plain, memory, mask) if former else None
        if self.task_columns is None:
            parameters, values = self.evaluate_distilled(plain, memory, mask)
            return Evaluation(tasks, parameters, parameters, values, former_parameters=former_parameters)
        outputs, values = self._evaluate_task_columns(plain, tasks, memory)
        prior = Prior()
        if distilled or distilled_values or self.architecture == "two_columns":
            with nullcontext() if distilled_gradient else th.no_grad():
                prior = self._evaluate_prior(plain, tasks, memory, mask, distilled_values)
        if self.architecture == "one_column":
            parameters = self.family.canonical(outputs)
        else:
            assert prior.parameters is not None
            parameters = self.family.combine(prior.parameters, outputs, self.distilled_weights[tasks].unsqueeze(1))
        return Evaluation(
            tasks,
            self._restrict(parameters, mask),
            prior.parameters,
            values,
            prior.values,
            prior.log_normalizer,
            prior.components,
            former_parameters,
        )

    def _evaluate_prior(
        self, plain: PyTorchObs, tasks: th.Tensor, memory: Any, mask: th.Tensor | None, with_values: bool
    ) -> Prior:
        if self.bank is not None:
            return self.bank.evaluate(plain, tasks, mask)
        if with_values:
            return Prior(*self.evaluate_distilled(plain, memory, mask))
        return Prior(self._evaluate_distilled_actor(plain, memory, mask))

    def evaluate_distilled(
        self, plain: PyTorchObs, memory: Any = None, mask: th.Tensor | None = None
    ) -> tuple[th.Tensor, th.Tensor]:
        """
        Evaluate π0 and its value.

        :param plain: A batch of plain observations
        :param memory: What recurrent columns remember
        :param mask: Whether each choice is valid, shape (batch, n_parameters); ``None``: all are
        :return: Parameters of π0(·|s), shape (batch, n_parameters), and V0(s), shape (batch, 1)
        """
        outputs, values = self._run_distilled(plain, memory)
        return self._restrict(self.family.canonical(outputs), mask), values

    def _evaluate_distilled_actor(self, plain: PyTorchObs, memory: Any, mask: th.Tensor | None) -> th.Tensor:
        outputs = evaluate_actor(self.distilled_policy, plain)
        return self._restrict(self.family.canonical(outputs), mask)

    def _evaluate_former(self, plain: PyTorchObs, memory: Any, mask: th.Tensor | None) -> th.Tensor | None:
        if self.former_distilled_policy is None:
            return None
        with th.no_grad():
            outputs = self._run_former(self.former_distilled_policy, plain, memory)
            return self._restrict(self.family.canonical(outputs), mask)

    def _run_former(self, former: ActorCriticPolicy, plain: PyTorchObs, memory: Any) -> th.Tensor:
        return evaluate_actor(former, plain)

    def _run_distilled(self, plain: PyTorchObs, memory: Any) -> tuple[th.Tensor, th.Tensor]:
        return evaluate_column(self.distilled_policy, plain)

    def _evaluate_task_columns(self, plain: Any, tasks: th.Tensor, memory: Any) -> tuple[th.Tensor, th.Tensor]:
        assert self.task_columns is not None
        outputs, values = self.task_columns(plain, tasks)
        return outputs, values

    def _restrict(self, parameters: th.Tensor, mask: th.Tensor | None) -> th.Tensor:
        return parameters if mask is None else self.family.restrict(parameters, mask)
