"""Every refusal says what was given, what was expected and what to do."""

import re
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import DummyVecEnv

import sb3_distral.tasks
from sb3_distral import DistralA2C, make_task_vec_env
from sb3_distral.algorithms.table1 import algorithm_arguments
from sb3_distral.policies.feedforward import DistralPolicy

from .toys import DICT_SPACE, ScriptedVecEnv, Toy

INFINITE = float("inf")
TASKS = {"left": Toy, "right": partial(Toy, length=5)}


def raises(*parts):
    """The parts of a message, in their order."""
    return pytest.raises(ValueError, match="(?s)" + ".*".join(re.escape(part) for part in parts))


# Rewards


@pytest.mark.parametrize("reward", [float("nan"), INFINITE, -INFINITE])
@pytest.mark.parametrize("beta", [100.0, INFINITE])
def test_a_reward_that_is_not_finite_names_its_task(reward, beta):
    model = DistralA2C({"left": Toy, "right": partial(Toy, reward=reward)}, beta=beta, n_envs_per_task=2)
    with raises("Task 'right' gave the reward", str(reward), "sub-environment 2", "finite", "Check the task's reward"):
        model.learn(20)


def test_a_reward_that_is_not_finite_in_one_step_is_found():
    class Sometimes(Toy):
        def step(self, action):
            observation, reward, *rest = super().step(action)
            return observation, np.nan if self.steps == 4 else reward, *rest

    with raises("Task 'left'", "nan"):
        DistralA2C({"left": Sometimes, "right": Toy}).learn(100)


def test_a_reward_that_is_not_finite_is_found_below_a_normalization_of_observations():
    venvs = {"left": ScriptedVecEnv(), "right": DummyVecEnv([partial(BoxToy, reward=np.nan)])}
    with raises("Task 'right'"):
        DistralA2C(venvs).learn(20)


class BoxToy(Toy):
    def __init__(self, **arguments):
        super().__init__(observation_space=spaces.Box(-1.0, 1.0, (3,)), **arguments)


# Spaces


@pytest.mark.parametrize(
    "space", [spaces.Dict(a=spaces.Discrete(2)), spaces.MultiBinary([2, 2]), spaces.MultiDiscrete([[2, 2]])], ids=str
)
def test_actions_without_a_family_are_refused(space):
    class Own(Toy):
        def __init__(self):
            super().__init__()
            self.action_space = space

    with raises("action space", str(space), "Box and Discrete actions", "Wrap the environments"):
        DistralA2C([Own, Own])


# Tasks


@pytest.mark.parametrize("empty", [[], {}, ()])
def test_no_task_is_refused(empty):
    for make in (DistralA2C, make_task_vec_env, partial(DistralA2C, "MlpPolicy")):
        with raises("No task was given", repr(empty), "expected at least one", "Pass a list or a dict"):
            make(empty)


@pytest.mark.parametrize("task", ["middle", 2, -1, 0.5, None])
def test_an_unknown_task_is_refused_with_the_names(task):
    with raises(f"There is no task {task!r}", "index below 2", "['left', 'right']"):
        DistralA2C(TASKS).task_policy(task)


def test_an_id_that_is_not_registered_is_refused_by_gymnasium():
    with pytest.raises(gym.error.Error, match="NoSuchTask"):
        DistralA2C(["NoSuchTask-v0"])


@pytest.mark.parametrize("number", [0, -1])
def test_a_task_without_environments_is_refused(number):
    for make in (DistralA2C, make_task_vec_env):
        with raises(f"n_envs_per_task={number} was given", "at least one sub-environment"):
            make(TASKS, n_envs_per_task=number)


def test_the_number_of_environments_is_refused_where_vec_envs_decide_it():
    with raises("n_envs_per_task=2 was given with VecEnvs", "Leave n_envs_per_task out, or pass ids or callables"):
        DistralA2C([DummyVecEnv([Toy])], n_envs_per_task=2)


def test_one_environment_cannot_be_several():
    with raises("Task 'right' is one environment", "n_envs_per_task=2", "Pass a gymnasium id or a callable"):
        DistralA2C({"left": Toy, "right": Toy()}, n_envs_per_task=2)


