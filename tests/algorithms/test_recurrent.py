"""Training with LSTM columns: plain actor-critic where it must equal it, whole sequences, exact resumption, memory."""

import numpy as np
import pytest
import torch as th
from helpers import (
    TableEnv,
    assert_equal_parameters,
    copied_parameters,
    prepare,
    roll_out,
    table_task,
    table_tasks,
)
from recurrent_helpers import HIDDEN_SIZE, CueTask, cue_tasks, recurrent
from sb3_contrib import RecurrentPPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import DummyVecEnv

import sb3_distral.tasks
from sb3_distral import DistilledPriorReward, DistralA2C, RecurrentDistralA2C, make_task_vec_env
from sb3_distral.networks.lstm import LstmColumn, evaluate_lstm_column

NO_COSTS = {"beta": float("inf"), "architecture": "one_column"}
COSTS = {"alpha": 0.6, "beta": 4.0}


class PlainColumn(LstmColumn):
    """A column that sb3-contrib's loss trains through: its own cuts the gradient of the value off."""

    def evaluate_actions(self, obs, actions, lstm_states, episode_starts):
        outputs, values, _ = evaluate_lstm_column(self, obs, lstm_states.pi, episode_starts)
        log_policy = th.log_softmax(outputs, dim=1)
        log_prob = log_policy.gather(1, actions.unsqueeze(1)).squeeze(1)
        return values, log_prob, -(log_policy.exp() * log_policy).sum(dim=1)


