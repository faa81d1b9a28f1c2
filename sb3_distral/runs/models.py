"""The class of a model, new or from a file, and whether its numbers are still numbers."""

from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZipFile

from gymnasium import spaces
from stable_baselines3.common.preprocessing import is_image_space

from sb3_distral.algorithms.a2c import DistralA2C
from sb3_distral.algorithms.base import DistralAlgorithm
from sb3_distral.algorithms.ppo import DistralPPO
from sb3_distral.algorithms.recurrent import RecurrentDistralA2C, RecurrentDistralPPO
from sb3_distral.algorithms.saving import NoModelError, read_saved
from sb3_distral.algorithms.sharing import SharedModel, load_policy
from sb3_distral.archives import DAMAGE
from sb3_distral.envs.task_id import plain_space
from sb3_distral.envs.task_vec_env import TaskVecEnv
from sb3_distral.errors import UsageError
from sb3_distral.policies.checks import is_finite
from sb3_distral.policies.feedforward import POLICY_ALIASES
from sb3_distral.policies.recurrent import RECURRENT_POLICY_ALIASES


class Learner(NamedTuple):
    """
    A learner: its algorithms, and arguments that suit the suites.

    :param plain: Class of models without memory
    :param recurrent: Class of models whose policies remember
    :param learning_rate: Learning rate
    :param arguments: Arguments beside it
    """

    plain: type[DistralAlgorithm]
    recurrent: type[DistralAlgorithm]
    learning_rate: float
    arguments: dict[str, Any]


#: Learners by name. A2C's own learning rate is 7e-4. PPO's own roll-outs of 2048 steps are, in 64 environments, half of
#: a training, and its minibatches of 64 rows leave 8 to each of 8 tasks.
LEARNERS = {
    "a2c": Learner(DistralA2C, RecurrentDistralA2C, 2e-3, {}),
    "ppo": Learner(DistralPPO, RecurrentDistralPPO, 3e-4, {"n_steps": 128, "batch_size": 512}),
}

#: Names of policies.
POLICIES = ("auto", *POLICY_ALIASES, *RECURRENT_POLICY_ALIASES)
IMAGE_POLICIES = ("CnnPolicy", "CnnLstmPolicy")


class UnusableModelError(UsageError):
    """A file holds no model that can act or train on."""


def algorithm_class(learner: str, policy: str, env: TaskVecEnv) -> type[DistralAlgorithm]:
    """
    Choose the class that trains a policy.

    :param learner: A key of ``LEARNERS``
    :param policy: One of ``POLICIES``; ``"auto"`` remembers where images are seen, as the paper's agents do
    :param env: Tasks
    :return: The class
    :raises UsageError: If learner or policy is unknown, or the policy sees images and the tasks show none
    """
    for name, value, known in (("learner", learner, tuple(LEARNERS)), ("policy", policy, POLICIES)):
        if value not in known:
            raise UsageError(f"There is no {name} {value!r}; expected one of {known}.")
    space: Any = plain_space(env.observation_space)  # type: ignore[arg-type]
    sees_images = any(is_image_space(own) for own in (space.values() if isinstance(space, spaces.Dict) else [space]))
    if policy in IMAGE_POLICIES and not sees_images:
        raise UsageError(f"policy {policy} was given for the observations {space}, which are no images. Use 'auto'.")
    is_recurrent = sees_images if policy == "auto" else policy in RECURRENT_POLICY_ALIASES
    return LEARNERS[learner].recurrent if is_recurrent else LEARNERS[learner].plain


def load_model(path: Path, env: TaskVecEnv | None = None) -> DistralAlgorithm:
    """
    Load a model of any Distral algorithm.

    :param path: Zip file of the model
    :param env: Tasks to train on with; ``None``: the model only acts
    :return: The model, of the class that saved it
    :raises UnusableModelError: If the file is damaged or no model of a Distral algorithm, or if its training diverged
    """
    model = saved_class(path).load(path, env=env)
    if not is_finite(model.policy):
        raise UnusableModelError(
            f"{path} holds parameters that are not finite: its training diverged. Pass a checkpoint from before that, "
            "or train anew with a lower learning rate."
        )
    return model


def saved_class(path: Path) -> type[DistralAlgorithm]:
    """
    Find the class that saved a model in the file's table of contents, without its tensors.

    :param path: Zip file of the model
    :return: The class
    :raises UnusableModelError: If the file is damaged or no model of a Distral algorithm
    """
    try:
        saved = read_saved(path, "policy_class")
    except NoModelError as error:
        raise UnusableModelError(f"{error}") from error
    learner = LEARNERS["ppo" if "clip_range" in saved["names"] else "a2c"]
    return learner.recurrent if saved["policy_class"].is_recurrent else learner.plain


def is_pickle(path: Path) -> bool:
    """
    Tell files of the method ``save`` from all others, without loading them.

    :param path: A file
    :return: Whether it is a zip that Stable-Baselines3 would load, running code in it
    """
    try:
        with ZipFile(path) as archive:
            return "data" in archive.namelist()
    except DAMAGE:
        return False


def load_policies(path: Path) -> SharedModel:
    """
    Load the policies of a model from a file that runs no code.

    :param path: File of ``save_policy``
    :return: The policies
    :raises UsageError: If it is something else, the policy of a single task for example
    """
    loaded = load_policy(path)
    if not isinstance(loaded, SharedModel):
        raise UsageError(
            f"{path} holds a single policy ({type(loaded).__name__}); expected the policies of a whole model, "
            "save_policy(model, path). In Python load_policy(path) is what evaluate_policy takes."
        )
    return loaded


def check_finite(model: DistralAlgorithm) -> None:
    """
    Refuse a model whose training has diverged.

    :param model: A model that trains
    :raises UsageError: If parameters are NaN or infinite
    """
    if not is_finite(model.policy):
        raise UsageError(
            f"The training diverged: after {model.num_timesteps} steps there are parameters that are not finite, and "
            "the model is not saved. Look for rewards that are huge or not finite, or train anew, in another folder, "
            f"with a learning rate lower than {model.lr_schedule(1.0):g}."
        )
