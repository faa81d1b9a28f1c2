"""``sb3-distral evaluate``."""

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch as th
import tyro
from gymnasium import spaces
from rich.console import Console
from rich.table import Table
from stable_baselines3.common.type_aliases import PolicyPredictor
from stable_baselines3.common.utils import set_random_seed

from sb3_distral.algorithms.a2c import DistralA2C
from sb3_distral.algorithms.evaluation import DistilledPredictor, evaluate_tasks
from sb3_distral.cli.train import Train
from sb3_distral.envs.prior import as_seen_by_policies
from sb3_distral.envs.task_id import plain_space
from sb3_distral.envs.task_vec_env import TaskVecEnv
from sb3_distral.errors import UsageError
from sb3_distral.runs.choice import TaskChoice, check_at_least
from sb3_distral.runs.folder import OPTIONS, find_model, write_json
from sb3_distral.runs.models import load_model

# Returns by policy, then by task.
Returns = dict[str, dict[str, list[float]]]
TASK_POLICY, DISTILLED_POLICY = "task policy", "distilled policy π0"


@dataclass(kw_only=True)
class Evaluate(TaskChoice):
    """
    Evaluate every task policy, and the distilled policy on every task.

    The tasks are those of the training unless others are given.

    :param path: Folder of a run, or zip file of a model
    :param n_episodes: Episodes of each task
    :param deterministic: Take the likeliest actions
    :param seed: Seed of tasks and actions
    :param n_threads: Threads of PyTorch; more than one pays for large networks only
    :param output: JSON file for the results
    """

    path: tyro.conf.Positional[Path]
    n_episodes: int = 20
    deterministic: bool = False
    seed: int = 0
    n_threads: int = 1
    output: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None

    def run(self) -> None:
        """Print a table and, if asked for, write the results as JSON."""
        check_at_least(0, seed=self.seed)
        check_at_least(1, n_episodes=self.n_episodes, n_threads=self.n_threads)
        th.set_num_threads(self.n_threads)
        path, folder = find_model(self.path)
        model = load_model(path)
        trained = Train.read(folder)
        choice = self.choose(trained)
        with closing(choice.make_eval_env(self.n_episodes)) as env:
            check_spaces(model, env)
            returns = {DISTILLED_POLICY: self.evaluate(DistilledPredictor(model.distilled_policy), env)}
            if choice.is_same(trained) if trained is not None else env.task_names == model.task_names:
                returns = {TASK_POLICY: self.evaluate(model, env), **returns}
        print_table(f"{path} after {model.num_timesteps} steps: mean ± std of {self.n_episodes} returns", returns)
        print_notes(model, trained, returns)
        if self.output is not None:
            write_json(self.output, self.results(path, model, choice, returns))

    def choose(self, trained: TaskChoice | None) -> TaskChoice:
        """
        :param trained: Tasks of the training, if known
        :return: The tasks to evaluate on
        :raises ValueError: If none are given or known
        """
        if self.suite is not None or self.envs:
            return self
        if trained is None:
            raise UsageError(
                f"There is no {OPTIONS} beside {self.path} that says which tasks it was trained on. "
                "Pass --suite or --envs."
            )
        return replace(trained, suite_arguments=self.suite_arguments or trained.suite_arguments)

    def evaluate(self, policy: PolicyPredictor, env: TaskVecEnv) -> dict[str, list[float]]:
        """
        :param policy: A policy on observations that name a task
        :param env: Tasks
        :return: Returns by task, from the same first states for every policy
        """
        set_random_seed(self.seed)
        env.seed(self.seed)
        return evaluate_tasks(policy, env, self.n_episodes, self.deterministic)

    def results(self, path: Path, model: DistralA2C, tasks: TaskChoice, returns: Returns) -> dict[str, Any]:
        """
        :param path: The model's file
        :param model: The model
        :param tasks: Tasks that it was evaluated on
        :param returns: Its returns
        :return: All of it for JSON
        """
        return {
            "model": str(path),
            "timesteps": model.num_timesteps,
            "tasks": {"suite": tasks.suite, "suite_arguments": tasks.all_suite_arguments(), "envs": tasks.envs},
            "n_episodes": self.n_episodes,
            "deterministic": self.deterministic,
            "seed": self.seed,
            "results": {
                policy: {
                    task: {"mean": float(np.mean(values)), "std": float(np.std(values)), "returns": values}
                    for task, values in by_task.items()
                }
                for policy, by_task in returns.items()
            },
        }


def check_spaces(model: DistralA2C, env: TaskVecEnv) -> None:
    """
    :param model: A model
    :param env: Tasks
    :raises ValueError: If the model cannot act in them
    """
    own, space = model.distilled_policy, env.observation_space
    assert isinstance(space, spaces.Dict)
    seen = as_seen_by_policies(plain_space(space))
    pairs = {"observation": (own.observation_space, seen), "action": (own.action_space, env.action_space)}
    for kind, (expected, given) in pairs.items():
        if expected != given:
            raise UsageError(
                f"The tasks have the {kind} space {given}, but the model was trained on {expected}. Choose tasks "
                "of the same spaces."
            )


def print_table(title: str, returns: Returns) -> None:
    """
    :param title: What it shows
    :param returns: A column for each policy, a row for each task and one for their mean
    """
    print(title)
    table = Table("task")
    for policy in returns:
        table.add_column(policy, justify="right")
    for task in returns[DISTILLED_POLICY]:
        cells = [f"{np.mean(by_task[task]):.2f} ± {np.std(by_task[task]):.2f}" for by_task in returns.values()]
        table.add_row(task, *cells)
    table.add_section()
    means = [np.mean([np.mean(values) for values in by_task.values()]) for by_task in returns.values()]
    table.add_row("mean of tasks", *(f"{mean:.2f}" for mean in means))
    Console().print(table)


def print_notes(model: DistralA2C, trained: TaskChoice | None, returns: Returns) -> None:
    """
    :param model: The model
    :param trained: Tasks that it was trained on, if known
    :param returns: Its returns
    """
    if TASK_POLICY not in returns:
        print(
            "π0 acts alone: each task policy belongs to a task of the training, and these are not the tasks of the "
            "training."
        )
    elif trained is None:
        print(f"No {OPTIONS} is beside the model: tasks of the same names are taken for those it was trained on.")
    if model.policy.architecture == "one_column" and not model.costs.kl.any():
        print("No regularisation ties the task policies to π0 here, so π0 was never trained.")
