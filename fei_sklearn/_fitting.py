"""Who follows a fit: scikit-learn's callbacks, and a line a epoch for `verbose`.

scikit-learn's callbacks came with 1.9; on older releases the same names do nothing.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from fei_sklearn.training.progress import Best, EpochRecord, Watcher

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn < 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in for scikit-learn's mixin."""

    def with_callbacks(method: Any) -> Any:
        """Return the method unchanged."""
        return method


Method = TypeVar("Method", bound=Callable[..., Any])


def all_or_nothing(method: Method) -> Method:
    """Undo what a method did to its estimator's attributes when it raises, Ctrl-C included.

    Attributes are put back, not copied: the method may bind new objects to them, not change the
    old ones in place.
    """

    @functools.wraps(method)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = dict(vars(self))
        try:
            return method(self, *args, **kwargs)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    return guarded  # type: ignore[return-value]


class EpochCallbacks:
    """Pass the epochs of a fit on to the estimator's callbacks.

    Parameters
    ----------
    estimator : estimator
        With callback support or, on older scikit-learn, without.
    max_epochs : int
        Most epochs of the fit.
    X : array-like
        What `fit` was given.
    """

    def __init__(self, estimator: Any, max_epochs: int, X: Any) -> None:
        self.told = {"estimator": estimator, "X": X}
        self.records: list[EpochRecord] = []
        self.attributes: Callable[..., dict[str, Any]] | None = None
        self.best: Best | None = None
        self.fit: Any = None
        if hasattr(estimator, "_init_callback_context"):
            self.fit = estimator._init_callback_context(max_subtasks=max_epochs)
            self.fit.call_on_fit_task_begin(**self.told)

    def follow(self, attributes: Callable[..., dict[str, Any]]) -> None:
        """Take from here what the estimator's attributes would be if the fit stopped now.

        Parameters
        ----------
        attributes : callable
            From the records so far, the best weights and their epoch to the fitted attributes.
            Called only where a callback asks for a fitted estimator.
        """
        self.attributes = attributes

    def begin(self, best: Best) -> None:
        """Keep how to get at the best weights."""
        self.best = best

    def begin_epoch(self) -> None:
        """Tell that an epoch begins."""
        if self.fit is not None:
            self.epoch = self.fit.subcontext(task_name="epoch")
            self.epoch.call_on_fit_task_begin(**self.told)

    def end_epoch(self, record: EpochRecord) -> bool:
        """Tell that an epoch ended; True if a callback asks to stop."""
        self.records.append(record)
        return self.fit is not None and self._end(self.epoch)

    def end(self) -> None:
        """Tell that the fit ended."""
        if self.fit is not None:
            self._end(self.fit)

    def _end(self, task: Any) -> bool:
        attributes, best = self.attributes, self.best
        lazily = None
        if attributes is not None and best is not None:
            lazily = lambda: attributes(self.records, *best())  # noqa: E731
        stop: bool = task.call_on_fit_task_end(**self.told, reconstruction_attributes=lazily)
        return stop


class ProgressPrinter:
    """Print a line every `every` epochs, with the losses and the time left.

    Parameters
    ----------
    name : str
        What is being fitted.
    max_epochs : int
        Most epochs of the fit.
    every : int, default=1
        Epochs from line to line; the first and the last have one.
    """

    def __init__(self, name: str, max_epochs: int, every: int = 1) -> None:
        self.name, self.max_epochs, self.every = name, max_epochs, every
        self.started = time.perf_counter()

    def begin(self, best: Best) -> None:
        """Do nothing."""

    def begin_epoch(self) -> None:
        """Do nothing."""

    def end_epoch(self, record: EpochRecord) -> bool:
        """Print the epoch."""
        epoch = int(record["epoch"])
        if epoch % self.every and epoch not in (1, self.max_epochs):
            return False
        left = (time.perf_counter() - self.started) / epoch * (self.max_epochs - epoch)
        losses = "  ".join(
            f"{key} {record[key]:.4f}"
            for key in ("train_loss", "valid_loss", "valid_unexplained")
            if key in record
        )
        print(
            f"[{self.name}] epoch {epoch}/{self.max_epochs}  {losses}  "
            f"lr {record['learning_rate']:.2e}  {record['seconds']:.2f} s/epoch  "
            f"at most {_duration(left)} left",
            flush=True,
        )
        return False


def printers(estimator: Any, max_epochs: int | None = None) -> list[Watcher]:
    """The printer that an estimator's `verbose` asks for, if any; of so many epochs at most."""
    if not estimator.verbose:
        return []
    name, every = type(estimator).__name__, int(estimator.verbose)
    return [ProgressPrinter(name, max_epochs or estimator._most_epochs, every)]


class Watchers:
    """Several watchers as one."""

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        self.watchers = watchers

    def begin(self, best: Best) -> None:
        """Tell all of them."""
        for watcher in self.watchers:
            watcher.begin(best)

    def begin_epoch(self) -> None:
        """Tell all of them."""
        for watcher in self.watchers:
            watcher.begin_epoch()

    def end_epoch(self, record: EpochRecord) -> bool:
        """Tell all of them; True if any asks to stop."""
        return any([watcher.end_epoch(record) for watcher in self.watchers])


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {seconds:02d} s" if minutes else f"{seconds} s"
