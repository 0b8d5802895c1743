"""FEI's objective: infer embeddings of masked series, and infer the masks.

With ``z`` the projected embedding of a series, ``t`` that of its target series under the momentum
copies, ``p`` the prompt of the mask and ``sg`` a stop-gradient::

    loss = MSE(h_e(z + sg(p)), sg(t)) + MSE(h_m(sg(t) - sg(z)), p)

Source: Fu and Hu, AAAI 2025, section "Method".
"""

from __future__ import annotations

import copy
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fei_sklearn.batch_statistics import variance
from fei_sklearn.encoder.layers import initialise
from fei_sklearn.encoder.maps import feature_maps
from fei_sklearn.masking import (
    MaskKind,
    apply_mask,
    check_mask_kind,
    check_mask_ratio,
    n_positions,
    sample_mask,
)
from fei_sklearn.objectives.base import PretrainingObjective
from fei_sklearn.readout.pooling import pool


class FEILosses(NamedTuple):
    """Losses of one batch, each a 0-dim tensor.

    `unexplained` is the share of the variance, of the target embeddings and of the prompts, that
    the two branches leave unexplained, averaged over both. Unlike the loss it does not reward
    collapse: embeddings that hardly differ make the loss small, but not their share.
    """

    loss: Tensor
    embedding_loss: Tensor
    mask_loss: Tensor
    unexplained: Tensor


class Inference(NamedTuple):
    """Both branches' inferences beside what they infer, each (n_samples, n_targets, d)."""

    target: Tensor
    inferred_target: Tensor
    prompt: Tensor
    inferred_prompt: Tensor


