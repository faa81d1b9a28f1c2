"""The fixed mask of a task goes wherever its policy goes."""

from functools import partial
from typing import get_args

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from helpers import randomize
from integration.toys import Toy
from stable_baselines3.common.policies import ActorCriticPolicy

from sb3_distral import DistralA2C, RecurrentDistralA2C, make_task_vec_env
from sb3_distral.errors import UsageError
from sb3_distral.networks.heads import Column, Maskable
from sb3_distral.policies import MlpPolicy
from sb3_distral.policies.evaluation import Architecture

ALGORITHMS = {"feed-forward": DistralA2C, "recurrent": RecurrentDistralA2C}
#: Of five actions, "few" has the first three without the second, "all" has all.
FEW = [True, False, True, False, False]
MASKS = [FEW, [True] * 5]

pytestmark = pytest.mark.filterwarnings("ignore:The action spaces of the tasks differ")


class Choosing(Toy):
    def __init__(self, nvec):
        super().__init__()
        self.action_space = spaces.MultiDiscrete(nvec)


def task_env(masked=True):
    tasks = {"few": partial(Toy, n_actions=3 if masked else 5), "all": partial(Toy, n_actions=5)}
    return make_task_vec_env(tasks, action_masks={"few": FEW[:3]} if masked else None)


def make_model(architecture="two_columns", algorithm=DistralA2C, env=None, **arguments):
    policy_kwargs = {"lstm_hidden_size": 4} if algorithm is RecurrentDistralA2C else {"net_arch": [4]}
    model = algorithm(env or task_env(), architecture=architecture, policy_kwargs=policy_kwargs, seed=0, **arguments)
    randomize(model.policy, scale=0.1)
    return model


@pytest.fixture(params=ALGORITHMS)
def algorithm(request):
    return ALGORITHMS[request.param]


@pytest.fixture(params=get_args(Architecture))
def model(request, algorithm):
    return make_model(request.param, algorithm)


def plain(n_rows=200):
    return np.random.default_rng(0).random((n_rows, 3), dtype=np.float32)


def actions_of(policy, observation=None, **arguments):
    """All that are drawn in 200 states by policies that are nearly uniform."""
    th.manual_seed(0)
    return set(policy.predict(plain() if observation is None else observation, **arguments)[0].tolist())


def rows_of(task, n_rows=200):
    return {"obs": plain(n_rows), "task": np.full(n_rows, task)}


def test_a_task_policy_takes_actions_of_its_task_alone(model):
    assert actions_of(model.task_policy("few")) == {0, 2}
    assert actions_of(model.task_policy("all")) == {0, 1, 2, 3, 4}


def test_a_task_policy_saved_alone_keeps_its_mask(model, tmp_path):
    own = model.task_policy("few")
    own.save(tmp_path / "policy.pt")
    assert actions_of(type(own).load(tmp_path / "policy.pt")) == {0, 2}


def test_a_model_loaded_without_its_environment_keeps_the_masks(model, tmp_path):
    model.save(tmp_path / "model.zip")
    loaded = type(model).load(tmp_path / "model.zip")
    assert actions_of(loaded.task_policy("few")) == {0, 2}
    assert actions_of(loaded, rows_of(0)) == {0, 2}
    model.policy.save(tmp_path / "policy.pt")
    assert actions_of(type(model.policy).load(tmp_path / "policy.pt"), rows_of(0)) == {0, 2}


def test_a_new_environment_brings_its_own_masks():
    model = make_model()
    model.set_env(
        make_task_vec_env(dict.fromkeys(("few", "all"), partial(Toy, n_actions=5)), action_masks={"all": FEW})
    )
    assert actions_of(model.task_policy("few")) == {0, 1, 2, 3, 4}
    assert actions_of(model.task_policy("all")) == {0, 2}


def test_observations_without_a_mask_get_those_of_their_tasks(model):
    assert actions_of(model, rows_of(0)) == {0, 2}
    assert actions_of(model, rows_of(1)) == {0, 1, 2, 3, 4}
    tasks = np.arange(200) % 2
    th.manual_seed(0)
    actions, _ = model.predict({"obs": plain(), "task": tasks})
    assert set(actions[tasks == 0]) == {0, 2} and set(actions[tasks == 1]) == {0, 1, 2, 3, 4}
    assert model.predict({"obs": plain()[0], "task": 0})[0] in (0, 2)


