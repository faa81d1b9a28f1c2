"""Several distilled policies: what the tasks pay for, how the policies learn, and what is kept."""

import numpy as np
import pytest
import torch as th
from envs.messages import refuses
from gymnasium import spaces
from helpers import (
    LogKeeper,
    SpaceEnv,
    assert_equal_parameters,
    copied_parameters,
    distral,
    prepare,
    table_tasks,
    with_sgd,
)

from sb3_distral import (
    DistilledPredictor,
    DistralA2C,
    DistralPPO,
    RecurrentDistralA2C,
    TaskEvalCallback,
    evaluate_tasks,
)
from sb3_distral.method import mixture
from sb3_distral.policies.bank import STEP_SIZE
from sb3_distral.policies.task_policy import MixtureTaskPolicy

K = 2
SHARES = th.tensor([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])


def banked(algorithm=DistralA2C, **arguments):
    """A model of three tasks and two distilled policies, whose responsibilities are known."""
    arguments = {"n_distilled": K, "alpha": 0.7, "beta": 5.0, "normalize_advantage": False, **arguments}
    model = distral(table_tasks(3), algorithm=algorithm, **arguments)
    model.policy.bank.responsibilities.data.copy_(SHARES)
    return model


def batch(n=12):
    return {"obs": th.rand(n, 4), "task": th.arange(n) % 3}


def log_policies(model, observations):
    """log π0^z of separate copies, shape (k, batch, actions)."""
    with th.no_grad():
        policies = [own.get_distribution(observations).distribution for own in model.distilled_policies]
    return th.stack([own.logits for own in policies])


@pytest.mark.parametrize("algorithm", [DistralA2C, DistralPPO])
def test_one_distilled_policy_is_as_without_the_argument(algorithm):
    models = [distral(table_tasks(2), algorithm=algorithm, **own) for own in ({}, {"n_distilled": 1})]
    for model in models:
        th.manual_seed(1)
        np.random.seed(1)
        model.learn(5 * model.n_steps * 2)
    assert_equal_parameters(*(copied_parameters(model.policy) for model in models))
    assert models[1].policy.bank is None
    assert models[1].distilled_policies == [models[1].distilled_policy]
    np.testing.assert_array_equal(models[1].responsibilities, np.ones((2, 1)))


def test_task_policies_are_those_of_the_equation():
    model, observations = banked(), batch()
    evaluation = model.policy.evaluate(observations)
    logs = log_policies(model, observations["obs"])
    th.testing.assert_close(evaluation.components, logs)
    outputs, _ = model.policy.task_columns(observations["obs"], observations["task"])
    shares = SHARES[observations["task"]]
    mixed = (shares.t().unsqueeze(2) * logs).sum(0)
    expected = th.log_softmax(0.7 * mixed + outputs, dim=1)
    th.testing.assert_close(evaluation.task_parameters, expected)
    th.testing.assert_close(
        evaluation.distilled_parameters + evaluation.log_normalizer.unsqueeze(1), mixed, rtol=1e-4, atol=1e-5
    )


def test_rewards_hold_the_mean_log_probability_over_components():
    model, observations = banked(), batch()
    actions, _, _ = model.policy(observations)
    step = model.policy.last_step
    own = log_policies(model, observations["obs"])
    taken = own.gather(2, actions.view(1, -1, 1).expand(K, -1, 1)).squeeze(2).t()
    expected = (SHARES[observations["task"]] * taken).sum(1)
    th.testing.assert_close(step.distilled_log_prob, expected)


def test_components_learn_from_tasks_by_their_responsibilities():
    """The gradient of one update, by autograd on separate copies."""
    model = banked(**with_sgd())
    callback = prepare(model)
    model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)
    # No policy gradient, which reaches the components too
    model.rollout_buffer.advantages[:] = 0.0
    model.policy.bank.responsibilities.data.copy_(SHARES)
    buffer = model.rollout_buffer
    rows = th.tensor(buffer.observations["obs"].reshape(-1, 4))
    tasks = th.tensor(buffer.observations["task"].reshape(-1)).long()
    before, columns = model.distilled_policies, [model.task_policy(task) for task in range(3)]
    loss = th.zeros(())
    for task in range(3):
        own = rows[tasks == task]
        targets = columns[task].get_distribution(own).distribution.probs.detach()
        for z, component in enumerate(before):
            cross_entropy = -(targets * component.get_distribution(own).distribution.logits).sum(1).mean()
            loss = loss + 0.7 / 5.0 * SHARES[task, z] * cross_entropy
    loss.backward()
    model.train()
    for old, new in zip(before, model.distilled_policies, strict=True):
        later = copied_parameters(new)
        for name, parameter in old.named_parameters():
            if parameter.grad is not None:
                th.testing.assert_close(parameter.detach() - later[name], parameter.grad, rtol=1e-3, atol=1e-6)


