"""Which policy is chosen, and how policy and environment are told apart."""

import numpy as np
import pytest
from gymnasium import spaces
from helpers import (
    N_ACTIONS,
    SpaceEnv,
    distral,
    table_task,
)
from stable_baselines3.common.policies import ActorCriticPolicy

from sb3_distral import DistralA2C
from sb3_distral.algorithms.arguments import choose_policy_class
from sb3_distral.envs.task_id import with_task, with_task_space
from sb3_distral.errors import UsageError
from sb3_distral.policies.feedforward import (
    POLICY_ALIASES,
    CnnPolicy,
    DistralPolicy,
    MlpPolicy,
    MultiInputPolicy,
)

IMAGE_LAST = spaces.Box(0, 255, (36, 36, 3), np.uint8)
IMAGE_FIRST = spaces.Box(0, 255, (3, 36, 36), np.uint8)
DICT = spaces.Dict({"vector": spaces.Box(-1.0, 1.0, (4,), np.float32), "number": spaces.Discrete(3)})


@pytest.mark.parametrize(
    ("space", "expected"),
    [
        (spaces.Box(-1.0, 1.0, (4,), np.float32), MlpPolicy),
        (spaces.Discrete(5), MlpPolicy),
        (IMAGE_LAST, CnnPolicy),
        (IMAGE_FIRST, CnnPolicy),
        (DICT, MultiInputPolicy),
    ],
    ids=["vectors", "numbers", "images, channels last", "images, channels first", "dicts"],
)
def test_auto_fits_the_observations_and_trains(space, expected):
    tasks = [lambda: SpaceEnv(space), lambda: SpaceEnv(space)]
    policy_kwargs = {"features_extractor_kwargs": {"features_dim": 8}} if expected is CnnPolicy else {}
    model = distral(tasks, policy_kwargs=policy_kwargs)
    assert type(model.policy) is expected
    model.learn(2 * model.n_steps)
    space.seed(0)
    observation = space.sample()
    assert int(model.predict(observation)[0]) in range(N_ACTIONS)
    assert int(model.predict(with_task(observation, np.array(1)), deterministic=True)[0]) == int(
        model.task_policy(1).predict(observation, deterministic=True)[0]
    )


def test_aliases_and_classes_are_taken_in_either_order_of_arguments():
    tasks = [table_task(0), table_task(1)]
    for first, second in ((tasks, "MlpPolicy"), ("MlpPolicy", tasks), (tasks, MlpPolicy), (MlpPolicy, tasks)):
        assert type(distral(first, policy=second).policy) is DistralPolicy


def test_a_policy_that_does_not_fit_is_refused():
    dicts = with_task_space(DICT, 2)
    with pytest.raises(ValueError, match="Use 'MultiInputPolicy'"):
        choose_policy_class("MlpPolicy", dicts, POLICY_ALIASES)
    with pytest.raises(ValueError, match=r"'MlpLstmPolicy' is unknown.*recurrent algorithms"):
        choose_policy_class("MlpLstmPolicy", dicts, POLICY_ALIASES)
    with pytest.raises(ValueError, match="policy='LinearPolicy' is unknown"):
        choose_policy_class("LinearPolicy", dicts, POLICY_ALIASES)
    with pytest.raises(ValueError, match="is unknown"):
        choose_policy_class(ActorCriticPolicy, dicts, POLICY_ALIASES)


@pytest.mark.parametrize("policy", ["MlpLstmPolicy", "MlpPolicyy"])
def test_a_policy_before_the_tasks_is_told_from_an_environment_whatever_its_name(policy):
    with pytest.raises(UsageError, match=f"policy='{policy}' is unknown"):
        DistralA2C(policy, [table_task(0)])
