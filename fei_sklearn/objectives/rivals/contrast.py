"""Contrast of two views: an anchor's positive is its other view, and all else is negative."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from fei_sklearn.objectives.rivals.rival import at_least_float32


def similarities(
    a: Tensor,
    b: Tensor,
    kind: str = "dot",
    temperature: float = 1.0,
) -> Tensor:
    """Return the similarities of all rows of `a` with all rows of `b`.

    Parameters
    ----------
    a : Tensor of shape (..., n_a, width)
        Embeddings.
    b : Tensor of shape (..., n_b, width)
        Embeddings.
    kind : {"dot", "cosine"}, default="dot"
        Dot products of the rows, or of the rows at unit length.
    temperature : float, default=1.0
        Divisor of the similarities.

    Returns
    -------
    Tensor of shape (..., n_a, n_b)
        In float32 or float64: dot products of wide features overflow half precision.

    Raises
    ------
    ValueError
        If there is no such kind.
    """
    if kind not in ("dot", "cosine"):
        raise ValueError(f"similarity must be 'dot' or 'cosine', got {kind!r}.")
    with torch.autocast(a.device.type, enabled=False):
        a = at_least_float32(a)
        b = at_least_float32(b)
        if kind == "cosine":
            a = F.normalize(a, dim=-1)
            b = F.normalize(b, dim=-1)
        return a @ b.mT / temperature


def without_itself(similarity: Tensor) -> Tensor:
    """Return similarities (..., n, n_candidates) with minus infinity where candidate i is row i."""
    n_rows, n_candidates = similarity.shape[-2:]
    itself = torch.eye(
        n_rows,
        n_candidates,
        dtype=torch.bool,
        device=similarity.device,
    )
    return similarity.masked_fill(itself, -torch.inf)


def cross_entropy_rows(similarity: Tensor, positive: Tensor) -> Tensor:
    """Return the cross-entropy of each anchor's positive among all candidates but the anchor.

    Parameters
    ----------
    similarity : Tensor of shape (..., n, n_candidates)
        Similarities. Candidate i is anchor i.
    positive : Tensor of shape (n,), int64
        Index of each anchor's positive among the candidates.

    Returns
    -------
    Tensor of shape (..., n)
        ``log sum_{j != i} exp(S_ij) - S_ip``.
    """
    others = without_itself(similarity)
    leading_shape = others.shape[:-1]
    rows = others.flatten(0, -2)
    targets = positive.expand(leading_shape).flatten()
    losses = F.cross_entropy(rows, targets, reduction="none")
    return losses.reshape(leading_shape)


def two_views(
    z1: Tensor,
    z2: Tensor,
    others: Tensor | None = None,
    *,
    kind: str = "dot",
    temperature: float = 1.0,
) -> Tensor:
    """Return the cross-entropy of each of the 2 n anchors of two views.

    Parameters
    ----------
    z1, z2 : Tensor of shape (..., n, width)
        The views. Row i of one view is the positive of row i of the other.
    others : Tensor of shape (..., n_others, width), default=None
        Further negatives.
    kind, temperature
        See :func:`similarities`.

    Returns
    -------
    Tensor of shape (..., 2 n)
        One loss per anchor: first the anchors of `z1`, then those of `z2`.
    """
    anchors = torch.cat([z1, z2], dim=-2)
    candidates = anchors
    if others is not None:
        candidates = torch.cat([anchors, others], dim=-2)
    n = z1.shape[-2]
    place = torch.arange(2 * n, device=z1.device)
    positive = place.roll(n)
    similarity = similarities(anchors, candidates, kind, temperature)
    return cross_entropy_rows(similarity, positive)
