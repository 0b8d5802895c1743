"""Processes that train together, started and watched by the process that called `fit`.

Each rank is a new interpreter, which finds the others by torchrun's environment variables. The
calling process computes nothing. It passes the epochs on to the watcher of the fit, notices at once
when a rank has died, and then kills the others. No rank is left when it returns.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import cloudpickle
import numpy as np

if TYPE_CHECKING:
    from fei_sklearn.training.progress import Best, EpochRecord, Watcher

T = TypeVar("T")

#: Weights as arrays, and their epoch.
BestArrays = tuple[dict[str, np.ndarray], int]

#: Arrays of more bytes are put into a file, which all ranks map into their memory.
MAPPED_BYTES = 2**20
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
    with tempfile.TemporaryDirectory(prefix="fei-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "job"
        with path.open("wb") as file:
            _send(job, file, Path(folder))
        ranks = _Ranks(path, n_ranks, n_threads)
        try:
            result: T = ranks.follow(watcher, remedy)
            return result
        finally:  # Ctrl-C included
            ranks.end()


class _Message(NamedTuple):
    """Message of a rank to the calling process."""

    kind: str
    content: Any = None


class _Ranks:
    """The processes, as the calling process sees them."""

    def __init__(self, path: Path, n_ranks: int, n_threads: int) -> None:
        common = os.environ | {
            "WORLD_SIZE": str(n_ranks),
            "LOCAL_WORLD_SIZE": str(n_ranks),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(_free_port()),
            "TORCHELASTIC_RUN_ID": "fei-sklearn",  # the engine recognises torchrun by this one
            "OMP_NUM_THREADS": str(n_threads),
            "PYTHONPATH": os.pathsep.join(os.path.abspath(entry) for entry in sys.path),
        }
        command = [sys.executable, "-c", f"from {__name__} import main; main()", str(path)]
        self.received: queue.Queue[tuple[int, _Message]] = queue.Queue()
        self.processes: list[subprocess.Popen[bytes]] = []
        for rank in range(n_ranks):
            process = subprocess.Popen(
                command,
                env=common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            self.processes.append(process)
            reader = threading.Thread(
                target=self._receive, args=(rank, _pipe(process.stdout)), daemon=True
            )
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
                message = _Message(*pickle.load(stream))
                self.received.put((rank, message))
        self.received.put((rank, _Message("ended")))

    def _messages(self, remedy: str) -> Iterator[_Message]:
        """Yield the messages of the first rank; raise if any rank fails or ends."""
        while True:
            rank, message = self.received.get()
            if message.kind == "ended":
                raise self._death(rank, remedy)
            if message.kind == "failed":
                raise self._failure(message.content, remedy)
            yield message

    def _best(self, messages: Iterator[_Message]) -> BestArrays:
        """Return the best weights so far of the first rank, which waits for an answer."""
        self._answer("best")
        best: BestArrays = next(messages).content
        return best

    def _answer(self, answer: object) -> None:
        stream = _pipe(self.processes[0].stdin)
        with suppress(BrokenPipeError):  # the reader thread reports its exit
            pickle.dump(answer, stream)
            stream.flush()

    def _failure(self, error: BaseException, remedy: str) -> BaseException:
        """Return the error of a rank, or of another rank whose death has caused it."""
        is_its_own = isinstance(error, ValueError | TypeError)
        deadline = time.monotonic() + GRACE_SECONDS
        while not is_its_own and time.monotonic() < deadline:
            for rank, process in enumerate(self.processes):
                was_killed = (process.poll() or 0) < 0
                if was_killed:
                    return self._death(rank, remedy)
            time.sleep(0.05)
        return error

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
        """Kill all processes, and wait until none is left."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()
            for stream in (process.stdin, process.stdout):
                with suppress(OSError):
                    _pipe(stream).close()


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    """Return a process's stream, which is None only if the process was started without a pipe."""
    if stream is None:
        raise RuntimeError("A process was started without pipes for its input and output.")
    return stream


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


# In a rank


