"""InfoTS: contrast of a series with a learned mixture of its augmentations.

Source: Luo, Cheng, Wang, Xu, Ni, Yu, Zhang, Liu, Chen, Chen and Zhang, "Time Series Contrastive
Learning with Information-Aware Augmentations", AAAI 2023, 37(4), 4534-4542; the mixture is learned
as in the released code, by fidelity alone. Departures: the local contrast is over all series of a
batch, rather than its first; the mixture is learned on one batch that is kept for the run, so that
"which series is it" can be learned at all; weights are not averaged over the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fei_sklearn.objectives.rivals.augmentations import candidates
from fei_sklearn.objectives.rivals.contrast import similarities, two_views
from fei_sklearn.objectives.rivals.latent_mask import masked_map
from fei_sklearn.objectives.rivals.rival import StepwiseRival, at_least_float32, check_one_length

N_CANDIDATES, N_SEGMENTS = 7, 8
LOCAL_WEIGHT = 0.5
#: Chance of a batch to be augmented.
AUGMENTED_SHARE = 0.2
#: Optimiser steps from one step of the mixture to the next; its weight and learning rate.
META_EVERY, META_WEIGHT, META_LEARNING_RATE = 2, 0.1, 1e-2


class InfoTSLosses(NamedTuple):
    """Losses of one batch, each a 0-dim tensor."""

    loss: Tensor
    global_loss: Tensor
    local_loss: Tensor


@dataclass
class MetaLearner:
    """What learns the mixture: a batch of series, and a classifier of which one a view is of.

    Attributes
    ----------
    series : Tensor of shape (n_series, n_channels, n_timepoints)
        The batch.
    weight, bias : Tensor of shape (n_series, width) and (n_series,)
        The classifier.
    optimizer : torch.optim.Optimizer
        Of the mixture and the classifier.
    views : Tensor of shape (7, n_series, n_channels, n_timepoints), or None
        Augmentations for the step that is due.
    noise : Tensor of shape (7,), or None
        Noise of the mixture for that step.
    """

    series: Tensor
    weight: Tensor
    bias: Tensor
    optimizer: torch.optim.Optimizer
    views: Tensor | None = None
    noise: Tensor | None = None

    def loss(self, z_view: Tensor, z_series: Tensor) -> Tensor:
        """Fidelity: cross-entropy of which series each embedding is of."""
        labels = torch.arange(len(self.series), device=z_view.device)
        return sum(
            (
                F.cross_entropy(F.linear(z, self.weight, self.bias), labels)
                for z in (z_view, z_series)
            ),
            start=z_view.new_zeros(()),
        )


class InfoTSObjective(StepwiseRival):
    """Global contrast of view and series, local contrast of segments, and a learned mixture.

    Parameters
    ----------
    encoder : FEIEncoder
        The encoder; the article's local contrast wants stride 1.
    width, n_channels, n_timepoints : int
        Not needed here.
    similarity : {"dot", "cosine"}, default="dot"
        As in :class:`fei_sklearn.objectives.rivals.rival.StepwiseRival`.
    generator : torch.Generator, default=None
        Source of the mixture's initial logits.
    """

    name = "infots"
    resumable = False  # the mixture's optimiser and series are no part of its state_dict

    def __init__(
        self, encoder: nn.Module, *, generator: torch.Generator | None = None, **options: Any
    ) -> None:
        super().__init__(encoder, **options)
        # its own optimiser trains the mixture: see update_target
        self.logits = nn.Parameter(
            0.01 * torch.randn(N_CANDIDATES, generator=generator), requires_grad=False
        )
        self.meta: MetaLearner | None = None
        self.n_steps = 0

    def forward(
        self, x: Tensor, lengths: Tensor | None = None, *, generator: torch.Generator | None = None
    ) -> InfoTSLosses:
        """Losses of a batch of series, (n_samples, n_channels, n_timepoints).

        In training a fifth of the batches are augmented, with a noisy mixture; in evaluation all
        are, without noise. `generator` is the source of the draws, on the device of `x`.
        """
        check_one_length(lengths, "infots")
        view = x = at_least_float32(x)
        if not self.training:
            view = mixture(candidates(x, generator), self.logits)
        elif float(torch.rand(1, generator=generator, device=x.device)) < AUGMENTED_SHARE:
            noise = logistic_noise(x, generator)
            view = mixture(candidates(x, generator), self.logits + noise)
        z_view = masked_map(self.encoder, view, generator)
        z_series = masked_map(self.encoder, x, generator)
        pooled = z_view.amax(dim=-1), z_series.amax(dim=-1)
        global_loss = two_views(*pooled, kind=self.similarity).mean()
        segments = pooled_segments(z_view, generator)
        local_loss = local_contrast(similarities(segments, segments, self.similarity))
        if self.training:
            self._prepare_meta_step(x, generator)
        return InfoTSLosses(global_loss + LOCAL_WEIGHT * local_loss, global_loss, local_loss)

    def _prepare_meta_step(self, x: Tensor, generator: torch.Generator | None) -> None:
        """Draw what the mixture's next step needs, every other time."""
        if self.meta is None:
            self.meta = self._meta_learner(x, generator)
        self.n_steps += 1
        if self.n_steps % META_EVERY == 0:
            self.meta.views = candidates(self.meta.series, generator)
            self.meta.noise = logistic_noise(x, generator)

    def _meta_learner(self, x: Tensor, generator: torch.Generator | None) -> MetaLearner:
        width = self.encoder.width
        bound = width**-0.5
        shape = (len(x), width + 1)
        uniform = torch.rand(shape, generator=generator, device=x.device, dtype=x.dtype)
        drawn = bound * (2 * uniform - 1)
        weight, bias = (part.clone().requires_grad_() for part in (drawn[:, 1:], drawn[:, 0]))
        trained = [self.logits, weight, bias]
        optimizer = torch.optim.AdamW(trained, lr=META_LEARNING_RATE)
        return MetaLearner(x.detach().clone(), weight, bias, optimizer)

    def update_target(self, momentum: float) -> None:
        """Train the mixture for a step, if one is due; the encoder and its statistics stay."""
        meta = self.meta
        if meta is None or meta.views is None or meta.noise is None:
            return
        self.encoder.eval()
        self.logits.requires_grad_(True)
        with torch.enable_grad():
            view = mixture(meta.views, self.logits + meta.noise)
            pooled = [self.encoder(v).amax(dim=-1) for v in (view, meta.series)]
            loss = META_WEIGHT * meta.loss(pooled[0], pooled[1])
            trained = [self.logits, meta.weight, meta.bias]
            for parameter, gradient in zip(
                trained, torch.autograd.grad(loss, trained), strict=True
            ):
                parameter.grad = gradient
            meta.optimizer.step()
        meta.optimizer.zero_grad()
        self.logits.requires_grad_(False)
        self.encoder.train()
        meta.views = meta.noise = None


