"""Every family, and the same by PyTorch's distributions and by sums over all actions."""

import itertools

import pytest
import torch as th
from gymnasium import spaces
from hypothesis import strategies as st
from torch import distributions

from sb3_distral.method.families import (
    Bernoulli,
    Categorical,
    MultiCategorical,
    make_family,
)

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