def test_responsibilities_ascend_the_return():
    """One update, against the gradient by autograd on separate copies; costs and distillation have no part in it."""
    model = banked(**with_sgd())
    callback, bank = prepare(model), model.policy.bank
    model.collect_rollouts(model.env, callback, model.rollout_buffer, model.n_steps)
    bank.responsibilities.data.copy_(SHARES)
    buffer = model.rollout_buffer
    observations = {key: th.tensor(value.reshape(-1, *value.shape[2:])) for key, value in buffer.observations.items()}
    tasks = observations["task"].flatten().long()
    actions, advantages = (th.tensor(own.reshape(-1)) for own in (buffer.actions, buffer.advantages))
    with th.no_grad():
        outputs, _ = model.policy.task_columns(observations["obs"], tasks)
    shares = SHARES.clone().requires_grad_()
    mixed = (shares[tasks].t().unsqueeze(2) * log_policies(model, observations["obs"])).sum(0)
    own = th.log_softmax(0.7 * mixed + outputs, dim=1).gather(1, actions.long().view(-1, 1)).squeeze(1)
    sum((own * advantages)[tasks == task].mean() for task in range(3)).backward()
    evidence = bank.evidence.clone()
    model.train()
    th.testing.assert_close(bank.evidence - evidence, STEP_SIZE * shares.grad, rtol=1e-3, atol=1e-6)
    th.testing.assert_close(bank.responsibilities.detach(), mixture.responsibilities(bank.evidence))
    assert bank.responsibilities.grad is None


@pytest.mark.parametrize("algorithm", [DistralA2C, DistralPPO])
def test_a_load_brings_back_all_that_was_saved(algorithm, tmp_path):
    model = banked(algorithm, n_steps=8)
    model.learn(96)
    model.save(tmp_path / "model")
    random = th.get_rng_state()
    loaded = algorithm.load(tmp_path / "model", env=table_tasks(3))
    np.testing.assert_array_equal(loaded.responsibilities, model.responsibilities)
    assert not np.array_equal(model.responsibilities, SHARES.numpy())
    states = [own.policy.state_dict() for own in (model, loaded)]
    assert_equal_parameters(*states)
    assert th.equal(th.get_rng_state(), random)


def test_a_task_policy_is_a_copy(tmp_path):
    model, plain = banked(), th.rand(6, 4)
    for task in range(3):
        observations = {"obs": plain, "task": th.full((6,), task)}
        expected = model.policy.get_distribution(observations).distribution.logits
        own = model.task_policy(task)
        th.testing.assert_close(own.get_distribution(plain).distribution.logits, expected)
    own.save(tmp_path / "policy")
    loaded = MixtureTaskPolicy.load(tmp_path / "policy")
    th.testing.assert_close(loaded.get_distribution(plain).distribution.logits, expected)


def test_components_begin_differently_and_alike_in_the_eyes_of_the_tasks():
    model = distral(table_tasks(3), randomized=False, n_distilled=K)
    first, second = (copied_parameters(own) for own in model.distilled_policies)
    assert not th.equal(first["action_net.weight"], second["action_net.weight"])
    np.testing.assert_array_equal(model.responsibilities, np.full((3, K), 0.5))


def test_the_log_has_the_responsibilities_and_the_divergence_that_is_paid_for():
    model = banked()
    model.policy.bank.step = lambda: None
    keeper = LogKeeper.of(model)
    model.learn(model.n_steps * 3 * 2, log_interval=1)
    # Of the update that came last
    model._log_divergences()
    model.logger.dump()
    log = keeper.logs[-1]
    for task, name in enumerate(model.task_names):
        shares = [log[f"distral/{name}/distilled_{z}"] for z in range(K)]
        assert shares == pytest.approx(model.responsibilities[task].tolist())
    evaluation = model._evaluations[-1]
    parameters = evaluation.task_parameters
    own = (parameters.exp() * (parameters - evaluation.components)).sum(2)
    expected = (SHARES[evaluation.tasks].t() * own).sum(0)
    for task, name in enumerate(model.task_names):
        assert log[f"distral/{name}/kl"] == pytest.approx(float(expected[evaluation.tasks == task].mean()), rel=1e-3)


def test_each_component_is_clipped_by_its_own_gradient():
    model = banked()
    columns = model.policy.bank.columns
    for parameter in columns.parameters():
        parameter.grad = th.zeros_like(parameter)
    columns.action_net.weight.grad[0] = 1e6
    columns.action_net.weight.grad[1] = 1e-3
    kept = columns.action_net.weight.grad[1].clone()
    model.policy.clip_grad_norm_(0.5)
    assert th.equal(columns.action_net.weight.grad[1], kept)
    assert float(columns.action_net.weight.grad[0].norm()) == pytest.approx(0.5, rel=1e-3)


