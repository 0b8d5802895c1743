"""Around a fit: rollback when it fails, scikit-learn's callbacks, and the lines of `verbose`.

scikit-learn's callbacks came with version 1.9; with older versions the same names do nothing.
"""

from __future__ import annotations

import copy
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
        """Stand-in for scikit-learn's mixin."""

    def with_callbacks(method: Any) -> Any:
        """Return the method unchanged."""
        return method


Method = TypeVar("Method", bound=Callable[..., Any])
Estimator = TypeVar("Estimator")

#: Losses that a printed line shows, where a record has them.
PRINTED_LOSSES = ("train_loss", "valid_loss", "valid_unexplained")


def all_or_nothing(method: Method) -> Method:
    """Let a method change an estimator as a whole, at its end, or not at all if it raises.

    The method works on a twin, whose attributes then become the estimator's in one assignment:
    another thread that predicts meanwhile sees the older state or the newer one. The method may
    assign new objects to attributes, but not change the old ones in place.
    """

    @functools.wraps(method)
    def guarded(self: Any, *args: Any, **kwargs: Any) -> Any:
        working = twin(self)
        result = method(working, *args, **kwargs)
        self.__dict__ = vars(working)
        if result is working:
            return self
        return result

    return guarded  # type: ignore[return-value]


def twin(estimator: Estimator) -> Estimator:
    """Return another estimator with the same attributes, which are not copied.

    A method that reads several fitted attributes reads them from a twin, because a fit in another
    thread may replace them in between.
    """
    other = object.__new__(type(estimator))
    vars(other).update(vars(estimator))
    return other


class EpochCallbacks:
    """Watcher that calls an estimator's callbacks.

    Parameters
    ----------
    estimator : estimator
        Estimator with callbacks; on older scikit-learn, or without callbacks, nothing is called.
    max_epochs : int
        Maximum number of epochs of the fit.
    X : array-like
        The argument of `fit`.
    keep : callable, default=None
        Sets the fitted attributes of an estimator from the outcome of a fit. With None callbacks
        get no fitted estimator.
    """

    def __init__(
        self,
        estimator: Any,
        max_epochs: int,
        X: Any,
        keep: Callable[[Any, Any], None] | None = None,
    ) -> None:
        self.estimator = estimator
        self.arguments = {"estimator": estimator, "X": X}
        self.keep = keep
        self.records: list[EpochRecord] = []
        self.outcome_so_far: Callable[..., Any] | None = None
        self.best: Best | None = None
        self.fit: Any = None
        self.epoch: Any = None
        if hasattr(estimator, "_init_callback_context"):
            self.fit = estimator._init_callback_context(max_subtasks=max_epochs)
            self.fit.call_on_fit_task_begin(**self.arguments)

    def follow(self, outcome_so_far: Callable[..., Any]) -> None:
        """Let callbacks have the estimator as it would be if the fit stopped now.

        Parameters
        ----------
        outcome_so_far : callable
            From the records so far, the best weights and their epoch to the outcome of the fit.
            Called only where a callback takes a fitted estimator.
        """
        self.outcome_so_far = outcome_so_far

    def begin(self, best: Best) -> None:
        """Keep the function that returns the best weights."""
        self.best = best

    def begin_epoch(self) -> None:
        """Call the callbacks at the begin of an epoch."""
        if self.fit is not None:
            self.epoch = self.fit.subcontext(task_name="epoch")
            self.epoch.call_on_fit_task_begin(**self.arguments)

    def end_epoch(self, record: EpochRecord) -> bool:
        """Call the callbacks at the end of an epoch, and return whether one asks to stop."""
        self.records.append(record)
        if self.fit is None:
            return False
        return self._end_task(self.epoch)

    def end(self) -> None:
        """Call the callbacks at the end of the fit."""
        if self.fit is not None:
            self._end_task(self.fit)

    def _end_task(self, task: Any) -> bool:
        stops: bool = task.call_on_fit_task_end(
            **self.arguments, reconstruction_attributes=self._attributes_so_far()
        )
        return stops

    def _attributes_so_far(self) -> Callable[[], dict[str, Any]] | None:
        """Return a function that returns the fitted attributes, or None before training begins."""
        keep = self.keep
        outcome_so_far = self.outcome_so_far
        best = self.best
        if keep is None or outcome_so_far is None or best is None:
            return None

        def attributes_so_far() -> dict[str, Any]:
            weights, epoch = best()
            stopped = copy.copy(self.estimator)
            keep(stopped, outcome_so_far(self.records, weights, epoch))
            return _fitted_attributes(stopped)

        return attributes_so_far


def _fitted_attributes(estimator: Any) -> dict[str, Any]:
    """Return the fitted attributes of an estimator by name."""
    return {
        name: value
        for name, value in vars(estimator).items()
        if name.endswith("_") and not name.startswith("_")
    }


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


class Watchers:
    """Several watchers as one."""

    def __init__(self, watchers: Sequence[Watcher]) -> None:
        self.watchers = watchers

    def begin(self, best: Best) -> None:
        """Pass on to each watcher that the run begins."""
        for watcher in self.watchers:
            watcher.begin(best)

    def begin_epoch(self) -> None:
        """Pass on to each watcher that an epoch begins."""
        for watcher in self.watchers:
            watcher.begin_epoch()

    def end_epoch(self, record: EpochRecord) -> bool:
        """Pass the record on to each watcher, and return whether one asks to stop."""
        answers = [watcher.end_epoch(record) for watcher in self.watchers]
        return any(answers)


def duration(seconds: float) -> str:
    """Return a duration in words, in its largest two units."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    if minutes:
        return f"{minutes} min {seconds:02d} s"
    return f"{seconds} s"
