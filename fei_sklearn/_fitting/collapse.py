"""Warning of a collapse: all series have nearly the same embedding."""

from __future__ import annotations

from fei_sklearn._warnings import warn

#: Relative deviation of the embeddings below which `fit` warns.
COLLAPSE_DEVIATION = 1e-4


class CollapseWarning(UserWarning):
    """Warning that all series have nearly the same embedding after pretraining."""


def warn_of_collapse(relative_deviation: float) -> None:
    """Warn if the embeddings of the training series hardly deviate from their mean."""
    if relative_deviation < COLLAPSE_DEVIATION:
        warn(
            f"The embeddings of the training series differ by {relative_deviation:.1e} of their "
            "size only: pretraining collapsed. Lower learning_rate or max_epochs, or raise "
            "mask_ratio.",
            CollapseWarning,
        )
