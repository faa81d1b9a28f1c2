"""New tasks that begin with the distilled policy of another model."""

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from helpers import SpaceEnv, TableEnv, randomize

from sb3_distral import DistralA2C, DistralPPO, RecurrentDistralA2C, RecurrentDistralPPO, distilled_parameters
from sb3_distral.errors import UsageError
from sb3_distral.networks.view import first_weights

PLAIN = spaces.Box(-1.0, 1.0, (3,), np.float32)
KWARGS = {"net_arch": [8], "activation_fn": th.nn.ReLU}
ACTIONS = [spaces.Discrete(4), spaces.MultiDiscrete([2, 3]), spaces.MultiBinary(2), spaces.Box(-1.0, 1.0, (2,))]


class ActionEnv(SpaceEnv):
    def __init__(self, action_space=ACTIONS[0]):
        super().__init__(PLAIN)
        self.action_space = action_space


def trained(algorithm=DistralA2C, action_space=ACTIONS[0], **arguments):
    """A model with weights that no initialisation gives."""
    arguments.setdefault("policy_kwargs", {"lstm_hidden_size": 6} if "Recurrent" in algorithm.__name__ else KWARGS)
    model = algorithm([lambda: ActionEnv(action_space)] * 2, seed=0, **arguments)
    randomize(model.policy)
    return model


def on_new_tasks(old, n_tasks=3, **arguments):
    tasks = [lambda: ActionEnv(old.action_space)] * n_tasks
    return type(old)(tasks, distilled_policy=old.distilled_policy, seed=1, **arguments)


def parameters_of(module):
    return th.nn.utils.parameters_to_vector(module.parameters()).detach().clone()


@pytest.mark.parametrize("architecture", ["one_column", "two_columns", "shared"])
@pytest.mark.parametrize("action_space", ACTIONS, ids=lambda space: type(space).__name__)
def test_every_task_begins_as_the_distilled_policy(action_space, architecture):
    old = trained(action_space=action_space)
    new = on_new_tasks(old, architecture=architecture)
    observations = {"obs": th.randn(30, 3), "task": th.arange(30) % 3}
    with th.no_grad():
        evaluation = new.policy.evaluate(observations, distilled=True)
        prior, _ = old.policy.evaluate_distilled(observations["obs"])
    assert th.equal(evaluation.distilled_parameters, prior)
    divergence = new.policy.family.kl_divergence(evaluation.task_parameters, prior)
    # A Gaussian column of no precision at all could not learn.
    assert float(divergence.max()) < (0.005 if architecture == "two_columns" and action_space == ACTIONS[3] else 1e-6)


def with_separate_features():
    """A model of images whose actor and critic see other features."""
    space = spaces.Box(0, 255, (3, 36, 36), np.uint8)
    kwargs = {"share_features_extractor": False, "features_extractor_kwargs": {"features_dim": 4}}
    model = DistralA2C([lambda: SpaceEnv(space)] * 2, policy_kwargs=kwargs, device="cpu")
    randomize(model.policy)
    return model, [lambda: SpaceEnv(space)] * 3


def test_separate_features_are_taken_along(tmp_path):
    model, new = with_separate_features()
    policy, rows = model.distilled_policy, th.randint(0, 255, (5, 3, 36, 36))
    policy.save(tmp_path / "policy")
    for prior in (policy, type(policy).load(tmp_path / "policy")):
        own = DistralA2C(new, distilled_policy=prior, device="cpu").distilled_policy
        with th.no_grad():
            first, second = (each.get_distribution(rows).distribution.logits for each in (policy, own))
            assert th.equal(first, second)
            assert th.equal(policy.predict_values(rows), own.predict_values(rows))
    with pytest.raises(UsageError, match=r"share_features_extractor=False.*True.*policy_kwargs"):
        DistralA2C(new, distilled_policy=policy, policy_kwargs={"share_features_extractor": True}, device="cpu")


@pytest.mark.parametrize("algorithm", [RecurrentDistralA2C, RecurrentDistralPPO])
def test_a_recurrent_policy_is_taken_along(algorithm):
    old = trained(algorithm)
    new = on_new_tasks(old)
    state, episode_start = None, np.ones(1, dtype=bool)
    other_state = None
    for observation in np.random.default_rng(0).normal(size=(6, 1, 3)).astype(np.float32):
        action, state = old.predict(observation, state, episode_start, deterministic=True)
        task = {"obs": observation, "task": np.array([2])}
        other, other_state = new.predict(task, other_state, episode_start, deterministic=True)
        assert action.tolist() == other.tolist()
        episode_start = np.zeros(1, dtype=bool)


