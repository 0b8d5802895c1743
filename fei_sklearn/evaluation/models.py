"""Models that can be evaluated: saved, untrained, and baselines without an encoder."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.utils.validation import check_is_fitted

from fei_sklearn._embedder import FEIEmbedder
from fei_sklearn._saving import state as saved_state
from fei_sklearn._saving.names import locate
from fei_sklearn.evaluation.standardise import padded_with_nan

#: Parameters of the readout.
READOUT_PARAMS = ("pooling", "layers", "views", "n_components")

#: Parameters of a saved model that may be chosen after training.
LATER_PARAMS = (*READOUT_PARAMS, "calibration")

#: The readout of the paper.
PAPER_READOUT = {
    "pooling": "mean",
    "layers": "last",
    "views": "level",
}

#: Parameters that leave the computed numbers as they are, wherever they are computed.
MACHINE_PARAMS = ("device", "n_jobs")

#: Smallest number of time points that MiniRocket supports.
MINIROCKET_TIMEPOINTS = 9


@dataclass(frozen=True)
class Conditions:
    """Device of a model, and form of its input and output.

    Attributes
    ----------
    device : str
        As in :class:`fei_sklearn.FEIEmbedder`.
    n_jobs : int or None
        Threads on the CPU.
    standardised : bool
        The input is standardised already: the model's own scaling is left out.
    paper_readout : bool
        Embeddings are the mean over time of the last stage, whatever the model's readout.
    """

    device: str = "auto"
    n_jobs: int | None = None
    standardised: bool = False
    paper_readout: bool = False

    def params(self) -> dict[str, Any]:
        """Return the parameters of the embedder under these conditions."""
        params: dict[str, Any] = {}
        params["device"] = self.device
        params["n_jobs"] = self.n_jobs
        if self.paper_readout:
            params |= PAPER_READOUT
        return params


class Transformer(Protocol):
    """A fitted transformer from panels to features."""

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return features of shape (n_samples, n_features)."""


class Model(ABC):
    """A model before it has seen a set.

    Attributes
    ----------
    name : str
        Name in tables.
    fingerprint : str
        Digest of weights and parameters; the seed is not part of it.
    study : str or None
        Study that the model is a variant of.
    has_encoder : bool
        Whether :meth:`adapt` returns an FEIEmbedder, which can be fine-tuned.
    """

    name: str
    fingerprint: str
    study: str | None = None
    has_encoder = False

    @abstractmethod
    def adapt(self, X: np.ndarray, seed: int, conditions: Conditions) -> Transformer:
        """Return a fitted transformer for panels like a training panel, without labels.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_channels, n_timepoints)
            Training panel.
        seed : int
            Seed of what the model draws.
        conditions : Conditions
            Where to compute.

        Returns
        -------
        transformer
            An FEIEmbedder if the model has an encoder.
        """


def model_fingerprint(content: object) -> str:
    """Return a short digest of JSON content; other objects in it enter by their repr."""
    text = json.dumps(content, sort_keys=True, default=repr)
    digest = hashlib.sha256(text.encode())
    return digest.hexdigest()[:16]


def adapt_embedder(
    fitted: FEIEmbedder,
    X: np.ndarray,
    conditions: Conditions,
) -> FEIEmbedder:
    """Return a copy of a fitted embedder for panels of other channels or lengths.

    Parameters
    ----------
    fitted : FEIEmbedder
        Fitted embedder, which is not changed.
    X : ndarray of shape (n_samples, n_channels, n_timepoints)
        Training panel.
    conditions : Conditions
        Where to compute.

    Returns
    -------
    FEIEmbedder
        Embedder of the same weights. It keeps the scaling of `fitted` if the number of channels is
        the same; otherwise its scaling is fitted on `X`. Thresholds of the readout are fitted on
        `X`.

    Raises
    ------
    ValueError
        If the encoder mixes another number of channels.
    """
    embedder = copy.deepcopy(fitted)
    embedder.set_params(**conditions.params())
    embedder.set_params(warm_start=True, max_epochs=0, verbose=0)
    if conditions.standardised:
        n_channels = X.shape[1]
        embedder.offset_ = np.zeros(n_channels)
        embedder.scale_ = np.ones(n_channels)
    embedder.fit(X)
    return embedder


