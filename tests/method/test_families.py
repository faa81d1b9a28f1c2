"""Every family against PyTorch's distributions, against sampling, and as an exponential family."""

import itertools

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import distributions

from sb3_distral.errors import UsageError
from sb3_distral.method.families import (
    LOG_STD_RANGE,
    Bernoulli,
    Categorical,
    Gaussian,
    MultiCategorical,
    make_family,
)
from sb3_distral.networks.distributions import distribution_of

FAMILIES = {
    "categorical": spaces.Discrete(4),
    "categorical from 3": spaces.Discrete(4, start=3),
    "choices": spaces.MultiDiscrete([2, 3, 2]),
    "choices from elsewhere": spaces.MultiDiscrete([2, 3, 2], start=[1, 0, -2]),
    "bernoulli": spaces.MultiBinary(3),
    "gaussian": spaces.Box(-1.0, 1.0, (2,)),
    "bounded gaussian": spaces.Box(-1.0, 1.0, (2,)),
}
DISCRETE = [name for name in FAMILIES if "gaussian" not in name]
MASKABLE = [name for name in FAMILIES if "c" in name and "gaussian" not in name]
seeds = st.integers(0, 10**6)
every_family = pytest.mark.parametrize("name", FAMILIES)


def family_of(name):
    return make_family(FAMILIES[name], state_dependent_std="bounded" in name)


def outputs_of(family, n_rows=5, seed=0, scale=1.0):
    """What a network could put out, in double precision."""
    generator = th.Generator().manual_seed(seed)
    return scale * th.randn(n_rows, family.n_parameters, generator=generator, dtype=th.float64)


def parameters_of(family, n_rows=5, seed=0, scale=1.0):
    return family.canonical(outputs_of(family, n_rows, seed, scale))


def torchs(family, parameters):
    """
    :return: PyTorch's distributions of the independent parts of an action, and the first action of each
    """
    if isinstance(family, MultiCategorical):
        parts = th.split(parameters, family.sizes, dim=1)
        return [distributions.Categorical(logits=part) for part in parts], family.starts.tolist()
    if isinstance(family, Categorical):
        return [distributions.Categorical(logits=parameters)], [family.start]
    if isinstance(family, Bernoulli):
        return [distributions.Bernoulli(logits=column) for column in parameters.unbind(1)], [0] * family.n_parameters
    half = family.n_parameters // 2
    means, log_stds = parameters[:, :half].unbind(1), parameters[:, half:].unbind(1)
    both = zip(means, log_stds, strict=True)
    return [distributions.Normal(mean, log_std.exp()) for mean, log_std in both], [0] * half


def torchs_log_prob(family, parameters, actions):
    parts, starts = torchs(family, parameters)
    columns = actions.to(parameters.dtype).view(len(parameters), -1).unbind(1)
    return sum(part.log_prob(column - start) for part, column, start in zip(parts, columns, starts, strict=True))


def all_actions(name):
    """Every action of a discrete space, (n_actions,) or (n_actions, n_dimensions)."""
    space = FAMILIES[name]
    if isinstance(space, spaces.Discrete):
        return th.arange(space.start, space.start + space.n)
    sizes = space.nvec if isinstance(space, spaces.MultiDiscrete) else [2] * space.n
    starts = space.start if isinstance(space, spaces.MultiDiscrete) else [0] * space.n
    ranges = [range(start, start + size) for start, size in zip(starts, sizes, strict=True)]
    return th.tensor(list(itertools.product(*ranges)))


def grid(n=800):
    """Points of a plane, as many as 16 standard deviations want, and the area of each."""
    points = th.linspace(-40.0, 40.0, n, dtype=th.float64)
    return th.cartesian_prod(points, points), (points[1] - points[0]) ** 2


def exact_mean(name, family, row, function):
    """Mean of a function of actions under one row, by its definition as a sum or an integral."""
    actions, weight = (all_actions(name), 1.0) if name in DISCRETE else grid()
    rows = row.expand(len(actions), -1)
    density = torchs_log_prob(family, rows, actions).exp()
    return (weight * density.unsqueeze(1) * function(actions)).sum(0)


# Against PyTorch's distributions


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


# The exact mean of (5), and the policy of two columns (8)


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


# Masks


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
