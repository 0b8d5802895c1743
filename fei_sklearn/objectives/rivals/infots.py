"""InfoTS: contrast of a series with a learned mixture of its augmentations.

Source: Luo, Cheng, Wang, Xu, Ni, Yu, Zhang, Liu, Chen, Chen and Zhang, "Time Series Contrastive
Learning with Information-Aware Augmentations", AAAI 2023, 37(4), 4534-4542. The mixture is learned
as in the released code, by fidelity alone. Departures: the local contrast is over all series of a
batch, rather than the first one; the mixture is learned on one batch that is kept for the run,
because the places of series in a shuffled batch cannot be learned; weights are not averaged over
the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fei_sklearn.objectives.rivals.augmentations import AUGMENTATIONS, candidates
from fei_sklearn.objectives.rivals.contrast import similarities, two_views
from fei_sklearn.objectives.rivals.latent_mask import masked_map
from fei_sklearn.objectives.rivals.rival import StepwiseRival, at_least_float32, check_one_length

N_CANDIDATES = len(AUGMENTATIONS)
#: Segments per map in the local contrast; maps of fewer steps have one segment per step.
N_SEGMENTS = 8
#: Fewest segments with a negative for each of them.
MIN_SEGMENTS = 4
#: Weight of the local contrast in the loss.
LOCAL_WEIGHT = 0.5
#: Probability that a training batch is augmented.
AUGMENTED_SHARE = 0.2
#: Optimiser steps of the encoder per step of the mixture.
META_EVERY = 2
#: Weight of the fidelity in the mixture's loss.
META_WEIGHT = 0.1
META_LEARNING_RATE = 1e-2
#: Distance of uniform draws from 0 and 1, where their logits are infinite.
LOGIT_MARGIN = 1e-4


class InfoTSLosses(NamedTuple):
    """Losses of one batch, each a 0-dim tensor."""

    loss: Tensor
    global_loss: Tensor
    local_loss: Tensor


@dataclass
class MetaLearner:
    """State of the mixture's training: a batch of series, and a classifier that identifies them.

    Attributes
    ----------
    series : Tensor of shape (n_series, n_channels, n_timepoints)
        The batch. The label of a series is its place.
    weight : Tensor of shape (n_series, width)
        Weights of the classifier.
    bias : Tensor of shape (n_series,)
        Bias of the classifier.
    optimizer : torch.optim.Optimizer
        Optimiser of the mixture and the classifier.
    views : Tensor of shape (7, n_series, n_channels, n_timepoints), or None
        Augmentations for the step that is due; None if no step is due.
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
        """Return the fidelity: the cross-entropy of identifying series from their embeddings."""
        return self._cross_entropy(z_view) + self._cross_entropy(z_series)

    def _cross_entropy(self, z: Tensor) -> Tensor:
        n_series = len(self.series)
        labels = torch.arange(n_series, device=z.device)
        logits = F.linear(z, self.weight, self.bias)
        return F.cross_entropy(logits, labels)


