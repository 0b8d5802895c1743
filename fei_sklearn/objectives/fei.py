"""FEI's objective: infer embeddings of masked series, and infer the masks.

Notation: ``z`` is the projected embedding of a series, ``t`` the projected embedding of its target
series under the momentum copies, ``p`` the prompt of the mask, and ``sg`` a stop-gradient::

    loss = MSE(h_e(z + sg(p)), sg(t)) + MSE(h_m(sg(t) - sg(z)), p)

Source: Fu and Hu, AAAI 2025, section "Method".
"""

from __future__ import annotations

import copy
from types import MappingProxyType
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fei_sklearn.encoder.batch_statistics import variance
from fei_sklearn.masking import (
    MaskKind,
    MaskRatio,
    apply_mask,
    check_mask_kind,
    check_mask_ratio,
    n_positions,
    sample_mask,
)
from fei_sklearn.objectives.base import PretrainingObjective
from fei_sklearn.objectives.networks import mean_embedding, seeded_module


class FEILosses(NamedTuple):
    """Losses of one batch, each a 0-dim tensor.

    `unexplained` is the mean of two shares: how much of the variance of the target embeddings, and
    how much of the variance of the prompts, the two branches leave unexplained. Unlike the loss it
    does not reward collapse: embeddings that hardly differ have a small loss, but a large share.
    """

    loss: Tensor
    embedding_loss: Tensor
    mask_loss: Tensor
    unexplained: Tensor


class Inference(NamedTuple):
    """Inferences of both branches and their targets, each (n_samples, n_targets, d)."""

    target: Tensor
    inferred_target: Tensor
    prompt: Tensor
    inferred_prompt: Tensor


