"""What follows a training beside the weights: costs under a controller, and the scales of returns."""

from functools import partial

import numpy as np
import pytest
import torch as th
from envs.messages import refuses
from helpers import LogKeeper, assert_equal_parameters, copied_parameters, distral, prepare, roll_out, table_tasks
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import DummyVecEnv

import sb3_distral.tasks
from sb3_distral import DistralA2C, DistralPPO, RecurrentDistralA2C, make_task_vec_env
from sb3_distral.algorithms.checkpoint import RolloutCheckpointCallback
from sb3_distral.method.controller import CostController, entropy_range

CONTROLLER = CostController(beta=10.0, target_kl=0.05, rate=20.0)
LEARNERS = {
    "a2c": (DistralA2C, {}),
    "ppo": (DistralPPO, {"n_steps": 8, "batch_size": 16, "n_epochs": 2}),
    "recurrent": (RecurrentDistralA2C, {"policy_kwargs": {"net_arch": [8], "lstm_hidden_size": 8}}),
}


def update(model):
    """A roll-out and its update; the costs before."""
    before = model.costs
    roll_out(model)
    model._update_current_progress_remaining(model.num_timesteps, model._total_timesteps)
    model.train()
    return before


@pytest.mark.parametrize("learner", LEARNERS)
def test_the_next_roll_out_pays_the_costs_that_the_controller_sets(learner):
    algorithm, arguments = LEARNERS[learner]
    model = distral(table_tasks(), algorithm=algorithm, beta=CONTROLLER, n_envs_per_task=2, **arguments)
    th.testing.assert_close(model.costs.kl, th.full((3,), 0.05))
    before = update(model)
    measured = model._measure_policies()
    ranges = th.tensor([entropy_range(model.action_space)] * 3)
    n_steps = th.tensor([2 * model.n_steps] * 3)
    expected = CONTROLLER.step(
        before, measured["kl"], measured["entropy"], ranges, model._current_progress_remaining, n_steps
    )
    assert not th.equal(expected.kl, before.kl)
    assert not th.equal(expected.entropy, before.entropy)
    assert th.equal(model.costs.kl, expected.kl)
    assert th.equal(model.costs.entropy, expected.entropy)
    assert np.array_equal(model.env.kl_cost, expected.kl.numpy()[model.env.tasks])
    assert np.array_equal(model.env.entropy_cost, expected.entropy.numpy()[model.env.tasks])


def test_a_task_that_is_far_from_the_distilled_policy_pays_more_and_one_that_is_near_less():
    model = distral(table_tasks(2), beta=CONTROLLER, distilled_weight=1.0)
    with th.no_grad():
        for parameter in model.policy.task_columns.parameters():
            parameter[1] *= 0.0
    before = update(model)
    assert model.costs.kl[0] > before.kl[0]
    assert model.costs.kl[1] < before.kl[1]


def test_auto_is_the_controller_as_it_comes():
    model = distral(table_tasks(), beta="auto", alpha=0.25)
    assert model.cost_controller == CostController()
    th.testing.assert_close(model.costs.kl, th.full((3,), 0.0025))
    th.testing.assert_close(model.costs.entropy, th.full((3,), 0.0075))


def test_the_weight_of_the_distilled_policy_stays_alpha():
    model = distral(table_tasks(), beta=CONTROLLER, alpha=0.25)
    update(model)
    assert model.policy.distilled_weights.tolist() == [0.25] * 3


@pytest.mark.parametrize(("alpha", "free"), [(1.0, "entropy"), (0.0, "kl")])
def test_a_cost_that_alpha_leaves_out_stays_out(alpha, free):
    model = distral(table_tasks(), beta=CONTROLLER, alpha=alpha)
    before = update(model)
    assert getattr(model.costs, free).tolist() == [0.0] * 3
    other = "kl" if free == "entropy" else "entropy"
    assert not th.equal(getattr(model.costs, other), getattr(before, other))


def test_a_frozen_distilled_policy_is_measured_where_no_task_policy_holds_it():
    source = distral(table_tasks(), architecture="one_column")
    model = distral(
        table_tasks(),
        architecture="one_column",
        beta=CONTROLLER,
        distilled_policy=source.distilled_policy,
        train_distilled=False,
    )
    update(model)
    assert model._measure_policies()["kl"].all()


def test_continuous_actions_have_a_target_of_entropy():
    env = sb3_distral.tasks.make("pendulums", n_tasks=2)
    model = distral(env, randomized=False, beta=CONTROLLER, policy_kwargs={})
    before = update(model)
    low, high = entropy_range(model.action_space)
    entropy = model._measure_policies()["entropy"]
    # Standard deviations begin near 1, where the half width of the torque is 2.
    assert ((low < entropy) & (entropy < high)).all()
    lack = (low + 0.5 * (high - low) - entropy) / (0.25 * (high - low))
    th.testing.assert_close(
        (model.costs.entropy / before.entropy).log(), 20.0 * 6 / 1000 * lack.clamp(-1.0, 1.0), rtol=1e-3, atol=1e-4
    )


