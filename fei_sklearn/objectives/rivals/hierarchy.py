"""Contrast at all temporal scales: maps are max-pooled by 2 until one step is left.

Source: Yue et al., TS2Vec, AAAI 2022; with the mixed negatives of Liu and Chen, TimesURL, AAAI
2024.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F

from fei_sklearn.objectives.rivals.contrast import two_views

#: From both views, (..., n, width), to further negatives of shape (..., n_others, width).
Negatives = Callable[[Tensor, Tensor], Tensor]


def hierarchical_contrast(
    z1: Tensor,
    z2: Tensor,
    *,
    alpha: float = 0.5,
    kind: str = "dot",
    negatives: Negatives | None = None,
) -> Tensor:
    """Mean over the scales of the contrast across series and across time.

    Parameters
    ----------
    z1, z2 : Tensor of shape (n_samples, n_steps, width)
        Maps of two views, step by step of the same time.
    alpha : float, default=0.5
        Weight of the contrast across series; that across time has the rest.
    kind : {"dot", "cosine"}, default="dot"
        Similarity.
    negatives : callable, default=None
        Source of further negatives, asked anew for each term.

    Returns
    -------
    Tensor
        0-dim. A single series has no contrast across series, a single step none across time.
    """
    total, n_levels = z1.new_zeros(()), 0
    while True:
        if len(z1) > 1:
            across_series = z1.transpose(0, 1), z2.transpose(0, 1)
            total = total + alpha * _contrast(*across_series, kind, negatives)
        n_levels += 1
        if z1.shape[1] == 1:
            return total / n_levels
        total = total + (1 - alpha) * _contrast(z1, z2, kind, negatives)
        z1, z2 = _halved(z1), _halved(z2)


def _contrast(z1: Tensor, z2: Tensor, kind: str, negatives: Negatives | None) -> Tensor:
    others = None if negatives is None else negatives(z1, z2)
    return two_views(z1, z2, others, kind=kind).mean()


def _halved(z: Tensor) -> Tensor:
    return F.max_pool1d(z.mT, 2).mT
