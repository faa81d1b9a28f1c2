"""Distral (Teh et al., 2017) for Stable-Baselines3: tasks that share a distilled policy."""

from importlib.metadata import version

from sb3_distral import tasks
from sb3_distral.algorithms import ALGORITHMS
from sb3_distral.callbacks import DistillationCallback, RolloutCheckpointCallback, TaskEvalCallback
from sb3_distral.distral_a2c import DistralA2C
from sb3_distral.evaluation import DistilledPredictor, evaluate_tasks
from sb3_distral.recurrent import RecurrentDistralA2C
from sb3_distral.remote_vec_env import RemoteVecEnv
from sb3_distral.rewards import DistilledPriorReward, RegularizedReward
from sb3_distral.vec_env import TaskVecEnv, make_task_vec_env

__version__ = version("sb3-distral")

__all__ = [
    "ALGORITHMS",
    "DistillationCallback",
    "DistilledPredictor",
    "DistilledPriorReward",
    "DistralA2C",
    "RecurrentDistralA2C",
    "RegularizedReward",
    "RemoteVecEnv",
    "RolloutCheckpointCallback",
    "TaskEvalCallback",
    "TaskVecEnv",
    "__version__",
    "evaluate_tasks",
    "make_task_vec_env",
    "tasks",
]
