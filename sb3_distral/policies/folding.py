"""The policy of a task as one plain network of Stable-Baselines3: its columns side by side."""

from collections.abc import Sequence
from typing import Any

import torch as th
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy, MultiInputActorCriticPolicy
from stable_baselines3.common.torch_layers import CombinedExtractor, FlattenExtractor, MlpExtractor
from torch import nn

from sb3_distral.errors import UsageError
from sb3_distral.method.choices import TaskMask
from sb3_distral.networks.heads import Column, MultiInputColumn
from sb3_distral.networks.lstm import LstmColumn
from sb3_distral.networks.view import Blinkers, hidden_features
from sb3_distral.policies.task_policy import MixtureTaskPolicy, TaskPolicy

Weighted = tuple[ActorCriticPolicy, float]


def fold(policy: BasePolicy) -> ActorCriticPolicy:
    """
    Make one plain network of a task's policy, which acts and values states as it does.

    Parameters of πi are sums of those of its columns, which a layer behind the features of all of them takes. Layers
    before it hold those of each column beside each other, and zeros between them. In a normal distribution whose
    standard deviations are free parameters the mean is a sum with weights that do not depend on the state.

    :param policy: Policy of a task, as ``model.task_policy(…)`` gives it
    :return: A policy of Stable-Baselines3's own class
    :raises UsageError: If there is no such network
    """
    columns = weighted_columns(policy)
    own = columns[-1][0]
    check_foldable(policy, [column for column, _ in columns])
    with th.random.fork_rng():  # initial weights are overwritten at once
        folded = make_plain(own, len(columns))
    if isinstance(own.action_space, spaces.Box):
        weights, log_std = normal_weights(columns)
        folded.log_std.data.copy_(log_std)
    else:
        weights = [th.tensor([weight], device=policy.device) for _, weight in columns]
    with th.no_grad():
        write_actor(folded, [column for column, _ in columns], weights)
        if policy.task_mask is not None:
            write_mask(folded.action_net, policy.task_mask)  # type: ignore[arg-type]
    folded.mlp_extractor.value_net.load_state_dict(own.mlp_extractor.value_net.state_dict())
    folded.value_net.load_state_dict(own.value_net.state_dict())
    return folded


def weighted_columns(policy: BasePolicy) -> list[Weighted]:
    """
    List what a policy is the product of.

    :param policy: Policy of a task
    :return: Its columns, that of the task last, and the exponent of each
    """
    if isinstance(policy, MixtureTaskPolicy):
        shares = zip(policy.components, policy.responsibilities, strict=True)
        columns: list[Any] = [(column, policy.distilled_weight * share) for column, share in shares]
        return [*columns, (policy.task_column, 1.0)]
    if isinstance(policy, TaskPolicy):
        return [(policy.distilled_policy, policy.distilled_weight), (policy.task_column, 1.0)]
    assert isinstance(policy, ActorCriticPolicy)
    return [(policy, 1.0)]


def check_foldable(policy: BasePolicy, columns: Sequence[ActorCriticPolicy]) -> None:
    """
    Refuse a policy that no plain network equals.

    :param policy: Policy of a task
    :param columns: Its columns
    :raises UsageError: If it is such
    """
    column, space = columns[0], policy.action_space
    reason = None
    if isinstance(column, LstmColumn):
        reason = "it has LSTMs, which Stable-Baselines3's policies have not"
    elif has_parameters(column):
        reason = (
            f"its features extractors ({type(column.features_extractor).__name__}) learn, one for each column, and a "
            "plain policy has one"
        )
    elif type(column) not in (Column, MultiInputColumn) or not is_plain(column):
        reason = f"its columns ({type(column).__name__}) or their parts are not those of Stable-Baselines3"
    elif column.state_dependent_std:
        reason = "its standard deviations depend on the state, and those of a plain policy do not"
    elif isinstance(space, (spaces.Discrete, spaces.MultiDiscrete)) and th.as_tensor(space.start).any():
        reason = f"the first action of {space} is not 0, where Stable-Baselines3 begins"
    if reason is not None:
        raise UsageError(
            f"The policy of the task cannot become a plain one of Stable-Baselines3: {reason}. Use it as it is, "
            "save_policy and load_policy of this package store it."
        )


def is_plain(column: ActorCriticPolicy) -> bool:
    """
    Tell whether a column is made of the parts that Stable-Baselines3 chooses by itself.

    :param column: A column
    :return: Whether it is
    """
    plain_features = type(column.features_extractor) in (FlattenExtractor, CombinedExtractor)
    return plain_features and type(column.mlp_extractor) is MlpExtractor


