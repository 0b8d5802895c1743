"""scikit-learn's callbacks, called at the epochs of a fit.

They came with scikit-learn 1.9; with older versions the same names do nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fei_sklearn.training.progress import Best, EpochRecord

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn < 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stand-in for scikit-learn's mixin."""

    def with_callbacks(method: Any) -> Any:
        """Return the method unchanged."""
        return method


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
        """Give callbacks the estimator that the fit would return if it stopped now.

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
        """Call the callbacks at the beginning of an epoch."""
        if self.fit is not None:
            self.epoch = self.fit.subcontext(task_name="epoch")
            self.epoch.call_on_fit_task_begin(**self.arguments)

    def end_epoch(self, record: EpochRecord) -> bool:
        """Call the callbacks at the end of an epoch, and return whether any stops the run."""
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
