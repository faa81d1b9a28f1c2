"""Several distilled policies: the objective of a mixture, and the closed form of its responsibilities.

Task i has a latent component z, one of k distilled policies π0^1 … π0^k, equally likely before anything is known. With
q_iz the probability that it is z, its responsibility, (1) becomes, for each step of the task,

    E_πi[R_i + c_KL Σz q_iz log π0^z(a|s) − (c_KL + c_Ent) log πi(a|s)] − (c_KL/N) KL(q_i‖1/k).

The sum over z is the variational lower bound of the mixture's log-likelihood (Neal and Hinton, 1998), and N says for
how many steps of a task the assignment counts once. All parts ascend this one objective:

- the rewards of task i hold c_KL Σz q_iz log π0^z(a|s), see (9);
- the best πi given its values is ∝ Πz π0^z(a|s)^(α q_iz) exp(f), see (8): two columns add natural parameters;
- the loss of the distilled policies is −c_KL Σz q_iz Σa πi(a|s) log π0^z(a|s), see the second term of (10);
- q_iz ∝ w_z exp(N E[log π0^z(a|s)]), a mean over steps of the task: the best under the constraint Σi q_iz = n/k that
  all components are used alike, whose multipliers are the weights w. Without it the component that learns sooner
  explains all tasks better, gets all of them, and the others learn nothing. As N grows q_i becomes certain.

Σz q_iz log π0^z = log π̄_i + log Z_i, where π̄_i is the pool (the normalised geometric mean) and log Z_i(s) ≤ 0 is what
the components lose by disagreeing in the state. With one component π̄ is π0 and log Z is 0.
"""

import math

import torch as th

from sb3_distral.method.families import Family

#: Iterations in which the weights of the components are found
N_ITERATIONS = 50


def responsibilities(log_likelihoods: th.Tensor, n_steps: float) -> th.Tensor:
    """
    Responsibility of each component for each task, q_iz ∝ w_z exp(N E[log π0^z(a|s)]) with w such that Σi q_iz = n/k.

    The weights w are found by the iteration of Sinkhorn and Knopp (1967), as in entropic optimal transport.

    :param log_likelihoods: Mean log-likelihood of a step of each task under each component, shape (n_tasks, k)
    :param n_steps: N ≥ 0; 0: all are alike, the larger the more certain
    :return: Probabilities, shape (n_tasks, k); they sum to 1 for each task, and to n/k for each component
    """
    n_tasks, k = log_likelihoods.shape
    logits = n_steps * (log_likelihoods - log_likelihoods.max(dim=1, keepdim=True).values)
    log_weights = logits.new_zeros(k)
    for _ in range(N_ITERATIONS):
        log_shares = th.log_softmax(logits + log_weights, dim=1)
        log_weights = log_weights + math.log(n_tasks / k) - th.logsumexp(log_shares, dim=0)
    return th.softmax(logits + log_weights, dim=1)


def running_means(means: th.Tensor, sums: th.Tensor, n_steps: th.Tensor, window: float) -> th.Tensor:
    """
    Let new steps enter running means over a window, which begin at 0: in the beginning all components are alike.

    :param means: Means before, shape (n_tasks, k)
    :param sums: Sums over the new steps, shape (n_tasks, k)
    :param n_steps: Number of new steps of each task, shape (n_tasks,)
    :param window: Number of steps over which the means run
    :return: Means now, shape (n_tasks, k)
    """
    share = (n_steps / window).clamp(max=1.0).unsqueeze(1)
    return (1.0 - share) * means + share * sums / n_steps.clamp(min=1.0).unsqueeze(1)


def expected_log_likelihoods(family: Family, parameters: th.Tensor, components: th.Tensor) -> th.Tensor:
    """
    Log-likelihood of the actions of a policy under each component, the exact mean over actions Σa πi log π0^z.

    :param family: The family of all of them
    :param parameters: Parameters of πi, shape (batch, n_parameters)
    :param components: Parameters of π0^z, shape (k, batch, n_parameters)
    :return: In nats, shape (batch, k)
    """
    return th.stack([-family.cross_entropy(parameters, component) for component in components], dim=1)


def log_normalizer(family: Family, pooled: th.Tensor, components: th.Tensor, weights: th.Tensor) -> th.Tensor:
    """
    Logarithm of the normaliser of a pool, log Z = Σz q_z log π0^z(a) − log π̄(a), which is the same for every action.

    :param family: The family of all of them
    :param pooled: Parameters of π̄, shape (batch, n_parameters)
    :param components: Parameters of π0^z, shape (k, batch, n_parameters)
    :param weights: q_z, shape (batch, k)
    :return: log Z ≤ 0 in nats, shape (batch,)
    """
    # Any action will do; the likeliest one is valid under every mask.
    actions = family.mode(pooled.detach())
    log_probs = th.stack([family.log_prob(component, actions) for component in components], dim=1)
    return (weights * log_probs).sum(dim=1) - family.log_prob(pooled, actions)
