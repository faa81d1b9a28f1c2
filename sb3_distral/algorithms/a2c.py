"""Distral on Stable-Baselines3's advantage actor-critic."""

import io
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, get_args

import numpy as np
import torch as th
from gymnasium import spaces
from stable_baselines3 import A2C
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback, ConvertCallback
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.save_util import load_from_zip_file
from stable_baselines3.common.type_aliases import MaybeCallback
from stable_baselines3.common.utils import explained_variance, safe_mean
from stable_baselines3.common.vec_env import VecEnv
from typing_extensions import Unpack

from sb3_distral.algorithms.arguments import (
    A2CArguments,
    check_memory,
    choose_policy_class,
    column_arguments,
    complete_a2c_arguments,
    parse_env_and_policy,
)
from sb3_distral.algorithms.buffers import TaskRolloutBuffer
from sb3_distral.algorithms.checkpoint import env_state, random_state, set_env_state, set_random_state
from sb3_distral.algorithms.distillation import DistillationCallback
from sb3_distral.algorithms.logs import record_of_task
from sb3_distral.algorithms.reward import RegularizedReward
from sb3_distral.envs.task_vec_env import Tasks, as_task_vec_env, has_tasks, holds_vec_envs, make_task_vec_env
from sb3_distral.errors import UsageError
from sb3_distral.files import atomic_write
from sb3_distral.method import objective
from sb3_distral.method.costs import Costs, CostSchedule, TaskCoefficient, in_task_order
from sb3_distral.policies.feedforward import POLICY_ALIASES, Architecture, DistralPolicy

SelfDistralA2C = TypeVar("SelfDistralA2C", bound="DistralA2C")
Optimization = Literal["joint", "alternating"]


