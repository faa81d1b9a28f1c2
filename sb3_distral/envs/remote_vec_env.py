"""A vectorised environment in a process of its own."""

import multiprocessing
import pickle
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env import CloudpickleWrapper, VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn
from typing_extensions import override

from sb3_distral.envs.remote_process import serve
from sb3_distral.envs.state import EnvState
from sb3_distral.errors import UsageError

# Never "fork": OpenGL and threads do not survive it.
START_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
# Seconds that a process gets to close its environments before it is killed.
CLOSE_TIMEOUT = 10.0


class RemoteVecEnv(VecEnv):
    """
    A VecEnv in a process of its own, step by step equal to the same VecEnv in this process.

    Several of them side by side step at the same time. A script that makes one needs the guard
    ``if __name__ == "__main__":``, as with ``SubprocVecEnv``.

    :param make_venv: Makes the VecEnv, in the new process
    :param wait: Whether to wait until it is made; else :meth:`wait_until_made` has to be called before all other
        methods, so that several can be made at the same time
    :raises Exception: What ``make_venv`` or a method raises there; its cause is the traceback of there
    :raises RuntimeError: If the process has ended, for example because it was killed
    """

    def __init__(self, make_venv: Callable[[], VecEnv], wait: bool = True):
        context = multiprocessing.get_context(START_METHOD)
        if START_METHOD == "forkserver":
            # Imports happen once and share their memory. Not so for the main module: it may load OpenGL, and is forked.
            context.set_forkserver_preload([__name__])
        self.connection, remote = context.Pipe()
        arguments = (remote, CloudpickleWrapper(make_venv))
        self.process = context.Process(target=serve, args=arguments, daemon=True)  # type: ignore[attr-defined]
        self.closed = False
        self.pending = 1  # answers yet to come; the process begins with its spaces
        try:
            self.process.start()
            remote.close()
            if wait:
                self.wait_until_made()
        except BaseException:
            self.close()
            raise

    def wait_until_made(self) -> None:
        """Learn from the process what it has made."""
        n_envs, observation_space, action_space, metadata = self._receive()
        super().__init__(n_envs, observation_space, action_space)
        self.metadata = metadata

    @override
    def reset(self) -> VecEnvObs:
        observations, self.reset_infos = self._call("reset")
        return observations  # type: ignore[no-any-return]

    @override
    def step_async(self, actions: np.ndarray) -> None:
        self._send("step", actions)

    @override
    def step_wait(self) -> VecEnvStepReturn:
        step, self.reset_infos = self._receive()
        return step  # type: ignore[no-any-return]

    @override
    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        return self._call("seed", super().seed(seed)[0])  # type: ignore[no-any-return]

    @override
    def set_options(self, options: list[dict[str, Any]] | dict[str, Any] | None = None) -> None:
        self._call("set_options", options)

    @override
    def close(self) -> None:
        # The process closes its environments when it sees that nobody listens.
        if self.closed:
            return
        self.closed = True
        self.connection.close()
        if self.process.pid is not None:
            self.process.join(CLOSE_TIMEOUT)
            if self.process.is_alive():
                self.process.kill()
                self.process.join()
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
        while self.pending:  # nobody waited for it, because another environment failed or the user pressed Ctrl-C
            self._answer()
        try:
            self.connection.send((method, args, kwargs))
        except OSError as error:
            raise self._ended() from error
        self.pending += 1

    def _receive(self) -> Any:
        """
        Wait for the answer to the last call.

        :return: What the process answers
        """
        result, error, trace = pickle.loads(self._answer())
        if error is not None:
            raise error from RemoteError(f"\n{trace}")
        return result

    def _answer(self) -> bytes:
        """
        Wait for the next answer of the process, which counts as arrived even if it cannot be unpickled.

        :return: The answer, pickled
        """
        try:
            answer = self.connection.recv_bytes()
        except (EOFError, OSError) as end:
            raise self._ended() from end
        self.pending -= 1
        return answer

    def _ended(self) -> RuntimeError:
        """
        Describe how the process ended.

        :return: An error that says it
        """
        self.process.join(CLOSE_TIMEOUT)
        begun = hasattr(self, "num_envs")
        return RuntimeError(
            f"The process of the environments has ended by itself with exit code {self.process.exitcode} (a negative "
            "one is the signal that killed it, -9 often for want of memory); its error output says more."
            + ("" if begun else " A script that starts processes needs the guard: if __name__ == '__main__':")
        )


class RemoteError(Exception):
    """The cause of an error that was raised in another process: its traceback there, as text."""