@pytest.mark.parametrize("algorithm", [DistralA2C, DistralPPO])
@pytest.mark.parametrize("optimization", ["joint", "alternating"])
def test_a_frozen_policy_stays_as_it_is(algorithm, optimization):
    new = on_new_tasks(trained(algorithm), train_distilled=False, optimization=optimization, n_steps=16)
    before, tasks_before = parameters_of(new.distilled_policy), parameters_of(new.policy.task_columns)
    new.learn(200)
    assert th.equal(parameters_of(new.distilled_policy), before)
    assert not th.equal(parameters_of(new.policy.task_columns), tasks_before)


@pytest.mark.parametrize("optimization", ["joint", "alternating"])
def test_a_number_of_steps_is_the_first_at_which_it_learns(optimization):
    new = on_new_tasks(trained(), train_distilled=60, optimization=optimization, n_steps=5)
    before = parameters_of(new.distilled_policy)
    new.learn(45)
    assert th.equal(parameters_of(new.distilled_policy), before)
    new.learn(15, reset_num_timesteps=False)
    assert not th.equal(parameters_of(new.distilled_policy), before)


def test_another_call_of_learn_does_not_freeze_it_again(tmp_path):
    new = on_new_tasks(trained(), train_distilled=60, n_steps=5)
    new.learn(45).learn(30)
    assert not new.distilled_is_frozen
    new.save(tmp_path / "new")
    loaded = DistralA2C.load(tmp_path / "new", env=[ActionEnv] * 3)
    for model in (new, loaded):
        before = parameters_of(model.distilled_policy)
        model.learn(15)
        assert not th.equal(parameters_of(model.distilled_policy), before)


def test_it_learns_from_the_first_step_if_asked_to():
    new = on_new_tasks(trained(), train_distilled=True)
    before = parameters_of(new.distilled_policy)
    new.learn(15)
    assert not th.equal(parameters_of(new.distilled_policy), before)


def test_by_default_it_is_frozen_first():
    assert on_new_tasks(trained()).train_distilled == 100_000
    assert on_new_tasks(trained(), architecture="shared").train_distilled is True
    assert trained().train_distilled is True


def test_the_old_model_is_left_alone():
    old = trained()
    before = parameters_of(old.distilled_policy)
    on_new_tasks(old, train_distilled=True).learn(60)
    assert th.equal(parameters_of(old.distilled_policy), before)


def test_a_saved_model_goes_on_frozen(tmp_path):
    new = on_new_tasks(trained(), train_distilled=100)
    new.learn(45)
    new.save(tmp_path / "new")
    loaded = DistralA2C.load(tmp_path / "new", env=[ActionEnv] * 3)
    assert loaded.train_distilled == 100
    before = parameters_of(loaded.distilled_policy)
    assert th.equal(before, parameters_of(new.distilled_policy))
    loaded.learn(30, reset_num_timesteps=False)
    assert th.equal(parameters_of(loaded.distilled_policy), before)


def test_weights_and_networks_may_be_chosen():
    new = on_new_tasks(trained(), distilled_weight=0.5)
    assert new.policy.distilled_weights.tolist() == [0.5] * 3
    with pytest.raises(UsageError, match=r"differ in .*policy_net.*policy_kwargs"):
        on_new_tasks(trained(), policy_kwargs={"net_arch": [9]})


def test_tasks_of_other_spaces_are_refused():
    with pytest.raises(UsageError, match=r"action space Discrete\(4\).*distilled_policy has MultiDiscrete"):
        DistralA2C([ActionEnv] * 2, distilled_policy=trained(action_space=ACTIONS[1]).distilled_policy)
    with pytest.raises(UsageError, match=r"observation space Box.*distilled_policy has Box"):
        DistralA2C([TableEnv] * 2, distilled_policy=trained().distilled_policy)


