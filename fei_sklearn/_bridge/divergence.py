"""Detection of values that are not finite: after training, and among embeddings."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from fei_sklearn._warnings import warn

#: Embeddings that are checked at once.
ROWS_AT_ONCE = 256


def check_converged(arrays: Iterable[np.ndarray], learning_rate: float) -> None:
    """Raise an error if weights, or what they compute on training series, are not finite.

    The losses of an epoch are those before each step, so that the last step of a run has none.

    Parameters
    ----------
    arrays : iterable of ndarray
        Weights, and outputs of the trained modules.
    learning_rate : float
        Peak learning rate of the run, for the message.

    Raises
    ------
    ValueError
        If a value is NaN or infinite.
    """
    for array in arrays:
        if not np.isfinite(array).all():
            raise ValueError(
                "Training diverged in its last steps: the trained weights give values that are "
                f"not finite. Lower learning_rate (now {learning_rate:g}), or look for extreme "
                "values in X."
            )


def warn_of_infinities(embeddings: np.ndarray) -> None:
    """Warn if embeddings of finite series are not finite.

    Parameters
    ----------
    embeddings : ndarray of shape (n_samples, n_features) or (n_samples, n_steps, n_features)
        Embeddings. Of several steps only the first is checked: later ones may be padding.
    """
    n_bad = 0
    for start in range(0, len(embeddings), ROWS_AT_ONCE):
        rows = embeddings[start : start + ROWS_AT_ONCE]
        if rows.ndim == 3:
            rows = rows[:, 0]
        n_bad += int((~np.isfinite(rows).all(axis=1)).sum())
    if n_bad:
        warn(
            f"The embeddings of {n_bad} of {len(embeddings)} series hold NaN or infinity: their "
            "values are too extreme for these weights. Compare the series with those in fit.",
            RuntimeWarning,
        )
