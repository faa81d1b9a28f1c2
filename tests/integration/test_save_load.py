"""A save holds everything: a training that was stopped, or killed, goes on as if never stopped."""

import io
from functools import partial

import numpy as np
import pytest
import torch as th
from stable_baselines3 import A2C
from stable_baselines3.common import save_util

import sb3_distral.tasks
from sb3_distral import DistralA2C, make_task_vec_env
from sb3_distral.errors import UsageError

from .toys import DICT_SPACE, IMAGE_SPACE, ScriptedVecEnv, Toy, assert_equal, same, training_state

TASKS = {"left": partial(Toy, reward=None), "right": partial(Toy, reward=None, length=6)}

VARIANTS = {
    "joint": {},
    "alternating": {"optimization": "alternating", "distillation_epochs": 2},
    "adam": {"use_rms_prop": False, "learning_rate": 1e-2},
    "alternating adam": {"optimization": "alternating", "use_rms_prop": False},
    "own optimizer": {"policy_kwargs": {"optimizer_class": th.optim.SGD, "optimizer_kwargs": {"momentum": 0.9}}},
    "schedules": {
        "alpha": lambda progress: 0.9 * progress,
        "beta": [10.0, lambda progress: 5 + 10 * progress],
        "learning_rate": lambda progress: 1e-3 * progress,
    },
    "one column": {"architecture": "one_column", "value_l2_coef": 0.005},
    "shared": {"architecture": "shared", "beta": float("inf"), "ent_coef": 0.01},
    "given weight": {"distilled_weight": 0.7, "normalize_advantage": True},
}


def scripted(start=0):
    return make_task_vec_env({"left": ScriptedVecEnv(2, start), "right": ScriptedVecEnv(1, start)})


