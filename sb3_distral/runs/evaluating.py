"""Returns of a saved model by policy and task."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import VecEnv

from sb3_distral.algorithms.acting import ActingModel
from sb3_distral.algorithms.evaluation import DistilledPredictor, evaluate_tasks
from sb3_distral.envs.distilled_prior import as_seen_by_policies
from sb3_distral.envs.normalization import normalize_as_trained
from sb3_distral.envs.task_id import plain_space
from sb3_distral.envs.task_vec_env import TaskVecEnv
from sb3_distral.errors import UsageError
from sb3_distral.runs.choice import TaskChoice, check_at_least
from sb3_distral.runs.folder import OPTIONS, load_saved, run_folder
from sb3_distral.runs.training import Training

#: Returns by policy, then by task.
Returns = dict[str, dict[str, list[float]]]
TASK_POLICY, DISTILLED_POLICY = "task policy", "distilled policy π0"


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """
    Returns of a saved model, and how they were measured.

    :param path: File of the model
    :param timesteps: Steps of its training
    :param tasks: Tasks that it was evaluated on
    :param n_episodes: Episodes of each task
    :param deterministic: Whether the likeliest actions were taken
    :param seed: Seed of tasks and actions
    :param returns: Returns by policy (``TASK_POLICY`` on the tasks of the training only, ``DISTILLED_POLICY``), then by
        task
    :param notes: What a reader of the returns has to know, in sentences
    """

    path: Path
    timesteps: int
    tasks: TaskChoice
    n_episodes: int
    deterministic: bool
    seed: int
    returns: Returns
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """
        Put all of it but the notes into JSON, with means and standard deviations.

        :return: What ``sb3-distral evaluate --output`` writes
        """
        tasks = self.tasks
        return {
            "model": str(self.path),
            "timesteps": self.timesteps,
            "tasks": {"suite": tasks.suite, "suite_arguments": tasks.all_suite_arguments(), "envs": list(tasks.envs)},
            "n_episodes": self.n_episodes,
            "deterministic": self.deterministic,
            "seed": self.seed,
            "results": {
                policy: {
                    task: {"mean": float(np.mean(values)), "std": float(np.std(values)), "returns": values}
                    for task, values in by_task.items()
                }
                for policy, by_task in self.returns.items()
            },
        }


def evaluate(
    path: Path,
    tasks: TaskChoice | None = None,
    n_episodes: int = 20,
    deterministic: bool = False,
    seed: int = 0,
    trust: bool = False,
) -> Evaluation:
    """
    Evaluate every task policy of a saved model, and its distilled policy on every task.

    :param path: Folder of a run, or file of a model
    :param tasks: Tasks in place of those of the training. A choice without suite and ids stands for the training's own,
        with other arguments of the suite
    :param n_episodes: Episodes of each task
    :param deterministic: Take the likeliest actions
    :param seed: Seed of tasks and actions
    :param trust: Whether files may run code: a model of the method ``save``, which is a pickle, and modules that
        environment ids of the run name
    :return: The returns; of π0 alone where the tasks are not those of the training
    :raises UsageError: If there is no model that can be used, it cannot act in the tasks, or it has to be trusted
    """
    check_at_least(0, seed=seed)
    check_at_least(1, n_episodes=n_episodes)
    file, model = load_saved(path, trust)
    trained = Training.read(run_folder(path))
    choice = choose_tasks(path, tasks or TaskChoice(), trained, trust)
    with closing(choice.make_eval_env(n_episodes)) as task_env:
        check_spaces(model, task_env)
        env = as_trained(model, task_env)
        policies: dict[str, Any]
        if choice.is_same(trained) if trained is not None else task_env.task_names == model.task_names:
            check_tasks(path, model, task_env)
            policies = {TASK_POLICY: model, DISTILLED_POLICY: DistilledPredictor.of(model)}
        else:
            policies = {DISTILLED_POLICY: DistilledPredictor(model.distilled_policy)}
        returns: Returns = {}
        for name, policy in policies.items():
            # The same first states for every policy.
            set_random_seed(seed)
            env.seed(seed)
            returns[name] = evaluate_tasks(policy, env, n_episodes, deterministic)
    return Evaluation(
        path=file,
        timesteps=model.num_timesteps,
        tasks=choice,
        n_episodes=n_episodes,
        deterministic=deterministic,
        seed=seed,
        returns=returns,
        notes=make_notes(model, trained, returns),
    )


def choose_tasks(path: Path, given: TaskChoice, trained: TaskChoice | None, trust: bool = False) -> TaskChoice:
    """
    Choose the tasks of an evaluation.

    :param path: Folder of a run, or file of a model
    :param given: What the user gave
    :param trained: Tasks of the training, if known
    :param trust: Whether those may name modules, which are imported
    :return: The tasks
    :raises UsageError: If none are given or known, or they name modules and are not trusted
    """
    if given.suite is not None or given.envs:
        return TaskChoice(suite=given.suite, envs=given.envs, suite_arguments=given.suite_arguments)
    if trained is None:
        raise UsageError(
            f"There is no {OPTIONS} beside {path} that says which tasks it was trained on. Pass --suite or --envs."
        )
    importing = [env_id for env_id in trained.envs if ":" in env_id]
    if importing and not trust:
        raise UsageError(
            f"The {OPTIONS} of {path} names the environment {importing[0]!a}: to make it, the Python module "
            f"{importing[0].partition(':')[0]!a} would be imported, which runs its code. If the run is yours, or comes "
            "from someone you trust, pass --trust (trust=True in Python); else give the tasks yourself, by --envs."
        )
    return TaskChoice(
        suite=trained.suite,
        envs=trained.envs,
        suite_arguments=given.suite_arguments or trained.suite_arguments,
    )


def check_tasks(path: Path, model: ActingModel, env: TaskVecEnv) -> None:
    """
    Check that a model has the policies of the tasks that its run says it was trained on.

    :param path: Folder of the run, or file of the model
    :param model: The model
    :param env: The tasks
    :raises UsageError: If it has those of others
    """
    if env.task_names != model.task_names:
        raise UsageError(
            f"The {OPTIONS} of {path} says that there are the tasks {env.task_names}, but the model has "
            f"{model.task_names}: the two are not of one training. Move the model into a folder of its own, and pass "
            "--suite or --envs."
        )


def as_trained(model: ActingModel, env: TaskVecEnv) -> VecEnv:
    """
    Normalise observations as in the training of a model.

    :param model: The model
    :param env: Tasks
    :return: The tasks, in a ``VecNormalize`` where those of the training were
    :raises UsageError: If each of those was in one of its own
    """
    if model.task_normalizations:
        raise UsageError(
            "Each task of the training was in a VecNormalize of its own, which these tasks are not. Evaluate it in "
            "Python: evaluate_policy(policy, normalize_as_trained(venv, policy)) with policy = model.task_policy(…)."
        )
    # π0 of several carry the same.
    return normalize_as_trained(env, model.distilled_policies[0])


def check_spaces(model: ActingModel, env: TaskVecEnv) -> None:
    """
    Check that a model can act in tasks.

    :param model: The model
    :param env: The tasks
    :raises UsageError: If their spaces are others than those of its training
    """
    own, space = model.distilled_policies[0], env.observation_space
    assert isinstance(space, spaces.Dict)
    seen = as_seen_by_policies(plain_space(space))
    pairs = {"observation": (own.observation_space, seen), "action": (own.action_space, env.action_space)}
    for kind, (expected, given) in pairs.items():
        if expected != given:
            raise UsageError(
                f"The tasks have the {kind} space {given}, but the model was trained on {expected}. Choose tasks "
                "of the same spaces."
            )


def make_notes(model: ActingModel, trained: TaskChoice | None, returns: Returns) -> tuple[str, ...]:
    """
    Say what a reader of the returns has to know.

    :param model: The model
    :param trained: Tasks that it was trained on, if known
    :param returns: Its returns
    :return: Sentences
    """
    notes = []
    if TASK_POLICY not in returns:
        notes.append(
            "π0 acts alone: each task policy belongs to a task of the training, and these are not the tasks of the "
            "training."
        )
    elif trained is None:
        notes.append(
            f"No {OPTIONS} is beside the model: tasks of the same names are taken for those it was trained on."
        )
    if model.policy.architecture == "one_column" and not model.policy.distilled_is_trained:
        notes.append("No regularisation ties the task policies to π0 here, so π0 was never trained.")
    return tuple(notes)
