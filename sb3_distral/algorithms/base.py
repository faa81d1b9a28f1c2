"""What every Distral algorithm does: tasks, costs, logs. What its update is, the learners say."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback, CallbackList, ConvertCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.type_aliases import MaybeCallback
from stable_baselines3.common.utils import safe_mean
from stable_baselines3.common.vec_env import VecEnv
from typing_extensions import override

from sb3_distral.algorithms.arguments import (
    by_name,
    check_advantages_of_bank,
    check_channels,
    check_costs_of_bank,
    check_images,
    check_memory,
    check_normalized_alike,
    check_one_start,
    check_same_memory,
    check_same_spaces,
    check_training,
    choose_policy_class,
    choose_training,
    column_arguments,
    networks_of,
    parse_env_and_policy,
    refuse_owned,
    takes_policy_first,
    view_of,
    with_optimizer,
)
from sb3_distral.algorithms.buffers import TaskRolloutBuffer
from sb3_distral.algorithms.changing_tasks import ChangingAlgorithm
from sb3_distral.algorithms.distillation import DistillationCallback
from sb3_distral.algorithms.finite import check_rollout
from sb3_distral.algorithms.logs import record_of_task
from sb3_distral.algorithms.reward import RegularizedReward
from sb3_distral.algorithms.saving import check_names
from sb3_distral.envs.changing import with_actions
from sb3_distral.envs.names import allowed_names
from sb3_distral.envs.task_vec_env import Tasks, as_task_vec_env, has_tasks, holds_vec_envs, make_task_vec_env
from sb3_distral.envs.workers import restarts_of
from sb3_distral.errors import UsageError
from sb3_distral.method.choices import TaskMask
from sb3_distral.method.costs import Costs, CostSchedule, TaskBeta, TaskCoefficient, in_task_order
from sb3_distral.method.families import make_family
from sb3_distral.networks.view import Visible
from sb3_distral.policies.checks import check_rehearsal
from sb3_distral.policies.evaluation import Architecture
from sb3_distral.policies.feedforward import POLICY_ALIASES

Optimization = Literal["joint", "alternating"]

#: Arguments of A2C and PPO that are not the user's, and why
OWNED = {
    "rollout_buffer_class": (
        "needs its own, which keeps the rows of each task together. Leave it out; rollout_buffer_kwargs may be given."
    ),
}


class DistralAlgorithm(ChangingAlgorithm):
    """
    Distral (Distill and transfer learning) on an on-policy algorithm of Stable-Baselines3, the host.

    Each task has a policy πi of its own; a distilled policy π0 learns what they have in common; each πi is drawn
    towards π0 and kept exploring inside its reward, R + (α/β) log π0 − (1/β) log πi.

    Paper: https://arxiv.org/abs/1707.04175

    :param env: The tasks: a list, or a dict by name, of gymnasium ids, callables, environments or VecEnvs; or a
        ``TaskVecEnv``. ``DistralA2C("MlpPolicy", env)``, Stable-Baselines3's order, works too
    :param policy: ``"MlpPolicy"``, ``"CnnPolicy"``, ``"MultiInputPolicy"`` or a class; ``"auto"`` chooses by the
        observation space
    :param positional: The host's arguments after these two, in its order
    :param alpha: α = c_KL / (c_KL + c_Ent), in [0, 1]: a number, a schedule of the remaining progress (from 1 to 0), or
        one of these for each task (a list, or a dict by name)
    :param beta: β = 1 / (c_KL + c_Ent) > 0, likewise; ``float("inf")`` means no regularisation. ``"auto"``, or a
        :class:`~sb3_distral.method.controller.CostController` with settings of your own: the costs only begin so (α and
        β = 100) and follow targets of divergence and entropy from then on
    :param n_envs_per_task: Sub-environments of each task, where ids or callables are given
    :param normalize_returns: Whether the rewards of each task are divided by the standard deviation of its discounted
        returns, so that tasks of any scale learn alike; costs are then in these units. Logged and evaluated returns are
        the tasks' own
    :param architecture: What the task policies are made of, see :class:`~sb3_distral.policies.DistralPolicy`
    :param distilled_weight: Weight of π0 in two columns, α by default
    :param optimization: ``"joint"``: one gradient step for π0 and all πi, (9) and (10); ``"alternating"``: π0 is fitted
        on the roll-out by its own optimizer, then the tasks train against a fixed π0 (on a roll-out of the π0 before)
    :param distillation_epochs: Gradient steps of each fit of π0, if alternating
    :param value_l2_coef: Weight of (Vi − V0)² in the loss (the paper's 3D experiments: 0.005); it also trains V0, which
        nothing else does where the architecture has task columns
    :param distilled_policy: π0 of another model, with which all tasks begin and towards which they are drawn. Columns
        are like its own, and it has the weight 1 in two columns, where nothing else is given
    :param train_distilled: Whether that π0 learns from these tasks: ``False``, ``True``, or from which step on (of all
        tasks together, in all calls of ``learn``). By default 100 000: a π0 that learns from tasks which are not
        learned yet forgets
    :param n_distilled: Number of distilled policies, for tasks that come in families. Each task is drawn to those that
        raise its return, see :attr:`responsibilities`: in steps per unit of reward, so that rewards have to be about
        1 (or ``normalize_returns``) and advantages are not normalised. With two columns only
    :param distilled_view: What π0 may see, where the task columns see all: of vectors a mask, indices or a slice, of
        Dict observations a list of keys. The rest is 0 for it
    :param rehearsal_coef: Weight, in units of reward per nat as c_KL is, of π0's divergence from what it was before
        tasks were added or removed, or from ``distilled_policy``, on the states of the roll-outs: it keeps what earlier
        tasks have put there. Not with several distilled policies
    :param policy_kwargs: Arguments of every column, as for the host
    :param host_arguments: All other arguments of the host. ``ent_coef`` is A3C's entropy bonus in the loss and excludes
        an entropy cost in the reward (α < 1 with finite β); ``max_grad_norm`` clips each column;
        ``normalize_advantage`` normalises task by task; ``rollout_buffer_class`` is the algorithm's own
    :raises UsageError: If α, β, the spaces or the tasks are not as above; the message says what to do
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = POLICY_ALIASES
    own_rollout_buffer_class: ClassVar[type[RolloutBuffer]] = TaskRolloutBuffer
    host_class: ClassVar[type[OnPolicyAlgorithm]] = OnPolicyAlgorithm
    #: Whether π0 has ever learned to act
    distilled_is_trained: bool = False

    @takes_policy_first
    def __init__(
        self,
        env: Tasks | str | type[BasePolicy] | None = None,
        policy: str | type[BasePolicy] | Tasks = "auto",
        *positional: Any,
        alpha: TaskCoefficient = 0.5,
        beta: TaskBeta = 100.0,
        n_envs_per_task: int = 1,
        normalize_returns: bool = False,
        architecture: Architecture = "two_columns",
        distilled_weight: float | None = None,
        optimization: Optimization = "joint",
        distillation_epochs: int = 1,
        value_l2_coef: float = 0.0,
        distilled_policy: ActorCriticPolicy | None = None,
        train_distilled: bool | int | None = None,
        n_distilled: int = 1,
        distilled_view: Visible | None = None,
        rehearsal_coef: float = 0.0,
        policy_kwargs: dict[str, Any] | None = None,
        _init_setup_model: bool = True,
        **host_arguments: Any,
    ):
        host_arguments = by_name(self.host_class, positional, host_arguments)
        refuse_owned(host_arguments, OWNED, type(self).__name__)
        check_one_start(distilled_policy, n_distilled)
        task_env = None
        if env is not None or _init_setup_model:
            env, policy = parse_env_and_policy(env, policy, self.policy_aliases)
            task_env = self._wrap_env(as_task_vec_env(env, n_envs_per_task), host_arguments.get("verbose", 0))
        space = None if task_env is None else task_env.observation_space
        if distilled_policy is not None:
            distilled_weight = 1.0 if distilled_weight is None else distilled_weight
            policy_kwargs = {**networks_of(distilled_policy), **(policy_kwargs or {})}
            if task_env is not None:
                check_same_spaces(distilled_policy, task_env)
                check_normalized_alike(distilled_policy, task_env)
                task_env = RegularizedReward(with_actions(task_env.venv, distilled_policy.action_space))
        policy_class: Any = choose_policy_class(policy, space, self.policy_aliases)
        if distilled_policy is not None:
            check_same_memory(distilled_policy, policy_class)
        if _init_setup_model:
            check_images(policy_class, space, self.policy_aliases, policy_kwargs)  # type: ignore[arg-type]
        super().__init__(
            policy_class,
            task_env,  # type: ignore[arg-type]
            policy_kwargs=column_arguments(
                with_optimizer(policy_kwargs, self._default_optimizer(host_arguments)),
                architecture=architecture,
                distilled_weight=distilled_weight,
                n_distilled=n_distilled,
                distilled_view=view_of(distilled_view, distilled_policy),
            ),
            _init_setup_model=False,
            **{**host_arguments, "rollout_buffer_class": self.own_rollout_buffer_class},
        )
        self.alpha, self.beta = alpha, beta
        self.n_envs_per_task = n_envs_per_task
        self.normalize_returns = normalize_returns
        self.optimization = optimization
        self.distillation_epochs = distillation_epochs
        self.value_l2_coef = value_l2_coef
        self.train_distilled = choose_training(train_distilled, distilled_policy, architecture)
        self.rehearsal_coef = rehearsal_coef
        self.task_names: list[str] = [] if task_env is None else list(task_env.task_names)
        # For the policy of a model that is loaded without its environment.
        self.task_masks: Sequence[TaskMask] | None = None
        self._task_episodes: dict[str, deque[dict[str, Any]]] = {}
        self._resume_state: dict[str, Any] | None = None
        self.controlled_costs = None
        self.return_scales = None
        self._evaluations = []
        self._new_tasks = []
        self._cost_progress = 1.0
        self.distilled_is_trained = distilled_policy is not None
        if _init_setup_model:
            self._setup_model()
            if distilled_policy is not None:
                self._start_from(distilled_policy)

    def _start_from(self, distilled_policy: ActorCriticPolicy) -> None:
        self.policy.start_from(distilled_policy)
        self.policy.keep_former(self.rehearsal_coef > 0)

    def _default_optimizer(self, host_arguments: Mapping[str, Any]) -> dict[str, Any]:
        """
        Give the optimizer of a policy where the user names none.

        :param host_arguments: Arguments of the host
        :return: Arguments of the policy; none: the host chooses
        """
        return {}

    @staticmethod
    @override
    def _wrap_env(env: Any, verbose: int = 0, monitor_wrapper: bool = True) -> RegularizedReward:
        # Constructor, load (twice) and set_env all pass through here.
        if isinstance(env, RegularizedReward):
            return env
        task_env = as_task_vec_env(env)
        check_channels(task_env.observation_space)
        venv = OnPolicyAlgorithm._wrap_env(task_env, verbose, monitor_wrapper)
        make_family(venv.action_space)  # refuses with advice what the host would refuse without
        return RegularizedReward(venv)

    @override
    def _setup_model(self) -> None:
        # A saved model comes with the class of its policy, and may come from a version with another buffer.
        check_memory(self.policy_class, self.policy_aliases)  # type: ignore[arg-type]
        self.rollout_buffer_class = self.own_rollout_buffer_class
        # Earlier versions allowed other names.
        self.task_names = allowed_names(self.task_names)
        # By position, so that rename_tasks may give tasks other names.
        self.alpha = in_task_order("alpha", self.alpha, self.task_names)
        self.beta = in_task_order("beta", self.beta, self.task_names)
        self._cost_schedule = CostSchedule(self.alpha, self.beta, self.task_names)
        self._check_optimization()
        self._check_rehearsal()
        check_training(self.train_distilled)
        check_advantages_of_bank(self.policy_kwargs.get("n_distilled", 1), self.normalize_advantage)
        self._use_distillation(self._own_distillation())
        super()._setup_model()
        self._connect_env()

    @override
    def _maybe_recommend_cpu(self, mlp_class_name: str = "") -> None:
        super()._maybe_recommend_cpu(POLICY_ALIASES["MlpPolicy"].__name__)

    def _check_optimization(self) -> None:
        if self.optimization not in get_args(Optimization):
            raise UsageError(f"optimization={self.optimization!r} is unknown. Choose one of {get_args(Optimization)}.")
        if self.distillation_epochs < 1:
            raise UsageError(
                f"distillation_epochs={self.distillation_epochs} was given; expected at least 1, the number of "
                "gradient steps that fit the distilled policy to each roll-out."
            )
        if self.optimization == "alternating" and self.policy_kwargs.get("n_distilled", 1) > 1:
            raise UsageError(
                "optimization='alternating' was given with several distilled policies, which learn beside the tasks. "
                "Use 'joint', or n_distilled=1."
            )
        if self.optimization == "alternating" and self.policy_kwargs["architecture"] == "shared":
            raise UsageError(
                "optimization='alternating' was given with architecture='shared', where the distilled policy is the "
                "policy of every task and nothing alternates. Use 'joint', or an architecture with task columns."
            )

    def _check_rehearsal(self) -> None:
        if not 0.0 <= self.rehearsal_coef < float("inf"):
            raise UsageError(f"rehearsal_coef={self.rehearsal_coef} was given; expected a finite number >= 0.")
        if self.rehearsal_coef > 0:
            check_rehearsal(self.policy_kwargs.get("n_distilled", 1))

    @override
    def _connect_env(self) -> None:
        if self.env is not None:
            check_names(self.env.task_names, self.task_names)
            self.task_names = list(self.env.task_names)
            self.env.policy = self.policy
            self._connect_return_scales(self.env)
            self.task_masks = getattr(self.env, "task_masks", None)
        self.policy.set_task_masks(self.task_masks)
        self.policy.task_names = self.task_names
        self._remember_normalization()
        self.policy.observation_normalization = normalization = self.observation_normalization
        if self.policy.bank is None:
            self.policy.distilled_policy.observation_normalization = normalization  # type: ignore[assignment]
        self._update_costs()

    @override
    def _check_costs(self, schedule: CostSchedule, costs: Costs) -> None:
        if self.ent_coef > 0 and costs.entropy.any():
            raise UsageError(
                f"ent_coef={self.ent_coef} was given with entropy costs of {costs.entropy.tolist()}: the entropy "
                "would be paid for twice, in the loss and in the reward. Leave ent_coef at 0, or set beta=float('inf') "
                "or alpha=1."
            )
        check_costs_of_bank(self.policy.n_distilled, schedule.is_constant, costs)

    @override
    def _update_costs(self) -> None:
        self.costs = self._costs_of_now()
        self._check_costs(self._cost_schedule, self.costs)
        self.policy.set_distilled_weights(self.costs.alpha)
        self.policy.evaluates_distilled = self._needs_distilled()
        # A schedule may let it rest later.
        self.distilled_is_trained = self.distilled_is_trained or bool(self.costs.kl.any())
        self.policy.distilled_is_trained = self.distilled_is_trained or self.policy.task_columns is None
        if self.env is not None:
            self.env.set_costs(self.costs.kl, self.costs.entropy)

    def _needs_distilled(self) -> bool:
        return bool(self.costs.kl.any())

    def _own_distillation(self) -> DistillationCallback:
        return DistillationCallback(self.optimization == "alternating", self.distillation_epochs, self.value_l2_coef)

    def _use_distillation(self, distillation: DistillationCallback) -> None:
        self._distillation = distillation
        self.optimization = "alternating" if distillation.alternating else "joint"
        self.distillation_epochs, self.value_l2_coef = distillation.n_epochs, distillation.value_l2_coef

    @override
    def _init_callback(self, callback: MaybeCallback, progress_bar: bool = False) -> BaseCallback:
        given = listed(callback)
        distillations = [single for single in flatten(given) if isinstance(single, DistillationCallback)]
        if len(distillations) > 1:
            raise UsageError(
                f"{len(distillations)} DistillationCallbacks were given, but only one can teach π0. Give one."
            )
        self._use_distillation(distillations[0] if distillations else self._own_distillation())
        self._check_optimization()
        self._update_costs()
        if distillations and distillations[0] not in given:
            return super()._init_callback(given, progress_bar)  # it keeps its place in the user's own CallbackList
        others = [single for single in given if single is not self._distillation]
        return super()._init_callback([self._distillation, *others], progress_bar)

    @override
    def _setup_learn(self, *args: Any, **kwargs: Any) -> tuple[int, BaseCallback]:
        if self.env is None:
            raise UsageError(
                "learn was called on a model without environment, as load(path) gives it. Load it with its tasks, "
                "load(path, env=…), or give them by set_env."
            )
        known, before = self._task_episodes, self.num_timesteps
        total_timesteps, callback = super()._setup_learn(*args, **kwargs)
        if self.num_timesteps < before:
            self._earlier_timesteps += before
        # A reset of the counters empties SB3's buffer of episodes, and so ours.
        empty = not self.ep_info_buffer
        self._task_episodes = {
            name: deque(() if empty else known.get(name, ()), maxlen=self._stats_window_size)
            for name in self.task_names
        }
        return total_timesteps, callback

    @override
    def collect_rollouts(self, *args: Any, **kwargs: Any) -> bool:
        self._follow_cost_schedules()
        return self._check_rollout(super().collect_rollouts(*args, **kwargs))

    def _check_rollout(self, goes_on: bool) -> bool:
        """
        Check a roll-out before something is learned from it.

        :param goes_on: Whether it is full, and the training goes on
        :return: The same
        """
        if goes_on:
            assert self.env is not None
            check_rollout(self.rollout_buffer, self.env.tasks, self.task_names)
        return goes_on

    def _follow_cost_schedules(self) -> None:
        if not self._cost_schedule.is_constant:
            # Stable-Baselines3 updates the progress after a roll-out; a new call of learn may have moved its end.
            self._update_current_progress_remaining(self.num_timesteps, self._total_timesteps)
            self._cost_progress = self._current_progress_remaining
            self._update_costs()

    @override
    def _update_info_buffer(self, infos: list[dict[str, Any]], dones: np.ndarray | None = None) -> None:
        super()._update_info_buffer(infos, dones)
        assert self.env is not None
        for index, info in enumerate(infos):
            if "episode" in info:
                self._task_episodes[self.task_names[self.env.tasks[index]]].append(info["episode"])

    @override
    def dump_logs(self, iteration: int = 0) -> None:
        for name, episodes in self._task_episodes.items():
            if episodes:
                for key, field in (("ep_rew_mean", "r"), ("ep_len_mean", "l")):
                    record_of_task(self.logger, "rollout", name, key, safe_mean([own[field] for own in episodes]))
        for name, number in restarts_of(self.env).items() if self.env is not None else ():
            record_of_task(self.logger, "rollout", name, "restarts", number)
        self._log_divergences()
        self._log_costs()
        super().dump_logs(iteration)

    @override
    def get_env(self) -> VecEnv | None:
        # With the tasks' own rewards: Stable-Baselines3 compares it with environments for evaluation.
        return None if self.env is None else self.env.venv

    @override
    def set_env(self, env: Any, force_reset: bool = True) -> None:
        if not has_tasks(env):
            env = make_task_vec_env(env, 1 if holds_vec_envs(env) else self.n_envs_per_task)
        check_names(env.task_names, self.task_names)
        inner = env.venv if isinstance(env, RegularizedReward) else env
        wrapped = self._wrap_env(with_actions(inner, self.action_space))
        super().set_env(wrapped, force_reset)
        self._connect_env()
        if self._resume_state is not None:
            # Of a model that was loaded without its environment.
            self._restore_statistics(self._resume_state)
            self._resume_state = None

    @override
    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_distillation", "_cost_schedule", "_evaluations", "costs"]

    @override
    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        state_dicts, tensors = super()._get_torch_save_params()
        if self.optimization == "alternating":
            state_dicts = [*state_dicts, "policy.distilled_policy.optimizer"]
        return state_dicts, tensors

    @override
    def set_parameters(self, *args: Any, **kwargs: Any) -> None:
        super().set_parameters(*args, **kwargs)
        # α stays this model's own.
        self._update_costs()


def listed(callback: MaybeCallback) -> list[BaseCallback]:
    """
    List the callbacks of a training.

    :param callback: What the user gave
    :return: Each of them; a :class:`CallbackList` is one, whose own methods count
    """
    if callback is None:
        return []
    if isinstance(callback, list):
        return [single for part in callback for single in listed(part)]
    return [callback if isinstance(callback, BaseCallback) else ConvertCallback(callback)]


def flatten(callbacks: list[BaseCallback]) -> list[BaseCallback]:
    """
    Look into lists of callbacks.

    :param callbacks: Callbacks
    :return: All of them, without lists in lists
    """
    parts = [flatten(own.callbacks) if isinstance(own, CallbackList) else [own] for own in callbacks]
    return [single for part in parts for single in part]
