"""A save holds everything: a training that was stopped, or killed, goes on as if never stopped."""

import contextlib
import io
import pathlib
import signal
import subprocess
import sys
import textwrap
import time
from functools import partial

import numpy as np
import pytest
import torch as th
from stable_baselines3.common import save_util
from stable_baselines3.common.callbacks import CheckpointCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnvWrapper, VecFrameStack, VecNormalize

import sb3_distral.tasks
from sb3_distral import DistralA2C, make_task_vec_env
from sb3_distral.algorithms.checkpoint import RolloutCheckpointCallback

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


def last_checkpoint(folder):
    return max(folder.glob("*_steps.zip"), key=lambda path: int(path.stem.split("_")[-2]))


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
    with pytest.raises(ValueError):
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


# The place in every task


def suite(name, normalizes=False, **arguments):
    env = sb3_distral.tasks.make(name, n_envs_per_task=2, seed=0, n_tasks=2, **arguments)
    return VecNormalize(env, norm_obs_keys=["obs"]) if normalizes else env


def observed(model):
    """What the environment would show at this moment."""
    env = model.get_env()
    observations = env.batch._observe(slice(None))
    return env.normalize_obs({"obs": observations})["obs"] if isinstance(env, VecNormalize) else observations


CASES = {
    "mazes": ("grid-mazes", False, {}),
    "rooms": ("two-rooms", False, {"optimization": "alternating"}),
    "normalized": ("two-rooms", True, {"use_rms_prop": False, "normalize_advantage": True}),
}
#: Steps of half a training: long enough that episodes have ended, and that one is under way in the middle.
HALF = 1000

RESUME = """
    import sys
    import torch
    from stable_baselines3.common.vec_env import VecNormalize
    import sb3_distral
    torch.set_num_threads(1)
    for case, suite, normalizes in {cases}:
        env = sb3_distral.tasks.make(suite, n_envs_per_task=2, seed=99, n_tasks=2)
        env = VecNormalize(env, norm_obs_keys=["obs"]) if normalizes else env
        model = sb3_distral.DistralA2C.load(f"{folder}/{{case}}-half", env=env)
        model.learn({half}, reset_num_timesteps=False).save(f"{folder}/{{case}}-resumed")
"""