def test_the_mask_of_an_observation_does_not_widen_that_of_the_task(model):
    assert actions_of(model, rows_of(0) | {"action_mask": np.ones((200, 5), np.int8)}) == {0, 2}


def test_a_distribution_without_a_mask_has_that_of_the_task():
    policy = make_model().policy
    rows, _ = policy.obs_to_tensor({"obs": plain(4), "task": np.array([0, 1, 0, 1])})
    probabilities = policy.get_distribution(rows).distribution.probs
    assert [[p > 0 for p in row] for row in probabilities.tolist()] == MASKS * 2


def test_given_masks_narrow_those_of_the_task_and_do_not_stay(model):
    own = model.task_policy("few")
    for policy, observation in ((own, plain()), (model, rows_of(0))):
        assert actions_of(policy, observation, action_masks=[True, True, False, True, True]) == {0}
        assert actions_of(policy, observation) == {0, 2}
        assert actions_of(policy, observation, action_masks=np.ones((200, 5))) == {0, 2}


def test_a_given_mask_may_be_of_the_choices_of_the_task_alone(model):
    own = model.task_policy("few")
    for policy, observation in ((own, plain()), (model, rows_of(0))):
        assert actions_of(policy, observation, action_masks=[False, True, True]) == {2}
        each = np.arange(600).reshape(200, 3) % 2 == 0  # 0 and 2 in turn with 1, which the task excludes
        each[:, 2] = True
        assert actions_of(policy, observation, action_masks=each) == {0, 2}


def test_the_own_choices_of_several_components_are_found():
    model = make_model(env=make_task_vec_env({"a": partial(Choosing, [2, 2]), "b": partial(Choosing, [1, 3])}))
    drawn = [model.task_policy(task).predict(plain())[0] for task in (0, 1)]
    assert [row.max(axis=0).tolist() for row in drawn] == [[1, 1], [0, 2]]
    drawn, _ = model.task_policy("b").predict(plain(), action_masks=[True, False, False, True])
    assert (drawn == [0, 2]).all()


def test_given_masks_count_where_tasks_have_none(algorithm):
    model = make_model(algorithm=algorithm, env=task_env(masked=False))
    assert actions_of(model, rows_of(0), action_masks=FEW) == {0, 2}
    rows = np.where(np.arange(200)[:, None] % 2 == 0, FEW, [False] * 4 + [True])
    actions, _ = model.predict(rows_of(0), action_masks=rows)
    assert set(actions[::2]) == {0, 2} and set(actions[1::2]) == {4}


def test_masks_that_do_not_fit_are_refused():
    model = make_model()
    own, last = model.task_policy("few"), [False] * 4 + [True]
    for policy, observation in ((own, plain(4)), (model, rows_of(0, 4))):
        with pytest.raises(UsageError, match=r"mask of 4 entries.*expected 5.*or 3"):
            policy.predict(observation, action_masks=[True] * 4)
        with pytest.raises(UsageError, match="leave no action of Discrete"):
            policy.predict(observation, action_masks=last)
    with pytest.raises(UsageError, match="2 rows were given for 4 observations"):
        model.predict(rows_of(0, 4), action_masks=np.ones((2, 5)))
    with pytest.raises(UsageError, match="leave no action"):
        model.predict(rows_of(1, 1) | {"action_mask": np.array([FEW])}, action_masks=last)
    with pytest.raises(UsageError, match=r"mask of 3 entries.*fill the mask of a task of fewer actions up"):
        model.predict(plain(), action_masks=FEW[:3])


@pytest.mark.parametrize("architecture", get_args(Architecture))
def test_policies_of_models_without_masks_have_none(architecture, tmp_path):
    """Otherwise a file of one column would not load into Stable-Baselines3's own class."""
    own = make_model(architecture, env=task_env(masked=False)).task_policy("few")
    assert isinstance(own, Maskable) and own.task_mask is None
    own.save(tmp_path / "policy.pt")
    if isinstance(own, Column):
        assert actions_of(ActorCriticPolicy.load(tmp_path / "policy.pt")) == {0, 1, 2, 3, 4}


def test_a_column_that_cannot_be_masked_is_refused_where_its_task_is():
    class PlainPolicy(MlpPolicy):
        column_class = ActorCriticPolicy

    model = make_model("one_column", policy=PlainPolicy)
    with pytest.raises(UsageError, match=r"column of the class ActorCriticPolicy.*heads\.Column"):
        model.task_policy("few")
    assert isinstance(model.task_policy("all"), ActorCriticPolicy)
