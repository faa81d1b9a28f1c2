"""The weights of π0 as the start of another algorithm on a new task."""

from typing import Any

from sb3_distral.algorithms.base import DistralAlgorithm
from sb3_distral.errors import UsageError
from sb3_distral.networks.distributions import make_distribution
from sb3_distral.networks.view import check_blind


def distilled_parameters(model: DistralAlgorithm) -> dict[str, Any]:
    """
    Give the weights of π0 as a start for A2C or PPO on a new task::

        new = PPO("MlpPolicy", new_task)
        new.set_parameters(distilled_parameters(model), exact_match=False)
        new.learn(100_000)

    The networks have to be the same: the policy of that name and the ``policy_kwargs`` of the model, without
    ``state_dependent_std``. Those of a recurrent model fit sb3-contrib's ``RecurrentPPO``, whose ``policy_kwargs`` then
    hold ``shared_lstm=True``, ``enable_critic_lstm=False`` and ``net_arch=[]`` too. Where observations were normalised
    the new task is ``normalize_as_trained(new_task, model.distilled_policy)``.

    A π0 that sees a part of its observations (``distilled_view``) gives weights of 0 to the rest: the new network acts
    as it does, and may learn to use what π0 did not see.

    π0's value is learned from the tasks where they share one network or ``value_l2_coef`` is above 0; otherwise it is
    as it was initialised.

    :param model: A Distral algorithm with one distilled policy; of several, one begins by
        ``new.set_parameters({"policy": model.distilled_policies[0].state_dict()}, exact_match=False)``
    :return: A copy of the weights, for ``set_parameters(…, exact_match=False)``: the state of the optimizer is left out
    :raises UsageError: If Stable-Baselines3's policy of this architecture would act in another way
    """
    policy = model.distilled_policy
    if make_distribution(policy.action_space, getattr(policy, "state_dependent_std", False)) is not None:
        raise UsageError(
            f"The distilled policy has state_dependent_std or takes the actions {policy.action_space}, of which the "
            "first is not 0: Stable-Baselines3's policies know neither. Take it as a prior, by VecDistilledPriorReward."
        )
    check_blind(policy)
    return {"policy": {name: value.detach().clone() for name, value in policy.state_dict().items()}}
