"""TimeDRL: patch tokens are rebuilt, and a class token agrees between two dropouts.

Source: Chang, Chan, Wang, Peng and Chen, "TimeDRL: Disentangled Representation Learning for
Multivariate Time-Series", ICDE 2024, 625-638. As in FEI's comparison the patch embedding takes the
place of the stem, and the stages run at stride 1 over the tokens. Departures: no padding by another
patch and no normalisation of each series; what is rebuilt is what was cut into patches.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fei_sklearn.encoder.resnet import STEM_WIDTH, FEIEncoder
from fei_sklearn.objectives.base import BuildEncoder
from fei_sklearn.objectives.rivals.projection import ProjectionHead
from fei_sklearn.objectives.rivals.rival import Rival, check_one_length, drawn, own_encoder

#: Time points of a patch, and from one patch to the next; shorter series are one patch.
PATCH, HOP = 16, 8
DROPOUT, CONTRAST_WEIGHT = 0.1, 0.1


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
        Of stride 1; its stages are used, its stem is not.
    n_channels : int
        Channels of the series; a patch holds all of them.
    n_timepoints : int
        Longest series: each of its tokens has a learned position.
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
        self.width, self.n_timepoints = backbone.width, n_timepoints
        self.patch_size = min(PATCH, n_timepoints)
        n_tokens = 1 + (n_timepoints - self.patch_size) // HOP + 1
        n_values = n_channels * self.patch_size
        self.class_patch = nn.Parameter(torch.randn(n_values, generator=generator))
        self.positions = nn.Parameter(torch.randn((n_tokens, STEM_WIDTH), generator=generator))
        self.embedding = drawn(
            lambda: nn.Conv1d(
                n_values, STEM_WIDTH, 3, padding=1, padding_mode="circular", bias=False
            ),
            generator,
        )
        nn.init.kaiming_normal_(
            self.embedding.weight, nonlinearity="leaky_relu", generator=generator
        )
        self.blocks = backbone.blocks

    @property
    def stage_widths(self) -> list[int]:
        """Number of features of the one map there is."""
        return [self.width]

    def patches(self, x: Tensor) -> Tensor:
        """Overlapping patches, of shape (n_samples, n_patches, n_channels * patch_size).

        Raises
        ------
        ValueError
            If the series are shorter than a patch, or longer than there are positions for.
        """
        if not self.patch_size <= x.shape[-1] <= self.n_timepoints:
            raise ValueError(
                f"This TimeDRL model takes series of {self.patch_size} to {self.n_timepoints} time "
                f"points, got {x.shape[-1]}: cut or pad them, or fit on series as long."
            )
        return x.unfold(-1, self.patch_size, HOP).transpose(1, 2).flatten(2)

    def tokens(self, patches: Tensor) -> Tensor:
        """Embedded tokens, the class token first, of shape (n_samples, 16, 1 + n_patches)."""
        first = self.class_patch.expand(len(patches), 1, -1)
        tokens: Tensor = self.embedding(torch.cat([first, patches], dim=1).mT)
        return tokens + self.positions[: tokens.shape[-1]].mT

    def through_stages(self, tokens: Tensor) -> Tensor:
        """Map of the last stage, of shape (n_samples, width, n_tokens)."""
        for stage in self.blocks:
            for block in stage:  # type: ignore[attr-defined]
                tokens = block(tokens, None).activated
        return tokens

    def forward(self, x: Tensor) -> Tensor:
        """The class token alone, as a map of one step: (n_samples, width, 1)."""
        return self.through_stages(self.tokens(self.patches(x)))[..., :1]


class TimeDRLObjective(Rival):
    """Reconstruction from the patch tokens, and agreement of the class tokens.

    Parameters
    ----------
    encoder : PatchEncoder
        The encoder.
    width : int
        Features D that the encoder gives.
    n_channels, n_timepoints : int
        Shape of the series.
    dropout : float, default=0.1
        Rate of the dropout that makes the two passes differ.
    generator : torch.Generator, default=None
        Source of the heads' initial weights.
    """

    encoder: PatchEncoder

    @staticmethod
    def build_encoder(
        build: BuildEncoder, n_channels: int, n_timepoints: int, generator: torch.Generator | None
    ) -> nn.Module:
        """Stages at stride 1, whatever was asked for, behind a patch embedding."""
        backbone = own_encoder(build(1, stride=1), "timedrl")
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
        assert isinstance(encoder, PatchEncoder)
        self.encoder, self.n_timepoints, self.dropout = encoder, n_timepoints, dropout
        n_values = n_channels * encoder.patch_size
        self.predictor = drawn(lambda: nn.Linear(width, n_values), generator)
        self.contrast_head = drawn(lambda: ProjectionHead(width, width // 2, width), generator)

    def undecayed(self) -> list[nn.Parameter]:
        """The class token's patch and the positions, which are inputs rather than weights."""
        return [self.encoder.class_patch, self.encoder.positions]

    def forward(
        self, x: Tensor, lengths: Tensor | None = None, *, generator: torch.Generator | None = None
    ) -> TimeDRLLosses:
        """Losses of a batch of series, (n_samples, n_channels, n_timepoints).

        `generator` is the source of the dropouts, on the device of `x`.
        """
        check_one_length(lengths, "timedrl")
        patches = self.encoder.patches(x)
        instances, projected, errors = [], [], []
        for _ in range(2):
            tokens = dropped(self.encoder.tokens(patches), self.dropout, generator)
            map_ = self.encoder.through_stages(tokens)
            hidden = self.contrast_head.hidden(map_[..., 0])
            rebuilt = self.predictor(dropped(map_[..., 1:].mT, self.dropout, generator))
            instances.append(map_[..., 0])
            projected.append(self.contrast_head.outer(dropped(hidden, self.dropout, generator)))
            errors.append(F.mse_loss(rebuilt, patches))
        return losses(errors, instances, projected)


def losses(errors: list[Tensor], instances: list[Tensor], projected: list[Tensor]) -> TimeDRLLosses:
    """Both passes' mean error, and minus their mean agreement with a tenth of the weight.

    Parameters
    ----------
    errors : list of two Tensor
        Mean squared error of each pass.
    instances, projected : list of two Tensor of shape (n_samples, width)
        Class tokens of each pass, which are held fixed, and what the head makes of them.
    """
    prediction = (errors[0] + errors[1]) / 2
    one = F.cosine_similarity(instances[0].detach(), projected[1], dim=-1).mean()
    other = F.cosine_similarity(instances[1].detach(), projected[0], dim=-1).mean()
    contrast = -(one + other) / 2
    return TimeDRLLosses(prediction + CONTRAST_WEIGHT * contrast, prediction, contrast)


def dropped(x: Tensor, rate: float, generator: torch.Generator | None) -> Tensor:
    """Dropout whose draws come from a generator, on the device of `x`."""
    kept = torch.rand(x.shape, generator=generator, device=x.device) >= rate
    return x * kept / (1.0 - rate)
