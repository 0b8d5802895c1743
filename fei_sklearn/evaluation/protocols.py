"""The three protocols: linear evaluation, fine-tuning, and a probe with scikit-learn's heads."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge, RidgeClassifierCV, RidgeCV
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from fei_sklearn._classifier import FEIClassifier
from fei_sklearn._regressor import FEIRegressor
from fei_sklearn._transform import plain_embeddings
from fei_sklearn.evaluation.models import Conditions, Transformer
from fei_sklearn.evaluation.sets import Task
from fei_sklearn.evaluation.splits import folds, hold_out, labelled_rows
from fei_sklearn.evaluation.standardise import padded_with_nan

#: Hyper-parameters of the paper, by protocol. Early stopping is for linear classification alone.
PAPER = {
    "linear": {
        "freeze_encoder": True,
        "learning_rate": 1e-4,
        "max_epochs": 300,
    },
    "finetune": {
        "freeze_encoder": False,
        "learning_rate": 1e-5,
        "max_epochs": 100,
    },
}
PAPER_COMMON = {
    "batch_size": 32,
    "lr_decay": "cosine",
    "warm_head": False,
    "n_iter_no_change": None,
}
PATIENCE = 15

#: Penalties among which the probe chooses.
INVERSE_PENALTIES = tuple(np.logspace(-3, 2, 6))
PENALTIES = tuple(np.logspace(-3, 5, 17))


@dataclass(frozen=True)
class Outcome:
    """Predictions of a protocol, and its cost.

    Attributes
    ----------
    predicted : ndarray of shape (n_samples,)
        Predictions of the test series.
    seconds : dict of str to float
        "fit" and "embed", as documented with each protocol.
    n_train, n_val : int
        Number of series that trained and that validated.
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
        training, validating = np.split(rows, [n_training])
        return training, validating


class _Classifier(_GivenValidation, FEIClassifier):
    pass


class _Regressor(_GivenValidation, FEIRegressor):
    pass


def end_to_end(
    task: Task,
    embedder: Transformer,
    protocol: str,
    seed: int,
    conditions: Conditions,
) -> Outcome:
    """Run linear evaluation or fine-tuning with the hyper-parameters of the paper.

    Parameters
    ----------
    task : Task
        The set.
    embedder : FEIEmbedder
        Fitted, ready for panels of the set.
    protocol : {"linear", "finetune"}
        Train a linear head alone, or head and encoder.
    seed : int
        Seed of the head, of batches, and of the validation part where the set has none.
    conditions : Conditions
        Where to compute.

    Returns
    -------
    Outcome
        In its `seconds`, "fit" is training, and "embed" is embedding and predicting the test
        series.
    """
    X, y, n_val = _training_rows(task, seed)
    params: dict[str, Any] = PAPER[protocol] | PAPER_COMMON
    if protocol == "linear" and task.classes:
        params["n_iter_no_change"] = PATIENCE
    params["device"] = conditions.device
    params["n_jobs"] = conditions.n_jobs
    params["random_state"] = seed
    estimator = _Classifier if task.classes else _Regressor
    frozen = FrozenEstimator(embedder)
    tuner = estimator(frozen, **params)
    tuner.n_validation = n_val
    started = time.perf_counter()
    tuner.fit(X, y)
    fitted = time.perf_counter()
    predicted = tuner.predict(task.X_test)  # type: ignore[no-untyped-call]
    ended = time.perf_counter()
    return Outcome(
        predicted=predicted,
        seconds={"fit": fitted - started, "embed": ended - fitted},
        n_train=len(y) - n_val,
        n_val=n_val,
    )


def _training_rows(task: Task, seed: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Return series and targets to fit, the validating rows last, and the number of these rows."""
    if task.X_val is not None and task.y_val is not None:
        X = _stacked(task.X_train, task.X_val)
        y = np.concatenate([task.y_train, task.y_val])
        return X, y, len(task.y_val)
    rows, held_out = hold_out(
        task.y_train,
        task.groups,
        classes=task.classes,
        seed=seed,
    )
    ordered = np.concatenate([rows, held_out])
    X = task.X_train[ordered]
    y = task.y_train[ordered]
    return X, y, len(held_out)


def _stacked(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return two panels as one, the series of the shorter panel padded with NaN."""
    n_timepoints = max(first.shape[2], second.shape[2])
    first = padded_with_nan(first, n_timepoints)
    second = padded_with_nan(second, n_timepoints)
    return np.concatenate([first, second])


def probe(
    task: Task,
    embedder: Transformer,
    head: str,
    seed: int,
    n_labels: int | None = None,
) -> Outcome:
    """Run a linear head of scikit-learn on standardised features.

    The penalty of the head is chosen on folds of the labelled training series.

    Parameters
    ----------
    task : Task
        The set; its validation part is not used.
    embedder : transformer
        Fitted; only its `transform` is called.
    head : {"logistic", "ridge"}
        Head for classes. Targets are regressed by ridge.
    seed : int
        Seed of the folds, and of the labelled series.
    n_labels : int, default=None
        Number of labels that the head sees: per class, or in all for targets. None is all labels.

    Returns
    -------
    Outcome
        In its `seconds`, "embed" is embedding the labelled training series and the test series,
        and "fit" is fitting the head.
    """
    if n_labels is not None:
        rows = labelled_rows(task.y_train, n_labels, classes=task.classes, seed=seed)
        task = task.with_training_rows(rows)
    started = time.perf_counter()
    features = plain_embeddings(embedder, task.X_train)
    features = features.astype(np.float64)
    test_features = plain_embeddings(embedder, task.X_test)
    test_features = test_features.astype(np.float64)
    embedded = time.perf_counter()
    model = _head(task, head, seed)
    with warnings.catch_warnings():
        # LogisticRegression stops at 1,000 iterations; nearly optimal is good enough
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(features, task.y_train)
    fitted = time.perf_counter()
    return Outcome(
        predicted=model.predict(test_features),
        seconds={"fit": fitted - embedded, "embed": embedded - started},
        n_train=len(task.y_train),
        n_val=0,
    )


def _head(task: Task, head: str, seed: int) -> Pipeline | GridSearchCV:
    splits = folds(
        task.y_train,
        task.groups,
        classes=task.classes,
        seed=seed,
    )
    if task.classes and head == "logistic":
        logistic = _standardised(LogisticRegression(max_iter=1000))
        if not splits:
            return logistic
        grid = {"logisticregression__C": INVERSE_PENALTIES}
        return GridSearchCV(logistic, grid, cv=splits)
    if len(task.y_train) == 1:  # no series is left to choose a penalty by
        return _standardised(Ridge())
    ridge = RidgeCV(alphas=PENALTIES)
    if task.classes:
        ridge = RidgeClassifierCV(alphas=PENALTIES)
    # without groups, ridge leaves out one series at a time, which is exact and cheap
    if task.groups is not None and splits:
        ridge.set_params(cv=splits)
    return _standardised(ridge)


def _standardised(head: Any) -> Pipeline:
    """Return a head on standardised features; frames in between would round otherwise."""
    pipeline: Pipeline = make_pipeline(StandardScaler(), head).set_output(transform="default")
    return pipeline
