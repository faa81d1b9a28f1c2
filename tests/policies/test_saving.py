"""Policies saved alone, without pickles: what comes back, and what of a file is not believed."""

import io
import json
import os
import pickle
import zipfile
from functools import partial
from inspect import signature

import numpy as np
import pytest
import torch as th
from envs.messages import refuses
from gymnasium import spaces
from helpers import TableEnv, assert_equal_parameters, copied_parameters, randomize
from recurrent_helpers import CueTask, recurrent
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.torch_layers import FlattenExtractor
from torch import nn

from sb3_distral import DistilledPriorReward, load_policy, save_policy
from sb3_distral.envs.normalization import ObservationNormalization, normalization_of
from sb3_distral.method.choices import TaskMask
from sb3_distral.networks.heads import Column
from sb3_distral.networks.lstm import OWNED
from sb3_distral.policies import (
    CnnLstmPolicy,
    CnnPolicy,
    MlpLstmPolicy,
    MlpPolicy,
    MultiInputLstmPolicy,
    MultiInputPolicy,
)
from sb3_distral.policies.saving import describe
from sb3_distral.policies.vocabulary import CLASSES, VALUES

from .models import model_of

VECTOR = spaces.Box(-1.0, 1.0, (4,), np.float32)
IMAGE = spaces.Box(0, 255, (3, 36, 36), np.uint8)
DICT = spaces.Dict({"vector": VECTOR, "number": spaces.Discrete(3), "image": IMAGE})
ACTIONS = spaces.Discrete(3)
BOX_ACTIONS = spaces.Box(-2.0, 2.0, (2,), np.float32)
SMALL = {"net_arch": [5]}
LSTM = {"lstm_hidden_size": 4}

#: Class of the policy, plain observations, actions, arguments of the columns
CASES = {
    "vectors": (MlpPolicy, VECTOR, ACTIONS, SMALL),
    "numbers": (MlpPolicy, spaces.Discrete(4), ACTIONS, SMALL),
    "several numbers": (MlpPolicy, spaces.MultiDiscrete([3, 2]), ACTIONS, SMALL),
    "bits": (MlpPolicy, spaces.MultiBinary(3), ACTIONS, SMALL),
    "images": (CnnPolicy, IMAGE, ACTIONS, {"features_extractor_kwargs": {"features_dim": 6}}),
    "raw images": (CnnPolicy, IMAGE, ACTIONS, {"normalize_images": False}),
    "dicts": (MultiInputPolicy, DICT, ACTIONS, {"features_extractor_kwargs": {"cnn_output_dim": 6}, **SMALL}),
    "shifted": (MlpPolicy, VECTOR, spaces.Discrete(3, start=2), SMALL),
    "several choices": (MlpPolicy, VECTOR, spaces.MultiDiscrete([3, 2], start=[1, 0]), SMALL),
    "binary actions": (MlpPolicy, VECTOR, spaces.MultiBinary(3), SMALL),
    "continuous": (MlpPolicy, VECTOR, BOX_ACTIONS, {"log_std_init": -1.0, **SMALL}),
    "std by state": (MlpPolicy, VECTOR, BOX_ACTIONS, {"state_dependent_std": True, **SMALL}),
    "activation": (MlpPolicy, VECTOR, ACTIONS, {"activation_fn": nn.ELU, "ortho_init": False, **SMALL}),
    "view": (MlpPolicy, VECTOR, ACTIONS, {"distilled_view": [True, False, True, True], **SMALL}),
    "view of dicts": (MultiInputPolicy, DICT, ACTIONS, {"distilled_view": ["number"], **SMALL}),
    "lstm with a view": (MlpLstmPolicy, VECTOR, ACTIONS, {"distilled_view": slice(2), **LSTM}),
    "separate nets": (MlpPolicy, VECTOR, ACTIONS, {"net_arch": {"pi": [5, 4], "vf": []}}),
    "separate features": (CnnPolicy, IMAGE, ACTIONS, {"share_features_extractor": False, **SMALL}),
    "lstm": (MlpLstmPolicy, VECTOR, ACTIONS, LSTM),
    "deep lstm": (MlpLstmPolicy, VECTOR, BOX_ACTIONS, {**LSTM, "n_lstm_layers": 2, "net_arch": [5]}),
    "lstm of images": (CnnLstmPolicy, IMAGE, ACTIONS, LSTM),
    "lstm of dicts": (MultiInputLstmPolicy, DICT, ACTIONS, LSTM),
}