def main() -> None:
    """Run the job, and report to the calling process.

    Standard input has the answers of the calling process, standard output is for messages to it.
    Everything else that is printed goes to standard error.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the calling process handles Ctrl-C
    reporter = _Reporter(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)
    is_first = os.environ["RANK"] == "0"
    try:
        with open(sys.argv[1], "rb") as file:
            job = pickle.load(file)
        result = job(reporter if is_first else None)
        if is_first:
            reporter.send("done", result)
    except Exception as error:
        reporter.send_failure(error)
    reporter.wait_for_end()  # no rank leaves before the first is done


class _Reporter:
    """Watcher of the first rank, which reports to the calling process; others report failures."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.answers: queue.Queue[Any] = queue.Queue()
        self.best: Best | None = None
        threading.Thread(target=self._receive_answers, daemon=True).start()

    def _receive_answers(self) -> None:
        """Put answers into the queue, and exit when the calling process has ended."""
        with suppress(EOFError, OSError):
            while True:
                answer = pickle.load(sys.stdin.buffer)
                self.answers.put(answer)
        os._exit(1)

    def wait_for_end(self) -> None:
        """Wait until the calling process kills this one."""
        threading.Event().wait()

    def send(self, kind: str, content: object = None) -> None:
        """Send a message."""
        message = pickle.dumps((kind, content))
        self.stream.write(message)
        self.stream.flush()

    def send_failure(self, error: Exception) -> None:
        """Send an exception, with a note of where it was raised."""
        error.add_note(traceback.format_exc())
        try:
            self.send("failed", error)
        except (pickle.PicklingError, TypeError, AttributeError):
            self.send("failed", RuntimeError(f"{type(error).__name__}: {error}"))

    def begin(self, best: Best) -> None:
        """Report that the run begins."""
        self.best = best
        self.send("begin")

    def begin_epoch(self) -> None:
        """Report that an epoch begins."""
        self.send("begin_epoch")

    def end_epoch(self, record: EpochRecord) -> bool:
        """Report the record of an epoch, and return whether to stop."""
        self.send("end_epoch", record)
        answer = self.answers.get()
        while answer == "best":
            self._send_best()
            answer = self.answers.get()
        return bool(answer)

    def _send_best(self) -> None:
        if self.best is None:
            raise RuntimeError("The run has no weights yet: it must begin first.")
        weights, epoch = self.best()
        arrays = {name: tensor.cpu().numpy() for name, tensor in weights.items()}
        self.send("best", (arrays, epoch))


# Arrays that are shared


def _send(job: object, file: IO[bytes], folder: Path) -> None:
    try:
        _Pickler(file, folder).dump(job)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise ValueError(
            "n_devices starts other processes, and part of their work cannot be sent to them "
            f"({error}): use n_devices=1, an array or a memory map, or start them with torchrun."
        ) from error


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Pickler that sends arrays by file: those in a file by its name, large ones in a new file."""

    def __init__(self, file: IO[bytes], folder: Path) -> None:
        super().__init__(file)
        self.folder = folder
        self.n_files = 0

    def reducer_override(self, obj: Any) -> Any:
        """Return how to pickle an object."""
        if type(obj).__module__.startswith("h5py.") and hasattr(obj, "chunks"):
            return _open_hdf5, (obj.file.filename, obj.name)
        if type(obj) not in (np.ndarray, np.memmap) or obj.dtype.hasobject:
            return super().reducer_override(obj)
        file_map = _file_map(obj)
        if file_map is not None:
            return _reduce_map(obj, file_map)
        if obj.nbytes <= MAPPED_BYTES:
            return super().reducer_override(obj)
        self.n_files += 1
        path = self.folder / f"{self.n_files}.npy"
        np.save(path, obj)
        return np.load, (path, "c")  # copy on write: torch warns of arrays that are read-only


def _file_map(array: np.ndarray) -> np.memmap | None:
    """Return the memory map of a whole file that an array is a view of, or None."""
    found = None
    owner: Any = array
    while isinstance(owner, np.ndarray):
        if isinstance(owner, np.memmap):
            found = owner
        owner = owner.base
    if found is None or found.filename is None:
        return None
    return found


def _reduce_map(array: np.ndarray, file_map: np.memmap) -> Any:
    """Return how to pickle a view of a memory map: by file, place and layout."""
    first_byte, end = np.lib.array_utils.byte_bounds(array)
    map_begin, _ = np.lib.array_utils.byte_bounds(file_map)
    place = first_byte - map_begin + file_map.offset
    offset = array.__array_interface__["data"][0] - first_byte
    layout = (array.dtype, array.shape, array.strides, offset)
    return _map_again, (file_map.filename, place, end - first_byte, *layout)


def _map_again(
    path: str,
    place: int,
    n_bytes: int,
    dtype: np.dtype,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    offset: int,
) -> np.ndarray:
    raw = np.memmap(path, np.uint8, "c", place, (n_bytes,))
    view: np.ndarray = np.ndarray(shape, dtype, raw, offset, strides)
    return view


def _open_hdf5(path: str, name: str) -> Any:
    import h5py

    return h5py.File(path, "r")[name]
