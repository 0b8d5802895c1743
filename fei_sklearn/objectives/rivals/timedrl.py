"""TimeDRL: patch tokens are rebuilt, and a class token agrees between two dropouts.

Source: Chang, Chan, Wang, Peng and Chen, "TimeDRL: Disentangled Representation Learning for
Multivariate Time-Series", ICDE 2024, 625-638. As in FEI's comparison the patch embedding replaces
the stem, and the stages run at stride 1 over the tokens. Departures: series are neither padded by a
patch nor normalised one by one, and the target of the reconstruction is the patches themselves.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fei_sklearn.encoder.resnet import STEM_WIDTH, FEIEncoder
from fei_sklearn.objectives.base import BuildEncoder
from fei_sklearn.objectives.networks import pass_blocks, seeded_module
from fei_sklearn.objectives.rivals.projection import ProjectionHead
from fei_sklearn.objectives.rivals.rival import (
    Rival,
    built_encoder,
    check_one_length,
    own_encoder,
)

#: Time points per patch; a shorter series is one patch.
PATCH = 16
#: Time points from the start of one patch to the start of the next.
HOP = 8
DROPOUT = 0.1
#: Weight of the agreement in the loss; the reconstruction has the weight 1.
CONTRAST_WEIGHT = 0.1


class TimeDRLLosses(NamedTuple):
    """Losses of one batch, each a 0-dim tensor."""

    loss: Tensor
    prediction_loss: Tensor
    contrast_loss: Tensor


class PatchEncoder(nn.Module):
    """Stages of an encoder over patch tokens and a class token, which is read out.

    Parameters
    ----------
    backbone : FEIEncoder
        Encoder of stride 1. Its stages are used, its stem is not.
    n_channels : int
        Number of channels of the series; a patch holds all of them.
    n_timepoints : int
        Length of the longest series: each of its tokens has a learned position.
    generator : torch.Generator or None
        Source of the initial weights of the token embedding.
    """

    def __init__(
        self,
        backbone: FEIEncoder,
        n_channels: int,
        n_timepoints: int,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.width = backbone.width
        self.n_timepoints = n_timepoints
        self.patch_size = min(PATCH, n_timepoints)
        n_patches = 1 + (n_timepoints - self.patch_size) // HOP
        n_tokens = 1 + n_patches
        n_values = n_channels * self.patch_size
        class_patch = torch.randn(n_values, generator=generator)
        positions = torch.randn((n_tokens, STEM_WIDTH), generator=generator)
        self.class_patch = nn.Parameter(class_patch)
        self.positions = nn.Parameter(positions)
        self.embedding = seeded_module(generator, _token_embedding, n_values)
        nn.init.kaiming_normal_(
            self.embedding.weight, nonlinearity="leaky_relu", generator=generator
        )
        self.blocks = backbone.blocks

    @property
    def stage_widths(self) -> list[int]:
        """Number of features of the only map."""
        return [self.width]

    def patches(self, x: Tensor) -> Tensor:
        """Return overlapping patches, of shape (n_samples, n_patches, n_channels * patch_size).

        Raises
        ------
        ValueError
            If the series are shorter than a patch, or longer than the learned positions reach.
        """
        n_timepoints = x.shape[-1]
        if not self.patch_size <= n_timepoints <= self.n_timepoints:
            raise ValueError(
                f"This TimeDRL model accepts series of {self.patch_size} to {self.n_timepoints} "
                f"time points, got {n_timepoints}: cut or pad them, or fit a new model."
            )
        windows = x.unfold(-1, self.patch_size, HOP)
        return windows.transpose(1, 2).flatten(2)

    def tokens(self, patches: Tensor) -> Tensor:
        """Return embedded tokens, the class token first, (n_samples, 16, 1 + n_patches)."""
        first = self.class_patch.expand(len(patches), 1, -1)
        all_patches = torch.cat([first, patches], dim=1)
        tokens: Tensor = self.embedding(all_patches.mT)
        n_tokens = tokens.shape[-1]
        return tokens + self.positions[:n_tokens].mT

    def through_stages(self, tokens: Tensor) -> Tensor:
        """Return the map of the last stage, of shape (n_samples, width, n_tokens)."""
        return pass_blocks(self.blocks, tokens)

    def forward(self, x: Tensor) -> Tensor:
        """Return the class token as a map of one step, of shape (n_samples, width, 1)."""
        tokens = self.tokens(self.patches(x))
        return self.through_stages(tokens)[..., :1]


def _token_embedding(n_values: int) -> nn.Conv1d:
    return nn.Conv1d(
        n_values,
        STEM_WIDTH,
        kernel_size=3,
        padding=1,
        padding_mode="circular",
        bias=False,
    )


class TimeDRLObjective(Rival):
    """Reconstruction from the patch tokens, and agreement of the class tokens.

    Parameters
    ----------
    encoder : PatchEncoder
        The encoder.
    width : int
        Number of features D of the encoder.
    n_channels, n_timepoints : int
        Shape of the series.
    dropout : float, default=0.1
        Rate of the dropout, which alone makes the two passes differ.
    generator : torch.Generator, default=None
        Source of the heads' initial weights.
    """

    name = "timedrl"

    encoder: PatchEncoder

    @staticmethod
    def build_encoder(
        build: BuildEncoder,
        n_channels: int,
        n_timepoints: int,
        generator: torch.Generator | None,
    ) -> nn.Module:
        """Return stages at stride 1 behind a patch embedding, see :class:`PatchEncoder`."""
        backbone = own_encoder(build(1, stride=1), TimeDRLObjective.name)
        return PatchEncoder(backbone, n_channels, n_timepoints, generator)

    def __init__(
        self,
        encoder: nn.Module,
        *,
        width: int,
        n_channels: int,
        n_timepoints: int,
        dropout: float = DROPOUT,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.encoder = built_encoder(encoder, PatchEncoder, self.name)
        self.n_timepoints = n_timepoints
        self.dropout = dropout
        n_values = n_channels * self.encoder.patch_size
        hidden = width // 2
        self.predictor = seeded_module(generator, nn.Linear, width, n_values)
        self.contrast_head = seeded_module(generator, ProjectionHead, width, hidden, width)

    def undecayed(self) -> list[nn.Parameter]:
        """Return the class token's patch and the positions, which are inputs, not weights."""
        return [self.encoder.class_patch, self.encoder.positions]

    def forward(
        self,
        x: Tensor,
        lengths: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> TimeDRLLosses:
        """Return the losses of a batch.

        Parameters
        ----------
        x : Tensor of shape (n_samples, n_channels, n_timepoints)
            Series.
        lengths : None
            Series must have one length.
        generator : torch.Generator, default=None
            Source of the dropouts, on the device of `x`.

        Returns
        -------
        TimeDRLLosses
            The weighted sum, and its terms.

        Raises
        ------
        ValueError
            If `lengths` are given, or if the encoder does not accept series of this length.
        """
        check_one_length(lengths, self.name)
        patches = self.encoder.patches(x)
        errors = []
        instances = []
        projected = []
        for _ in range(2):
            tokens = self.encoder.tokens(patches)
            tokens = dropped(tokens, self.dropout, generator)
            token_map = self.encoder.through_stages(tokens)
            instance = token_map[..., 0]
            hidden = self.contrast_head.hidden(instance)
            patch_features = token_map[..., 1:].mT
            patch_features = dropped(patch_features, self.dropout, generator)
            rebuilt = self.predictor(patch_features)
            hidden = dropped(hidden, self.dropout, generator)
            errors.append(F.mse_loss(rebuilt, patches))
            instances.append(instance)
            projected.append(self.contrast_head.outer(hidden))
        return losses(errors, instances, projected)


def losses(
    errors: list[Tensor],
    instances: list[Tensor],
    projected: list[Tensor],
) -> TimeDRLLosses:
    """Return the mean error of both passes, minus a tenth of the mean agreement between them.

    Parameters
    ----------
    errors : list of two Tensor
        Mean squared error of each pass, 0-dim.
    instances : list of two Tensor of shape (n_samples, width)
        Class tokens of each pass. No gradient flows into them.
    projected : list of two Tensor of shape (n_samples, width)
        Output of the head for the class tokens of each pass.

    Returns
    -------
    TimeDRLLosses
        The weighted sum, and its terms.
    """
    first_error, second_error = errors
    first_instance, second_instance = instances
    first_projected, second_projected = projected
    prediction = (first_error + second_error) / 2
    one = _agreement(first_instance, second_projected)
    other = _agreement(second_instance, first_projected)
    contrast = -(one + other) / 2
    loss = prediction + CONTRAST_WEIGHT * contrast
    return TimeDRLLosses(loss, prediction, contrast)


def _agreement(instance: Tensor, projected: Tensor) -> Tensor:
    """Return the mean cosine of rows, with a gradient for the projected ones alone."""
    cosines = F.cosine_similarity(
        instance.detach(),
        projected,
        dim=-1,
    )
    return cosines.mean()


def dropped(
    x: Tensor,
    rate: float,
    generator: torch.Generator | None,
) -> Tensor:
    """Return `x` after dropout whose draws come from a generator, on the device of `x`."""
    draws = torch.rand(
        x.shape,
        generator=generator,
        device=x.device,
    )
    kept = draws >= rate
    return x * kept / (1.0 - rate)