class FEIObjective(PretrainingObjective):
    """Frequency-masked Embedding Inference.

    Parameters
    ----------
    encoder : torch.nn.Module
        From (n_samples, n_channels, n_timepoints) to (n_samples, width, n_steps). The objective
        trains this module in place, and copies it for the target encoder.
    width : int
        Number of features D of the encoder, at least 4.
    n_timepoints : int
        Reference length L: the prompts belong to the frequencies ``k / L``. The prompt of a
        frequency between two of them, which series of other lengths have, is interpolated linearly.
    mask_ratio : float or pair of float, default=(0.0, 0.7)
        Lowest and highest share of the positions that a mask removes; a number r means (0, r).
    mask_kind : {"discrete", "continuous", "temporal"}, default="discrete"
        Kind of mask, see :func:`fei_sklearn.masking.sample_mask`.
    n_targets : int, default=1
        Number of target series per series of a batch.
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
        {
            "target_encoder": "encoder",
            "target_projector": "projector",
        }
    )
    #: Weights of embedding inference and of mask inference in the loss.
    branch_weights: ClassVar[tuple[float, float]] = (1.0, 1.0)

    def __init__(
        self,
        encoder: nn.Module,
        *,
        width: int,
        n_timepoints: int,
        mask_ratio: MaskRatio = (0.0, 0.7),
        mask_kind: MaskKind = "discrete",
        n_targets: int = 1,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.n_timepoints = n_timepoints
        self.n_targets = n_targets
        self.mask_ratio = check_mask_ratio(mask_ratio)
        self.mask_kind = check_mask_kind(mask_kind)

        self.encoder = encoder
        self.target_encoder = _frozen_copy(encoder)
        subspace = self._subspace_width(width)
        self.projector = seeded_module(generator, self._projector, width)
        self.embedding_predictor = seeded_module(generator, _predictor, subspace)
        self.mask_predictor = seeded_module(generator, _predictor, subspace)
        self.target_projector = _frozen_copy(self.projector)
        n_prompts = int(n_positions(n_timepoints, mask_kind))
        prompts = torch.randn((n_prompts, subspace), generator=generator)
        self.prompts = nn.Parameter(prompts)

    def forward(
        self,
        x: Tensor,
        lengths: Tensor | None = None,
        *,
        masks: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> FEILosses:
        """Return the losses of a batch.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_channels, n_timepoints)
            Series, zero on padding.
        lengths : Tensor of shape (n_samples,), default=None
            Time points of each series, where they differ.
        masks : Tensor of shape (n_samples, n_targets, n_positions), default=None
            1 where a mask keeps. None draws new masks.
        generator : torch.Generator, default=None
            Source of the masks, on the device of `x`.

        Returns
        -------
        FEILosses
            The weighted sum, its two terms, and the unexplained share.
        """
        if masks is None:
            masks = self.sample_masks(x, lengths, generator)
        inference = self.infer(x, masks, lengths)
        embedding_loss = F.mse_loss(inference.inferred_target, inference.target)
        mask_loss = F.mse_loss(inference.inferred_prompt, inference.prompt)
        loss = self._weighted_sum(embedding_loss, mask_loss)

        embedding_share = _unexplained_share(embedding_loss, inference.target)
        mask_share = _unexplained_share(mask_loss, inference.prompt)
        unexplained = self._weighted_sum(embedding_share, mask_share)
        unexplained = unexplained / sum(self.branch_weights)
        return FEILosses(loss, embedding_loss, mask_loss, unexplained)

    def _weighted_sum(self, embedding_term: Tensor, mask_term: Tensor) -> Tensor:
        embedding_weight, mask_weight = self.branch_weights
        return embedding_weight * embedding_term + mask_weight * mask_term

    def sample_masks(
        self,
        x: Tensor,
        lengths: Tensor | None,
        generator: torch.Generator | None,
    ) -> Tensor:
        """Return masks for a batch, of shape (n_samples, n_targets, n_positions)."""
        # the batch ends with its longest series, so the width is known without reading lengths
        width = n_positions(x.shape[-1], self.mask_kind)
        return sample_mask(
            len(x),
            n_positions(_time_points(x, lengths), self.mask_kind),
            self.mask_ratio,
            self.mask_kind,
            n_targets=self.n_targets,
            width=int(width),
            generator=generator,
            device=x.device,
        )

    def infer(
        self,
        x: Tensor,
        masks: Tensor,
        lengths: Tensor | None = None,
    ) -> Inference:
        """Return the inferences of both branches, with the stop-gradients of the paper.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_channels, n_timepoints)
            Series, zero on padding.
        masks : Tensor of shape (n_samples, n_targets, n_positions)
            1 where a mask keeps.
        lengths : Tensor of shape (n_samples,), default=None
            Time points of each series, where they differ.

        Returns
        -------
        Inference
            What both branches infer, and their targets.
        """
        # Targets first: the encoder's maps reuse the memory they free. In the other order memory
        # went back to the system in each step, which cost 1/16 of its time.
        target_series = apply_mask(x, masks, self.mask_kind, lengths=lengths)
        targets = self.embed_targets(target_series, lengths)
        embedding = mean_embedding(self.encoder, x, lengths)
        embedded = self.projector(embedding)[:, None]
        n_timepoints = _time_points(x, lengths)
        prompt = self.mask_prompt(masks, n_timepoints)
        prompted = self._prompted(embedded, prompt)
        difference = self._difference(targets, embedded)
        return Inference(
            target=targets,
            inferred_target=self.embedding_predictor(prompted),
            prompt=prompt,
            inferred_prompt=self.mask_predictor(difference),
        )

    @staticmethod
    def _subspace_width(width: int) -> int:
        return width // 2

    @staticmethod
    def _projector(width: int) -> nn.Module:
        return nn.Linear(width, width // 2)

    @staticmethod
    def _prompted(embedded: Tensor, prompt: Tensor) -> Tensor:
        """Return the input of embedding inference, of shape (n_samples, n_targets, d)."""
        return embedded + prompt.detach()

    @staticmethod
    def _difference(targets: Tensor, embedded: Tensor) -> Tensor:
        """Return the input of mask inference, of shape (n_samples, n_targets, d)."""
        return targets - embedded.detach()

    @torch.no_grad()
    def embed_targets(
        self,
        targets: Tensor,
        lengths: Tensor | None = None,
    ) -> Tensor:
        """Return projected embeddings of target series under the momentum copies.

        The `n_targets` target series of a series pass the encoder one after the other, so that
        batch norm sees one target per series.

        Parameters
        ----------
        targets : Tensor of shape (n_samples, n_targets, n_channels, n_timepoints)
            Target series, zero on padding.
        lengths : Tensor of shape (n_samples,), default=None
            Time points of each series, where they differ.

        Returns
        -------
        Tensor of shape (n_samples, n_targets, d)
            Embeddings, without gradient.
        """
        projected = []
        for target in targets.unbind(dim=1):
            embedding = mean_embedding(self.target_encoder, target, lengths)
            projected.append(self.target_projector(embedding))
        return torch.stack(projected, dim=1)

    def mask_prompt(
        self,
        masks: Tensor,
        n_timepoints: int | Tensor | None = None,
    ) -> Tensor:
        """Return the prompt of each mask: the sum of the removed prompts over sqrt(their number).

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
        if n_timepoints is None:
            n_timepoints = self.n_timepoints
        if not self._is_reference_length(n_timepoints):
            removed = self._on_reference_positions(removed, n_timepoints)
        norm = n_removed.sqrt() + 1e-6
        return removed @ self.prompts / norm

    def _is_reference_length(self, n_timepoints: int | Tensor) -> bool:
        # Lengths in a tensor are not compared: that would wait for the device.
        return isinstance(n_timepoints, int) and n_timepoints == self.n_timepoints

    def _on_reference_positions(
        self,
        removed: Tensor,
        n_timepoints: int | Tensor,
    ) -> Tensor:
        """Share each removed position between its two neighbours among the prompts' positions."""
        n_samples, n_targets, n_own_positions = removed.shape
        n_prompts = len(self.prompts)
        last = n_prompts - 1
        device = removed.device
        if isinstance(n_timepoints, int):
            lengths = torch.full((1,), n_timepoints, device=device)
        else:
            lengths = n_timepoints
        position = torch.arange(n_own_positions, device=device)
        prompts_apart, positions_apart = self._position_scale(lengths.reshape(-1, 1))
        # integers are exact, and not every accelerator has float64
        place = position * prompts_apart
        last_below = max(last - 1, 0)
        lower = (place // positions_apart).clamp(max=last_below)
        rest = place - lower * positions_apart
        weight = rest.to(removed.dtype) / positions_apart
        weight = weight.clamp(max=last - last_below)
        weight_above = removed * weight[:, None]
        weight_below = removed * (1.0 - weight)[:, None]
        below = lower[:, None].expand(removed.shape)
        above = (below + 1).clamp(max=last)
        shared = removed.new_zeros((n_samples, n_targets, n_prompts))
        shared.scatter_add_(-1, below, weight_below)
        shared.scatter_add_(-1, above, weight_above)
        return shared

    def _position_scale(self, lengths: Tensor) -> tuple[int, Tensor]:
        """Return how far neighbouring positions of series are apart, in prompts, as a fraction."""
        if self.mask_kind == "temporal":
            # time points are compared by their share of the series' duration
            return self.n_timepoints - 1, (lengths - 1).clamp(min=1)
        # bins are compared by their frequency in cycles per time point, k / L
        return self.n_timepoints, lengths

    @torch.no_grad()
    def update_target(self, momentum: float) -> None:
        """Move the momentum copies: ``momentum * copy + (1 - momentum) * original``.

        Only parameters move; the copies keep batch-norm statistics of their own.

        Parameters
        ----------
        momentum : float
            Weight of the copies.
        """
        copies: list[Tensor] = []
        originals: list[Tensor] = []
        for copied, original in self.momentum_copies.items():
            copies += self.get_submodule(copied).parameters()
            originals += self.get_submodule(original).parameters()
        torch._foreach_lerp_(copies, originals, 1.0 - momentum)


def _time_points(x: Tensor, lengths: Tensor | None) -> int | Tensor:
    """Return the number of time points of all series, or of each series."""
    if lengths is None:
        return x.shape[-1]
    return lengths


def _frozen_copy(module: nn.Module) -> nn.Module:
    return copy.deepcopy(module).requires_grad_(False)


def _predictor(width: int) -> nn.Sequential:
    hidden = width // 2
    return nn.Sequential(
        nn.Linear(width, hidden),
        nn.GELU(),
        nn.Linear(hidden, width),
    )


def _unexplained_share(loss: Tensor, truth: Tensor) -> Tensor:
    total = variance(truth.detach()).mean()
    return loss.detach() / (total + 1e-12)
