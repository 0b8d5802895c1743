"""Encoders: the residual network of the paper, and maps of any encoder."""

from fei_sklearn.encoder.resnet import (
    ENCODER_WIDTHS,
    BlockMaps,
    FEIEncoder,
    MaskedBatchNorm1d,
    feature_maps,
    valid_mask,
)

__all__ = [
    "ENCODER_WIDTHS",
    "BlockMaps",
    "FEIEncoder",
    "MaskedBatchNorm1d",
    "feature_maps",
    "valid_mask",
]
