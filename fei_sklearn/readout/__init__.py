"""Readout: the statistics over time that an embedding consists of."""

from fei_sklearn.readout.spec import LAYERS, STATISTICS, VIEWS, ReadoutSpec, resolve

__all__ = ["LAYERS", "STATISTICS", "VIEWS", "ReadoutSpec", "resolve"]
