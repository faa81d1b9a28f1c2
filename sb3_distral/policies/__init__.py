"""One distilled column and n task columns as a Stable-Baselines3 policy."""

from sb3_distral.policies.feedforward import CnnPolicy, DistralPolicy, MlpPolicy, MultiInputPolicy
from sb3_distral.policies.recurrent import CnnLstmPolicy, MlpLstmPolicy, MultiInputLstmPolicy, RecurrentDistralPolicy
from sb3_distral.policies.task_policy import TaskPolicy

__all__ = [
    "CnnLstmPolicy",
    "CnnPolicy",
    "DistralPolicy",
    "MlpLstmPolicy",
    "MlpPolicy",
    "MultiInputLstmPolicy",
    "MultiInputPolicy",
    "RecurrentDistralPolicy",
    "TaskPolicy",
]
