"""Pretraining for an evaluation: each variant of a study once a seed, kept as a saved model."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from fei_sklearn._embedder import FEIEmbedder
from fei_sklearn.evaluation.models import Conditions, adapted, check_params, model_fingerprint
from fei_sklearn.evaluation.standardise import TimeIndexStandardiser, as_panel
from fei_sklearn.evaluation.studies import STUDIES


class Corpus:
    """The series to pretrain on.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_channels, n_timepoints), or list of arrays of shape \
(n_channels, n_timepoints_i)
        Series, without labels.
    per_time_index : bool
        Standardise them per time index, as the paper does, in place of the embedder's scaling.

    Attributes
    ----------
    fingerprint : str
        Digest of the series.
    scaling : dict
        What the embedder's parameters have to say of scaling.
    """

    def __init__(self, X: Any, *, per_time_index: bool) -> None:
        panel = as_panel(X)
        digest = hashlib.sha256(repr((panel.shape, str(panel.dtype), per_time_index)).encode())
        digest.update(np.ascontiguousarray(panel).data)
        self.fingerprint = digest.hexdigest()
        self.X = TimeIndexStandardiser(panel)(panel) if per_time_index else panel
        self.scaling: dict[str, Any] = {"scaling": None} if per_time_index else {}


class Variant:
    """A variant of a study, pretrained when it is first needed.

    Parameters
    ----------
    study, name : str
        The study and the variant.
    params : dict
        Parameters of :class:`fei_sklearn.FEIEmbedder`.
    corpus : Corpus
        What to pretrain on.
    folder : Path or None
        Where pretrained models are kept; None keeps them in memory.
    """

    has_encoder = True

    def __init__(
        self, study: str, name: str, params: dict[str, Any], corpus: Corpus, folder: Path | None
    ) -> None:
        self.study: str | None = study
        self.name, self.corpus = name, corpus
        self.params = {**params, **corpus.scaling}
        everything = check_params(self.params).get_params(deep=False)
        everything = {k: v for k, v in everything.items() if k not in ("device", "n_jobs")}
        self.fingerprint = model_fingerprint([everything, corpus.fingerprint])
        self.folder = folder
        self.kept: dict[int, Any] = {}
        self.failed: dict[int, Exception] = {}

    def adapt(self, X: np.ndarray, seed: int, conditions: Conditions) -> Any:
        """The embedder that was pretrained under `seed`, ready for panels like `X`."""
        return adapted(self._pretrained(seed, conditions), X, conditions)

    def _pretrained(self, seed: int, conditions: Conditions) -> Any:
        if seed in self.failed:  # it would fail again for each set
            raise self.failed[seed]
        if seed not in self.kept:
            if self.folder is not None:
                self.kept.clear()  # one in memory, the folder has them all
            try:
                self.kept[seed] = self._load(seed) or self._fit(seed, conditions)
            except Exception as error:
                self.failed[seed] = error
                raise
        return self.kept[seed]

    def _path(self, seed: int) -> Path | None:
        if self.folder is None:
            return None
        return self.folder / str(self.study) / f"{self.name}-seed{seed}-{self.fingerprint[:8]}"

    def _load(self, seed: int) -> Any:
        path = self._path(seed)
        if path is None or not path.is_dir():
            return None
        try:
            return FEIEmbedder.load(path)
        except ValueError:  # left by a run that was killed: pretrained and written again
            return None

    def _fit(self, seed: int, conditions: Conditions) -> Any:
        own = FEIEmbedder(**self.params)
        own.set_params(random_state=seed, device=conditions.device, n_jobs=conditions.n_jobs)
        own.fit(self.corpus.X)
        path = self._path(seed)
        if path is not None:
            own.save(path)
        return own


def variants(
    study: str, corpus: Corpus, params: dict[str, Any], folder: Path | None
) -> list[Variant]:
    """The variants of a study.

    Parameters
    ----------
    study : str
        A name in :data:`fei_sklearn.evaluation.studies.STUDIES`.
    corpus : Corpus
        What to pretrain on.
    params : dict
        Parameters that all variants share.
    folder : Path or None
        Where pretrained models are kept.

    Returns
    -------
    list of Variant
        The variants, none pretrained yet.

    Raises
    ------
    ValueError
        For an unknown study or parameter, or one that the study itself varies.
    """
    if study not in STUDIES:
        raise ValueError(f"There is no study {study!r}: there are {sorted(STUDIES)}.")
    varied = set.intersection(*(set(changes) for _, changes in STUDIES[study]))
    clash = sorted(varied & set(params))
    if clash:
        raise ValueError(f"The study {study!r} varies {clash[0]}: do not set it.")
    return [
        Variant(study, name, {**params, **changes}, corpus, folder)
        for name, changes in STUDIES[study]
    ]
