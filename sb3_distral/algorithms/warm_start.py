"""The weights of π0 as the start of another algorithm on a new task."""

import math
from typing import Any

import torch as th

from sb3_distral.algorithms.acting import ActingModel
from sb3_distral.errors import UsageError
from sb3_distral.networks.distributions import make_distribution
from sb3_distral.networks.view import check_blind


def distilled_parameters(model: ActingModel, temperature: float = 1.0) -> dict[str, Any]:
    """
    Give the weights of π0 as a start for A2C or PPO on a new task::

        new = PPO("MlpPolicy", new_task)
        new.set_parameters(distilled_parameters(model), exact_match=False)
        new.learn(100_000)

    The networks have to be the same: the policy of that name and the ``policy_kwargs`` of the model, without
    ``state_dependent_std``. One of them leaves no trace in weights, so that nothing could refuse another:
    ``share_features_extractor``. Those of a recurrent model fit sb3-contrib's ``RecurrentPPO``, whose ``policy_kwargs``
    then hold ``shared_lstm=True``, ``enable_critic_lstm=False`` and ``net_arch=[]`` too. Where observations were
    normalised the new task is ``normalize_as_trained(new_task, model.distilled_policy)``.

    A π0 that sees a part of its observations (``distilled_view``) gives weights of 0 to the rest: the new network acts
    as it does, and may learn to use what π0 did not see.

    A π0 that is certain of its actions explores little, and where they are of no use on the new task it is slower than
    no start at all. ``temperature`` makes it less certain: the new network begins as π0^(1/T), normalised.

    π0's value is learned from the tasks where they share one network or ``value_l2_coef`` is above 0; otherwise it is
    as it was initialised.

    :param model: A Distral algorithm, or what ``load_policy`` gives of one, with one distilled policy; of several, one
        begins by ``new.set_parameters({"policy": model.distilled_policies[0].state_dict()}, exact_match=False)``
    :param temperature: T > 0; 1 is π0 itself, above it actions are more alike
    :return: A copy of the weights, for ``set_parameters(…, exact_match=False)``: the state of the optimizer is left out
    :raises UsageError: If Stable-Baselines3's policy of this architecture would act in another way, or the temperature
        is not a positive number
    """
    policy = model.distilled_policy
    if make_distribution(policy.action_space, getattr(policy, "state_dependent_std", False)) is not None:
        raise UsageError(
            f"The distilled policy has state_dependent_std or takes the actions {policy.action_space}, of which the "
            "first is not 0: Stable-Baselines3's policies know neither. Take it as a prior, by VecDistilledPriorReward."
        )
    check_blind(policy)
    if not 0 < temperature < math.inf:
        raise UsageError(f"temperature={temperature} was given, expected a number above 0; 1 is π0 as it is.")
    weights = {name: value.detach().clone() for name, value in policy.state_dict().items()}
    _temper(weights, temperature)
    return {"policy": weights}


def _temper(weights: dict[str, th.Tensor], temperature: float) -> None:
    """Logits and log-odds are divided by T; a normal density to the power of 1/T keeps its mean, and has T σ²."""
    if "log_std" in weights:
        weights["log_std"] += math.log(temperature) / 2
    else:
        weights["action_net.weight"] /= temperature
        weights["action_net.bias"] /= temperature