def embedder_of(params: dict[str, Any]) -> FEIEmbedder:
    """Return an embedder of these parameters.

    Parameters
    ----------
    params : dict
        Parameters of :class:`fei_sklearn.FEIEmbedder`.

    Returns
    -------
    FEIEmbedder
        The embedder, not fitted.

    Raises
    ------
    ValueError
        If a parameter is unknown or out of bounds.
    """
    embedder = FEIEmbedder()
    embedder.set_params(**params)
    embedder._validate_params()
    return embedder


class SavedModel(Model):
    """A fitted embedder.

    Parameters
    ----------
    fitted : FEIEmbedder
        The embedder.
    name : str
        Name in tables.
    """

    has_encoder = True

    def __init__(self, fitted: FEIEmbedder, name: str) -> None:
        self.fitted = fitted
        self.name = name
        config, arrays = saved_state.to_folder(fitted)
        for param in (*MACHINE_PARAMS, "verbose"):
            del config["params"][param]
        del config["fitted"]["history_"]  # contains timings
        del config["trained_elsewhere"]  # only says whether fit warns
        digest = hashlib.sha256()
        for key in sorted(arrays):
            content = np.ascontiguousarray(arrays[key])
            digest.update(key.encode())
            digest.update(content.tobytes())
        self.fingerprint = model_fingerprint([config, digest.hexdigest()])

    @classmethod
    def load(cls, name_or_path: str, params: dict[str, Any]) -> SavedModel:
        """Load a model, and choose its readout and what it takes from a panel.

        Parameters
        ----------
        name_or_path : str
            Folder, or name of a bundled model.
        params : dict
            Parameters among :data:`LATER_PARAMS`; others stay as they were saved.

        Returns
        -------
        SavedModel
            The model.

        Raises
        ------
        ValueError
            If there is no such model, or a parameter is fixed in it.
        """
        unknown = sorted(set(params) - set(LATER_PARAMS))
        if unknown:
            raise ValueError(
                f"{unknown[0]!r} is fixed in the trained model {name_or_path!r}: set only "
                f"{', '.join(LATER_PARAMS)}."
            )
        folder = locate(name_or_path)
        fitted = FEIEmbedder.load(folder)
        fitted.set_params(**params)
        fitted._validate_params()
        path = os.path.normpath(name_or_path)
        name = os.path.basename(path)
        return cls(fitted, name)

    def adapt(self, X: np.ndarray, seed: int, conditions: Conditions) -> FEIEmbedder:
        """Return the embedder, ready for panels like `X`."""
        return adapt_embedder(self.fitted, X, conditions)


class UntrainedModel(Model):
    """An encoder of random weights with calibrated batch norm: the lower bound.

    Parameters
    ----------
    params : dict
        Parameters of :class:`fei_sklearn.FEIEmbedder`.
    """

    name = "random"
    has_encoder = True

    def __init__(self, params: dict[str, Any]) -> None:
        self.params = {**params, "max_epochs": 0}
        all_params = embedder_of(self.params).get_params(deep=False)
        self.fingerprint = model_fingerprint(all_params)

    def adapt(self, X: np.ndarray, seed: int, conditions: Conditions) -> FEIEmbedder:
        """Return the encoder drawn by `seed`, its batch norm calibrated on `X`."""
        embedder = FEIEmbedder(**self.params)
        embedder.set_params(random_state=seed, **conditions.params())
        if conditions.standardised:
            embedder.set_params(scaling=None)
        embedder.fit(X)
        return embedder


class Raw(Model):
    """The series themselves; a missing value is the training mean at its channel and index."""

    name = "raw"
    fingerprint = "raw"

    def adapt(self, X: np.ndarray, seed: int, conditions: Conditions) -> Transformer:
        """Return a transformer to (n_samples, n_channels * n_timepoints)."""
        return _Flattener(X)