def make_policy(policy_class, plain, actions, column_kwargs, architecture="two_columns"):
    parts = plain.spaces if isinstance(plain, spaces.Dict) else {"obs": plain}
    space = spaces.Dict({**parts, "task": spaces.Discrete(2)})
    arguments = {"architecture": architecture, "distilled_weight": 0.7, **column_kwargs}
    policy = policy_class(space, actions, lambda _: 0.0, **arguments)
    randomize(policy, scale=0.2)
    return policy


def saved_and_loaded(policy, tmp_path):
    save_policy(policy, tmp_path / "policy.zip")
    return load_policy(tmp_path / "policy.zip", device="cpu")


def act(policy, observations, actions):
    """What it does in two steps, its values, and the log-probabilities of actions in the first."""
    th.manual_seed(0)
    first, state = policy.predict(observations)
    second, state = policy.predict(observations, state=state, episode_start=np.zeros(len(first)))
    tensors, memory = policy.obs_to_tensor(observations)[0], ()
    if hasattr(policy, "lstm_hidden_state_shape"):
        layers, _, size = policy.lstm_hidden_state_shape
        memory = ((th.ones(layers, len(first), size),) * 2, th.zeros(len(first)))
    distribution = policy.get_distribution(tensors, *memory)
    distribution = distribution[0] if memory else distribution
    return [first, second, state, policy.predict_values(tensors, *memory), distribution.log_prob(actions)]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("kind", ["distilled", "one column", "two columns"])
def test_a_loaded_policy_is_the_one_that_was_saved(case, kind, tmp_path):
    policy = make_policy(*CASES[case], architecture="one_column" if kind == "one column" else "two_columns")
    own = policy.distilled_policy if kind == "distilled" else policy.task_policy(1)
    loaded = saved_and_loaded(own, tmp_path)
    assert type(loaded) is type(own)
    assert (loaded.observation_space, loaded.action_space) == (own.observation_space, own.action_space)
    own.observation_space.seed(0), own.action_space.seed(0)
    observations = [own.observation_space.sample() for _ in range(9)]
    if isinstance(own.observation_space, spaces.Dict):
        observations = {key: np.stack([row[key] for row in observations]) for key in DICT.spaces}
    observations = observations if isinstance(observations, dict) else np.stack(observations)
    actions = th.as_tensor(np.stack([own.action_space.sample() for _ in range(9)]))
    actions = actions.float() if isinstance(own.action_space, spaces.MultiBinary) else actions
    th.testing.assert_close(
        act(loaded, observations, actions), act(own, observations, actions), rtol=0.0, atol=0.0, equal_nan=True
    )
    assert describe(loaded) == describe(own)


@pytest.mark.parametrize("architecture", ["one_column", "two_columns"])
def test_the_mask_of_a_task_comes_back(architecture, tmp_path):
    policy = make_policy(MlpPolicy, VECTOR, spaces.Discrete(4), SMALL, architecture)
    few = TaskMask([True, True, True, False], [True, False, True, False])
    policy.set_task_masks([few, few])
    loaded = saved_and_loaded(policy.task_policy(0), tmp_path)
    assert loaded.task_mask == few
    assert set(loaded.predict(np.zeros((200, 4), np.float32))[0]) == {0, 2}
    # A mask of the task's own choices, which only the task's mask can spread.
    assert set(loaded.predict(np.zeros((200, 4), np.float32), action_masks=[False, True, True])[0]) == {2}


def test_stable_baselines3s_tools_take_loaded_policies(tmp_path):
    model = model_of()
    env = Monitor(TableEnv(1, time_limit=5, constant_reward=2.0))
    for policy in (model.task_policy("table-1"), model.distilled_policy):
        assert evaluate_policy(saved_and_loaded(policy, tmp_path), env, n_eval_episodes=2)[0] == 10.0


@pytest.mark.parametrize("is_recurrent", [False, True])
def test_a_loaded_distilled_policy_is_the_same_prior(is_recurrent, tmp_path):
    model, make = (recurrent([CueTask] * 2), CueTask) if is_recurrent else (model_of(), partial(TableEnv, 1))
    rewards = []
    for policy in (model.distilled_policy, saved_and_loaded(model.distilled_policy, tmp_path)):
        env = DistilledPriorReward(make(), policy, alpha=1.0, beta=1.0)
        env.reset(seed=0)
        rewards.append([env.step(action)[1] for action in (0, 1, 1)])
    assert rewards[0] == rewards[1]


