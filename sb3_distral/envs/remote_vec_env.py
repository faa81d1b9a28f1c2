"""A vectorised environment in a process of its own."""

import multiprocessing
import pickle
import signal
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

import gymnasium as gym
import numpy as np
from stable_baselines3.common.vec_env import CloudpickleWrapper, VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

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

    def reset(self) -> VecEnvObs:
        """
        :return: First observations
        """
        observations, self.reset_infos = self._call("reset")
        return observations  # type: ignore[no-any-return]

    def step_async(self, actions: np.ndarray) -> None:
        """
        :param actions: One action a sub-environment
        """
        self._send("step", actions)

    def step_wait(self) -> VecEnvStepReturn:
        """
        :return: As the VecEnv
        """
        step, self.reset_infos = self._receive()
        return step  # type: ignore[no-any-return]

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """
        :param seed: Sub-environment j gets seed + j
        :return: The seeds
        """
        return self._call("seed", super().seed(seed)[0])  # type: ignore[no-any-return]

    def set_options(self, options: list[dict[str, Any]] | dict[str, Any] | None = None) -> None:
        """
        :param options: Reset options, for all or for each sub-environment
        """
        self._call("set_options", options)

    def close(self) -> None:
        """End the process. It closes its environments when it sees that nobody listens."""
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

    def get_images(self) -> Sequence[np.ndarray | None]:
        """
        :return: A picture of each sub-environment
        """
        return self._call("get_images")  # type: ignore[no-any-return]

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """
        :param attr_name: Name of the attribute
        :param indices: Sub-environments, all by default
        :return: Its value in each
        """
        return self._call("get_attr", attr_name, indices)  # type: ignore[no-any-return]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """
        :param attr_name: Name of the attribute
        :param value: Its new value
        :param indices: Sub-environments, all by default
        """
        self._call("set_attr", attr_name, value, indices)

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        """
        :param method_name: Name of the method
        :param args: Its positional arguments
        :param indices: Sub-environments, all by default
        :param kwargs: Its keyword arguments
        :return: What it returns in each
        """
        return self._call("env_method", method_name, *args, indices=indices, **kwargs)  # type: ignore[no-any-return]

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """
        :param wrapper_class: A gymnasium wrapper
        :param indices: Sub-environments, all by default
        :return: Whether each is wrapped in it
        """
        return self._call("env_is_wrapped", wrapper_class, indices)  # type: ignore[no-any-return]

    def _call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """
        :param method: Method of the VecEnv
        :param args: Its positional arguments
        :param kwargs: Its keyword arguments
        :return: What it returns
        """
        self._send(method, *args, **kwargs)
        return self._receive()

    def _send(self, method: str, *args: Any, **kwargs: Any) -> None:
        """
        :param method: Method of the VecEnv
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
        :return: What the process answers
        """
        result, error, trace = pickle.loads(self._answer())
        if error is not None:
            raise error from RemoteError(f"\n{trace}")
        return result

    def _answer(self) -> bytes:
        """
        :return: The next answer of the process, which counts as arrived even if it cannot be unpickled
        """
        try:
            answer = self.connection.recv_bytes()
        except (EOFError, OSError) as end:
            raise self._ended() from end
        self.pending -= 1
        return answer

    def _ended(self) -> RuntimeError:
        """
        :return: An error that says how the process ended
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


def serve(connection: Connection, make_venv: CloudpickleWrapper) -> None:
    """
    Make a VecEnv and answer calls of its methods until nobody listens any more.

    :param connection: Where the calls come from
    :param make_venv: Makes the VecEnv
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # on Ctrl-C the other process decides
    venvs: list[VecEnv] = []

    def start() -> tuple[Any, ...]:
        venv = make_venv.var()
        venvs.append(venv)
        return venv.num_envs, venv.observation_space, venv.action_space, venv.metadata

    def call() -> Any:
        result = getattr(venvs[0], method)(*args, **kwargs)
        return (result, venvs[0].reset_infos) if method in ("reset", "step") else result

    try:
        answer(connection, start)
        while True:
            method, args, kwargs = connection.recv()
            answer(connection, call)
    except (EOFError, OSError):
        pass  # closed, or the other process is gone
    finally:
        for venv in venvs:
            venv.close()


def answer(connection: Connection, function: Callable[[], Any]) -> None:
    """
    Send the result of a function, or the error that it raised and where.

    :param connection: Where to
    :param function: What to call
    """
    try:
        message = pickle.dumps((function(), None, ""), pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        message = pickle.dumps((None, portable(error), traceback.format_exc()))
    connection.send_bytes(message)


def portable(error: Exception) -> Exception:
    """
    :param error: An error
    :return: The same, or one that says the same where it cannot be sent to another process
    """
    try:
        return pickle.loads(pickle.dumps(error))  # type: ignore[no-any-return]
    except Exception:
        return RuntimeError(repr(error))
