"""A vectorised environment in a process of its own."""

import multiprocessing
import pickle
import warnings
from collections.abc import Callable, Sequence
from multiprocessing.process import BaseProcess
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env import CloudpickleWrapper, VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn
from typing_extensions import override

from sb3_distral.envs.gymnasium_vec_env import row_of
from sb3_distral.envs.link import Link, WorkerError
from sb3_distral.envs.remote_process import serve
from sb3_distral.envs.state import EnvState
from sb3_distral.errors import UsageError

# Never "fork": OpenGL and threads do not survive it.
START_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


class RemoteVecEnv(VecEnv):
    """
    A VecEnv in a process of its own, step by step equal to the same VecEnv in this process.

    Several of them side by side step at the same time. A script that makes one needs the guard
    ``if __name__ == "__main__":``, as with ``SubprocVecEnv``.

    :param make_venv: Makes the VecEnv, in the new process
    :param wait: Whether to wait until it is made; else :meth:`wait_until_made` has to be called before all other
        methods, so that several can be made at the same time
    :param max_restarts: How often a process that has ended by itself, or was killed because it did not answer in time,
        is started anew. Its episodes are cut as at a time limit, at the last observations that it gave. What the
        environments were told by ``set_attr``, and all that they had learned, is lost
    :raises Exception: What ``make_venv`` or a method raises there; its cause is the traceback of there
    :raises WorkerError: If the process has ended, for example because it was killed, or does not answer in time
    """

    def __init__(self, make_venv: Callable[[], VecEnv], wait: bool = True, max_restarts: int = 0):
        self.make_venv = CloudpickleWrapper(make_venv)
        self.closed = False
        self._seed: int | None = None
        self._last: Any = None
        self._lost: WorkerError | None = None
        self.link = Link(*self._begin())
        self.link.max_restarts = max_restarts
        self.link.pending = 1  # the process begins with its spaces
        try:
            if wait:
                self.wait_until_made()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> tuple[Any, BaseProcess]:
        """
        Start a process.

        :return: The connection to it, and the process
        """
        context = multiprocessing.get_context(START_METHOD)
        if START_METHOD == "forkserver":
            # Imports happen once and share their memory. Not so for the main module: it may load OpenGL, and is forked.
            context.set_forkserver_preload([__name__])
        connection, remote = context.Pipe()
        process = context.Process(target=serve, args=(remote, self.make_venv), daemon=True)  # type: ignore[attr-defined]
        try:
            process.start()
        except BaseException:
            connection.close()
            raise
        finally:
            remote.close()
        return connection, process

    @property
    def process(self) -> BaseProcess:
        """The process."""
        return self.link.process

    def wait_until_made(self) -> None:
        """Learn from the process what it has made."""
        n_envs, observation_space, action_space, metadata = self._receive()
        super().__init__(n_envs, observation_space, action_space)
        self.metadata = metadata

    @override
    def reset(self) -> VecEnvObs:
        self._lost = None
        try:
            self._last, self.reset_infos = self._call("reset")
        except WorkerError as error:
            self._restart(error)
        return self._last  # type: ignore[no-any-return]

    @override
    def step_async(self, actions: np.ndarray) -> None:
        try:
            self._send("step", actions)
        except WorkerError as error:  # told by step_wait, after the others have been stepped
            self._lost = error

    @override
    def step_wait(self) -> VecEnvStepReturn:
        try:
            if self._lost is not None:
                raise self._lost
            step, self.reset_infos = self._receive()
        except WorkerError as error:
            return self._cut(error)
        self._last = step[0]
        return step  # type: ignore[no-any-return]

    def _cut(self, error: WorkerError) -> VecEnvStepReturn:
        """
        Start the process anew, and end the episodes where they were.

        :param error: How it ended
        :return: A step without reward at whose end all episodes are cut, so that the values of the last observations
            stand for what would have come
        :raises WorkerError: If it may not be started anew
        """
        last, self._lost = self._last, None
        if last is None:
            raise error
        self._restart(error)
        infos: list[dict[str, Any]] = [
            {"terminal_observation": row_of(last, index), "TimeLimit.truncated": True} for index in range(self.num_envs)
        ]
        return self._last, np.zeros(self.num_envs, np.float32), np.ones(self.num_envs, bool), infos

    def _restart(self, error: WorkerError) -> None:
        """
        Start the process anew and reset its environments.

        :param error: How it ended
        :raises WorkerError: If that has been done as often as it may be
        """
        while self.link.n_restarts < self.link.max_restarts:
            self.link.n_restarts += 1
            warnings.warn(
                f"{error} It is started again, the {self.link.n_restarts}. of at most {self.link.max_restarts} times; "
                "its episodes are cut.",
                stacklevel=2,
            )
            self.link.renew(*self._begin())
            try:
                self._receive()
                if self._seed is not None:  # not the same episodes once more
                    seed = np.random.SeedSequence([self._seed, self.link.n_restarts]).generate_state(1)[0]
                    self._call("seed", int(seed) // 2)
                self._last, self.reset_infos = self._call("reset")
                return
            except WorkerError as again:
                error = again
        raise error

    @override
    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        self._seed = super().seed(seed)[0]
        return self._call("seed", self._seed)  # type: ignore[no-any-return]

    @override
    def set_options(self, options: list[dict[str, Any]] | dict[str, Any] | None = None) -> None:
        self._call("set_options", options)

    @override
    def close(self) -> None:
        # The process closes its environments when it sees that nobody listens.
        if self.closed:
            return
        self.closed = True
        self.link.close()
        self.process.join(self.link.close_timeout)
        self.link.kill()
        self.process.close()

    @override
    def get_images(self) -> Sequence[np.ndarray | None]:
        return self._call("get_images")  # type: ignore[no-any-return]

    @override
    def has_attr(self, attr_name: str) -> bool:
        # Asked there: an attribute need not fit through the pipe.
        return self._call("has_attr", attr_name)  # type: ignore[no-any-return]

    @override
    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        return self._call("get_attr", attr_name, indices)  # type: ignore[no-any-return]

    @override
    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        self._call("set_attr", attr_name, value, indices)

    @override
    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        return self._call("env_method", method_name, *args, indices=indices, **kwargs)  # type: ignore[no-any-return]

    @override
    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        return self._call("env_is_wrapped", wrapper_class, indices)  # type: ignore[no-any-return]

    def get_state(self) -> EnvState:
        """
        Tell where the VecEnv is.

        :return: The state of its layers
        """
        return self._call("get_state")  # type: ignore[no-any-return]

    def set_state(self, state: EnvState) -> None:
        """
        Put the VecEnv back.

        :param state: As :meth:`get_state` gave it
        :raises UsageError: If it could not be put back completely; whatever could is
        """
        problems = self._call("set_state", state)
        if problems:
            raise UsageError("; ".join(problems))

    def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """
        Call a method of the VecEnv and wait for what it returns.

        :param method: Its name
        :param args: Its positional arguments
        :param kwargs: Its keyword arguments
        :return: What it returns
        """
        self._send(method, *args, **kwargs)
        return self._receive()

    def _send(self, method: str, *args: Any, **kwargs: Any) -> None:
        """
        Ask for a call of a method of the VecEnv.

        :param method: Its name
        :param args: Its positional arguments
        :param kwargs: Its keyword arguments
        """
        if self.closed:
            raise RuntimeError(f"'{method}' was called on an environment that is closed. Make a new one.")
        self.link.drain()
        self.link.send((method, args, kwargs))

    def _receive(self) -> Any:
        """
        Wait for the answer to the last call.

        :return: What the process answers
        """
        result, error, trace = pickle.loads(self.link.recv_bytes())
        if error is not None:
            raise error from RemoteError(f"\n{trace}")
        return result


class RemoteError(Exception):
    """The cause of an error that was raised in another process: its traceback there, as text."""
