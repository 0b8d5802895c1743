"""Processes that train together, started and watched by the one that called `fit`.

Each rank is a new interpreter, which is told of the others as torchrun tells it. The caller's
process computes nothing: it passes the epochs on to whoever follows the fit, notices at once when a
rank has died, and ends the others. Nothing of them is left when it goes on.
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
from typing import IO, Any

import cloudpickle
import numpy as np

#: Arrays of more bytes are put into a file, which all ranks map into their memory.
MAPPED_BYTES = 2**20
#: Seconds in which the process that was killed is looked for, once another has failed.
GRACE_SECONDS = 2.0

#: Called in each rank with a watcher in the first, and None in the others.
Job = Callable[[Any], Any]


def run_on_ranks(job: Job, n_ranks: int, *, n_threads: int, watcher: Any, remedy: str) -> Any:
    """Run a job in several processes at once.

    Parameters
    ----------
    job : callable
        Pickled, code of the user's own included, and called in each process. It takes a watcher, or
        None in all processes but the first. Large arrays in it are shared, not copied.
    n_ranks : int
        Number of processes.
    n_threads : int
        CPU threads of each.
    watcher : Watcher
        What the first process's watcher hears, this one hears as well.
    remedy : str
        What to do when a process has died, for the error.

    Returns
    -------
    object
        What the job gave in the first process.

    Raises
    ------
    ValueError
        If something in the job cannot be handed to other processes.
    RuntimeError
        If a process was killed.
    Exception
        Of the job, as it was raised there.
    """
    with tempfile.TemporaryDirectory(prefix="fei-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "job"
        with path.open("wb") as file:
            _send(job, file, Path(folder))
        ranks = _Ranks(path, n_ranks, n_threads)
        try:
            return ranks.follow(watcher, remedy)
        finally:  # Ctrl-C included
            ranks.end()


class _Ranks:
    """The processes, as their parent sees them."""

    def __init__(self, path: Path, n_ranks: int, n_threads: int) -> None:
        common = os.environ | {
            "WORLD_SIZE": str(n_ranks),
            "LOCAL_WORLD_SIZE": str(n_ranks),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(_free_port()),
            "TORCHELASTIC_RUN_ID": "fei-sklearn",  # by which the engine knows torchrun's variables
            "OMP_NUM_THREADS": str(n_threads),
            "PYTHONPATH": os.pathsep.join(os.path.abspath(entry) for entry in sys.path),
        }
        command = [sys.executable, "-c", f"from {__name__} import main; main()", str(path)]
        self.heard: queue.Queue[tuple[int, str, Any]] = queue.Queue()
        self.processes: list[subprocess.Popen[bytes]] = []
        for rank in range(n_ranks):
            env = common | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            pipe = subprocess.PIPE
            process = subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe)
            self.processes.append(process)
            threading.Thread(target=self._hear, args=(rank, process.stdout), daemon=True).start()

    def follow(self, watcher: Any, remedy: str) -> Any:
        """Pass on what the first rank tells, until it is done or one of them has failed."""
        told = self._told(remedy)
        for what, about in told:
            if what == "done":
                return about
            if what == "begin":
                watcher.begin(lambda: self._best(told))
            elif what == "begin_epoch":
                watcher.begin_epoch()
            else:
                self._answer(bool(watcher.end_epoch(about)))

    def _hear(self, rank: int, stream: IO[bytes]) -> None:
        with suppress(EOFError, pickle.UnpicklingError, OSError, ValueError):
            while True:
                self.heard.put((rank, *pickle.load(stream)))
        self.heard.put((rank, "ended", None))

    def _told(self, remedy: str) -> Iterator[tuple[str, Any]]:
        """What the first rank tells. Raises what has failed in any of them."""
        while True:
            rank, what, about = self.heard.get()
            if what == "ended":
                raise self._death(rank, remedy)
            if what == "failed":
                raise self._failure(about, remedy)
            yield what, about

    def _best(self, told: Iterator[tuple[str, Any]]) -> Any:
        """The best weights so far, of the first rank while it waits for an answer."""
        self._answer("best")
        return next(told)[1]

    def _answer(self, answer: Any) -> None:
        stream = self.processes[0].stdin
        assert stream is not None
        with suppress(BrokenPipeError):  # of its end we shall hear
            pickle.dump(answer, stream)
            stream.flush()

    def _failure(self, error: BaseException, remedy: str) -> BaseException:
        """What a rank raised, unless that was because another was killed."""
        deadline = time.monotonic() + GRACE_SECONDS
        while not isinstance(error, ValueError | TypeError) and time.monotonic() < deadline:
            for rank, process in enumerate(self.processes):
                if (process.poll() or 0) < 0:
                    return self._death(rank, remedy)
            time.sleep(0.05)
        return error

    def _death(self, rank: int, remedy: str) -> RuntimeError:
        with suppress(subprocess.TimeoutExpired):
            self.processes[rank].wait(GRACE_SECONDS)
        code = self.processes[rank].returncode
        how = f"ended with code {code}"
        if code is not None and code < 0:
            how = f"was killed by {signal.Signals(-code).name}"
        return RuntimeError(
            f"Process {rank} of the {len(self.processes)} that trained together, from 0, {how}, "
            f"and the others were ended: {remedy}"
        )

    def end(self) -> None:
        """End all processes, and wait until none of them is left."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()
            for stream in (process.stdin, process.stdout):
                assert stream is not None
                with suppress(OSError):
                    stream.close()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


