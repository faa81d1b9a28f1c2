"""What a trained agent sees and where it goes, as a film and as a sheet of pictures."""

from pathlib import Path
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from sb3_distral.algorithms.base import DistralAlgorithm
from sb3_distral.envs.task_id import OBSERVATION_KEY, TASK_KEY
from sb3_distral.files import atomic_write

#: Width and height of a picture in a film, in pixels.
SIZE = 112
#: Colours of a film: walls and floor need few, and each doubles the file.
N_COLOURS = 64


class Moment(NamedTuple):
    """
    The agent before a step.

    :param eyes: What it sees, RGB
    :param above: The world from above, RGB
    :param total: Sum of the rewards so far
    """

    eyes: np.ndarray
    above: np.ndarray
    total: float


def play(model: DistralAlgorithm, env_id: str, task: int, n_steps: int, seed: int = 0) -> list[Moment]:
    """
    Let a task policy act, with actions drawn from it.

    :param model: A model
    :param env_id: Gymnasium id of the task, a world of MiniWorld
    :param task: Index of the task
    :param n_steps: Steps to take
    :param seed: Seed of the episode
    :return: The moments before each step
    """
    env: Any = gym.make(env_id, render_mode="rgb_array").unwrapped
    observation, _ = env.reset(seed=seed)
    moments, total, state, begins = [], 0.0, None, np.ones(1, dtype=bool)
    for _ in range(n_steps):
        moments.append(Moment(*_views(env), total))
        seen: Any = {OBSERVATION_KEY: observation, TASK_KEY: np.int64(task)}
        action, state = model.predict(seen, state, begins)
        observation, reward, _, is_over, _ = env.step(int(action))
        total, begins = total + reward, np.zeros(1, dtype=bool)
        if is_over:
            break
    env.close()
    return moments


def _views(env: Any) -> tuple[np.ndarray, np.ndarray]:
    pictures = []
    for env.view in ("agent", "top"):
        pictures.append(env.render())
    return pictures[0], pictures[1]


def write_film(moments: list[Moment], path: Path) -> None:
    """
    Write an animated picture: left what the agent sees, right the world from above, at its own speed.

    :param moments: The moments
    :param path: File, ``.gif``
    """
    frames = [
        Image.fromarray(np.hstack([moment.eyes, moment.above]))
        .resize((2 * SIZE, SIZE), Image.Resampling.BILINEAR)
        .quantize(N_COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        for moment in moments
    ]
    with atomic_write(path) as beside:
        frames[0].save(beside, "GIF", save_all=True, append_images=frames[1:], duration=133, loop=0, optimize=True)


def draw_sheet(moments: list[Moment], n_moments: int = 8) -> Figure:
    """
    Draw moments at equal distances: above what the agent sees, below the world from above.

    :param moments: The moments
    :param n_moments: How many of them to show
    :return: The figure
    """
    figure = Figure(figsize=(1.6 * n_moments, 3.6), layout="constrained")
    axes = figure.subplots(2, n_moments, squeeze=False)
    chosen = np.linspace(0, len(moments) - 1, n_moments).round().astype(int)
    for column, step in enumerate(chosen):
        moment = moments[step]
        for axis, picture in zip(axes[:, column], (moment.eyes, moment.above), strict=True):
            axis.imshow(picture)
            axis.set_axis_off()
        axes[0, column].set_title(f"step {step}\nreward {moment.total:.0f}", fontsize=9)
    return figure
