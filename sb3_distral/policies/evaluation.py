"""What a policy of several tasks tells about a batch."""

from typing import Literal, NamedTuple

import torch as th

Architecture = Literal["shared", "one_column", "two_columns"]


class Evaluation(NamedTuple):
    """
    Policies and values on a batch of observations.

    :param tasks: Task of each row, shape (batch,)
    :param task_parameters: Parameters of πi(·|s), shape (batch, n_parameters)
    :param distilled_parameters: Parameters of π0(·|s), shape (batch, n_parameters), ``None`` where nothing needs them;
        with several distilled policies their pool π̄i(·|s), see :mod:`sb3_distral.method.mixture`
    :param values: Vi(s), shape (batch, 1)
    :param distilled_values: V0(s), shape (batch, 1), ``None`` where nothing needs them
    :param log_normalizer: log Zi(s) of the pool, shape (batch,), ``None`` where there is one distilled policy
    :param components: Parameters of the distilled policies, shape (k, batch, n_parameters), likewise
    :param former_parameters: Parameters of the π0 before the tasks changed, shape (batch, n_parameters), ``None`` where
        nothing needs them
    """

    tasks: th.Tensor
    task_parameters: th.Tensor
    distilled_parameters: th.Tensor | None
    values: th.Tensor
    distilled_values: th.Tensor | None = None
    log_normalizer: th.Tensor | None = None
    components: th.Tensor | None = None
    former_parameters: th.Tensor | None = None


class Prior(NamedTuple):
    """
    What the distilled side of a policy says about a batch.

    :param parameters: As ``distilled_parameters`` of :class:`Evaluation`
    :param values: As ``distilled_values`` of :class:`Evaluation`
    :param log_normalizer: As in :class:`Evaluation`
    :param components: As in :class:`Evaluation`
    """

    parameters: th.Tensor | None = None
    values: th.Tensor | None = None
    log_normalizer: th.Tensor | None = None
    components: th.Tensor | None = None


class ActionStep(NamedTuple):
    r"""
    What the forward pass that chose the actions says about them.

    :param actions: Actions taken, shape (batch, \*action_space.shape)
    :param task_log_prob: log πi(a|s), shape (batch,)
    :param distilled_log_prob: log π0(a|s), shape (batch,), ``None`` where nothing needs it; with several distilled
        policies Σz q_iz log π0^z(a|s)
    """

    actions: th.Tensor
    task_log_prob: th.Tensor
    distilled_log_prob: th.Tensor | None
