"""Stable-Baselines3's ``VecVideoRecorder`` over tasks."""

import numpy as np
import pytest
from stable_baselines3.common.vec_env import VecVideoRecorder

from sb3_distral import DistralA2C, make_task_vec_env

from .toys import Toy


class Drawn(Toy):
    """Can be drawn."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012
    render_mode = "rgb_array"

    def render(self):
        return np.full((32, 32, 3), 20 * self.steps, dtype=np.uint8)


def test_a_video_of_the_tasks_is_recorded_while_they_are_trained(tmp_path):
    pytest.importorskip("moviepy")
    env = VecVideoRecorder(make_task_vec_env({"a": Drawn, "b": Drawn}), str(tmp_path), lambda step: step == 0, 8)
    model = DistralA2C(env, policy_kwargs={"net_arch": [4]}).learn(40)
    assert model.task_names == ["a", "b"]
    assert [path.suffix for path in tmp_path.iterdir()] == [".mp4"]