@pytest.mark.filterwarnings("ignore:The action spaces")
@pytest.mark.parametrize("algorithm", [DistralA2C, DistralPPO, RecurrentDistralA2C])
def test_tasks_of_fewer_actions_join_under_fixed_masks(algorithm, tmp_path):
    tasks = {"few": lambda: ActionEnv(spaces.Discrete(3)), "fewer": lambda: ActionEnv(spaces.Discrete(2))}
    new = algorithm(tasks, distilled_policy=trained(algorithm).distilled_policy, seed=1, n_steps=16)
    assert new.action_space == spaces.Discrete(4)
    assert [sum(mask.valid) for mask in new.task_masks] == [3, 2]
    new.learn(100).save(tmp_path / "new")
    assert max(int(new.task_policy("fewer").predict(PLAIN.sample())[0]) for _ in range(30)) == 1
    algorithm.load(tmp_path / "new", env=tasks).learn(40)
    with pytest.raises(UsageError, match=r"action space Discrete\(5\).*of discrete actions they may have fewer"):
        algorithm([lambda: ActionEnv(spaces.Discrete(5))], distilled_policy=trained(algorithm).distilled_policy)


def test_a_policy_that_can_learn_nothing_is_refused():
    with pytest.raises(UsageError, match="train_distilled=False was given without a distilled_policy"):
        trained(train_distilled=False)
    with pytest.raises(UsageError, match="train_distilled=10 was given with architecture='shared'"):
        on_new_tasks(trained(), architecture="shared", train_distilled=10)


def test_a_policy_that_remembers_is_refused_where_columns_do_not_and_the_other_way_round():
    recurrent, plain = trained(RecurrentDistralA2C), trained(DistralA2C)
    with pytest.raises(UsageError, match=r"has an LSTM, other than the columns of DistralPolicy.*RecurrentDistralA2C"):
        DistralA2C([ActionEnv] * 2, distilled_policy=recurrent.distilled_policy)
    with pytest.raises(UsageError, match=r"has no LSTM, other than .* Use DistralA2C or DistralPPO"):
        RecurrentDistralPPO([ActionEnv] * 2, distilled_policy=plain.distilled_policy)


def test_a_whole_model_is_refused():
    old = trained()
    for wrong in (old, old.policy, old.task_policy(0)):
        with pytest.raises(UsageError, match=f"is a {type(wrong).__name__}; expected the policy π0"):
            DistralA2C([ActionEnv] * 2, distilled_policy=wrong)


SEEN = [True, False, True]


@pytest.mark.parametrize("architecture", ["one_column", "two_columns", "shared"])
def test_what_the_distilled_policy_sees_is_taken_along(architecture):
    old = trained(distilled_view=SEEN)
    with th.no_grad():
        # As they are after a training, in which nothing comes through.
        for weight in first_weights(old.distilled_policy):
            weight[:, 1] = 0.0
    new = on_new_tasks(old, architecture=architecture)
    assert new.distilled_policy.view == SEEN
    observations = {"obs": th.randn(30, 3), "task": th.arange(30) % 3}
    others = {**observations, "obs": observations["obs"].clone()}
    others["obs"][:, 1] += 1.0
    with th.no_grad():
        first, second = (new.policy.evaluate(own, distilled=True) for own in (observations, others))
    assert th.equal(first.distilled_parameters, second.distilled_parameters)
    assert float(new.policy.family.kl_divergence(first.task_parameters, first.distilled_parameters).max()) < 1e-6
    # Task columns see all, and can learn from it.
    if architecture != "shared":
        randomize(new.policy.task_columns)
        assert not th.equal(*(new.policy.evaluate(own).task_parameters for own in (observations, others)))
    new.learn(60)


def test_another_view_of_a_policy_that_is_taken_along_is_refused():
    with pytest.raises(UsageError, match="distilled_view=\\[0\\] was given with a distilled_policy"):
        on_new_tasks(trained(), distilled_view=[0])


def test_features_learned_from_what_is_hidden_cannot_be_a_column_that_sees_all():
    space = spaces.Dict({"image": spaces.Box(0, 255, (3, 36, 36), np.uint8), "place": PLAIN})
    old = DistralA2C([lambda: SpaceEnv(space)] * 2, distilled_view=["place"], device="cpu")
    new = [lambda: SpaceEnv(space)] * 2
    assert DistralA2C(new, distilled_policy=old.distilled_policy, device="cpu").distilled_policy.view == ["place"]
    for act in (
        lambda: DistralA2C(new, distilled_policy=old.distilled_policy, architecture="one_column", device="cpu"),
        lambda: distilled_parameters(old),
    ):
        with pytest.raises(UsageError, match="sees only"):
            act()
