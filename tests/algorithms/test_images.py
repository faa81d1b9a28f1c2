"""Images of all sizes and orders of axes: 'auto' chooses what takes them, and what cannot is refused in words."""

from functools import partial

import numpy as np
import pytest
from gymnasium import spaces
from helpers import SpaceEnv
from stable_baselines3.common.torch_layers import CombinedExtractor, FlattenExtractor, NatureCNN

from sb3_distral import DistralA2C, DistralPPO, RecurrentDistralA2C, load_policy, save_policy
from sb3_distral.errors import UsageError
from sb3_distral.networks.features import FittingExtractor
from sb3_distral.networks.lstm import CombinedFeatures, ImageFeatures


def images(*shape):
    return spaces.Box(0, 255, shape, np.uint8)


def model(algorithm, space, policy="auto", **arguments):
    small = {"lstm_hidden_size": 4} if algorithm is RecurrentDistralA2C else {"net_arch": [4]}
    sizes = {"batch_size": 16} if algorithm is DistralPPO else {}
    arguments = {"policy_kwargs": small, "n_steps": 8, "seed": 0, "device": "cpu", **sizes, **arguments}
    return algorithm([partial(SpaceEnv, space)] * 2, policy, **arguments)


def with_direction(image):
    return spaces.Dict({"image": image, "direction": spaces.Discrete(4)})


CASES = [
    (DistralA2C, images(7, 7, 3), FlattenExtractor),
    (DistralA2C, images(3, 35, 36), FlattenExtractor),
    (DistralPPO, images(36, 36, 3), NatureCNN),
    (DistralA2C, spaces.Box(0.0, 1.0, (7, 7, 3)), FlattenExtractor),
    (RecurrentDistralA2C, images(7, 7, 3), FlattenExtractor),
    (RecurrentDistralA2C, images(20, 20, 3), ImageFeatures),
    (DistralA2C, with_direction(images(7, 7, 3)), FittingExtractor),
    (DistralPPO, with_direction(images(36, 36, 3)), CombinedExtractor),
    (RecurrentDistralA2C, with_direction(images(7, 7, 3)), CombinedFeatures),
    (RecurrentDistralA2C, with_direction(images(24, 24, 3)), CombinedFeatures),
]


@pytest.mark.parametrize(("algorithm", "space", "features"), CASES)
def test_auto_chooses_what_takes_the_images(algorithm, space, features, tmp_path):
    trained = model(algorithm, space).learn(32)
    prior = trained.distilled_policy
    assert type(prior.features_extractor) is features
    observation = space.sample()
    if features in (NatureCNN, ImageFeatures, FlattenExtractor, FittingExtractor, CombinedExtractor):
        save_policy(prior, tmp_path / "policy.zip")
        again = load_policy(tmp_path / "policy.zip").predict(trained_form(observation), deterministic=True)[0]
        assert again == prior.predict(trained_form(observation), deterministic=True)[0]


def trained_form(observation):
    """As the policy's spaces are; Stable-Baselines3 transposes images itself."""
    return observation


def test_large_images_beside_small_ones_keep_their_convolutions():
    space = spaces.Dict({"small": images(7, 7, 3), "large": images(40, 40, 3)})
    extractor = model(DistralA2C, space).distilled_policy.features_extractor
    assert isinstance(extractor.extractors["large"], NatureCNN)
    assert extractor.features_dim == 256 + 7 * 7 * 3


@pytest.mark.parametrize(
    ("algorithm", "policy", "space", "parts"),
    [
        (DistralA2C, "CnnPolicy", images(7, 7, 3), "images of 36x36 pixels or more. Use 'auto' or 'MlpPolicy'"),
        (RecurrentDistralA2C, "CnnLstmPolicy", images(7, 7, 3), "images of 20x20 pixels or more"),
        (DistralA2C, "CnnPolicy", spaces.Box(-1.0, 1.0, (3,)), "which are no images"),
        (RecurrentDistralA2C, "CnnLstmPolicy", spaces.Box(-1.0, 1.0, (3,)), "which are no images"),
        (RecurrentDistralA2C, "CnnLstmPolicy", spaces.Box(0.0, 1.0, (40, 40, 3)), "first axis is not that of the chan"),
        (DistralA2C, "CnnPolicy", spaces.Box(0.0, 1.0, (40, 40, 3)), "first axis is not that of the channels"),
        (DistralA2C, "auto", images(40, 3, 40), "channels seem to be the second axis"),
        (DistralA2C, "auto", with_direction(images(40, 3, 40)), "key 'image' are images of the shape (40, 3, 40)"),
    ],
)
def test_images_that_convolutions_would_misunderstand_are_refused(algorithm, policy, space, parts):
    with pytest.raises(UsageError) as caught:
        model(algorithm, space, policy)
    assert parts in str(caught.value)


def test_float_images_with_channels_first_and_extractors_of_the_users_are_taken():
    channels_first = spaces.Box(0.0, 1.0, (3, 24, 24), np.float32)
    assert isinstance(model(RecurrentDistralA2C, channels_first, "CnnLstmPolicy").learn(16), RecurrentDistralA2C)
    own = {"features_extractor_class": FlattenExtractor, "net_arch": [4]}
    model(DistralA2C, images(7, 7, 3), "CnnPolicy", policy_kwargs=own).learn(16)