def start(script, **values):
    command = [sys.executable, "-c", textwrap.dedent(script).format(**values)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def resumed(tmp_path_factory):
    """A folder with models saved half-way here and trained to the end in one other process."""
    folder = tmp_path_factory.mktemp("resumed")
    for case, (name, normalizes, arguments) in CASES.items():
        DistralA2C(suite(name, normalizes), seed=0, **arguments).learn(HALF).save(folder / f"{case}-half")
    cases = [(case, name, normalizes) for case, (name, normalizes, _) in CASES.items()]
    process = start(RESUME, cases=cases, folder=folder, half=HALF)
    _, errors = process.communicate(timeout=900)
    assert process.returncode == 0, errors
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_resuming_in_a_new_process_equals_never_stopping(case, resumed):
    name, normalizes, arguments = CASES[case]
    whole = DistralA2C(suite(name, normalizes), seed=0, **arguments).learn(HALF)
    whole.learn(HALF, reset_num_timesteps=False)
    after = DistralA2C.load(resumed / f"{case}-resumed", env=suite(name, normalizes))
    assert_equal(training_state(after), training_state(whole))
    assert_equal(after._last_obs, whole._last_obs)
    assert_equal(after.get_env().unwrapped.get_state(), whole.get_env().unwrapped.get_state())
    assert_equal(after.get_env().episode_returns, whole.get_env().episode_returns)
    if normalizes:
        one, other = after.get_env(), whole.get_env()
        assert_equal([one.obs_rms["obs"].mean, one.ret_rms.var], [other.obs_rms["obs"].mean, other.ret_rms.var])
        assert np.array_equal(one.returns, other.returns)


@pytest.mark.parametrize("name", ["grid-mazes", "two-rooms"])
@pytest.mark.parametrize("normalizes", [False, True])
def test_a_save_amid_a_roll_out_is_consistent(name, normalizes, tmp_path):
    """Of such a roll-out the first part is lost, but observation, ends and place in the tasks belong together."""
    DistralA2C(suite(name, normalizes), n_steps=5).learn(400, CheckpointCallback(33, str(tmp_path)))
    assert last_checkpoint(tmp_path).stem == "rl_model_396_steps"
    model = DistralA2C.load(last_checkpoint(tmp_path), env=suite(name, normalizes))
    assert model.num_timesteps == 396
    assert np.array_equal(model._last_obs["obs"], observed(model))
    assert model._last_obs["task"].tolist() == [0, 0, 1, 1]
    assert (model.get_env().unwrapped._elapsed_steps == model.get_env().episode_lengths).all()
    assert model.learn(100, reset_num_timesteps=False).num_timesteps >= 496
    assert np.array_equal(model._last_obs["obs"], observed(model))


def test_the_restored_ends_of_episodes_belong_to_the_observation(tmp_path):
    """Saved at the very step that ended every episode."""
    model = DistralA2C(suite("grid-mazes"), n_steps=5)
    model.learn(200 * 4)
    assert model._last_episode_starts.all()
    model.save(tmp_path / "model")
    loaded = DistralA2C.load(tmp_path / "model", env=suite("grid-mazes"))
    assert loaded._last_episode_starts.all()
    assert not loaded.get_env().unwrapped._elapsed_steps.any()


def test_an_environment_without_state_is_reset(tmp_path):
    DistralA2C(TASKS).learn(20).save(tmp_path / "model")
    loaded = DistralA2C.load(tmp_path / "model", env=TASKS)
    assert loaded._last_obs is None
    loaded.learn(20, reset_num_timesteps=False)
    assert loaded.num_timesteps == 40


def test_force_reset_resets_what_could_be_put_back(tmp_path):
    DistralA2C(suite("two-rooms")).learn(20).save(tmp_path / "model")
    loaded = DistralA2C.load(tmp_path / "model", env=suite("two-rooms"), force_reset=True)
    assert loaded._last_obs is None
    loaded.learn(20, reset_num_timesteps=False)


def test_another_number_of_environments_is_reset(tmp_path):
    DistralA2C(suite("two-rooms")).learn(20).save(tmp_path / "model")
    loaded = DistralA2C.load(tmp_path / "model", env=sb3_distral.tasks.make("two-rooms", 3, n_tasks=2))
    assert loaded._last_obs is None
    loaded.learn(30, reset_num_timesteps=False)
    assert np.array_equal(loaded._last_obs["obs"], observed(loaded))


def test_other_mazes_do_not_take_over_the_observations_of_the_old(tmp_path):
    DistralA2C(suite("grid-mazes")).learn(40).save(tmp_path / "model")
    loaded = DistralA2C.load(tmp_path / "model", env=suite("grid-mazes", maze_seed=1))
    assert loaded._last_obs is None or np.array_equal(loaded._last_obs["obs"], observed(loaded))


def test_a_model_saved_without_normalization_starts_well_under_one(tmp_path):
    DistralA2C(suite("two-rooms")).learn(404).save(tmp_path / "model")
    loaded = DistralA2C.load(tmp_path / "model", env=suite("two-rooms", normalizes=True))
    assert loaded._last_obs is None or np.array_equal(loaded._last_obs["obs"], observed(loaded))
    task_env = loaded.get_env().venv
    assert "episode_lengths" not in vars(task_env), "the monitor's numbers belong to the monitor"
    assert loaded._last_obs is None or np.array_equal(task_env.venv.episode_lengths, task_env.unwrapped._elapsed_steps)
    loaded.learn(400, reset_num_timesteps=False)


def test_a_model_saved_under_normalization_starts_well_without(tmp_path):
    DistralA2C(suite("two-rooms", normalizes=True)).learn(400).save(tmp_path / "model")
    loaded = DistralA2C.load(tmp_path / "model", env=suite("two-rooms"))
    assert loaded._last_obs is None or np.array_equal(loaded._last_obs["obs"], observed(loaded))
    loaded.learn(400, reset_num_timesteps=False)


def test_a_wrapper_of_unknown_state_is_reset(tmp_path):
    class Counting(VecEnvWrapper):
        def reset(self):
            return self.venv.reset()

        def step_wait(self):
            return self.venv.step_wait()

    def wrapped():
        return Counting(suite("two-rooms"))

    DistralA2C(wrapped()).learn(20).save(tmp_path / "model")
    assert DistralA2C.load(tmp_path / "model", env=wrapped())._last_obs is None
    assert DistralA2C.load(tmp_path / "model", env=suite("two-rooms"))._last_obs is None


def test_a_model_of_a_suite_moves_to_environments_without_state(tmp_path):
    DistralA2C(suite("two-rooms")).learn(20).save(tmp_path / "model")
    ids = {f"two-rooms-{task}": f"sb3_distral/TwoRooms-{task}-v0" for task in range(2)}
    loaded = DistralA2C.load(tmp_path / "model", env=ids, n_envs_per_task=2)
    assert loaded._last_obs is None
    loaded.learn(20, reset_num_timesteps=False)


def test_frame_stacks_inside_tasks_are_reset(tmp_path):
    def stacked():
        return [VecFrameStack(DummyVecEnv([Toy]), 2) for _ in range(2)]

    DistralA2C(stacked()).learn(20).save(tmp_path / "model")
    assert DistralA2C.load(tmp_path / "model", env=stacked()).learn(20, reset_num_timesteps=False).num_timesteps == 40


# Checkpoints


def test_checkpoints_between_roll_outs_continue_schedules_exactly(tmp_path):
    def make():
        arguments = {"alpha": lambda progress: progress, "learning_rate": lambda progress: 1e-3 * progress}
        return DistralA2C(suite("two-rooms"), seed=0, **arguments)

    whole = make().learn(600, RolloutCheckpointCallback(save_freq=12, save_path=str(tmp_path)))
    steps = sorted(int(path.stem.split("_")[-2]) for path in tmp_path.iterdir())
    # Every 12 calls are 48 steps, and the next roll-out begins at a multiple of 20 steps.
    assert steps == list(range(60, 600, 60))
    loaded = DistralA2C.load(tmp_path / "checkpoint_180_steps", env=suite("two-rooms"))
    assert loaded.costs.alpha.tolist() == pytest.approx([1 - 180 / 600] * 2)
    loaded.learn(600 - 180, reset_num_timesteps=False)
    assert_equal(training_state(loaded), training_state(whole))


KILLED = """
    import time
    import torch
    import sb3_distral
    from sb3_distral.algorithms.checkpoint import RolloutCheckpointCallback
    torch.set_num_threads(1)

    def slowly(local_variables, global_variables):
        time.sleep(0.01)
        return True

    env = sb3_distral.tasks.make("two-rooms", n_envs_per_task=2, seed=0, n_tasks=2)
    model = sb3_distral.DistralA2C(env, seed=0, alpha=lambda progress: progress)
    model.learn({total}, [RolloutCheckpointCallback(20, "{folder}"), slowly])
"""


@pytest.mark.slow
def test_a_training_that_was_killed_ends_as_one_that_was_not(tmp_path):
    total = 4000
    process = start(KILLED, total=total, folder=tmp_path)
    deadline = time.monotonic() + 900
    while len(list(tmp_path.glob("*_steps.zip"))) < 3:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL

    model = DistralA2C.load(last_checkpoint(tmp_path), env=suite("two-rooms"))
    assert 0 < model.num_timesteps < total, "killed in the middle"
    model.learn(total - model.num_timesteps, reset_num_timesteps=False)
    whole = DistralA2C(suite("two-rooms"), seed=0, alpha=lambda progress: progress).learn(total)
    assert_equal(training_state(model), training_state(whole))


# Interrupted saves


class Interruption(BaseException):
    """Anything, a keyboard interrupt included."""


def fail_at_call(number, function):
    calls = []

    def failing(*args, **kwargs):
        calls.append(args)
        if len(calls) == number:
            raise Interruption
        return function(*args, **kwargs)

    return failing


FAILURES = {
    "before anything is written": (save_util, "data_to_json", 1),
    "at the variables": (save_util.th, "save", 1),
    "at the policy": (save_util.th, "save", 2),
    "at the optimizer": (save_util.th, "save", 3),
    "at the end of the archive": (save_util, "get_system_info", 1),
    "before the rename": (pathlib.Path, "replace", 1),
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupted_save_leaves_the_previous_file(failure, tmp_path, monkeypatch):
    model = DistralA2C(TASKS, seed=0).learn(20)
    model.save(tmp_path / "model")
    before, contents = training_state(model), (tmp_path / "model.zip").read_bytes()
    model.learn(20, reset_num_timesteps=False)
    owner, name, call = FAILURES[failure]
    with monkeypatch.context() as patch, pytest.raises(Interruption):
        patch.setattr(owner, name, fail_at_call(call, getattr(owner, name)))
        model.save(tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model.zip"], "no part of a file is left"
    assert (tmp_path / "model.zip").read_bytes() == contents
    assert DistralA2C.load(tmp_path / "model").num_timesteps == before["num_timesteps"] == 20
    model.save(tmp_path / "model")
    assert DistralA2C.load(tmp_path / "model").num_timesteps == 40
    assert model._resume_state is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupted_first_save_leaves_no_file(tmp_path, monkeypatch):
    model = DistralA2C(TASKS)
    with monkeypatch.context() as patch, pytest.raises(Interruption):
        patch.setattr(save_util.th, "save", fail_at_call(2, th.save))
        model.save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


SAVING = """
    import os, signal, sys, time
    import torch
    import sb3_distral
    torch.set_num_threads(1)
    env = sb3_distral.tasks.make("two-rooms", n_envs_per_task=4, seed=0, n_tasks=4)
    model = sb3_distral.DistralA2C(env, seed=0).learn(80)
    path = "{folder}/model.zip"
    model.save(path)
    for trial in range({trials}):
        child = os.fork()
        if child == 0:
            while True:
                model.save(path)
        time.sleep(0.05 + 0.013 * trial)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert sb3_distral.DistralA2C.load(path).num_timesteps == 80
        print("readable", flush=True)
"""


@pytest.mark.slow
def test_saves_that_are_killed_leave_a_readable_file(tmp_path):
    process = start(SAVING, folder=tmp_path, trials=12)
    output, errors = process.communicate(timeout=900)
    assert output.split() == ["readable"] * 12, errors


def test_a_file_that_is_whole_replaces_the_old_one_in_one_step(tmp_path, monkeypatch):
    """Until the rename, a reader finds the old file under the name."""
    model = DistralA2C(TASKS).learn(20)
    model.save(tmp_path / "model")
    model.learn(20, reset_num_timesteps=False)
    read, replace = [], pathlib.Path.replace

    def watched(self, target):
        read.append(DistralA2C.load(target).num_timesteps)
        read.append(DistralA2C.load(self).num_timesteps)
        return replace(self, target)

    monkeypatch.setattr(pathlib.Path, "replace", watched)
    model.save(tmp_path / "model")
    assert read == [20, 40]


def test_a_save_that_fails_leaves_a_model_that_trains(tmp_path):
    model = DistralA2C(TASKS).learn(20)
    with contextlib.suppress(OSError):
        model.save(tmp_path / ("x" * 400))
    assert model._resume_state is None
    model.learn(20, reset_num_timesteps=False).save(tmp_path / "model")
    assert DistralA2C.load(tmp_path / "model", env=TASKS).num_timesteps == 40


def test_a_model_whose_tasks_were_renamed_can_be_loaded(tmp_path):
    model = DistralA2C({"a": Toy, "b": Toy}, alpha={"a": 0.25, "b": 1.0})
    model.set_env({"c": Toy, "d": Toy})
    model.save(tmp_path / "model")
    loaded = DistralA2C.load(tmp_path / "model")
    assert loaded.task_names == ["c", "d"] and loaded.costs.alpha.tolist() == [0.25, 1.0]


def test_as_many_environments_a_task_as_were_saved(tmp_path):
    DistralA2C(TASKS, n_envs_per_task=3).save(tmp_path / "model")
    assert DistralA2C.load(tmp_path / "model", env=TASKS).n_envs == 3 * len(TASKS)
    assert DistralA2C.load(tmp_path / "model", env=TASKS, n_envs_per_task=2).n_envs == 2 * len(TASKS)


def test_parameters_of_another_model_leave_alpha_as_it_is():
    model, other = DistralA2C(TASKS, alpha=0.5), DistralA2C(TASKS, alpha=1.0)
    model.set_parameters(other.get_parameters())
    assert model.policy.distilled_weights.tolist() == model.costs.alpha.tolist() == [0.5] * len(TASKS)


def test_a_schedule_that_has_no_value_at_the_end_can_be_loaded(tmp_path):
    model = DistralA2C(TASKS, beta=lambda remaining: 10.0 / remaining).learn(40)
    model.save(tmp_path / "model")
    assert DistralA2C.load(tmp_path / "model").costs.kl.tolist() == model.costs.kl.tolist()
