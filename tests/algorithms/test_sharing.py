"""Whole models in a file that runs no code: what comes back, and what of a strange file is refused."""

import io
import json
import zipfile
from functools import partial
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch as th
from envs.messages import refuses
from gymnasium import spaces
from helpers import SpaceEnv, TableEnv, distral, randomize, table_tasks
from recurrent_helpers import CueTask, recurrent
from stable_baselines3 import A2C
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

import sb3_distral
from sb3_distral import (
    DistilledPriorReward,
    DistralA2C,
    DistralPPO,
    SharedModel,
    distilled_parameters,
    evaluate_tasks,
    load_policy,
    make_task_vec_env,
    normalize_as_trained,
    save_policy,
)
from sb3_distral.errors import UsageError

DATA = Path(__file__).parents[1] / "data"
IMAGE = spaces.Box(0, 255, (36, 36, 3), np.uint8)
DICT = spaces.Dict({"vector": spaces.Box(0.0, 1.0, (4,), np.float32), "number": spaces.Discrete(3)})


def of_space(space, **arguments):
    return DistralA2C([partial(SpaceEnv, space)] * 2, policy_kwargs={"net_arch": [5]}, **arguments)


class FewActions(TableEnv):
    def __init__(self):
        super().__init__()
        self.action_space = spaces.Discrete(2)