def test_loading_does_not_move_the_random_generators(tmp_path):
    save_policy(model_of().task_policy(0), tmp_path / "policy.zip")
    state = th.get_rng_state()
    load_policy(tmp_path / "policy.zip")
    assert th.equal(th.get_rng_state(), state)


def test_every_argument_of_a_column_is_in_the_file_or_left_out_on_purpose():
    """A new version of Stable-Baselines3 may have one more."""
    sources = (ActorCriticPolicy, RecurrentActorCriticPolicy, Column)
    arguments = {name for source in sources for name in signature(source.__init__).parameters}
    of_the_constructor = {"self", "args", "kwargs", "observation_space", "action_space", "task_mask"}
    of_the_constructor |= {"observation_normalization"}  # beside the arguments
    of_training = {"lr_schedule", "optimizer_class", "optimizer_kwargs"}
    # DistralPolicy refuses the first, without which the others mean nothing.
    of_sde = {"use_sde", "full_std", "use_expln", "squash_output"}
    left_out = (of_the_constructor | of_training | of_sde | set(OWNED)) - VALUES.keys()
    assert arguments - left_out == VALUES.keys() | CLASSES.keys()


class OwnExtractor(FlattenExtractor):
    pass


class Tanh(nn.Tanh):
    """Of a name that the file knows."""


class OwnPolicy(MlpPolicy):
    column_class = type("Column", (Column,), {})


@pytest.mark.parametrize(
    ("policy_class", "column_kwargs", "message"),
    [
        (MlpPolicy, {"features_extractor_class": OwnExtractor}, "features_extractor_class is <class"),
        (MlpPolicy, {"activation_fn": Tanh}, "activation_fn is <class"),
        (MlpPolicy, {"activation_fn": lambda: nn.Tanh()}, "activation_fn is <function"),
        (MlpPolicy, {"net_arch": [np.int64(5)]}, "net_arch=["),
        (OwnPolicy, {}, "The policy is <class"),
    ],
)
def test_what_has_no_name_in_the_file_is_refused_before_it_is_written(policy_class, column_kwargs, message, tmp_path):
    policy = make_policy(policy_class, VECTOR, ACTIONS, column_kwargs)
    for own in (policy.distilled_policy, policy.task_policy(0)):
        with refuses(message, "cannot be described", "policy.save(path)"):
            save_policy(own, tmp_path / "policy.zip")
    assert not list(tmp_path.iterdir())


def test_the_policy_of_another_algorithm_is_refused(tmp_path):
    other = ActorCriticPolicy(VECTOR, ACTIONS, lambda _: 0.0)
    with refuses("ActorCriticPolicy", "expected one of Column", "policy.save(path)"):
        save_policy(other, tmp_path / "policy.zip")


