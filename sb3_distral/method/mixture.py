"""Several distilled policies: the objective of a mixture, and the responsibilities of its components.

Task i has a latent component z, one of k distilled policies π0^1 … π0^k, equally likely before anything is known. With
q_iz the probability that it is z, its responsibility, (1) becomes, for each step of the task,

    E_πi[R_i + c_KL Σz q_iz log π0^z(a|s) − (c_KL + c_Ent) log πi(a|s)].

The sum over z is the variational lower bound of the mixture's log-likelihood (Neal and Hinton, 1998). In it

- the rewards of task i hold c_KL Σz q_iz log π0^z(a|s), see (9);
- the best πi given its values is ∝ Πz π0^z(a|s)^(α q_iz) exp(f), see (8): two columns add natural parameters;
- the loss of the distilled policies is −c_KL Σz q_iz Σa πi(a|s) log π0^z(a|s), see the second term of (10);
- q_i ascends the same return by the policy gradient, since πi is made of it: E[A_i(s, a) ∂log πi(a|s)/∂q_iz]. Steps are
  those of the exponentiated gradient (Kivinen and Warmuth, 1997), q_iz ∝ exp(g_iz), where g adds them up.

That the objective rewards a task besides for what it does already, c_KL E[log π0^z], is left out of the steps of q: πi
is made of the components by the shares q, and so resembles those that have a larger one, whatever chance gave it to
them.

Σz q_iz log π0^z = log π̄_i + log Z_i, where π̄_i is the pool (the normalised geometric mean) and log Z_i(s) ≤ 0 is what
the components lose by disagreeing in the state. With one component π̄ is π0 and log Z is 0.
"""

import torch as th

from sb3_distral.method.families import Family


def responsibilities(evidence: th.Tensor, offset: th.Tensor | float = 0.0) -> th.Tensor:
    """
    Responsibility of each component for each task, q_iz ∝ exp(g_iz − mean of g_z over tasks + b_z).

    Without the mean a component that learns a little sooner serves all tasks better, gets all, and the others nothing.

    :param evidence: g_iz, sum of the steps of the exponentiated gradient, shape (n_tasks, k)
    :param offset: b_z, what the mean was before tasks came or left that is the mean of others now, shape (k,)
    :return: Probabilities, shape (n_tasks, k)

    >>> responsibilities(th.zeros(3, 2)).tolist()
    [[0.5, 0.5], [0.5, 0.5], [0.5, 0.5]]
    """
    return th.softmax(evidence - (evidence.mean(dim=0) - offset), dim=1)


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
