"""Contrast at all temporal scales: maps are max-pooled by 2 until one step is left.

Source: Yue et al., TS2Vec, AAAI 2022. The mixed negatives are from Liu and Chen, TimesURL, AAAI
2024.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn import functional as F

from fei_sklearn.objectives.rivals.contrast import two_views

#: Function from both views, (..., n, width), to further negatives of shape (..., n_others, width).
Negatives = Callable[[Tensor, Tensor], Tensor]


def hierarchical_contrast(
    z1: Tensor,
    z2: Tensor,
    *,
    alpha: float = 0.5,
    kind: str = "dot",
    negatives: Negatives | None = None,
) -> Tensor:
    """Return the mean over the scales of the contrast across series and across time.

    Parameters
    ----------
    z1, z2 : Tensor of shape (n_samples, n_steps, width)
        Maps of two views. Step i of both maps is centred at the same time.
    alpha : float, default=0.5
        Weight of the contrast across series; the contrast across time has the weight ``1 - alpha``.
    kind : {"dot", "cosine"}, default="dot"
        Similarity.
    negatives : callable, default=None
        Function from two views (..., n, width) to further negatives (..., n_others, width). It is
        called once per term.

    Returns
    -------
    Tensor
        0-dim. A batch of one series has no contrast across series, and one step has no contrast
        across time.
    """
    total = z1.new_zeros(())
    n_scales = 0
    while True:
        n_scales += 1
        n_samples, n_steps, _ = z1.shape
        if n_samples > 1:
            steps1 = z1.transpose(0, 1)
            steps2 = z2.transpose(0, 1)
            across_series = _contrast(steps1, steps2, kind, negatives)
            total = total + alpha * across_series
        if n_steps == 1:
            return total / n_scales
        across_time = _contrast(z1, z2, kind, negatives)
        total = total + (1 - alpha) * across_time
        z1 = _halved(z1)
        z2 = _halved(z2)


def _contrast(
    z1: Tensor,
    z2: Tensor,
    kind: str,
    negatives: Negatives | None,
) -> Tensor:
    others = None
    if negatives is not None:
        others = negatives(z1, z2)
    losses = two_views(z1, z2, others, kind=kind)
    return losses.mean()


def _halved(z: Tensor) -> Tensor:
    return F.max_pool1d(z.mT, 2).mT
