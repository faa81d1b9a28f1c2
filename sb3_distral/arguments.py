"""What the constructor of the algorithm accepts, and how it is told apart."""

from typing import Any, TypedDict

import torch as th
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.type_aliases import Schedule

from sb3_distral.buffers import TaskRolloutBuffer
from sb3_distral.policies import POLICY_ALIASES, Architecture, CnnPolicy, DistralPolicy, MlpPolicy, MultiInputPolicy
from sb3_distral.task_observation import plain_space


class A2CArguments(TypedDict, total=False):
    """Arguments of :class:`stable_baselines3.A2C` that ``DistralA2C`` hands on; their defaults are A2C's."""

    learning_rate: float | Schedule
    n_steps: int
    gamma: float
    gae_lambda: float
    ent_coef: float
    vf_coef: float
    max_grad_norm: float
    rms_prop_eps: float
    use_rms_prop: bool
    use_sde: bool
    sde_sample_freq: int
    rollout_buffer_class: None
    rollout_buffer_kwargs: dict[str, Any] | None
    normalize_advantage: bool
    stats_window_size: int
    tensorboard_log: str | None
    verbose: int
    seed: int | None
    device: th.device | str


def complete_a2c_arguments(arguments: A2CArguments) -> dict[str, Any]:
    """
    :param arguments: What the user gave beside the arguments of the algorithm's own
    :return: These and the one that the algorithm owns
    :raises TypeError: If A2C has no such argument
    :raises ValueError: If the algorithm needs to choose it itself
    """
    unknown = sorted(set(arguments) - set(A2CArguments.__annotations__))
    if unknown:
        raise TypeError(f"DistralA2C got the unknown arguments {unknown}. See help(DistralA2C) and help(A2C).")
    if arguments.get("rollout_buffer_class") is not None:
        raise ValueError(
            "rollout_buffer_class was given, but DistralA2C needs its own TaskRolloutBuffer, which keeps the rows "
            "of each task together. Leave it out; rollout_buffer_kwargs may be given."
        )
    return {**arguments, "rollout_buffer_class": TaskRolloutBuffer}


def is_policy(argument: Any) -> bool:
    """
    :param argument: An argument of the algorithm
    :return: Whether it stands for a policy
    """
    if isinstance(argument, type):
        return issubclass(argument, BasePolicy)
    return isinstance(argument, str) and argument in ("auto", *POLICY_ALIASES)


def parse_env_and_policy(env: Any, policy: Any) -> tuple[Any, Any]:
    """
    Accept Stable-Baselines3's order of arguments too, policy before environment.

    :param env: First argument of the algorithm
    :param policy: Second argument of the algorithm
    :return: The environment and the policy
    :raises ValueError: If there is no environment among them
    """
    if is_policy(env) or (isinstance(env, str) and not isinstance(policy, (str, type))):
        env, policy = policy, env
    if env is None or is_policy(env):
        raise ValueError(
            f"The arguments env={env!r} and policy={policy!r} hold no environment. "
            "Give the tasks: a list or a dict of gymnasium ids, callables, environments or VecEnvs."
        )
    return env, policy


def choose_policy_class(policy: Any, observation_space: spaces.Space[Any] | None) -> type[BasePolicy]:
    """
    :param policy: A subclass of :class:`DistralPolicy`, its alias, or ``"auto"``
    :param observation_space: Space of observations with a task, ``None`` if not known yet (with a class)
    :return: The class
    :raises ValueError: If the policy is unknown or does not fit the observations
    """
    if isinstance(policy, type) and issubclass(policy, DistralPolicy):
        return policy
    if not isinstance(policy, str) or policy not in ("auto", *POLICY_ALIASES):
        raise ValueError(
            f"policy={policy!r} is unknown. Choose 'auto', one of {sorted(POLICY_ALIASES)}, or a subclass of "
            "DistralPolicy; your own network goes into its column_class or into policy_kwargs."
        )
    assert isinstance(observation_space, spaces.Dict)
    space = plain_space(observation_space)
    if isinstance(space, spaces.Dict):
        if policy not in ("auto", "MultiInputPolicy"):
            raise ValueError(f"policy={policy!r} was given for the Dict observations {space}. Use 'MultiInputPolicy'.")
        return MultiInputPolicy
    if policy == "MultiInputPolicy":
        raise ValueError(
            f"policy='MultiInputPolicy' was given for the observations {space}. Use 'MlpPolicy' or 'auto'."
        )
    if policy == "auto":
        return CnnPolicy if is_image_space(space) else MlpPolicy
    return POLICY_ALIASES[policy]


def column_arguments(
    policy_kwargs: dict[str, Any] | None, architecture: Architecture, distilled_weight: float | None
) -> dict[str, Any]:
    """
    :param policy_kwargs: What the user gave
    :param architecture: Argument of the policy that the algorithm owns
    :param distilled_weight: Argument of the policy that the algorithm owns
    :return: Arguments of the policy, in a new dict because A2C writes into it
    :raises ValueError: If ``policy_kwargs`` holds one of the algorithm's
    """
    owned = {"architecture": architecture, "distilled_weight": distilled_weight}
    doubled = sorted(set(owned) & set(policy_kwargs or {}))
    if doubled:
        raise ValueError(f"policy_kwargs holds {doubled}. Give them to DistralA2C itself.")
    return {**(policy_kwargs or {}), **owned}
