"""``sb3-distral study mazes``, and the part of ``sb3-distral plot`` that draws its results."""

import json
import shlex
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tyro
from stable_baselines3.common.type_aliases import PolicyPredictor

from sb3_distral.algorithms.evaluation import EVALUATION_SEED, evaluate_tasks
from sb3_distral.algorithms.table1 import ALGORITHMS
from sb3_distral.cli.evaluate import Evaluate
from sb3_distral.cli.study_two_rooms import experiments_extra
from sb3_distral.cli.train import Train
from sb3_distral.runs import DISTILLED_POLICY, TASK_POLICY, TaskChoice, load_model
from sb3_distral.runs.choice import check_at_least
from sb3_distral.runs.folder import MODEL

if TYPE_CHECKING:
    Algorithm = str
else:
    Algorithm = tyro.extras.literal_type_from_choices(list(ALGORITHMS))

#: Episodes of each maze in the evaluation after a training.
N_EPISODES = 16
#: Arguments of the suite: the mazes of the training, and mazes that no algorithm has trained on.
MAZES: dict[str, dict[str, int]] = {"final": {}, "unseen": {"maze_seed": 1, "n_tasks": 2}}
#: The policy in film and sheet, and its maze.
FILMED, FILMED_TASK, FILM_STEPS = "KL+ent_2col", 0, 100


@dataclass(kw_only=True)
class StudyMazes:
    """
    Train the paper's columns on the first-person mazes with each algorithm, one run each, and draw what came out.

    A run of a million steps takes one to two hours on two cores. Interrupted, the same command goes on where it was.

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
        words += [f"--output={self.output}", f"--runs={self.runs}", "--algorithms", *self.algorithms]
        return shlex.join(["sb3-distral", "study", "mazes", *words])

    def run(self) -> None:
        """Do what is not done yet, then draw."""
        check_at_least(0, seed=self.seed)
        check_at_least(1, total_timesteps=self.total_timesteps, n_threads=self.n_threads)
        with experiments_extra():
            from sb3_distral.experiments.maze_runs import RANDOM, begin_study, result_path, write_result
        settings = {"total_timesteps": self.total_timesteps, "seed": self.seed, "n_episodes": N_EPISODES}
        begin_study(self.output, settings)
        for name in (*self.algorithms, RANDOM):
            if not result_path(self.output, name).exists():
                result = self.random_result() if name == RANDOM else self.result(name)
                write_result(self.output, name, result, self.command)
        plot_mazes(self.output, self.output)

    def result(self, algorithm: str) -> dict[str, Any]:
        """
        :param algorithm: An algorithm
        :return: Learning curves of its training, and returns of its policies on the mazes of the training and on others
        """
        from sb3_distral.experiments.maze_runs import logged_evaluations, own_policies, part_starts

        training = self.training(algorithm)
        training.run()
        if algorithm == FILMED:
            self.film(training.folder / MODEL)
        evaluations = {name: self.evaluate(training.folder, name) for name in MAZES}
        returns = {name: returns_by_policy(evaluation) for name, evaluation in evaluations.items()}
        return {
            "timesteps": evaluations["final"]["timesteps"],
            "begun_at": part_starts(training.folder),
            "evaluations": [own_policies(own, algorithm) for own in logged_evaluations(training.folder)],
            **{name: own_policies(own, algorithm) for name, own in returns.items()},
        }

    def training(self, algorithm: str) -> Train:
        """
        :param algorithm: An algorithm
        :return: Its training, which goes on if it has begun
        """
        return Train(
            suite="mazes",
            suite_arguments=MAZES["final"],
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

    @property
    def evaluation_seed(self) -> int:
        """Seed of starts and apples that no training began with."""
        return EVALUATION_SEED + self.seed

    def evaluate(self, run: Path, mazes: str) -> dict[str, Any]:
        """
        :param run: Folder of a finished training
        :param mazes: Which of :data:`MAZES`
        :return: What ``sb3-distral evaluate`` writes
        """
        output = run / f"{mazes}.json"
        evaluation = Evaluate(path=run, suite_arguments=MAZES[mazes], n_episodes=N_EPISODES, seed=self.evaluation_seed)
        replace(evaluation, n_threads=self.n_threads, output=output).run()
        return json.loads(output.read_text(encoding="utf-8"))  # type: ignore[no-any-return]

    def random_result(self) -> dict[str, Any]:
        """
        :return: Returns of random actions by maze, in the form of a trained algorithm's
        """
        returns = {}
        for name, arguments in MAZES.items():
            choice = TaskChoice(suite="mazes", suite_arguments=arguments)
            with closing(choice.make_eval_env(N_EPISODES)) as env:
                env.seed(self.evaluation_seed)
                returns[name] = {"tasks": evaluate_tasks(RandomActions(env.action_space), env, N_EPISODES)}
        return returns

    def film(self, model_path: Path) -> None:
        """
        :param model_path: File of the model that acts
        """
        from sb3_distral.experiments.film import play, write_film, write_sheet

        env_id = f"sb3_distral/Mazes-{FILMED_TASK}-v0"
        moments = play(load_model(model_path), env_id, FILMED_TASK, FILM_STEPS, self.evaluation_seed)
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


def returns_by_policy(evaluation: dict[str, Any]) -> dict[str, dict[str, list[float]]]:
    """
    :param evaluation: What ``sb3-distral evaluate`` writes
    :return: Returns by task, of the task policies (``tasks``, where they were evaluated) and of π0 (``distilled``)
    """
    return {
        name: {task: own["returns"] for task, own in evaluation["results"][policy].items()}
        for name, policy in (("tasks", TASK_POLICY), ("distilled", DISTILLED_POLICY))
        if policy in evaluation["results"]
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
