"""What runs in the process of a :class:`~sb3_distral.envs.remote_vec_env.RemoteVecEnv`."""

import pickle
import signal
import traceback
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from typing import Any

from stable_baselines3.common.vec_env import CloudpickleWrapper, VecEnv

from sb3_distral.envs.state import env_state, put_back

# What is asked about the VecEnv with all of its wrappers, and is no method of it.
STATE_FUNCTIONS: dict[str, Callable[..., Any]] = {"get_state": env_state, "set_state": put_back}


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
        function = (
            partial(STATE_FUNCTIONS[method], venvs[0]) if method in STATE_FUNCTIONS else getattr(venvs[0], method)
        )
        result = function(*args, **kwargs)
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
    Make an error fit to be sent to another process.

    :param error: An error
    :return: The same, or one that says the same where it cannot be pickled
    """
    try:
        return pickle.loads(pickle.dumps(error))  # type: ignore[no-any-return]
    except Exception:
        return RuntimeError(repr(error))