# In a rank


def main() -> None:
    """Do the job, and tell the parent. On standard input are its answers, on output what it hears.

    What else is printed goes to standard error.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's
    teller = _Teller(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)
    is_first = os.environ["RANK"] == "0"
    try:
        with open(sys.argv[1], "rb") as file:
            job = pickle.load(file)
        result = job(teller if is_first else None)
        if is_first:
            teller.tell("done", result)
    except Exception as error:
        teller.tell_failure(error)
    teller.ended.wait()  # no rank leaves before the first is done


class _Teller:
    """The first rank's watcher, which tells the parent; in the others, it tells of failures."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream, self.ended = stream, threading.Event()
        self.answers: queue.Queue[Any] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        """Take in the parent's answers; and end this process when there is no parent any more."""
        with suppress(EOFError, OSError):
            while True:
                self.answers.put(pickle.load(sys.stdin.buffer))
        os._exit(1)

    def tell(self, what: str, about: Any = None) -> None:
        """Send a message."""
        self.stream.write(pickle.dumps((what, about)))
        self.stream.flush()

    def tell_failure(self, error: Exception) -> None:
        """Send an exception, with where it was raised."""
        error.add_note(traceback.format_exc())
        try:
            self.tell("failed", error)
        except (pickle.PicklingError, TypeError, AttributeError):
            self.tell("failed", RuntimeError(f"{type(error).__name__}: {error}"))

    def begin(self, best: Callable[[], tuple[dict[str, Any], int]]) -> None:
        """Tell that the run begins."""
        self.best = best
        self.tell("begin")

    def begin_epoch(self) -> None:
        """Tell that an epoch begins."""
        self.tell("begin_epoch")

    def end_epoch(self, record: dict[str, float]) -> bool:
        """Tell what an epoch gave, and hear whether to stop."""
        self.tell("end_epoch", record)
        while (answer := self.answers.get()) == "best":
            weights, epoch = self.best()
            self.tell("best", ({k: v.cpu().numpy() for k, v in weights.items()}, epoch))
        return bool(answer)


# Arrays that are shared


def _send(job: Job, file: IO[bytes], folder: Path) -> None:
    try:
        _Pickler(file, folder).dump(job)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise ValueError(
            f"n_devices starts other processes, and what they work on cannot be handed to them "
            f"({error}): use n_devices=1, an array or a memory map, or start them with torchrun."
        ) from error


class _Pickler(cloudpickle.Pickler):
    """Pickles arrays by file: those of a memory map or HDF5 by their own, large ones by a new."""

    def __init__(self, file: IO[bytes], folder: Path) -> None:
        super().__init__(file)
        self.folder, self.n_files = folder, 0

    def reducer_override(self, obj: Any) -> Any:
        """How to pickle an object."""
        if type(obj).__module__.startswith("h5py.") and hasattr(obj, "chunks"):
            return _open_hdf5, (obj.file.filename, obj.name)
        if type(obj) not in (np.ndarray, np.memmap) or obj.dtype.hasobject:
            return super().reducer_override(obj)
        file_map = _file_map(obj)
        if file_map is not None:
            return _in_file(obj, file_map)
        if obj.nbytes <= MAPPED_BYTES:
            return super().reducer_override(obj)
        self.n_files += 1
        path = self.folder / f"{self.n_files}.npy"
        np.save(path, obj)
        return np.load, (path, "c")  # copy on write: torch warns of arrays that are read-only


def _file_map(array: np.ndarray) -> np.memmap | None:
    """The memory map of the whole file that an array is a view of, if it is one."""
    found, owner = None, array
    while isinstance(owner, np.ndarray):
        found = owner if isinstance(owner, np.memmap) else found
        owner = owner.base  # type: ignore[assignment]
    return found if found is not None and found.filename is not None else None


def _in_file(array: np.ndarray, file_map: np.memmap) -> Any:
    low, high = np.lib.array_utils.byte_bounds(array)
    place = low - np.lib.array_utils.byte_bounds(file_map)[0] + file_map.offset
    first = array.__array_interface__["data"][0] - low
    about = (array.dtype, array.shape, array.strides, first)
    return _map_again, (file_map.filename, place, high - low, *about)


def _map_again(
    path: str,
    place: int,
    n_bytes: int,
    dtype: np.dtype,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    first: int,
) -> np.ndarray:
    raw = np.memmap(path, np.uint8, "c", place, (n_bytes,))
    view: np.ndarray = np.ndarray(shape, dtype, raw, first, strides)
    return view


def _open_hdf5(path: str, name: str) -> Any:
    import h5py

    return h5py.File(path, "r")[name]
