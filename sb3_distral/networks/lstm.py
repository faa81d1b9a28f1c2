"""The paper's column: what it sees through, its LSTM and its read-outs."""

from collections.abc import Mapping
from typing import Any

import torch as th
from gymnasium import spaces
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.preprocessing import get_flattened_obs_dim, is_image_space
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, FlattenExtractor
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import nn
from typing_extensions import override

from sb3_distral.errors import UsageError
from sb3_distral.networks.columns import select_rows
from sb3_distral.networks.features import FittingExtractor, is_too_small
from sb3_distral.networks.heads import Column, read_out
from sb3_distral.networks.memory import State, run_episodes

# Rows that pass the features extractor together: the images of a whole roll-out do not fit into caches.
CHUNK = 64

# Height and width that the convolutions of ImageFeatures need.
LSTM_SMALLEST_IMAGE = 20

#: Arguments of sb3-contrib's policy that a column owns, and what it is
OWNED = {"shared_lstm": True, "enable_critic_lstm": False, "share_features_extractor": True, "lstm_kwargs": None}


class ImageFeatures(BaseFeaturesExtractor):
    """
    What the paper's agent sees through (appendix B.2): two convolutions and a layer of 256 units.

    :param observation_space: Space of images, channel first
    :param features_dim: Number of features
    """

    def __init__(self, observation_space: spaces.Box, features_dim: int = 256):
        super().__init__(observation_space, features_dim)
        convolutions = nn.Sequential(
            nn.Conv2d(observation_space.shape[0], 16, kernel_size=8, stride=4),
            nn.ReLU(),
            nn.Conv2d(16, 32, kernel_size=4, stride=2),
            nn.ReLU(),
            nn.Flatten(),
        )
        with th.no_grad():
            n_flat = convolutions(th.zeros(1, *observation_space.shape)).shape[1]
        self.layers = nn.Sequential(convolutions, nn.Linear(n_flat, features_dim), nn.ReLU())

    @override
    def forward(self, observations: th.Tensor) -> th.Tensor:
        features: th.Tensor = self.layers(observations)
        return features


class CombinedFeatures(FittingExtractor):
    """
    Features of Dict observations: images through :class:`ImageFeatures`, all else, and smaller images, as it is.

    :param observation_space: Space of the observations
    :param cnn_output_dim: Number of features of each image
    """

    def __init__(self, observation_space: spaces.Dict, cnn_output_dim: int = 256):
        super().__init__(observation_space, cnn_output_dim)
        for key, space in observation_space.spaces.items():
            if is_image_space(space) and not is_too_small(space, LSTM_SMALLEST_IMAGE):
                self._features_dim += cnn_output_dim - get_flattened_obs_dim(space) if is_too_small(space) else 0
                self.extractors[key] = ImageFeatures(space, cnn_output_dim)  # type: ignore[arg-type]


