"""Saves from which a training goes on as if it had never stopped."""

import io
import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from inspect import signature
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile, ZipFile

import torch as th
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.save_util import json_to_data, open_path
from stable_baselines3.common.vec_env import VecNormalize
from typing_extensions import override

from sb3_distral.algorithms.acting import ActingModel
from sb3_distral.algorithms.checkpoint import env_state, random_state, set_env_state, set_random_state
from sb3_distral.algorithms.reward import RegularizedReward
from sb3_distral.archives import DAMAGE, open_whole_zip
from sb3_distral.envs.changing import with_actions
from sb3_distral.envs.names import allowed_names
from sb3_distral.envs.state import put_back
from sb3_distral.envs.statistics import are_finite, normalized_parts, pooled
from sb3_distral.envs.task_id import has_task_key, keys_in
from sb3_distral.envs.task_vec_env import has_tasks, holds_vec_envs, make_task_vec_env
from sb3_distral.errors import UsageError, one_line
from sb3_distral.files import atomic_write
from sb3_distral.policies.archive import is_archive_of_policies
from sb3_distral.policies.checks import is_finite
from sb3_distral.policies.feedforward import DistralPolicy

#: Arguments of the policy, which the file of a model settles.
OF_POLICY = ("architecture", "distilled_weight", "n_distilled", "distilled_view")
#: How many times its size a file may unpack to: Stable-Baselines3 does not compress, but some people do.
LARGEST_RATIO = 50
#: Arguments of the policy that the algorithm chooses where the user does not.
OF_OPTIMIZER = ("optimizer_class", "optimizer_kwargs")
#: Arguments of new models alone.
BEGINNING = ("distilled_policy", "_init_setup_model")
#: One save at a time: it goes through the model's attributes. The handler of a signal may save amid a save.
SAVING = threading.RLock()

SelfResumable = TypeVar("SelfResumable", bound="ResumableAlgorithm")


class NoModelError(UsageError):
    """A file is damaged, or no model of a Distral algorithm."""


