"""FEI's objective under its public path; `fei_sklearn.objectives.fei` defines it."""

from fei_sklearn.objectives.fei import FEILosses, FEIObjective, Inference

__all__ = ["FEILosses", "FEIObjective", "Inference"]
