"""The equations, each against a computation of its own; (9) and (10) against finite differences of (1)."""

import itertools

import numpy as np
import pytest
import torch as th
from hypothesis import given
from hypothesis import strategies as st

from sb3_distral.method import objective
from sb3_distral.method.families import Categorical

N_TASKS, N_STATES, N_ACTIONS, HORIZON, GAMMA = 2, 3, 2, 3, 0.9

logits = st.lists(st.floats(-4, 4), min_size=3, max_size=3)
positive = st.floats(0, 3)


def softmax(x):
    exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def double(x):
    return th.tensor(x, dtype=th.float64)


def family_of(log_policy):
    return Categorical(log_policy.shape[-1])


def two_columns(h, f, alpha):
    """The logarithm of πi from outputs of both networks."""
    return family_of(h).combine(family_of(h).canonical(h), f, alpha)


def distillation_loss(own, distilled, kl_cost):
    """Where the gradient of πi is left out by the caller, as the update does."""
    return objective.distillation_loss(family_of(own).cross_entropy(own.detach(), distilled), kl_cost)


class TabularProblem:
    """Tasks small enough that the objective and its gradients are sums over all trajectories."""

    def __init__(self, kl_costs, entropy_costs, columns):
        generator = np.random.default_rng(3)
        self.start = generator.dirichlet(np.ones(N_STATES), size=N_TASKS)
        self.transitions = generator.dirichlet(np.ones(N_STATES), size=(N_TASKS, N_STATES, N_ACTIONS))
        self.rewards = generator.normal(size=(N_TASKS, N_STATES, N_ACTIONS))
        self.h = generator.normal(size=(N_STATES, N_ACTIONS))
        self.f = generator.normal(size=(N_TASKS, N_STATES, N_ACTIONS))
        self.kl_costs, self.entropy_costs = np.array(kl_costs), np.array(entropy_costs)
        self.alphas = self.kl_costs / (self.kl_costs + self.entropy_costs)
        self.columns = columns

    def policies(self, h, f):
        if self.columns == "one":
            return softmax(h), softmax(f)
        return softmax(h), softmax(self.alphas[:, None, None] * h + f)

    def objective(self, h, f):
        """(1), its first form, by the distribution of states at each step."""
        distilled, own = self.policies(h, f)
        total = 0.0
        for task in range(N_TASKS):
            states = self.start[task]
            for t in range(HORIZON):
                regularized = (
                    self.rewards[task]
                    - self.kl_costs[task] * np.log(own[task] / distilled)
                    - self.entropy_costs[task] * np.log(own[task])
                )
                total += GAMMA**t * np.sum(states[:, None] * own[task] * regularized)
                states = np.einsum("s,sa,sax->x", states, own[task], self.transitions[task])
        return total

    def finite_differences(self):
        gradients = []
        for table in (self.h, self.f):
            gradient = np.zeros_like(table)
            for index in np.ndindex(*table.shape):
                values = []
                for step in (1e-5, -1e-5):
                    kept = table[index]
                    table[index] += step
                    values.append(self.objective(self.h, self.f))
                    table[index] = kept
                gradient[index] = (values[0] - values[1]) / 2e-5
            gradients.append(gradient)
        return gradients

    def trajectories(self, task, own):
        """All (probability, [(s, a), ...]) of a task."""
        pairs = list(itertools.product(range(N_STATES), range(N_ACTIONS)))
        for path in itertools.product(pairs, repeat=HORIZON):
            probability = self.start[task, path[0][0]]
            for t, (s, a) in enumerate(path):
                probability *= own[task, s, a]
                if t + 1 < HORIZON:
                    probability *= self.transitions[task, s, a, path[t + 1][0]]
            yield probability, path

    def package_gradients(self, baseline=0.0):
        """(9) and (10) from the package's functions, the expectation summed over all trajectories."""
        h, f = double(self.h).requires_grad_(), double(self.f).requires_grad_()
        own_probabilities = self.policies(self.h, self.f)[1]
        kl, entropy = double(self.kl_costs), double(self.entropy_costs)
        distilled = th.log_softmax(h, dim=-1)
        if self.columns == "one":
            own = th.log_softmax(f, dim=-1)
        else:
            own = two_columns(h, f, double(self.alphas).view(-1, 1, 1))
        loss = th.zeros((), dtype=th.float64)
        for task in range(N_TASKS):
            paths = list(self.trajectories(task, own_probabilities))
            probabilities = double([probability for probability, _ in paths])
            s, a = th.tensor([path for _, path in paths]).unbind(dim=-1)
            discounts = GAMMA ** th.arange(HORIZON)
            added = objective.regularizer(distilled[s, a], own[task, s, a], kl[task], entropy[task]).detach()
            rewards = discounts * (double(self.rewards[task])[s, a] + added)
            returns = rewards.flip(1).cumsum(1).flip(1) - baseline * (1 + s)
            policy_loss = objective.policy_gradient_loss(own[task, s, a], returns)
            distillation = distillation_loss(own[task][s], distilled[s], kl[task])
            loss = loss + (probabilities.unsqueeze(1) * (policy_loss + discounts * distillation)).sum()
        loss.backward()
        return -h.grad.numpy(), -f.grad.numpy()


