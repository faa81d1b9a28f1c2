import gymnasium as gym
import numpy as np
import pytest

from sb3_distral import DistralA2C, SharedModel, make_task_vec_env
from sb3_distral.runs import TASK_POLICY, TaskChoice, evaluate

film = pytest.importorskip("sb3_distral.runs.film", reason="the extra pictures is not installed")
Image = pytest.importorskip("PIL.Image")


class Counter(gym.Env):
    """A picture as bright as steps were made, which ends after some."""

    observation_space, action_space = gym.spaces.Box(0, 1, (2,)), gym.spaces.Discrete(2)
    render_mode, metadata = "rgb_array", {"render_modes": ["rgb_array"], "render_fps": 20}

    def __init__(self, length, size):
        self.length, self.size = length, size

    def reset(self, *, seed=None, options=None):
        self.steps = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.steps += 1
        return np.zeros(2, np.float32), 1.0, self.steps == self.length, False, {}

    def render(self):
        return np.full((self.size, self.size, 3), 20 * self.steps, np.uint8)


def counters():
    return make_task_vec_env({"short": lambda: Counter(2, 40), "long": lambda: Counter(5, 60)})


def test_an_episode_that_is_over_stands_still_until_all_are(monkeypatch):
    env = counters()
    frames = film.film_episode(DistralA2C(env), env, deterministic=False)
    seen = []
    monkeypatch.setattr(film, "make_frame", lambda pictures, numbers: seen.append([p[0, 0, 0] // 20 for p in pictures]))
    film.film_episode(DistralA2C(env), env, deterministic=False)
    assert seen == [[0, 0], [1, 1], [1, 2], [1, 3], [1, 4]] and len(frames) == len(seen)


def test_endless_episodes_are_cut(monkeypatch):
    monkeypatch.setattr(film, "MAX_STEPS", 3)
    env = counters()
    assert len(film.film_episode(DistralA2C(env), env, deterministic=False)) == 3


def test_pictures_of_several_sizes_are_one_frame():
    pictures = [np.full((90, 30, 3), 7, np.uint8), np.full((20, 40, 3), 200, np.uint8)]
    shown = np.asarray(film.make_frame(pictures, [0, 1]).convert("L")).astype(int)
    for brightness, area in ((7, 90 * 30), (200, 20 * 40)):
        assert (abs(shown - brightness) <= 8).sum() == pytest.approx(area, rel=0.2)
    assert max(film.make_frame([np.zeros((2000, 900, 3), np.uint8)], [0]).size) == film.MAX_SIZE


def test_the_film_of_a_run(finished, tmp_path):
    evaluation = evaluate(finished, n_episodes=1)
    path = film.write_film(evaluation, tmp_path / "new")
    with Image.open(path) as moving:
        assert moving.n_frames > 100 and moving.info["duration"] == 100
    assert list((tmp_path / "new").iterdir()) == [path]


def test_the_distilled_policy_acts_where_tasks_are_unseen(finished, tmp_path, monkeypatch):
    actors = []
    monkeypatch.setattr(film, "film_episode", lambda policy, *_: actors.append(policy) or [Image.new("P", (4, 4))])
    for choice in (None, TaskChoice(suite_arguments={"maze_seed": 1, "n_tasks": 2})):
        evaluation = evaluate(finished, choice, n_episodes=1)
        film.write_film(evaluation, tmp_path)
        assert (TASK_POLICY in evaluation.returns) == isinstance(actors[-1], SharedModel)
    assert len(actors) == 2
