"""Processes that train together, started and watched by the process that called `fit`.

Each rank is a new interpreter, which finds the others by torchrun's environment variables. The
calling process computes nothing. It passes the epochs on to the watcher of the fit, notices at once
when a rank has died, and then kills the others. No rank is left when it returns. If it is killed
itself, the ranks notice the end of their standard input, remove the copies of arrays, and exit.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from fei_sklearn._bridge import rank as rank_module
from fei_sklearn._bridge.job_file import write_job
from fei_sklearn._bridge.job_folder import job_folder
from fei_sklearn._bridge.rank import Message

if TYPE_CHECKING:
    from fei_sklearn.training.progress import EpochRecord, Watcher

T = TypeVar("T")

#: Weights as arrays, and their epoch.
BestArrays = tuple[dict[str, np.ndarray], int]

#: Code that each of the processes runs.
RANK_CODE = f"from {rank_module.__name__} import main; main()"

#: Seconds in which a killed process is looked for after another one has failed.
GRACE_SECONDS = 2.0


class ArrayWatcher(Protocol):
    """Watcher of a run in other processes, which send their weights as arrays."""

    def begin(self, best: Callable[[], BestArrays]) -> None:
        """Note that the run begins, and how to get its best weights."""

    def begin_epoch(self) -> None:
        """Note that an epoch begins."""

    def end_epoch(self, record: EpochRecord) -> bool:
        """Note the record of an epoch, and return whether to stop."""


def run_on_ranks(
    job: Callable[[Watcher | None], T],
    n_ranks: int,
    *,
    n_threads: int,
    watcher: ArrayWatcher,
    remedy: str,
) -> T:
    """Run a job in several processes at once.

    Parameters
    ----------
    job : callable
        Pickled, with the user's own code, and called in each process with a watcher, or with None
        in all processes but the first. Large arrays in the job are shared, not copied.
    n_ranks : int
        Number of processes.
    n_threads : int
        CPU threads per process.
    watcher : ArrayWatcher
        Receives in this process all that the first process's watcher receives.
    remedy : str
        Advice for the error message if a process has died.

    Returns
    -------
    object
        Result of the job in the first process.

    Raises
    ------
    ValueError
        If something in the job cannot be sent to other processes.
    RuntimeError
        If a process was killed.
    Exception
        Exception of the job, as it was raised in its process.
    """
    with job_folder() as folder:
        path = folder / "job"
        write_job(job, path)
        ranks = _Ranks(path, n_ranks, n_threads)
        try:
            ranks.start()
            result: T = ranks.follow(watcher, remedy)
            return result
        finally:  # Ctrl-C included
            ranks.end()


class _Ranks:
    """The processes, as the calling process sees them."""

    def __init__(self, path: Path, n_ranks: int, n_threads: int) -> None:
        self.environment = os.environ | {
            "WORLD_SIZE": str(n_ranks),
            "LOCAL_WORLD_SIZE": str(n_ranks),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(_free_port()),
            "TORCHELASTIC_RUN_ID": "fei-sklearn",  # the engine recognises torchrun by this one
            "OMP_NUM_THREADS": str(n_threads),
            "PYTHONPATH": os.pathsep.join(os.path.abspath(entry) for entry in sys.path),
        }
        self.command = [sys.executable, "-c", RANK_CODE, str(path)]
        self.n_ranks = n_ranks
        self.received: queue.Queue[tuple[int, Message]] = queue.Queue()
        self.processes: list[subprocess.Popen[bytes]] = []
        self.readers: list[threading.Thread] = []

    def start(self) -> None:
        """Start the processes; an error or Ctrl-C may leave some, which :meth:`end` kills."""
        for rank in range(self.n_ranks):
            process = subprocess.Popen(
                self.command,
                env=self.environment | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # signals to the caller's group are the caller's: a rank notices the caller's end
                start_new_session=True,
            )
            self.processes.append(process)
            reader = threading.Thread(
                target=self._receive, args=(rank, _pipe(process.stdout)), daemon=True
            )
            self.readers.append(reader)
            reader.start()

    def follow(self, watcher: ArrayWatcher, remedy: str) -> Any:
        """Pass messages on to a watcher, and return the result of the first rank."""
        messages = self._messages(remedy)
        message = next(messages)
        while message.kind != "done":
            if message.kind == "begin":
                watcher.begin(lambda: self._best(messages))
            elif message.kind == "begin_epoch":
                watcher.begin_epoch()
            else:
                stops = watcher.end_epoch(message.content)
                self._answer(bool(stops))
            message = next(messages)
        return message.content

    def _receive(self, rank: int, stream: IO[bytes]) -> None:
        """Put the messages of a rank into the queue, and "ended" when its stream has ended."""
        with suppress(EOFError, pickle.UnpicklingError, OSError, ValueError):
            while True:
                message = pickle.load(stream)
                self.received.put((rank, message))
        self.received.put((rank, Message("ended")))

    def _messages(self, remedy: str) -> Iterator[Message]:
        """Yield the messages of the first rank; raise if any rank fails or ends."""
        while True:
            rank, message = self.received.get()
            if message.kind == "ended":
                raise self._death(rank, remedy)
            if message.kind == "failed":
                raise self._failure(rank, message.content, remedy)
            yield message

    def _best(self, messages: Iterator[Message]) -> BestArrays:
        """Return the best weights so far of the first rank, which waits for an answer."""
        self._answer("best")
        best: BestArrays = next(messages).content
        return best

    def _answer(self, answer: object) -> None:
        stream = _pipe(self.processes[0].stdin)
        with suppress(BrokenPipeError):  # the reader thread reports its exit
            pickle.dump(answer, stream)
            stream.flush()

    def _failure(self, rank: int, error: BaseException, remedy: str) -> BaseException:
        """Return the error of a rank, or of another rank that has caused it."""
        if isinstance(error, ValueError | TypeError):
            return error
        failed = {rank}
        deadline = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < deadline:
            for number, process in enumerate(self.processes):
                was_killed = (process.poll() or 0) < 0
                if was_killed:
                    return self._death(number, remedy)
            failed |= self._failed_since()
        silent = set(range(self.n_ranks)) - failed
        if silent and _is_timeout(error):
            return self._silence(silent, remedy)
        return error

    def _failed_since(self) -> set[int]:
        """Return the ranks that have failed since the last call, after a moment."""
        failed = set()
        with suppress(queue.Empty):
            while True:
                rank, message = self.received.get(timeout=0.05)
                if message.kind in ("ended", "failed"):
                    failed.add(rank)
        return failed

    def _silence(self, silent: set[int], remedy: str) -> RuntimeError:
        """Return the error of ranks that did not answer the others in time."""
        numbers = ", ".join(map(str, sorted(silent)))
        return RuntimeError(
            f"Process {numbers} of the {self.n_ranks} that trained together, counted from 0, did "
            "not answer the others in time, and all were stopped. A process that is suspended, or "
            f"waits for its disk or its device, is the usual cause: {remedy}"
        )

    def _death(self, rank: int, remedy: str) -> RuntimeError:
        """Return the error of a rank that has ended before it was done."""
        process = self.processes[rank]
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
        code = process.returncode
        end = f"ended with code {code}"
        if code is not None and code < 0:
            end = f"was killed by {signal.Signals(-code).name}"
        return RuntimeError(
            f"Process {rank} of the {len(self.processes)} that trained together, counted from 0, "
            f"{end}, and the others were stopped: {remedy}"
        )

    def end(self) -> None:
        """Kill all processes, and wait until no process and no thread is left."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()
        for reader in self.readers:
            with suppress(RuntimeError):  # Ctrl-C came before its start
                reader.join(GRACE_SECONDS)
        for process in self.processes:
            for stream in (process.stdin, process.stdout):
                with suppress(OSError):
                    _pipe(stream).close()


def _is_timeout(error: BaseException) -> bool:
    text = str(error).lower()
    return "timed out" in text or "timeout" in text


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    """Return a process's stream, which is None only if the process was started without a pipe."""
    if stream is None:
        raise RuntimeError("A process was started without pipes for its input and output.")
    return stream


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
