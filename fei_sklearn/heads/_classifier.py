"""make_classifier: ridge classification of frozen embeddings, with probabilities if wanted."""

from __future__ import annotations

from sklearn import __version__ as sklearn_version
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import RidgeClassifierCV
from sklearn.pipeline import Pipeline
from sklearn.utils.fixes import parse_version

from fei_sklearn.heads._folds import CalibrationFolds
from fei_sklearn.heads._pipeline import PENALTIES, EmbedderLike, pipeline

#: First version of scikit-learn whose calibration has the method "temperature".
TEMPERATURE_SINCE = "1.8"


def make_classifier(
    embedder: EmbedderLike = "default",
    *,
    probabilities: bool = False,
) -> Pipeline:
    """Return the recommended classifier of frozen embeddings, as a scikit-learn Pipeline.

    The steps are "embedder", "scaler" (StandardScaler) and "head": ridge classification, whose
    penalty between 1e-3 and 1e5 has the least leave-one-out error. It was the most accurate head on
    64 UCR sets, and the quickest. ``set_params(embedder__pooling="small")`` reaches into a step. An
    embedder with `n_components` gets the scaler "passthrough"; set both if you set `n_components`.

    Parameters
    ----------
    embedder : FEIEmbedder, FrozenEstimator, str or path-like, default="default"
        Embedder of the series. A string or a path is a bundled checkpoint, a folder that `save`
        wrote, or a model on a hub; `fit` of the pipeline loads it. An unfitted embedder is fitted
        in the pipeline's `fit`. A fitted one keeps its weights: it becomes a ``FrozenEstimator``,
        whose parameters ``set_params`` does not reach.
    probabilities : bool, default=False
        Whether the pipeline has ``predict_proba``. Calibration on at most three folds gives them
        and needs two series of each class. With scikit-learn 1.8 or later the method is
        "temperature", which leaves the decisions as they are. Earlier versions use "sigmoid", which
        cost 0.8 points of accuracy.

    Returns
    -------
    Pipeline
        The unfitted classifier, for panels of shape (n_samples, n_timepoints) or
        (n_samples, n_channels, n_timepoints) and whatever else the embedder accepts.

    Raises
    ------
    TypeError
        If `embedder` or `probabilities` is none of these.

    See Also
    --------
    make_regressor : The same for numbers.
    fei_sklearn.FEIClassifier : Fine-tunes the embedder too.

    Notes
    -----
    `fit` raises ValueError if there is no model of that name, or, with probabilities, if a class
    has a single series.

    Examples
    --------
    >>> from sktime.datasets import load_unit_test
    >>> from fei_sklearn.heads import make_classifier
    >>> X, y = load_unit_test(split="train", return_type="numpy3d")
    >>> model = make_classifier(probabilities=True).fit(X, y)
    >>> model.predict_proba(X).shape
    (20, 2)
    """
    if not isinstance(probabilities, bool):
        raise TypeError(f"probabilities must be True or False, got {probabilities!r}.")
    head: BaseEstimator = RidgeClassifierCV(PENALTIES)
    if probabilities:
        head = CalibratedClassifierCV(
            head,
            method=_calibration_method(sklearn_version),
            cv=CalibrationFolds(),
            ensemble=False,
        )
    return pipeline(embedder, head)


def _calibration_method(version: str) -> str:
    """Return the best method of calibration that a version of scikit-learn has."""
    if parse_version(version) < parse_version(TEMPERATURE_SINCE):
        return "sigmoid"
    return "temperature"
