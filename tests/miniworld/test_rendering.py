"""Every way of running MiniWorld environments gives the frames of a lone one, and memory does not grow."""

import itertools
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.vec_env import SubprocVecEnv
from worlds import N_FRAMES, SEED, WORLDS, action, frames, fresh, output

from sb3_distral import DistralA2C, TaskEvalCallback, make_task_vec_env
from sb3_distral.envs.link import WorkerError

rendering = pytest.importorskip("sb3_distral.tasks.miniworld.rendering", exc_type=ImportError)
stock = pytest.importorskip("sb3_distral.tasks.miniworld.stock", exc_type=ImportError)
ROOT = Path(__file__).parents[2]
HALLWAY, FOUR_ROOMS, PICKUP = WORLDS


def make(world: str) -> Any:
    return gym.make(world, **rendering.WINDOW)


def assert_lone(lone: dict[str, Any], worlds: list[str], shown: list[Any]) -> None:
    """Compare the first frames; the number of the first wrong one tells more than the arrays."""
    for world, own in zip(worlds, shown, strict=True):
        wrong = [index for index, frame in enumerate(own) if not np.array_equal(frame, lone[world][index])]
        assert not wrong, f"{world}: frames {wrong} of {len(own)} differ"


def interleave(envs: list[Any], n_frames: int = N_FRAMES) -> list[list[Any]]:
    """Frames of environments that take turns at each step."""
    steps = zip(*(frames(env, SEED, N_FRAMES) for env in envs), strict=True)
    return [list(own) for own in zip(*itertools.islice(steps, n_frames), strict=True)]


def shorten(task_env: Any, n_steps: int) -> None:
    for env in task_env.unwrapped.envs:
        env.unwrapped.max_episode_steps = n_steps


# Frames


def test_environments_that_take_turns_have_the_frames_of_lone_ones(lone: dict[str, Any]) -> None:
    worlds = [*WORLDS, *reversed(WORLDS)]
    envs = [make(world) for world in worlds]
    for env in envs:
        env.reset(seed=1)  # other worlds than those that count
    assert_lone(lone, worlds, interleave(envs))
    for env in envs:
        env.close()


def test_environments_live_on_when_others_are_closed_and_made(lone: dict[str, Any]) -> None:
    first, second = make(HALLWAY), make(FOUR_ROOMS)
    running = frames(first, SEED, N_FRAMES)
    shown = [next(running)]
    second.reset(seed=1)
    shown.append(next(running))
    second.close()
    shown += itertools.islice(running, 3)
    third = make(PICKUP)
    third.reset(seed=1)
    shown += itertools.islice(running, 3)
    third.close()
    third.close()
    assert_lone(lone, [HALLWAY], [[*shown, *running]])
    first.close()


def test_pictures_for_humans_do_not_disturb_the_frames(lone: dict[str, Any]) -> None:
    env = gym.make(HALLWAY, render_mode="rgb_array", window_width=200, window_height=100)
    other = gym.make(FOUR_ROOMS, render_mode="rgb_array", view="top", **rendering.WINDOW)
    other.reset(seed=1)
    running, shown = frames(env, SEED, N_FRAMES), []
    for frame in running:
        shown.append(frame.copy())
        assert env.render().shape == (100, 200, 3)  # type: ignore[union-attr]
        assert other.render().shape == (60, 80, 3)  # type: ignore[union-attr]
    assert_lone(lone, [HALLWAY], [shown])
    env.close()
    other.close()


def test_training_sees_the_same_frames_with_an_evaluation_beside_it() -> None:
    def trained(*callbacks: Any) -> Any:
        model = DistralA2C([HALLWAY, FOUR_ROOMS], n_steps=6, seed=0, policy_kwargs={"net_arch": [8]})
        model.learn(12, callback=list(callbacks))
        model.get_env().close()
        return model.rollout_buffer.observations["obs"]

    evaluated = make_task_vec_env([FOUR_ROOMS, HALLWAY], seed=5)
    shorten(evaluated, 5)
    evaluation = TaskEvalCallback(evaluated, n_eval_episodes=1, eval_freq=2, deterministic=True)
    np.testing.assert_array_equal(trained(), trained(evaluation))
    evaluated.close()


# Tasks of others, in a process of which nothing is known

IDS = f"""
import itertools, sys
import numpy as np
{{first}}
from sb3_distral import make_task_vec_env

tasks = {{tasks}}
env = make_task_vec_env(tasks, seed={SEED})
shown = [env.reset()["obs"]]
{{assertion}}
for step in range(1, {N_FRAMES // 2}):
    shown.append(env.step(np.full(2, 0 if step % 3 == 0 else 2))[0]["obs"])
np.save(sys.argv[1], np.swapaxes(np.array(shown), 0, 1))
"""
BEFORE = f"""
import os
os.environ["PYGLET_HEADLESS"] = "true"
import gymnasium as gym, miniworld
envs = [gym.make("{HALLWAY}"), gym.make("{FOUR_ROOMS}")]
"""