class FEIObjective(PretrainingObjective):
    """Frequency-masked Embedding Inference, as one module whose forward is its loss.

    Parameters
    ----------
    encoder : torch.nn.Module
        From (n_samples, n_channels, n_timepoints) to (n_samples, width, n_steps). It is trained in
        place; its copy is the target encoder.
    width : int
        Features D that the encoder gives, at least 4.
    n_timepoints : int
        Reference length L: the prompts stand at the frequencies ``k / L``. Series of other lengths
        look them up by frequency, between two prompts by linear interpolation.
    mask_ratio : float or pair of float, default=(0.0, 0.7)
        Share of the positions that a mask removes; a number r means (0, r).
    mask_kind : {"discrete", "continuous", "temporal"}, default="discrete"
        See :func:`fei_sklearn.masking.sample_mask`.
    n_targets : int, default=1
        Target series for each series of a batch.
    generator : torch.Generator, default=None
        Source of the initial weights of the heads and of the prompts, on the CPU.

    References
    ----------
    Fu and Hu, AAAI 2025, equations (1) to (9) and figure 2.
    """

    monitor = "unexplained"
    mean_over_series = True
    options = ("mask_ratio", "mask_kind", "n_targets")
    momentum_copies = MappingProxyType(
        {"target_encoder": "encoder", "target_projector": "projector"}
    )
    #: Weights of the two branches, embedding inference and mask inference, in the loss.
    branch_weights = (1.0, 1.0)

    def __init__(
        self,
        encoder: nn.Module,
        *,
        width: int,
        n_timepoints: int,
        mask_ratio: float | tuple[float, float] = (0.0, 0.7),
        mask_kind: MaskKind = "discrete",
        n_targets: int = 1,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.n_timepoints, self.n_targets = n_timepoints, n_targets
        self.mask_ratio, self.mask_kind = check_mask_ratio(mask_ratio), check_mask_kind(mask_kind)
        subspace = self._subspace_width(width)
        self.encoder = encoder
        self.target_encoder = copy.deepcopy(encoder).requires_grad_(False)
        with torch.device("meta"):
            self.projector = self._projector(width)
            self.embedding_predictor = _predictor(subspace)
            self.mask_predictor = _predictor(subspace)
        for head in (self.projector, self.embedding_predictor, self.mask_predictor):
            initialise(head.to_empty(device="cpu"), generator)
        self.target_projector = copy.deepcopy(self.projector).requires_grad_(False)
        n_prompts = int(n_positions(n_timepoints, mask_kind))
        self.prompts = nn.Parameter(torch.randn((n_prompts, subspace), generator=generator))

    def forward(
        self,
        x: Tensor,
        lengths: Tensor | None = None,
        *,
        masks: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> FEILosses:
        """Losses of a batch.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_channels, n_timepoints)
            Series, zero on padding.
        lengths : Tensor of shape (n_samples,), default=None
            Time points of each series, where they differ.
        masks : Tensor of shape (n_samples, n_targets, n_positions), default=None
            1 where a mask keeps. None draws them anew.
        generator : torch.Generator, default=None
            Source of the masks, on the device of `x`.

        Returns
        -------
        FEILosses
            The sum, its two terms, and the unexplained share.
        """
        if masks is None:
            masks = self.sample_masks(x, lengths, generator)
        inference = self.infer(x, masks, lengths)
        embedding_loss = F.mse_loss(inference.inferred_target, inference.target)
        mask_loss = F.mse_loss(inference.inferred_prompt, inference.prompt)
        shares = _share(embedding_loss, inference.target), _share(mask_loss, inference.prompt)
        loss = self._over_branches(embedding_loss, mask_loss)
        unexplained = self._over_branches(*shares) / sum(self.branch_weights)
        return FEILosses(loss, embedding_loss, mask_loss, unexplained)

    def _over_branches(self, of_embedding: Tensor, of_mask: Tensor) -> Tensor:
        weights = self.branch_weights
        return weights[0] * of_embedding + weights[1] * of_mask

    def sample_masks(
        self, x: Tensor, lengths: Tensor | None, generator: torch.Generator | None
    ) -> Tensor:
        """Masks for a batch, of shape (n_samples, n_targets, n_positions)."""
        return sample_mask(
            len(x),
            n_positions(x.shape[-1] if lengths is None else lengths, self.mask_kind),
            self.mask_ratio,
            self.mask_kind,
            n_targets=self.n_targets,
            generator=generator,
            device=x.device,
        )

    def infer(self, x: Tensor, masks: Tensor, lengths: Tensor | None = None) -> Inference:
        """Both branches on a batch, with the stop-gradients of the paper."""
        # targets first: what they free, the kept maps of the encoder take; the other way round,
        # memory went back to the system in each step, and a sixteenth of the time with it
        targets = self.embed_targets(apply_mask(x, masks, self.mask_kind, lengths=lengths), lengths)
        embedded = self.projector(_embed(self.encoder, x, lengths))[:, None]
        prompt = self.mask_prompt(masks, x.shape[-1] if lengths is None else lengths)
        return Inference(
            target=targets,
            inferred_target=self.embedding_predictor(self._prompted(embedded, prompt)),
            prompt=prompt,
            inferred_prompt=self.mask_predictor(self._difference(targets, embedded)),
        )

    @staticmethod
    def _subspace_width(width: int) -> int:
        return width // 2

    @staticmethod
    def _projector(width: int) -> nn.Module:
        return nn.Linear(width, width // 2)

    @staticmethod
    def _prompted(embedded: Tensor, prompt: Tensor) -> Tensor:
        """What embedding inference sees, of shape (n_samples, n_targets, d)."""
        return embedded + prompt.detach()

    @staticmethod
    def _difference(targets: Tensor, embedded: Tensor) -> Tensor:
        """What mask inference sees, of shape (n_samples, n_targets, d)."""
        return targets - embedded.detach()

    @torch.no_grad()
    def embed_targets(self, targets: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Projected embeddings of target series under the momentum copies, without gradient.

        Each of the `n_targets` passes on its own, so that batch norm sees one target a series.
        """
        embeddings = [_embed(self.target_encoder, t, lengths) for t in targets.unbind(dim=1)]
        return torch.stack([self.target_projector(e) for e in embeddings], dim=1)

    def mask_prompt(self, masks: Tensor, n_timepoints: int | Tensor | None = None) -> Tensor:
        """Prompt of each mask: the sum of the removed prompts over the root of their number.

        Parameters
        ----------
        masks : Tensor of shape (n_samples, n_targets, n_positions)
            1 where a mask keeps.
        n_timepoints : int or Tensor of shape (n_samples,), default=None
            Length of the series; None means the reference length.

        Returns
        -------
        Tensor of shape (n_samples, n_targets, d)
            ``(1 - m) @ P / (sqrt(sum(1 - m)) + 1e-6)``.
        """
        removed = 1.0 - masks.to(self.prompts.dtype)
        n_removed = removed.sum(dim=-1, keepdim=True)
        if n_timepoints is not None and not _equals(n_timepoints, self.n_timepoints):
            removed = self._on_reference_positions(removed, n_timepoints)
        return removed @ self.prompts / (n_removed.sqrt() + 1e-6)

    def _on_reference_positions(self, removed: Tensor, n_timepoints: int | Tensor) -> Tensor:
        """Share each removed position between its two neighbours among the prompts' positions."""
        n_prompts = len(self.prompts)
        lengths = torch.as_tensor(n_timepoints, device=removed.device, dtype=torch.float64)
        position = torch.arange(removed.shape[-1], device=removed.device, dtype=torch.float64)
        if self.mask_kind == "temporal":  # by share of the series' duration
            scale = (self.n_timepoints - 1) / (lengths - 1).clamp(min=1)
        else:  # by frequency in cycles per time point, k / L
            scale = self.n_timepoints / lengths
        place = (position * scale.reshape(-1, 1)).clamp(max=n_prompts - 1)
        lower = place.floor().clamp(max=max(n_prompts - 2, 0))
        weight = (place - lower).to(removed.dtype)
        below = lower.long()[:, None].expand(removed.shape)
        above = (below + 1).clamp(max=n_prompts - 1)
        shared = removed.new_zeros((*removed.shape[:-1], n_prompts))
        shared.scatter_add_(-1, below, removed * (1.0 - weight)[:, None])
        return shared.scatter_add_(-1, above, removed * weight[:, None])

    @torch.no_grad()
    def update_target(self, momentum: float) -> None:
        """Move the momentum copies: ``momentum * copy + (1 - momentum) * online``.

        Parameters only; the copies' batch-norm statistics are their own.
        """
        copied: list[Tensor] = [
            *self.target_encoder.parameters(),
            *self.target_projector.parameters(),
        ]
        online: list[Tensor] = [*self.encoder.parameters(), *self.projector.parameters()]
        torch._foreach_lerp_(copied, online, 1.0 - momentum)


def _share(loss: Tensor, truth: Tensor) -> Tensor:
    return loss.detach() / (variance(truth.detach()).mean() + 1e-12)


def _predictor(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, width // 2), nn.GELU(), nn.Linear(width // 2, width))


def _embed(encoder: nn.Module, x: Tensor, lengths: Tensor | None) -> Tensor:
    return pool(*feature_maps(encoder, x, lengths)[-1])


def _equals(n_timepoints: int | Tensor, reference: int) -> bool:
    return isinstance(n_timepoints, int) and n_timepoints == reference
