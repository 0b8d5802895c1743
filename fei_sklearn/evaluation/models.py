"""What can be evaluated: saved models, untrained ones, and the baselines without an encoder."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.utils.validation import check_is_fitted

from fei_sklearn._embedder import FEIEmbedder
from fei_sklearn._saving import folder as _persistence
from fei_sklearn._saving import state as _state

#: Parameters of a saved model that may be chosen after it was trained.
READOUT = ("pooling", "layers", "views")

#: The readout of the paper.
PAPER_READOUT: dict[str, Any] = {"pooling": "mean", "layers": "last", "views": "level"}

#: Fewest time points that MiniRocket takes.
MINIROCKET_TIMEPOINTS = 9


@dataclass(frozen=True)
class Conditions:
    """Where a model computes, and on what.

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
        """What the embedder's parameters have to say of it."""
        where = {"device": self.device, "n_jobs": self.n_jobs}
        return where | (PAPER_READOUT if self.paper_readout else {})


class Model(Protocol):
    """A model, before it has seen a set.

    Attributes
    ----------
    name : str
        What tables call it.
    fingerprint : str
        Differs where weights or parameters differ; the seed is not part of it.
    study : str or None
        The study of which it is a variant.
    has_encoder : bool
        Whether :meth:`adapt` gives an FEIEmbedder, which can be fine-tuned.
    """

    name: str
    fingerprint: str
    study: str | None
    has_encoder: bool

    def adapt(self, X: np.ndarray, seed: int, conditions: Conditions) -> Any:
        """A fitted transformer for panels like the training panel `X`; labels are not seen."""


def model_fingerprint(what: Any) -> str:
    """Short digest of what JSON can hold; anything else in it by its repr."""
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=repr).encode()).hexdigest()[:16]


def adapted(fitted: Any, X: np.ndarray, conditions: Conditions) -> Any:
    """A fitted embedder made ready for panels of other channels or lengths, its weights as given.

    Parameters
    ----------
    fitted : FEIEmbedder
        The fitted embedder, left as it is.
    X : ndarray of shape (n_samples, n_channels, n_timepoints)
        Training panel.
    conditions : Conditions
        Where to compute.

    Returns
    -------
    FEIEmbedder
        Its scaling is the model's where it has as many channels, else that of `X`; thresholds of
        the readout are fitted on `X`.

    Raises
    ------
    ValueError
        If the encoder mixes another number of channels.
    """
    own = copy.deepcopy(fitted)
    own.set_params(warm_start=True, max_epochs=0, verbose=0, **conditions.params())
    if conditions.standardised:
        own.offset_, own.scale_ = np.zeros(X.shape[1]), np.ones(X.shape[1])
    return own.fit(X)


@dataclass
class SavedModel:
    """A fitted embedder.

    Attributes
    ----------
    fitted : FEIEmbedder
        The embedder.
    name : str
        What tables call it.
    """

    fitted: Any
    name: str
    study: str | None = None
    has_encoder: bool = True
    fingerprint: str = field(init=False)

    def __post_init__(self) -> None:
        config, arrays = _state.to_folder(self.fitted)
        for name in ("device", "n_jobs", "verbose"):
            del config["params"][name]  # the same numbers come out wherever they are computed
        config["fitted"].pop("history_")  # has timings
        digest = hashlib.sha256()
        for name in sorted(arrays):
            digest.update(name.encode() + np.ascontiguousarray(arrays[name]).tobytes())
        self.fingerprint = model_fingerprint([config, digest.hexdigest()])

    @classmethod
    def load(cls, name_or_path: str, readout: dict[str, Any]) -> SavedModel:
        """A model by folder or name, with the readout that is asked for."""
        unknown = sorted(set(readout) - set(READOUT))
        if unknown:
            raise ValueError(
                f"{unknown[0]!r} is fixed in a trained model: of the model {name_or_path!r} only "
                f"{', '.join(READOUT)} can be set."
            )
        fitted = FEIEmbedder.load(_persistence.locate(name_or_path))
        fitted.set_params(**readout)
        fitted._validate_params()
        return cls(fitted, os.path.basename(os.path.normpath(name_or_path)))

    def adapt(self, X: np.ndarray, seed: int, conditions: Conditions) -> Any:
        """The embedder, ready for panels like `X`."""
        return adapted(self.fitted, X, conditions)