def test_the_target_of_entropy_is_among_the_actions_that_a_task_has():
    masks = {"table-0": [True, True, False]}
    model = distral(make_task_vec_env(table_tasks(2), action_masks=masks), beta=CONTROLLER)
    with th.no_grad():
        for parameter in model.policy.parameters():
            parameter *= 1e-3
    before = update(model)
    # Both tasks act uniformly, as far above their targets as it counts.
    assert model._measure_policies()["entropy"].tolist() == pytest.approx([np.log(2), np.log(3)], abs=1e-3)
    th.testing.assert_close((model.costs.entropy / before.entropy).log(), th.full((2,), -20.0 * 6 / 1000))


def test_tasks_with_more_environments_take_larger_steps():
    envs = [DummyVecEnv([table_tasks()["table-0"]] * count) for count in (1, 3)]
    model = distral(envs, beta=CostController(target_kl=1e6, rate=1.0, lowest=1e-9), policy_kwargs={})
    before = update(model)
    changes = (model.costs.kl / before.kl).log()
    th.testing.assert_close(changes, th.tensor([-6.0, -18.0]) / 1000, rtol=1e-3, atol=0.0)


def test_costs_are_logged_where_they_change():
    def logged(**arguments):
        model, keeper = distral(table_tasks(2), **arguments), LogKeeper()
        model.set_logger(Logger(None, [keeper]))
        model.learn(60, log_interval=1)
        return keeper.logs[-1], model

    log, model = logged(beta=CONTROLLER)
    assert log["distral/table-1/kl_cost"] == pytest.approx(float(model.costs.kl[1]), rel=0.5)
    assert {"distral/table-0/kl_cost", "distral/table-0/entropy_cost"} <= set(log)
    assert "distral/table-0/kl_cost" in logged(beta=lambda progress: 1.0 + progress)[0]
    assert "distral/table-0/kl_cost" not in logged(beta=5.0)[0]


def test_tasks_that_stay_keep_their_costs_and_new_ones_begin_as_all_did():
    model = distral(table_tasks(), beta=CONTROLLER)
    start = update(model)
    known = model.controlled_costs
    model._keep_followed([2, 0], np.array([2, 0]), np.arange(3))
    assert model.controlled_costs.kl.tolist() == [*known.kl[[2, 0]].tolist(), start.kl[2].item()]
    assert model.controlled_costs.entropy.tolist() == [*known.entropy[[2, 0]].tolist(), start.entropy[2].item()]


# What is refused


@pytest.mark.parametrize("given", [None, "auto", CostController()])
def test_new_tasks_follow_the_controller_of_all(given):
    model = distral(table_tasks(2), beta="auto").learn(120)
    before = model.costs
    model.add_tasks({"new": table_tasks(1)["table-0"]}, beta=given)
    assert model.costs.kl.tolist() == [*before.kl.tolist(), pytest.approx(0.005)]
    assert model.cost_controller == CostController()
    model.learn(18, reset_num_timesteps=False)


@pytest.mark.parametrize("given", [50.0, {"new": 50.0}, CostController(beta=50.0)])
def test_costs_of_new_tasks_of_their_own_are_refused_under_a_controller(given):
    model = distral(table_tasks(2), beta="auto")
    with refuses("50.0", "follow one controller", "'auto'"):
        model.add_tasks({"new": table_tasks(1)["table-0"]}, beta=given)
    assert model.task_names == ["table-0", "table-1"]


def test_another_word_for_beta_is_refused():
    with pytest.raises(
        ValueError, match="beta='car' was given; expected a number, a schedule, one of these for each task, 'auto' or a"
    ):
        distral(table_tasks(), beta="car")


def test_a_schedule_of_alpha_is_refused_under_a_controller():
    with pytest.raises(ValueError, match="alpha holds a schedule, but beta a controller"):
        distral(table_tasks(), alpha=lambda progress: progress, beta="auto")


def test_the_entropy_bonus_excludes_a_controlled_entropy_cost():
    with pytest.raises(ValueError, match="the entropy would be paid for twice"):
        distral(table_tasks(), beta="auto", ent_coef=0.01)


# Returns


