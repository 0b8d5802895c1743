"""The public path of FEI's objective."""

from __future__ import annotations

from fei_sklearn import objective
from fei_sklearn.objectives import fei


def test_names_are_those_of_the_objective() -> None:
    assert objective.FEIObjective is fei.FEIObjective
    assert objective.FEILosses is fei.FEILosses
    assert objective.Inference is fei.Inference
