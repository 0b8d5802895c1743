"""Display of relevance: which stretches of a series speak for a class."""

from __future__ import annotations

from typing import Any

import numpy as np

from fei_sklearn.displays._axes import stacked_axes

#: Share of a series that a window hides, if the user names no length.
WINDOW_SHARE = 0.1


def relevance_of(
    model: Any, series: np.ndarray, *, target: Any = None, window: int | None = None
) -> np.ndarray:
    """Return how much a model's output for a series falls when a stretch is hidden.

    Each window is replaced by the straight line between the values at its ends, which hides its
    shape without a jump. The relevance of a time point is the mean fall over the windows that cover
    the point.

    Parameters
    ----------
    model : estimator
        Fitted classifier or regressor of panels, such as a pipeline of an embedder and a linear
        head.
    series : ndarray of shape (n_channels, n_timepoints)
        The series.
    target : object, default=None
        Class whose output counts. Regressors need none.
    window : int, default=None
        Time points that a window hides, at least 3. None hides a tenth of the series.

    Returns
    -------
    ndarray of shape (n_timepoints,)
        Relevance, in units of the model's output.

    Raises
    ------
    ValueError
        If the window is longer than the series or shorter than 3, the model has no such class, or
        it is a regressor of several targets.
    """
    n_timepoints = series.shape[-1]
    if window is None:
        window = max(round(WINDOW_SHARE * n_timepoints), 3)
    if not 3 <= window <= n_timepoints:
        raise ValueError(
            f"window must be from 3 to the {n_timepoints} time points of the series, got {window}."
        )
    step = max(window // 4, 1)
    starts = np.arange(0, n_timepoints - window + 1, step)
    starts = np.unique([*starts, n_timepoints - window])
    panel = np.repeat(series[np.newaxis], len(starts) + 1, axis=0)
    for hidden, start in zip(panel[1:], starts, strict=True):
        stretch = slice(start, start + window)
        ends = hidden[:, [start, start + window - 1]]
        hidden[:, stretch] = np.linspace(ends[:, 0], ends[:, 1], window, axis=1)
    outputs = _outputs(model, panel, target)
    falls = outputs[0] - outputs[1:]
    total = np.zeros(n_timepoints)
    count = np.zeros(n_timepoints)
    for fall, start in zip(falls, starts, strict=True):
        total[start : start + window] += fall
        count[start : start + window] += 1
    return total / count


def output_name(model: Any) -> str:
    """Return the name of the output whose fall is the relevance."""
    if not hasattr(model, "classes_"):
        return "prediction"
    if hasattr(model, "decision_function"):
        return "decision function"
    return "probability"


def _as_in_fit(model: Any, panel: np.ndarray) -> np.ndarray:
    """Return a 3-D panel as a 2-D one if a model was fitted on 2-D panels of its length."""
    _, n_channels, n_timepoints = panel.shape
    if n_channels == 1 and getattr(model, "n_features_in_", None) == n_timepoints:
        return panel[:, 0]
    return panel


def _outputs(model: Any, panel: np.ndarray, target: Any) -> np.ndarray:
    """Return a model's output for one class, or the output of a regressor."""
    panel = _as_in_fit(model, panel)
    if not hasattr(model, "classes_"):
        outputs = np.asarray(model.predict(panel), dtype=np.float64)
        if outputs.size != len(panel):
            raise ValueError(
                f"The model has {outputs[0].size} outputs, and relevance needs a single one: give "
                "a model of one target."
            )
        return outputs.ravel()
    classes = list(model.classes_)
    if target not in classes:
        raise ValueError(f"target must be one of the classes {classes}, got {target!r}.")
    column = classes.index(target)
    if hasattr(model, "decision_function"):
        decision = np.asarray(model.decision_function(panel), dtype=np.float64)
        if decision.ndim == 1:
            sign = 2 * column - 1
            return sign * decision
        return decision[:, column]
    return np.asarray(model.predict_proba(panel), dtype=np.float64)[:, column]


class RelevanceDisplay:
    """Relevance of the stretches of a series for a class, by hiding one after the other.

    Parameters
    ----------
    series : ndarray of shape (n_channels, n_timepoints)
        The series.
    relevance : ndarray of shape (n_timepoints,)
        Relevance of each time point: how much the output falls when its surroundings are hidden.
    title : str, default=""
        What the relevance speaks for.
    unit : str, default="output"
        Name of the output whose fall is the relevance.

    Attributes
    ----------
    axes_ : list of matplotlib Axes
        The series, and its relevance.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    See Also
    --------
    fei_sklearn.displays.EmbeddingDisplay : Embeddings of whole series.

    Examples
    --------
    >>> from sklearn.linear_model import RidgeClassifier
    >>> from sklearn.pipeline import make_pipeline
    >>> from sktime.datasets import load_unit_test
    >>> from fei_sklearn import FEIEmbedder
    >>> from fei_sklearn.displays import RelevanceDisplay
    >>> X, y = load_unit_test(split="train", return_type="numpy3d")
    >>> model = make_pipeline(FEIEmbedder(pretrained="default"), RidgeClassifier(1e3)).fit(X, y)
    >>> RelevanceDisplay.from_estimator(model, X[0]).relevance.shape
    (24,)
    """

    def __init__(
        self,
        series: np.ndarray,
        relevance: np.ndarray,
        *,
        title: str = "",
        unit: str = "output",
    ) -> None:
        self.series = series
        self.relevance = relevance
        self.title = title
        self.unit = unit

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        series: Any,
        *,
        target: Any = None,
        window: int | None = None,
        axes: Any = None,
    ) -> RelevanceDisplay:
        """Compute the relevance of a series under a model, and draw it.

        Parameters
        ----------
        estimator : estimator
            Fitted classifier or regressor of 2-D or 3-D panels, such as a pipeline of an embedder
            and a linear head, or a fine-tuner.
        series : array-like of shape (n_channels, n_timepoints) or (n_timepoints,)
            The series.
        target : object, default=None
            Class whose output counts. None takes the class that the model predicts, or the only
            output of a regressor.
        window : int, default=None
            Time points that a window hides, at least 3. None hides a tenth of the series.
        axes : sequence of two matplotlib Axes, default=None
            Axes to draw on, one above the other. None makes a figure.

        Returns
        -------
        RelevanceDisplay
            The display.

        Raises
        ------
        ValueError
            If the series has another shape, the window is longer than the series or shorter than 3,
            the model has no such class, or it is a regressor of several targets.
        """
        values = np.atleast_2d(np.asarray(series, dtype=np.float64))
        if values.ndim != 2:
            raise ValueError(
                f"series must have the shape (n_channels, n_timepoints), got {values.shape}: give "
                "one series, such as X[0]."
            )
        if target is None and hasattr(estimator, "classes_"):
            panel = _as_in_fit(estimator, values[np.newaxis])
            target = estimator.predict(panel)[0]
        relevance = relevance_of(estimator, values, target=target, window=window)
        title = "output" if target is None else f"class {target}"
        unit = output_name(estimator)
        return cls(values, relevance, title=title, unit=unit).plot(axes=axes)

    def plot(self, *, axes: Any = None) -> RelevanceDisplay:
        """Draw the series above its relevance.

        Parameters
        ----------
        axes : sequence of two matplotlib Axes, default=None
            Axes to draw on, one above the other. None makes a figure.

        Returns
        -------
        RelevanceDisplay
            This display.
        """
        self.axes_ = stacked_axes(axes, 2, height=1.9, sharex=True)
        above, below = self.axes_
        self.figure_ = above.figure
        above.plot(self.series.T)
        above.set_ylabel("series")
        time = np.arange(len(self.relevance))
        below.fill_between(time, self.relevance, step="mid", alpha=0.6)
        below.axhline(0, color="0.5", linewidth=1)
        below.set_xlabel("time point")
        below.set_ylabel(f"relevance for {self.title}:\nfall of {self.unit}")
        return self
