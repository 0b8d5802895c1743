"""Display of a pretraining: losses, learning rate and momentum by epoch."""

from __future__ import annotations

from typing import Any

from sklearn.utils.validation import check_is_fitted

from fei_sklearn.displays._axes import LINE_STYLES, stacked_axes

#: Beginnings of the names of losses in a record.
TRAINING = "train_"
VALIDATION = "valid_"


class PretrainingDisplay:
    """Losses on training and validation series, learning rate and momentum by epoch.

    Parameters
    ----------
    history : list of dict
        One record per epoch, as in `history_` of an embedder or a fine-tuner.
    best_epoch : int
        Epoch, counted from 1, whose weights were kept.

    Attributes
    ----------
    axes_ : list of matplotlib Axes
        Losses, learning rate, and momentum where the method has one.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    See Also
    --------
    fei_sklearn.FEIEmbedder : Its `history_` is drawn.

    Examples
    --------
    >>> from sktime.datasets import load_unit_test
    >>> from fei_sklearn import FEIEmbedder
    >>> from fei_sklearn.displays import PretrainingDisplay
    >>> X, y = load_unit_test(split="train", return_type="numpy3d")
    >>> embedder = FEIEmbedder(max_epochs=2, random_state=0).fit(X)
    >>> display = PretrainingDisplay.from_estimator(embedder)
    >>> len(display.axes_)
    3
    """

    def __init__(self, history: list[dict[str, Any]], *, best_epoch: int) -> None:
        self.history = history
        self.best_epoch = best_epoch

    @classmethod
    def from_estimator(cls, estimator: Any, *, axes: Any = None) -> PretrainingDisplay:
        """Draw the history of a fitted estimator.

        Parameters
        ----------
        estimator : FEIEmbedder, FEIClassifier or FEIRegressor
            Fitted estimator.
        axes : sequence of matplotlib Axes, default=None
            Axes to draw on, one above the other. None makes a figure.

        Returns
        -------
        PretrainingDisplay
            The display.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If the estimator was not trained, such as with ``max_epochs=0``.
        """
        check_is_fitted(estimator)
        display = cls(estimator.history_, best_epoch=estimator.best_epoch_)
        return display.plot(axes=axes)

    def plot(self, *, axes: Any = None) -> PretrainingDisplay:
        """Draw the history.

        Parameters
        ----------
        axes : sequence of matplotlib Axes, default=None
            Axes to draw on, one above the other. None makes a figure.

        Returns
        -------
        PretrainingDisplay
            This display.
        """
        if not self.history:
            raise ValueError(
                "There is no epoch to draw: the estimator was not trained. Fit it with max_epochs "
                "of at least 1."
            )
        first = self.history[0]
        schedules = [name for name in ("learning_rate", "momentum") if name in first]
        self.axes_ = stacked_axes(axes, 1 + len(schedules), height=2.2, sharex=True)
        self.figure_ = self.axes_[0].figure
        self._draw_losses(self.axes_[0])
        for schedule, schedule_axes in zip(schedules, self.axes_[1:], strict=True):
            self._draw_line(schedule_axes, schedule, ".-", label=None)
            schedule_axes.set_ylabel(schedule.replace("_", " "))
        self.axes_[-1].set_xlabel("epoch")
        self.axes_[-1].xaxis.get_major_locator().set_params(integer=True)
        return self

    def _draw_losses(self, axes: Any) -> None:
        first = self.history[0]
        measured = [name for name in first if name.startswith(TRAINING) and name.endswith("loss")]
        for number, measured_name in enumerate(measured):
            name = measured_name.removeprefix(TRAINING)
            style = LINE_STYLES[number % len(LINE_STYLES)]
            title = name.replace("_", " ")
            (line,) = self._draw_line(axes, measured_name, f".{style}", label=title)
            if VALIDATION + name in first:
                self._draw_line(
                    axes,
                    VALIDATION + name,
                    f"x{style}",
                    label=f"{title}, validation",
                    color=line.get_color(),
                )
        if self.best_epoch:
            axes.axvline(self.best_epoch, color="0.5", linewidth=1, label="weights kept")
        axes.set_ylabel("loss")
        axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))

    def _draw_line(self, axes: Any, name: str, style: str, **options: Any) -> Any:
        epochs = [record["epoch"] for record in self.history]
        values = [record[name] for record in self.history]
        return axes.plot(epochs, values, style, **options)
