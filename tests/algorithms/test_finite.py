"""What is not finite is neither learned from nor saved, and the message says where it came from."""

import warnings
from functools import partial

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from helpers import copied_parameters, distral
from integration.toys import DICT_SPACE, ScriptedVecEnv, Toy
from stable_baselines3.common.callbacks import CheckpointCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from sb3_distral import DistralA2C, DistralPPO, RecurrentDistralA2C, RecurrentDistralPPO, make_task_vec_env, save_policy
from sb3_distral.errors import UsageError

ALGORITHMS = (DistralA2C, DistralPPO, RecurrentDistralA2C, RecurrentDistralPPO)

NAN = "the number nan (1 of 3 under the key 'obs') in sub-environment 1"


class Broken(Toy):
    """In one step of the first episode something is another number."""

    def __init__(self, what, number, at=3, **arguments):
        super().__init__(truncates=True, **arguments)
        self.what, self.number, self.at, self.n = what, number, at, 0

    def broken(self, observation):
        if isinstance(observation, dict):
            return {**observation, "far": self.broken(observation["far"])}
        return np.concatenate([observation[:-1], [self.number]]).astype(observation.dtype)

    def reset(self, **arguments):
        observation, info = super().reset(**arguments)
        return self.broken(observation) if self.what == "reset" else observation, info

    def step(self, action):
        observation, reward, *rest = super().step(action)
        self.n += 1
        if self.n == self.at:
            observation = self.broken(observation) if self.what == "observation" else observation
            reward = self.number if self.what == "reward" else reward
        return observation, reward, *rest


def trained(algorithm, broken, **arguments):
    sizes = {"n_steps": 8, "batch_size": 16} if "PPO" in algorithm.__name__ else {"n_steps": 8}
    recurrent = {"lstm_hidden_size": 4} if "Recurrent" in algorithm.__name__ else {"net_arch": [4]}
    arguments = {**sizes, "policy_kwargs": recurrent, "seed": 0, **arguments}
    return algorithm({"good": partial(Toy, reward=None), "bad": broken}, **arguments)


def is_finite(model):
    return all(tensor.isfinite().all() for tensor in copied_parameters(model.policy).values())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    ("what", "at", "place"),
    [
        ("observation", 3, f"gave an observation with {NAN} at step 3 after the reset"),
        ("observation", 4, f"gave the last observation of an episode with {NAN} at step 4"),
        ("reset", 0, f"gave an observation with {NAN} at the reset"),
        ("reward", 3, "gave the reward nan in sub-environment 1 at step 3"),
    ],
)
def test_what_enters_is_checked_before_something_is_learned_from_it(algorithm, what, at, place):
    model = trained(algorithm, partial(Broken, what, np.nan, at))
    before = copied_parameters(model.policy)
    with pytest.raises(UsageError, match="Task 'bad'") as caught:
        model.learn(64)
    assert place in str(caught.value)
    assert "expected" in str(caught.value)
    assert "Check the task's" in str(caught.value)
    assert all(th.equal(parameter, before[name]) for name, parameter in copied_parameters(model.policy).items())


@pytest.mark.parametrize("number", [np.inf, 1e300])
def test_numbers_that_networks_cannot_hold_are_refused_too(number):
    space = spaces.Box(-np.inf, np.inf, (3,), np.float64)
    model = DistralA2C({"good": Endless(space, 0.0), "bad": Endless(space, number)})
    with pytest.raises(UsageError, match=r"Task 'bad' gave an observation with the number (inf|1e\+300)"):
        model.learn(20)


def Endless(space, number):  # noqa: N802
    class Own(Broken):
        def draw(self, _):
            return np.zeros(3)

    return partial(Own, "observation", number, observation_space=space)


def test_a_key_of_dict_observations_is_named():
    model = DistralA2C(
        {"good": partial(Bounded, "", 0.0), "bad": partial(Bounded, "observation", np.nan)},
        policy_kwargs={"net_arch": [4]},
    )
    with pytest.raises(UsageError, match="1 of 3 under the key 'far'"):
        model.learn(40)