def seeded(world: str, offset: int, n_frames: int) -> list[Any]:
    env = make(world)
    shown = [env.reset(seed=SEED + offset)[0], *(env.step(action(step))[0] for step in range(1, n_frames))]
    env.close()
    return shown


@pytest.mark.parametrize(
    ("first", "tasks", "assertion"),
    [
        ("", f"['{HALLWAY}', 'miniworld:{FOUR_ROOMS}']", "assert env.get_attr('vis_fb')[0].width == 80"),
        ("import pyglet", f"['{HALLWAY}', '{FOUR_ROOMS}']", ""),
        (BEFORE, "envs", ""),
        (BEFORE, f"[lambda: gym.make('{HALLWAY}'), lambda: gym.make('{FOUR_ROOMS}')]", ""),
    ],
    ids=["ids", "pyglet-imported-before", "environments-made-before", "callables"],
)
def test_tasks_of_others_are_made_safe(first: str, tasks: str, assertion: str, tmp_path: Path) -> None:
    output(fresh(IDS.format(first=first, tasks=tasks, assertion=assertion), tmp_path / "shown.npy"))
    first_task, second_task = np.load(tmp_path / "shown.npy")
    np.testing.assert_array_equal(first_task, seeded(HALLWAY, 0, N_FRAMES // 2))
    np.testing.assert_array_equal(second_task, seeded(FOUR_ROOMS, 1, N_FRAMES // 2))


MIDDLE = (
    BEFORE
    + f"""
import sys
import numpy as np
for env in envs:
    env.reset(seed={SEED})
{{safe}}
np.save(sys.argv[1], np.array([env.step(2)[0] for env in envs]))
"""
)


TASK_VEC_ENV = """
from stable_baselines3.common.vec_env import DummyVecEnv
from sb3_distral import TaskVecEnv
TaskVecEnv(DummyVecEnv([lambda: envs[0], lambda: envs[1]]), [0, 1], ["hallway", "rooms"])
"""


@pytest.mark.parametrize(
    "safe", ["import sb3_distral.tasks.miniworld.rendering", TASK_VEC_ENV], ids=["import", "task-vec-env"]
)
def test_environments_in_the_middle_of_an_episode_are_made_safe(
    safe: str, lone: dict[str, Any], tmp_path: Path
) -> None:
    output(fresh(MIDDLE.format(safe=safe), tmp_path / "shown.npy"))
    for world, frame in zip((HALLWAY, FOUR_ROOMS), np.load(tmp_path / "shown.npy"), strict=True):
        np.testing.assert_array_equal(frame, lone[world][1])


def test_a_forked_process_is_refused_and_does_not_hang(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(WorkerError, match=r"MiniWorld-Hallway-v0-0.*exit code 1"):
        make_task_vec_env([HALLWAY, HALLWAY], vec_env_cls=SubprocVecEnv, vec_env_kwargs={"start_method": "fork"})
    assert "Start processes by 'forkserver' or 'spawn'" in capfd.readouterr().err


def test_a_closed_environment_says_so() -> None:
    env = make(HALLWAY).unwrapped
    env.close()
    for use in (env.reset, lambda: env.step(0)):
        with pytest.raises(RuntimeError, match="is closed"):
            use()


def test_nothing_is_printed_for_each_environment(capfd: pytest.CaptureFixture[str]) -> None:
    make(HALLWAY).close()
    assert capfd.readouterr().out == ""


# Success


def at(env: Any, x: float, z: float, direction: float = 0.0) -> None:
    env.unwrapped.agent.pos, env.unwrapped.agent.dir = np.array([x, 0.0, z]), direction


def test_success_is_told_where_the_task_is_solved_and_nowhere_else() -> None:
    env = stock.make_stock("MiniWorld-Sidewalk-v0")
    for place, ended, success in (((-1.5, 1.0), False, False), ((3.0, 3.0), True, False), (None, True, True)):
        env.reset(seed=0)
        box = env.unwrapped.box.pos
        at(env, *(place or (box[0], box[2] - 0.9)))
        _, _, terminated, _, info = env.step(0)
        assert (terminated, info["is_success"]) == (ended, success)
    env.close()


def test_a_wrong_object_and_the_time_limit_are_no_success() -> None:
    env = stock.make_stock("MiniWorld-Sign-v0")
    env.reset(seed=0)
    at(env, 9.0, 2.0)
    assert env.step(0)[1:3] == (-1.0, True)
    assert env.step(0)[4]["is_success"] is False
    env.unwrapped.step_count = 100
    at(env, 5.0, 5.0)
    assert env.step(0)[3:] == (True, {"is_success": False})
    env.close()


UNSOLVABLE = ["MiniWorld-CollectHealth-v0", "MiniWorld-RoomObjects-v0", "MiniWorld-ThreeRooms-v0"]


@pytest.mark.parametrize("task", UNSOLVABLE)
def test_tasks_that_cannot_be_solved_tell_no_success(task: str) -> None:
    env = stock.make_stock(f"miniworld:{task}")
    env.reset(seed=0)
    assert "is_success" not in env.step(0)[4]
    env.close()


def test_all_other_tasks_tell_their_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock.gym, "make", lambda *args, **kwargs: gym.Env())  # quick: none is made
    stock_tasks = [name for name in gym.registry if name.startswith("MiniWorld-")]
    silent = [task for task in stock_tasks if not isinstance(stock.make_stock(task), stock.SuccessInfo)]
    assert sorted(silent) == UNSOLVABLE and len(stock_tasks) > 20


@pytest.mark.parametrize("success", [False, True])
def test_the_rate_of_success_is_logged(success: bool) -> None:
    task_env = make_task_vec_env([HALLWAY])
    shorten(task_env, 2)
    for env in task_env.unwrapped.envs:
        env.unwrapped.near = lambda *_: success  # wherever the agent begins
    model = DistralA2C(task_env, n_steps=4, policy_kwargs={"net_arch": [8]}).learn(8)
    assert list(model.ep_success_buffer) == [success] * (8 if success else 4)
    task_env.close()


# Memory

MEMORY = f"""
import itertools
import sys
import gymnasium as gym
from sb3_distral.tasks.miniworld.rendering import WINDOW

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20

def episodes(n):
    for seed in itertools.islice(seeds, n):
        for env in envs:
            env.reset(seed=seed)
            env.step(2)

def cycles(n):
    for seed in itertools.islice(seeds, n):
        env = gym.make("{PICKUP}", **WINDOW)
        env.reset(seed=seed)
        env.close()

envs = [gym.make("{HALLWAY}", **WINDOW), gym.make("{PICKUP}", **WINDOW)]
seeds = itertools.count()
# Drawing a kind of thing for the first time takes memory once.
{{what}}(20)
before = resident()
{{what}}({{n}})
print(resident() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from Linux's /proc")
@pytest.mark.parametrize(("what", "n"), [("episodes", 200), ("cycles", 50)])
def test_memory_does_not_grow(what: str, n: int) -> None:
    assert float(output(fresh(MEMORY.format(what=what, n=n)))) < 8.0


def test_closing_frees_what_opengl_holds() -> None:
    gl, env = rendering.gl, make(HALLWAY).unwrapped
    env.shadow_window.switch_to()
    names = [frame_buffer.final_fbo for frame_buffer in (env.obs_fb, env.vis_fb)]
    textures = []
    for name in names:
        gl.glBindFramebuffer(gl.GL_FRAMEBUFFER, name)
        textures.append(
            rendering.frame_buffer_parameter(gl.GL_COLOR_ATTACHMENT0, gl.GL_FRAMEBUFFER_ATTACHMENT_OBJECT_NAME)
        )
    own_list = rendering.display_list()
    assert gl.glIsList(own_list) and all(gl.glIsTexture(texture.value) for texture in textures)
    env.close()
    assert not gl.glIsList(own_list) and not any(gl.glIsTexture(texture.value) for texture in textures)


# Without MiniWorld or OpenGL

LIGHT = """
import sys
import sb3_distral
from sb3_distral import make_task_vec_env, tasks

tasks.make("grid-mazes", seed=0).reset()
assert not {"miniworld", "pyglet"} & set(sys.modules)
"""
WITHOUT = {
    "miniworld": "sys.modules['miniworld'] = None",
    "libraries": """
import pyglet
def load_library(*names, **kwargs):
    raise ImportError(f'Library "{names[0]}" not found.')
pyglet.lib.load_library = load_library
""",
    "driver": """
import pyglet.libs.egl.egl as egl
egl.eglChooseConfig = lambda *args: 0
""",
}
REFUSED = f"""
try:
    make_task_vec_env(["{HALLWAY}"])
except ImportError as error:
    print(error)
"""


def test_all_places_name_the_same_packages() -> None:
    for path in (".ci/run", "docs/miniworld-rendering.md"):
        assert rendering.PACKAGES in (ROOT / path).read_text(encoding="utf-8"), path


@pytest.mark.parametrize(
    ("missing", "advice"),
    [
        ("miniworld", "pip install 'sb3-distral[miniworld]'"),
        ("libraries", f"apt-get install {rendering.PACKAGES}"),
        ("driver", f"apt-get install {rendering.PACKAGES}"),
    ],
)
def test_without_miniworld_or_opengl_the_rest_works_and_the_error_says_what_to_install(
    missing: str, advice: str
) -> None:
    assert advice in output(fresh(LIGHT + WITHOUT[missing] + REFUSED))
