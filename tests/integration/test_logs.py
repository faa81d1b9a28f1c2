"""What is logged, and where."""

import numpy as np
import pytest
from stable_baselines3 import A2C
from stable_baselines3.common.logger import CSVOutputFormat, Logger
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from sb3_distral import DistralA2C, make_task_vec_env

from .toys import TASKS, ScriptedVecEnv, Toy, logged


def test_everything_that_a2c_logs_is_logged_and_each_task_has_keys_of_its_own(tmp_path):
    of_a2c = logged(A2C("MlpPolicy", Monitor(Toy())), 20, tmp_path / "a2c")
    log = logged(DistralA2C(TASKS), 40, tmp_path / "distral")
    by_task = {
        f"{prefix}/{task}/{value}"
        for task in TASKS
        for prefix, value in (
            ("rollout", "ep_rew_mean"),
            ("rollout", "ep_len_mean"),
            ("distral", "kl"),
            ("distral", "entropy"),
        )
    }
    assert set(of_a2c) | by_task | {"distral/distillation_loss", "train/loss"} == set(log)
    assert all(np.isfinite(float(value)) for value in log.values() if value)


def test_statistics_of_tasks_never_mix(tmp_path):
    log = {key: float(value) for key, value in logged(DistralA2C(TASKS, n_envs_per_task=2), 240, tmp_path).items()}
    assert log["rollout/poor/ep_rew_mean"] == 3.0
    assert log["rollout/rich/ep_rew_mean"] == 500.0
    assert log["rollout/poor/ep_len_mean"] == 3.0
    assert log["rollout/rich/ep_len_mean"] == 5.0
    assert 3.0 < log["rollout/ep_rew_mean"] < 500.0
    assert 0.0 < log["distral/poor/entropy"] <= np.log(2) + 1e-6


def test_statistics_of_tasks_stay_apart_where_an_architecture_shares_everything(tmp_path):
    log = logged(DistralA2C(TASKS, architecture="shared", beta=float("inf")), 80, tmp_path)
    assert float(log["rollout/poor/ep_rew_mean"]) == 3.0
    assert float(log["rollout/rich/ep_rew_mean"]) == 500.0


def test_the_window_of_statistics_holds_for_each_task():
    model = DistralA2C(TASKS, n_envs_per_task=2, stats_window_size=4).learn(400)
    assert {name: len(episodes) for name, episodes in model._task_episodes.items()} == {"poor": 4, "rich": 4}
    assert len(model.ep_info_buffer) == 4


def test_success_rates_are_logged(tmp_path):
    class Successful(Toy):
        def step(self, action):
            *rest, _info = super().step(action)
            return *rest, {"is_success": True}

    assert float(logged(DistralA2C([Successful, Successful]), 40, tmp_path)["rollout/success_rate"]) == 1.0


def test_a_custom_logger_is_kept(task_env, tmp_path):
    logger = Logger(str(tmp_path), [CSVOutputFormat(str(tmp_path / "own.csv"))])
    model = DistralA2C(task_env)
    model.set_logger(logger)
    model.learn(40, log_interval=1)
    assert model.logger is logger
    logger.close()
    assert "rollout/rich/ep_rew_mean" in (tmp_path / "own.csv").read_text()


def test_tensorboard_gets_the_scalars_of_each_task(task_env, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model = DistralA2C(task_env, tensorboard_log=str(tmp_path)).learn(80, log_interval=1)
    model.logger.close()
    model.learn(40, log_interval=1, tb_log_name="other", reset_num_timesteps=False)
    model.logger.close()
    folders = sorted(path.name for path in tmp_path.iterdir())
    assert folders == ["DistralA2C_1", "other_0"] or folders == ["DistralA2C_1", "other_1"]
    events = EventAccumulator(str(tmp_path / "DistralA2C_1"))
    events.Reload()
    assert {"rollout/ep_rew_mean", "rollout/rich/ep_rew_mean", "distral/poor/kl"} <= set(events.Tags()["scalars"])
    assert [event.value for event in events.Scalars("rollout/rich/ep_rew_mean")][-1] == 500.0


def test_verbose_prints_a_table_with_the_tasks(task_env, capsys):
    DistralA2C(task_env, verbose=1).learn(40, log_interval=1)
    table = capsys.readouterr().out
    assert "poor/ep_rew_mean" in table and "rich/ep_rew_mean" in table and "distillation_loss" in table


@pytest.mark.parametrize(
    "ids", [["sb3_distral/GridMaze-0-v0"] * 2, ["sb3_distral/TwoRooms-0-v0", "sb3_distral/TwoRooms-1-v0"]]
)
def test_verbose_prints_a_table_of_tasks_named_by_registered_ids(ids, capsys):
    names = make_task_vec_env(ids).task_names
    DistralA2C(dict.fromkeys(names, Toy), verbose=1).learn(40, log_interval=1)
    assert "ep_rew_mean" in capsys.readouterr().out


def test_verbose_prints_a_table_of_tasks_with_long_names(capsys):
    names = [f"a name that says what the task is about number {n}" for n in range(2)]
    DistralA2C(dict.fromkeys(names, Toy), verbose=1).learn(40, log_interval=1)
    assert "ep_rew_mean" in capsys.readouterr().out


def test_files_keep_the_whole_names_of_tasks(tmp_path):
    names = [f"a name that says what the task is about number {n}" for n in range(2)]
    log = logged(DistralA2C(dict.fromkeys(names, Toy)), 40, tmp_path)
    assert {f"rollout/{name}/ep_rew_mean" for name in names} | {f"distral/{name}/kl" for name in names} <= set(log)


def test_vec_envs_without_a_monitor_train_without_statistics(tmp_path):
    log = logged(DistralA2C([ScriptedVecEnv(), ScriptedVecEnv()]), 60, tmp_path)
    assert "rollout/ep_rew_mean" not in log
    assert "distral/task-0/kl" in log


def test_vec_monitor_around_the_tasks_logs_their_own_returns(tmp_path):
    venvs = {name: DummyVecEnv([make] * 2) for name, make in TASKS.items()}
    env = VecMonitor(make_task_vec_env(venvs), str(tmp_path / "monitor"))
    log = logged(DistralA2C(env, beta=0.1), 240, tmp_path)
    env.results_writer.close()
    assert float(log["rollout/poor/ep_rew_mean"]) == 3.0
    assert float(log["rollout/rich/ep_rew_mean"]) == 500.0
    assert (tmp_path / "monitor.monitor.csv").read_text().count("500.0") > 3