@pytest.mark.parametrize("columns", ["one", "two"])
@pytest.mark.parametrize(
    ("kl_costs", "entropy_costs"),
    [([0.5, 0.5], [0.5, 0.5]), ([0.7, 0.2], [0.0, 0.0]), ([0.0, 0.0], [0.3, 0.6]), ([0.1, 0.9], [0.8, 0.3])],
    ids=["both", "divergence", "entropy", "unequal"],
)
def test_9_and_10_are_the_gradients_of_1(columns, kl_costs, entropy_costs):
    problem = TabularProblem(kl_costs, entropy_costs, columns)
    distilled_gradient, task_gradients = problem.package_gradients()
    expected_distilled, expected_task = problem.finite_differences()
    np.testing.assert_allclose(task_gradients, expected_task, atol=1e-8)
    np.testing.assert_allclose(distilled_gradient, expected_distilled, atol=1e-8)
    assert np.abs(expected_task).max() > 1e-2


def test_a_baseline_of_the_state_leaves_the_gradients_as_they_are():
    problem = TabularProblem([0.4, 0.7], [0.2, 0.1], "two")
    for plain, with_baseline in zip(problem.package_gradients(), problem.package_gradients(baseline=2.0), strict=True):
        np.testing.assert_allclose(plain, with_baseline, atol=1e-12)


def test_the_two_forms_of_1_are_equal():
    generator = np.random.default_rng(0)
    alpha, beta = 0.3, 4.0
    kl, entropy = objective.kl_cost(alpha, beta), objective.entropy_cost(alpha, beta)
    distilled, own = np.log(generator.dirichlet(np.ones(5))), np.log(generator.dirichlet(np.ones(5)))
    added = objective.regularizer(double(distilled), double(own), double(kl), double(entropy)).numpy()
    np.testing.assert_allclose(added, -kl * (own - distilled) - entropy * own)
    np.testing.assert_allclose(added, alpha / beta * distilled - own / beta)


@given(logits, logits, positive, positive)
def test_mean_regularizer_is_minus_divergence_plus_entropy(h, f, kl_cost, entropy_cost):
    distilled, own = softmax(np.array(h)), softmax(np.array(f))
    added = objective.regularizer(
        double(np.log(distilled)), double(np.log(own)), double(kl_cost), double(entropy_cost)
    ).numpy()
    divergence = sum(p * np.log(p / q) for p, q in zip(own, distilled, strict=True))
    entropy = -sum(p * np.log(p) for p in own)
    assert np.sum(own * added) == pytest.approx(-kl_cost * divergence + entropy_cost * entropy, abs=1e-9)


def test_the_divergence_is_from_the_task_policy_to_the_distilled_one():
    own, distilled = np.array([0.9, 0.1]), np.array([0.5, 0.5])
    forward = 0.9 * np.log(0.9 / 0.5) + 0.1 * np.log(0.1 / 0.5)
    backward = 0.5 * np.log(0.5 / 0.9) + 0.5 * np.log(0.5 / 0.1)
    assert abs(forward - backward) > 0.1
    got = Categorical(2).kl_divergence(double(np.log(own)), double(np.log(distilled)))
    assert float(got) == pytest.approx(forward)


def test_distillation_pulls_towards_the_mean_of_the_tasks_not_their_normalized_geometric_mean():
    # The minimiser of sum KL(πi‖π0) over π0 is the mixture; that of the reversed divergence is not.
    own = np.array([[0.9, 0.05, 0.05], [0.1, 0.1, 0.8]])
    mixture, geometric = own.mean(axis=0), softmax(np.log(own).mean(axis=0))

    def gradient(point):
        h = double(np.log(point)).requires_grad_()
        distilled = th.log_softmax(h, dim=-1).expand(2, 3)
        distillation_loss(double(np.log(own)), distilled, double([0.3, 0.3])).sum().backward()
        return h.grad.numpy()

    np.testing.assert_allclose(gradient(mixture), 0.0, atol=1e-12)
    assert np.abs(gradient(geometric)).max() > 1e-2


@given(logits, logits, positive)
def test_distillation_gradient_is_the_second_term_of_10(h, f, kl_cost):
    parameters = double(h).requires_grad_()
    own = th.log_softmax(double(f), dim=-1)
    distillation_loss(own, th.log_softmax(parameters, dim=-1), double(kl_cost)).backward()
    expected = kl_cost * (softmax(np.array(f)) - softmax(np.array(h)))
    np.testing.assert_allclose(-parameters.grad.numpy(), expected, atol=1e-12)


