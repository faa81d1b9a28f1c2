"""Processes that run environments, in whatever VecEnvs: they are watched, and all of them end together."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import wait
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.vector import AsyncVectorEnv
from gymnasium.vector.async_vector_env import AsyncState
from stable_baselines3.common.vec_env import SubprocVecEnv, VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices
from typing_extensions import override

from sb3_distral.envs.concat_vec_env import ConcatVecEnv
from sb3_distral.envs.gymnasium_vec_env import GymnasiumVecEnv
from sb3_distral.envs.link import CLOSE_TIMEOUT, END_TIMEOUT, Link, WorkerError
from sb3_distral.envs.remote_vec_env import RemoteVecEnv
from sb3_distral.envs.state import layers_of


class Worker(NamedTuple):
    """
    A process.

    :param link: The connection to it
    :param rows: Indices of its sub-environments in the VecEnv that was asked for its workers
    """

    link: Link
    rows: Sequence[int]


def workers_of(venv: VecEnv) -> list[Worker]:
    """
    Find the processes of a VecEnv, and watch them from now on.

    :param venv: A VecEnv, wrapped or not
    :return: Its processes
    """
    inner = layers_of(venv)[-1]
    if isinstance(inner, ConcatVecEnv):
        starts = zip(inner.venvs, inner.offsets.tolist(), strict=False)
        return [
            Worker(link, [start + row for row in rows]) for part, start in starts for link, rows in workers_of(part)
        ]
    if isinstance(inner, RemoteVecEnv):
        return [Worker(inner.link, range(inner.num_envs))]
    if isinstance(inner, SubprocVecEnv):
        inner.remotes = tuple(linked(inner.remotes, inner.processes))
        return [Worker(link, [row]) for row, link in enumerate(inner.remotes)]
    vector_env = inner.sub_environments if isinstance(inner, GymnasiumVecEnv) else None
    if isinstance(vector_env, AsyncVectorEnv):
        vector_env.parent_pipes = linked(vector_env.parent_pipes, vector_env.processes)
        return [Worker(link, [row]) for row, link in enumerate(vector_env.parent_pipes) if isinstance(link, Link)]
    return []


def name_workers(venv: VecEnv, names: Sequence[str]) -> None:
    """
    Tell the processes of a VecEnv whose they are, for their errors.

    :param venv: A VecEnv, wrapped or not
    :param names: Name of the task of each sub-environment
    """
    for link, rows in workers_of(venv):
        link.task_names = list(dict.fromkeys(names[row] for row in rows))


def restarts_of(venv: VecEnv) -> dict[str, int]:
    """
    Count how often processes were started anew.

    :param venv: Tasks, wrapped or not
    :return: The number by task, of tasks whose processes may be
    """
    counts: dict[str, int] = {}
    for link, _ in workers_of(venv):
        for name in link.task_names if link.max_restarts else ():
            counts[name] = counts.get(name, 0) + link.n_restarts
    return counts


def first_dead(links: Sequence[Link]) -> Link:
    """
    Find the process that has ended, where it is known that one has.

    :param links: The connections to the processes
    :return: One of them
    """
    ended = wait([link.process.sentinel for link in links], END_TIMEOUT)
    return next((link for link in links if link.process.sentinel in ended), links[0])


def linked(connections: Sequence[Any], processes: Sequence[Any]) -> list[Any]:
    """
    Put a link in the place of each connection.

    :param connections: Connections, links among them, ``None`` where a process is gone
    :param processes: The processes
    :return: Links
    """
    return [
        connection if connection is None or isinstance(connection, Link) else Link(connection, process)
        for connection, process in zip(connections, processes, strict=False)
    ]


def close_within(venv: VecEnv, timeout: float | None) -> None:
    """
    Close a VecEnv, in whatever state, and leave no process.

    :param venv: The VecEnv
    :param timeout: Seconds in which a process that still owes an answer gives it, and again seconds in which it ends;
        else it is killed. ``None``: any time
    """
    links = [worker.link for worker in workers_of(venv)]
    if not links:
        venv.close()
        return
    try:
        for link in links:
            link.begin_to_close(timeout)
        with killed_after(timeout, lambda: [link for link in links if link.receiving]):  # stopped amid an answer
            bring_to_rest(venv)
        for link in links:
            link.begin_to_close(timeout)
        with killed_after(timeout, lambda: links):
            venv.close()
    finally:
        for link in links:
            link.kill()


@contextmanager
def killed_after(timeout: float | None, hanging: Callable[[], Sequence[Link]]) -> Iterator[None]:
    """
    Kill processes that something waits for too long, so that it goes on.

    :param timeout: Seconds; ``None``: any time
    :param hanging: Gives the connections to them
    """

    def kill() -> None:
        # How they ended is found out by the thread that waits for it, and by no other at the same time.
        for link in hanging():
            with suppress(ValueError):  # forgotten after its end
                link.process.kill()

    timer = threading.Timer(timeout or 0.0, kill)
    timer.daemon = True
    if timeout is not None:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def end_processes(venv: SubprocVecEnv) -> None:
    """
    End the processes of a VecEnv whose constructor has failed.

    :param venv: It
    """
    links = linked(vars(venv).get("remotes", ()), vars(venv).get("processes", ()))
    for link in links:
        link.kill()
        link.close()


def bring_to_rest(venv: VecEnv) -> None:
    """
    Let a VecEnv wait for nothing any more, so that it can be closed.

    :param venv: A VecEnv that is being closed
    """
    inner = layers_of(venv)[-1]
    if isinstance(inner, ConcatVecEnv):
        for part in inner.venvs:
            bring_to_rest(part)
        return
    for link, _ in workers_of(inner):
        # A RemoteVecEnv sees that nobody listens any more and ends, all of them at the same time.
        link.close() if isinstance(inner, RemoteVecEnv) else link.drain()
    if isinstance(inner, SubprocVecEnv):
        inner.waiting = False
    if isinstance(inner, GymnasiumVecEnv) and isinstance(inner.sub_environments, AsyncVectorEnv):
        inner.sub_environments._state = AsyncState.DEFAULT


class WatchedVecEnv(VecEnvWrapper):
    """
    Close all that is inside where one of its processes fails.

    :param venv: A VecEnv with any number of processes
    :param observation_space: As ``VecEnvWrapper``
    :param action_space: As ``VecEnvWrapper``
    """

    def __init__(self, venv: VecEnv, observation_space: Any = None, action_space: Any = None):
        self.step_timeout: float | None = None
        self.close_timeout: float | None = CLOSE_TIMEOUT
        super().__init__(venv, observation_space, action_space)

    def set_timeouts(self, step: float | None = None, close: float | None = CLOSE_TIMEOUT) -> None:
        """
        Say how long the processes of environments may take. One that takes longer hangs, and is killed.

        :param step: Seconds for a step, a reset or a call; ``None``: any time
        :param close: Seconds to close the environments; ``None``: any time
        """
        self.step_timeout, self.close_timeout = step, close
        for link, _ in workers_of(self.venv):
            link.step_timeout, link.close_timeout = step, close

    @contextmanager
    def closing_where_workers_fail(self) -> Iterator[None]:
        """Close everything where a process has ended or hangs, before the error goes on."""
        try:
            yield
        except WorkerError:
            self.close()
            raise

    @override
    def close(self) -> None:
        close_within(self.venv, self.close_timeout)

    @override
    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        with self.closing_where_workers_fail():
            return super().seed(seed)

    @override
    def has_attr(self, attr_name: str) -> bool:
        with self.closing_where_workers_fail():
            return super().has_attr(attr_name)

    @override
    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        with self.closing_where_workers_fail():
            return super().get_attr(attr_name, indices)

    @override
    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        with self.closing_where_workers_fail():
            super().set_attr(attr_name, value, indices)

    @override
    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        with self.closing_where_workers_fail():
            return super().env_method(method_name, *args, indices=indices, **kwargs)

    @override
    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        with self.closing_where_workers_fail():
            return super().env_is_wrapped(wrapper_class, indices)

    @override
    def get_images(self) -> Sequence[np.ndarray | None]:
        with self.closing_where_workers_fail():
            return super().get_images()
