"""Episodes and returns of every task policy, and of the distilled policy on every task."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.type_aliases import PolicyPredictor
from stable_baselines3.common.vec_env import VecEnv

from sb3_distral.algorithms.task_names import acting_by_name
from sb3_distral.envs.normalization import ObservationNormalization, current_normalization, task_normalizations
from sb3_distral.envs.task_id import keys_in, plain_observation
from sb3_distral.errors import UsageError

if TYPE_CHECKING:
    from sb3_distral.algorithms.acting import ActingModel

#: Under which models and policies carry how their observations were normalised
NORMALIZATION = "observation_normalization"
#: Added to the seed of a training for evaluations, whose episodes are others.
EVALUATION_SEED = 10_000


class DistilledPredictor:
    """
    Act with the distilled policy on observations that name a task, or with the best one for it among several.

    :param distilled_policy: ``model.distilled_policy``, or the list ``model.distilled_policies``
    :param responsibilities: ``model.responsibilities``, shape (n_tasks, n_distilled); needed for several of them
    :param task_names: Names of the tasks of these, by which :func:`evaluate_tasks` finds them in an environment
    :raises UsageError: If there are several and nothing says which of them is best
    """

    def __init__(
        self,
        distilled_policy: PolicyPredictor | Sequence[PolicyPredictor],
        responsibilities: np.ndarray | None = None,
        task_names: Sequence[str] | None = None,
    ):
        self.policies = [distilled_policy] if not isinstance(distilled_policy, Sequence) else list(distilled_policy)
        if len(self.policies) > 1 and (responsibilities is None or responsibilities.shape[1] != len(self.policies)):
            raise UsageError(
                f"{len(self.policies)} distilled policies were given without their responsibilities. Give "
                "model.responsibilities too, or one policy."
            )
        #: Index of the best policy by task
        self.best = None if responsibilities is None else responsibilities.argmax(axis=1)
        #: Tasks that have a best one; a single policy acts in any
        self.task_names = None if len(self.policies) == 1 else task_names

    @classmethod
    def of(cls, model: "ActingModel") -> "DistilledPredictor":
        """
        Act with the distilled policies of a model.

        :param model: The model
        :return: What acts with them as they are now
        """
        return cls(model.distilled_policies, model.responsibilities, list(model.task_names))

    def predict(self, observation: Any, *args: Any, **kwargs: Any) -> Any:
        """
        Act as π0, among the actions that are valid.

        :param observation: Observation with a task
        :param args: As the policy's ``predict``
        :param kwargs: As the policy's ``predict``
        :return: Actions and state
        """
        if len(self.policies) == 1:
            return self._predict(self.policies[0], observation, *args, **kwargs)
        assert self.best is not None
        components = self.best[np.asarray(observation[keys_in(observation).task]).ravel()]
        chosen, states = self._predict(self.policies[components[0]], observation, *args, **kwargs)
        for component in set(components[1:]) - {components[0]}:
            rows = components == component
            own = {key: value[rows] for key, value in observation.items()}
            chosen[rows] = self._predict(self.policies[component], own, *args, **kwargs)[0]
        return chosen, states

    def _predict(self, policy: Any, observation: Any, *args: Any, **kwargs: Any) -> Any:
        mask = observation.get(keys_in(observation).mask)
        masks: dict[str, Any] = {} if mask is None else {"action_masks": mask}
        return policy.predict(plain_observation(observation), *args, **kwargs, **masks)


def evaluate_tasks(
    model: PolicyPredictor,
    task_env: VecEnv,
    n_eval_episodes: int = 5,
    deterministic: bool = False,
) -> dict[str, list[float]]:
    """
    Evaluate a model task by task, where :func:`evaluate_policy` pools the returns of all sub-environments.

    :param model: Any Distral algorithm (each task's own policy acts), or a :class:`DistilledPredictor`
    :param task_env: A ``TaskVecEnv``, wrapped or not, of some of the model's tasks or all, which are found by name
    :param n_eval_episodes: Episodes of each task, rounded up to a multiple of its sub-environments
    :param deterministic: Whether to take the likeliest actions
    :return: Returns of the episodes, by task name
    :raises UsageError: If the model has no task of a name, or was trained on normalised observations and these are not
    """
    episodes = play_tasks(model, task_env, n_eval_episodes, deterministic)
    return {name: [episode.total for episode in own] for name, own in episodes.items()}


class Episode(NamedTuple):
    """
    An episode of an evaluation.

    :param total: Its return
    :param length: Its steps
    :param is_success: Whether it ended well; ``None`` where the task does not say
    """

    total: float
    length: int
    is_success: bool | None


def play_tasks(
    model: PolicyPredictor, task_env: VecEnv, n_eval_episodes: int, deterministic: bool
) -> dict[str, list[Episode]]:
    """
    Let a model act in every task.

    :param model: As :func:`evaluate_tasks`
    :param task_env: Likewise
    :param n_eval_episodes: Likewise
    :param deterministic: Likewise
    :return: The episodes, by task name
    :raises UsageError: Likewise
    """
    check_normalized(model, task_env)
    tasks, task_names = task_env.tasks, task_env.task_names  # type: ignore[attr-defined]
    episodes: dict[str, list[Episode]] = {name: [] for name in task_names}
    totals, lengths = np.zeros(task_env.num_envs), np.zeros(task_env.num_envs, dtype=np.int64)

    def keep_episode(local_variables: dict[str, Any], _: dict[str, Any]) -> None:
        index, info = local_variables["i"], local_variables["info"]
        totals[index] += local_variables["reward"]
        lengths[index] += 1
        # As evaluate_policy counts: under Monitor a lost life is no end.
        if local_variables["done"] and ("episode" in info or not local_variables["is_monitor_wrapped"]):
            own = info.get("episode", {"r": totals[index], "l": lengths[index]})
            episode = Episode(float(own["r"]), int(own["l"]), info.get("is_success"))
            episodes[task_names[tasks[index]]].append(episode)
            totals[index] = lengths[index] = 0

    evaluate_policy(
        acting_by_name(model, task_env),
        task_env,
        n_eval_episodes=sum(count_episodes(task_env, n_eval_episodes).values()),
        deterministic=deterministic,
        callback=keep_episode,
        warn=False,
    )
    return episodes


def check_normalized(model: Any, task_env: VecEnv) -> None:
    """
    Refuse tasks that give observations as they are, where those of the training were normalised.

    :param model: As :func:`evaluate_tasks`
    :param task_env: Likewise
    :raises UsageError: If there are such
    """
    names: list[str] = task_env.task_names  # type: ignore[attr-defined]
    pooled = getattr(model.policies[0] if isinstance(model, DistilledPredictor) else model, NORMALIZATION, None)
    known = getattr(model, "task_normalizations", [])
    by_task = dict(zip(model.task_names, known, strict=True)) if known else {}
    own = zip(names, task_normalizations(task_env) or [current_normalization(task_env)] * len(names), strict=True)
    raw = [name for name, given in own if knows_nothing(given) and not knows_nothing(by_task.get(name, pooled))]
    if raw:
        raise UsageError(
            f"The tasks {raw} give observations as they are, or by a new VecNormalize, and the policy was trained on "
            "those that VecNormalize normalised. Wrap them as those of the training were: "
            "normalize_as_trained(make_task_vec_env(tasks), model.distilled_policy), or, where each task had a "
            "VecNormalize of its own, each by normalize_as_trained(venv, model.task_policy(name))."
        )


def knows_nothing(normalization: ObservationNormalization | None) -> bool:
    """
    Tell whether observations are as they are.

    :param normalization: How they are normalised
    :return: Whether they are not, or by the statistics of a new ``VecNormalize``
    """
    statistics = [] if normalization is None else normalization.statistics.values()
    return not any(own.mean.any() or (own.var != 1).any() for own in statistics)


def count_episodes(task_env: VecEnv, n_eval_episodes: int) -> dict[str, int]:
    """
    Count the episodes of an evaluation, of which all sub-environments play equally many.

    :param task_env: As :func:`evaluate_tasks`
    :param n_eval_episodes: Likewise
    :return: Episodes by task name, at least ``n_eval_episodes`` of each
    """
    n_envs = np.bincount(task_env.tasks)  # type: ignore[attr-defined]
    rounds = int(np.ceil(n_eval_episodes / n_envs.min()))
    return dict(zip(task_env.task_names, (rounds * n_envs).tolist(), strict=True))  # type: ignore[attr-defined]
