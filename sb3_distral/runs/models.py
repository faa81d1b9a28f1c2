"""Models by the name of their policy, new and from files: those that remember are of another class."""

from pathlib import Path
from typing import Any

from stable_baselines3.common.preprocessing import is_image_space
from stable_baselines3.common.save_util import load_from_zip_file

from sb3_distral.algorithms.a2c import DistralA2C
from sb3_distral.algorithms.recurrent import RecurrentDistralA2C
from sb3_distral.envs.task_id import plain_space
from sb3_distral.envs.task_vec_env import TaskVecEnv
from sb3_distral.policies.feedforward import POLICY_ALIASES
from sb3_distral.policies.recurrent import RECURRENT_POLICY_ALIASES

POLICIES = ("auto", *POLICY_ALIASES, *RECURRENT_POLICY_ALIASES)


def algorithm_class(policy: str, env: TaskVecEnv) -> type[DistralA2C]:
    """
    :param policy: One of ``POLICIES``
    :param env: Tasks
    :return: The class that trains it; ``"auto"`` remembers where images are seen, as the paper's agents do
    """
    if policy == "auto":
        space: Any = plain_space(env.observation_space)  # type: ignore[arg-type]
        seen = space.spaces.values() if hasattr(space, "spaces") else [space]
        return RecurrentDistralA2C if any(is_image_space(own) for own in seen) else DistralA2C
    return RecurrentDistralA2C if policy in RECURRENT_POLICY_ALIASES else DistralA2C


def load_model(path: Path, env: TaskVecEnv | None = None) -> DistralA2C:
    """
    :param path: File of a model
    :param env: Tasks to train on with; ``None``: the model only acts
    :return: The model, of the class that saved it
    """
    data, _, _ = load_from_zip_file(path, device="cpu")
    assert data is not None
    is_recurrent = data["policy_class"].is_recurrent
    return (RecurrentDistralA2C if is_recurrent else DistralA2C).load(path, env=env)
