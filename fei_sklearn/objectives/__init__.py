"""Objectives by name: FEI, its ablations, and the rivals that it is compared with.

This package imports without torch. :func:`objective_class` imports a class, and torch with it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fei_sklearn.objectives.base import PretrainingObjective

__all__ = [
    "ABLATIONS",
    "OBJECTIVES",
    "PUBLISHED",
    "RIVALS",
    "objective_class",
]

#: Import path of each ablation's class.
_ABLATION_CLASSES = {
    "fei-no-embedding-inference": "fei_sklearn.objectives.ablations.WithoutEmbeddingInference",
    "fei-no-mask-prompt": "fei_sklearn.objectives.ablations.WithoutMaskPrompt",
    "fei-no-momentum": "fei_sklearn.objectives.ablations.WithoutMomentum",
    "fei-no-subspace": "fei_sklearn.objectives.ablations.WithoutSubspace",
    "fei-no-mask-inference": "fei_sklearn.objectives.ablations.WithoutMaskInference",
    "fei-no-detach": "fei_sklearn.objectives.ablations.WithoutDetach",
}

#: Import path of each rival's class.
_RIVAL_CLASSES = {
    "ts2vec": "fei_sklearn.objectives.rivals.ts2vec.TS2VecObjective",
    "timedrl": "fei_sklearn.objectives.rivals.timedrl.TimeDRLObjective",
    "tfc": "fei_sklearn.objectives.rivals.tfc.TFCObjective",
    "timesurl": "fei_sklearn.objectives.rivals.timesurl.TimesURLObjective",
    "simmtm": "fei_sklearn.objectives.rivals.simmtm.SimMTMObjective",
    "infots": "fei_sklearn.objectives.rivals.infots.InfoTSObjective",
}

_CLASSES = {
    "fei": "fei_sklearn.objectives.fei.FEIObjective",
    **_ABLATION_CLASSES,
    **_RIVAL_CLASSES,
}

#: Names of all objectives.
OBJECTIVES = tuple(_CLASSES)
#: Names of the ablations: FEI without one component.
ABLATIONS = tuple(_ABLATION_CLASSES)
#: Names of the rivals.
RIVALS = tuple(_RIVAL_CLASSES)

#: Parameters of :class:`fei_sklearn.FEIEmbedder` that FEI's article used for each method, and the
#: stride at which a method contrasts single time points.
PUBLISHED: dict[str, dict[str, Any]] = {
    "fei": {"max_epochs": 100, "batch_size": 512, "learning_rate": 2e-4},
    "ts2vec": {"stride": 1, "max_epochs": 30, "batch_size": 32, "learning_rate": 1e-3},
    "timedrl": {"stride": 1, "max_epochs": 30, "batch_size": 32, "learning_rate": 1e-4},
    "tfc": {"max_epochs": 100, "batch_size": 256, "learning_rate": 3e-4},
    "timesurl": {"stride": 1, "max_epochs": 30, "batch_size": 128, "learning_rate": 1e-4},
    "simmtm": {"max_epochs": 30, "batch_size": 128, "learning_rate": 1e-4},
    "infots": {"stride": 1, "max_epochs": 30, "batch_size": 512, "learning_rate": 1e-3},
}


def objective_class(name: str) -> type[PretrainingObjective]:
    """Return the class of an objective.

    Parameters
    ----------
    name : str
        One of :data:`OBJECTIVES`.

    Returns
    -------
    type
        Subclass of :class:`fei_sklearn.objectives.base.PretrainingObjective`, whose docstring
        describes the constructor.

    Raises
    ------
    ValueError
        If there is no such objective.
    """
    if name not in _CLASSES:
        raise ValueError(f"objective must be one of {list(OBJECTIVES)}, got {name!r}.")
    module_name, _, class_name = _CLASSES[name].rpartition(".")
    module = importlib.import_module(module_name)
    found: type[PretrainingObjective] = getattr(module, class_name)
    return found
