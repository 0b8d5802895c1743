"""The fitted state of a classifier or regressor, to and from what a model folder holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import clone

from fei_sklearn._saving.state import (
    MACHINE,
    from_folder,
    jsonable,
    saved_seed,
    set_saved_output,
    to_folder,
)

#: Arrays of the head; all others are the embedder's.
HEAD = ("coef_", "intercept_")

#: Fitted attributes that are plain values.
PLAIN = ("n_features_in_", "input_ndim_", "history_", "n_iter_", "best_epoch_")

#: Kinds of NumPy's dtypes that labels may have: booleans, numbers, strings and objects.
LABEL_KINDS = "biufUO"


def tuner_to_folder(tuner: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the configuration and the arrays of a fitted classifier or regressor.

    Parameters
    ----------
    tuner : FEIClassifier or FEIRegressor
        Fitted.

    Returns
    -------
    config : dict
        Class, parameters, plain attributes, and the embedder's configuration.
    arrays : dict of str to ndarray
        Arrays of the head and of the embedder.

    Raises
    ------
    ValueError
        If the labels are neither numbers nor strings.
    """
    embedder_config, arrays = to_folder(tuner.embedder_)
    fitted = {name: getattr(tuner, name) for name in PLAIN}
    if hasattr(tuner, "feature_names_in_"):
        fitted["feature_names_in_"] = [str(name) for name in tuner.feature_names_in_]
    if hasattr(tuner, "classes_"):
        fitted["classes"] = _saved_labels(tuner.classes_)
    else:
        fitted["y_ndim"] = tuner._y_ndim
    config = {
        "class": type(tuner).__name__,
        "params": _saved_params(tuner),
        "fitted": fitted,
        "embedder": embedder_config,
        "output": getattr(tuner, "_sklearn_output_config", {}).get("transform"),
    }
    head = {name: getattr(tuner, name) for name in HEAD}
    return jsonable(config), arrays | head


def tuner_from_folder(
    cls: type[Any],
    embedder_class: type[Any],
    config: dict[str, Any],
    arrays: dict[str, np.ndarray],
    encoder: Callable[[int], Any] | None,
) -> Any:
    """Return a fitted classifier or regressor from what :func:`tuner_to_folder` returned.

    Parameters
    ----------
    cls, embedder_class : type
        Classes of the estimator and of its embedder.
    config : dict
        Configuration.
    arrays : dict of str to ndarray
        Arrays.
    encoder : callable or None
        The builder of the encoder, if the embedder was fitted with one.

    Raises
    ------
    ValueError
        If the model is of another class, lacks something, or its arrays do not fit each other.
    """
    if config.get("class") != cls.__name__:
        raise ValueError(
            f"The model is a {config.get('class')}, not a {cls.__name__}: load it with that class."
        )
    weights = {name: array for name, array in arrays.items() if name not in HEAD}
    try:
        embedder = from_folder(embedder_class, config["embedder"], weights, encoder=encoder)
        tuner = cls(clone(embedder), **_loaded_params(config["params"]))
        tuner._validate_params()
        _set_fitted(tuner, config["fitted"])
        set_saved_output(tuner, config)
        tuner.coef_ = arrays["coef_"]
        tuner.intercept_ = arrays["intercept_"]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(
            f"The model's configuration does not describe a {cls.__name__} of this version: "
            f"{error}."
        ) from error
    tuner.embedder_ = embedder
    _check_head(tuner)
    return tuner


def _saved_params(tuner: Any) -> dict[str, Any]:
    params: dict[str, Any] = tuner.get_params(deep=False)
    del params["embedder"]  # the fitted one is saved
    params["random_state"] = saved_seed(params["random_state"])
    if isinstance(params.get("class_weight"), dict):
        params["class_weight"] = list(params["class_weight"].items())  # JSON's keys are strings
    return params | _machine(params)


def _loaded_params(saved: dict[str, Any]) -> dict[str, Any]:
    params = saved | _machine(saved)  # a stranger's file sets nothing of this machine
    if isinstance(params.get("class_weight"), list):
        params["class_weight"] = dict(params["class_weight"])
    return params


def _machine(params: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in MACHINE.items() if name in params}


def _saved_labels(labels: np.ndarray) -> dict[str, Any]:
    values = labels.tolist()
    are_plain = all(isinstance(value, str | int | float | bool) for value in values)
    if labels.dtype.kind not in LABEL_KINDS or not are_plain:
        raise ValueError(
            f"The labels, of dtype {labels.dtype}, cannot be saved: use numbers or strings."
        )
    return {"dtype": labels.dtype.str, "values": values}


def _set_fitted(tuner: Any, saved: dict[str, Any]) -> None:
    for name in PLAIN:
        setattr(tuner, name, saved[name])
    if "feature_names_in_" in saved:
        tuner.feature_names_in_ = np.array(saved["feature_names_in_"], dtype=object)
    if "classes" not in saved:
        tuner._y_ndim = saved["y_ndim"]
        return
    dtype = np.dtype(saved["classes"]["dtype"])
    if dtype.kind not in LABEL_KINDS:
        raise TypeError(f"labels of dtype {dtype}")
    tuner.classes_ = np.array(saved["classes"]["values"], dtype=dtype)


def _check_head(tuner: Any) -> None:
    """Raise a ValueError if the head does not fit the embedder or the labels."""
    n_features = tuner.embedder_._n_features_out
    n_outputs = len(tuner.intercept_)
    is_unlabelled = hasattr(tuner, "classes_") and len(tuner.classes_) != n_outputs
    if tuner.coef_.shape != (n_outputs, n_features) or is_unlabelled:
        raise ValueError(
            f"The model's head of shape {tuner.coef_.shape} does not fit its {n_outputs} "
            f"intercepts, its labels, or its {n_features} features."
        )