# Weights, optimizers, counters, schedules and generators


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_loaded_model_goes_on_as_the_saved_one(variant, tmp_path):
    """The environment has no state to save; it is put at the step that comes next by hand."""
    model = DistralA2C(scripted(), seed=3, **VARIANTS[variant]).learn(90)
    model.save(tmp_path / "half")
    model.learn(90, reset_num_timesteps=False)

    loaded = DistralA2C.load(tmp_path / "half", env=scripted(start=90 // 3))
    assert not same(training_state(loaded), training_state(model))
    loaded.learn(90, reset_num_timesteps=False)
    assert_equal(training_state(loaded), training_state(model))


def test_what_is_loaded_is_what_was_saved(tmp_path):
    model = DistralA2C(scripted(), alpha=[0.2, 0.8], learning_rate=lambda progress: 1e-3 * progress).learn(90)
    model.save(tmp_path / "model")
    loaded = DistralA2C.load(tmp_path / "model", env=scripted())
    assert_equal(training_state(loaded), training_state(model))
    assert (loaded.n_envs, loaded.n_steps, loaded.learning_rate(0.5)) == (3, 5, 5e-4)


def test_the_weight_of_h_under_a_schedule_is_that_of_the_saved_model(tmp_path):
    """Else the same task acts differently before the save and after the load."""
    model = DistralA2C(scripted(), alpha=lambda progress: progress).learn(90)
    model.save(tmp_path / "model")
    loaded = DistralA2C.load(tmp_path / "model")
    assert loaded.policy.distilled_weights.tolist() == model.policy.distilled_weights.tolist()
    assert loaded.alpha(0.5) == 0.5


def test_generators_come_back(tmp_path):
    import random

    def draw():
        return random.random(), np.random.rand(), th.rand(1).item()

    DistralA2C(scripted(), seed=1).learn(30).save(tmp_path / "model")
    drawn = draw()
    th.manual_seed(0)
    DistralA2C.load(tmp_path / "model", env=scripted())
    assert draw() == drawn


def test_saving_changes_nothing_for_the_training_that_goes_on(tmp_path):
    def trained(save):
        model = DistralA2C(sb3_distral.tasks.make("two-rooms", seed=0, n_tasks=2), seed=0)

        def callback(local_variables, global_variables):
            if save and model.num_timesteps % 6 == 0:
                model.save(tmp_path / "model")
            return True

        return training_state(model.learn(100, callback))

    assert_equal(trained(save=True), trained(save=False))


def test_names_of_tasks_are_saved(tmp_path):
    DistralA2C(TASKS).save(tmp_path / "model")
    loaded = DistralA2C.load(tmp_path / "model")
    assert loaded.task_names == ["left", "right"]
    assert loaded.n_tasks == 2
    loaded.task_policy("right").predict(np.zeros(3, np.float32))


def test_episode_statistics_of_each_task_are_saved(tmp_path):
    DistralA2C({"left": Toy, "right": partial(Toy, reward=5.0)}).learn(80).save(tmp_path / "model")
    loaded = DistralA2C.load(tmp_path / "model", env=TASKS)
    loaded.learn(1, lambda *_: False, reset_num_timesteps=False)
    assert {name: episodes[-1]["r"] for name, episodes in loaded._task_episodes.items()} == {"left": 4.0, "right": 20.0}


def test_tasks_in_another_order_are_refused(tmp_path):
    DistralA2C(TASKS).save(tmp_path / "model")
    with pytest.raises(ValueError, match=r"order \['right', 'left'\].*order \['left', 'right'\].*model's order"):
        DistralA2C.load(tmp_path / "model", env=dict(reversed(TASKS.items())))


def test_another_number_of_tasks_is_refused(tmp_path):
    DistralA2C(TASKS).save(tmp_path / "model")
    with pytest.raises(UsageError, match=r"\['task-0', 'task-1', 'task-2'\], the model has \['left', 'right'\]"):
        DistralA2C.load(tmp_path / "model", env=[Toy] * 3)


# Prediction


@pytest.mark.parametrize("space", [None, DICT_SPACE, IMAGE_SPACE], ids=["vector", "dict", "image"])
def test_a_model_loaded_without_environment_predicts(space, tmp_path):
    model = DistralA2C([partial(Toy, observation_space=space)] * 2, policy_kwargs={"net_arch": [8]}).learn(10)
    model.save(tmp_path / "model")
    loaded = DistralA2C.load(tmp_path / "model")
    assert loaded.get_env() is None
    observation = Toy(observation_space=space).reset(seed=0)[0]
    for first, second in [
        (model, loaded),
        (model.distilled_policy, loaded.distilled_policy),
        (model.task_policy(1), loaded.task_policy(1)),
    ]:
        th.manual_seed(0)
        actions = [first.predict(observation)[0] for _ in range(20)]
        th.manual_seed(0)
        assert [second.predict(observation)[0] for _ in range(20)] == actions
    with_task = model.get_env().reset()
    arguments = {"deterministic": True}
    assert np.array_equal(model.predict(with_task, **arguments)[0], loaded.predict(with_task, **arguments)[0])


def test_a_model_loaded_without_environment_can_be_saved_and_given_one(tmp_path):
    DistralA2C(TASKS).learn(20).save(tmp_path / "first")
    DistralA2C.load(tmp_path / "first").save(tmp_path / "second")
    model = DistralA2C.load(tmp_path / "second")
    model.set_env(TASKS)
    assert model.learn(20, reset_num_timesteps=False).num_timesteps == 40


@pytest.mark.parametrize("architecture", ["shared", "one_column", "two_columns"])
def test_policies_are_saved_and_loaded_alone(architecture, tmp_path):
    model = DistralA2C(TASKS, architecture=architecture, policy_kwargs={"net_arch": [8]}).learn(20)
    observation = Toy().reset(seed=0)[0]
    tensor, _ = model.distilled_policy.obs_to_tensor(observation)
    for name, policy in (("pi0", model.distilled_policy), ("task", model.task_policy("right"))):
        policy.save(tmp_path / name)
        loaded = type(policy).load(tmp_path / name)
        with th.no_grad():
            probabilities = [p.get_distribution(tensor).distribution.probs for p in (policy, loaded)]
            assert th.equal(*probabilities)
            assert th.equal(policy.predict_values(tensor), loaded.predict_values(tensor))


# Arguments of save and load


def test_arguments_of_load_replace_what_was_saved(tmp_path):
    DistralA2C(TASKS, alpha=0.5).learn(20).save(tmp_path / "model")
    changed = {"learning_rate": 1e-5, "alpha": 0.1, "beta": [10.0, 20.0], "n_steps": 8, "n_envs_per_task": 3}
    loaded = DistralA2C.load(tmp_path / "model", env=TASKS, **changed)
    assert loaded.costs.alpha.tolist() == pytest.approx([0.1, 0.1])
    assert loaded.costs.kl.tolist() == pytest.approx([0.01, 0.005])
    assert loaded.n_envs == 6
    assert loaded.learn(48).policy.optimizer.param_groups[0]["lr"] == 1e-5
    assert loaded.rollout_buffer.buffer_size == 8


def test_another_alpha_at_loading_is_also_the_weight_of_h_in_the_logits(tmp_path):
    DistralA2C(TASKS, alpha=0.5).save(tmp_path / "model")
    loaded = DistralA2C.load(tmp_path / "model", env=TASKS, alpha=0.1).learn(20)
    assert loaded.costs.alpha.tolist() == pytest.approx([0.1, 0.1])
    assert loaded.policy.distilled_weights.tolist() == pytest.approx([0.1, 0.1])


def test_wrong_arguments_of_load_are_refused(tmp_path):
    DistralA2C(TASKS).save(tmp_path / "model")
    with pytest.raises(ValueError, match="alpha=7"):
        DistralA2C.load(tmp_path / "model", alpha=7.0)
    with pytest.raises(ValueError):
        DistralA2C.load(tmp_path / "model", policy_kwargs={"net_arch": [3]})


def test_custom_objects_replace_what_cannot_be_read(tmp_path):
    DistralA2C(TASKS, learning_rate=lambda progress: progress).save(tmp_path / "model")
    custom = {"learning_rate": 0.25, "lr_schedule": lambda _: 0.25}
    assert DistralA2C.load(tmp_path / "model", custom_objects=custom).learning_rate == 0.25


def test_a_file_object_takes_a_save(tmp_path):
    model = DistralA2C(TASKS, seed=0).learn(20)
    memory = io.BytesIO()
    model.save(memory)
    memory.seek(0)
    assert_equal(training_state(DistralA2C.load(memory, env=TASKS)), training_state(model))
    with (tmp_path / "model.bin").open("wb") as file:
        model.save(file)
    assert DistralA2C.load(tmp_path / "model.bin").task_names == ["left", "right"]


@pytest.mark.parametrize("name", ["model", "model.zip", "model.v2", "folder/in/folder/model"])
def test_files_are_named_as_in_stable_baselines3(name, tmp_path):
    DistralA2C(TASKS).save(str(tmp_path / name))
    files = [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()]
    assert files == [name if "." in name else f"{name}.zip"]
    assert DistralA2C.load(str(tmp_path / name)).n_tasks == 2


def test_a_save_may_exclude_and_include(tmp_path):
    model = DistralA2C(TASKS, seed=5).learn(20)
    model.save(tmp_path / "model", exclude=["seed", "_resume_state"], include=["_total_timesteps"])
    data, _, _ = save_util.load_from_zip_file(tmp_path / "model.zip")
    assert "seed" not in data and "_resume_state" not in data and data["_total_timesteps"] == 20
    loaded = DistralA2C.load(tmp_path / "model", env=TASKS)
    assert loaded.seed is None
    loaded.learn(20)


def test_a_save_holds_no_environment_and_no_logger(tmp_path):
    model = DistralA2C(TASKS).learn(20)
    model.save(tmp_path / "model")
    data, parameters, _ = save_util.load_from_zip_file(tmp_path / "model.zip")
    assert not {"env", "_logger", "policy", "rollout_buffer", "_distillation"} & set(data)
    assert set(parameters) == {"policy", "policy.optimizer"}
    assert model._resume_state is None


def test_as_many_environments_a_task_as_were_saved(tmp_path):
    DistralA2C(TASKS, n_envs_per_task=3).save(tmp_path / "model")
    assert DistralA2C.load(tmp_path / "model", env=TASKS).n_envs == 3 * len(TASKS)
    assert DistralA2C.load(tmp_path / "model", env=TASKS, n_envs_per_task=2).n_envs == 2 * len(TASKS)


@pytest.mark.parametrize("as_made", [False, True], ids=["tasks", "TaskVecEnv"])
def test_a_model_trains_on_in_environments_that_it_has_not_seen(as_made, tmp_path):
    model = DistralA2C(TASKS, n_envs_per_task=2, seed=0).learn(40)
    model.save(tmp_path / "model")
    new = {"left": partial(Toy, length=7), "right": partial(Toy, reward=None, length=2)}
    loaded = DistralA2C.load(tmp_path / "model", env=make_task_vec_env(new, 2) if as_made else new)
    assert_equal(training_state(loaded), training_state(model))
    assert loaded.n_envs == 4
    loaded.learn(40, reset_num_timesteps=False)
    assert loaded.num_timesteps == 80
    before, after = model.get_parameters()["policy"], loaded.get_parameters()["policy"]
    moved = {name for name in before if not th.equal(before[name], after[name])}
    assert {name.split(".")[0] for name in moved} == {"distilled_policy", "task_columns"}


@pytest.mark.parametrize("in_memory", [False, True], ids=["file", "file object"])
def test_a_file_of_another_algorithm_is_refused(in_memory, tmp_path):
    file = io.BytesIO() if in_memory else tmp_path / "a2c.zip"
    A2C("MlpPolicy", Toy()).save(file)
    with pytest.raises(UsageError, match=r"is no model of a Distral algorithm.*method save"):
        DistralA2C.load(file, env=TASKS)


def test_parameters_of_another_model_leave_alpha_as_it_is():
    model, other = DistralA2C(TASKS, alpha=0.5), DistralA2C(TASKS, alpha=1.0)
    model.set_parameters(other.get_parameters())
    assert model.policy.distilled_weights.tolist() == model.costs.alpha.tolist() == [0.5] * len(TASKS)


def test_a_schedule_that_has_no_value_at_the_end_can_be_loaded(tmp_path):
    model = DistralA2C(TASKS, beta=lambda remaining: 10.0 / remaining).learn(40)
    model.save(tmp_path / "model")
    assert DistralA2C.load(tmp_path / "model").costs.kl.tolist() == model.costs.kl.tolist()
