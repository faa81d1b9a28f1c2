"""A training by its options: from the beginning or from where it was interrupted, to the model in its folder."""

import logging
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch as th
from stable_baselines3.common.callbacks import BaseCallback, ProgressBarCallback
from typing_extensions import Self

from sb3_distral.algorithms.base import DistralAlgorithm
from sb3_distral.algorithms.sharing import save_policy
from sb3_distral.algorithms.table1 import algorithm_arguments
from sb3_distral.algorithms.task_evaluation import TaskEvalCallback
from sb3_distral.envs.task_vec_env import TaskVecEnv
from sb3_distral.errors import UsageError
from sb3_distral.method.controller import CostController
from sb3_distral.runs.choice import TaskChoice, check_at_least, check_positive
from sb3_distral.runs.folder import (
    BEST_POLICIES,
    CHECKPOINTS,
    EVALUATIONS,
    MODEL,
    OPTIONS,
    POLICIES,
    KeepPolicies,
    LastCheckpoints,
    load_newest_checkpoint,
    make_logger,
    remove_unfinished,
    write_json,
)
from sb3_distral.runs.lock import LOCK, exclusive
from sb3_distral.runs.models import LEARNERS, algorithm_class, check_finite, load_model
from sb3_distral.runs.reading import read_options

log = logging.getLogger(__name__)


class ProgressBar(ProgressBarCallback):
    """A progress bar that can be closed where a training fails; otherwise it writes into the message."""

    def close(self) -> None:
        """Close the bar, if the training has begun."""
        if hasattr(self, "pbar"):
            self.pbar.close()


