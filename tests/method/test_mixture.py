"""Several distilled policies: every part of the update belongs to one objective, in exact arithmetic."""

import pytest
import torch as th

from sb3_distral.method import mixture

from .family_cases import DISCRETE, MASKABLE, all_actions, every_family, family_of, parameters_of, torchs_log_prob

K = 3


def components_of(family, scale=1.0):
    return th.stack([parameters_of(family, seed=seed, scale=scale) for seed in range(1, K + 1)])


def weights_of(n_rows=5):
    return th.softmax(th.randn(n_rows, K, generator=th.Generator().manual_seed(9), dtype=th.float64), dim=1)


def mean_log_prob(family, components, weights, actions):
    """Σz q_z log π0^z(a), by PyTorch's distributions."""
    log_probs = [torchs_log_prob(family, component, actions) for component in components]
    return sum(weights[:, z] * log_prob for z, log_prob in enumerate(log_probs))


@every_family
def test_pool_and_normaliser_are_the_mean_log_probability_of_the_components(name):
    family = family_of(name)
    components, weights = components_of(family), weights_of()
    pooled = family.pool(components, weights)
    log_normalizer = mixture.log_normalizer(family, pooled, components, weights)
    for seed in range(4):
        th.manual_seed(seed)
        actions = family.sample(parameters_of(family, seed=20 + seed))
        expected = mean_log_prob(family, components, weights, actions)
        th.testing.assert_close(family.log_prob(pooled, actions) + log_normalizer, expected)
    assert (log_normalizer <= 1e-12).all()


@pytest.mark.parametrize("name", DISCRETE)
def test_the_pool_sums_to_one(name):
    family = family_of(name)
    pooled = family.pool(components_of(family), weights_of())
    actions = all_actions(name)
    for row in pooled:
        total = torchs_log_prob(family, row.expand(len(actions), -1), actions).exp().sum()
        assert float(total) == pytest.approx(1.0)


@every_family
def test_a_certain_assignment_leaves_one_component(name):
    family = family_of(name)
    components = components_of(family)
    weights = th.tensor([0.0, 1.0, 0.0], dtype=th.float64).expand(5, -1)
    pooled = family.pool(components, weights)
    th.testing.assert_close(pooled, components[1])
    log_normalizer = mixture.log_normalizer(family, pooled, components, weights)
    th.testing.assert_close(log_normalizer, th.zeros_like(log_normalizer))


@pytest.mark.parametrize("name", MASKABLE)
def test_under_a_mask_the_identity_is_about_valid_actions(name):
    family = family_of(name)
    mask = th.ones(5, family.n_parameters, dtype=th.bool)
    mask[:, 1] = False
    components, weights = components_of(family), weights_of()
    pooled = family.restrict(family.pool(components, weights), mask)
    components = family.restrict(components, mask)
    log_normalizer = mixture.log_normalizer(family, pooled, components, weights)
    th.manual_seed(0)
    actions = family.sample(pooled)
    expected = sum(weights[:, z] * family.log_prob(component, actions) for z, component in enumerate(components))
    th.testing.assert_close(family.log_prob(pooled, actions) + log_normalizer, expected)
    assert th.isfinite(log_normalizer).all()


@every_family
def test_distillation_pulls_each_component_by_its_responsibility(name):
    # The gradient of the pool's cross-entropy less log Z is that of Σz q_z times the cross-entropy of each component.
    family = family_of(name)
    targets, weights = parameters_of(family, seed=11), weights_of()
    raw = components_of(family).requires_grad_()
    pooled = family.pool(raw, weights)
    loss = family.cross_entropy(targets, pooled) - mixture.log_normalizer(family, pooled, raw, weights)
    own = th.stack([family.cross_entropy(targets, component) for component in raw], dim=1)
    th.testing.assert_close(loss, (weights * own).sum(dim=1))
    (gradient,) = th.autograd.grad(loss.sum(), raw, retain_graph=True)
    (expected,) = th.autograd.grad((weights * own).sum(), raw)
    th.testing.assert_close(gradient, expected)


def test_responsibilities_by_hand():
    evidence = th.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, -1.0]])
    # Less the means 1 and 0
    expected = th.softmax(th.tensor([[0.0, 0.0], [-1.0, 1.0], [1.0, -1.0]]), dim=1)
    th.testing.assert_close(mixture.responsibilities(evidence), expected)
    assert mixture.responsibilities(evidence[:, :1]).tolist() == [[1.0]] * 3


def test_what_serves_all_tasks_better_gets_no_more_of_them():
    evidence = th.randn(6, K, generator=th.Generator().manual_seed(3), dtype=th.float64)
    expected = mixture.responsibilities(evidence)
    th.testing.assert_close(mixture.responsibilities(evidence + th.tensor([5.0, 0.0, -1.0])), expected)
