"""One run: train, evaluate in the mazes of the training and in others, film."""

from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.type_aliases import PolicyPredictor
from typing_extensions import override

from experiments.common.pages import write_figure
from experiments.mazes.film import draw_sheet, play, write_film
from experiments.mazes.log import EvaluationLog, read_log
from experiments.mazes.study import RANDOM, Run
from sb3_distral import ALGORITHMS, TaskEvalCallback, evaluate_tasks
from sb3_distral.algorithms.evaluation import EVALUATION_SEED
from sb3_distral.runs import DISTILLED_POLICY, TASK_POLICY, Returns, TaskChoice, Training, evaluate, load_model

#: Arguments of the suite: the mazes of the training, and mazes that no algorithm has trained on.
MAZES: dict[str, dict[str, int]] = {"final": {}, "unseen": {"maze_seed": 1, "n_tasks": 2}}
#: The policy in film and sheet, and its maze.
FILMED, FILMED_TASK, FILM_STEPS = "KL+ent_2col", 0, 100


@dataclass(frozen=True)
class MazeWork:
    """
    Does the runs of the study.

    :param trainings: Folder of the trainings, which go on there if they have begun
    :param pictures: Folder of film and sheet
    :param n_threads: Threads of PyTorch
    """

    trainings: Path
    pictures: Path
    n_threads: int

    def __call__(self, run: Run) -> dict[str, Any]:
        """
        Do one run.

        :param run: The run
        :return: For JSON the learning curves of its training, and returns of its policies on the mazes of the training
            and on others
        """
        return _random_results(run) if run.name == RANDOM else self._trained_results(run)

    def _trained_results(self, run: Run) -> dict[str, Any]:
        training = self._training(run)
        model = training.train(resume=True)
        if run.name == FILMED:
            self._film(model, run)
        evaluations = {
            name: evaluate(
                model, TaskChoice(suite_arguments=arguments), run.n_episodes, seed=_evaluation_seed(run), trust=True
            )
            for name, arguments in MAZES.items()
        }
        log = read_log(training.folder)
        return {
            "timesteps": evaluations["final"].timesteps,
            "begun_at": log["begun_at"],
            "evaluations": [own_policies(own, run.name) for own in log["evaluations"]],
            **{name: own_policies(_by_policy(own.returns), run.name) for name, own in evaluations.items()},
        }

    def _training(self, run: Run) -> "MazeTraining":
        return MazeTraining(
            suite="mazes",
            suite_arguments=MAZES["final"],
            algorithm=run.name,
            learning_rate=7e-4,
            n_envs_per_task=4,
            total_timesteps=run.total_timesteps,
            eval_freq=50_000,
            seed=run.seed,
            n_threads=self.n_threads,
            output=self.trainings / run.name,
        )

    def _film(self, model_path: Path, run: Run) -> None:
        env_id = f"sb3_distral/Mazes-{FILMED_TASK}-v0"
        moments = play(load_model(model_path), env_id, FILMED_TASK, FILM_STEPS, _evaluation_seed(run))
        write_film(moments, self.pictures / "agent.gif")
        write_figure(self.pictures / "agent.png", draw_sheet(moments), dpi=80)


class MazeTraining(Training):
    """A training whose learning curves are kept beside its model."""

    @override
    def make_callbacks(self, n_envs: int, end: ExitStack) -> list[BaseCallback]:
        callbacks = super().make_callbacks(n_envs, end)
        evaluations = [own for own in callbacks if isinstance(own, TaskEvalCallback)]
        return [*callbacks, *(EvaluationLog(own, self.folder) for own in evaluations)]


class RandomActions(PolicyPredictor):
    """
    A policy that draws all actions alike.

    :param action_space: Discrete action space
    """

    def __init__(self, action_space: Any):
        self.n_actions, self.generator = int(action_space.n), np.random.default_rng(0)

    @override
    def predict(self, observation: Any, state: Any = None, *_: Any, **__: Any) -> tuple[np.ndarray, Any]:
        return self.generator.integers(self.n_actions, size=len(observation["task"])), state


def own_policies(returns: dict[str, Any], algorithm: str) -> dict[str, Any]:
    """
    Leave out the policies that an algorithm does not train.

    :param returns: Returns of the task policies (``tasks``) and of π0 (``distilled``)
    :param algorithm: The algorithm that trained them
    :return: The same under ``tasks`` alone where π0 is the one network of all tasks, or nothing trains it
    """
    arguments = ALGORITHMS[algorithm]
    others = {name: own for name, own in returns.items() if name != "distilled"}
    if arguments["architecture"] == "shared":
        return others | {"tasks": returns["distilled"]}
    is_trained = arguments["architecture"] == "two_columns" or arguments["alpha"] > 0
    return returns if is_trained else others


def _random_results(run: Run) -> dict[str, Any]:
    """Return the returns of random actions by maze, in the form of a trained algorithm's."""
    returns = {}
    for name, arguments in MAZES.items():
        choice = TaskChoice(suite="mazes", suite_arguments=arguments)
        with closing(choice.make_eval_env(run.n_episodes)) as env:
            env.seed(_evaluation_seed(run))
            returns[name] = {"tasks": evaluate_tasks(RandomActions(env.action_space), env, run.n_episodes)}
    return returns


def _evaluation_seed(run: Run) -> int:
    """Seed of starts and apples that no training began with."""
    return EVALUATION_SEED + run.seed


def _by_policy(returns: Returns) -> dict[str, dict[str, list[float]]]:
    """Returns by task, of the task policies (``tasks``, where they were evaluated) and of π0 (``distilled``)."""
    names = {"tasks": TASK_POLICY, "distilled": DISTILLED_POLICY}
    return {name: returns[policy] for name, policy in names.items() if policy in returns}
