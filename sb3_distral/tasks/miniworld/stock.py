"""The tasks that come with MiniWorld, such as ``MiniWorld-Hallway-v0``."""

from typing import Any, SupportsFloat

import gymnasium as gym
from typing_extensions import override

from sb3_distral.tasks.miniworld.rendering import WINDOW

# In these nothing can be achieved: the first ends with the agent's death, the others have neither goal nor reward.
WITHOUT_SUCCESS = ("MiniWorld-CollectHealth-", "MiniWorld-RoomObjects-", "MiniWorld-ThreeRooms-")


def make_stock(task: str) -> gym.Env[Any, Any]:
    """
    Make one of MiniWorld's own tasks.

    :param task: Id of a task that comes with MiniWorld
    :return: The task, which tells of its success where it has one
    """
    env = gym.make(task, render_mode="rgb_array", **WINDOW)  # type: ignore[arg-type]
    return env if task.rpartition(":")[2].startswith(WITHOUT_SUCCESS) else SuccessInfo(env)


class SuccessInfo(gym.Wrapper[Any, Any, Any, Any]):
    """
    Add ``info["is_success"]``, which Stable-Baselines3 logs as the rate of success.

    Each of MiniWorld's tasks that has a goal ends with a positive reward when it is solved, and with none or a negative
    one (into the street, a wrong object) or by the time limit when it is not. This need not be so in other tasks.

    :param env: A task that comes with MiniWorld
    """

    @override
    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated, truncated, {**info, "is_success": terminated and float(reward) > 0.0}