class InfoTSObjective(StepwiseRival):
    """Global contrast of view and series, local contrast of segments, and a learned mixture.

    Parameters
    ----------
    encoder : FEIEncoder
        The encoder; the article's local contrast needs stride 1.
    width, n_channels : int
        Ignored.
    n_timepoints : int
        Length of the series.
    similarity : {"dot", "cosine"}, default="dot"
        See :class:`fei_sklearn.objectives.rivals.rival.StepwiseRival`.
    generator : torch.Generator, default=None
        Source of the mixture's initial logits.
    """

    name = "infots"
    # state_dict holds neither the mixture's optimiser nor its series
    resumable = False

    def __init__(
        self,
        encoder: nn.Module,
        *,
        generator: torch.Generator | None = None,
        **options: Any,
    ) -> None:
        super().__init__(encoder, **options)
        logits = 0.01 * torch.randn(N_CANDIDATES, generator=generator)
        # no gradient: the mixture has an optimiser of its own, see `update_target`
        self.logits = nn.Parameter(logits, requires_grad=False)
        self.meta: MetaLearner | None = None
        self.n_steps = 0

    def forward(
        self,
        x: Tensor,
        lengths: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> InfoTSLosses:
        """Return the losses of a batch.

        In training a fifth of the batches are augmented, with a noisy mixture. In evaluation all
        batches are augmented, without noise.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_channels, n_timepoints)
            Series.
        lengths : None
            Series must have one length.
        generator : torch.Generator, default=None
            Source of all draws, on the device of `x`.

        Returns
        -------
        InfoTSLosses
            The weighted sum, and its terms.

        Raises
        ------
        ValueError
            If `lengths` are given, or if the encoder's map has fewer than 4 steps.
        """
        check_one_length(lengths, self.name)
        x = at_least_float32(x)
        view = self._view(x, generator)
        z_view = masked_map(self.encoder, view, generator)
        z_series = masked_map(self.encoder, x, generator)

        pooled_view = z_view.amax(dim=-1)
        pooled_series = z_series.amax(dim=-1)
        global_losses = two_views(pooled_view, pooled_series, kind=self.similarity)
        global_loss = global_losses.mean()

        segments = pooled_segments(z_view, generator)
        segment_similarities = similarities(segments, segments, self.similarity)
        local_loss = local_contrast(segment_similarities)

        if self.training:
            self._prepare_meta_step(x, generator)
        loss = global_loss + LOCAL_WEIGHT * local_loss
        return InfoTSLosses(loss, global_loss, local_loss)

    def _view(
        self,
        x: Tensor,
        generator: torch.Generator | None,
    ) -> Tensor:
        if not self.training:
            views = candidates(x, generator)
            return mixture(views, self.logits)
        draw = torch.rand(
            1,
            generator=generator,
            device=x.device,
        )
        if float(draw) >= AUGMENTED_SHARE:
            return x
        noise = logistic_noise(x, generator)
        views = candidates(x, generator)
        return mixture(views, self.logits + noise)

    def _prepare_meta_step(
        self,
        x: Tensor,
        generator: torch.Generator | None,
    ) -> None:
        """Draw what the mixture's next step needs, in every other call."""
        if self.meta is None:
            self.meta = self._meta_learner(x, generator)
        self.n_steps += 1
        if self.n_steps % META_EVERY == 0:
            self.meta.views = candidates(self.meta.series, generator)
            self.meta.noise = logistic_noise(x, generator)

    def _meta_learner(
        self,
        x: Tensor,
        generator: torch.Generator | None,
    ) -> MetaLearner:
        """Return a meta-learner on a batch, with torch's initial weights of a linear layer."""
        width = self.encoder.width
        bound = width**-0.5
        shape = (len(x), width + 1)
        uniform = torch.rand(
            shape,
            generator=generator,
            device=x.device,
            dtype=x.dtype,
        )
        initial = bound * (2 * uniform - 1)
        bias = initial[:, 0].clone()
        weight = initial[:, 1:].clone()
        bias.requires_grad_()
        weight.requires_grad_()
        trained = [self.logits, weight, bias]
        optimizer = torch.optim.AdamW(trained, lr=META_LEARNING_RATE)
        series = x.detach().clone()
        return MetaLearner(series, weight, bias, optimizer)

    def update_target(self, momentum: float) -> None:
        """Train the mixture for a step, if one is due; the encoder does not change.

        Parameters
        ----------
        momentum : float
            Ignored: there are no momentum copies.
        """
        meta = self.meta
        if meta is None or meta.views is None or meta.noise is None:
            return
        # evaluation mode: batch norm keeps its statistics
        self.encoder.eval()
        self.logits.requires_grad_(True)
        with torch.enable_grad():
            view = mixture(meta.views, self.logits + meta.noise)
            z_view = self.encoder(view).amax(dim=-1)
            z_series = self.encoder(meta.series).amax(dim=-1)
            loss = META_WEIGHT * meta.loss(z_view, z_series)
            trained = [self.logits, meta.weight, meta.bias]
            gradients = torch.autograd.grad(loss, trained)
            for parameter, gradient in zip(trained, gradients, strict=True):
                parameter.grad = gradient
            meta.optimizer.step()
        meta.optimizer.zero_grad()
        self.logits.requires_grad_(False)
        self.encoder.train()
        meta.views = None
        meta.noise = None


def mixture(views: Tensor, logits: Tensor) -> Tensor:
    """Return the convex mixture of views, (n_views, ...), weighted by the softmax of `logits`."""
    shares = logits.softmax(dim=0).to(views.dtype)
    ones = [1] * (views.ndim - 1)
    weighted = shares.reshape(-1, *ones) * views
    return weighted.sum(dim=0)


def logistic_noise(x: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return the logits of seven uniform draws, on the device of `x` and in its dtype."""
    uniform = torch.rand(
        N_CANDIDATES,
        generator=generator,
        device=x.device,
        dtype=x.dtype,
    )
    inner_width = 1 - 2 * LOGIT_MARGIN
    return torch.logit(LOGIT_MARGIN + inner_width * uniform)


def pooled_segments(z: Tensor, generator: torch.Generator | None) -> Tensor:
    """Return the maxima of adjacent segments of maps.

    Parameters
    ----------
    z : Tensor of shape (n_samples, width, n_steps)
        Maps, of at least 4 steps.
    generator : torch.Generator or None
        Source of the first segment's start, the same for the whole batch.

    Returns
    -------
    Tensor of shape (n_samples, n_segments, width)
        Maxima of 8 segments, or of `n_steps` segments if there are fewer than 8 steps.

    Raises
    ------
    ValueError
        If there are fewer than 4 steps.
    """
    n_samples, width, n_steps = z.shape
    if n_steps < MIN_SEGMENTS:
        raise ValueError(
            f"objective='infots' contrasts segments and needs maps of at least {MIN_SEGMENTS} "
            f"steps, got {n_steps}: use stride=1, or longer series."
        )
    n_segments = min(N_SEGMENTS, n_steps)
    size = n_steps // n_segments
    n_used = n_segments * size
    room = n_steps - n_used
    start = torch.randint(
        room + 1,
        (1,),
        generator=generator,
        device=z.device,
    )
    index = start + torch.arange(n_used, device=z.device)
    steps = z.index_select(-1, index)
    segments = steps.reshape(n_samples, width, n_segments, size)
    return segments.amax(dim=-1).mT


def local_contrast(similarity: Tensor) -> Tensor:
    """Return the mean cross-entropy of each segment's positive among its k - 3 negatives.

    Parameters
    ----------
    similarity : Tensor of shape (..., k, k)
        Similarities of the segments of a series, k at least 4.

    Returns
    -------
    Tensor
        0-dim. The positive of a segment is the next one, and the positive of the last segment is
        the one before it. Negatives are neither the segment nor its neighbours; for the two
        segments at the ends, they also exclude the next but one, so that all segments have k - 3.
    """
    k = similarity.shape[-1]
    last = k - 1
    place = torch.arange(k, device=similarity.device)
    positive = torch.where(place == last, last - 1, place + 1)
    distance = (place[:, None] - place).abs()
    allowed = distance >= 2
    allowed[0, 2] = False
    allowed[last, last - 2] = False
    allowed[place, positive] = True
    candidates_alone = similarity.masked_fill(~allowed, -torch.inf)
    rows = candidates_alone.reshape(-1, k)
    n_series = len(rows) // k
    return F.cross_entropy(rows, positive.repeat(n_series))
