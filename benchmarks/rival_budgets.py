"""Methods of the comparison in ``rivals.py``, and the budgets under which they are pretrained."""

from __future__ import annotations

from dataclasses import dataclass

from fei_sklearn.evaluation import STUDIES

#: Parameters of the embedder by the name of the method.
METHODS = dict(STUDIES["rivals"])
UNTRAINED = "random"
TRAINED = tuple(method for method in METHODS if method != UNTRAINED)

#: FEI, and the rivals ahead of it at equal steps on both corpora.
LEADERS = ("fei", "tfc", "simmtm", "timesurl")

#: Options of FEI that have what a rival has, and controls without training. Stride 1 is that of
#: TS2Vec, TimesURL and InfoTS. TF-C has an encoder of the spectrum. SimMTM masks time points and
#: draws three masks per series. Only FEI has a momentum encoder, which moves a quarter of the way
#: in 128 steps.
OPTIONS = {
    "random, stride 1": METHODS[UNTRAINED] | {"stride": 1},
    "random, tfc": METHODS["tfc"] | {"max_epochs": 0},
    "fei, stride 1": METHODS["fei"] | {"stride": 1},
    "fei, time points": METHODS["fei"] | {"mask_kind": "temporal"},
    "fei, ratio 0.3-0.7": METHODS["fei"] | {"mask_ratio": (0.3, 0.7)},
    "fei, 4 targets": METHODS["fei"] | {"n_targets": 4},
    "fei, momentum 0.9": METHODS["fei"] | {"momentum": 0.9},
    "fei, no momentum": METHODS["fei"] | {"objective": "fei-no-momentum"},
}

CORPORA = ("sleep", "synthetic")

#: Keyword arguments of the embedder by readout.
READOUTS = {
    "paper": {"pooling": "mean"},
    "default": {"pooling": "auto"},
}
#: Methods that are also read out by default: every stage. The maps of the rivals have one stage.
WITH_STAGES = (UNTRAINED, "fei")


@dataclass(frozen=True)
class Budget:
    """Training that every method gets, and the methods, corpora and seeds that are run.

    Attributes
    ----------
    methods, corpora : tuple of str
        Names of methods and corpora.
    seeds : tuple of int
        Seeds of the pretraining.
    encoder : str
        One of the paper's encoders.
    n_series : int
        Series of a corpus.
    n_steps : int
        Optimiser steps, if `seconds` is None.
    seconds : float or None
        CPU seconds in place of a number of steps.
    readouts : tuple of str
        Readouts whose embeddings are scored.
    """

    methods: tuple[str, ...] = tuple(METHODS)
    corpora: tuple[str, ...] = CORPORA
    seeds: tuple[int, ...] = (0,)
    encoder: str = "tiny"
    n_series: int = 512
    n_steps: int = 128
    seconds: float | None = None
    readouts: tuple[str, ...] = ("paper",)


#: Budgets by name, in the order in which they are run. No number of seconds changes the untrained
#: encoder, which therefore has no runs of its own at equal seconds.
BUDGETS = {
    "steps": Budget(seeds=(0, 1, 2), readouts=("paper", "default")),
    "seconds": Budget(TRAINED, seeds=(0, 1, 2), seconds=6.0),
    "longer": Budget((UNTRAINED, *LEADERS), ("sleep",), (0, 1), n_series=2048, n_steps=512),
    "options": Budget(tuple(OPTIONS), ("sleep",), seeds=(0, 1)),
    "small": Budget((UNTRAINED, *LEADERS), ("sleep",), encoder="small"),
}