@pytest.mark.parametrize("beta", [5.0, "auto"])
def test_a_training_with_normalised_returns_is_the_same_whatever_the_factor_of_the_rewards(beta):
    one, eight, ten = (
        distral(
            table_tasks(reward_scale=factor, time_limit=7), n_envs_per_task=2, beta=beta, normalize_returns=True
        ).learn(600)
        for factor in (1.0, 8.0, 10.0)
    )
    assert_equal_parameters(copied_parameters(one.policy), copied_parameters(eight.policy))
    assert_equal_parameters(copied_parameters(one.policy), copied_parameters(ten.policy), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(10 * one.return_scales.scales, ten.return_scales.scales, rtol=1e-6)
    assert [episode["r"] * 8 for episode in one.ep_info_buffer] == pytest.approx(
        [episode["r"] for episode in eight.ep_info_buffer], abs=1e-5
    )


def test_without_it_the_factor_matters():
    one, eight = (distral(table_tasks(reward_scale=factor), beta=5.0).learn(60) for factor in (1.0, 8.0))
    difference = th.nn.utils.parameters_to_vector(one.policy.parameters()) - th.nn.utils.parameters_to_vector(
        eight.policy.parameters()
    )
    assert difference.abs().max() > 1e-3


def test_one_task_of_large_rewards_changes_nothing_for_the_others():
    tasks = table_tasks(2)
    large = {**tasks, "table-1": partial(type(tasks["table-1"]()), 1, reward_scale=1024.0)}
    first, second = (
        distral(own, n_envs_per_task=2, beta=5.0, normalize_returns=True).learn(240) for own in (tasks, large)
    )
    assert_equal_parameters(copied_parameters(first.policy), copied_parameters(second.policy))


class Rewards(BaseCallback):
    def __init__(self):
        super().__init__()
        self.given, self.own = [], []

    def _on_step(self):
        self.given.append(np.array(self.locals["rewards"]))
        self.own.append([info["task_reward"] for info in self.locals["infos"]])
        return True


def test_costs_are_paid_in_units_of_the_normalised_rewards_and_the_tasks_own_rewards_stay_known():
    kept = Rewards()
    model = distral(table_tasks(constant_reward=500.0), beta=float("inf"), normalize_returns=True, gamma=0.5)
    model.learn(36, kept)
    assert np.array(kept.own).tolist() == [[500.0] * 3] * 12
    assert kept.given[0].tolist() == [1.0] * 3
    returns = np.cumsum(500.0 * 0.5 ** np.arange(12))
    expected = [500.0 / returns[: step + 1].std() for step in range(1, 12)]
    np.testing.assert_allclose(np.array(kept.given)[1:, 0], np.minimum(expected, 10.0), rtol=1e-5)


def test_scales_are_logged():
    model, keeper = distral(table_tasks(2), normalize_returns=True), LogKeeper()
    model.set_logger(Logger(None, [keeper]))
    model.learn(60, log_interval=1)
    assert keeper.logs[-1]["distral/table-1/return_scale"] == pytest.approx(model.return_scales.scales[1], rel=0.5)


# Going on


def suite(seed=0):
    return sb3_distral.tasks.make("two-rooms", n_envs_per_task=2, seed=seed, n_tasks=2)


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_training_goes_on_with_its_costs_and_scales_bit_for_bit(learner, tmp_path):
    algorithm, arguments = LEARNERS[learner]

    def make():
        return distral(suite(), algorithm=algorithm, beta=CONTROLLER, normalize_returns=True, **arguments)

    model = make()
    model.learn(400, RolloutCheckpointCallback(model.n_steps, str(tmp_path)))
    early = min(tmp_path.glob("*_steps.zip"), key=lambda path: int(path.stem.split("_")[-2]))
    resumed = algorithm.load(early, env=suite(seed=7))
    assert 0 < resumed.num_timesteps < 400
    resumed.learn(400 - resumed.num_timesteps, reset_num_timesteps=False)
    assert resumed.num_timesteps == model.num_timesteps
    assert th.equal(resumed.costs.kl, model.costs.kl)
    assert th.equal(resumed.costs.entropy, model.costs.entropy)
    assert not th.equal(model.costs.kl, make().costs.kl)
    assert np.array_equal(resumed.return_scales.scales, model.return_scales.scales)
    assert np.array_equal(resumed.return_scales.returns, model.return_scales.returns)
    assert_equal_parameters(copied_parameters(resumed.policy), copied_parameters(model.policy))


def test_scales_move_to_another_number_of_environments(tmp_path):
    model = distral(suite(), normalize_returns=True).learn(200)
    known = model.return_scales.scales
    model.save(tmp_path / "model")
    with pytest.warns(UserWarning, match="there were 4 sub-environments and are 6"):
        loaded = DistralA2C.load(tmp_path / "model", env=sb3_distral.tasks.make("two-rooms", 3, n_tasks=2))
    assert np.array_equal(loaded.return_scales.scales, known)
    loaded.learn(60, reset_num_timesteps=False)
    assert loaded.return_scales.returns.shape == (6,)


def test_a_training_that_begins_anew_begins_new_episodes():
    model = distral(table_tasks(constant_reward=1.0), normalize_returns=True, gamma=0.5).learn(180)
    model.learn(18)
    np.testing.assert_allclose(model.return_scales.returns, 2.0 - 0.5**5)


def test_evaluation_gives_the_tasks_own_returns():
    tasks = table_tasks(2, constant_reward=500.0, time_limit=4)
    model = distral(tasks, normalize_returns=True).learn(24)
    returns = sb3_distral.evaluate_tasks(model, make_task_vec_env(tasks), 2)
    assert returns == {"table-0": [2000.0] * 2, "table-1": [2000.0] * 2}
    prepare(model)
    assert model.get_env() is model.env.venv