class LstmColumn(Column, RecurrentActorCriticPolicy):
    """
    The paper's column: features, an LSTM, and policy and value read linearly from it.

    sb3-contrib's recurrent policy with one LSTM for both. Under ``DistralA2C`` the value's gradient reaches it.

    :param observation_space: Plain observation space
    :param action_space: Action space
    :param lr_schedule: Learning rate schedule
    :param net_arch: Layers between LSTM and read-outs, none by default
    :param features_extractor_class: Features extractor; by default images pass :class:`ImageFeatures`
    :param lstm_hidden_size: Units of each layer of the LSTM
    :param n_lstm_layers: Layers of the LSTM
    :param policy_arguments: All others of :class:`RecurrentActorCriticPolicy`
    :raises ValueError: If an argument of sb3-contrib's policies asks for another form, as ``enable_critic_lstm=True``
    """

    default_features: type[BaseFeaturesExtractor] = FlattenExtractor

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        net_arch: list[int] | dict[str, list[int]] | None = None,
        features_extractor_class: type[BaseFeaturesExtractor] | None = None,
        lstm_hidden_size: int = 256,
        n_lstm_layers: int = 1,
        **policy_arguments: Any,
    ):
        check_owned(policy_arguments)
        policy_arguments = {name: value for name, value in policy_arguments.items() if name not in OWNED}
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            net_arch=[] if net_arch is None else net_arch,
            features_extractor_class=features_extractor_class or self.default_features,
            lstm_hidden_size=lstm_hidden_size,
            n_lstm_layers=n_lstm_layers,
            shared_lstm=True,
            enable_critic_lstm=False,
            **policy_arguments,
        )

    @override
    def make_features_extractor(self) -> BaseFeaturesExtractor:
        extractor = super().make_features_extractor()
        # Of MultiDiscrete observations Stable-Baselines3 gives a number of numpy's, which LSTMs do not take.
        extractor._features_dim = int(extractor.features_dim)
        return extractor

    @override
    def _get_constructor_parameters(self) -> dict[str, Any]:
        # sb3-contrib forgets these, so that a policy saved alone comes back with the default sizes.
        sizes = {"lstm_hidden_size": self.lstm_actor.hidden_size, "n_lstm_layers": self.lstm_actor.num_layers}
        return {**super()._get_constructor_parameters(), **sizes}


class LstmCnnColumn(LstmColumn):
    """:class:`LstmColumn` for images."""

    default_features = ImageFeatures
    smallest_image = LSTM_SMALLEST_IMAGE


class LstmMultiInputColumn(LstmColumn):
    """:class:`LstmColumn` for Dict observations."""

    default_features = CombinedFeatures


def check_owned(policy_arguments: Mapping[str, Any]) -> None:
    """
    Refuse arguments of sb3-contrib's policies that ask for what a column is not.

    :param policy_arguments: What the user gave
    :raises UsageError: If some do. ``enable_critic_lstm=False`` alone does: values read from features, without memory
    """
    given = {name: policy_arguments[name] for name in OWNED if name in policy_arguments}
    is_column = all((value or None) == (OWNED[name] or None) for name, value in given.items())
    if not is_column or (given.get("enable_critic_lstm") is False and "shared_lstm" not in given):
        raise UsageError(
            f"policy_kwargs holds {given}, but a column has one LSTM of PyTorch's plain form, from which both policy "
            "and value are read: shared_lstm=True, enable_critic_lstm=False. Leave them out; lstm_hidden_size and "
            "n_lstm_layers may be given."
        )


def evaluate_lstm_column(
    column: RecurrentActorCriticPolicy, observations: PyTorchObs, state: State, episode_starts: th.Tensor
) -> tuple[th.Tensor, th.Tensor, State]:
    """
    Run a column over sequences; unlike in sb3-contrib's shared LSTM, gradients of the value go all the way.

    :param column: A column
    :param observations: A batch of plain observations, one sequence after the other
    :param state: State of its LSTM before the batch
    :param episode_starts: 1 where a row is the first of its episode, shape (batch,)
    :return: Outputs about the policy, shape (batch, n_parameters), V(s), shape (batch, 1), and the state after it
    """
    features = extract_features(column, observations, len(episode_starts))
    latent, state = run_episodes(column.lstm_actor, features, state, episode_starts)
    actor, critic = column.mlp_extractor(latent)
    return read_out(column, actor), column.value_net(critic), state


def extract_features(column: RecurrentActorCriticPolicy, observations: PyTorchObs, n_rows: int) -> th.Tensor:
    """
    Extract features piece by piece.

    :param column: A column
    :param observations: A batch of plain observations
    :param n_rows: Its number of rows
    :return: Their features, shape (n_rows, features_dim)
    """
    chunks = [slice(first, first + CHUNK) for first in range(0, n_rows, CHUNK)]
    features: Any = [column.extract_features(select_rows(observations, rows)) for rows in chunks]
    return th.cat(features)
