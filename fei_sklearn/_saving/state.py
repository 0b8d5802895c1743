"""The fitted state of an embedder, to and from what a model folder holds."""

from __future__ import annotations

from typing import Any

import numpy as np

#: Fitted attributes that JSON holds as they are.
PLAIN = (
    "n_features_in_",
    "n_channels_in_",
    "n_timepoints_in_",
    "input_ndim_",
    "separate_channels_",
    "stride_",
    "objective_",
    "reference_length_",
    "min_timepoints_",
    "history_",
    "n_iter_",
    "best_epoch_",
)
#: Fitted arrays, or None, beside the weights.
ARRAYS = ("offset_", "scale_")


def to_folder(embedder: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Configuration and arrays of a fitted embedder.

    Parameters
    ----------
    embedder : FEIEmbedder
        A fitted embedder.

    Returns
    -------
    config : dict
        Class, parameters and plain attributes.
    arrays : dict of str to ndarray
        Weights, and the arrays of the scaling.
    """
    params = embedder.get_params(deep=False)
    if callable(params["encoder"]):
        params["encoder"] = None  # code is not data: load() is given it again
    params["random_state"] = _plain(params["random_state"])
    params["pretrained"] = None  # its weights are in the arrays
    params["checkpoint_dir"] = None  # a folder of this machine
    params["n_devices"] = 1  # of this machine as well
    fitted: dict[str, Any] = {name: getattr(embedder, name) for name in PLAIN}
    fitted["stage_widths_"] = list(embedder.stage_widths_)
    if hasattr(embedder, "feature_names_in_"):
        fitted["feature_names_in_"] = [str(name) for name in embedder.feature_names_in_]
    arrays = dict(embedder.weights_)
    arrays |= {name: getattr(embedder, name) for name in ARRAYS if _has(embedder, name)}
    config = {"class": type(embedder).__name__, "params": params, "fitted": fitted}
    return _jsonable(config), arrays


def _has(embedder: Any, name: str) -> bool:
    return getattr(embedder, name) is not None


def _plain(random_state: Any) -> int | None:
    # a RandomState has moved on with the fit, so it could not repeat it anyway
    return int(random_state) if isinstance(random_state, int | np.integer) else None


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def _check_consistent(embedder: Any) -> None:
    """Raise if the attributes do not describe the arrays."""
    n_channels = embedder.n_channels_in_
    if not isinstance(n_channels, int) or n_channels < 1:
        raise ValueError(f"it has {n_channels} channels")
    if embedder.input_ndim_ == 3 and embedder.n_features_in_ != n_channels:
        raise ValueError(f"it has {n_channels} channels, not {embedder.n_features_in_}")
    for name in ARRAYS:
        array = getattr(embedder, name)
        if array is not None and array.shape != (n_channels,):
            raise ValueError(f"{name} has shape {array.shape} for {n_channels} channels")
    widths = tuple(getattr(embedder.encoder_, "stage_widths", embedder.stage_widths_))
    if widths != embedder.stage_widths_:
        raise ValueError(f"its stages have the widths {widths}, not {embedder.stage_widths_}")


def from_folder(
    cls: type, config: dict[str, Any], arrays: dict[str, np.ndarray], *, encoder: Any
) -> Any:
    """A fitted embedder from what :func:`to_folder` gave.

    Parameters
    ----------
    cls : type
        The class to make.
    config : dict
        Configuration.
    arrays : dict of str to ndarray
        Arrays.
    encoder : callable or None
        The builder of the encoder, if the embedder was fitted with one.

    Returns
    -------
    FEIEmbedder
        The fitted embedder.

    Raises
    ------
    ValueError
        If the model is of another class, lacks something, or holds what its encoder has no use for.
    """
    if config.get("class") != cls.__name__:
        raise ValueError(
            f"The model is a {config.get('class')}, not a {cls.__name__}: load it with that class."
        )
    try:
        params, fitted = dict(config["params"]), dict(config["fitted"])
        if params["encoder"] is None and encoder is None:
            raise ValueError(
                "The model was fitted with an encoder of its user's own, which is code and not "
                "saved: give it again, load(path, encoder=...)."
            )
        if params["encoder"] is not None and encoder is not None:
            raise ValueError(
                f"The model has the encoder {params['encoder']!r} of its own: load it without "
                "encoder=."
            )
        if params["encoder"] is None:
            params["encoder"] = encoder
        for name in ("mask_ratio", "pooling", "views"):
            if isinstance(params[name], list):
                params[name] = tuple(params[name])
        embedder = cls(**params)
        embedder._validate_params()
        for name in PLAIN:
            setattr(embedder, name, fitted[name])
        embedder.stage_widths_ = tuple(fitted["stage_widths_"])
        if "feature_names_in_" in fitted:
            embedder.feature_names_in_ = np.array(fitted["feature_names_in_"], dtype=object)
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"The model's config.json does not describe a {cls.__name__} of this version: {error}."
        ) from error
    for name in ARRAYS:
        setattr(embedder, name, arrays.get(name))
    embedder.weights_ = {k: v for k, v in arrays.items() if k not in ARRAYS}
    try:
        _check_consistent(embedder)
    except (RuntimeError, LookupError, ValueError, TypeError) as error:
        raise ValueError(
            "The model's weights do not fit the encoder that its config.json describes: "
            f"{str(error).splitlines()[0]}"
        ) from error
    return embedder
