"""Contrast of two views: the positive of each anchor is its other view, all else is negative."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from fei_sklearn.objectives.rivals.rival import at_least_float32


def similarities(a: Tensor, b: Tensor, kind: str = "dot", temperature: float = 1.0) -> Tensor:
    """Similarities of all rows of `a` with all rows of `b`.

    Parameters
    ----------
    a, b : Tensor of shape (..., n_a, width) and (..., n_b, width)
        Embeddings.
    kind : {"dot", "cosine"}, default="dot"
        Dot products as they are, or of vectors of unit length.
    temperature : float, default=1.0
        Divisor of the similarities.

    Returns
    -------
    Tensor of shape (..., n_a, n_b)
        In float32 at least: raw dot products of wide features overflow half precision.
    """
    if kind not in ("dot", "cosine"):
        raise ValueError(f"similarity must be 'dot' or 'cosine', got {kind!r}.")
    with torch.autocast(a.device.type, enabled=False):
        a, b = at_least_float32(a), at_least_float32(b)
        if kind == "cosine":
            a, b = F.normalize(a, dim=-1), F.normalize(b, dim=-1)
        return a @ b.mT / temperature


def cross_entropy_rows(similarity: Tensor, positive: Tensor) -> Tensor:
    """Cross-entropy of each anchor's positive among all candidates but the anchor itself.

    Parameters
    ----------
    similarity : Tensor of shape (..., n, n_candidates)
        Candidate i is anchor i.
    positive : Tensor of shape (n,), int64
        The candidate that belongs to each anchor.

    Returns
    -------
    Tensor of shape (..., n)
        ``log sum_{j != i} exp(S_ij) - S_ip``.
    """
    itself = torch.eye(*similarity.shape[-2:], dtype=torch.bool, device=similarity.device)
    others = similarity.masked_fill(itself, -torch.inf)
    rows = others.reshape(-1, others.shape[-1])
    targets = positive.expand(others.shape[:-1]).reshape(-1)
    return F.cross_entropy(rows, targets, reduction="none").reshape(others.shape[:-1])


def two_views(
    z1: Tensor,
    z2: Tensor,
    others: Tensor | None = None,
    *,
    kind: str = "dot",
    temperature: float = 1.0,
) -> Tensor:
    """Cross-entropy of each of the 2 n anchors of two views.

    Parameters
    ----------
    z1, z2 : Tensor of shape (..., n, width)
        The views; row i of one is the positive of row i of the other.
    others : Tensor of shape (..., n_others, width), default=None
        Further negatives.
    kind, temperature
        As in :func:`similarities`.

    Returns
    -------
    Tensor of shape (..., 2 n)
        One loss an anchor: first those of `z1`, then those of `z2`.
    """
    anchors = torch.cat([z1, z2], dim=-2)
    candidates = anchors if others is None else torch.cat([anchors, others], dim=-2)
    n = z1.shape[-2]
    positive = torch.arange(2 * n, device=z1.device).roll(n)
    return cross_entropy_rows(similarities(anchors, candidates, kind, temperature), positive)
