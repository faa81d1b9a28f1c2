"""Tasks that come to a model, leave it or get other names, while the others go on."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.vec_env import VecEnv, unwrap_vec_normalize

from sb3_distral.algorithms.control import ControllingAlgorithm
from sb3_distral.algorithms.reward import RegularizedReward
from sb3_distral.envs.changing import Changed, change, check_bare, first_observations, layers_until_tasks
from sb3_distral.envs.names import check_task_names
from sb3_distral.envs.normalization import current_normalization, own_normalizations
from sb3_distral.envs.task_vec_env import Tasks, TaskVecEnv, as_task_vec_env, has_tasks, holds_vec_envs
from sb3_distral.errors import UsageError
from sb3_distral.method.controller import controller_of
from sb3_distral.method.costs import Costs, CostSchedule, TaskBeta, TaskCoefficient, in_task_order
from sb3_distral.policies.changing import change_tasks, check_new_tasks

SelfChanging = TypeVar("SelfChanging", bound="ChangingAlgorithm")


class ChangingAlgorithm(ControllingAlgorithm):
    """
    An algorithm whose tasks may change between calls of ``learn``.

    Tasks that stay keep their columns, what the optimizer knows of them, their logs and their place in the environment.
    """

    own_rollout_buffer_class: ClassVar[type[RolloutBuffer]]
    n_envs_per_task: int
    _task_episodes: dict[str, deque[dict[str, Any]]]

    def add_tasks(
        self: SelfChanging,
        tasks: Tasks | TaskVecEnv,
        n_envs_per_task: int | None = None,
        alpha: TaskCoefficient | None = None,
        beta: TaskBeta | None = None,
    ) -> SelfChanging:
        """
        Add tasks, which begin with π0 as those of ``distilled_policy=`` do: with two columns a task column adds nothing
        to π0, one column has π0's weights. Sub-environments of the other tasks are not reset.

        Call it between calls of ``learn``, which then go on with ``reset_num_timesteps=False``.

        :param tasks: New tasks, in any form that the constructor takes
        :param n_envs_per_task: Sub-environments of each, where ids or callables are given; by default as many as a task
            of the model has
        :param alpha: α of the new tasks, as in the constructor; to be given where every task has one of its own
        :param beta: β of the new tasks, likewise; under a controller of the costs, which is that of all tasks,
            ``"auto"`` or nothing
        :return: The model
        :raises UsageError: If it has no environment, a name is there already, spaces do not fit, the environment is in
            a wrapper that cannot follow, one column cannot begin as π0, or they are not normalised where each task of
            the model has a ``VecNormalize`` of its own
        """
        env = self._environment("add_tasks")
        check_new_tasks(self.policy)
        new = self._make_new(tasks, n_envs_per_task, env)
        check_normalized_too(new, env)
        repeated = sorted(set(new.task_names) & set(self.task_names))
        if repeated:
            raise UsageError(
                f"The tasks {new.task_names} were given, but the model has {self.task_names}: {repeated} are there "
                "already. Give new tasks other names, as the keys of a dict."
            )
        alpha = with_new("alpha", self.alpha, alpha, self.task_names, new.task_names)
        beta = self._beta_with_new(beta, new.task_names)
        if self.seed is not None:
            new.seed(self.seed + self.num_timesteps)
        self._change(self.task_names, new, alpha, beta)
        return self

    def remove_tasks(self: SelfChanging, names: Sequence[str]) -> SelfChanging:
        """
        Remove tasks with their columns; their sub-environments are closed, those of the others are not reset.

        What π0 has learned from them stays in it; ``rehearsal_coef`` keeps it there.

        :param names: Names of the tasks
        :return: The model
        :raises UsageError: If there is no such task, none would be left, the model has no environment, or that cannot
            be taken apart
        """
        self._environment("remove_tasks")
        unknown = [name for name in names if name not in self.task_names]
        kept = [name for name in self.task_names if name not in names]
        if isinstance(names, str) or unknown or not names or not kept:
            raise UsageError(
                f"remove_tasks got {names!r}; expected a list of some, but not all, of the tasks {self.task_names}. "
                "Add new tasks before the last old one is removed."
            )
        places = [self.task_names.index(name) for name in kept]
        costs = [[own[place] for place in places] if isinstance(own, list) else own for own in (self.alpha, self.beta)]
        self._change(kept, None, *costs)
        return self

    def rename_tasks(self: SelfChanging, names: Mapping[str, str]) -> SelfChanging:
        """
        Give tasks other names, under which they go on with their columns::

            model = DistralA2C.load("model").rename_tasks({"maze-0": "first"})
            model.set_env({"first": …, "maze-1": …})

        :param names: The new name of each task that gets one, by its present name
        :return: The model
        :raises UsageError: If there is no such task, or two would have one name
        """
        renamed = [names.get(name, name) for name in self.task_names]
        if not set(names) <= set(self.task_names) or len(set(renamed)) < len(renamed):
            raise UsageError(
                f"rename_tasks got {dict(names)}; expected new names, all different, of some of the tasks "
                f"{self.task_names}."
            )
        check_task_names(renamed)
        if self.env is not None:
            layers_until_tasks(self.env)[-1].rename(renamed)
            self.env.task_names = list(renamed)
        self._task_episodes = {names.get(name, name): own for name, own in self._task_episodes.items()}
        self._new_tasks = [names.get(name, name) for name in self._new_tasks]
        self.task_names = self.policy.task_names = renamed
        self._cost_schedule = CostSchedule(self.alpha, self.beta, renamed)
        return self

    def _beta_with_new(self, beta: TaskBeta | None, new_names: Sequence[str]) -> Any:
        controller = self.cost_controller
        if controller is None:
            return with_new("beta", self.beta, beta, self.task_names, new_names)
        if beta is not None and beta != "auto" and controller_of(beta) != controller:
            raise UsageError(
                f"add_tasks(…, beta={beta!r}) was given, but the costs of all tasks follow one controller, {controller}"
                ". Leave beta out, or give 'auto': the costs of new tasks begin as the others' did, and follow it."
            )
        return self.beta

    def _environment(self, method: str) -> RegularizedReward:
        if self.env is None:
            raise UsageError(
                f"{method} was called on a model without environment. Load it with its tasks, load(path, env=…), and "
                "change them then; or begin a new model, whose argument distilled_policy takes π0 along."
            )
        return self.env

    def _make_new(self, tasks: Any, n_envs_per_task: int | None, env: RegularizedReward) -> TaskVecEnv:
        if n_envs_per_task is None:
            is_made = has_tasks(tasks) or holds_vec_envs(tasks)
            n_envs_per_task = 1 if is_made else int(np.bincount(env.tasks).max())
        return check_bare(as_task_vec_env(tasks, n_envs_per_task))

    def _connect_env(self) -> None:
        raise NotImplementedError

    def _check_costs(self, schedule: CostSchedule, costs: Costs) -> None:
        raise NotImplementedError

    def _check_tasks(self, env: VecEnv) -> None:
        """
        Refuse tasks that the settings of the algorithm do not allow.

        :param env: All tasks
        :raises UsageError: If they do not
        """

    def _change(self, names: Sequence[str], new: TaskVecEnv | None, alpha: Any, beta: Any) -> None:
        """
        Let tasks go and others come.

        :param names: Names of those that stay
        :param new: Those that come
        :param alpha: α of all tasks then
        :param beta: β likewise
        """
        old = self.env
        assert old is not None
        schedule = CostSchedule(alpha, beta, [*names, *([] if new is None else new.task_names)])
        self._check_costs(schedule, schedule(self._cost_progress))
        changed = change(old.venv, names, new, self.action_space)
        env = RegularizedReward(changed.env)
        self._check_tasks(env)
        place = None if old.last_observations is None else self._place_after(old, changed, new)
        kept = [self.task_names.index(name) for name in names]
        self.policy.keep_former(self.rehearsal_coef > 0)
        self.observation_space, self.action_space = env.observation_space, env.action_space
        change_tasks(self.policy, env.observation_space, env.action_space, kept, len(env.task_names) - len(kept))  # type: ignore[arg-type]
        self.env, self.n_envs, self.task_names = env, env.num_envs, list(env.task_names)
        self._vec_normalize_env = unwrap_vec_normalize(env)
        self.alpha, self.beta = alpha, beta
        self._cost_schedule = schedule
        self._keep_followed(kept, changed.rows, env.tasks)
        self._evaluations = []
        self._new_tasks = [name for name in self.task_names if name in self._new_tasks or name not in names]
        self._keep_episodes(names)
        self._renew_buffer()
        self._connect_env()
        self._last_obs = None
        if place is not None:
            self._go_on_from(place)
        for part in changed.left:
            part.close()

    def _place_after(self, old: RegularizedReward, changed: Changed, new: TaskVecEnv | None) -> dict[str, Any]:
        observations: Any = old.last_observations
        n_new = changed.env.num_envs - len(changed.rows)
        return {
            "observations": first_observations(changed, new, observations),
            "dones": np.concatenate([old.last_dones[changed.rows], np.ones(n_new, dtype=bool)]),
        }

    def _renew_buffer(self) -> None:
        self.rollout_buffer = self.own_rollout_buffer_class(
            self.n_steps,
            self.observation_space,
            self.action_space,
            device=self.device,
            gamma=self.gamma,
            gae_lambda=self.gae_lambda,
            n_envs=self.n_envs,
            **self.rollout_buffer_kwargs,
        )

    def _keep_episodes(self, names: Sequence[str]) -> None:
        """Forget the episodes of all but some tasks."""
        kept = {name: own for name, own in self._task_episodes.items() if name in names}
        gone = [episode for name, own in self._task_episodes.items() if name not in names for episode in own]
        self._task_episodes = kept
        if gone and self.ep_info_buffer is not None:
            left = [episode for episode in self.ep_info_buffer if episode not in gone]
            # An empty one would be taken for that of a new training.
            left = left or [episode for own in kept.values() for episode in own]
            self.ep_info_buffer = deque(left, maxlen=self._stats_window_size)


def check_normalized_too(new: VecEnv, env: VecEnv) -> None:
    """
    Refuse new tasks that are not normalised beside others of which each has its own statistics.

    :param new: New tasks
    :param env: The tasks of the model
    :raises UsageError: If they are not; π0 would see both kinds of observations, and carry no statistics any more
    """
    own = own_normalizations(env)
    if not own or unwrap_vec_normalize(env) is not None:
        return
    known, given = current_normalization(env), current_normalization(new)
    if known is None or given is None or known.statistics.keys() != given.statistics.keys():
        raise UsageError(
            f"The tasks {new.task_names} were given without a VecNormalize of their own, or with one of other "  # type: ignore[attr-defined]
            "observations, but each task of the model has one. Give them in the same: {name: VecNormalize(venv)}, or "
            "{name: normalize_as_trained(venv, model.distilled_policy)} to begin with what is known of all."
        )


def with_new(argument: str, own: Any, given: TaskBeta | None, names: Sequence[str], new_names: Sequence[str]) -> Any:
    """
    Add what new tasks pay to what the others pay.

    :param argument: ``"alpha"`` or ``"beta"``
    :param own: That of the others, one for all or a list
    :param given: That of the new tasks, as the user gave it
    :param names: Names of the others
    :param new_names: Names of the new tasks
    :return: One for all, or a list with one for each
    :raises UsageError: If the others have each their own and nothing was given, or it does not fit
    """
    if given is None:
        if isinstance(own, list):
            raise UsageError(
                f"{argument} is {own}, one for each of the tasks {list(names)}, and none was given for the new tasks "
                f"{list(new_names)}. Give add_tasks(…, {argument}=…), one for all of these or one for each."
            )
        return own
    ordered = in_task_order(argument, given, new_names)
    each = [
        value if isinstance(value, list) else [value] * n for value, n in ((own, len(names)), (ordered, len(new_names)))
    ]
    return each[0] + each[1]
