"""Readout: the statistics over time that make an embedding. Names here need no torch."""

from fei_sklearn.readout.spec import (
    LAYERS,
    STATISTICS,
    VIEWS,
    ReadoutSpec,
    resolve,
)

__all__ = [
    "LAYERS",
    "STATISTICS",
    "VIEWS",
    "ReadoutSpec",
    "resolve",
]