def test_the_number_of_environments_is_refused_where_they_are_made_already():
    with raises("n_envs_per_task=3", "2 sub-environments already", "give it to make_task_vec_env"):
        DistralA2C(make_task_vec_env(TASKS), n_envs_per_task=3)


# Observations


@pytest.mark.parametrize("keys", [["distral_task", "image"], ["distral_action_mask"], ["action_mask"]])
def test_reserved_keys_are_refused(keys):
    space = spaces.Dict({key: spaces.Box(0, 1, (2,)) for key in keys})
    with raises("observation space has the keys", str(sorted(keys)), "reserved", "Rename the key"):
        DistralA2C([partial(Toy, observation_space=space)])


@pytest.mark.parametrize("policy", ["MlpPolicy", "CnnPolicy"])
def test_dict_observations_want_the_multi_input_policy(policy):
    with raises(f"policy='{policy}' was given for the Dict observations", "far", "Use 'MultiInputPolicy'"):
        DistralA2C([partial(Toy, observation_space=DICT_SPACE)], policy)


def test_the_multi_input_policy_wants_dict_observations():
    """Who sees the Dict of a TaskVecEnv may take it for the tasks' own observations."""
    with raises("policy='MultiInputPolicy'", "MlpPolicy"):
        DistralA2C("MultiInputPolicy", make_task_vec_env(TASKS))


# α, β and the entropy bonus


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan"), lambda _: 2.0, [0.5, 3.0], {"left": 0.5, "right": -1.0}])
def test_alpha_outside_its_range_is_refused(alpha):
    with raises("alpha=", "was given for task", "lies in [0, 1]", "0 is entropy regularisation alone"):
        DistralA2C(TASKS, alpha=alpha)


@pytest.mark.parametrize("beta", [0.0, -1.0, float("nan"), -INFINITE, lambda _: 0.0, [100.0, 0.0]])
def test_beta_that_is_not_positive_is_refused(beta):
    with raises("beta=", "was given for task", "is positive", "float('inf') is none"):
        DistralA2C(TASKS, beta=beta)


def test_a_coefficient_out_of_range_names_its_task():
    with raises("alpha=3.0 was given for task 'right'"):
        DistralA2C(TASKS, alpha=[0.5, 3.0])


def test_a_schedule_that_leaves_its_range_is_refused_when_it_does():
    model = DistralA2C(TASKS, alpha=lambda progress: 1.5 - progress)
    with raises("alpha=1.", "lies in [0, 1]"):
        model.learn(200)
    assert model.num_timesteps >= 100


def test_a_coefficient_for_each_task_must_be_for_each_task():
    with raises("alpha has 3 entries", "2 tasks: ['left', 'right']", "Give one number or schedule for all tasks"):
        DistralA2C(TASKS, alpha=[0.1, 0.2, 0.3])
    with raises("beta was given for the tasks ['left']", "the tasks are ['left', 'right']", "by its name"):
        DistralA2C(TASKS, beta={"left": 1.0})


def test_numbers_of_numpy_are_numbers():
    model = DistralA2C(TASKS, alpha=np.array([0.25, 0.75]), beta=np.float32(2.0))
    assert model.costs.alpha.tolist() == [0.25, 0.75]


@pytest.mark.parametrize("coefficient", ["0.5", None])
def test_coefficients_that_are_no_numbers_are_refused_by_name(coefficient):
    with pytest.raises((ValueError, TypeError), match=r"alpha"):
        DistralA2C(TASKS, alpha=coefficient)


def test_the_entropy_bonus_excludes_an_entropy_cost():
    with raises("ent_coef=0.01", "entropy costs of", "paid for twice", "Leave ent_coef at 0, or set beta=float('inf')"):
        DistralA2C(TASKS, ent_coef=0.01)
    DistralA2C(TASKS, ent_coef=0.01, beta=INFINITE)
    DistralA2C(TASKS, ent_coef=0.01, alpha=1.0)


