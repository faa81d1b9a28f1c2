"""Every family as an exponential one: the gradient of (5), and the sum of natural parameters that is (8)."""

import numpy as np
import pytest
import torch as th
from hypothesis import given, settings
from hypothesis import strategies as st

from sb3_distral.method.families import (
    LOG_STD_RANGE,
    Bernoulli,
    Gaussian,
    MultiCategorical,
)

from .family_cases import (
    DISCRETE,
    all_actions,
    every_family,
    exact_mean,
    family_of,
    outputs_of,
    parameters_of,
    seeds,
    torchs,
    torchs_log_prob,
)


def sufficient_statistics(family, actions):
    """What the natural parameters multiply: which action it is, or an action and its square."""
    if isinstance(family, Gaussian):
        return th.cat([actions, actions.square()], dim=1)
    if isinstance(family, Bernoulli):
        return actions.double()
    places = actions.view(len(actions), -1) - th.tensor(torchs(family, th.zeros(1, family.n_parameters))[1])
    sizes = family.sizes if isinstance(family, MultiCategorical) else [family.n_parameters]
    one_hot = [th.nn.functional.one_hot(column, size) for column, size in zip(places.unbind(1), sizes, strict=True)]
    return th.cat(one_hot, dim=1).double()


def from_natural(family, natural):
    """Parameters of the package from natural ones; of normal distributions they are mean/σ² and −1/(2σ²)."""
    if not isinstance(family, Gaussian):
        return family.canonical(natural)
    first, second = natural.chunk(2, dim=1)
    variances = -0.5 / second
    return th.cat([first * variances, 0.5 * variances.log()], dim=1)


def natural_of(family, parameters):
    if not isinstance(family, Gaussian):
        return parameters
    means, log_stds = parameters.chunk(2, dim=1)
    precisions = (-2.0 * log_stds).exp()
    return th.cat([means * precisions, -0.5 * precisions], dim=1)


@every_family
def test_the_gradient_of_the_cross_entropy_is_the_difference_of_expected_sufficient_statistics(name):
    """The exact mean over actions of the gradient of the likelihood (5)."""
    family = family_of(name)
    own = parameters_of(family, 3, seed=4, scale=0.5)
    natural = natural_of(family, parameters_of(family, 3, seed=5, scale=0.5)).detach().requires_grad_()
    distilled = from_natural(family, natural)
    family.cross_entropy(own, distilled).sum().backward()
    for row in range(3):
        expected = [
            exact_mean(name, family, each[[row]].detach(), lambda actions: sufficient_statistics(family, actions))
            for each in (distilled, own)
        ]
        np.testing.assert_allclose(natural.grad[row], expected[0] - expected[1], atol=1e-6)
    assert natural.grad.abs().max() > 0.1


@every_family
@settings(max_examples=20)
@given(seed=seeds, weight=st.floats(0.0, 1.5))
def test_two_columns_are_proportional_to_the_product(name, seed, weight):
    """log πi − (α log π0 + log f) is the same number for all actions, where f is the policy of the task's outputs."""
    family = family_of(name)
    distilled, task = parameters_of(family, 1, seed=seed), outputs_of(family, 1, seed=seed + 1)
    own = family.combine(distilled, task, th.tensor(weight, dtype=th.float64))
    actions = all_actions(name) if name in DISCRETE else outputs_of(family, 40, seed=seed + 2, scale=2.0)[:, :2]
    n = len(actions)

    def log_prob(parameters):
        return family.log_prob(parameters.expand(n, -1), actions)

    constant = log_prob(own) - (weight * log_prob(distilled) + log_prob(family.canonical(task)))
    np.testing.assert_allclose(constant, constant[0], atol=2e-6)
    np.testing.assert_allclose(torchs_log_prob(family, own.expand(n, -1), actions), log_prob(own), atol=1e-9)
    if name in DISCRETE:
        assert float(log_prob(own).exp().sum()) == pytest.approx(1.0, abs=1e-9)


@every_family
def test_each_row_has_a_weight_of_its_own(name):
    family = family_of(name)
    distilled, task = parameters_of(family, 3), outputs_of(family, 3, seed=1)
    weights = th.tensor([[0.0], [0.5], [1.0]], dtype=th.float64)
    together = family.combine(distilled, task, weights)
    for row in range(3):
        th.testing.assert_close(together[[row]], family.combine(distilled[[row]], task[[row]], weights[row, 0]))
    th.testing.assert_close(together[[0]], family.canonical(task[[0]]))


@every_family
def test_gradients_of_two_columns_reach_both(name):
    family = family_of(name)
    outputs = outputs_of(family).requires_grad_(), outputs_of(family, seed=1).requires_grad_()
    own = family.combine(family.canonical(outputs[0]), outputs[1], th.tensor(0.5, dtype=th.float64))
    family.log_prob(own, family.sample(own.detach())).sum().backward()
    assert all((part.grad.abs().sum(dim=1) > 0).all() for part in outputs)
    assert th.autograd.gradcheck(lambda h, f: family.combine(family.canonical(h), f, th.tensor(0.5).double()), outputs)


def test_standard_deviations_of_a_network_are_bounded():
    family = Gaussian(1, bounded=True)
    lowest, highest = LOG_STD_RANGE
    outputs = th.tensor([[0.3, -1e4], [0.3, 1e4]])
    assert family.canonical(outputs)[:, 1].tolist() == [lowest, highest]
    combined = family.combine(family.canonical(outputs), outputs, th.tensor(1.0))
    assert combined.isfinite().all()
    assert Gaussian(1).canonical(outputs).tolist() == outputs.tolist()