class ResumableAlgorithm(ActingModel, OnPolicyAlgorithm):
    """
    An algorithm whose files hold, beside weights and counters, generators and the place in every task.

    Loaded with ``env``, the tasks as in the constructor, it trains on where it stopped: random generators come back,
    and so does the place in every task where the environment can be put back (the grid suites can); another environment
    is reset, as it is with ``force_reset=True``; with ``force_reset=False`` it is taken as it is, where it is the one
    that the model was saved with. Loaded without, it predicts.
    """

    env: RegularizedReward | None
    n_envs_per_task: int
    _resume_state: dict[str, Any] | None
    policy: DistralPolicy  # type: ignore[assignment]
    #: Version of this package that wrote the file which the model is from, ``None`` before 0.2
    sb3_distral_version: str | None = None

    @override
    def save(
        self,
        path: str | Path | io.BufferedIOBase,
        exclude: Iterable[str] | None = None,
        include: Iterable[str] | None = None,
    ) -> None:
        self._check_worth_saving(path)
        with SAVING:
            loaded, self._resume_state = self._resume_state, self._get_resume_state()
            self._remember_normalization()
            self.sb3_distral_version = version("sb3-distral")
            try:
                if isinstance(path, io.BufferedIOBase):
                    super().save(path, exclude, include)
                else:
                    path = Path(path)
                    with atomic_write(path if path.suffix else path.with_name(f"{path.name}.zip")) as beside:
                        super().save(beside, exclude, include)
            finally:
                self._resume_state = loaded

    @override
    def get_vec_normalize_env(self) -> VecNormalize | None:
        # So that CheckpointCallback writes statistics and EvalCallback synchronises them. Those of several tasks are
        # pooled, as π0 carries them; the file of the model holds those of each.
        layers = [] if self.env is None or self._vec_normalize_env else list(normalized_parts(self.env).values())
        if not layers:
            return self._vec_normalize_env
        return layers[0] if self.env.num_envs == layers[0].num_envs else pooled(layers)  # type: ignore[union-attr]

    def _check_worth_saving(self, path: Any) -> None:
        if not is_finite(self.policy) or (self.env is not None and not are_finite(self.env)):
            raise UsageError(
                f"The model is not saved to {path}, and what may be there stays: its training diverged, after "
                f"{self.num_timesteps} steps it has parameters or statistics (of VecNormalize) that are not finite. Go "
                "on from an earlier save, or train anew with a lower learning rate or smaller rewards."
            )

    @classmethod
    @override
    def load(
        cls: type[SelfResumable],
        path: str | Path | io.BufferedIOBase,
        env: Any = None,
        device: th.device | str = "auto",
        custom_objects: dict[str, Any] | None = None,
        print_system_info: bool = False,
        force_reset: bool | None = None,
        **kwargs: Any,
    ) -> SelfResumable:
        of_policy = ["policy_kwargs"] if set(kwargs) & {"policy_kwargs", *OF_POLICY} else []
        spaces = ("observation_space", "action_space")
        saved = read_saved(path, "n_envs_per_task", "task_names", *spaces, "optimization", *of_policy)
        check_task_count(path, saved)
        check_load_arguments(cls, kwargs, saved)
        if "policy_kwargs" in kwargs:
            kwargs["policy_kwargs"] = {**of_algorithm(saved["policy_kwargs"]), **(kwargs["policy_kwargs"] or {})}
        if {"alpha", "beta"} & set(kwargs):
            # Costs under a controller begin as the arguments say, those of the file are of others.
            kwargs["controlled_costs"] = None
        if env is not None:
            if not has_tasks(env):
                n_envs = kwargs.get("n_envs_per_task") or saved["n_envs_per_task"]
                env = make_task_vec_env(env, 1 if holds_vec_envs(env) else n_envs)
            check_names(env.task_names, saved["task_names"])
            env = with_actions(env.venv if isinstance(env, RegularizedReward) else env, saved["action_space"])
        model = super().load(path, env, device, custom_objects, print_system_info, True, **kwargs)
        if env is not None and model._resume_state is not None:
            model._restore(model._resume_state, force_reset)
            model._resume_state = None
        return model

    def _get_resume_state(self) -> dict[str, Any]:
        env = self.env
        if env is None and self._resume_state is not None:
            return self._resume_state  # of a model that was loaded without its environment
        place = None if env is None or env.last_observations is None else env_state(env.venv)
        state: dict[str, Any] = {"random": random_state(), "env": place}
        if env is not None and place is not None:
            state |= {"observations": env.last_observations, "dones": env.last_dones}
        return state

    def _restore(self, state: dict[str, Any], force_reset: bool | None) -> None:
        assert self.env is not None
        set_random_state(state["random"])
        if force_reset is not None:
            self._restore_statistics(state)
        if force_reset is False and state["env"] is not None:
            self._go_on_from(state)
            return
        if self.seed is not None:
            # An environment that is reset goes on with other episodes than those that it began with.
            self.env.seed(self.seed + self.num_timesteps)
        if state["env"] is not None and not force_reset and set_env_state(self.env.venv, state["env"]):
            self._go_on_from(state)

    def _restore_statistics(self, state: dict[str, Any]) -> None:
        assert self.env is not None
        place: Any = state["env"]
        if isinstance(place, dict):  # not so in files of version 0.1.0
            # What else is put back begins anew at the reset.
            put_back(self.env.venv, place)  # type: ignore[arg-type]

    def _go_on_from(self, state: dict[str, Any]) -> None:
        assert self.env is not None
        self.env.last_observations, self.env.last_dones = state["observations"], state["dones"]
        self._last_obs, self._last_episode_starts = state["observations"], state["dones"]