class _Flattener:
    """Series of the training length as rows: longer ones cut, missing values imputed."""

    def __init__(self, X: np.ndarray) -> None:
        self.n_timepoints = X.shape[2]
        self.imputer = SimpleImputer(keep_empty_features=True).set_output(transform="default")
        self.imputer.fit(self._rows(X))

    def _rows(self, X: np.ndarray) -> np.ndarray:
        padded = padded_with_nan(X, self.n_timepoints)
        cut = padded[:, :, : self.n_timepoints]
        return cut.reshape(len(X), -1)

    def transform(self, X: np.ndarray) -> np.ndarray:
        complete = self.imputer.transform(self._rows(X))
        return np.asarray(complete)  # not rounded: the head centres the features


class MiniRocket(Model):
    """sktime's MiniRocket, for panels of one length without missing values.

    Raises
    ------
    ValueError
        If numba is not installed.
    """

    name = "minirocket"
    fingerprint = "minirocket"

    def __init__(self) -> None:
        try:
            import numba  # noqa: F401
        except ImportError as error:
            raise ValueError("The model 'minirocket' needs numba: pip install numba.") from error

    def adapt(self, X: np.ndarray, seed: int, conditions: Conditions) -> Transformer:
        """Return a transformer to 9,996 features."""
        from sktime.transformations.panel.rocket import MiniRocketMultivariate

        n_timepoints = X.shape[2]
        if n_timepoints < MINIROCKET_TIMEPOINTS:
            raise ValueError(
                f"minirocket needs series of at least {MINIROCKET_TIMEPOINTS} time points, got "
                f"{n_timepoints}: leave this set out."
            )
        _check_complete(X)
        rocket = MiniRocketMultivariate(random_state=seed, n_jobs=conditions.n_jobs or 1)
        rocket.fit(X)
        return _FittedMiniRocket(rocket)


class _FittedMiniRocket:
    def __init__(self, rocket: Any) -> None:
        self.rocket = rocket

    def transform(self, X: np.ndarray) -> np.ndarray:
        _check_complete(X)
        features = self.rocket.transform(X)
        return np.asarray(features, dtype=np.float32)


def _check_complete(X: np.ndarray) -> None:
    if np.isnan(X).any():
        raise ValueError(
            "minirocket needs series of one length without missing values: leave this set out."
        )


#: Name -> model without parameters.
BASELINES: dict[str, type[Model]] = {
    "raw": Raw,
    "minirocket": MiniRocket,
}


def find_model(
    model: str | os.PathLike[str] | FEIEmbedder,
    params: dict[str, Any],
) -> Model:
    """Find a model by its name or folder, or wrap a fitted embedder.

    Parameters
    ----------
    model : str or FEIEmbedder
        "random", "raw", "minirocket", a folder, the name of a bundled model, or a fitted embedder.
    params : dict
        Parameters of the embedder: any for "random", :data:`LATER_PARAMS` for a trained one.

    Returns
    -------
    Model
        The model.

    Raises
    ------
    ValueError
        If there is no such model, or the model does not accept these parameters; NotFittedError
        for an embedder that is not fitted.
    TypeError
        If `model` is something else.
    """
    if isinstance(model, FEIEmbedder):
        check_is_fitted(model)
        if params:
            raise ValueError(f"A fitted embedder has its parameters: leave out {sorted(params)}.")
        return SavedModel(model, type(model).__name__)
    if not isinstance(model, str | os.PathLike):
        raise TypeError(
            "model must be a fitted FEIEmbedder, a folder, or a name such as 'random', got "
            f"{type(model).__name__}."
        )
    name = os.fspath(model)
    if name == "random":
        return UntrainedModel(params)
    if name not in BASELINES:
        return SavedModel.load(name, params)
    if params:
        raise ValueError(f"The model {name!r} has no parameters: leave out {sorted(params)}.")
    baseline = BASELINES[name]
    return baseline()