def test_each_task_is_evaluated_with_its_best_component():
    model = banked()
    predictor = DistilledPredictor.of(model)
    observations = {"obs": np.random.default_rng(0).random((9, 4), dtype=np.float32), "task": np.arange(9) % 3}
    actions, _ = predictor.predict(observations, deterministic=True)
    both = [own.predict(observations["obs"], deterministic=True)[0] for own in model.distilled_policies]
    best = np.array([0, 1, 0])[observations["task"]]
    np.testing.assert_array_equal(actions, np.where(best == 0, both[0], both[1]))
    assert not np.array_equal(*both)
    assert set(evaluate_tasks(predictor, model.get_env(), 1)) == set(model.task_names)
    with refuses("without their responsibilities"):
        DistilledPredictor(model.distilled_policies)


def test_evaluations_while_training_act_with_the_best_components_and_not_on_held_out_tasks():
    model = banked()
    callback = TaskEvalCallback(table_tasks(3), n_eval_episodes=1, eval_freq=model.n_steps)
    model.learn(model.n_steps * 3, callback)
    assert set(callback.results[0]["distilled"]) == set(model.task_names)
    assert callback._policies()["distilled"].best.tolist() == model.responsibilities.argmax(axis=1).tolist()
    held_out = TaskEvalCallback(table_tasks(3), n_eval_episodes=1, eval_freq=10_000, held_out=table_tasks(1))
    with refuses("2 distilled policies", "model.distilled_policies"):
        model.learn(model.n_steps * 3, held_out)


def test_a_copy_of_a_component_is_the_start_of_new_tasks():
    model = banked()
    new = DistralA2C(table_tasks(2), distilled_policy=model.distilled_policies[1], device="cpu")
    rows = th.rand(5, 4)
    th.testing.assert_close(
        new.distilled_policy.get_distribution(rows).distribution.logits, log_policies(model, rows)[1]
    )


class Noise(SpaceEnv):
    """Rewards that are small and depend on nothing."""

    def __init__(self):
        super().__init__(spaces.Box(-1.0, 1.0, (4,)))

    def step(self, action):
        observation, reward, *rest = super().step(action)
        return observation, 0.01 * reward, *rest


def test_noise_does_not_divide_tasks_under_ppo():
    arguments = {"n_steps": 128, "batch_size": 128, "normalize_advantage": False}
    model = distral([Noise] * 6, algorithm=DistralPPO, randomized=False, n_distilled=K, **arguments)
    model.learn(2 * 6 * 128)
    np.testing.assert_allclose(model.responsibilities, 1 / K, atol=0.1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"n_distilled": 0}, ["n_distilled=0", "1 or more"]),
        ({"n_distilled": 2, "architecture": "shared"}, ["architecture='shared'", "two_columns"]),
        ({"n_distilled": 2, "architecture": "one_column"}, ["architecture='one_column'", "two_columns"]),
        ({"n_distilled": 2, "optimization": "alternating"}, ["alternating", "joint"]),
        ({"n_distilled": 2, "beta": float("inf")}, ["no task pays", "alpha > 0"]),
        ({"n_distilled": 2, "alpha": 0.0}, ["no task pays", "alpha > 0"]),
        ({"n_distilled": 2, "distilled_weight": 0.0}, ["distilled_weight=0.0", "above 0"]),
        ({"n_distilled": 2, "normalize_advantage": True}, ["normalize_advantage=True", "normalize_advantage=False"]),
        ({"n_distilled": 2, "algorithm": DistralPPO}, ["normalize_advantage=True", "normalize_returns=True"]),
    ],
)
def test_arguments_that_mean_nothing_together_are_refused(arguments, words):
    with refuses(*words):
        distral(table_tasks(2), randomized=False, **arguments)


def test_what_needs_a_single_distilled_policy_is_refused():
    with refuses("LSTM", "n_distilled=1"):
        RecurrentDistralA2C(table_tasks(2), n_distilled=2)
    model = banked()
    for read in (lambda: model.distilled_policy, lambda: model.predict(np.zeros(4, np.float32))):
        with refuses("2 distilled policies", "distilled_policies"):
            read()
    with refuses("distilled_policy", "n_distilled=2"):
        DistralA2C(table_tasks(2), n_distilled=2, distilled_policy=model.distilled_policies[0])


def test_observations_of_any_kind():
    space = spaces.Dict({"image": spaces.Box(0, 255, (3, 36, 36), np.uint8), "place": spaces.Box(-1, 1, (2,))})
    for own in (space, space["image"]):
        model = DistralA2C([lambda own=own: SpaceEnv(own)] * 2, n_distilled=3, device="cpu")
        model.learn(20)
        assert model.responsibilities.shape == (2, 3)