def test_an_interruption_leaves_the_old_file(tmp_path, monkeypatch):
    path, model = tmp_path / "policy.zip", model_of()
    save_policy(model.distilled_policy, path)
    before = copied_parameters(model.distilled_policy)
    randomize(model.policy)
    monkeypatch.setattr(np.lib.format, "write_array", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save_policy(model.distilled_policy, path)
    assert_equal_parameters(copied_parameters(load_policy(path, "cpu")), before)
    assert list(tmp_path.iterdir()) == [path]


class Malicious:
    """Makes a directory when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


BIAS = "weights/distilled_policy.action_net.bias.npy"


def rewritten(path, change=None, weights=None, compression=zipfile.ZIP_STORED):
    """A file of which the description or the bytes of some weights are others."""
    save_policy(model_of().task_policy(0), path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    described = json.loads(parts["policy.json"])
    if change is not None:
        change(described)
    parts |= {"policy.json": json.dumps(described).encode()} | (weights or {})
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return path


def torch_bytes(content, **arguments):
    buffer = io.BytesIO()
    th.save(content, buffer, **arguments)
    return buffer.getvalue()


def npy_bytes(array):
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


@pytest.mark.parametrize("form", ["plain pickle", "torch", "torch before zips", "array of objects"])
def test_a_pickle_in_the_file_is_not_run(form, tmp_path):
    trace = tmp_path / "trace"
    writers = {
        "plain pickle": pickle.dumps,
        "torch": torch_bytes,
        "torch before zips": partial(torch_bytes, _use_new_zipfile_serialization=False),
        "array of objects": lambda bad: npy_bytes(np.array([bad] * 3, dtype=object)),
    }
    path = rewritten(tmp_path / "policy.zip", weights={BIAS: writers[form](Malicious(trace))})
    with refuses(f"{path} cannot be read as a policy", "sb3_distral.save_policy"):
        load_policy(path)
    assert not trace.exists()


HUGE = 10**15


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"column": "os.system"}, "the column is 'os.system', expected one of Column, CnnColumn"),
        ({"column": ["Column"]}, ""),
        ({"arguments": {"activation_fn": "torch.nn.Tanh"}}, "the activation_fn is 'torch.nn.Tanh', expected one of"),
        ({"arguments": {"optimizer_class": "Adam"}}, "optimizer_class='Adam' is no argument"),
        ({"arguments": {"features_extractor_kwargs": {"features_extractor": 1}}}, "is no argument"),
        ({"arguments": {"net_arch": [True]}}, "net_arch=[True] is no argument"),
        ({"arguments": {"net_arch": [1]}}, "size mismatch"),
        ({"arguments": {"net_arch": [HUGE]}}, ""),
        ({"arguments": {}}, "it describes networks of 18440 weights, but holds 232 numbers"),
        ({"observation_space": {"type": "Box", "low": [0], "high": [1], "shape": [HUGE], "dtype": "float32"}}, ""),
        ({"observation_space": {"type": "Box", "low": [0], "high": [1], "shape": [4], "dtype": "O"}}, ""),
        ({"action_space": {"type": "Tuple"}}, "no space of the type 'Tuple'"),
        ({"distilled_weight": "much"}, "much"),
        ({"task_mask": {"own": [True], "valid": [True]}}, "expected 3 times true or false"),
        ({"task_mask": {"own": [1, 1, 1], "valid": [1, 1, 1]}}, "expected 3 times true or false"),
        ({"version": 3}, "'version': 3}, written by sb3-distral "),
        ({"format": "other"}, "its format is {'format': 'other'"),
    ],
    ids=str,
)
def test_a_description_is_believed_only_as_far_as_it_is_known(change, message, tmp_path):
    path = rewritten(tmp_path / "policy.zip", change=lambda described: described.update(change))
    with refuses(f"{path} cannot be read as a policy", message, "Pass a file that sb3_distral.save_policy has written"):
        load_policy(path)


def test_damaged_and_foreign_files_are_refused(tmp_path):
    path = rewritten(tmp_path / "policy.zip")
    whole = path.read_bytes()
    model = model_of()
    model.save(tmp_path / "model.zip")
    model.distilled_policy.save(tmp_path / "stable-baselines3.pt")
    foreign = [(tmp_path / name).read_bytes() for name in ("model.zip", "stable-baselines3.pt")]
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :]
    for content in (b"", b"text", whole[:-100], whole[100:], flipped, *foreign):
        path.write_bytes(content)
        with refuses(f"{path} cannot be read as a policy", "sb3_distral.save_policy"):
            load_policy(path)


def test_a_file_that_is_not_there_is_said_to_be_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_policy(tmp_path / "policy.zip")


@pytest.mark.parametrize("plain", [VECTOR, DICT], ids=["vector", "dict"])
def test_statistics_of_observations_go_along(tmp_path, plain):
    key = "obs" if plain is VECTOR else "vector"
    policy_class = MlpPolicy if plain is VECTOR else MultiInputPolicy
    policy = make_policy(policy_class, plain, ACTIONS, SMALL).distilled_policy
    statistics = RunningMeanStd(shape=(4,))
    statistics.update(np.random.default_rng(0).normal(3.0, 7.0, size=(9, 4)))
    policy.observation_normalization = ObservationNormalization({key: statistics}, 5.0, 1e-8)
    save_policy(policy, tmp_path / "policy.zip")
    loaded = normalization_of(load_policy(tmp_path / "policy.zip"))
    observation = {**plain.sample(), "vector": np.ones(4)} if plain is DICT else np.ones(4)
    expected, found = (own.normalize(observation) for own in (policy.observation_normalization, loaded))
    if plain is DICT:
        expected, found = expected[key], found[key]
    np.testing.assert_array_equal(found, expected)
    assert loaded.clip == 5.0 and abs(found).max() > 0.05


def test_statistics_of_other_observations_are_refused(tmp_path):
    policy = make_policy(MlpPolicy, VECTOR, ACTIONS, SMALL).distilled_policy
    policy.observation_normalization = ObservationNormalization({"obs": RunningMeanStd(shape=(3,))}, 5.0, 1e-8)
    save_policy(policy, tmp_path / "policy.zip")
    with refuses("have the shapes", "(3,)"):
        load_policy(tmp_path / "policy.zip")
