"""Policies among the actions that are valid."""

import numpy as np
import pytest
import torch as th
from hypothesis import given, settings
from torch import distributions

from sb3_distral.errors import UsageError
from sb3_distral.method.families import (
    Categorical,
    MultiCategorical,
)

from .family_cases import MASKABLE, all_actions, family_of, outputs_of, parameters_of, seeds, torchs


def some_mask(family, seed):
    """At least one valid choice of each part."""
    sizes = family.sizes if isinstance(family, MultiCategorical) else [family.n_parameters]
    generator = np.random.default_rng(seed)
    parts = [generator.random((5, size)) < 0.5 for size in sizes]
    for part in parts:
        part[np.arange(5), generator.integers(part.shape[1], size=5)] = True
    return th.tensor(np.concatenate(parts, axis=1))


@pytest.mark.parametrize("name", MASKABLE)
@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0, 1.5])
@settings(max_examples=15)
@given(seed=seeds)
def test_a_masked_policy_is_pytorchs_among_the_valid_actions(name, weight, seed):
    family, mask = family_of(name), some_mask(family_of(name), seed)
    outputs = outputs_of(family, seed=seed), outputs_of(family, seed=seed + 1)
    own, distilled = masked_policies(family, outputs, mask, weight)
    logits = weight * outputs[0] + outputs[1]
    expected, prior = (family.canonical(each.masked_fill(~mask, -1e9)) for each in (logits, outputs[0]))
    assert (own.exp()[~mask] == 0).all()
    np.testing.assert_allclose(own.exp(), expected.exp(), atol=1e-12)
    (parts, _), (priors, _) = torchs(family, expected), torchs(family, prior)
    entropy = sum(part.entropy() for part in parts)
    divergence = sum(distributions.kl_divergence(p, q) for p, q in zip(parts, priors, strict=True))
    np.testing.assert_allclose(family.entropy(own), entropy, atol=1e-9)
    np.testing.assert_allclose(family.kl_divergence(own, distilled), divergence, atol=1e-9)
    np.testing.assert_allclose(family.cross_entropy(own, distilled), divergence + entropy, atol=1e-9)


def masked_policies(family, outputs, mask, weight):
    """
    :return: The policies of a task and π0, as the policy makes them
    """
    distilled = family.restrict(family.canonical(outputs[0]), mask)
    combined = family.combine(distilled, outputs[1], th.tensor(weight, dtype=distilled.dtype))
    return family.restrict(combined, mask), distilled


@pytest.mark.parametrize("name", MASKABLE)
@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0, 1.5])
def test_gradients_under_a_mask_are_finite_and_leave_invalid_actions_alone(name, weight):
    family, mask = family_of(name), some_mask(family_of(name), 3)
    outputs = [outputs_of(family, seed=seed).float().requires_grad_() for seed in range(2)]
    own, distilled = masked_policies(family, outputs, mask, weight)
    actions = family.mode(own.detach())
    for measure in (
        family.entropy(own),
        family.kl_divergence(own, distilled),
        family.cross_entropy(own.detach(), distilled),
        family.log_prob(own, actions),
    ):
        assert measure.isfinite().all()
        for output in outputs:
            (gradient,) = th.autograd.grad(measure.sum(), output, retain_graph=True, materialize_grads=True)
            assert gradient.isfinite().all()
            assert gradient[~mask].abs().max() < 1e-6
    assert gradient[mask].abs().max() > 0.1


@pytest.mark.parametrize("name", MASKABLE)
def test_only_valid_actions_are_drawn(name):
    family, mask = family_of(name), some_mask(family_of(name), 1)
    own = family.restrict(parameters_of(family).float(), mask)
    every = all_actions(name)
    for row in range(len(own)):
        log_prob = family.log_prob(own[[row]].expand(len(every), -1), every)
        valid = {tuple(action.view(-1).tolist()) for action in every[log_prob > -1e6]}
        actions = family.sample(own[[row]].expand(2000, -1))
        assert {tuple(action.view(-1).tolist()) for action in actions} == valid
        assert tuple(family.mode(own[[row]]).view(-1).tolist()) in valid


def test_a_single_valid_action_is_certain():
    family = Categorical(3)
    own = family.restrict(family.canonical(th.randn(1, 3)), th.tensor([[0, 1, 0]]))
    assert own.exp().tolist() == [[0.0, 1.0, 0.0]]
    assert family.entropy(own).item() == 0.0
    assert family.kl_divergence(own, own).item() == 0.0


@pytest.mark.parametrize("name", ["bernoulli", "gaussian"])
def test_other_actions_cannot_be_masked(name):
    family = family_of(name)
    with pytest.raises(UsageError, match=r"only Discrete and MultiDiscrete actions can be masked"):
        family.restrict(parameters_of(family), th.ones(5, family.n_parameters))
