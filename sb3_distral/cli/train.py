"""``sb3-distral train``."""

import json
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch as th
import tyro
from stable_baselines3.common.callbacks import BaseCallback

from sb3_distral.algorithms.a2c import DistralA2C
from sb3_distral.algorithms.evaluation import TaskEvalCallback
from sb3_distral.algorithms.table1 import ALGORITHMS, algorithm_arguments
from sb3_distral.errors import UsageError
from sb3_distral.runs.choice import TaskChoice, check_at_least, check_positive
from sb3_distral.runs.folder import (
    CHECKPOINTS,
    MODEL,
    OPTIONS,
    LastCheckpoints,
    make_logger,
    newest_checkpoint,
    remove_unfinished,
    write_json,
)
from sb3_distral.runs.models import POLICIES, algorithm_class, load_model

if TYPE_CHECKING:
    Algorithm = str
    Policy = str
else:
    Algorithm = tyro.extras.literal_type_from_choices(list(ALGORITHMS))
    Policy = tyro.extras.literal_type_from_choices(POLICIES)


@dataclass(kw_only=True)
class Train(TaskChoice):
    """
    Train the task policies and the distilled policy.

    :param algorithm: An algorithm of Table 1 of the paper
    :param policy: Network of every column. "auto" chooses by the observations: an LSTM behind convolutions for images
    :param beta: β, the inverse of the weight of all regularisation
    :param learning_rate: Learning rate of RMSProp. The default suits the suites; A2C's own is 7e-4
    :param n_envs_per_task: Copies of each task that are stepped together
    :param total_timesteps: Steps of all tasks together
    :param seed: Seed of tasks, networks and actions
    :param n_threads: Threads of PyTorch; more than one pays for large networks only
    :param checkpoint_freq: Steps of all tasks between checkpoints; the last two are kept
    :param log_freq: Steps of all tasks between rows of the logs
    :param eval_freq: Steps of all tasks between evaluations of task policies and π0 in copies of the tasks; 0 for none
    :param n_eval_episodes: Episodes of each task in an evaluation
    :param output: Folder of the run; by default runs/TASKS-ALGORITHM-seedSEED
    :param resume: Go on with the run in the folder; options that are not given are those it began with. The grid suites
        go on amid their episodes, other tasks begin new ones
    """

    algorithm: Algorithm = "KL+ent_2col"
    policy: Policy = "auto"
    beta: float = 100.0
    learning_rate: float = 2e-3
    n_envs_per_task: int = 8
    total_timesteps: int = 300_000
    seed: int = 0
    n_threads: int = 1
    checkpoint_freq: int = 50_000
    log_freq: int = 5_000
    eval_freq: int = 0
    n_eval_episodes: int = 4
    output: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    resume: bool = False

    @property
    def folder(self) -> Path:
        """Where the files of the run are."""
        more = f"+{len(self.envs) - 1}" if len(self.envs) > 1 else ""
        name = self.suite or f"{''.join(self.envs[:1])}{more}".replace("/", "_")
        return self.output or Path("runs") / f"{name}-{self.algorithm}-seed{self.seed}"

    @classmethod
    def read(cls, folder: Path) -> "Train | None":
        """
        :param folder: Folder of a run
        :return: The options it began with; ``None`` if there is no run
        :raises ValueError: If they cannot be read
        """
        path = folder / OPTIONS
        if not path.exists():
            return None
        try:
            values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return cls(**values | {name: tuple(values[name]) for name in ("envs", "suite_arguments")})
        except (KeyError, TypeError, ValueError) as error:
            raise UsageError(
                f"{path} cannot be read ({error!r}); expected the options of a training as JSON."
            ) from error

    def run(self) -> None:
        """Train to the end, from the beginning or from the newest checkpoint."""
        check_at_least(0, seed=self.seed, eval_freq=self.eval_freq)
        check_at_least(1, n_envs_per_task=self.n_envs_per_task, total_timesteps=self.total_timesteps)
        check_at_least(1, n_eval_episodes=self.n_eval_episodes)
        check_at_least(1, n_threads=self.n_threads, checkpoint_freq=self.checkpoint_freq, log_freq=self.log_freq)
        check_positive(beta=self.beta, learning_rate=self.learning_rate)
        folder = self.folder
        self.check_folder()
        th.set_num_threads(self.n_threads)
        if (folder / MODEL).exists():
            print(f"The run in {folder} is finished: nothing is left to do.")
            return
        model = self.make_model()
        write_json(folder / OPTIONS, self.options())
        remove_unfinished(folder)
        assert model.env is not None
        with closing(model.env):
            self.learn(model)
            model.save(folder / MODEL)
        print(f"The model is {folder / MODEL}. Try it with: sb3-distral evaluate {folder}")

    def options(self) -> dict[str, Any]:
        """
        :return: Options that define the run
        """
        return {name: value for name, value in asdict(self).items() if name not in ("output", "resume")}

    def check_folder(self) -> None:
        """
        :raises ValueError: If the folder holds anything but, with ``resume``, a run with these options
        """
        folder = self.folder
        if not folder.exists() or not any(folder.iterdir()):
            return
        begun = self.read(folder)
        if not self.resume or begun is None:
            advice = (
                "Pass another --output." if begun is None else "Pass --resume to go on with it, or another --output."
            )
            what = "is not empty but holds no run" if begun is None else "holds a run already"
            raise UsageError(f"The folder {folder} {what}; a new run needs an empty one. {advice}")
        for name, value in self.options().items():
            # The number of threads changes nothing but speed and rounding.
            if name != "n_threads" and value != begun.options()[name]:
                raise UsageError(
                    f"The run in {folder} began with {name}={begun.options()[name]!r} and cannot go on with {value!r}. "
                    f"Leave {name} as it was, or choose an empty folder for a new run."
                )

    def make_model(self) -> DistralA2C:
        """
        :return: The model of the newest readable checkpoint if the run goes on, else a new one
        """
        env = self.make_env(self.n_envs_per_task)
        if self.resume:
            checkpoint = newest_checkpoint(self.folder)
            if checkpoint is not None:
                model = load_model(checkpoint, env)
                print(f"Going on from {checkpoint}: {model.num_timesteps} of {self.total_timesteps} steps are done.")
                return model
            print(f"There is no checkpoint in {self.folder / CHECKPOINTS}: starting from the beginning.")
        arguments = algorithm_arguments(self.algorithm, self.beta)
        arguments |= {"policy": self.policy, "learning_rate": self.learning_rate, "seed": self.seed}
        return algorithm_class(self.policy, env)(env, **arguments)

    def learn(self, model: DistralA2C) -> None:
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
                progress_bar=True,
            )

    def make_callbacks(self, n_envs: int, end: ExitStack) -> list[BaseCallback]:
        """
        :param n_envs: Sub-environments of the training
        :param end: Takes what has to be closed at its end
        :return: What saves checkpoints and, if asked for, evaluates
        """
        save_freq = max(1, self.checkpoint_freq // n_envs)
        callbacks: list[BaseCallback] = [LastCheckpoints(save_freq, str(self.folder / CHECKPOINTS))]
        if self.eval_freq > 0:
            eval_env = end.enter_context(closing(self.make_eval_env(self.n_eval_episodes)))
            callbacks.append(TaskEvalCallback(eval_env, self.n_eval_episodes, max(1, self.eval_freq // n_envs)))
        return callbacks
