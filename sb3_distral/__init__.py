"""Distral (Teh et al., 2017) for Stable-Baselines3: tasks that share a distilled policy."""

from importlib.metadata import version

from sb3_distral import tasks
from sb3_distral.algorithms.a2c import DistralA2C
from sb3_distral.algorithms.annealing import AnnealPriorCallback
from sb3_distral.algorithms.checkpoint import RolloutCheckpointCallback
from sb3_distral.algorithms.distillation import DistillationCallback
from sb3_distral.algorithms.evaluation import DistilledPredictor, evaluate_tasks
from sb3_distral.algorithms.former_names import know_former_names
from sb3_distral.algorithms.plain import plain_model
from sb3_distral.algorithms.ppo import DistralPPO
from sb3_distral.algorithms.recurrent import RecurrentDistralA2C, RecurrentDistralPPO
from sb3_distral.algorithms.reward import RegularizedReward
from sb3_distral.algorithms.sharing import SharedModel, load_policy, save_policy
from sb3_distral.algorithms.table1 import ALGORITHMS
from sb3_distral.algorithms.task_evaluation import TaskEvalCallback
from sb3_distral.algorithms.warm_start import distilled_parameters
from sb3_distral.envs.changing import join_tasks, select_tasks
from sb3_distral.envs.normalization import normalize_as_trained
from sb3_distral.envs.prior import DistilledPriorReward
from sb3_distral.envs.remote_vec_env import RemoteVecEnv
from sb3_distral.envs.task_vec_env import TaskVecEnv, make_task_vec_env
from sb3_distral.envs.vec_prior import VecDistilledPriorReward
from sb3_distral.method.controller import CostController

__version__ = version("sb3-distral")

# Files of earlier versions are read by more than this package: policies alone by Stable-Baselines3's own function.
know_former_names()

__all__ = [
    "ALGORITHMS",
    "AnnealPriorCallback",
    "CostController",
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
    "SharedModel",
    "TaskEvalCallback",
    "TaskVecEnv",
    "VecDistilledPriorReward",
    "__version__",
    "distilled_parameters",
    "evaluate_tasks",
    "join_tasks",
    "load_policy",
    "make_task_vec_env",
    "normalize_as_trained",
    "plain_model",
    "save_policy",
    "select_tasks",
    "tasks",
]
