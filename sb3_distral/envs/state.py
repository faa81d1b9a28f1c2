"""Where an environment is, layer by layer, so that a training can go on from there."""

from collections import defaultdict
from copy import deepcopy
from typing import Any, TypedDict

from stable_baselines3.common.vec_env import (
    VecEnv,
    VecEnvWrapper,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
    VecTransposeImage,
)

# What Stable-Baselines3's own wrappers know of the place where the environment is; they have no methods for it.
PLACE: dict[type[VecEnvWrapper], tuple[str, ...]] = {
    VecTransposeImage: (),
    VecMonitor: ("episode_returns", "episode_lengths", "episode_count"),
    VecNormalize: ("returns", "old_obs", "old_reward"),
    VecFrameStack: ("stacked_obs",),
}
# What they know of all that was: right wherever the environment is.
STATISTICS: dict[type[VecEnvWrapper], tuple[str, ...]] = {VecNormalize: ("obs_rms", "ret_rms")}


class EnvState(TypedDict):
    """
    Where an environment was.

    :param num_envs: Its number of sub-environments
    :param layers: Class and state of each layer, from the outside in; the state is ``None`` where it is not known
    """

    num_envs: int
    layers: list[tuple[str, Any]]


def layers_of(venv: VecEnv) -> list[VecEnv]:
    """
    List an environment and all that it wraps.

    :param venv: An environment
    :return: Its layers, from the outside in
    """
    layers = [venv]
    while isinstance(layers[-1], VecEnvWrapper):
        layers.append(layers[-1].venv)
    return layers


def env_state(venv: VecEnv) -> EnvState:
    """
    Tell where an environment is.

    A layer tells it by a method ``get_state``, and takes it by ``set_state``, which raises a ``ValueError`` if it does
    not fit. Stable-Baselines3's own wrappers are known.

    :param venv: An environment, wrapped or not
    :return: A copy of the state of each layer
    """
    layers = [(type(layer).__name__, layer_state(layer)) for layer in layers_of(venv)]
    return {"num_envs": venv.num_envs, "layers": layers}


def layer_state(layer: VecEnv) -> Any:
    """
    Tell what one layer knows of the place where the environment is.

    :param layer: A layer
    :return: A copy; ``None`` if it tells nothing
    """
    if hasattr(type(layer), "get_state"):  # not of the layer itself: wrappers hand on what the inner layers have
        return layer.get_state()  # type: ignore[attr-defined]
    for kind, names in PLACE.items():
        if isinstance(layer, kind):
            known = (*names, *STATISTICS.get(kind, ()))
            return {name: deepcopy(vars(layer)[name]) for name in known if name in vars(layer)}
    return None


def put_back(venv: VecEnv, state: EnvState) -> list[str]:
    """
    Put an environment back where it was, the inverse of :func:`env_state`.

    Where this is not possible in all layers the environment has to be reset; statistics are put back all the same.

    :param venv: An environment
    :param state: As :func:`env_state` gave it
    :return: Why it is not completely where it was; empty if it is
    """
    layers = layers_of(venv)
    names, saved_names = [type(layer).__name__ for layer in layers], [name for name, _ in state["layers"]]
    problems = []
    if state["num_envs"] != venv.num_envs:
        problems.append(f"there were {state['num_envs']} sub-environments and are {venv.num_envs}")
    if names != saved_names:
        problems.append(f"the layers were {saved_names} and are {names}")
    saved = defaultdict(list)
    for name, own in state["layers"]:
        saved[name].append(own)
    # From the inside: what stands around an environment that is reset begins anew too.
    for layer, name in zip(reversed(layers), reversed(names), strict=True):
        if saved[name]:
            problems += put_layer_back(layer, saved[name].pop(), not problems)
    return problems


def put_layer_back(layer: VecEnv, state: Any, whole: bool) -> list[str]:
    """
    Put one layer back.

    :param layer: A layer
    :param state: As :func:`layer_state` gave it
    :param whole: Whether all below is where it was
    :return: Why this layer is not where it was, if it is not
    """
    name = type(layer).__name__
    if state is None:
        return [f"{name} has no get_state and set_state, so its place is not known"]
    if hasattr(type(layer), "set_state"):
        try:
            layer.set_state(state)  # type: ignore[attr-defined]
        except ValueError as error:
            return [f"{name}: {error}".rstrip(".")]
        return []
    for kind, names in PLACE.items():
        if isinstance(layer, kind):
            known = (*(names if whole else ()), *STATISTICS.get(kind, ()))
            vars(layer).update({key: value for key, value in state.items() if key in known})
            return []
    return [f"{name} has no set_state"]
