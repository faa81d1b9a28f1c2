"""What the constructor of the algorithm accepts, and how it is told apart."""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from inspect import signature
from numbers import Real
from typing import Any, TypeVar, cast

import numpy as np
from gymnasium import spaces
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.vec_env import VecEnv

from sb3_distral.envs.normalization import current_normalization, normalization_of
from sb3_distral.envs.spaces import join, join_actions
from sb3_distral.envs.task_id import plain_space
from sb3_distral.errors import UsageError
from sb3_distral.method.costs import Costs
from sb3_distral.networks.features import is_too_small
from sb3_distral.networks.view import Visible
from sb3_distral.policies.evaluation import Architecture
from sb3_distral.policies.feedforward import DistralPolicy

Make = TypeVar("Make", bound=Callable[..., None])
PolicyAliases = Mapping[str, type[BasePolicy]]


Owned = Mapping[str, str]


def refuse_owned(arguments: Mapping[str, Any], owned: Owned, algorithm: str) -> None:
    """
    Refuse arguments of the host algorithm that a Distral algorithm chooses itself.

    :param arguments: What the user gave for the host, A2C or PPO
    :param owned: Why each of the owned arguments is so, by name
    :param algorithm: Name of the algorithm
    :raises UsageError: If one of them was given
    """
    for name, reason in owned.items():
        if arguments.get(name) is not None:
            raise UsageError(f"{name}={arguments[name]!r} was given, but {algorithm} {reason}")


