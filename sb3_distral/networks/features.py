"""Features of images that are large enough for convolutions; smaller ones are taken as vectors."""

from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.torch_layers import CombinedExtractor

#: Height and width that the convolutions of Stable-Baselines3 (NatureCNN) need at least.
SMALLEST_IMAGE = 36


def is_too_small(space: spaces.Space[Any], smallest: int = SMALLEST_IMAGE, normalized_image: bool = False) -> bool:
    """
    Tell whether observations are images that convolutions cannot take.

    :param space: Space of observations, channel first
    :param smallest: Height and width that the convolutions need
    :param normalized_image: Whether images are no bytes, as in Stable-Baselines3
    :return: Whether they are
    """
    return is_image_space(space, normalized_image=normalized_image) and min(space.shape[1:]) < smallest  # type: ignore[index]


def are_too_small(space: spaces.Space[Any]) -> bool:
    """
    Tell whether there are images in Dict observations that convolutions cannot take.

    :param space: Space of observations, channel first
    :return: Whether there are
    """
    return isinstance(space, spaces.Dict) and any(is_too_small(own) for own in space.spaces.values())


class FittingExtractor(CombinedExtractor):
    """
    Stable-Baselines3's features of Dict observations, in which small images are vectors too.

    :param observation_space: Space of the observations
    :param cnn_output_dim: Number of features of each image
    :param normalized_image: Whether images are no bytes
    """

    def __init__(self, observation_space: spaces.Dict, cnn_output_dim: int = 256, normalized_image: bool = False):
        parts = {
            key: spaces.Box(-np.inf, np.inf, own.shape) if is_too_small(own, normalized_image=normalized_image) else own
            for key, own in observation_space.spaces.items()
        }
        super().__init__(spaces.Dict(parts), cnn_output_dim, normalized_image)
        self._observation_space = observation_space