def has_parameters(column: ActorCriticPolicy) -> bool:
    """
    Tell whether a column learns its features.

    :param column: A column
    :return: Whether its features extractor has parameters
    """
    return any(True for _ in column.features_extractor.parameters())


def make_plain(column: ActorCriticPolicy, n_columns: int) -> ActorCriticPolicy:
    """
    Make a plain policy with room for the actors of several columns.

    :param column: The column whose value it has
    :param n_columns: Number of columns
    :return: The policy, with weights that mean nothing yet
    """
    extractor = column.mlp_extractor
    widths = {
        "pi": [n_columns * width for width in widths_of(extractor.policy_net)],
        "vf": widths_of(extractor.value_net),
    }
    is_dict = isinstance(column.observation_space, spaces.Dict)
    return (MultiInputActorCriticPolicy if is_dict else ActorCriticPolicy)(
        column.observation_space,  # type: ignore[arg-type]
        column.action_space,
        column._dummy_schedule,
        net_arch=widths,
        activation_fn=column.activation_fn,
        normalize_images=column.normalize_images,
    )


def widths_of(network: nn.Module) -> list[int]:
    """
    List the sizes of hidden layers.

    :param network: Linear layers and what is between them
    :return: Units of each
    """
    return [layer.out_features for layer in linear_layers(network)]


def linear_layers(network: nn.Module) -> list[nn.Linear]:
    """
    List the layers that have weights.

    :param network: Linear layers and what is between them
    :return: The layers
    """
    return [layer for layer in network.modules() if isinstance(layer, nn.Linear)]


def normal_weights(columns: Sequence[Weighted]) -> tuple[list[th.Tensor], th.Tensor]:
    """
    Weigh the means of normal distributions by their precisions.

    :param columns: Columns and the exponent of each
    :return: Weight of each column's means, shape (n_dimensions,), and the logarithm of the standard deviation of all
    """
    precisions = [weight * (-2.0 * column.log_std.detach()).exp() for column, weight in columns]
    total = th.stack(precisions).sum(dim=0)
    return [own / total for own in precisions], -0.5 * total.log()


def write_actor(folded: ActorCriticPolicy, columns: Sequence[ActorCriticPolicy], weights: Sequence[th.Tensor]) -> None:
    """
    Write the actors of columns beside each other.

    :param folded: The plain policy
    :param columns: The columns
    :param weights: Weight of each one's outputs, shape (n_outputs,) or (1,)
    """
    layers = [linear_layers(column.mlp_extractor.policy_net) for column in columns]
    for depth, layer in enumerate(linear_layers(folded.mlp_extractor.policy_net)):
        parts = [own[depth] for own in layers]
        seen = [visible(column) if depth == 0 else th.tensor(1.0) for column in columns]
        blocks = [part.weight * mask for part, mask in zip(parts, seen, strict=True)]
        layer.weight.copy_(th.cat(blocks) if depth == 0 else th.block_diag(*blocks))  # type: ignore[no-untyped-call]
        layer.bias.copy_(th.cat([part.bias for part in parts]))
    read_outs: list[Any] = [column.action_net for column in columns]
    weighted = [weight.unsqueeze(1) * own.weight for own, weight in zip(read_outs, weights, strict=True)]
    if not layers[0]:  # all read the features themselves
        masked = [own * visible(column) for own, column in zip(weighted, columns, strict=True)]
        weighted = [th.stack(masked).sum(dim=0)]
    biases = [weight * own.bias for own, weight in zip(read_outs, weights, strict=True)]
    own_read_out: Any = folded.action_net
    own_read_out.weight.copy_(th.cat(weighted, dim=1))
    own_read_out.bias.copy_(th.stack(biases).sum(dim=0))


def visible(column: ActorCriticPolicy) -> th.Tensor:
    """
    Tell which features a column may see.

    :param column: A column
    :return: 1 or 0 for each feature, shape (n_features,), or 1 for all
    """
    view = getattr(column, "view", None)
    hidden = None if view is None else hidden_features(column, Blinkers(view))
    return th.tensor(1.0) if hidden is None else (~hidden).float()


def write_mask(read_out: Any, mask: TaskMask) -> None:
    """
    Take away the actions that a task does not have.

    :param read_out: Layer that puts out logits
    :param mask: The task's mask
    """
    invalid = ~th.tensor(mask.valid, dtype=th.bool)
    read_out.weight[invalid] = 0.0
    read_out.bias[invalid] = th.finfo(read_out.bias.dtype).min
