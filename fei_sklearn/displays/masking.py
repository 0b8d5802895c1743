"""Display of a mask: a series, its spectrum, what a mask removes, and the target series."""

from __future__ import annotations

from typing import Any

import numpy as np

from fei_sklearn.displays._axes import stacked_axes

#: Share of the largest amplitude below which the axis of amplitudes is linear.
SMALL_AMPLITUDE = 1e-3


class MaskingDisplay:
    """A series, its spectrum with the removed frequencies, and the target series.

    Parameters
    ----------
    series : ndarray of shape (n_timepoints,)
        The series.
    mask : ndarray of shape (n_positions,), bool
        True where the mask keeps: frequencies, or time points of a temporal mask.
    target : ndarray of shape (n_timepoints,)
        The series after the mask.
    mask_kind : {"discrete", "continuous", "temporal"}, default="discrete"
        Kind of mask.

    Attributes
    ----------
    axes_ : list of matplotlib Axes
        Series, spectrum or mask over time, and target series.
    figure_ : matplotlib Figure
        Figure that contains the axes.

    See Also
    --------
    fei_sklearn.masking.sample_mask : Draws the masks.

    References
    ----------
    Fu and Hu, AAAI 2025, figure 1.

    Examples
    --------
    >>> import numpy as np
    >>> from fei_sklearn import FEIEmbedder
    >>> from fei_sklearn.displays import MaskingDisplay
    >>> series = np.sin(np.arange(64) / 5)
    >>> display = MaskingDisplay.from_estimator(FEIEmbedder(mask_ratio=0.5), series)
    >>> display.mask.shape
    (33,)
    """

    def __init__(
        self,
        series: np.ndarray,
        mask: np.ndarray,
        target: np.ndarray,
        *,
        mask_kind: str = "discrete",
    ) -> None:
        self.series = series
        self.mask = mask
        self.target = target
        self.mask_kind = mask_kind

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        series: Any,
        *,
        random_state: int = 0,
        axes: Any = None,
    ) -> MaskingDisplay:
        """Draw a mask as an embedder draws its masks, and what it makes of a series.

        Parameters
        ----------
        estimator : FEIEmbedder
            Embedder, fitted or not. Only its `mask_ratio` and `mask_kind` are used.
        series : array-like of shape (n_timepoints,)
            One channel of a series, without missing values.
        random_state : int, default=0
            Seed of the mask.
        axes : sequence of three matplotlib Axes, default=None
            Axes to draw on, one above the other. None makes a figure.

        Returns
        -------
        MaskingDisplay
            The display.

        Raises
        ------
        ValueError
            If the series has another shape or a missing value.
        """
        from fei_sklearn._bridge.inferring import mask_and_target

        values = np.asarray(series, dtype=np.float64)
        if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
            raise ValueError(
                "series must be a one-dimensional array of at least 2 finite values, got an array "
                f"of shape {values.shape}: give one channel, such as X[0, 0]."
            )
        mask, target = mask_and_target(
            values, estimator.mask_ratio, estimator.mask_kind, random_state
        )
        display = cls(values, mask, target, mask_kind=estimator.mask_kind)
        return display.plot(axes=axes)

    def plot(self, *, axes: Any = None) -> MaskingDisplay:
        """Draw series, mask and target series.

        Parameters
        ----------
        axes : sequence of three matplotlib Axes, default=None
            Axes to draw on, one above the other. None makes a figure.

        Returns
        -------
        MaskingDisplay
            This display.
        """
        self.axes_ = stacked_axes(axes, 3, height=1.7)
        above, middle, below = self.axes_
        self.figure_ = above.figure
        above.plot(self.series)
        above.set_ylabel("series")
        if self.mask_kind == "temporal":
            self._draw_times(middle)
        else:
            self._draw_spectrum(middle)
        below.plot(self.series, ":", color="0.6", label="series")
        below.plot(self.target, label="target series")
        below.set_xlabel("time point")
        below.set_ylabel("target series")
        below.legend(fontsize="small")
        return self

    def _draw_spectrum(self, axes: Any) -> None:
        amplitude = np.abs(np.fft.rfft(self.series))
        frequency = np.fft.rfftfreq(len(self.series))
        for kept, marker, label in ((True, "o", "kept"), (False, "x", "removed")):
            chosen = self.mask == kept
            axes.plot(frequency[chosen], amplitude[chosen], marker, markersize=4, label=label)
        axes.set_yscale("symlog", linthresh=max(amplitude.max() * SMALL_AMPLITUDE, 1e-12))
        axes.set_xlabel("frequency, cycles per time point")
        axes.set_ylabel("amplitude")
        axes.legend(fontsize="small")

    def _draw_times(self, axes: Any) -> None:
        time = np.arange(len(self.series))
        for kept, marker, label in ((True, "o", "kept"), (False, "x", "removed")):
            chosen = self.mask == kept
            axes.plot(time[chosen], self.series[chosen], marker, markersize=4, label=label)
        axes.set_xlabel("time point")
        axes.set_ylabel("series")
        axes.legend(fontsize="small")
