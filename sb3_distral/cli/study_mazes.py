"""``sb3-distral study mazes``, and the part of ``sb3-distral plot`` that draws its results."""

import json
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tyro
from stable_baselines3.common.type_aliases import PolicyPredictor

from sb3_distral import tasks
from sb3_distral.algorithms import ALGORITHMS
from sb3_distral.cli.choice import check_at_least
from sb3_distral.cli.evaluate import DISTILLED_POLICY, TASK_POLICY, Evaluate
from sb3_distral.cli.models import load_model
from sb3_distral.cli.run_folder import MODEL
from sb3_distral.cli.study_two_rooms import experiments_extra
from sb3_distral.cli.train import Train
from sb3_distral.evaluation import evaluate_tasks

if TYPE_CHECKING:
    Algorithm = str
else:
    Algorithm = tyro.extras.literal_type_from_choices(list(ALGORITHMS))

#: Episodes of each maze in the evaluation after a training.
N_EPISODES = 8
#: Mazes that no algorithm has trained on.
UNSEEN = {"maze_seed": 1, "n_tasks": 2}
#: The policy in film and sheet, and its maze.
FILMED, FILMED_TASK, FILM_STEPS = "KL+ent_2col", 0, 100


@dataclass(kw_only=True)
class StudyMazes:
    """
    Train the paper's columns on the first-person mazes with each algorithm, one run each, and draw what came out.

    A run takes an hour for a million steps on two cores. Interrupted, the same command goes on where it stopped.

    :param output: Folder of the results
    :param runs: Folder of models, checkpoints and logs, some 300 MB for each algorithm
    :param algorithms: Algorithms of Table 1
    :param total_timesteps: Steps of each run, all mazes together
    :param seed: Seed of all runs
    :param n_threads: Threads of PyTorch
    """

    output: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    runs: Annotated[Path, tyro.conf.arg(metavar="DIR")] = Path("runs/mazes")
    algorithms: tuple[Algorithm, ...] = ("KL+ent_2col", "KL_2col", "A3C", "A3C_multitask")
    total_timesteps: int = 1_000_000
    seed: int = 0
    n_threads: int = 2

    @property
    def command(self) -> str:
        """The command with its options."""
        words = [f"--total-timesteps={self.total_timesteps}", f"--seed={self.seed}", f"--n-threads={self.n_threads}"]
        words += [f"--output={self.output}", "--algorithms", *self.algorithms]
        return shlex.join(["sb3-distral", "study", "mazes", *words])

    def run(self) -> None:
        """Do what is not done yet, then draw."""
        check_at_least(1, total_timesteps=self.total_timesteps, n_threads=self.n_threads)
        with experiments_extra():
            from sb3_distral.experiments.maze_runs import RANDOM, write_result
        for algorithm in self.algorithms:
            training = self.training(algorithm)
            training.run()
            write_result(self.output, algorithm, self.result(training), self.command)
        write_result(self.output, RANDOM, random_result(), self.command)
        plot_mazes(self.output, self.output)
        if FILMED in self.algorithms:
            self.film(self.training(FILMED).folder / MODEL)

    def training(self, algorithm: str) -> Train:
        """
        :param algorithm: An algorithm
        :return: Its training, which goes on if it has begun
        """
        return Train(
            suite="mazes",
            algorithm=algorithm,
            learning_rate=7e-4,
            n_envs_per_task=4,
            total_timesteps=self.total_timesteps,
            eval_freq=50_000,
            seed=self.seed,
            n_threads=self.n_threads,
            output=self.runs / algorithm,
            resume=True,
        )

    def result(self, training: Train) -> dict[str, Any]:
        """
        :param training: A finished training
        :return: Its learning curves, and the returns of its policies on the mazes of the training and on unseen ones
        """
        from sb3_distral.experiments.maze_runs import logged_evaluations

        folder = training.folder
        unseen = tuple(f"{name}={value}" for name, value in UNSEEN.items())
        files = {"final": folder / "evaluation.json", "unseen": folder / "unseen.json"}
        for file, arguments in zip(files.values(), ((), unseen), strict=True):
            if not file.exists():
                evaluation = Evaluate(path=folder, suite="mazes", suite_arguments=arguments, n_episodes=N_EPISODES)
                replace(evaluation, n_threads=self.n_threads, output=file).run()
        means = {name: means_by_policy(file) for name, file in files.items()}
        return {"timesteps": self.total_timesteps, "evaluations": logged_evaluations(folder), **means}

    def film(self, model_path: Path) -> None:
        """
        :param model_path: File of the model that acts
        """
        from sb3_distral.experiments.film import play, write_film, write_sheet

        moments = play(load_model(model_path), f"sb3_distral/Mazes-{FILMED_TASK}-v0", FILMED_TASK, FILM_STEPS)
        write_film(moments, self.output / "agent.gif")
        write_sheet(moments, self.output / "agent.png")


class RandomActions(PolicyPredictor):
    """
    A policy that draws all actions alike.

    :param action_space: Discrete action space
    :param seed: Seed of the actions
    """

    def __init__(self, action_space: Any, seed: int = 0):
        self.n_actions, self.generator = int(action_space.n), np.random.default_rng(seed)

    def predict(self, observation: Any, state: Any = None, *_: Any, **__: Any) -> tuple[np.ndarray, Any]:
        """
        :param observation: A batch of observations that name a task
        :param state: Not used
        :return: Actions and the state
        """
        return self.generator.integers(self.n_actions, size=len(observation["task"])), state


def random_result() -> dict[str, Any]:
    """
    :return: Mean returns of random actions by maze, in the form of a trained algorithm's
    """
    returns = {}
    for name, arguments in {"final": {}, "unseen": UNSEEN}.items():
        env = tasks.make("mazes", N_EPISODES // 2, seed=0, **arguments)  # type: ignore[arg-type]
        by_task = evaluate_tasks(RandomActions(env.action_space), env, N_EPISODES)
        env.close()
        returns[name] = {"tasks": {task: round(float(np.mean(own)), 3) for task, own in by_task.items()}}
    return returns


def means_by_policy(evaluation: Path) -> dict[str, dict[str, float]]:
    """
    :param evaluation: A file of ``sb3-distral evaluate --output``
    :return: Mean returns by task, of the task policies (``tasks``, where they were evaluated) and of π0 (``distilled``)
    """
    results = json.loads(evaluation.read_text(encoding="utf-8"))["results"]
    return {
        name: {task: round(own["mean"], 3) for task, own in results[policy].items()}
        for name, policy in (("tasks", TASK_POLICY), ("distilled", DISTILLED_POLICY))
        if policy in results
    }


def plot_mazes(folder: Path, output: Path) -> None:
    """
    Rebuild the figure and the table from the results.

    :param folder: Folder of the results
    :param output: Folder of the figure and the table
    """
    from sb3_distral.experiments.maze_page import FIGURE, TABLE, plot_mazes

    plot_mazes(folder, output)
    print(f"The figure is {output / FIGURE}, the table is {output / TABLE}.")
