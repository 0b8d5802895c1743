"""The three protocols: linear evaluation, fine-tuning, and scikit-learn's way of probing."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV, RidgeCV
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fei_sklearn._classifier import FEIClassifier
from fei_sklearn._regressor import FEIRegressor
from fei_sklearn.evaluation.models import Conditions
from fei_sklearn.evaluation.splits import folds, hold_out

PROTOCOLS = ("linear", "finetune", "probe")
HEADS = ("logistic", "ridge")

#: Hyper-parameters of the paper, by protocol. Early stopping is for linear classification alone.
PAPER: dict[str, dict[str, Any]] = {
    "linear": {"freeze_encoder": True, "learning_rate": 1e-4, "max_epochs": 300},
    "finetune": {"freeze_encoder": False, "learning_rate": 1e-5, "max_epochs": 100},
}
PAPER_COMMON: dict[str, Any] = {"batch_size": 32, "lr_decay": "cosine", "warm_head": False}
PATIENCE = 15

#: Penalties that the probe chooses among.
INVERSE_PENALTIES = tuple(np.logspace(-3, 2, 6))
PENALTIES = tuple(np.logspace(-3, 5, 17))


@dataclass(frozen=True)
class Task:
    """A set, its series as arrays and its input standardised.

    Attributes
    ----------
    classes : bool
        Whether the targets are classes.
    X_train, X_test : ndarray of shape (n_samples, n_channels, n_timepoints)
        Panels.
    y_train, y_test : ndarray of shape (n_samples,)
        Labels or targets.
    X_val, y_val : ndarray or None
        The validation part, if the set has one.
    groups : ndarray of shape (n_samples,) or None
        Groups of the training series.
    """

    classes: bool
    X_train: np.ndarray
    y_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    X_val: np.ndarray | None
    y_val: np.ndarray | None
    groups: np.ndarray | None


@dataclass(frozen=True)
class Outcome:
    """What a protocol gives.

    Attributes
    ----------
    predicted : ndarray of shape (n_samples,)
        Predictions of the test series.
    seconds : dict of str to float
        "fit" and "embed", as documented with each protocol.
    n_train, n_val : int
        Series that trained and that validated.
    """

    predicted: np.ndarray
    seconds: dict[str, float]
    n_train: int
    n_val: int


class _GivenValidation:
    """Mixin of a fine-tuner that validates on its last rows, not on a draw of its own."""

    n_validation = 0

    def _split(self, y: np.ndarray, random_state: Any) -> tuple[np.ndarray, np.ndarray]:
        rows = np.arange(len(y))
        n_training = len(y) - self.n_validation
        return rows[:n_training], rows[n_training:]


class _Classifier(_GivenValidation, FEIClassifier):
    pass


class _Regressor(_GivenValidation, FEIRegressor):
    pass


def end_to_end(
    task: Task, embedder: Any, protocol: str, seed: int, conditions: Conditions
) -> Outcome:
    """Linear evaluation or fine-tuning with the hyper-parameters of the paper.

    Parameters
    ----------
    task : Task
        The set.
    embedder : FEIEmbedder
        Fitted, ready for its panels.
    protocol : {"linear", "finetune"}
        Whether the encoder stays as it is.
    seed : int
        Seed of the batches, and of the validation part where the set has none.
    conditions : Conditions
        Where to compute.

    Returns
    -------
    Outcome
        Its seconds: "fit" is training, "embed" is embedding and predicting the test series.
    """
    if task.X_val is None or task.y_val is None:
        rows, held_out = hold_out(task.y_train, task.groups, classes=task.classes, seed=seed)
        X, y = task.X_train[np.r_[rows, held_out]], task.y_train[np.r_[rows, held_out]]
    else:
        rows, held_out = np.arange(len(task.y_train)), np.arange(len(task.y_val))
        X = _stacked(task.X_train, task.X_val)
        y = np.concatenate([task.y_train, task.y_val])
    tuner = (_Classifier if task.classes else _Regressor)(
        FrozenEstimator(embedder),
        **PAPER[protocol],
        **PAPER_COMMON,
        n_iter_no_change=PATIENCE if protocol == "linear" and task.classes else None,
        device=conditions.device,
        n_jobs=conditions.n_jobs,
        random_state=seed,
    )
    tuner.n_validation = len(held_out)
    started = time.perf_counter()
    tuner.fit(X, y)
    fitted = time.perf_counter()
    predicted = tuner.predict(task.X_test)
    seconds = {"fit": fitted - started, "embed": time.perf_counter() - fitted}
    return Outcome(predicted, seconds, len(rows), len(held_out))


def _stacked(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Both panels as one, the shorter series with NaN behind."""
    longest = max(first.shape[2], second.shape[2])
    parts = (
        np.pad(X, ((0, 0), (0, 0), (0, longest - X.shape[2])), constant_values=np.nan)
        for X in (first, second)
    )
    return np.concatenate(list(parts))


def probe(task: Task, embedder: Any, head: str, seed: int) -> Outcome:
    """A linear head of scikit-learn on standardised features, its penalty chosen on training folds.

    Parameters
    ----------
    task : Task
        The set; its validation part is not used.
    embedder : transformer
        Fitted; only its `transform` is called.
    head : {"logistic", "ridge"}
        For classes; targets are regressed by ridge.
    seed : int
        Seed of the folds.

    Returns
    -------
    Outcome
        Its seconds: "embed" is embedding training and test series, "fit" is fitting the head.
    """
    started = time.perf_counter()
    features = embedder.transform(task.X_train).astype(np.float64)
    test_features = embedder.transform(task.X_test).astype(np.float64)
    embedded = time.perf_counter()
    model = _head(task, head, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # nearly optimal will do
        model.fit(features, task.y_train)
    seconds = {"fit": time.perf_counter() - embedded, "embed": embedded - started}
    return Outcome(model.predict(test_features), seconds, len(task.y_train), 0)


def _head(task: Task, head: str, seed: int) -> Any:
    splits = folds(task.y_train, task.groups, classes=task.classes, seed=seed)
    if task.classes and head == "logistic":
        logistic = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        grid = {"logisticregression__C": INVERSE_PENALTIES}
        return GridSearchCV(logistic, grid, cv=splits) if splits else logistic
    # without groups leaving out one series each is exact and cheap
    cv = splits if task.groups is not None and splits else None
    ridge = RidgeClassifierCV if task.classes else RidgeCV
    return make_pipeline(StandardScaler(), ridge(alphas=PENALTIES, cv=cv))
