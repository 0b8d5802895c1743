"""FEI's objective under its public path: the loss itself is in `fei_sklearn.objectives.fei`."""

from fei_sklearn.objectives.fei import FEILosses, FEIObjective, Inference

__all__ = ["FEILosses", "FEIObjective", "Inference"]
