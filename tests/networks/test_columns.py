"""Networks evaluated together equal the same networks one by one: outputs, gradients, copies and clipping."""

from copy import deepcopy

import numpy as np
import pytest
import torch as th
from gymnasium import spaces
from helpers import N_ACTIONS, assert_equal_parameters, copied_parameters, gradients_of, randomize
from hypothesis import given, settings
from hypothesis import strategies as st
from stable_baselines3.common.policies import ActorCriticCnnPolicy, ActorCriticPolicy, MultiInputActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

from sb3_distral.networks.columns import N_LAYOUTS, TaskColumns
from sb3_distral.networks.heads import Column, evaluate_column

N_TASKS = 3
VECTOR = spaces.Box(-1.0, 1.0, (5,), np.float32)
IMAGE = spaces.Box(0, 255, (1, 36, 36), np.uint8)
CONTINUOUS = spaces.Box(-1.0, 1.0, (2,))
MIXED = spaces.Dict({"vector": VECTOR, "number": spaces.Discrete(4)})
MIXED_IMAGE = spaces.Dict({"vector": VECTOR, "picture": IMAGE})


class LearnedFeatures(BaseFeaturesExtractor):
    """A features extractor with parameters and a buffer."""

    def __init__(self, observation_space, features_dim=6):
        super().__init__(observation_space, features_dim)
        self.linear = nn.Linear(observation_space.shape[0], features_dim)
        self.register_buffer("factor", th.rand(()))

    def forward(self, observations):
        return self.factor * th.sin(self.linear(observations))


class NormalizedFeatures(BaseFeaturesExtractor):
    """A features extractor whose rows see each other and that keeps statistics."""

    def __init__(self, observation_space):
        super().__init__(observation_space, observation_space.shape[0])
        self.norm = nn.BatchNorm1d(observation_space.shape[0])

    def forward(self, observations):
        return self.norm(observations)


class LastAxisSoftmax(nn.Module):
    """An activation in which the features of a row see each other."""

    def __init__(self):
        super().__init__()
        self.softmax = nn.Softmax(dim=-1)

    def forward(self, rows):
        return self.softmax(rows)


