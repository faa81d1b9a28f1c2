"""Distral (Teh et al., 2017) for Stable-Baselines3: tasks that share a distilled policy."""

from importlib.metadata import version

from sb3_distral import tasks
from sb3_distral.algorithms.a2c import DistralA2C
from sb3_distral.algorithms.checkpoint import RolloutCheckpointCallback
from sb3_distral.algorithms.distillation import DistillationCallback
from sb3_distral.algorithms.evaluation import DistilledPredictor, TaskEvalCallback, evaluate_tasks
from sb3_distral.algorithms.ppo import DistralPPO
from sb3_distral.algorithms.recurrent import RecurrentDistralA2C, RecurrentDistralPPO
from sb3_distral.algorithms.reward import RegularizedReward
from sb3_distral.algorithms.table1 import ALGORITHMS
from sb3_distral.envs.prior import DistilledPriorReward
from sb3_distral.envs.remote_vec_env import RemoteVecEnv
from sb3_distral.envs.task_vec_env import TaskVecEnv, make_task_vec_env

__version__ = version("sb3-distral")

__all__ = [
    "ALGORITHMS",
    "DistillationCallback",
    "DistilledPredictor",
    "DistilledPriorReward",
    "DistralA2C",
    "DistralPPO",
    "RecurrentDistralA2C",
    "RecurrentDistralPPO",
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
