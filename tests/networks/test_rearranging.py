"""Columns of tasks that stay, and what optimizers know of them, are the same bit for bit."""

import copy
from functools import partial

import pytest
import torch as th

from sb3_distral.errors import UsageError
from sb3_distral.networks.columns import TaskColumns
from sb3_distral.networks.rearranging import begin_sizes, move_state, rearrange

from .test_columns import CASES, make_column

KEPT = [0, 2]
OPTIMIZERS = {
    "rmsprop": lambda parameters: th.optim.RMSprop(parameters, lr=0.01, centered=True, momentum=0.5),
    "adam": lambda parameters: th.optim.Adam(parameters, lr=0.01, amsgrad=True),
    "sgd": lambda parameters: th.optim.SGD(parameters, lr=0.01, momentum=0.9),
    "plain sgd": lambda parameters: th.optim.SGD(parameters, lr=0.01),
}


def maker(case="tanh"):
    return partial(make_column, case)


def trained(make, optimizer, n_steps=4):
    columns = TaskColumns([make() for _ in range(3)])
    own = OPTIMIZERS[optimizer](columns.parameters())
    for _ in range(n_steps):
        step(columns, own)
    return columns, own


def step(columns, optimizer, scale=1.0):
    for parameter in columns.parameters():
        parameter.grad = scale * th.randn_like(parameter)
    optimizer.step()


def rows(columns, values, tasks):
    """What belongs to some tasks, as one vector for each."""
    own = []
    for task in tasks:
        network = [
            values[parameter][index]
            for n, parameters in columns.stacked.items()
            for index in range(task, n, columns.n_tasks)
            for parameter in parameters
        ]
        network += [values[parameter] for index, parameter in columns.separate if index == task]
        own.append(th.cat([value.detach().flatten() for value in network]))
    return th.stack(own)


@pytest.mark.parametrize("case", CASES)
def test_columns_that_stay_are_the_same(case):
    make = maker(case)
    before = TaskColumns([make() for _ in range(3)])
    new = make()
    after = rearrange(before, KEPT, [new], make)
    assert after.n_tasks == 3
    for task, place in ((0, 0), (2, 1)):
        one, other = make(), make()
        before.copy_column(task, one)
        after.copy_column(place, other)
        assert all(th.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))
    copied = make()
    after.copy_column(2, copied)
    assert all(th.equal(a, b) for a, b in zip(copied.state_dict().values(), new.state_dict().values(), strict=True))


@pytest.mark.parametrize("case", ["tanh", "learned features", "other sizes for actor and critic"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_columns_that_stay_take_the_same_steps(optimizer, case):
    make = maker(case)
    before, own = trained(make, optimizer)
    after = rearrange(before, KEPT, [make()] * 2, make)
    other = OPTIMIZERS[optimizer](after.parameters())
    other.state.update(move_state(dict(own.state), before, after, KEPT, make))
    for _ in range(3):
        gradients = {parameter: th.randn_like(parameter) for parameter in before.parameters()}
        wanted = rows(before, gradients, KEPT)
        for parameter, gradient in gradients.items():
            parameter.grad = gradient
        shadow = copy.deepcopy(before)
        for parameter, gradient in zip(shadow.parameters(), gradients.values(), strict=True):
            parameter.data = gradient
        moved = rearrange(shadow, KEPT, [make()] * 2, make)
        for parameter, gradient in zip(after.parameters(), moved.parameters(), strict=True):
            parameter.grad = gradient.detach()
        assert th.equal(rows(after, {p: p.grad for p in after.parameters()}, [0, 1]), wanted)
        own.step()
        other.step()
        parameters = [{p: p for p in columns.parameters()} for columns in (before, after)]
        assert th.equal(rows(before, parameters[0], KEPT), rows(after, parameters[1], [0, 1]))


def test_new_tasks_begin_with_the_sizes_of_the_others_and_no_momentum():
    make = maker()
    before, own = trained(make, "adam")
    after = rearrange(before, KEPT, [make()], make)
    moved = move_state(dict(own.state), before, after, KEPT, make)
    sizes = {name: rows(before, {p: s[name] for p, s in own.state.items()}, KEPT) for name in ("exp_avg_sq", "exp_avg")}
    new = {name: rows(after, {p: s[name] for p, s in moved.items()}, [2])[0] for name in sizes}
    assert new["exp_avg_sq"] == pytest.approx(sizes["exp_avg_sq"].mean(dim=0))
    assert not new["exp_avg"].any()
    assert all(float(state["step"]) == 4 and state["step"].dim() == 0 for state in moved.values())


def test_an_optimizer_that_knows_nothing_goes_on_so():
    make = maker()
    before = TaskColumns([make() for _ in range(3)])
    assert move_state({}, before, rearrange(before, KEPT, [], make), KEPT, make) == {}


@pytest.mark.parametrize("optimizer", ["rmsprop", "adam"])
def test_first_steps_of_new_tasks_are_no_longer_than_later_ones(optimizer):
    """Although their gradients are a thousand times those of the others."""

    def steps(begins):
        th.manual_seed(0)
        make = maker()
        before, own = trained(make, optimizer, 300)
        after = rearrange(before, KEPT, [make()], make)
        other = OPTIMIZERS[optimizer](after.parameters())
        other.state.update(move_state(dict(own.state), before, after, KEPT, make))
        lengths = []
        for number in range(200):
            for parameter in after.parameters():
                parameter.grad = 1000.0 * th.randn_like(parameter)
            if begins and number == 0:
                begin_sizes(other, after, [2])
            old = rows(after, {p: p.detach().clone() for p in after.parameters()}, [2])
            other.step()
            lengths.append(float((rows(after, {p: p for p in after.parameters()}, [2]) - old).norm()))
        return lengths[0] / lengths[-1]

    assert steps(begins=False) > 3.0
    assert steps(begins=True) < 1.0


def test_first_gradients_leave_the_sizes_of_others_and_of_layers_without_gradients():
    make = maker()
    columns, own = trained(make, "adam")
    before = {p: s["exp_avg_sq"].clone() for p, s in own.state.items()}
    for parameter in columns.parameters():
        parameter.grad = 10.0 * th.randn_like(parameter)
    columns.action_net.weight.grad.zero_()
    begin_sizes(own, columns, [1])
    after = {p: s["exp_avg_sq"] for p, s in own.state.items()}
    assert th.equal(rows(columns, before, [0, 2]), rows(columns, after, [0, 2]))
    assert th.equal(before[columns.action_net.weight], after[columns.action_net.weight])
    squares = columns.value_net.weight.grad[1].square()
    assert th.equal(after[columns.value_net.weight][1], squares.clamp(min=float(squares.mean())))


def test_an_optimizer_whose_knowledge_has_no_rows_is_refused():
    make = maker()
    before = TaskColumns([make() for _ in range(3)])
    after = rearrange(before, KEPT, [], make)
    state = {parameter: {"factor": th.ones(2)} for parameter in before.parameters()}
    with pytest.raises(UsageError, match=r"keeps 'factor' of shape \(2,\).*Adam and RMSprop do"):
        move_state(state, before, after, KEPT, make)