class ScaledReLU(nn.ReLU):
    """A known activation with a parameter added."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(th.ones(1))

    def forward(self, rows):
        return self.scale * super().forward(rows)


CASES = {
    "tanh": (ActorCriticPolicy, VECTOR, {}),
    "relu": (ActorCriticPolicy, VECTOR, {"activation_fn": nn.ReLU, "net_arch": [7]}),
    "other sizes for actor and critic": (ActorCriticPolicy, VECTOR, {"net_arch": {"pi": [7, 6], "vf": [5]}}),
    "equal sizes for actor and critic": (ActorCriticPolicy, VECTOR, {"net_arch": {"pi": [7, 6], "vf": [7, 6]}}),
    "an actor without layers": (ActorCriticPolicy, VECTOR, {"net_arch": {"pi": [], "vf": [5]}}),
    "no layers": (ActorCriticPolicy, VECTOR, {"net_arch": []}),
    "learned features": (ActorCriticPolicy, VECTOR, {"features_extractor_class": LearnedFeatures}),
    "separate features": (
        ActorCriticPolicy,
        VECTOR,
        {"features_extractor_class": LearnedFeatures, "share_features_extractor": False},
    ),
    "separate features without parameters": (ActorCriticPolicy, VECTOR, {"share_features_extractor": False}),
    "activation with parameters": (ActorCriticPolicy, VECTOR, {"activation_fn": nn.PReLU, "net_arch": [7, 6]}),
    "known activation with a parameter added": (
        ActorCriticPolicy,
        VECTOR,
        {"activation_fn": ScaledReLU, "net_arch": [7]},
    ),
    "activation over features": (ActorCriticPolicy, VECTOR, {"activation_fn": LastAxisSoftmax, "net_arch": [7]}),
    "continuous actions": (Column, VECTOR, {"action_space": CONTINUOUS, "log_std_init": 0.3}),
    "standard deviations by state": (Column, VECTOR, {"action_space": CONTINUOUS, "state_dependent_std": True}),
    "several choices": (Column, VECTOR, {"action_space": spaces.MultiDiscrete([2, 3]), "net_arch": [7]}),
    "images": (ActorCriticCnnPolicy, IMAGE, {"features_extractor_kwargs": {"features_dim": 8}}),
    "dicts": (MultiInputActorCriticPolicy, MIXED, {"net_arch": [7]}),
    "dicts with images": (
        MultiInputActorCriticPolicy,
        MIXED_IMAGE,
        {"net_arch": [7], "features_extractor_kwargs": {"cnn_output_dim": 8}},
    ),
}
SMALL_CASES = [name for name in CASES if "images" not in name]

# In order and even, shuffled, ragged, tasks without rows, one row.
TASKS = {
    "in order": [0, 0, 1, 1, 2, 2],
    "shuffled": [2, 0, 1, 1, 2, 0],
    "ragged": [1, 1, 0, 1, 2, 1, 0],
    "ragged in order": [0, 1, 1, 1, 2, 2],
    "absent": [2, 0, 2],
    "one task": [1, 1],
    "one row": [2],
}


def make_column(case):
    column_class, space, arguments = CASES[case]
    arguments = {"action_space": spaces.Discrete(N_ACTIONS), **arguments}
    return column_class(space, lr_schedule=lambda _: 1e-3, **arguments)


def make_columns(case, n_tasks=N_TASKS):
    columns = [make_column(case) for _ in range(n_tasks)]
    for seed, column in enumerate(columns):
        randomize(column, 0.3, seed)
    return columns


def sample(space, n_rows):
    """Observations as tensors, as an algorithm hands them over."""
    space.seed(0)
    if isinstance(space, spaces.Dict):
        return {key: sample(own, n_rows) for key, own in space.spaces.items()}
    return th.as_tensor(np.stack([space.sample() for _ in range(n_rows)]))


def rows_of(observations, index):
    if isinstance(observations, dict):
        return {key: value[index] for key, value in observations.items()}
    return observations[index]


def separate_outputs(columns, observations, tasks):
    """Outputs about the policy and values, one row and network at a time."""
    outputs, values = [], []
    for row, task in enumerate(tasks):
        own = rows_of(observations, slice(row, row + 1))
        column = columns[task]
        features = column.extract_features(own)
        actor, critic = features if isinstance(features, tuple) else (features, features)
        output = column.action_net(column.mlp_extractor.forward_actor(actor))
        log_std = getattr(column, "log_std", None)
        outputs.append(output if log_std is None else th.cat([output, log_std.unsqueeze(0)], dim=1))
        values.append(column.value_net(column.mlp_extractor.forward_critic(critic)))
    return th.cat(outputs), th.cat(values)


def together_outputs(together, observations, tasks):
    return together(observations, th.tensor(tasks))


def gradients_by_column(together, case, n_tasks=N_TASKS):
    """The gradients, as the parameters of separate networks."""
    holder = deepcopy(together)
    for parameter, own in zip(holder.parameters(), together.parameters(), strict=True):
        parameter.data = th.zeros_like(own) if own.grad is None else own.grad.clone()
    columns = [make_column(case) for _ in range(n_tasks)]
    for task, column in enumerate(columns):
        holder.copy_column(task, column)
    return [copied_parameters(column) for column in columns]


def assert_equal_gradients(case, columns, together):
    """Up to the rounding of sums, which is relative to their largest term."""
    for column, got in zip(columns, gradients_by_column(together, case), strict=True):
        expected = gradients_of(column)
        largest = max(float(gradient.abs().max()) for gradient in expected.values())
        assert_equal_parameters(got, expected, rtol=1e-3, atol=1e-4 * largest)


def assert_equal_outputs(got, expected):
    """Up to the rounding of sums, whose terms are of the size of the largest output."""
    for output, separate in zip(got, expected, strict=True):
        th.testing.assert_close(output, separate, rtol=1e-4, atol=1e-5 * max(1.0, float(separate.detach().abs().max())))


def backward_both(case, tasks, scale=1.0):
    """Leave the gradients of one loss on networks one by one and together."""
    columns = make_columns(case)
    together = TaskColumns(deepcopy(columns))
    observations = sample(CASES[case][1], len(tasks))
    generator = th.Generator().manual_seed(1)
    both = separate_outputs(columns, observations, tasks), together_outputs(together, observations, tasks)
    weights = scale * th.randn(len(tasks), both[0][0].shape[1] + 1, generator=generator)
    weights[th.tensor(tasks) == 1] *= 100
    for outputs, values in both:
        (weights * th.cat([outputs.sin(), values], dim=1)).sum().backward()
    return columns, together


@pytest.mark.parametrize("tasks", TASKS.values(), ids=TASKS.keys())
@pytest.mark.parametrize("case", CASES)
def test_together_equals_one_by_one(case, tasks):
    columns = make_columns(case)
    observations = sample(CASES[case][1], len(tasks))
    expected = separate_outputs(columns, observations, tasks)
    assert_equal_outputs(together_outputs(TaskColumns(columns), observations, tasks), expected)


@pytest.mark.parametrize(
    "tasks", [TASKS["shuffled"], TASKS["ragged"], TASKS["absent"]], ids=["even", "ragged", "absent"]
)
@pytest.mark.parametrize("case", CASES)
def test_gradients_together_equal_those_one_by_one(case, tasks):
    columns, together = backward_both(case, tasks, scale=0.01)
    assert_equal_gradients(case, columns, together)


@pytest.mark.parametrize("case", CASES)
def test_each_column_comes_back_as_it_was_put_in(case):
    columns = make_columns(case)
    together = TaskColumns(columns)
    for task, column in enumerate(columns):
        copy = make_column(case)
        together.copy_column(task, copy)
        assert_equal_parameters(copied_parameters(copy), copied_parameters(column))
        for (name, got), expected in zip(copy.named_buffers(), dict(column.named_buffers()).values(), strict=True):
            th.testing.assert_close(got, expected, rtol=0, atol=0, msg=name)


@pytest.mark.parametrize("case", CASES)
def test_no_parameter_is_left_out_or_counted_twice(case):
    columns = make_columns(case)
    expected = sum(parameter.numel() for column in columns for parameter in column.parameters())
    assert sum(parameter.numel() for parameter in TaskColumns(columns).parameters()) == expected


@pytest.mark.parametrize("case", ["tanh", "learned features", "activation with parameters"])
def test_parameters_are_copied_in_and_out(case):
    columns = make_columns(case)
    before = copied_parameters(columns[0])
    together = TaskColumns(columns)
    copy = make_column(case)
    together.copy_column(0, copy)
    randomize(together)
    assert_equal_parameters(copied_parameters(copy), before)
    assert_equal_parameters(copied_parameters(columns[0]), before)


@pytest.mark.parametrize("tasks", [TASKS["ragged"], TASKS["absent"]], ids=["ragged", "absent"])
@pytest.mark.parametrize("case", CASES)
def test_clipping_is_torchs_own_of_each_column(case, tasks):
    columns, together = backward_both(case, tasks, scale=1.0)
    norms = [float(nn.utils.clip_grad_norm_(column.parameters(), 0.5)) for column in columns]
    assert max(norms) > 0.5, "nothing to clip"
    together.clip_grad_norm_(0.5)
    assert_equal_gradients(case, columns, together)


def test_small_gradients_are_not_clipped():
    _, together = backward_both("tanh", TASKS["ragged"], scale=1e-6)
    before = gradients_of(together)
    together.clip_grad_norm_(0.5)
    assert_equal_parameters(gradients_of(together), before)


def test_clipping_without_gradients_is_harmless():
    together = TaskColumns(make_columns("tanh"))
    together.clip_grad_norm_(0.5)
    assert all(parameter.grad is None for parameter in together.parameters())


def test_a_copy_clips_its_own_gradients():
    _, original = backward_both("learned features", TASKS["ragged"])
    before, copy = gradients_of(original), deepcopy(original)
    for own, other in zip(copy.parameters(), original.parameters(), strict=True):
        own.grad = other.grad.clone()
    copy.clip_grad_norm_(1e-3)
    assert_equal_parameters(gradients_of(original), before)
    assert sum(float(gradient.square().sum()) for gradient in gradients_of(copy).values()) <= N_TASKS * 1.001e-6


@settings(max_examples=40)
@given(st.lists(st.integers(0, N_TASKS - 1), min_size=1, max_size=12))
def test_rows_reach_their_own_column_whatever_their_order(tasks):
    columns = make_columns("relu")
    observations = sample(VECTOR, len(tasks))
    expected = separate_outputs(columns, observations, tasks)
    assert_equal_outputs(together_outputs(TaskColumns(columns), observations, tasks), expected)


def test_a_new_batch_of_the_same_size_is_laid_out_anew():
    columns = make_columns("relu")
    together = TaskColumns(columns)
    observations = sample(VECTOR, 4)
    for tasks in ([0, 0, 1, 2], [2, 1, 0, 0], [0, 0, 1, 2]):
        outputs = together_outputs(together, observations, tasks)
        assert_equal_outputs(outputs, separate_outputs(columns, observations, tasks))


def test_tasks_changed_in_place_are_laid_out_anew():
    # Tensors made of numpy arrays share their memory, so a batch can change under a kept layout.
    columns = make_columns("relu")
    together = TaskColumns(columns)
    observations, tasks = sample(VECTOR, 3), th.tensor([0, 1, 2])
    together(observations, tasks)
    tasks.copy_(th.tensor([2, 1, 0]))
    assert_equal_outputs(together(observations, tasks), separate_outputs(columns, observations, [2, 1, 0]))


def test_normalization_in_features_sees_only_the_rows_of_its_task():
    space = spaces.Box(-1.0, 1.0, (5,), np.float32)
    arguments = {"features_extractor_class": NormalizedFeatures, "net_arch": [7]}
    columns = [ActorCriticPolicy(space, spaces.Discrete(N_ACTIONS), lambda _: 1e-3, **arguments) for _ in range(2)]
    together = TaskColumns(columns).train()
    tasks = th.tensor([0, 1, 0, 1, 1])
    observations = th.randn(5, 5)
    logits, _ = together(observations, tasks)
    for task, column in enumerate(columns):
        column.train()
        expected = column.get_distribution(observations[tasks == task]).distribution.logits
        th.testing.assert_close(th.log_softmax(logits[tasks == task], -1), expected, rtol=1e-4, atol=1e-5)
        copy = ActorCriticPolicy(space, spaces.Discrete(N_ACTIONS), lambda _: 1e-3, **arguments)
        together.copy_column(task, copy)
        th.testing.assert_close(copy.features_extractor.norm.running_mean, column.features_extractor.norm.running_mean)


@pytest.mark.parametrize("case", SMALL_CASES)
def test_one_task_needs_no_special_case(case):
    columns = make_columns(case, 1)
    observations = sample(CASES[case][1], 4)
    expected = separate_outputs(columns, observations, [0, 0, 0, 0])
    assert_equal_outputs(together_outputs(TaskColumns(columns), observations, [0, 0, 0, 0]), expected)


@pytest.mark.parametrize("case", CASES)
def test_a_column_alone_is_evaluated_as_among_others(case):
    column = make_columns(case, 1)[0]
    observations = sample(CASES[case][1], 3)
    assert_equal_outputs(evaluate_column(column, observations), separate_outputs([column], observations, [0, 0, 0]))


def test_few_layouts_are_kept():
    together = TaskColumns(make_columns("relu"))
    for n_rows in range(1, 2 * N_LAYOUTS):
        together(sample(VECTOR, n_rows), th.zeros(n_rows, dtype=th.long))
    assert list(together._layouts) == list(range(N_LAYOUTS, 2 * N_LAYOUTS))