MODELS = {
    "two columns": lambda: distral(table_tasks(3), alpha=0.7, beta=5.0),
    "one column": lambda: distral(table_tasks(3), architecture="one_column"),
    "shared": lambda: distral(table_tasks(3), architecture="shared", beta=float("inf"), alpha=0.0),
    "given weight": lambda: distral(table_tasks(2), distilled_weight=0.3),
    "costs by task": lambda: distral(table_tasks(2), alpha=[0.2, 0.9], beta=[3.0, 7.0]),
    "schedules": lambda: distral(table_tasks(2), alpha=lambda progress: 0.5 + progress / 4),
    "adaptive costs": lambda: distral(table_tasks(2), beta="auto"),
    "several distilled policies": lambda: distral(table_tasks(3), n_distilled=2),
    "view": lambda: distral(table_tasks(2), distilled_view=[0, 2]),
    "rehearsal": lambda: distral(table_tasks(2), rehearsal_coef=0.1).add_tasks({"new": TableEnv}),
    "ppo": lambda: DistralPPO([TableEnv] * 2, n_steps=8, batch_size=8, policy_kwargs={"net_arch": [5]}),
    "recurrent": lambda: recurrent([CueTask] * 2),
    "images": lambda: of_space(IMAGE),
    "dicts": lambda: of_space(DICT),
    "masks": lambda: distral({"few": FewActions, "many": TableEnv}),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.zip"


def saved(model, path):
    save_policy(model, path)
    return load_policy(path, device="cpu")


@pytest.mark.parametrize("name", MODELS)
def test_a_loaded_model_acts_as_the_saved_one(name, path):
    model = MODELS[name]()
    randomize(model.policy)
    model._update_costs()
    loaded = saved(model, path)
    assert type(loaded) is SharedModel and loaded.learner == type(model).__name__
    assert (loaded.task_names, loaded.n_tasks) == (model.task_names, model.n_tasks)
    for own, other in zip(loaded.costs, model.costs, strict=True):
        th.testing.assert_close(own, other)
    np.testing.assert_array_equal(loaded.responsibilities, model.responsibilities)
    observations = model.get_env().reset()
    plain = {key: own for key, own in observations.items() if key not in ("task", "action_mask")}
    plain = plain.get("obs", plain)
    pairs = [(model, loaded, observations)]
    pairs += [(model.task_policy(task), loaded.task_policy(task), plain) for task in model.task_names]
    pairs += [(*both, plain) for both in zip(model.distilled_policies, loaded.distilled_policies, strict=True)]
    for first, second, given in pairs:
        th.manual_seed(0)
        actions, state = first.predict(given)
        th.manual_seed(0)
        again, again_state = second.predict(given)
        np.testing.assert_array_equal(again, actions)
        assert (state is None) == (again_state is None)
    # π0 as it was before tasks came is for their training alone.
    assert not [name for name in loaded.policy.state_dict() if name.startswith("former")]
    # What is saved again is the same.
    save_policy(loaded, path.with_name("again.zip"))
    with zipfile.ZipFile(path) as first, zipfile.ZipFile(path.with_name("again.zip")) as second:
        assert first.namelist() == second.namelist()
        assert all(first.read(part) == second.read(part) for part in first.namelist())


def test_no_weight_is_written_twice(path):
    """Actor and critic share their convolutions, which have three names."""
    model = MODELS["images"]()
    save_policy(model, path)
    n_bytes = sum(4 * own.numel() for own in model.policy.parameters())
    assert n_bytes < path.stat().st_size < 1.02 * n_bytes


def test_the_weight_of_h_is_that_of_the_saved_model(path):
    model = distral(table_tasks(2), alpha=lambda progress: progress, beta=5.0).learn(40)
    weights = model.policy.distilled_weights.clone()
    assert 0 < weights[0] < 1
    th.testing.assert_close(saved(model, path).policy.distilled_weights, weights)


def test_a_loaded_model_is_evaluated_and_is_where_new_tasks_begin(path):
    model = distral(table_tasks(2)).learn(20)
    loaded = saved(model, path)
    assert loaded.num_timesteps == model.num_timesteps
    # In another order, which goes by name.
    names = model.task_names[::-1]
    tasks = make_task_vec_env({name: partial(TableEnv, 0, time_limit=5, constant_reward=2.0) for name in names})
    assert evaluate_tasks(loaded, tasks, 2) == {name: [10.0, 10.0] for name in names}
    assert evaluate_policy(loaded, TableEnv(0, time_limit=5, constant_reward=2.0), 2, warn=False)[0] == 10.0
    new = DistralA2C([TableEnv], distilled_policy=loaded.distilled_policy)
    th.testing.assert_close(
        dict(new.distilled_policy.state_dict()), dict(model.distilled_policy.state_dict()), rtol=0, atol=0
    )
    DistilledPriorReward(TableEnv(), loaded.distilled_policy).reset()
    assert distilled_parameters(loaded)["policy"].keys() == model.distilled_policy.state_dict().keys()


def test_a_thousand_tasks_go_through_a_file(path):
    model = DistralA2C(sb3_distral.tasks.make("two-rooms", n_tasks=1000), policy_kwargs={"net_arch": [2]})
    assert saved(model, path).n_tasks == 1000


def test_an_untrained_distilled_policy_still_warns(path):
    loaded = saved(distral(table_tasks(2), architecture="one_column", alpha=0.0, beta=float("inf")), path)
    with pytest.warns(UserWarning, match="Nothing trains π0 here"):
        loaded.predict(np.zeros(4, np.float32))


def shifted(mean):
    class Shifted(TableEnv):
        def _observe(self):
            return super()._observe() + mean

    return DummyVecEnv([Shifted])


def test_statistics_around_all_tasks_come_back(path):
    env = VecNormalize(make_task_vec_env({"a": shifted(3.0), "b": shifted(5.0)}))
    model = DistralA2C(env, policy_kwargs={"net_arch": [5]}).learn(60)
    loaded = saved(model, path)
    expected = env.obs_rms["obs"].mean
    for policy in (loaded.distilled_policy, loaded.task_policy("b")):
        own = normalize_as_trained(shifted(5.0), policy)
        np.testing.assert_array_equal(own.obs_rms.mean, expected)
    assert not loaded.task_normalizations


def test_statistics_of_each_task_come_back(path):
    tasks = {"a": VecNormalize(shifted(3.0)), "b": VecNormalize(shifted(5.0))}
    model = DistralA2C(tasks, policy_kwargs={"net_arch": [5]}).learn(60)
    loaded = saved(model, path)
    for name, task in tasks.items():
        for policy in (model.task_policy(name), loaded.task_policy(name)):
            own = normalize_as_trained(shifted(3.0), policy)
            np.testing.assert_array_equal(own.obs_rms.mean, task.obs_rms.mean)
    assert loaded.distilled_policy.observation_normalization.is_pooled


def test_statistics_of_each_task_are_known_to_a_model_without_its_tasks(tmp_path, path):
    model = DistralA2C({"a": VecNormalize(shifted(3.0)), "b": VecNormalize(shifted(5.0))}).learn(60)
    model.save(tmp_path / "zip")
    loaded = saved(DistralA2C.load(tmp_path / "zip"), path)
    own = loaded.task_policy("b").observation_normalization.statistics["obs"]
    np.testing.assert_array_equal(own.mean, model.task_policy("b").observation_normalization.statistics["obs"].mean)


def test_a_model_of_the_first_version_of_the_form_acts_as_it_did():
    """
    ``policies.zip`` was made by version 0.1.0, in which the form was new::

        env = tasks.make("grid-mazes", n_envs_per_task=2, seed=0, n_tasks=2)
        model = DistralA2C(env, seed=0, alpha=0.5, beta=30.0, policy_kwargs={"net_arch": [6]}).learn(400)
        save_policy(model, "policies.zip")
    """
    model = load_policy(DATA / "policies.zip", device="cpu")
    rows = th.linspace(-1.0, 1.0, 4 * 81).view(4, 81)
    expected = [
        [0.24905043840408325, 0.24741795659065247, 0.2531408965587616, 0.25039079785346985],
        [-0.8529728055000305, -0.5843015909194946, 0.25384199619293213, 0.8497059345245361],
        [0.25014713406562805, 0.2431245744228363, 0.2613411843776703, 0.24538713693618774],
        [-0.43045946955680847, -0.32188284397125244, 0.008194610476493835, 0.34788915514945984],
    ]
    for policy, probs, values in (
        (model.distilled_policy, *expected[:2]),
        (model.task_policy("maze-1"), *expected[2:]),
    ):
        with th.no_grad():
            np.testing.assert_allclose(policy.get_distribution(rows).distribution.probs[3], probs, atol=1e-6)
            np.testing.assert_allclose(policy.predict_values(rows)[:, 0], values, atol=1e-6)
    assert (model.num_timesteps, model.learner) == (400, "DistralA2C")


def test_the_files_hold_the_version_that_wrote_them(tmp_path, path):
    model = distral(table_tasks(2))
    save_policy(model, path)
    with zipfile.ZipFile(path) as archive:
        assert json.loads(archive.read("policy.json"))["sb3_distral"] == sb3_distral.__version__
    model.save(tmp_path / "zip")
    with zipfile.ZipFile(tmp_path / "zip.zip") as archive:
        assert json.loads(archive.read("data"))["sb3_distral_version"] == sb3_distral.__version__
    assert DistralA2C.load(tmp_path / "zip").sb3_distral_version == sb3_distral.__version__


def test_policies_of_ones_own_are_refused_before_a_file_is_written(path):
    class OwnPolicy(sb3_distral.policies.MlpPolicy):
        pass

    model = DistralA2C([TableEnv], OwnPolicy)
    with refuses("OwnPolicy", "expected one of DistralPolicy", "a model by model.save(path)"):
        save_policy(model, path)
    with refuses("DistralPolicy", "does not know the names", "Give the model"):
        save_policy(distral(table_tasks(2)).policy, path)
    assert not path.exists()


# Strange files


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """The parts of a good file."""
    path = tmp_path_factory.mktemp("good") / "model.zip"
    save_policy(distral(table_tasks(2), policy_kwargs={"net_arch": [5]}), path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path, parts, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(name, content if isinstance(content, bytes) else json.dumps(content))


def places(described, place=()):
    """Where something stands in a description, of lists the first."""
    yield place
    if isinstance(described, dict | list):
        for key, value in described.items() if isinstance(described, dict) else enumerate(described[:1]):
            yield from places(value, (*place, key))


def changed(described, place, value):
    if not place:
        return value
    copy = json.loads(json.dumps(described))
    holder = copy
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    return copy


#: What may be anything of its kind, since it says nothing of the policies.
HARMLESS = {("num_timesteps",), ("sb3_distral",)}


@pytest.mark.parametrize("value", [None, -1, 10**30, 1.5, "\x1b[2J\ud800\n", [], {}, [[]], {"a": 1}], ids=ascii)
def test_every_part_of_a_wrong_kind_is_refused_in_one_line(value, parts, path):
    described = json.loads(parts["policy.json"])
    n_refused = n_loaded = 0
    for place in places(described):
        write(path, {**parts, "policy.json": changed(described, place, value)})
        try:
            load_policy(path, device="cpu")
            n_loaded += place not in HARMLESS
        except UsageError as error:
            assert f"{error}".isprintable(), f"{error!a}"
            n_refused += 1
    # A number may stand for another, such as a bound; nothing else may.
    assert n_refused > 30 and n_loaded <= (8 if isinstance(value, int | float) else 3), (n_refused, n_loaded)


def test_flipped_bits_are_refused_or_harmless(parts, path):
    write(path, parts)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    good = load_policy(path, device="cpu").policy.state_dict()
    n_loaded = 0
    for _ in range(200):
        content = bytearray(whole)
        content[rng.integers(len(content))] ^= 1 << rng.integers(8)
        path.write_bytes(content)
        try:
            loaded = load_policy(path, device="cpu").policy.state_dict()
        except UsageError as error:
            assert f"{error}".isprintable()
        else:  # a date, for example
            n_loaded += 1
            th.testing.assert_close(dict(loaded), dict(good), rtol=0, atol=0)
    assert n_loaded < 50


def huge_box(n):
    return {"type": "Box", "low": [0], "high": [1], "shape": [n], "dtype": "float32"}


def npy(shape, content=b"", descr="<f4"):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue() + content


BOMBS = {
    "tasks": ({("policies", "n_tasks"): 10**9}, "2 task names for the policies of 1000000000 tasks"),
    "names": ({("task_names",): [f"{i}" for i in range(5000)]}, "5000 task names for the policies of 2 tasks"),
    "tasks and names": (
        {("policies", "n_tasks"): 5000, ("task_names",): [f"{i}" for i in range(5000)]},
        "it describes 5000 tasks, expected 1 to 1000",
    ),
    "distilled policies": ({("policies", "n_distilled"): 10**9}, "1000000002 networks, expected 1 to 2000"),
    "more than there are": ({("policies", "n_distilled"): 900}, "weights, but holds"),
    "wide": ({("policies", "arguments", "net_arch"): [2**30]}, "weights, but holds"),
    "deep": ({("policies", "arguments", "net_arch"): [2**30] * 60}, "weights, but holds"),
    "deeper": ({("policies", "arguments", "net_arch"): [1] * 65}, "is no argument of a column"),
    "numbers": ({("policies", "observation_space"): huge_box(10**9)}, "its space holds 1e+09 numbers"),
    "some numbers": ({("policies", "observation_space"): huge_box(2**20)}, "weights, but holds"),
    "keys": (
        {("policies", "observation_space"): {"type": "Dict", "spaces": {k: huge_box(2**22) for k in "abcdefgh"}}},
        "its space holds 3.35544e+07 numbers",
    ),
    "choices": (
        {("policies", "action_space"): {"type": "Discrete", "n": 10**9, "start": 0, "dtype": "int64"}},
        "its space holds 1e+09 numbers or choices",
    ),
    "bits": ({("policies", "action_space"): {"type": "MultiBinary", "n": 10**9}}, "its space holds 1e+09"),
    "types": (
        {("policies", "observation_space", "dtype"): "1000000000f4"},
        "'1000000000f4' is no type of the numbers of a space",
    ),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_sizes_are_checked_before_memory_is_taken(bomb, parts, path):
    changes, message = BOMBS[bomb]
    described = json.loads(parts["policy.json"])
    for place, value in changes.items():
        described = changed(described, place, value)
    write(path, {**parts, "policy.json": described})
    with refuses(f"{path} cannot be read as a policy", message):
        load_policy(path)


BIAS = "weights/distilled_weights.npy"


@pytest.mark.parametrize(
    ("part", "content", "compression", "message"),
    [
        (
            "policy.json",
            b" " * 10**8,
            zipfile.ZIP_DEFLATED,
            "it is compressed, which such files are not, and would unpack to",
        ),
        (BIAS, b"\0" * 10**8, zipfile.ZIP_DEFLATED, "it is compressed"),
        ("policy.json", b" " * (2**22 + 1), zipfile.ZIP_STORED, "policy.json is longer than 4194304 bytes"),
        ("policy.json", b"[" * 10**6, zipfile.ZIP_STORED, "recursion"),
        ("policy.json", b"[]", zipfile.ZIP_STORED, "holds a list, expected an object"),
        (BIAS, npy((10**12,)), zipfile.ZIP_STORED, "says that it has the shape (1000000000000,) of float32, but has 0"),
        (BIAS, npy((-1, -2), b"\0" * 8), zipfile.ZIP_STORED, "says that it has the shape (-1, -2)"),
        (BIAS, npy((1,), b"\0" * 8, "|O"), zipfile.ZIP_STORED, "of object"),
        (BIAS, npy((2,), np.float32([np.nan, 1]).tobytes()), zipfile.ZIP_STORED, "parameters that are not finite"),
        (BIAS, npy((3,), b"\0" * 12), zipfile.ZIP_STORED, "size mismatch"),
    ],
    ids=range(10),
)
def test_strange_parts_are_refused(part, content, compression, message, parts, path):
    write(path, {**parts, part: content}, compression)
    with refuses(f"{path} cannot be read as a policy", message):
        load_policy(path)


def test_other_files_are_named(parts, tmp_path, path):
    distral(table_tasks(2)).save(path)
    with refuses("it is a model of Stable-Baselines3's method save, which could run code", "by the method load"):
        load_policy(path)
    A2C("MlpPolicy", gym.make("CartPole-v1")).save(path)
    with refuses("it is a model of Stable-Baselines3's method save"):
        load_policy(path)
    th.save({"a": th.zeros(3)}, path)
    with refuses("it is a pickle of PyTorch, which could run code"):
        load_policy(path)
    write(path, {"thesis.txt": b"all of it"})
    with refuses("it is a zip without policy.json"):
        load_policy(path)
    path.write_text("text")
    with refuses("File is not a zip file"):
        load_policy(path)
    with refuses("is policies that sb3_distral.save_policy has written, which sb3_distral.load_policy reads"):
        write(path, parts)
        DistralA2C.load(path)