def by_name(host: type[Any], positional: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """
    Name arguments that were given by their position.

    :param host: The algorithm of Stable-Baselines3 whose they are
    :param positional: What came after policy and environment
    :param named: Arguments by name
    :return: All of them by name
    :raises UsageError: If there are too many, or one was given twice
    """
    names = list(signature(host).parameters)[2:]
    doubled = set(names[: len(positional)]) & set(named)
    if len(positional) > len(names) or doubled:
        raise UsageError(
            f"{len(positional)} arguments were given by position after policy and environment, and {sorted(named)} by "
            f"name; {host.__name__} has {names} there. Give each once, best by name."
        )
    return {**dict(zip(names, positional, strict=False)), **named}


def takes_policy_first(make: Make) -> Make:
    """
    Let a constructor whose first argument is ``env`` take Stable-Baselines3's ``A2C("MlpPolicy", env=env)`` too.

    :param make: The constructor
    :return: The same, with a policy that came first in its place
    """

    @wraps(make)
    def made(self: Any, *positional: Any, **named: Any) -> None:
        if len(positional) == 1 and "env" in named and "policy" not in named:
            return make(self, named.pop("env"), *positional, **named)
        return make(self, *positional, **named)

    return cast(Make, made)


def is_policy(argument: Any, aliases: PolicyAliases) -> bool:
    """
    Tell a policy from an environment.

    :param argument: An argument of the algorithm
    :param aliases: The algorithm's policies by name
    :return: Whether it stands for a policy
    """
    if isinstance(argument, type):
        return issubclass(argument, BasePolicy)
    return isinstance(argument, str) and argument in ("auto", *aliases)


def parse_env_and_policy(env: Any, policy: Any, aliases: PolicyAliases) -> tuple[Any, Any]:
    """
    Accept Stable-Baselines3's order of arguments too, policy before environment.

    :param env: First argument of the algorithm
    :param policy: Second argument of the algorithm
    :param aliases: The algorithm's policies by name
    :return: The environment and the policy
    :raises UsageError: If there is no environment among them
    """
    # A string beside tasks is meant as a policy, be it of another algorithm or misspelt.
    if is_policy(env, aliases) or (isinstance(env, str) and not isinstance(policy, (str, type))):
        env, policy = policy, env
    if env is None or is_policy(env, aliases):
        raise UsageError(
            f"The arguments env={env!r} and policy={policy!r} hold no environment. "
            "Give the tasks: a list or a dict of gymnasium ids, callables, environments or VecEnvs."
        )
    return env, policy


def choose_policy_class(
    policy: Any, observation_space: spaces.Space[Any] | None, aliases: PolicyAliases
) -> type[BasePolicy]:
    """
    Find the class of the policy.

    :param policy: A subclass of the first of the policies, an alias, or ``"auto"``
    :param observation_space: Space of observations with a task, ``None`` if not known yet (with a class)
    :param aliases: The algorithm's policies by name: for vectors, images and Dict observations, in this order
    :return: The class
    :raises ValueError: If the policy is unknown or does not fit the observations
    """
    vectors, images, multi_input = aliases
    if isinstance(policy, type) and issubclass(policy, DistralPolicy):
        check_memory(policy, aliases)
        return policy
    if not isinstance(policy, str) or policy not in ("auto", *aliases):
        raise UsageError(
            f"policy={policy!r} is unknown. Choose 'auto', one of {sorted(aliases)}, or a subclass of "
            f"{aliases[vectors].__name__}; your own network goes into its column_class or into policy_kwargs. Policies "
            "with an LSTM are those of the recurrent algorithms."
        )
    assert isinstance(observation_space, spaces.Dict)
    space = plain_space(observation_space)
    if isinstance(space, spaces.Dict):
        if policy not in ("auto", multi_input):
            raise UsageError(f"policy={policy!r} was given for the Dict observations {space}. Use {multi_input!r}.")
        return aliases[multi_input]
    if policy == multi_input:
        raise UsageError(f"policy={multi_input!r} was given for the observations {space}. Use {vectors!r} or 'auto'.")
    if policy == "auto":
        smallest = aliases[images].column_class.smallest_image  # type: ignore[attr-defined]
        policy = images if is_image_space(space) and not is_too_small(space, smallest) else vectors
    return aliases[policy]


def check_images(
    policy_class: Any,
    observation_space: spaces.Space[Any],
    aliases: PolicyAliases,
    policy_kwargs: Mapping[str, Any] | None,
) -> None:
    """
    Refuse observations that the convolutions of a policy cannot take, or would take for something else.

    :param policy_class: Class of a policy
    :param observation_space: Space of observations with a task, images of bytes channel first
    :param aliases: The algorithm's policies by name, of which the first takes all observations as vectors
    :param policy_kwargs: Arguments of the policy, which may hold a features extractor of the user's
    :raises UsageError: If they are no images, too small, or not channel first
    """
    smallest = getattr(policy_class.column_class, "smallest_image", 0)
    if not smallest or "features_extractor_class" in (policy_kwargs or {}):
        return
    space, vectors = plain_space(observation_space), next(iter(aliases))  # type: ignore[arg-type]
    shape = space.shape or ()
    if len(shape) == 3 and not is_image_space(space) and min(shape) != shape[0]:
        raise UsageError(
            f"policy={policy_class.__name__} was given for the observations {space}, which are no images of bytes, and "
            "whose first axis is not that of the channels: convolutions would run over height and channels. Give "
            "images of uint8, or put the channels first by gymnasium.wrappers.TransformObservation."
        )
    if not isinstance(space, spaces.Box) or len(shape) != 3 or min(shape[1:]) < smallest:
        what = "" if len(shape) == 3 else ", which are no images"
        raise UsageError(
            f"policy={policy_class.__name__} was given for the observations {space}{what}; its convolutions need "
            f"images of {smallest}x{smallest} pixels or more. Use 'auto' or {vectors!r}, which take them as vectors, "
            "or give policy_kwargs=dict(features_extractor_class=…)."
        )


def check_channels(space: spaces.Space[Any]) -> None:
    """
    Refuse images of which Stable-Baselines3 would take the height or the width for the channels.

    :param space: Space of observations, as the tasks give them
    :raises UsageError: If the second axis of images is the smallest
    """
    parts = space.spaces if isinstance(space, spaces.Dict) else {"obs": space}
    for key, own in parts.items():
        if is_image_space(own) and np.argmin(own.shape) == 1:  # type: ignore[arg-type]
            raise UsageError(
                f"The observations under the key '{key}' are images of the shape {own.shape}, whose channels seem to "
                "be the second axis. Put them last or first, by gymnasium.wrappers.TransformObservation."
            )


def check_memory(policy_class: type[DistralPolicy], aliases: PolicyAliases) -> None:
    """
    Refuse a policy that remembers where the algorithm does not run it so, and the other way round.

    :param policy_class: Class of a policy
    :param aliases: The algorithm's policies by name
    :raises ValueError: If it has an LSTM and the algorithm's have none, or the other way round
    """
    own: Any = next(iter(aliases.values()))
    if policy_class.is_recurrent != own.is_recurrent:
        prefix = "Recurrent" if policy_class.is_recurrent else ""
        raise UsageError(
            f"{policy_class.__name__} was given, by the policy argument or by a saved model; expected a subclass of "
            f"{own.__name__}. Use {prefix}DistralA2C or {prefix}DistralPPO with it."
        )


def check_same_memory(distilled_policy: ActorCriticPolicy, policy_class: type[DistralPolicy]) -> None:
    """
    Refuse a distilled policy that remembers where the columns do not, and the other way round.

    :param distilled_policy: π0 of another model
    :param policy_class: Class of the policy that would begin with it
    :raises UsageError: If one has an LSTM and the other has none
    """
    remembers = isinstance(distilled_policy, RecurrentActorCriticPolicy)
    if remembers != policy_class.is_recurrent:
        own, prefix = ("an LSTM", "Recurrent") if remembers else ("no LSTM", "")
        raise UsageError(
            f"The distilled_policy, a {type(distilled_policy).__name__}, has {own}, other than the columns of "
            f"{policy_class.__name__}. Use {prefix}DistralA2C or {prefix}DistralPPO, whose columns are like it."
        )


#: Steps of all tasks for which a π0 that comes from elsewhere learns nothing
STEPS_FROZEN = 100_000
#: Arguments of a column that make its networks what they are
NETWORK_ARGUMENTS = (
    "net_arch",
    "activation_fn",
    "features_extractor_class",
    "features_extractor_kwargs",
    "share_features_extractor",
    "normalize_images",
    "state_dependent_std",
    "lstm_hidden_size",
    "n_lstm_layers",
)


def networks_of(distilled_policy: ActorCriticPolicy | None) -> dict[str, Any]:
    """
    Give the arguments that make networks like those of a distilled policy.

    :param distilled_policy: π0 of another model, or ``None``
    :return: Arguments of a column
    :raises UsageError: If it is something else
    """
    if distilled_policy is not None and not isinstance(distilled_policy, ActorCriticPolicy):
        raise UsageError(
            f"distilled_policy is a {type(distilled_policy).__name__}; expected the policy π0 of a model. Give "
            "model.distilled_policy, or what load_policy has loaded."
        )
    known = {} if distilled_policy is None else distilled_policy._get_constructor_parameters()
    return {name: known[name] for name in NETWORK_ARGUMENTS if known.get(name) is not None}


def choose_training(
    train_distilled: bool | int | None, distilled_policy: ActorCriticPolicy | None, architecture: Architecture
) -> bool | int:
    """
    Choose whether, or from which step on, π0 learns.

    :param train_distilled: What the user gave
    :param distilled_policy: π0 of another model, or ``None``
    :param architecture: What the task policies are made of
    :return: Whether it learns, or the first step at which it does
    :raises UsageError: If a π0 that has learned nothing, or is all there is, shall not learn
    """
    if train_distilled is None:
        return True if distilled_policy is None or architecture == "shared" else STEPS_FROZEN
    if train_distilled is not True and (distilled_policy is None or architecture == "shared"):
        reason = (
            "without a distilled_policy that has learned" if distilled_policy is None else "with architecture='shared'"
        )
        raise UsageError(f"train_distilled={train_distilled} was given {reason}, so that nothing could be learned.")
    return train_distilled


def check_training(train_distilled: Any) -> None:
    """
    Refuse what does not say whether π0 learns.

    :param train_distilled: Whether it does, or from which step on
    :raises UsageError: If it is neither
    """
    if not isinstance(train_distilled, Real):
        raise UsageError(
            f"train_distilled={train_distilled!r} was given; expected True, False, or the number of steps after which "
            "π0 learns. Leave it out for the default of a new model, or what a loaded one was saved with."
        )


def check_same_spaces(distilled_policy: ActorCriticPolicy, env: VecEnv) -> None:
    """
    Refuse a distilled policy that does not know the spaces of the tasks.

    :param distilled_policy: π0 of another model
    :param env: The tasks
    :raises UsageError: If its spaces differ in more than bounds, and it does not know more discrete actions
    """
    own = {"observation": plain_space(env.observation_space), "action": env.action_space}  # type: ignore[arg-type]
    known = {"observation": distilled_policy.observation_space, "action": distilled_policy.action_space}
    joined = join_actions(own["action"], known["action"])
    knows_actions = joined == known["action"] or (joined is not None and isinstance(joined, spaces.Box))
    fits = {"observation": join(own["observation"], known["observation"]) is not None, "action": knows_actions}
    for kind, space in own.items():
        if not fits[kind]:
            raise UsageError(
                f"The tasks have the {kind} space {space}, the distilled_policy has {known[kind]}. Give tasks like "
                "those that it was trained on, or wrap them so that they are; of discrete actions they may have fewer."
            )


def check_normalized_alike(distilled_policy: ActorCriticPolicy, env: VecEnv) -> None:
    """
    Refuse to show a distilled policy observations as they are, where it has learned from normalised ones.

    :param distilled_policy: π0 of another model
    :param env: The tasks
    :raises UsageError: If those of its training were in a ``VecNormalize``, and these are not
    """
    if normalization_of(distilled_policy) is not None and current_normalization(env) is None:
        raise UsageError(
            "The distilled_policy was trained on observations that VecNormalize normalised, and these tasks give them "
            "as they are. Give normalize_as_trained(make_task_vec_env(tasks), distilled_policy) as the tasks, or put "
            "them into a VecNormalize of their own."
        )


def check_one_start(distilled_policy: ActorCriticPolicy | None, n_distilled: int) -> None:
    """
    Refuse one distilled policy as the start of several.

    :param distilled_policy: π0 of another model, or ``None``
    :param n_distilled: Number of distilled policies
    :raises UsageError: If there is one, and several shall begin with it: nothing would ever tell them apart
    """
    if distilled_policy is not None and n_distilled > 1:
        raise UsageError(
            f"A distilled_policy was given with n_distilled={n_distilled}. Several that began alike would stay alike: "
            "leave one of the two arguments out."
        )


def view_of(distilled_view: Visible | None, distilled_policy: ActorCriticPolicy | None) -> Visible | None:
    """
    Choose what π0 may see.

    :param distilled_view: What the user gave
    :param distilled_policy: π0 of another model, which sees what it was trained to see; or ``None``
    :return: What it may see
    :raises UsageError: If a π0 that comes from elsewhere shall see something else
    """
    if distilled_policy is None:
        return distilled_view
    if distilled_view is not None:
        raise UsageError(
            f"distilled_view={distilled_view!r} was given with a distilled_policy, which sees what it was trained to "
            "see. Leave one of them out."
        )
    return getattr(distilled_policy, "view", None)


def column_arguments(policy_kwargs: dict[str, Any] | None, **owned: Any) -> dict[str, Any]:
    """
    Complete the arguments of the policy.

    :param policy_kwargs: What the user gave
    :param owned: Arguments of the policy that the algorithm owns
    :return: Arguments of the policy, in a new dict because A2C writes into it
    :raises ValueError: If ``policy_kwargs`` holds one of the algorithm's
    """
    doubled = sorted(set(owned) & set(policy_kwargs or {}))
    if doubled:
        raise UsageError(f"policy_kwargs holds {doubled}. Give them to the algorithm itself.")
    return {**(policy_kwargs or {}), **owned}


def check_costs_of_bank(n_distilled: int, is_constant: bool, costs: Costs) -> None:
    """
    Refuse several distilled policies between which nothing would decide.

    :param n_distilled: Number of distilled policies
    :param is_constant: Whether the costs stay as they are
    :param costs: The costs now
    :raises UsageError: If no task ever pays for its divergence from them
    """
    if n_distilled > 1 and is_constant and not costs.kl.any():
        raise UsageError(
            f"n_distilled={n_distilled} was given, but no task pays for its divergence from π0 (alpha=0 or beta=inf), "
            "so that none would learn from the tasks near it. Give alpha > 0 and a finite beta."
        )


def check_advantages_of_bank(n_distilled: int, normalize_advantage: bool) -> None:
    """
    Refuse several distilled policies that would be chosen by noise.

    :param n_distilled: Number of distilled policies
    :param normalize_advantage: Whether every batch of advantages is made as large as any other, whatever is in it
    :raises UsageError: If it is: responsibilities ascend the return in its own units, which are gone then
    """
    if n_distilled > 1 and normalize_advantage:
        raise UsageError(
            f"n_distilled={n_distilled} was given with normalize_advantage=True (PPO's default), under which returns "
            "that differ by noise alone divide the tasks as real ones do. Give normalize_advantage=False; where "
            "rewards are far from 1, normalize_returns=True brings those of each task near it."
        )


def with_optimizer(policy_kwargs: Mapping[str, Any] | None, default: Mapping[str, Any]) -> dict[str, Any]:
    """
    Add an optimizer to the arguments of the policy, unless they name one.

    :param policy_kwargs: What the user gave; ``optimizer_kwargs`` alone change the default optimizer's
    :param default: ``optimizer_class`` and ``optimizer_kwargs``, or nothing
    :return: Arguments of the policy
    """
    given = dict(policy_kwargs or {})
    if not default or "optimizer_class" in given:
        return given
    options = {**default["optimizer_kwargs"], **given.get("optimizer_kwargs", {})}
    return {**given, **default, "optimizer_kwargs": options}
