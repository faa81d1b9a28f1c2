"""A single column: which masks its predict takes."""

import numpy as np
import pytest
from gymnasium import spaces
from helpers import SpaceEnv, distral, randomize

from sb3_distral import RecurrentDistralA2C
from sb3_distral.errors import UsageError

SPACE = spaces.Box(-1.0, 1.0, (3,), np.float32)
ROWS = np.linspace(-1.0, 1.0, 6, dtype=np.float32).reshape(2, 3)


class ChoiceEnv(SpaceEnv):
    def __init__(self, action_space):
        super().__init__(SPACE)
        self.action_space = action_space


def policies_of(action_space):
    """Every policy whose ``predict`` takes masks, on plain observations."""
    tasks = [lambda: ChoiceEnv(action_space)] * 2
    models = [distral(tasks, architecture=architecture) for architecture in ("one_column", "two_columns")]
    models.append(distral(tasks, algorithm=RecurrentDistralA2C, policy_kwargs={"lstm_hidden_size": 4}))
    for model in models:
        randomize(model.policy)
    return [policy for model in models for policy in (model, model.distilled_policy, model.task_policy(1))]


@pytest.fixture(scope="module")
def of_four():
    return policies_of(spaces.Discrete(4))


@pytest.mark.parametrize(
    "mask",
    [[True], [True] * 3, [True] * 5, [True] * 8, np.ones((2, 2)), np.ones((2, 3)), np.ones((4, 2)), np.ones(0)],
    ids=lambda mask: str(np.shape(mask)),
)
def test_a_mask_of_another_size_is_refused(of_four, mask):
    for policy in of_four:
        with pytest.raises(UsageError, match=r"A mask of \d entries was given; expected 4, one for each choice"):
            policy.predict(ROWS, action_masks=mask)
        policy.predict(ROWS)


def test_a_mask_without_a_valid_action_is_refused(of_four):
    for policy in of_four:
        with pytest.raises(UsageError, match="leave no action"):
            policy.predict(ROWS, action_masks=np.array([[0, 1, 0, 0], [0, 0, 0, 0]]))


def test_one_mask_holds_for_all_observations_or_each_has_its_own(of_four):
    for policy in of_four:
        assert policy.predict(ROWS, action_masks=[False, False, True, False])[0].tolist() == [2, 2]
        own = np.array([[False, True, False, False], [False, False, False, True]])
        assert policy.predict(ROWS, action_masks=own)[0].tolist() == [1, 3]
        assert policy.predict(ROWS[0], action_masks=[True, False, False, False])[0].tolist() == 0


@pytest.mark.parametrize("observations", [ROWS[0], np.concatenate([ROWS, ROWS])], ids=["one", "four"])
def test_masks_of_another_number_than_observations_are_refused(of_four, observations):
    for policy in of_four:
        with pytest.raises(UsageError, match="2 masks were given for"):
            policy.predict(observations, action_masks=np.ones((2, 4)))


def test_several_choices_have_their_masks_one_after_the_other():
    for policy in policies_of(spaces.MultiDiscrete([2, 3])):
        assert policy.predict(ROWS, action_masks=[0, 1, 0, 0, 1])[0].tolist() == [[1, 2]] * 2
        with pytest.raises(UsageError, match="A mask of 2 entries was given; expected 5"):
            policy.predict(ROWS, action_masks=[[0, 1], [0, 1]])
