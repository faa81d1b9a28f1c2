"""A user's own environments are made safe where their module imports MiniWorld before this package."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sb3_distral.tasks.miniworld.rendering", exc_type=ImportError)
from plain_rooms import make_room
from worlds import SEED, action, fresh, output

HERE = str(Path(__file__).parent)
N_STEPS = 6

TOGETHER = f"""
import sys
import numpy as np
from plain_rooms import make_room
from sb3_distral import RemoteVecEnv, make_task_vec_env

env = make_task_vec_env(make_room, 3, seed={SEED}, vec_env_cls=RemoteVecEnv)
shown = [env.reset()["obs"]]
for step in range(1, {N_STEPS}):
    shown.append(env.step(np.full(3, 0 if step % 3 == 0 else 2))[0]["obs"])
env.close()
np.save(sys.argv[1], np.swapaxes(np.array(shown), 0, 1))
"""


def test_callables_in_another_process_have_the_frames_of_lone_ones(tmp_path: Path) -> None:
    output(fresh(TOGETHER, tmp_path / "shown.npy", PYGLET_HEADLESS="true", PYTHONPATH=HERE))
    for index, shown in enumerate(np.load(tmp_path / "shown.npy")):
        env = make_room()
        lone = [env.reset(seed=SEED + index)[0], *(env.step(action(step))[0] for step in range(1, N_STEPS))]
        env.close()
        np.testing.assert_array_equal(shown, lone)


FORK = """
from plain_rooms import make_room
from stable_baselines3.common.vec_env import SubprocVecEnv
from sb3_distral import make_task_vec_env

make_task_vec_env([make_room] * 2, vec_env_cls=SubprocVecEnv, vec_env_kwargs={"start_method": "fork"})
"""


def test_processes_forked_after_a_plain_import_are_refused_and_do_not_hang() -> None:
    environment = os.environ | {"PYGLET_HEADLESS": "true", "PYTHONPATH": HERE}
    script = [sys.executable, "-c", FORK]
    process = subprocess.Popen(script, env=environment, stderr=-1, text=True, start_new_session=True)
    try:
        error = process.communicate(timeout=300)[1]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # together with the processes that hang
        process.communicate()
        raise
    assert process.returncode != 0 and "use start_method='spawn'" in error
