"""One of the processes that train together, a rank, as it runs.

:mod:`fei_sklearn._bridge.processes` starts the ranks and follows what they report.
"""

from __future__ import annotations

import os
import pickle
import queue
import shutil
import signal
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from fei_sklearn.training.progress import Best, EpochRecord


class Message(NamedTuple):
    """Message of a rank to the calling process.

    Attributes
    ----------
    kind : {"begin", "begin_epoch", "end_epoch", "best", "done", "failed", "ended"}
        Call of the watcher that the first rank passes on, or "best" with the best weights, "done"
        with the result of the job, or "failed" with an exception. A rank that has ended sends
        nothing: the thread that reads its messages adds "ended".
    content : object, default=None
        Record, weights, result or exception.
    """

    kind: str
    content: Any = None


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
        message = pickle.dumps(Message(kind, content))
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
