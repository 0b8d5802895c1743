"""Encoders: the residual network of the paper, the dilated encoder, and maps of any encoder.

Names are imported on first use, because :mod:`fei_sklearn.encoder.layout` needs no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fei_sklearn.encoder.dilated import DilatedEncoder
    from fei_sklearn.encoder.layers import MaskedBatchNorm1d, valid_mask
    from fei_sklearn.encoder.maps import BlockEncoder, BlockMaps, feature_maps
    from fei_sklearn.encoder.resnet import ENCODER_WIDTHS, FEIEncoder

#: Public name -> module.
_PUBLIC = {
    "ENCODER_WIDTHS": "fei_sklearn.encoder.resnet",
    "BlockEncoder": "fei_sklearn.encoder.maps",
    "BlockMaps": "fei_sklearn.encoder.maps",
    "DilatedEncoder": "fei_sklearn.encoder.dilated",
    "FEIEncoder": "fei_sklearn.encoder.resnet",
    "MaskedBatchNorm1d": "fei_sklearn.encoder.layers",
    "feature_maps": "fei_sklearn.encoder.maps",
    "valid_mask": "fei_sklearn.encoder.layers",
}

__all__ = [
    "ENCODER_WIDTHS",
    "BlockEncoder",
    "BlockMaps",
    "DilatedEncoder",
    "FEIEncoder",
    "MaskedBatchNorm1d",
    "feature_maps",
    "valid_mask",
]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