def test_an_entropy_cost_of_a_single_task_is_enough_to_refuse_the_bonus():
    with raises("ent_coef=0.01"):
        DistralA2C(TASKS, ent_coef=0.01, beta={"left": INFINITE, "right": 10.0})


# Policies and their arguments


@pytest.mark.parametrize("policy", ["LstmPolicy", "mlp", 3, ActorCriticPolicy])
def test_an_unknown_policy_is_refused(policy):
    with raises("policy=", "is unknown", "'MlpPolicy'", "subclass of DistralPolicy", "policy_kwargs"):
        DistralA2C(TASKS, policy)


def test_an_unknown_policy_is_refused_in_stable_baselines3s_order_too():
    with raises("policy='MlpLstmPolicy' is unknown"):
        DistralA2C("MlpLstmPolicy", make_task_vec_env(TASKS))


def test_an_environment_that_is_missing_is_asked_for():
    for make in (partial(DistralA2C, None), partial(DistralA2C, "MlpPolicy")):
        with raises("env"):
            make()


def test_an_unknown_architecture_is_refused():
    with raises("architecture='three_columns' is unknown", "'shared', 'one_column', 'two_columns'"):
        DistralA2C(TASKS, architecture="three_columns")


def test_an_unknown_optimization_is_refused():
    with raises("optimization='both' is unknown", "'joint', 'alternating'"):
        DistralA2C(TASKS, optimization="both")


def test_nothing_alternates_in_a_shared_network():
    with raises("optimization='alternating' was given with architecture='shared'", "Use 'joint'"):
        DistralA2C(TASKS, optimization="alternating", architecture="shared")


def test_another_rollout_buffer_is_refused():
    with raises("rollout_buffer_class", "Leave it out"):
        DistralA2C(TASKS, rollout_buffer_class=RolloutBuffer)


@pytest.mark.parametrize("name", ["architecture", "distilled_weight"])
def test_policy_kwargs_that_the_algorithm_owns_are_refused(name):
    with raises(f"policy_kwargs holds ['{name}']", "Give them to the algorithm itself"):
        DistralA2C(TASKS, policy_kwargs={name: None})


def test_a_policy_subclass_is_welcome():
    class Own(DistralPolicy):
        pass

    assert type(DistralA2C(TASKS, Own).policy) is Own
    assert type(DistralA2C(Own, make_task_vec_env(TASKS)).policy) is Own


def test_unknown_algorithms_and_suites_are_refused_with_the_known_ones():
    with raises("no algorithm 'A3C_3col'", "KL+ent_2col"):
        algorithm_arguments("A3C_3col")
    with raises("no suite 'maze'", "grid-mazes", "two-rooms"):
        sb3_distral.tasks.make("maze")


# The order of tasks


def test_tasks_in_another_order_are_refused():
    backwards = dict(reversed(TASKS.items()))
    with raises("in the order ['right', 'left']", "in the order ['left', 'right']", "Give them in the model's order"):
        DistralA2C(TASKS).set_env(make_task_vec_env(backwards))


def test_tasks_that_moved_beside_new_ones_are_refused_too():
    """The column of 'left' would go on with 'new', and that of 'right' with 'left'."""
    with raises("has no column for ['new']", "['right'] are missing"):
        DistralA2C(TASKS).set_env(make_task_vec_env({"new": Toy, "left": Toy}))


def test_entirely_new_tasks_take_the_columns_of_the_old_only_if_told():
    model = DistralA2C(TASKS)
    env = make_task_vec_env({"new": Toy, "newer": Toy})
    with raises("has no column for ['new', 'newer']", "rename them first"):
        model.set_env(env)
    model.rename_tasks({"left": "new", "right": "newer"}).set_env(env)
    assert model.task_names == ["new", "newer"]
    model.learn(20)


def test_a_refused_environment_leaves_the_model_as_it_was():
    model = DistralA2C(TASKS)
    env = model.get_env()
    with pytest.raises(ValueError):
        model.set_env(make_task_vec_env(dict(reversed(TASKS.items()))))
    assert model.get_env() is env
    model.learn(20)