class UntrainedModel:
    """An encoder of random weights with calibrated batch norm: the floor.

    Parameters
    ----------
    params : dict
        Parameters of :class:`fei_sklearn.FEIEmbedder`.
    """

    name = "random"
    study: str | None = None
    has_encoder = True

    def __init__(self, params: dict[str, Any]) -> None:
        self.params = {**params, "max_epochs": 0}
        self.fingerprint = model_fingerprint(check_params(self.params).get_params(deep=False))

    def adapt(self, X: np.ndarray, seed: int, conditions: Conditions) -> Any:
        """The encoder that `seed` draws, its batch norm calibrated on `X`."""
        own = FEIEmbedder(**self.params).set_params(random_state=seed, **conditions.params())
        return own.set_params(**({"scaling": None} if conditions.standardised else {})).fit(X)


def check_params(params: dict[str, Any]) -> Any:
    """An embedder of these parameters; ValueError if one is unknown or out of bounds."""
    embedder = FEIEmbedder().set_params(**params)
    embedder._validate_params()
    return embedder


class Raw:
    """The series themselves, end to end; a missing value is the training mean at its index."""

    name = fingerprint = "raw"
    study: str | None = None
    has_encoder = False

    def adapt(self, X: np.ndarray, seed: int, conditions: Conditions) -> Any:
        """A transformer to (n_samples, n_channels * n_timepoints)."""
        return _Flat(X)


class _Flat:
    def __init__(self, X: np.ndarray) -> None:
        self.length = X.shape[2]
        self.imputer = SimpleImputer(keep_empty_features=True).fit(self._rows(X))

    def _rows(self, X: np.ndarray) -> np.ndarray:
        missing = max(self.length - X.shape[2], 0)
        X = np.pad(X, ((0, 0), (0, 0), (0, missing)), constant_values=np.nan)
        return X[:, :, : self.length].reshape(len(X), -1)

    def transform(self, X: np.ndarray) -> np.ndarray:
        return np.asarray(self.imputer.transform(self._rows(X)), dtype=np.float32)


class MiniRocket:
    """sktime's MiniRocket, for panels of one length without missing values."""

    name = fingerprint = "minirocket"
    study: str | None = None
    has_encoder = False

    def __init__(self) -> None:
        try:
            import numba  # noqa: F401
        except ImportError as error:
            raise ValueError("The model 'minirocket' needs numba: pip install numba.") from error

    def adapt(self, X: np.ndarray, seed: int, conditions: Conditions) -> Any:
        """A transformer to 9,996 features."""
        from sktime.transformations.panel.rocket import MiniRocketMultivariate

        if X.shape[2] < MINIROCKET_TIMEPOINTS:
            raise ValueError(
                f"minirocket needs series of at least {MINIROCKET_TIMEPOINTS} time points, these "
                f"have {X.shape[2]}."
            )
        rocket = MiniRocketMultivariate(random_state=seed, n_jobs=conditions.n_jobs or 1)
        return _Rocket(rocket.fit(_complete(X)))


class _Rocket:
    def __init__(self, rocket: Any) -> None:
        self.rocket = rocket

    def transform(self, X: np.ndarray) -> np.ndarray:
        return np.asarray(self.rocket.transform(_complete(X)), dtype=np.float32)


def _complete(X: np.ndarray) -> np.ndarray:
    if np.isnan(X).any():
        raise ValueError(
            "minirocket takes series of one length without missing values, and these are not."
        )
    return X


def find_model(model: Any, params: dict[str, Any]) -> Model:
    """The model that a name, a folder or a fitted embedder stands for.

    Parameters
    ----------
    model : str or FEIEmbedder
        "random", "raw", "minirocket", a folder, the name of a bundled model, or a fitted embedder.
    params : dict
        Parameters of the embedder: any for "random", those of the readout for a trained one.

    Returns
    -------
    Model
        The model.

    Raises
    ------
    ValueError
        If there is no such model, or it does not take these parameters; NotFittedError for an
        embedder that was not fitted.
    TypeError
        If `model` is something else.
    """
    if isinstance(model, FEIEmbedder):
        check_is_fitted(model)
        if params:
            raise ValueError(f"A fitted embedder takes no params, got {sorted(params)}.")
        return SavedModel(model, type(model).__name__)
    if not isinstance(model, str | os.PathLike):
        raise TypeError(
            "model must be a fitted FEIEmbedder, a folder, or a name such as 'random', got "
            f"{type(model).__name__}."
        )
    name = os.fspath(model)
    if name == "random":
        return UntrainedModel(params)
    if name in ("raw", "minirocket"):
        if params:
            raise ValueError(f"The model {name!r} takes no parameters, got {sorted(params)}.")
        return Raw() if name == "raw" else MiniRocket()
    return SavedModel.load(name, params)
