"""Lines that a fit prints with `verbose`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fei_sklearn.training.progress import Best, EpochRecord, Watcher

#: Losses that a printed line shows, where a record has them.
PRINTED_LOSSES = ("train_loss", "valid_loss", "valid_unexplained")


class ProgressPrinter:
    """Watcher that prints a line every `every` epochs, with the losses and the time left.

    Parameters
    ----------
    name : str
        Name of the estimator.
    max_epochs : int
        Maximum number of epochs of the fit.
    every : int, default=1
        Epochs from line to line; the first and the last epoch always have one.
    """

    def __init__(self, name: str, max_epochs: int, every: int = 1) -> None:
        self.name = name
        self.max_epochs = max_epochs
        self.every = every
        self.started = time.perf_counter()

    def begin(self, best: Best) -> None:
        """Do nothing."""

    def begin_epoch(self) -> None:
        """Do nothing."""

    def end_epoch(self, record: EpochRecord) -> bool:
        """Print the epoch, if it is its turn."""
        epoch = int(record["epoch"])
        is_due = epoch % self.every == 0 or epoch in (1, self.max_epochs)
        if not is_due:
            return False
        seconds_per_epoch = (time.perf_counter() - self.started) / epoch
        left = duration(seconds_per_epoch * (self.max_epochs - epoch))
        losses = "  ".join(
            f"{name} {record[name]:.4f}" for name in PRINTED_LOSSES if name in record
        )
        print(
            f"[{self.name}] epoch {epoch}/{self.max_epochs}  {losses}  "
            f"lr {record['learning_rate']:.2e}  {record['seconds']:.2f} s/epoch  "
            f"at most {left} left",
            flush=True,
        )
        return False


def printers(estimator: Any, max_epochs: int) -> list[Watcher]:
    """Return the printer of an estimator with `verbose`, and none of a silent one."""
    if not estimator.verbose:
        return []
    return [ProgressPrinter(type(estimator).__name__, max_epochs, int(estimator.verbose))]


def duration(seconds: float) -> str:
    """Return a duration in words, in its largest two units."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    if minutes:
        return f"{minutes} min {seconds:02d} s"
    return f"{seconds} s"
