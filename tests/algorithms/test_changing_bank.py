"""Several distilled policies over the life of a model: tasks come and go, and a save goes on."""

import numpy as np
import pytest
import torch as th
from envs.messages import refuses
from helpers import copied_parameters, randomize
from integration.toys import assert_equal, training_state

from sb3_distral import DistralA2C, DistralPPO, join_tasks, select_tasks, tasks
from sb3_distral.method import mixture

K = 2
N_STEPS = 8
LEARNERS = {DistralA2C: {}, DistralPPO: {"batch_size": 16, "n_epochs": 2, "normalize_advantage": False}}
#: What the bank knows of tasks
KNOWN = ("evidence", "offset", "responsibilities")


def families(*numbers):
    suite = tasks.make("grid-families", 2, n_tasks=6)
    return select_tasks(suite, [f"family-{number}" for number in numbers])


def trained(algorithm=DistralA2C, numbers=(0, 1, 2, 3), n_rollouts=9, **arguments):
    """A model whose responsibilities and components have been learned."""
    arguments = {"beta": 10.0, "policy_kwargs": {"net_arch": [6]}, **LEARNERS[algorithm], **arguments}
    model = algorithm(families(*numbers), n_distilled=K, n_steps=N_STEPS, seed=0, device="cpu", **arguments)
    randomize(model.policy, 0.3)
    return go_on(model, n_rollouts)


def go_on(model, n_rollouts=2):
    return model.learn(n_rollouts * N_STEPS * model.n_envs, reset_num_timesteps=False)


def known(model):
    return {name: getattr(model.policy.bank, name).detach().clone() for name in KNOWN}


def state_of_components(model):
    """What the optimizer knows of the distilled policies."""
    optimizer = model.policy.optimizer
    return [dict(optimizer.state[parameter]) for parameter in model.policy.bank.columns.parameters()]


@pytest.mark.parametrize("algorithm", LEARNERS)
def test_responsibilities_follow_their_tasks_and_new_tasks_begin_between_all(algorithm):
    model = trained(algorithm)
    before, components, state = known(model), copied_parameters(model.policy.bank), state_of_components(model)
    assert not np.allclose(model.responsibilities, 1 / K, atol=1e-2)
    model.remove_tasks(["family-1"]).add_tasks(families(4, 5))
    after = known(model)
    for name in ("evidence", "responsibilities"):
        assert th.equal(after[name][:3], before[name][[0, 2, 3]])
    assert th.equal(after["responsibilities"][3:], th.full((2, K), 1 / K))
    assert_equal(copied_parameters(model.policy.bank), components)
    assert_equal(state_of_components(model), state)
    go_on(model)
    assert model.responsibilities.shape == (5, K)
    np.testing.assert_allclose(model.responsibilities.sum(axis=1), 1.0, rtol=1e-5)
    assert any(not th.equal(own, components[name]) for name, own in copied_parameters(model.policy.bank).items())


def by_family(model, families):
    """Shares that have been learned: tasks of family 0 have nearly all of the first component, the others none."""
    bank = model.policy.bank
    bank.evidence = th.tensor([[6.0, 0.0] if family == 0 else [0.0, 0.0] for family in families])
    bank.responsibilities.data.copy_(mixture.responsibilities(bank.evidence))


def step_nowhere(model):
    """The step of an update that has found nothing."""
    bank = model.policy.bank
    bank.responsibilities.grad = th.zeros_like(bank.responsibilities)
    bank.step()


def test_shares_stay_where_they_were_when_a_family_leaves_and_when_others_come():
    model = trained()
    by_family(model, [0, 1, 0, 1])
    before = model.responsibilities
    assert before.max() > 0.9
    model.remove_tasks(["family-1", "family-3"])
    step_nowhere(model)
    np.testing.assert_allclose(model.responsibilities, before[[0, 2]], rtol=1e-5)
    model.add_tasks(families(4))
    step_nowhere(model)
    np.testing.assert_allclose(model.responsibilities, [*before[[0, 2]], [1 / K] * K], rtol=1e-5)
    model.remove_tasks(["family-0"])
    step_nowhere(model)
    np.testing.assert_allclose(model.responsibilities, [before[2], [1 / K] * K], rtol=1e-5)


def test_new_tasks_begin_as_the_pool_of_all():
    model = trained(distilled_weight=1.0).add_tasks(families(4))
    rows = {key: value[-2:] for key, value in model.env.venv.reset().items()}
    with th.no_grad():
        evaluation = model.policy.evaluate(model.policy.obs_to_tensor(rows)[0])
    pool = th.log_softmax(evaluation.components.mean(dim=0), dim=1)
    th.testing.assert_close(evaluation.task_parameters, pool)
    assert not th.allclose(evaluation.components[0], evaluation.components[1], atol=1e-2)


def test_the_last_task_that_pays_for_its_divergence_stays():
    model = trained(alpha={"family-0": 0.5, **{f"family-{number}": 0.0 for number in (1, 2, 3)}})
    before = training_state(model)
    with refuses("no task pays", "alpha > 0"):
        model.remove_tasks(["family-0"])
    assert_equal(training_state(model), before)
    go_on(model)


def test_rehearsal_is_refused():
    words = ["rehearsal_coef", "n_distilled=2", "rehearsal_coef=0"]
    with refuses(*words):
        trained(rehearsal_coef=0.1)
    model = trained()
    model.rehearsal_coef = 0.1
    before = training_state(model)
    with refuses(*words):
        model.remove_tasks(["family-0"])
    assert_equal(training_state(model), before)


@pytest.mark.parametrize("algorithm", LEARNERS)
@pytest.mark.parametrize(
    "arguments",
    [
        {"value_l2_coef": 0.005},
        {"beta": "auto", "normalize_returns": True},
    ],
)
def test_a_training_goes_on_bit_for_bit_after_a_save(algorithm, arguments, tmp_path):
    model = trained(algorithm, **arguments)
    model.save(tmp_path / "model")
    saved = model.responsibilities
    go_on(model, 9)
    loaded = go_on(algorithm.load(tmp_path / "model", env=families(0, 1, 2, 3)), 9)
    assert_equal(training_state(loaded), training_state(model))
    assert not np.allclose(saved, model.responsibilities, atol=1e-3)


def test_so_it_does_right_after_tasks_have_changed(tmp_path):
    model = trained().remove_tasks(["family-1"]).add_tasks(families(5))
    model.save(tmp_path / "model")
    env = join_tasks(families(0, 2, 3), families(5))
    loaded = DistralA2C.load(tmp_path / "model", env=env)
    for each in (model, loaded):
        th.manual_seed(0)
        go_on(each, 9)
    assert_equal(training_state(loaded), training_state(model))