def of_algorithm(policy_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """
    Find what the algorithm has added to the ``policy_kwargs`` of the user, who may give them again at a load.

    :param policy_kwargs: Those of a saved model
    :return: The added ones
    """
    return {name: policy_kwargs[name] for name in (*OF_POLICY, *OF_OPTIMIZER) if name in policy_kwargs}


def check_load_arguments(algorithm: type[Any], given: Mapping[str, Any], saved: Mapping[str, Any]) -> None:
    """
    Refuse arguments of a load that would be ignored, or leave a model that does not fit its file.

    :param algorithm: Class of the model
    :param given: The arguments
    :param saved: What the file holds
    :raises UsageError: If one is of no use
    """
    settled = {"optimization": saved.get("optimization"), **(saved.get("policy_kwargs") or {})}
    makers: list[Any] = [kind.__init__ for kind in algorithm.__mro__]  # type: ignore[misc]
    known = {name for make in makers for name in signature(make).parameters} | set(saved["names"])
    for name, value in given.items():
        if name in BEGINNING:
            raise UsageError(f"load(…, {name}=…) was given, which is for new models. Leave it out, or begin a new one.")
        if name in ("optimization", *OF_POLICY) and value != settled.get(name):
            raise UsageError(
                f"load(…, {name}={value!r}) was given, but the model was trained with {settled.get(name)!r}, and its "
                "weights are of that. Leave it out; a new model may begin with the argument distilled_policy."
            )
        if name not in known:
            raise UsageError(
                f"load(…, {name}={value!r}) was given, but {algorithm.__name__} has no such argument, which would be "
                "ignored. Correct its name, or leave it out."
            )


def read_saved(path: str | Path | io.BufferedIOBase, *names: str) -> dict[str, Any]:
    """
    Read some of what a file of a model holds, before anything else is loaded.

    :param path: File
    :param names: Names of attributes of the model
    :return: Their values by name, of those that it has; and the names of all, ``names``
    :raises NoModelError: If the file is damaged, or no model of a Distral algorithm
    """
    file: Any = open_path(path, "r", suffix="zip")
    try:
        with open_whole_zip(file, LARGEST_RATIO) as archive:
            data: Any = json.loads(archive.read("data")) if "data" in archive.namelist() else None
            what = _what_else(archive, data)
    except (*DAMAGE, RecursionError) as error:
        raise NoModelError(
            f"{_shown(path)} is damaged or no model ({one_line(error)}): it wasn't a zip-file that is whole. Put "
            "it back from a copy, or pass a file that the method save of a Distral model has written."
        ) from error
    finally:
        if isinstance(path, io.BufferedIOBase):
            path.seek(0)
        else:
            file.close()
    if what is not None:
        raise NoModelError(
            f"{_shown(path)} is no model of a Distral algorithm; it is {what}. Pass a file that the method save of a "
            "Distral model has written."
        )
    # Earlier versions allowed other names.
    data["task_names"] = allowed_names(data["task_names"])
    return {**json_to_data(json.dumps({name: data[name] for name in names if name in data})), "names": list(data)}


def _shown(path: Any) -> str:
    return "The file" if isinstance(path, io.BufferedIOBase) else str(path)


def _what_else(archive: ZipFile, data: Any) -> str | None:
    """
    Say what a zip is that is no model of a Distral algorithm.

    :param archive: The zip
    :param data: What its part ``data`` holds
    :return: Words for a message; ``None`` if it is one
    :raises BadZipFile: If it is incomplete
    """
    if is_archive_of_policies(archive):
        return "policies that sb3_distral.save_policy has written, which sb3_distral.load_policy reads"
    missing = sorted({"data", "policy.pth"} - set(archive.namelist()))
    if missing:  # so is the rest of a file of which a part is gone
        raise BadZipFile(f"it is a zip without the parts {missing}")
    if not isinstance(data, dict):
        return f"a zip whose part data is a {type(data).__name__} and no object"
    if "policy_class" in data and "task_names" not in data:
        return "a model of an algorithm of Stable-Baselines3's own"
    names = data.get("task_names")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        return f"a zip whose task_names are {names!r:.60} and no list of names"
    return None if "policy_class" in data else "a zip without a policy_class"


def check_task_count(path: Any, saved: Mapping[str, Any]) -> None:
    """
    Refuse a file whose tasks are not as many as its policies.

    :param path: File
    :param saved: What it holds
    :raises NoModelError: If it has too few or too many names of tasks
    """
    space: Any = saved.get("observation_space")
    n_tasks = int(space[keys_in(space.spaces).task].n) if has_task_key(space) else None
    if n_tasks != len(saved["task_names"]):
        raise NoModelError(
            f"{_shown(path)} names the tasks {saved['task_names']}, but holds the policies of {n_tasks} tasks: it is "
            "damaged. Put it back from a copy."
        )


def check_names(names: Sequence[str], known: Sequence[str]) -> None:
    """
    Refuse tasks of which one would go on with the column of another.

    :param names: Names of the tasks of an environment
    :param known: Names of the tasks of a model, empty if it has none yet
    :raises UsageError: If they differ, or are in another order
    """
    names, known = list(names), list(known)
    if not known or names == known:
        return
    if sorted(names) == sorted(known):
        raise UsageError(
            f"The environment has the tasks in the order {names}, the model in the order {known}: a task would go on "
            "with the column of another. Give them in the model's order."
        )
    new, missing = (
        [name for name in first if name not in second] for first, second in ((names, known), (known, names))
    )
    raise UsageError(
        f"The environment has the tasks {names}, the model has {known}: it has no column for {new}, and {missing} are "
        "missing. Give the model's tasks; add_tasks and remove_tasks change them afterwards. Where they are the "
        "same under other names, rename them first: load(path).rename_tasks({name: new_name}), then set_env(env)."
    )
