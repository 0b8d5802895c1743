"""Batch norm folded into the convolutions before it, for inference.

With its running statistics, batch norm is a scale and a shift of each feature. The convolution can
apply both, which saves a pass over every map::

    norm(conv(x)) = (scale * weight) * x + (bias - scale * mean),    scale = gamma / sqrt(var + eps)

On the CPU, oneDNN then also applies the GELU that follows, and it receives weights that were
brought into its own order once rather than in every call.
"""

from __future__ import annotations

import copy
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fei_sklearn.encoder.layers import MaskedBatchNorm1d, time_first
from fei_sklearn.encoder.resnet import ResidualBlock, Shortcut, Stem

Module = TypeVar("Module", bound=nn.Module)


class Fold(NamedTuple):
    """Attributes of a layer that are folded into one convolution.

    Attributes
    ----------
    conv, norm : str
        Names of the convolution and of the batch norm that follows it.
    activates : bool
        Whether the layer's `activation` comes next.
    """

    conv: str
    norm: str
    activates: bool


FOLDS: dict[type[nn.Module], tuple[Fold, ...]] = {
    Stem: (Fold("conv", "norm", activates=True),),
    Shortcut: (Fold("conv", "norm", activates=False),),
    ResidualBlock: (
        Fold("conv1", "norm1", activates=True),
        Fold("conv2", "norm2", activates=False),
    ),
}

#: Rows and steps for which oneDNN orders the weights. They are the same for all inputs, so that a
#: map depends on its series alone, and not on what was embedded first.
PACKED_FOR = (16, 128)

#: Operators of torch's compiler that order weights for oneDNN, and convolve with such weights.
PACKED_OPERATORS = ("_reorder_convolution_weight", "_convolution_pointwise")


class Folded(nn.Module):
    """Identity in the place of a batch norm or a GELU that was folded."""

    def forward(
        self,
        x: Tensor,
        valid: Tensor | None = None,
    ) -> Tensor:
        """Return `x`."""
        return x


class FoldedConv1d(nn.Module):
    """Convolution that also applies the batch norm after it, and the GELU if there is one.

    Parameters
    ----------
    conv : torch.nn.Conv1d
        Convolution without a bias.
    norm : MaskedBatchNorm1d
        Batch norm that follows the convolution.
    activates : bool
        Whether GELU comes next.
    """

    def __init__(
        self,
        conv: nn.Conv1d,
        norm: MaskedBatchNorm1d,
        activates: bool,
    ) -> None:
        super().__init__()
        if conv.bias is not None:
            raise ValueError(
                "A convolution with a bias cannot be folded: build it with bias=False."
            )
        mean = norm.running_mean.double()
        variance = norm.running_var.double()
        scale = norm.weight.double() * torch.rsqrt(variance + norm.eps)
        shift = norm.bias.double() - mean * scale
        weight = conv.weight.double() * scale[:, None, None]
        dtype = conv.weight.dtype
        self.stride = conv.stride[0]
        self.padding = int(conv.padding[0])
        self.activates = activates
        self.weight = nn.Parameter(weight.to(dtype), requires_grad=False)
        self.bias = nn.Parameter(shift.to(dtype), requires_grad=False)
        self.packed: Tensor | None = None
        if _has_packed_convolutions(self.weight):
            self.packed = self._pack()

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        if self.packed is not None and x.device.type == "cpu":
            return self._convolve_packed(x, self.packed)
        out = F.conv1d(
            x,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
        )
        if self.activates:
            out = F.gelu(out)
        return out

    def _pack(self) -> Tensor:
        """Return the weight in oneDNN's own order."""
        kernel = self.weight.unsqueeze(2)
        kernel = kernel.contiguous(memory_format=torch.channels_last)
        n_rows, n_steps = PACKED_FOR
        input_shape = [n_rows, kernel.shape[1], 1, n_steps]
        packed: Tensor = torch.ops.mkldnn._reorder_convolution_weight(
            kernel,
            [0, self.padding],
            [1, self.stride],
            [1, 1],  # dilation
            1,  # group
            input_shape,
        )
        return packed

    def _convolve_packed(
        self,
        x: Tensor,
        packed: Tensor,
    ) -> Tensor:
        image = time_first(x).unsqueeze(2)
        out: Tensor = torch.ops.mkldnn._convolution_pointwise(
            image,
            packed,
            self.bias,
            [0, self.padding],
            [1, self.stride],
            [1, 1],  # dilation
            1,  # group
            "gelu" if self.activates else "none",
            [],  # no constants of the activation
            "none",  # the exact GELU
        )
        return out.squeeze(2)


def _has_packed_convolutions(weight: Tensor) -> bool:
    """Return whether torch can order these weights for oneDNN.

    Torch's own compiler puts both operators into frozen models. They have kept their signatures
    since torch 2.0, but are not promised.
    """
    if weight.device.type != "cpu" or weight.dtype != torch.float32:
        return False
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    return all(hasattr(torch.ops.mkldnn, name) for name in PACKED_OPERATORS)


@torch.no_grad()
def fold_batch_norm(encoder: Module) -> Module:
    """Return a copy of an encoder whose convolutions also apply its batch norms.

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
        for fold in FOLDS.get(type(module), ()):
            _apply_fold(module, fold)
    return folded.eval()


def _apply_fold(
    module: nn.Module,
    fold: Fold,
) -> None:
    """Replace the convolution, batch norm and GELU of a layer by one convolution."""
    conv = getattr(module, fold.conv)
    norm = getattr(module, fold.norm)
    folded = FoldedConv1d(conv, norm, fold.activates)
    setattr(module, fold.conv, folded)
    setattr(module, fold.norm, Folded())
    if fold.activates:
        module.activation = Folded()
