"""Every family against PyTorch's distributions and against sampling."""

import math

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from hypothesis import given, settings
from torch import distributions

from sb3_distral.errors import UsageError
from sb3_distral.method.families import (
    Bernoulli,
    Categorical,
    Gaussian,
    MultiCategorical,
    make_family,
)
from sb3_distral.networks.distributions import distribution_of

from .family_cases import (
    DISCRETE,
    FAMILIES,
    all_actions,
    every_family,
    family_of,
    parameters_of,
    seeds,
    torchs,
    torchs_log_prob,
)


@every_family
@settings(max_examples=20)
@given(seed=seeds)
def test_log_probabilities_are_those_of_pytorch(name, seed):
    family = family_of(name)
    parameters = parameters_of(family, seed=seed)
    actions = family.sample(parameters)
    np.testing.assert_allclose(
        family.log_prob(parameters, actions), torchs_log_prob(family, parameters, actions), rtol=1e-12, atol=1e-12
    )


@every_family
@settings(max_examples=20)
@given(seed=seeds)
def test_entropy_divergence_and_cross_entropy_are_those_of_pytorch(name, seed):
    family = family_of(name)
    own, other = parameters_of(family, seed=seed), parameters_of(family, seed=seed + 1)
    (own_parts, _), (other_parts, _) = torchs(family, own), torchs(family, other)
    entropy = sum(part.entropy() for part in own_parts)
    divergence = sum(distributions.kl_divergence(p, q) for p, q in zip(own_parts, other_parts, strict=True))
    np.testing.assert_allclose(family.entropy(own), entropy, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(family.kl_divergence(own, other), divergence, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(family.cross_entropy(own, other), divergence + entropy, rtol=1e-10, atol=1e-10)


@every_family
def test_the_divergence_of_a_policy_from_itself_is_zero(name):
    family = family_of(name)
    parameters = parameters_of(family, scale=3.0)
    np.testing.assert_allclose(family.kl_divergence(parameters, parameters), 0.0, atol=1e-12)
    np.testing.assert_allclose(family.cross_entropy(parameters, parameters), family.entropy(parameters), atol=1e-12)


# Against sampling


@every_family
def test_samples_have_the_policys_probabilities(name):
    family, n = family_of(name), 40_000
    own, other = parameters_of(family, 1, seed=1), parameters_of(family, 1, seed=2)
    th.manual_seed(0)
    actions = family.sample(own.expand(n, -1))
    log_own, log_other = family.log_prob(own.expand(n, -1), actions), family.log_prob(other.expand(n, -1), actions)
    assert float(-log_own.mean()) == pytest.approx(float(family.entropy(own)), abs=0.02)
    assert float(-log_other.mean()) == pytest.approx(float(family.cross_entropy(own, other)), rel=0.03)
    assert float((log_own - log_other).mean()) == pytest.approx(float(family.kl_divergence(own, other)), rel=0.05)
    if name in DISCRETE:
        every = all_actions(name)
        shares = [(actions.view(n, -1) == action.view(1, -1)).all(dim=1).double().mean() for action in every]
        expected = family.log_prob(own.expand(len(every), -1), every).exp()
        np.testing.assert_allclose(shares, expected, atol=0.01)


@every_family
def test_samples_and_modes_are_those_of_stable_baselines3(name):
    family = family_of(name)
    parameters = parameters_of(family, 50).float()
    th.manual_seed(3)
    own = family.sample(parameters)
    th.manual_seed(3)
    distribution = distribution_of(parameters, FAMILIES[name])
    assert th.equal(own, distribution.sample().to(own.dtype))
    assert th.equal(family.mode(parameters), distribution.mode())
    th.testing.assert_close(family.log_prob(parameters, own), distribution.log_prob(own))
    if "gaussian" not in name:
        rows = own.numpy() if own.dim() > 1 else own.tolist()
        assert all(FAMILIES[name].contains(np.asarray(row, dtype=FAMILIES[name].dtype)) for row in rows)


@pytest.mark.parametrize("name", DISCRETE)
def test_the_mode_is_the_likeliest_action(name):
    family = family_of(name)
    parameters = parameters_of(family, 20)
    every = all_actions(name)
    for row, mode in zip(parameters, family.mode(parameters), strict=True):
        likeliest = family.log_prob(row.expand(len(every), -1), every).argmax()
        assert every[likeliest].tolist() == mode.tolist()


# Which family it is


@pytest.mark.parametrize(
    ("space", "kind", "n_parameters"),
    [
        (spaces.Discrete(5), Categorical, 5),
        (spaces.MultiDiscrete([2, 4]), MultiCategorical, 6),
        (spaces.MultiBinary(4), Bernoulli, 4),
        (spaces.Box(-1.0, 1.0, (2, 3)), Gaussian, 12),
    ],
    ids=str,
)
def test_the_space_chooses_the_family(space, kind, n_parameters):
    family = make_family(space)
    assert type(family) is kind
    assert family.n_parameters == n_parameters


@pytest.mark.parametrize(
    "space",
    [
        spaces.Dict(a=spaces.Discrete(2)),
        spaces.Tuple([spaces.Discrete(2)]),
        spaces.MultiBinary([2, 2]),
        spaces.MultiDiscrete([[2, 2]]),
        spaces.Text(3),
    ],
    ids=str,
)
def test_other_spaces_are_refused_with_those_that_are_taken(space):
    with pytest.raises(UsageError, match=r"the action space .*takes Box and Discrete.*Wrap the environments"):
        make_family(space)


def test_only_box_actions_have_standard_deviations():
    with pytest.raises(UsageError, match=r"state_dependent_std=True was given with the actions Discrete\(3\)"):
        make_family(spaces.Discrete(3), state_dependent_std=True)


@pytest.mark.parametrize(("std", "nats"), [(1.0, 0.0001), (4.5, 0.02)])
def test_a_column_that_adds_nothing_narrows_a_wide_policy_by_little(std, nats):
    """The numbers of docs/continual.md."""
    family = make_family(spaces.Box(-1.0, 1.0, (1,)))
    prior = family.canonical(th.tensor([[0.3, math.log(std)]]))
    policy = family.combine(prior, family.neutral()[None], th.tensor(1.0))
    divergence = float(family.kl_divergence(policy, prior))
    assert round(divergence, 4 if nats < 0.001 else 2) == nats