def mixture(views: Tensor, logits: Tensor) -> Tensor:
    """Convex mixture of views, (n_views, ...), with the softmax of `logits` as weights."""
    shares = logits.softmax(dim=0).to(views.dtype)
    return (shares.reshape(-1, *[1] * (views.ndim - 1)) * views).sum(dim=0)


def logistic_noise(x: Tensor, generator: torch.Generator | None) -> Tensor:
    """Logits of seven uniform draws, kept off 0 and 1."""
    uniform = torch.rand(N_CANDIDATES, generator=generator, device=x.device, dtype=x.dtype)
    return torch.logit(1e-4 + (1 - 2e-4) * uniform)


def pooled_segments(z: Tensor, generator: torch.Generator | None) -> Tensor:
    """Maxima of adjacent segments of maps.

    Parameters
    ----------
    z : Tensor of shape (n_samples, width, n_steps)
        Maps, of at least 4 steps.
    generator : torch.Generator or None
        Source of where the first segment begins, the same for the batch.

    Returns
    -------
    Tensor of shape (n_samples, n_segments, width)
        Of 8 segments, or of fewer if there are fewer steps.

    Raises
    ------
    ValueError
        If there are fewer than 4 steps.
    """
    n_steps = z.shape[-1]
    if n_steps < 4:
        raise ValueError(
            f"objective='infots' contrasts segments and needs maps of at least 4 steps, got "
            f"{n_steps}: use stride=1, or longer series."
        )
    n_segments = min(N_SEGMENTS, n_steps)
    size = n_steps // n_segments
    room = n_steps - n_segments * size
    start = torch.randint(room + 1, (1,), generator=generator, device=z.device)
    index = start + torch.arange(n_segments * size, device=z.device)
    segments = z.index_select(-1, index).reshape(*z.shape[:2], n_segments, size)
    return segments.amax(dim=-1).mT


def local_contrast(similarity: Tensor) -> Tensor:
    """Mean cross-entropy of each segment's next one among the segments that are not near.

    Parameters
    ----------
    similarity : Tensor of shape (..., k, k)
        Similarities of the segments of a series, k at least 4.

    Returns
    -------
    Tensor
        0-dim. The positive of the last segment is the one before it; negatives are all but a
        segment and its neighbours, and for the two at the ends the next but one, so that each has
        k - 3.
    """
    k = similarity.shape[-1]
    place = torch.arange(k, device=similarity.device)
    positive = torch.where(place == k - 1, k - 2, place + 1)
    allowed = (place[:, None] - place).abs() >= 2
    allowed[0, 2] = allowed[k - 1, k - 3] = False
    allowed[place, positive] = True
    rows = similarity.masked_fill(~allowed, -torch.inf).reshape(-1, k)
    return F.cross_entropy(rows, positive.repeat(len(rows) // k))