class DistralA2C(A2C):
    """
    Distral (Distill and transfer learning) on the synchronous advantage actor-critic.

    Each task has a policy πi of its own; a distilled policy π0 learns what they have in common; each πi is drawn
    towards π0 and kept exploring inside its reward, R + (α/β) log π0 − (1/β) log πi.

    Paper: https://arxiv.org/abs/1707.04175

    :param env: The tasks: a list, or a dict by name, of gymnasium ids, callables, environments or VecEnvs; or a
        ``TaskVecEnv``. ``DistralA2C("MlpPolicy", env)``, Stable-Baselines3's order, works too
    :param policy: ``"MlpPolicy"``, ``"CnnPolicy"``, ``"MultiInputPolicy"`` or a class; ``"auto"`` chooses by the
        observation space
    :param alpha: α = c_KL / (c_KL + c_Ent), in [0, 1]: a number, a schedule of the remaining progress (from 1 to 0), or
        one of these for each task (a list, or a dict by name)
    :param beta: β = 1 / (c_KL + c_Ent) > 0, likewise; ``float("inf")`` means no regularisation
    :param n_envs_per_task: Sub-environments of each task, where ids or callables are given
    :param architecture: What the task policies are made of, see :class:`~sb3_distral.policies.DistralPolicy`
    :param distilled_weight: Weight of h in the logits of two columns, α by default
    :param optimization: ``"joint"``: one gradient step for π0 and all πi, (9) and (10); ``"alternating"``: π0 is fitted
        on the roll-out by its own optimizer, then the tasks train against a fixed π0 (on a roll-out of the π0 before)
    :param distillation_epochs: Gradient steps of each fit of π0, if alternating
    :param value_l2_coef: Weight of (Vi − V0)² in the loss (the paper's 3D experiments: 0.005); it also trains V0, which
        nothing else does where the architecture has task columns
    :param policy_kwargs: Arguments of every column, as for A2C
    :param a2c_arguments: All other arguments of :class:`stable_baselines3.A2C`. ``ent_coef`` is A3C's entropy bonus in
        the loss and excludes an entropy cost in the reward (α < 1 with finite β); ``max_grad_norm`` clips each column;
        ``normalize_advantage`` normalises task by task; ``rollout_buffer_class`` is the algorithm's own
    :raises ValueError: If α, β, the spaces or the tasks are not as above; the message says what to do
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = POLICY_ALIASES
    own_rollout_buffer_class: ClassVar[type[RolloutBuffer]] = TaskRolloutBuffer
    policy: DistralPolicy  # type: ignore[assignment]
    env: RegularizedReward | None
    costs: Costs

    def __init__(
        self,
        env: Tasks | str | type[BasePolicy] | None = None,
        policy: str | type[BasePolicy] | Tasks = "auto",
        *,
        alpha: TaskCoefficient = 0.5,
        beta: TaskCoefficient = 100.0,
        n_envs_per_task: int = 1,
        architecture: Architecture = "two_columns",
        distilled_weight: float | None = None,
        optimization: Optimization = "joint",
        distillation_epochs: int = 1,
        value_l2_coef: float = 0.0,
        policy_kwargs: dict[str, Any] | None = None,
        _init_setup_model: bool = True,
        **a2c_arguments: Unpack[A2CArguments],
    ):
        arguments = complete_a2c_arguments(a2c_arguments, self.own_rollout_buffer_class)
        task_env = None
        if env is not None or _init_setup_model:
            env, policy = parse_env_and_policy(env, policy, self.policy_aliases)
            task_env = self._wrap_env(as_task_vec_env(env, n_envs_per_task), arguments.get("verbose", 0))
        space = None if task_env is None else task_env.observation_space
        super().__init__(
            choose_policy_class(policy, space, self.policy_aliases),  # type: ignore[arg-type]
            task_env,  # type: ignore[arg-type]
            policy_kwargs=column_arguments(policy_kwargs, architecture, distilled_weight),
            _init_setup_model=False,
            **arguments,
        )
        if "optimizer_class" not in (policy_kwargs or {}) and "optimizer_class" in self.policy_kwargs:
            # A2C chose RMSProp. This is the same arithmetic in fewer calls: columns have many small parameters.
            self.policy_kwargs["optimizer_kwargs"]["foreach"] = True
        self.alpha, self.beta = alpha, beta
        self.n_envs_per_task = n_envs_per_task
        self.optimization = optimization
        self.distillation_epochs = distillation_epochs
        self.value_l2_coef = value_l2_coef
        self.task_names: list[str] = [] if task_env is None else list(task_env.task_names)
        self._task_episodes: dict[str, deque[dict[str, Any]]] = {}
        self._resume_state: dict[str, Any] | None = None
        self._distillation = DistillationCallback()
        # Remaining progress at which the costs were last set.
        self._cost_progress = 1.0
        if _init_setup_model:
            self._setup_model()

    @property
    def n_tasks(self) -> int:
        """Number of tasks."""
        return len(self.task_names)

    @property
    def distilled_policy(self) -> ActorCriticPolicy:
        """π0, a Stable-Baselines3 policy on plain observations. It follows the training."""
        return self.policy.distilled_policy

    def task_policy(self, task: int | str) -> BasePolicy:
        """
        The policy of one task on plain observations, a copy as it is now.

        :param task: Index or name of the task
        :return: A Stable-Baselines3 policy; with one column its ``state_dict`` fits A2C's policy of that architecture
        :raises ValueError: If there is no such task
        """
        names = self.task_names
        if task not in names and task not in range(len(names)):
            raise UsageError(
                f"There is no task {task!r}. Give an index below {len(names)} or one of the names {names}."
            )
        return self.policy.task_policy(names.index(task) if isinstance(task, str) else task)

    @staticmethod
    def _wrap_env(env: Any, verbose: int = 0, monitor_wrapper: bool = True) -> RegularizedReward:
        # Constructor, load (twice) and set_env all pass through here.
        if isinstance(env, RegularizedReward):
            return env
        venv = A2C._wrap_env(as_task_vec_env(env), verbose, monitor_wrapper)
        if not isinstance(venv.action_space, spaces.Discrete):
            raise UsageError(
                f"The tasks have the action space {venv.action_space}, but DistralA2C supports Discrete actions only. "
                "Wrap the environments so that they offer a fixed set of actions."
            )
        return RegularizedReward(venv)

    def _setup_model(self) -> None:
        # A saved model comes with the class of its policy.
        check_memory(self.policy_class, self.policy_aliases)  # type: ignore[arg-type]
        # By position, so that tasks may get other names later.
        self.alpha = in_task_order("alpha", self.alpha, self.task_names)
        self.beta = in_task_order("beta", self.beta, self.task_names)
        self._cost_schedule = CostSchedule(self.alpha, self.beta, self.task_names)
        self._check_optimization()
        super()._setup_model()
        self._connect_env()

    def _check_optimization(self) -> None:
        if self.optimization not in get_args(Optimization):
            raise UsageError(f"optimization={self.optimization!r} is unknown. Choose one of {get_args(Optimization)}.")
        if self.distillation_epochs < 1:
            raise UsageError(
                f"distillation_epochs={self.distillation_epochs} was given; expected at least 1, the number of "
                "gradient steps that fit the distilled policy to each roll-out."
            )
        if self.optimization == "alternating" and self.policy_kwargs["architecture"] == "shared":
            raise UsageError(
                "optimization='alternating' was given with architecture='shared', where the distilled policy is the "
                "policy of every task and nothing alternates. Use 'joint', or an architecture with task columns."
            )

    def _connect_env(self) -> None:
        if self.env is not None:
            self._check_task_order(self.env)
            self.task_names = list(self.env.task_names)
            self.env.policy = self.policy
        self._update_costs()

    def _check_task_order(self, env: RegularizedReward) -> None:
        names = list(env.task_names)
        if any(name in self.task_names and self.task_names.index(name) != i for i, name in enumerate(names)):
            raise UsageError(
                f"The environment has the tasks in the order {names}, the model in the order {self.task_names}: a task "
                "would go on with the column of another. Give them in the model's order."
            )

    def _update_costs(self) -> None:
        self.costs = self._cost_schedule(self._cost_progress)
        if self.ent_coef > 0 and self.costs.entropy.any():
            raise UsageError(
                f"ent_coef={self.ent_coef} was given with entropy costs of {self.costs.entropy.tolist()}: the entropy "
                "would be paid for twice, in the loss and in the reward. Leave ent_coef at 0, or set beta=float('inf') "
                "or alpha=1."
            )
        self.policy.set_distilled_weights(self.costs.alpha)
        self.policy.evaluates_distilled = self._needs_distilled()
        if self.env is not None:
            self.env.set_costs(self.costs.kl, self.costs.entropy)

    def _needs_distilled(self) -> bool:
        return bool(self.costs.kl.any())

    def _init_callback(self, callback: MaybeCallback, progress_bar: bool = False) -> BaseCallback:
        callbacks = callback if isinstance(callback, list) else [] if callback is None else [callback]
        alternating = self.optimization == "alternating"
        self._distillation = DistillationCallback(alternating, self.distillation_epochs, self.value_l2_coef)
        own = [single if isinstance(single, BaseCallback) else ConvertCallback(single) for single in callbacks]
        return super()._init_callback([self._distillation, *own], progress_bar)

    def _setup_learn(self, *args: Any, **kwargs: Any) -> tuple[int, BaseCallback]:
        known = self._task_episodes
        total_timesteps, callback = super()._setup_learn(*args, **kwargs)
        # A reset of the counters empties SB3's buffer of episodes, and so ours.
        empty = not self.ep_info_buffer
        self._task_episodes = {
            name: deque(() if empty else known.get(name, ()), maxlen=self._stats_window_size)
            for name in self.task_names
        }
        return total_timesteps, callback

    def learn(
        self: SelfDistralA2C,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 100,
        tb_log_name: str = "DistralA2C",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> SelfDistralA2C:
        """
        Train π0 and all πi.

        :param total_timesteps: Steps of all tasks together
        :param callback: As A2C
        :param log_interval: As A2C
        :param tb_log_name: As A2C
        :param reset_num_timesteps: As A2C
        :param progress_bar: As A2C
        :return: The trained model
        """
        return super().learn(total_timesteps, callback, log_interval, tb_log_name, reset_num_timesteps, progress_bar)

    def collect_rollouts(self, *args: Any, **kwargs: Any) -> bool:
        """
        Collect a roll-out under the costs of this moment of training.

        :param args: As A2C
        :param kwargs: As A2C
        :return: Whether the roll-out is complete
        """
        self._follow_cost_schedules()
        return super().collect_rollouts(*args, **kwargs)

    def _follow_cost_schedules(self) -> None:
        if not self._cost_schedule.is_constant:
            # Stable-Baselines3 updates the progress after a roll-out; a new call of learn may have moved its end.
            self._update_current_progress_remaining(self.num_timesteps, self._total_timesteps)
            self._cost_progress = self._current_progress_remaining
            self._update_costs()

    def rollout_memory(self) -> Any:
        """
        :return: What recurrent columns remembered when the roll-out began, anew at each call; ``None``, these have none
        """
        return None

    def train(self) -> None:
        """Add the policy gradients of (9) and (10) to the loss that the distillation left; one step takes both."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        for rollout_data in self.rollout_buffer.get(batch_size=None):
            losses = self._losses(rollout_data)
            policy_loss, value_loss, entropy_loss, transfer_loss = losses
            loss = policy_loss + self.ent_coef * entropy_loss + self.vf_coef * value_loss
            loss = loss + self.value_l2_coef * transfer_loss
            if self._distillation.loss is not None:
                loss = loss + self._distillation.loss
            loss.backward()
            self._step()
        self._distillation.release()
        self._n_updates += 1
        buffer = self.rollout_buffer
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record(
            "train/explained_variance", explained_variance(buffer.values.flatten(), buffer.returns.flatten())
        )
        for name, value in zip(("policy_loss", "value_loss", "entropy_loss"), losses.tolist(), strict=False):
            self.logger.record(f"train/{name}", value)

    def _losses(self, rollout_data: Any) -> th.Tensor:
        """
        :param rollout_data: The roll-out
        :return: Losses of policy, value, entropy and value transfer: means for each task, summed over tasks, shape (4,)
        """
        observations, actions = rollout_data.observations, rollout_data.actions.long().flatten()
        plain, tasks = self.policy.split(observations)
        distilled_log_policy = self._distillation.distilled_log_policy
        evaluation = self.policy.evaluate_actions(observations, actions, distilled_log_policy, self.rollout_memory())
        values, log_prob, entropy = evaluation
        values, advantages, transfer = values.flatten(), rollout_data.advantages, th.zeros_like(log_prob)
        if self.normalize_advantage:
            advantages = objective.normalize_by_task(advantages, tasks, self.n_tasks)
        if self.value_l2_coef > 0 and self.policy.task_columns is not None:
            _, distilled_values = self.policy.evaluate_distilled(plain, self.rollout_memory())
            transfer = (values - distilled_values.flatten().detach()).square()
        if self.ent_coef == 0:
            # Logged only.
            entropy = entropy.detach()
        policy_loss = objective.policy_gradient_loss(log_prob, advantages)
        rows = th.stack([policy_loss, (rollout_data.returns - values).square(), -entropy, transfer], dim=1)
        return objective.sum_of_task_means(rows, tasks, self.n_tasks)

    def _step(self) -> None:
        """Clip column by column, so that one task's reward scale cannot shrink another's step, and update."""
        policy = self.policy
        th.nn.utils.clip_grad_norm_(policy.distilled_policy.parameters(), self.max_grad_norm)
        if policy.task_columns is not None:
            policy.task_columns.clip_grad_norm_(self.max_grad_norm)
        policy.optimizer.step()
        policy.optimizer.zero_grad()

    def _update_info_buffer(self, infos: list[dict[str, Any]], dones: np.ndarray | None = None) -> None:
        super()._update_info_buffer(infos, dones)
        assert self.env is not None
        for index, info in enumerate(infos):
            if "episode" in info:
                self._task_episodes[self.task_names[self.env.tasks[index]]].append(info["episode"])

    def dump_logs(self, iteration: int = 0) -> None:
        """
        Write the log, with the returns of each task.

        :param iteration: Current iteration
        """
        for name, episodes in self._task_episodes.items():
            if episodes:
                for key, field in (("ep_rew_mean", "r"), ("ep_len_mean", "l")):
                    record_of_task(self.logger, "rollout", name, key, safe_mean([own[field] for own in episodes]))
        self._distillation.log_divergences()
        super().dump_logs(iteration)

    def get_env(self) -> VecEnv | None:
        """
        :return: The environment that the user gave, with the tasks' own rewards
        """
        return None if self.env is None else self.env.venv

    def set_env(self, env: Any, force_reset: bool = True) -> None:
        """
        Go on with other environments of the same number and spaces.

        :param env: Tasks, as in the constructor
        :param force_reset: As A2C
        """
        if not has_tasks(env):
            env = make_task_vec_env(env, 1 if holds_vec_envs(env) else self.n_envs_per_task)
        wrapped = self._wrap_env(env)
        self._check_task_order(wrapped)
        super().set_env(wrapped, force_reset)
        self._connect_env()

    def _excluded_save_params(self) -> list[str]:
        return [*super()._excluded_save_params(), "_distillation", "_cost_schedule", "costs"]

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        state_dicts, tensors = super()._get_torch_save_params()
        if self.optimization == "alternating":
            state_dicts = [*state_dicts, "policy.distilled_policy.optimizer"]
        return state_dicts, tensors

    def save(
        self,
        path: str | Path | io.BufferedIOBase,
        exclude: Iterable[str] | None = None,
        include: Iterable[str] | None = None,
    ) -> None:
        """
        Save everything that a training needs to go on as if never stopped.

        The file is replaced when the new one is whole.

        :param path: File, ``.zip`` is added where it has no ending
        :param exclude: As A2C
        :param include: As A2C
        """
        self._resume_state = self._get_resume_state()
        try:
            if isinstance(path, io.BufferedIOBase):
                super().save(path, exclude, include)
            else:
                path = Path(path)
                with atomic_write(path if path.suffix else path.with_name(f"{path.name}.zip")) as beside:
                    super().save(beside, exclude, include)
        finally:
            self._resume_state = None

    @classmethod
    def load(
        cls: type[SelfDistralA2C],
        path: str | Path | io.BufferedIOBase,
        env: Any = None,
        device: th.device | str = "auto",
        custom_objects: dict[str, Any] | None = None,
        print_system_info: bool = False,
        force_reset: bool = False,
        **kwargs: Any,
    ) -> SelfDistralA2C:
        """
        Load a model. With ``env`` it trains on where it stopped: random generators come back, and so does the place in
        every task where the environment can be put back (the grid suites can); another environment is reset.

        :param path: File
        :param env: Tasks, as in the constructor
        :param device: As A2C
        :param custom_objects: As A2C
        :param print_system_info: As A2C
        :param force_reset: Reset the environment in any case
        :param kwargs: As A2C
        :return: The model
        """
        if env is not None and not has_tasks(env):
            n_envs = kwargs.get("n_envs_per_task") or cls._saved_n_envs_per_task(path, custom_objects)
            env = make_task_vec_env(env, 1 if holds_vec_envs(env) else n_envs)
        model = super().load(path, env, device, custom_objects, print_system_info, True, **kwargs)
        if env is not None and model._resume_state is not None:
            model._restore(model._resume_state, force_reset)
        model._resume_state = None
        return model

    @staticmethod
    def _saved_n_envs_per_task(path: Any, custom_objects: dict[str, Any] | None) -> int:
        data, _, _ = load_from_zip_file(path, device="cpu", custom_objects=custom_objects)
        if isinstance(path, io.BufferedIOBase):
            path.seek(0)
        assert data is not None
        return int(data["n_envs_per_task"])

    def set_parameters(self, *args: Any, **kwargs: Any) -> None:
        """
        Take over parameters. α stays this model's own.

        :param args: As A2C
        :param kwargs: As A2C
        """
        super().set_parameters(*args, **kwargs)
        self._update_costs()

    def _get_resume_state(self) -> dict[str, Any]:
        env = self.env
        place = None if env is None or env.last_observations is None else env_state(env.venv)
        state: dict[str, Any] = {"random": random_state(), "env": place}
        if env is not None and place is not None:
            state |= {"observations": env.last_observations, "dones": env.last_dones}
        return state

    def _restore(self, state: dict[str, Any], force_reset: bool) -> None:
        assert self.env is not None
        set_random_state(state["random"])
        if self.seed is not None:
            # An environment that is reset goes on with other episodes than those that it began with.
            self.env.seed(self.seed + self.num_timesteps)
        if state["env"] is None or force_reset:
            return
        if set_env_state(self.env.venv, state["env"]):
            self._go_on_from(state)

    def _go_on_from(self, state: dict[str, Any]) -> None:
        assert self.env is not None
        self.env.last_observations, self.env.last_dones = state["observations"], state["dones"]
        self._last_obs, self._last_episode_starts = state["observations"], state["dones"]
