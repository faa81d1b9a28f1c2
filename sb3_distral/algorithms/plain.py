"""The policy of a task as a model of Stable-Baselines3, which does not need this package."""

from typing import Any

from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from sb3_distral.algorithms.base import DistralAlgorithm
from sb3_distral.policies.folding import fold


def plain_model(model: DistralAlgorithm, task: int | str) -> OnPolicyAlgorithm:
    """
    Make a plain ``A2C`` or ``PPO`` that acts as the policy of one task and values states as it does.

    What its ``save`` writes, ``A2C.load`` or ``PPO.load`` reads where this package is not installed. It has no
    environment; ``load(path, env=…)`` trains it on, with Stable-Baselines3's defaults where no arguments are given.

    :param model: A model of Distral with policies of vectors, see :func:`~sb3_distral.policies.folding.fold`
    :param task: Index or name of the task
    :return: A model of its host
    :raises UsageError: If there is no such task, or no plain policy equals its own
    """
    policy = fold(model.task_policy(task))
    arguments: Any = {
        "policy": type(policy),
        "env": None,
        "device": model.device,
        "policy_kwargs": {
            "net_arch": policy.net_arch,
            "activation_fn": policy.activation_fn,
            "normalize_images": policy.normalize_images,
        },
    }
    plain = model.host_class(**arguments, _init_setup_model=False)
    plain.observation_space, plain.action_space, plain.n_envs = policy.observation_space, policy.action_space, 1
    plain._setup_model()
    plain.policy.load_state_dict(policy.state_dict())
    return plain
