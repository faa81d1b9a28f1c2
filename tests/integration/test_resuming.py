"""A training that was stopped, or killed, goes on in the place in every task as if never stopped."""

import signal
import time
from functools import partial

import numpy as np
import pytest
from stable_baselines3.common.callbacks import CheckpointCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnvWrapper, VecFrameStack, VecNormalize

import sb3_distral.tasks
from sb3_distral import DistralA2C
from sb3_distral.algorithms.checkpoint import RolloutCheckpointCallback

from .toys import Toy, assert_equal, start, training_state

TASKS = {"left": partial(Toy, reward=None), "right": partial(Toy, reward=None, length=6)}


def last_checkpoint(folder):
    return max(folder.glob("*_steps.zip"), key=lambda path: int(path.stem.split("_")[-2]))


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
