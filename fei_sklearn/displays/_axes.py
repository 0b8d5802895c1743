"""Axes to draw on, and markers that differ without colour."""

from __future__ import annotations

from typing import Any

#: Markers of points, in the order of their groups.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")

#: Styles of lines, in the order of their groups.
LINE_STYLES = ("-", "--", ":", "-.")


def pyplot() -> Any:
    """Return ``matplotlib.pyplot``.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        raise ImportError(
            'Displays need matplotlib: pip install "fei-sklearn[plot]", or pip install matplotlib.'
        ) from None
    return plt


def own_axes(ax: Any) -> Any:
    """Return the axes that the user gave, or those of a new figure."""
    if ax is not None:
        return ax
    _, new_axes = pyplot().subplots(layout="constrained")
    return new_axes


def stacked_axes(axes: Any, n_rows: int, *, height: float, sharex: bool = False) -> list[Any]:
    """Return axes one above the other: the user's, or those of a new figure.

    Parameters
    ----------
    axes : sequence of Axes or None
        The user's axes.
    n_rows : int
        Number of axes.
    height : float
        Height of each of the new axes, in inches.
    sharex : bool, default=False
        Whether the new axes share their horizontal axis.

    Returns
    -------
    list of Axes
        The axes, from top to bottom.

    Raises
    ------
    ValueError
        If the user gave another number of axes.
    """
    if axes is None:
        _, new_axes = pyplot().subplots(
            n_rows,
            squeeze=False,
            sharex=sharex,
            figsize=(6.4, height * n_rows),
            layout="constrained",
        )
        return list(new_axes[:, 0])
    given = list(axes)
    if len(given) != n_rows:
        raise ValueError(f"axes must be {n_rows} axes, one above the other, got {len(given)}.")
    return given