Bounded = partial(Broken, observation_space=DICT_SPACE)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("number", [1e20, 1e38, 3e38, -3e38])
def test_a_huge_reward_in_one_task_does_not_stop_the_others(algorithm, number):
    model = trained(algorithm, partial(Broken, "reward", number))
    before = copied_parameters(model.policy)
    with pytest.warns(UserWarning, match="returns of task 'bad' reach .* normalize_returns=True"):
        model.learn(model.n_steps * 2)
    assert is_finite(model)
    after = copied_parameters(model.policy)
    assert not th.equal(after["distilled_policy.action_net.weight"], before["distilled_policy.action_net.weight"])
    moved = (after["task_columns.value_net.weight"] - before["task_columns.value_net.weight"]).flatten(1).abs().amax(1)
    # LSTMs give values that are rounded otherwise in the update.
    assert moved[1] < 0.1 * moved[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.learn(64, reset_num_timesteps=False)
    assert is_finite(model)


def test_a_reward_that_overflows_on_its_way_into_the_roll_out_is_refused():
    """SubprocVecEnv and RemoteVecEnv give rewards of double precision."""

    class Double(ScriptedVecEnv):
        def step_wait(self):
            observations, rewards, dones, infos = super().step_wait()
            return observations, rewards.astype(np.float64) + 1e300, dones, infos

    with pytest.raises(UsageError, match=r"Task 'bad' gave the reward 1e\+300 in sub-environment 2"):
        DistralA2C({"good": ScriptedVecEnv(), "bad": Double()}).learn(20)


def poison(model, task, name="value_net"):
    with th.no_grad():
        getattr(model.policy.task_columns, name).bias[task] = th.nan


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_value_that_is_not_finite_ends_the_training_before_the_update(algorithm):
    model = trained(algorithm, partial(Toy, reward=None))
    poison(model, 1)
    before = copied_parameters(model.policy)
    with pytest.raises(
        UsageError, match=r"value or reward of task 'bad' is not finite in sub-environment 1 at step 0 .*diverged"
    ):
        model.learn(64)
    assert th.equal(
        copied_parameters(model.policy)["distilled_policy.value_net.bias"], before["distilled_policy.value_net.bias"]
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_gradient_that_is_not_finite_is_not_followed(algorithm):
    model = trained(algorithm, partial(Toy, reward=None))
    model.policy.task_columns.value_net.weight.register_hook(
        lambda gradient: gradient * th.tensor([1.0, th.inf])[:, None, None]
    )
    before = copied_parameters(model.policy)
    with pytest.raises(UsageError, match=r"gradient of the tasks 'bad' is not finite in update 1, which is not made"):
        model.learn(64)
    assert all(th.equal(parameter, before[name]) for name, parameter in copied_parameters(model.policy).items())


def test_the_gradient_of_the_distilled_policy_alone_is_checked_too():
    for optimization in ("joint", "alternating"):
        model = trained(DistralA2C, partial(Toy, reward=None), optimization=optimization)
        model.policy.distilled_policy.action_net.weight.register_hook(lambda gradient: gradient * th.nan)
        with pytest.raises(UsageError, match="gradient of the distilled policy is not finite"):
            model.learn(32)
        assert is_finite(model)


def test_a_model_that_is_not_finite_never_takes_the_place_of_a_good_one(tmp_path):
    model = distral({"a": Toy, "b": Toy})
    model.save(tmp_path / "model")
    good = (tmp_path / "model.zip").read_bytes()
    poison(model, 0)
    with pytest.raises(UsageError, match=r"not saved to .*model.*diverged.*earlier save"):
        model.save(tmp_path / "model")
    assert (tmp_path / "model.zip").read_bytes() == good
    policy = model.task_policy("a")
    with pytest.raises(UsageError, match="not saved"):
        save_policy(policy, tmp_path / "policy.zip")
    assert not (tmp_path / "policy.zip").exists()
    model = distral({"a": Toy, "b": Toy})
    poison(model, 0)
    with pytest.raises(UsageError, match="not saved"):
        model.learn(40, callback=CheckpointCallback(1, str(tmp_path / "checkpoints")))


def test_numbers_that_are_none_do_not_reach_the_statistics_of_all_tasks(tmp_path):
    tasks = {"good": Toy, "bad": partial(Broken, "observation", np.nan)}
    env = VecNormalize(make_task_vec_env(tasks), norm_obs_keys=["obs"])
    with pytest.raises(UsageError, match="Task 'bad' gave an observation with the number nan"):
        distral(env).learn(40)
    assert np.isfinite(env.obs_rms["obs"].mean).all()


def test_statistics_that_are_not_finite_are_not_saved(tmp_path):
    tasks = {"good": Toy, "bad": partial(Broken, "observation", np.nan)}
    model = distral({name: VecNormalize(DummyVecEnv([make])) for name, make in tasks.items()})
    with pytest.raises(UsageError, match="Task 'bad' gave an observation with the number nan"):
        model.learn(40)
    with pytest.raises(UsageError, match="statistics"):
        model.save(tmp_path / "model")


def test_a_task_of_a_policy_is_named_after_it_was_renamed():
    model = distral({"a": Toy, "b": Toy}).rename_tasks({"b": "other"})
    poison(model, 1, "action_net")
    with pytest.raises(UsageError, match="policy of task 'other' is not finite"):
        model.predict({"obs": np.zeros((2, 3), np.float32), "task": np.array([0, 1])})