@dataclass(kw_only=True)
class Training(TaskChoice):
    """
    A training of task policies and a distilled policy, and the folder of its files.

    :param algorithm: An algorithm of Table 1 of the paper
    :param learner: What the algorithm is built on: A2C, as in the paper, or PPO
    :param policy: Network of every column. "auto" chooses by the observations: an LSTM behind convolutions for images
    :param beta: β, the inverse of the weight of all regularisation
    :param adaptive_costs: Whether a controller adapts the costs of each task from β on, see docs/costs.md
    :param normalize_returns: Whether the rewards of each task are brought to one scale, for tasks of different ones
    :param learning_rate: Learning rate; by default 2e-3 of A2C's RMSProp, which suits the suites, 3e-4 of PPO's Adam
    :param n_envs_per_task: Copies of each task that are stepped together
    :param total_timesteps: Steps of all tasks together
    :param seed: Seed of tasks, networks and actions
    :param n_threads: Threads of PyTorch; more than one pays for large networks only
    :param checkpoint_freq: Steps of all tasks between checkpoints; the last two are kept
    :param log_freq: Steps of all tasks between rows of the logs
    :param eval_freq: Steps of all tasks between evaluations of task policies and π0 in copies of the tasks, whose
        results are in the run's folder evaluations and which keep best_model.zip; 0 for none
    :param n_eval_episodes: Episodes of each task in an evaluation
    :param held_out: Arguments of the suite, such as maze_seed=1, that make it tasks which are not trained on: π0 is
        evaluated on them too
    :param output: Folder of the run; by default runs/TASKS-ALGORITHM-seedSEED
    """

    algorithm: str = "KL+ent_2col"
    learner: str = "a2c"
    policy: str = "auto"
    beta: float = 100.0
    adaptive_costs: bool = False
    normalize_returns: bool = False
    learning_rate: float | None = None
    n_envs_per_task: int = 8
    total_timesteps: int = 300_000
    seed: int = 0
    n_threads: int = 1
    checkpoint_freq: int = 50_000
    log_freq: int = 5_000
    eval_freq: int = 0
    n_eval_episodes: int = 4
    held_out: Mapping[str, float] = field(default_factory=dict)
    output: Path | None = None

    @property
    def folder(self) -> Path:
        """Where the files of the run are."""
        more = f"+{len(self.envs) - 1}" if len(self.envs) > 1 else ""
        tasks = self.suite or f"{''.join(self.envs[:1])}{more}".replace("/", "_")
        learner = "" if self.learner == "a2c" else f"-{self.learner}"
        return self.output or Path("runs") / f"{tasks}-{self.algorithm}{learner}-seed{self.seed}"

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """
        Read the options of a run.

        :param folder: Folder of the run
        :return: The options it began with; ``None`` if there is no run
        :raises UsageError: If they cannot be read
        """
        path = folder / OPTIONS
        return cls(**read_options(path, Training), output=folder) if path.exists() else None

    def options(self) -> dict[str, Any]:
        """
        List the options that define the run.

        :return: Options by name, with the learner's own learning rate where none was given
        """
        names = [own.name for own in fields(Training) if own.name != "output"]
        options = {name: getattr(self, name) for name in names}
        if self.learning_rate is None and self.learner in LEARNERS:
            options["learning_rate"] = LEARNERS[self.learner].learning_rate
        return options

    def train(self, resume: bool = False) -> Path:
        """
        Train to the end and save the model; of a finished run nothing is left to do.

        :param resume: Go on with the run in the folder, from its newest checkpoint, if there is one. The grid suites go
            on amid their episodes, other tasks begin new ones. Checkpoints are pickles, which can run code: the folder
            has to be one that you trust
        :return: File of the model
        :raises UsageError: If an option is out of range, the folder holds something else or another training is in it,
            or the training diverges
        """
        self.check_options()
        self.check_folder(resume)  # before anything is written into a folder of somebody else
        with exclusive(self.folder):
            self.check_folder(resume)
            return self.train_alone(resume)

    def train_alone(self, resume: bool) -> Path:
        """
        Train where no other training is in the folder.

        :param resume: As :meth:`train`
        :return: File of the model
        :raises UsageError: As :meth:`train`
        """
        th.set_num_threads(self.n_threads)
        path = self.folder / MODEL
        if path.exists():
            model = load_model(path)  # refuses one that diverged, which earlier versions have saved
            if not (self.folder / POLICIES).exists():  # which they have not
                save_policy(model, self.folder / POLICIES)
            log.info("The run in %s is finished: nothing is left to do.", self.folder)
            return path
        with closing(self.make_env(self.n_envs_per_task)) as env:
            model = self.go_on(env) if resume else self.begin(env)
            write_json(self.folder / OPTIONS, self.options())
            remove_unfinished(self.folder)
            try:
                self.learn(model)
            finally:  # also where numbers that are none made it fail
                check_finite(model)
            save_policy(model, self.folder / POLICIES)
            model.save(path)
        return path

    def check_options(self) -> None:
        """
        Check the numbers.

        :raises UsageError: If one is out of range
        """
        check_at_least(0, seed=self.seed, eval_freq=self.eval_freq)
        check_at_least(1, n_envs_per_task=self.n_envs_per_task, total_timesteps=self.total_timesteps)
        check_at_least(1, n_eval_episodes=self.n_eval_episodes)
        check_at_least(1, n_threads=self.n_threads, checkpoint_freq=self.checkpoint_freq, log_freq=self.log_freq)
        check_positive(beta=self.beta)
        if self.adaptive_costs and algorithm_arguments(self.algorithm)["alpha"] == 0.0:
            raise UsageError(
                f"--adaptive-costs was given with --algorithm {self.algorithm}, which has no costs in the reward; "
                "expected one of Distral's. Leave it away, or pass for example --algorithm KL+ent_2col."
            )
        if self.held_out and (self.suite is None or self.eval_freq == 0):
            raise UsageError(
                "--held-out was given without --suite or without --eval-freq; it holds arguments of the suite for "
                "evaluations. Pass all of them, for example --suite grid-mazes --eval-freq 50000 --held-out "
                "maze_seed=1."
            )
        self.held_out_choice().all_suite_arguments()
        if self.learning_rate is not None:
            check_positive(learning_rate=self.learning_rate)

    def check_folder(self, resume: bool) -> None:
        """
        Check that the run may be in its folder.

        :param resume: Whether the run goes on
        :raises UsageError: If the folder holds anything but, with ``resume``, a run with these options
        """
        folder = self.folder
        if not folder.exists() or all(path.name == LOCK for path in folder.iterdir()):
            return
        begun = Training.read(folder)
        if not resume or begun is None:
            advice = (
                "Pass another --output." if begun is None else "Pass --resume to go on with it, or another --output."
            )
            what = "is not empty but holds no run" if begun is None else "holds a run already"
            raise UsageError(f"The folder {folder} {what}; a new run needs an empty one. {advice}")
        begun_with = begun.options()
        for name, value in self.options().items():
            # The number of threads changes nothing but speed and rounding.
            if name != "n_threads" and value != begun_with[name]:
                raise UsageError(
                    f"The run in {folder} began with {name}={begun_with[name]!r} and cannot go on with {value!r}. "
                    f"Leave {name} as it was, or choose an empty folder for a new run."
                )

    def begin(self, env: TaskVecEnv) -> DistralAlgorithm:
        """
        Make a new model.

        :param env: The tasks
        :return: The model
        """
        algorithm = algorithm_class(self.learner, self.policy, env)
        arguments = algorithm_arguments(self.algorithm, self.beta) | LEARNERS[self.learner].arguments
        arguments |= {"policy": self.policy, "learning_rate": self.options()["learning_rate"], "seed": self.seed}
        arguments |= {"normalize_returns": self.normalize_returns}
        if self.adaptive_costs:
            arguments["beta"] = CostController(beta=self.beta)
        return algorithm(env, **arguments)

    def go_on(self, env: TaskVecEnv) -> DistralAlgorithm:
        """
        Load the newest checkpoint, or begin where there is none.

        :param env: The tasks
        :return: The model
        """
        saved = load_newest_checkpoint(self.folder, env)
        if saved is None:
            log.info("There is no checkpoint in %s: starting from the beginning.", self.folder / CHECKPOINTS)
            return self.begin(env)
        path, model = saved
        log.info("Going on from %s: %d of %d steps are done.", path, model.num_timesteps, self.total_timesteps)
        return model

    def learn(self, model: DistralAlgorithm) -> None:
        """
        Train, with logs, checkpoints and a progress bar.

        :param model: A model that may have a part of the steps behind it
        """
        model.set_logger(make_logger(self.folder, model.num_timesteps))
        with ExitStack() as end:
            end.callback(model.logger.close)
            model.learn(
                # Without a reset, SB3 adds the steps done: schedules see the same total as in an uninterrupted run.
                self.total_timesteps - model.num_timesteps,
                callback=self.make_callbacks(model.n_envs, end),
                log_interval=max(1, self.log_freq // (model.n_envs * model.n_steps)),
                reset_num_timesteps=False,
            )

    def make_callbacks(self, n_envs: int, end: ExitStack) -> list[BaseCallback]:
        """
        Make what shows the progress, saves checkpoints and, if asked for, evaluates.

        :param n_envs: Sub-environments of the training
        :param end: Takes what has to be closed at its end
        :return: The callbacks
        """
        save_freq = max(1, self.checkpoint_freq // n_envs)
        bar = end.enter_context(closing(ProgressBar()))
        callbacks: list[BaseCallback] = [bar, LastCheckpoints(save_freq, str(self.folder / CHECKPOINTS))]
        if self.eval_freq > 0:
            eval_env = end.enter_context(closing(self.make_eval_env(self.n_eval_episodes)))
            held_out = self.make_held_out_env()
            if held_out is not None:
                end.enter_context(closing(held_out))
            eval_freq = max(1, self.eval_freq // n_envs)
            evaluation = TaskEvalCallback(
                eval_env,
                self.n_eval_episodes,
                eval_freq,
                held_out=held_out,
                log_path=self.folder / EVALUATIONS,
                best_model_save_path=self.folder,
                callback_on_new_best=KeepPolicies(self.folder / BEST_POLICIES),
            )
            callbacks.append(evaluation)
        return callbacks

    def make_held_out_env(self) -> TaskVecEnv | None:
        """
        Make the tasks that are not trained on.

        :return: The tasks; ``None`` if there are none
        :raises UsageError: As :meth:`make_env`
        """
        if not self.held_out:
            return None
        return self.held_out_choice().make_eval_env(self.n_eval_episodes)

    def held_out_choice(self) -> TaskChoice:
        """
        Choose the tasks that are not trained on.

        :return: The tasks of the training with the arguments in ``held_out``
        """
        return TaskChoice(suite=self.suite, envs=self.envs, suite_arguments={**self.suite_arguments, **self.held_out})
