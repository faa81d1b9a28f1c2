"""The connection to a process that runs environments, which tells a dead or hanging one from one that works."""

import pickle
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

#: Seconds that a process gets to close its environments before it is killed.
CLOSE_TIMEOUT = 10.0
#: Seconds in which a process ends whose connection has ended.
END_TIMEOUT = 2.0


class WorkerError(RuntimeError):
    """A process of environments has ended by itself, or did not answer in time and was killed; the message names it."""


class Link:
    """
    A connection to a process that answers each message, to be used in the place of the plain one.

    :param connection: The connection
    :param process: The process at its other end
    """

    def __init__(self, connection: Connection, process: BaseProcess):
        self.connection, self.process = connection, process
        #: Tasks whose environments are there, for errors
        self.task_names: Sequence[str] = ()
        #: Seconds that an answer may take; ``None``: any time
        self.step_timeout: float | None = None
        self.close_timeout: float | None = CLOSE_TIMEOUT
        #: How often the process was started anew, and how often it may be
        self.n_restarts = self.max_restarts = 0
        #: Answers yet to come
        self.pending = 0
        self.closing = False
        #: Whether the process makes its environments, which may take longer than a step
        self.starting = False
        #: Whether an answer has begun to arrive
        self.receiving = False
        self._deadline: float | None = None

    def renew(self, connection: Connection, process: BaseProcess) -> None:
        """
        Take another process in the place of the one that has ended or hangs.

        :param connection: The connection to it
        :param process: The process, whose first answer is yet to come
        """
        self.kill()
        self.close()
        self.connection, self.process, self.pending = connection, process, 1
        self.starting = True

    def begin_to_close(self, timeout: float | None) -> None:
        """
        Take it for no error any more that the process is gone or hangs, since its environments are being closed.

        :param timeout: Seconds from now in which it answers; ``None``: any time
        """
        self.closing = True
        self._deadline = None if timeout is None else time.monotonic() + timeout

    def send(self, message: Any) -> None:
        """
        Send a message that will be answered.

        :param message: Anything that can be pickled
        :raises WorkerError: If the process has ended
        """
        try:
            self.connection.send(message)
        except ConnectionError as error:
            if self.closing:
                return
            raise self.ended() from error
        self.pending += 1

    def recv(self) -> Any:
        """
        Wait for the next answer.

        :return: The answer; ``None`` if it will not come any more because the environments are being closed
        :raises WorkerError: If the process has ended or does not answer in time
        """
        answer = self.recv_bytes()
        return pickle.loads(answer) if answer else None

    def recv_bytes(self) -> bytes:
        """
        Wait for the next answer, which counts as arrived even if it cannot be unpickled.

        :return: The answer, pickled; empty as in :meth:`recv`
        :raises WorkerError: As :meth:`recv`
        """
        try:
            self._wait()
            self.receiving = True
            answer = self.connection.recv_bytes()
        except TimeoutError:  # of the handler of a signal: nothing here raises it
            raise
        except (EOFError, OSError) as end:
            if not isinstance(end, EOFError | ConnectionError) and not wait([self.process.sentinel], END_TIMEOUT):
                raise  # likewise; of a process that ended amid an answer it would be an OSError too
            self.pending = 0
            if self.closing:
                return b""
            raise self.ended() from end
        finally:
            self.receiving = False
        self.pending -= 1
        self.starting = False
        return answer

    def _wait(self) -> None:
        # The process too: one that was forked beside others leaves them its end of the connection.
        ready = wait([self.connection, self.process.sentinel], self._seconds())
        if not ready and not self.closing:
            raise self.hanging()
        if not ready:
            self.kill()
        if self.connection not in ready and not self.connection.poll():
            raise EOFError

    def _seconds(self) -> float | None:
        if not self.closing:
            return None if self.starting else self.step_timeout
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def drain(self) -> None:
        """Wait for the answers that nobody waited for, because another process failed or the user pressed Ctrl-C."""
        while self.pending:
            self.recv_bytes()

    def poll(self, timeout: float | None = 0.0) -> bool:
        """
        Tell whether an answer, or the end of the connection, is there.

        :param timeout: Seconds to wait for one; ``None``: until there is
        :return: Whether it is
        """
        return self.connection.poll(timeout)

    @property
    def closed(self) -> bool:
        """Whether this end of the connection is closed."""
        return self.connection.closed

    def fileno(self) -> int:
        """
        Give the descriptor of the connection.

        :return: The descriptor
        """
        return self.connection.fileno()

    def close(self) -> None:
        """Close this end of the connection; what is yet to come is lost."""
        self.pending = 0
        self.connection.close()

    def kill(self) -> None:
        """End the process, whatever it does, if it has not ended."""
        with suppress(ValueError):  # forgotten after its end
            if self.process.is_alive():
                self.process.kill()
                self.process.join(END_TIMEOUT)

    def ended(self) -> WorkerError:
        """
        Describe how the process ended.

        :return: An error that says it
        """
        self.process.join(END_TIMEOUT)
        if self.process.exitcode is None:
            self.kill()
            how = "has closed its connection and was killed"
        else:
            how = f"has ended by itself with exit code {self.process.exitcode}"
        return WorkerError(
            f"The process {self._whose()} {how} (a negative exit code is the signal that killed it, -9 often for want "
            "of memory); expected it to run until its environments are closed. Look at its error output, which says "
            "more, and mend the environment or give it more memory. A script that starts processes needs the guard: "
            "if __name__ == '__main__':"
        )

    def hanging(self) -> WorkerError:
        """
        Kill a process that does not answer.

        :return: An error that says so
        """
        self.kill()
        return WorkerError(
            f"The process {self._whose()} has not answered for {self.step_timeout:g} s and was killed; expected an "
            "answer to each step, reset or call within step_timeout. Find out what its environment waits for, or set "
            "a longer step_timeout."
        )

    def _whose(self) -> str:
        names = ", ".join(f"'{name}'" for name in self.task_names)
        return f"of task{'s' if len(self.task_names) > 1 else ''} {names}" if names else "of the environments"