@pytest.mark.parametrize("time_limit", [1000, 7], ids=["no ends", "episodes end inside roll-outs"])
def test_one_task_without_costs_is_plain_actor_critic(time_limit, monkeypatch):
    """RecurrentPPO with one epoch, one minibatch and no clipping: at a ratio of 1 its gradient is A2C's."""
    # It cuts a sequence in two at a place that it draws; at the first row there is nothing to cut.
    monkeypatch.setattr(np.random, "randint", lambda high: 0)
    common = {
        "n_steps": 20,
        "gamma": 0.97,
        "ent_coef": 0.02,
        "learning_rate": 3e-3,
        "seed": 1,
        "device": "cpu",
    }
    kwargs = {"lstm_hidden_size": HIDDEN_SIZE, "optimizer_class": th.optim.Adam}
    plain = RecurrentPPO(
        PlainColumn,
        DummyVecEnv([table_task(0, time_limit=time_limit)] * 3),
        batch_size=60,
        n_epochs=1,
        clip_range=1e9,
        gae_lambda=1.0,
        normalize_advantage=False,
        policy_kwargs=kwargs,
        **common,
    )
    tasks = [table_task(0, time_limit=time_limit)]
    model = RecurrentDistralA2C(tasks, n_envs_per_task=3, policy_kwargs=kwargs, **NO_COSTS, **common)
    initial = copied_parameters(plain.policy)
    assert_equal_parameters(copied_parameters(model.task_policy(0)), initial)
    for each in (plain, model):
        th.manual_seed(7)
        each.learn(15 * 60)
    expected = copied_parameters(plain.policy)
    assert max(float((expected[name] - initial[name]).abs().max()) for name in initial) > 1e-2
    assert_equal_parameters(copied_parameters(model.task_policy(0)), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("architecture", ["two_columns", "one_column"])
def test_a_roll_out_as_sequences_is_the_roll_out_step_by_step(architecture, monkeypatch):
    """The policies of the steps that chose the actions, against those of the whole sequences which the update takes."""
    model = recurrent(table_tasks(time_limit=4), n_envs_per_task=2, architecture=architecture, n_steps=11, **COSTS)
    evaluate, steps = model.policy.evaluate, []

    def evaluate_and_keep(*args, **kwargs):
        steps.append(evaluate(*args, **kwargs))
        return steps[-1]

    monkeypatch.setattr(model.policy, "evaluate", evaluate_and_keep)
    callback = prepare(model)
    for _ in range(2):
        # The second begins amid episodes, from states that are not zero.
        steps.clear()
        roll_out(model, callback)
        assert len(steps) == 11
        with th.no_grad():
            data = next(model.rollout_buffer.get())
            again = evaluate(data.observations, model.rollout_memory(), distilled=True)
        for name in ("task_parameters", "distilled_parameters", "values"):
            expected = th.stack([getattr(step, name) for step in steps], dim=1).flatten(0, 1)
            th.testing.assert_close(getattr(again, name), expected, rtol=1e-4, atol=1e-5)
        log_prob = model.policy.family.log_prob(again.task_parameters, data.actions)
        th.testing.assert_close(log_prob, data.old_log_prob, rtol=1e-4, atol=1e-5)
        th.testing.assert_close(again.values.flatten(), data.old_values, rtol=1e-4, atol=1e-5)
    assert model.rollout_memory().distilled[0].abs().sum() > 0


def test_the_batch_is_one_sequence_for_each_sub_environment():
    model = recurrent(table_tasks(2, time_limit=4), n_envs_per_task=2, n_steps=6)
    rows = roll_out(model)
    data = next(model.rollout_buffer.get())
    assert data.observations["task"].flatten().tolist() == [0] * 12 + [1] * 12
    assert data.episode_starts.view(4, 6).tolist() == [[1, 0, 0, 0, 1, 0]] * 4
    assert th.equal(data.returns, rows.returns.view(6, 4).T.flatten())
    assert data.mask.tolist() == [1.0] * 24


def test_gradients_run_back_over_the_whole_roll_out():
    """π0's loss at the last step moves with what it saw at the first."""
    model = recurrent([CueTask], n_steps=4, **COSTS)
    roll_out(model)
    observations = th.tensor(model.rollout_buffer.observations["obs"][:, 0], requires_grad=True)
    model.policy.evaluate_distilled(observations, model.rollout_memory())[0][-1, 0].backward()
    assert observations.grad is not None
    assert (observations.grad.abs().sum(dim=1) > 0).all()


def test_the_loop_is_that_of_sb3_contrib(monkeypatch):
    calls = []
    monkeypatch.setattr(RecurrentPPO, "collect_rollouts", lambda self, *args: calls.append(type(self)))
    recurrent([CueTask]).collect_rollouts(None, None, None, 0)
    assert calls == [RecurrentDistralA2C]


def test_a_truncated_episode_is_continued_by_the_value_of_its_last_state():
    model = recurrent([table_task(0, time_limit=3, constant_reward=0.0)], n_steps=3, **NO_COSTS)
    roll_out(model)
    env = TableEnv(0, time_limit=3, constant_reward=0.0)
    rewards = model.rollout_buffer.rewards.flatten()
    column = model.task_policy(0)
    states = model.rollout_buffer.observations["obs"][:, 0]
    env.reset()
    env.state = int(states[-1].argmax())
    last = env.step(int(model.rollout_buffer.actions[-1, 0, 0]))[0]
    sequence = th.tensor(np.concatenate([states, [last]]))
    zeros = (th.zeros(1, 1, HIDDEN_SIZE), th.zeros(1, 1, HIDDEN_SIZE))
    with th.no_grad():
        values = evaluate_lstm_column(column, sequence, zeros, th.zeros(4))[1]
    assert rewards[:2].tolist() == [0.0, 0.0]
    assert rewards[2] == pytest.approx(model.gamma * float(values[-1]), rel=1e-4)


@pytest.mark.parametrize(
    "arguments",
    [
        {"optimization": "alternating", "distillation_epochs": 2},
        {"value_l2_coef": 0.1},
        {"architecture": "one_column", "value_l2_coef": 0.1, "alpha": 0.0, "beta": float("inf")},
        {"alpha": lambda remaining: remaining, "architecture": "one_column"},
        {"policy_kwargs": {"lstm_hidden_size": 4, "n_lstm_layers": 2, "net_arch": [3]}},
        {"normalize_advantage": True, "alpha": [0.2, 0.8]},
    ],
    ids=lambda arguments: " ".join(arguments),
)
def test_all_that_distral_offers_trains_recurrent_columns(arguments):
    model = recurrent(cue_tasks(), n_envs_per_task=2, **arguments)
    before = copied_parameters(model.policy)
    model.learn(5 * 24)
    after = copied_parameters(model.policy)
    moved = {name.split(".")[0] for name in before if not th.equal(before[name], after[name])}
    assert moved == {"task_columns", "distilled_policy"}
    assert all(parameter.isfinite().all() for parameter in after.values())


def test_rows_of_two_tasks_do_not_mix():
    """A task's column is trained by its own sequences alone, whatever the others' rewards are."""
    steps = []
    for scale in (1.0, 100.0):
        tasks = [table_task(0), table_task(1, reward_scale=scale)]
        model = recurrent(tasks, n_envs_per_task=2, **NO_COSTS)
        model.learn(3 * 24)
        steps.append([copied_parameters(model.task_policy(task)) for task in range(2)])
    assert_equal_parameters(steps[0][0], steps[1][0])
    with pytest.raises(AssertionError):
        assert_equal_parameters(steps[0][1], steps[1][1])


# Resumption


def mazes():
    return sb3_distral.tasks.make("grid-mazes", 2, seed=5, n_tasks=2)


def state_of(model):
    return copied_parameters(model.policy), model.policy.last_state


def assert_equal_states(first, second):
    assert_equal_parameters(first[0], second[0])
    for own, other in zip(first[1], second[1], strict=True):
        assert th.equal(own, other)


def test_a_loaded_model_goes_on_as_if_never_stopped(tmp_path):
    straight = recurrent(mazes(), n_steps=8, **COSTS)
    straight.learn(10 * 32)
    straight.save(tmp_path / "half")
    straight.learn(10 * 32, reset_num_timesteps=False)

    resumed = RecurrentDistralA2C.load(tmp_path / "half", env=mazes())
    resumed.learn(10 * 32, reset_num_timesteps=False)
    assert_equal_states(state_of(resumed), state_of(straight))


class SavesAt(BaseCallback):
    """Saves after a number of steps of all sub-environments, and keeps what the columns remembered then."""

    def __init__(self, n_calls, path):
        super().__init__()
        self.save_at, self.path = n_calls, path

    def _on_step(self):
        if self.n_calls == self.save_at:
            self.model.save(self.path)
            self.state = [part.clone() for part in self.model.policy.last_state]
            self.one_behind = [part.clone() for part in self.model._last_lstm_states.pi]
        return True


def test_a_save_amid_a_roll_out_holds_the_state_after_the_last_step(tmp_path):
    model = recurrent(mazes(), n_steps=8, **COSTS)
    callback = SavesAt(11, tmp_path / "amid")
    model.learn(2 * 32, callback=callback)
    loaded = RecurrentDistralA2C.load(tmp_path / "amid", env=mazes())
    assert loaded._last_obs is not None
    assert all(th.equal(own, other) for own, other in zip(loaded._last_lstm_states.pi, callback.state, strict=True))
    assert not th.equal(callback.state[0], callback.one_behind[0])


def test_a_model_without_environment_predicts_with_memory(tmp_path):
    model = recurrent(cue_tasks())
    model.save(tmp_path / "model")
    loaded = RecurrentDistralA2C.load(tmp_path / "model")
    observation = np.ones((1, 3), dtype=np.float32)
    for policy, other in ((loaded, model), (loaded.task_policy(1), model.task_policy(1))):
        assert np.array_equal(policy.predict(observation)[1][0], other.predict(observation)[1][0])


def test_a_recurrent_prior_remembers_the_episode_of_the_new_task():
    """The reward of each step is that under π0 run over the whole episode, which begins anew after a reset."""
    prior = recurrent(cue_tasks()).distilled_policy
    env = DistilledPriorReward(CueTask(), prior, alpha=0.5, beta=2.0)
    for seed in (0, 1):
        observations, rewards = [env.reset(seed=seed)[0]], []
        for action in (0, 1, 1, 0):
            observation, reward, _, _, info = env.step(action)
            observations.append(observation)
            rewards.append(reward - info["task_reward"])
        zeros = (th.zeros(1, 1, HIDDEN_SIZE), th.zeros(1, 1, HIDDEN_SIZE))
        with th.no_grad():
            outputs, _, _ = evaluate_lstm_column(prior, th.tensor(np.array(observations[:4])), zeros, th.zeros(4))
        expected = 0.25 * th.log_softmax(outputs, dim=1)[range(4), [0, 1, 1, 0]]
        np.testing.assert_allclose(rewards, expected, rtol=1e-4)


# What a memory is for


@pytest.fixture(scope="module")
def trained():
    arguments = {"n_envs_per_task": 8, "seed": 0, "device": "cpu", "learning_rate": 5e-3, "alpha": 0.5, "beta": 50.0}
    return {
        "recurrent": RecurrentDistralA2C(cue_tasks(), policy_kwargs={"lstm_hidden_size": 16}, **arguments).learn(
            24_000
        ),
        "memoryless": DistralA2C(cue_tasks(), n_steps=20, policy_kwargs={"net_arch": [16]}, **arguments).learn(24_000),
    }


@pytest.mark.slow
def test_only_a_memory_solves_a_task_that_needs_one(trained):
    env = make_task_vec_env(cue_tasks(), n_envs_per_task=4, seed=3)
    scores = {name: evaluate_policy(model, env, 200)[0] for name, model in trained.items()}
    assert scores["recurrent"] > 0.9
    assert scores["memoryless"] < 0.3


@pytest.mark.slow
def test_the_mean_of_opposite_tasks_is_undecided(trained):
    """π0 has to please both tasks, whose right answers are opposite."""
    policies = []
    for cue in range(2):
        sequence = th.zeros(4, 3)
        sequence[0, cue] = sequence[3, 2] = 1.0
        zeros = (th.zeros(1, 1, 16), th.zeros(1, 1, 16))
        with th.no_grad():
            outputs, _, _ = evaluate_lstm_column(trained["recurrent"].distilled_policy, sequence, zeros, th.zeros(4))
        policies.append(outputs[-1].softmax(dim=0))
    assert all(float(row.max()) < 0.95 for row in policies)
