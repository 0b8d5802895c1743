"""Batch norm folded into the convolutions before it, for inference.

With its running statistics, batch norm is a scale and a shift of each feature. The convolution can
do both on its way, which saves a pass over every map::

    norm(conv(x)) = (scale * weight) * x + (bias - scale * mean),    scale = gamma / sqrt(var + eps)

On the CPU, oneDNN then takes the GELU that follows into the convolution as well, and weights that
were brought into its own order once, not in every call.
"""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fei_sklearn.encoder.layers import MaskedBatchNorm1d, time_first
from fei_sklearn.encoder.resnet import ResidualBlock, Shortcut, Stem

Module = TypeVar("Module", bound=nn.Module)

#: Convolutions and the batch norms that follow them, by name, and whether `activation` comes next.
FOLDS: dict[type[nn.Module], tuple[tuple[str, str, bool], ...]] = {
    Stem: (("conv", "norm", True),),
    Shortcut: (("conv", "norm", False),),
    ResidualBlock: (("conv1", "norm1", True), ("conv2", "norm2", False)),
}
#: Shape that weights are ordered for, rows and steps. One for all, so that a map depends on its
#: series alone, and not on what was embedded first.
PACKED_FOR = (16, 128)


class Folded(nn.Module):
    """Stands where a batch norm or a GELU was: gives what it gets."""

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Tensor:  # noqa: D102
        return x


class FoldedConv1d(nn.Module):
    """A convolution that does what the batch norm after it did, and the GELU if there is one.

    Parameters
    ----------
    conv : torch.nn.Conv1d
        Without a bias.
    norm : MaskedBatchNorm1d
        What follows it.
    activates : bool
        Whether GELU comes next.
    """

    def __init__(self, conv: nn.Conv1d, norm: MaskedBatchNorm1d, activates: bool) -> None:
        super().__init__()
        assert norm.running_mean is not None and norm.running_var is not None and conv.bias is None
        scale = norm.weight.double() * torch.rsqrt(norm.running_var.double() + norm.eps)
        shift = norm.bias.double() - norm.running_mean.double() * scale
        weight = conv.weight
        self.stride, self.padding = conv.stride[0], int(conv.padding[0])
        self.activates = activates
        self.weight = nn.Parameter((weight.double() * scale[:, None, None]).to(weight.dtype), False)
        self.bias = nn.Parameter(shift.to(weight.dtype), False)
        self.packed = self._packed() if _has_packed_convolutions(weight) else None

    def _packed(self) -> Tensor:
        """The weight in oneDNN's own order."""
        kernel = self.weight.unsqueeze(2).contiguous(memory_format=torch.channels_last)
        rows, steps = PACKED_FOR
        packed: Tensor = torch.ops.mkldnn._reorder_convolution_weight(
            kernel,
            [0, self.padding],
            [1, self.stride],
            [1, 1],
            1,
            [rows, kernel.shape[1], 1, steps],
        )
        return packed

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        if self.packed is None or x.device.type != "cpu":
            x = F.conv1d(x, self.weight, self.bias, self.stride, self.padding)
            return F.gelu(x) if self.activates else x
        out: Tensor = torch.ops.mkldnn._convolution_pointwise(
            time_first(x).unsqueeze(2),
            self.packed,
            self.bias,
            [0, self.padding],
            [1, self.stride],
            [1, 1],
            1,
            "gelu" if self.activates else "none",
            [],
            "none",
        )
        return out.squeeze(2)


def _has_packed_convolutions(weight: Tensor) -> bool:
    """Whether torch can order these weights for oneDNN.

    Both operators are those that torch's own compiler puts into frozen models; they have kept
    their signatures since torch 2.0, but are not promised.
    """
    operators = ("_reorder_convolution_weight", "_convolution_pointwise")
    return (
        weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and all(hasattr(torch.ops.mkldnn, name) for name in operators)
    )


@torch.no_grad()
def fold_batch_norm(encoder: Module) -> Module:
    """Copy of an encoder whose convolutions do what its batch norms did.

    Parameters
    ----------
    encoder : torch.nn.Module
        In evaluation mode, on the CPU. The stems, blocks and shortcuts of every
        :class:`FEIEncoder` in it are folded; any other layer, such as those of a user's own
        encoder, is copied as it is.

    Returns
    -------
    torch.nn.Module
        Of the same class, methods and maps, to float32's rounding. It is for inference: it has no
        statistics to train, and cannot be copied or pickled.

    Raises
    ------
    ValueError
        If the encoder is in training mode, in which batch norm does not use its running statistics.

    Notes
    -----
    A shift is not zero on padding, and neither was batch norm's: the blocks put padding back to
    zero after each norm, folded or not.
    """
    if encoder.training:
        raise ValueError(
            f"{type(encoder).__name__} is in training mode, in which batch norm cannot be folded: "
            "call its eval() first."
        )
    folded = copy.deepcopy(encoder)
    for module in list(folded.modules()):
        for conv, norm, activates in FOLDS.get(type(module), ()):
            fold = FoldedConv1d(getattr(module, conv), getattr(module, norm), activates)
            setattr(module, conv, fold)
            setattr(module, norm, Folded())
            if activates:
                module.activation = Folded()
    return folded.eval()
