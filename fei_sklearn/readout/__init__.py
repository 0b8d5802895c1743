"""Readout: the statistics over time that make an embedding. Names here need no torch."""

from fei_sklearn.readout.spec import (
    FRONT_VIEWS,
    LAYERS,
    STATISTICS,
    VIEWS,
    FrontSpec,
    ReadoutSpec,
    resolve,
    resolve_front,
)

__all__ = [
    "FRONT_VIEWS",
    "LAYERS",
    "STATISTICS",
    "VIEWS",
    "FrontSpec",
    "ReadoutSpec",
    "resolve",
    "resolve_front",
]
