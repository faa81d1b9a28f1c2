"""How the columns of a policy begin with the weights of another."""

import torch as th
from stable_baselines3.common.policies import ActorCriticPolicy

from sb3_distral.errors import UsageError


def check_same_networks(given: ActorCriticPolicy, own: ActorCriticPolicy) -> None:
    """
    Refuse a network that cannot take the place of another.

    :param given: A column of another model
    :param own: A column of this one
    :raises UsageError: If parameters have other names or shapes, or features are shared in one of them alone
    """
    if given.share_features_extractor != own.share_features_extractor:
        # Names and shapes are the same: where features are shared, they are there under both names.
        raise UsageError(
            f"The distilled_policy has share_features_extractor={given.share_features_extractor}, the columns of this "
            f"model {own.share_features_extractor}, so that it would act otherwise here. Give "
            f"policy_kwargs=dict(share_features_extractor={given.share_features_extractor}), or none."
        )
    shapes, own_shapes = ({key: tuple(p.shape) for key, p in net.state_dict().items()} for net in (given, own))
    if shapes != own_shapes:
        differing = sorted(dict(set(shapes.items()) ^ set(own_shapes.items())))
        raise UsageError(
            f"The distilled_policy and the columns of this model differ in {differing}. Give the policy and "
            "policy_kwargs of the model that the distilled policy comes from, or none."
        )


def silence(column: ActorCriticPolicy, outputs: th.Tensor) -> None:
    """
    Let a network put out the same whatever it sees.

    :param column: The network; its features are kept
    :param outputs: What it shall put out, shape (n_parameters,)
    """
    with th.no_grad():
        n_outputs = len(column.action_net.bias)  # type: ignore[arg-type]
        column.action_net.weight.zero_()  # type: ignore[operator]
        column.action_net.bias.copy_(outputs[:n_outputs])  # type: ignore[operator]
        if n_outputs < len(outputs):
            column.log_std.copy_(outputs[n_outputs:])
