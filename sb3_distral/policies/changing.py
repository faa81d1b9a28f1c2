"""Tasks that come to a policy, or leave it."""

from collections.abc import Sequence

import torch as th
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy

from sb3_distral.networks.rearranging import move_state, rearrange
from sb3_distral.networks.view import check_blind
from sb3_distral.policies.feedforward import DistralPolicy


def check_new_tasks(policy: DistralPolicy) -> None:
    """
    Refuse new tasks of which no column could begin as π0.

    :param policy: The policy
    :raises UsageError: If its one column would see what π0 does not
    """
    if policy.architecture == "one_column":
        check_blind(policy.distilled_policy)


def change_tasks(
    policy: DistralPolicy,
    observation_space: spaces.Dict,
    action_space: spaces.Space[object],
    kept: Sequence[int],
    n_new: int,
) -> None:
    """
    Let tasks leave a policy and others come to it.

    Columns of tasks that stay are the same bit for bit, and so is what the optimizer knows of them, and with several
    distilled policies their responsibilities. New ones begin with the distilled policy, as in
    :meth:`DistralPolicy.start_from`, or between all of them alike. Weights of π0 and masks are the algorithm's to set.

    :param policy: The policy
    :param observation_space: Space of observations with the new tasks
    :param action_space: Action space, equal but for bounds
    :param kept: Indices of the tasks that stay, which are the first ones then
    :param n_new: Number of those that come
    """
    policy.observation_space, policy.action_space = observation_space, action_space
    policy.n_tasks = len(kept) + n_new
    initial_weight = 0.0 if policy.distilled_weight is None else policy.distilled_weight
    policy.distilled_weights = th.cat(
        [policy.distilled_weights[list(kept)], policy.distilled_weights.new_full((n_new,), initial_weight)]
    )
    policy.last_step = None
    if policy.bank is not None:
        policy.bank.change_tasks(kept, n_new)
    if policy.task_columns is None:
        return
    before, former = policy.task_columns, policy.optimizer
    # Initial weights are overwritten at once: drawing them must not move the generators of a training.
    with th.random.fork_rng():

        def make_column() -> ActorCriticPolicy:
            return policy._make_column(policy._dummy_schedule)

        # Silent columns, but one column is that of the one distilled policy.
        new = [policy.column_like(policy.copy_distilled()[0])] * n_new
        policy.task_columns = after = rearrange(before, kept, new, make_column).to(policy.device)
        policy.optimizer = policy.make_optimizer(former.param_groups[0]["lr"])
        state = dict(former.state)
        moved = move_state(state, before, after, kept, make_column)
    options = {name: value for name, value in former.param_groups[0].items() if name != "params"}
    policy.optimizer.param_groups[0].update(options)
    for parameter in policy.distilled_columns.parameters():
        if parameter in state:
            policy.optimizer.state[parameter] = state[parameter]
    policy.optimizer.state.update(moved)
