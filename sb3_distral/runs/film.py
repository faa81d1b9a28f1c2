"""An episode of every task at once, as a film."""

from contextlib import closing
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from PIL import Image
from stable_baselines3.common.type_aliases import PolicyPredictor
from stable_baselines3.common.utils import set_random_seed

from sb3_distral.algorithms.evaluation import DistilledPredictor
from sb3_distral.envs.task_vec_env import TaskVecEnv
from sb3_distral.errors import UsageError
from sb3_distral.files import atomic_write
from sb3_distral.runs.evaluating import TASK_POLICY, Evaluation
from sb3_distral.runs.folder import load_saved
from sb3_distral.tasks.mosaic import PAPER_COLOUR, mosaic

FILM = "episode.gif"
#: Longest film in steps, and its largest width and height in pixels.
MAX_STEPS, MAX_SIZE = 500, 800
#: Colours of a frame: each doubling makes the file larger.
N_COLOURS = 64
#: Frames per second where an environment does not say.
FPS = 10

Picture = npt.NDArray[np.uint8]


def write_film(evaluation: Evaluation, folder: Path) -> Path:
    """
    Let the policies act again, the task policies where they were evaluated and else π0, and film an episode.

    :param evaluation: What was measured
    :param folder: Where to write
    :return: The file
    :raises UsageError: If the tasks cannot be drawn
    """
    with closing(evaluation.tasks.make_env(1, "rgb_array")) as env:
        if env.render_mode != "rgb_array":
            raise UsageError("There is no film: not all of the tasks have the render mode 'rgb_array'.")
        model = load_saved(evaluation.path, trust=True).model  # as it was evaluated
        policy: Any = model if TASK_POLICY in evaluation.returns else DistilledPredictor(model.distilled_policy)
        set_random_seed(evaluation.seed)
        env.seed(evaluation.seed)
        try:
            frames = film_episode(policy, env, evaluation.deterministic)
        except gym.error.DependencyNotInstalled as error:
            raise UsageError(f"There is no film: the tasks cannot be drawn ({error}).") from error
        fps = env.get_attr("metadata")[0].get("render_fps", FPS)
    with atomic_write(folder / FILM) as beside:
        first, *others = frames
        first.save(beside, "GIF", save_all=True, append_images=others, duration=1000 / fps, loop=0)
    return folder / FILM


def film_episode(policy: PolicyPredictor, env: TaskVecEnv, deterministic: bool) -> list[Image.Image]:
    """
    Film an episode of every task, each under the number of its task; one that is over stands still.

    :param policy: Acts on observations that name a task
    :param env: Tasks that can be drawn, one sub-environment of each
    :param deterministic: Whether to take the likeliest actions
    :return: A frame before each step, until all episodes are over, at most ``MAX_STEPS``
    """
    observations, states = env.reset(), None
    starts, is_over = np.ones(env.num_envs, dtype=bool), np.zeros(env.num_envs, dtype=bool)
    pictures: list[Any] = [None] * env.num_envs
    frames: list[Image.Image] = []
    while not is_over.all() and len(frames) < MAX_STEPS:
        seen = env.get_images()
        pictures = [old if over else new for old, new, over in zip(pictures, seen, is_over, strict=True)]
        frames.append(make_frame(pictures, env.tasks.tolist()))
        actions, states = policy.predict(observations, states, starts, deterministic)  # type: ignore[arg-type]
        observations, _, starts, _ = env.step(actions)
        is_over |= starts
    return frames


def make_frame(pictures: list[Picture], numbers: list[int]) -> Image.Image:
    """
    Put the pictures of all tasks into one of at most ``MAX_SIZE``.

    :param pictures: RGB pictures, perhaps of several sizes
    :param numbers: Index of each one's task
    :return: The frame, in few colours
    """
    height, width = np.max([picture.shape[:2] for picture in pictures], axis=0)
    padded = []
    for picture in pictures:
        missing = ((0, height - picture.shape[0]), (0, width - picture.shape[1]), (0, 0))
        padded.append(np.pad(picture, missing, constant_values=PAPER_COLOUR))
    frame = Image.fromarray(mosaic(padded, numbers))
    frame.thumbnail((MAX_SIZE, MAX_SIZE))
    return frame.quantize(N_COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
