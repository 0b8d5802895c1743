"""Pretraining for an evaluation: variants of a study, pretrained once per seed and saved."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fei_sklearn._embedder import FEIEmbedder
from fei_sklearn.evaluation.models import (
    MACHINE_PARAMS,
    Conditions,
    Model,
    adapt_embedder,
    embedder_of,
    model_fingerprint,
)
from fei_sklearn.evaluation.standardise import TimeIndexStandardiser, as_panel
from fei_sklearn.evaluation.studies import BASE, STUDIES


class Corpus:
    """Series to pretrain on.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_channels, n_timepoints), or list of arrays of shape \
(n_channels, n_timepoints_i)
        Series, without labels.
    per_time_index : bool
        Standardise the series per time index, as the paper does, in place of the embedder's
        scaling.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_channels, n_timepoints)
        The panel to pretrain on.
    fingerprint : str
        Digest of the series as given.
    scaling : dict
        The embedder's parameters of scaling.
    """

    def __init__(self, X: np.ndarray | Sequence[np.ndarray], *, per_time_index: bool) -> None:
        panel = as_panel(X)
        kind = (panel.shape, str(panel.dtype), per_time_index)
        digest = hashlib.sha256(repr(kind).encode())
        digest.update(np.ascontiguousarray(panel).data)
        self.fingerprint = digest.hexdigest()
        self.X = panel
        self.scaling: dict[str, Any] = {}
        if per_time_index:
            self.X = TimeIndexStandardiser(panel)(panel)
            self.scaling = {"scaling": None}


class Variant(Model):
    """A variant of a study, pretrained on first use.

    Parameters
    ----------
    study, name : str
        The study and the variant.
    params : dict
        Parameters of :class:`fei_sklearn.FEIEmbedder`.
    corpus : Corpus
        Series to pretrain on.
    folder : Path or None
        Folder of the pretrained models; None keeps them in memory.
    """

    has_encoder = True

    def __init__(
        self,
        study: str,
        name: str,
        params: dict[str, Any],
        corpus: Corpus,
        folder: Path | None,
    ) -> None:
        self.study = study
        self.name = name
        self.corpus = corpus
        self.params = {**params, **corpus.scaling}
        self.folder = folder
        all_params = embedder_of(self.params).get_params(deep=False)
        for param in MACHINE_PARAMS:
            del all_params[param]
        self.fingerprint = model_fingerprint([all_params, corpus.fingerprint])
        self._embedders: dict[int, FEIEmbedder] = {}
        self._errors: dict[int, Exception] = {}

    def adapt(self, X: np.ndarray, seed: int, conditions: Conditions) -> FEIEmbedder:
        """Return the embedder that was pretrained under `seed`, ready for panels like `X`."""
        pretrained = self._pretrained(seed, conditions)
        return adapt_embedder(pretrained, X, conditions)

    def _pretrained(self, seed: int, conditions: Conditions) -> FEIEmbedder:
        if seed in self._errors:  # pretraining would fail again for each set
            raise self._errors[seed]
        if seed in self._embedders:
            return self._embedders[seed]
        if self.folder is not None:
            self._embedders.clear()  # the folder holds them all, memory only the last
        try:
            embedder = self._load(seed)
            if embedder is None:
                embedder = self._fit(seed, conditions)
        except Exception as error:
            self._errors[seed] = error
            raise
        self._embedders[seed] = embedder
        return embedder

    def _path(self, seed: int) -> Path | None:
        if self.folder is None:
            return None
        digest = self.fingerprint[:8]
        return self.folder / str(self.study) / f"{self.name}-seed{seed}-{digest}"

    def _load(self, seed: int) -> FEIEmbedder | None:
        path = self._path(seed)
        if path is None or not path.is_dir():
            return None
        try:
            embedder: FEIEmbedder = FEIEmbedder.load(path)
            return embedder
        except ValueError:  # incomplete since a run was killed: pretrain and save again
            return None

    def _fit(self, seed: int, conditions: Conditions) -> FEIEmbedder:
        embedder = FEIEmbedder(**self.params)
        embedder.set_params(device=conditions.device, n_jobs=conditions.n_jobs)
        embedder.set_params(random_state=seed)
        embedder.fit(self.corpus.X)
        path = self._path(seed)
        if path is not None:
            embedder.save(path)
        return embedder


def study_variants(
    study: str,
    corpus: Corpus,
    params: dict[str, Any],
    folder: Path | None,
) -> list[Variant]:
    """Return the variants of a study.

    Parameters
    ----------
    study : str
        A name in :data:`fei_sklearn.evaluation.STUDIES`.
    corpus : Corpus
        Series to pretrain on.
    params : dict
        Parameters that all variants share. They replace those of :data:`BASE`.
    folder : Path or None
        Folder of the pretrained models; None keeps them in memory.

    Returns
    -------
    list of Variant
        The variants, none pretrained yet.

    Raises
    ------
    ValueError
        For an unknown study or parameter, or a parameter that the study itself varies.
    """
    if study not in STUDIES:
        raise ValueError(f"There is no study {study!r}: choose one of {sorted(STUDIES)}.")
    changes = dict(STUDIES[study])
    for param in sorted(params):
        if all(param in change for change in changes.values()):
            raise ValueError(f"The study {study!r} varies {param}: do not set it.")
    variants = []
    for name, change in changes.items():
        variant_params = BASE | params | change
        variants.append(Variant(study, name, variant_params, corpus, folder))
    return variants