def test_the_optimal_task_policy_of_4_is_where_the_gradient_of_9_vanishes():
    # One state, one step: πi = softmax(α log π0 + β R), and any other policy has a gradient.
    alpha, beta = 0.4, 2.5
    rewards, distilled = np.array([0.3, -0.2, 1.0]), np.array([0.2, 0.7, 0.1])
    kl, entropy = objective.kl_cost(alpha, beta), objective.entropy_cost(alpha, beta)

    def gradient(log_policy):
        f = double(log_policy).requires_grad_()
        own = th.log_softmax(f, dim=-1)
        added = objective.regularizer(double(np.log(distilled)), own, double(kl), double(entropy)).detach()
        (own.exp().detach() * objective.policy_gradient_loss(own, double(rewards) + added)).sum().backward()
        return np.abs(f.grad.numpy()).max()

    assert gradient(alpha * np.log(distilled) + beta * rewards) < 1e-12
    assert gradient(np.log(distilled) + beta * rewards) > 1e-2
    assert gradient(alpha * np.log(distilled) + rewards) > 1e-2


@given(logits, logits, st.floats(0, 1))
def test_two_columns_are_the_softmax_of_weighted_h_plus_f(h, f, alpha):
    expected = softmax(alpha * np.array(h) + np.array(f))
    got = two_columns(double(h), double(f), double(alpha))
    np.testing.assert_allclose(got.exp().numpy(), expected, atol=1e-12)


@given(logits, logits, st.floats(0, 1), st.floats(-5, 5), st.floats(-5, 5))
def test_constants_added_to_logits_change_nothing(h, f, alpha, constant_h, constant_f):
    plain = two_columns(double(h), double(f), double(alpha))
    shifted = two_columns(double(h) + constant_h, double(f) + constant_f, double(alpha))
    normalized = two_columns(th.log_softmax(double(h), -1), double(f), double(alpha))
    np.testing.assert_allclose(plain, shifted, atol=1e-9)
    np.testing.assert_allclose(plain, normalized, atol=1e-9)


@given(logits, positive, positive)
def test_equal_policies_leave_the_entropy_at_its_cost_alone(h, kl_cost, entropy_cost):
    log_policy = th.log_softmax(double(h), dim=-1)
    added = objective.regularizer(log_policy, log_policy, double(kl_cost), double(entropy_cost))
    np.testing.assert_allclose(added, -entropy_cost * log_policy, atol=1e-9)
    assert float(Categorical(3).kl_divergence(log_policy, log_policy)) == 0.0


def test_infinite_beta_adds_nothing():
    kl, entropy = objective.kl_cost(0.5, float("inf")), objective.entropy_cost(0.5, float("inf"))
    assert kl == entropy == 0.0
    assert float(objective.regularizer(double(-50.0), double(-0.1), double(kl), double(entropy))) == 0.0


@given(st.integers(2, 9))
def test_entropy_of_the_uniform_policy_is_the_logarithm_of_its_actions(n_actions):
    uniform = th.full((4, n_actions), -np.log(n_actions), dtype=th.float64)
    np.testing.assert_allclose(Categorical(n_actions).entropy(uniform), np.log(n_actions))


def test_the_policy_loss_grows_with_the_probability_of_bad_actions():
    log_prob = double([-1.0, -2.0]).requires_grad_()
    objective.policy_gradient_loss(log_prob, double([3.0, -0.5])).sum().backward()
    assert log_prob.grad.tolist() == [-3.0, 0.5]


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(-100, 100)), min_size=1, max_size=12))
def test_task_means_are_means_of_the_rows_of_each_task(pairs):
    tasks, values = zip(*pairs, strict=True)
    means = objective.task_means(double(values), th.tensor(tasks), n_tasks=5)
    for task in range(5):
        own = [value for of, value in pairs if of == task]
        assert float(means[task]) == pytest.approx(np.mean(own) if own else 0.0, abs=1e-9)


def test_every_task_weighs_alike_in_the_sum_of_task_means():
    rows, tasks = double([[6.0, 1.0], [2.0, 0.0], [4.0, 3.0], [6.0, 3.0]]), th.tensor([3, 0, 0, 0])
    sums = objective.sum_of_task_means(rows, tasks, n_tasks=5)
    th.testing.assert_close(sums, double([6.0 + 4.0, 1.0 + 2.0]).to(sums.dtype))


def test_task_means_keep_the_other_axes():
    rows = th.arange(8.0).view(4, 2)
    means = objective.task_means(rows, th.tensor([1, 0, 1, 1]), n_tasks=3)
    th.testing.assert_close(means, th.tensor([[2.0, 3.0], [10 / 3, 13 / 3], [0.0, 0.0]]))


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(-10, 10)), min_size=1, max_size=12))
def test_normalized_rows_of_a_task_do_not_depend_on_other_tasks(pairs):
    tasks, values = th.tensor([task for task, _ in pairs]), double([value for _, value in pairs])
    together = objective.normalize_by_task(values, tasks, n_tasks=3)
    for task in range(3):
        own = values[tasks == task]
        if len(own) == 1:
            assert together[tasks == task].tolist() == own.tolist()
        elif len(own) > 1:
            expected = (own - own.mean()) / (own.std() + 1e-8)
            # The difference of nearly equal numbers is rounding over 1e-8.
            if own.std() > 1e-6:
                np.testing.assert_allclose(together[tasks == task], expected, atol=1e-6)
