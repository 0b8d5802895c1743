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
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

import cloudpickle
import numpy as np

from fei_sklearn._files import LEFTOVER_SECONDS

if TYPE_CHECKING:
    from fei_sklearn.training.progress import Best, EpochRecord, Watcher

T = TypeVar("T")

#: Weights as arrays, and their epoch.
BestArrays = tuple[dict[str, np.ndarray], int]

#: Arrays of more bytes are put into a file, which all ranks map into their memory.
MAPPED_BYTES = 2**20
#: Names of the temporary folder of a job, and of the file that is locked in it.
FOLDER_PREFIX = "fei-sklearn-job-"
LOCK = "lock"
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
        _write(job, path)
        ranks = _Ranks(path, n_ranks, n_threads)
        try:
            ranks.start()
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
        self.environment = os.environ | {
            "WORLD_SIZE": str(n_ranks),
            "LOCAL_WORLD_SIZE": str(n_ranks),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(_free_port()),
            "TORCHELASTIC_RUN_ID": "fei-sklearn",  # the engine recognises torchrun by this one
            "OMP_NUM_THREADS": str(n_threads),
            "PYTHONPATH": os.pathsep.join(os.path.abspath(entry) for entry in sys.path),
        }
        self.command = [sys.executable, "-c", f"from {__name__} import main; main()", str(path)]
        self.n_ranks = n_ranks
        self.received: queue.Queue[tuple[int, _Message]] = queue.Queue()
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
                raise self._failure(rank, message.content, remedy)
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
        """Return the error of ranks for which the others have waited in vain."""
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


# In a rank


def main() -> None:
    """Run the job, and report to the calling process.

    Standard input has the answers of the calling process, standard output is for messages to it.
    Everything else that is printed goes to standard error.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the calling process handles Ctrl-C
    path = Path(sys.argv[1])
    reporter = _Reporter(os.fdopen(os.dup(1), "wb"), path.parent)
    os.dup2(2, 1)
    is_first = os.environ["RANK"] == "0"
    try:
        with path.open("rb") as file:
            job = pickle.load(file)
        result = job(reporter if is_first else None)
        if is_first:
            reporter.send("done", result)
    except Exception as error:
        reporter.send_failure(error)
    reporter.wait_for_end()  # no rank leaves before the first is done


class _Reporter:
    """Watcher of the first rank, which reports to the calling process; others report failures."""

    def __init__(self, stream: IO[bytes], folder: Path) -> None:
        self.stream = stream
        self.folder = folder
        self.answers: queue.Queue[Any] = queue.Queue()
        self.best: Best | None = None
        threading.Thread(target=self._receive_answers, daemon=True).start()

    def _receive_answers(self) -> None:
        """Put answers into the queue; when the calling process has ended, clean up and exit."""
        with suppress(EOFError, OSError):
            while True:
                answer = pickle.load(sys.stdin.buffer)
                self.answers.put(answer)
        shutil.rmtree(self.folder, ignore_errors=True)
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


@contextmanager
def job_folder() -> Iterator[Path]:
    """Make a temporary folder for a job, locked while its process lives, and remove it afterwards.

    Folders of processes that were killed together with all of their ranks are removed, too.
    """
    remove_abandoned(Path(tempfile.gettempdir()))
    with (
        tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX, ignore_cleanup_errors=True) as name,
        open(Path(name) / LOCK, "wb") as lock,
    ):
        _take(lock)
        yield Path(name)


def remove_abandoned(parent: Path) -> None:
    """Remove the folders of jobs whose processes have ended without removing them."""
    if not hasattr(os, "getuid"):  # as on Windows
        return
    for folder in parent.glob(f"{FOLDER_PREFIX}*"):
        with suppress(OSError):
            if _is_abandoned(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    status = folder.lstat()
    # a young folder may not be locked yet
    is_young = status.st_mtime > time.time() - LEFTOVER_SECONDS
    if is_young or status.st_uid != os.getuid():
        return False
    with open(folder / LOCK, "rb") as lock:
        return _take(lock)


def _take(lock: IO[bytes]) -> bool:
    """Return whether a lock was free, and take it; it is free again when its process ends."""
    try:
        import fcntl
    except ImportError:  # as on Windows
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _write(job: object, path: Path) -> None:
    try:
        with path.open("wb") as file:
            _send(job, file, path.parent)
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(
            f"n_devices starts other processes, and their series could not be copied to "
            f"{str(path.parent)!r} ({reason}): set TMPDIR to a folder with room, fit on a memory "
            "map, or use n_devices=1."
        ) from error


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
    first_byte, end = _byte_bounds(array)
    map_begin, _ = _byte_bounds(file_map)
    place = first_byte - map_begin + file_map.offset
    offset = array.__array_interface__["data"][0] - first_byte
    layout = (array.dtype, array.shape, array.strides, offset)
    return _map_again, (file_map.filename, place, end - first_byte, *layout)


def _byte_bounds(array: np.ndarray) -> tuple[int, int]:
    """Return the addresses of an array's first byte and of the end of its last."""
    try:
        from numpy.lib.array_utils import byte_bounds
    except ImportError:  # NumPy 1
        from numpy import byte_bounds  # type: ignore[attr-defined,no-redef]
    bounds: tuple[int, int] = byte_bounds(array)
    return bounds


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
