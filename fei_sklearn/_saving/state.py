"""The fitted state of an embedder, to and from what a model folder holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from fei_sklearn._saving.names import bundled_names
from fei_sklearn._warnings import warn
from fei_sklearn.encoder.layout import RESIDUAL

#: Parameters that JSON turns from tuples into lists.
TUPLES = ("mask_ratio", "pooling", "views")

#: Containers that scikit-learn's `set_output` takes.
CONTAINERS = ("default", "pandas", "polars")

#: Parameters of the machine on which a model is used, and what is saved in their place.
MACHINE = {
    "checkpoint_dir": None,
    "device": "auto",
    "n_devices": 1,
    "n_jobs": None,
    "pretrained": None,  # its weights are in the arrays
    "verbose": 0,
}


class FittedEmbedder(Protocol):
    """Attributes of a fitted embedder that are saved."""

    _is_trained_elsewhere: bool
    n_features_in_: int
    n_channels_in_: int
    n_timepoints_in_: int
    input_ndim_: int
    separate_channels_: bool
    stride_: int
    objective_: str
    reference_length_: int
    min_timepoints_: int | None
    stretch_: float | None
    history_: list[dict[str, Any]]
    n_iter_: int
    best_epoch_: int
    stage_widths_: tuple[int, ...]
    architecture_: str
    feature_names_in_: np.ndarray
    weights_: dict[str, np.ndarray]
    offset_: np.ndarray | None
    scale_: np.ndarray | None

    @property
    def encoder_(self) -> Any:
        """The fitted encoder."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters."""

    def _validate_params(self) -> None: ...


def to_folder(embedder: FittedEmbedder) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the configuration and the arrays of a fitted embedder.

    Parameters
    ----------
    embedder : FEIEmbedder
        A fitted embedder.

    Returns
    -------
    config : dict
        Class, parameters and plain attributes, as JSON can hold them.
    arrays : dict of str to ndarray
        Weights, and the arrays of the scaling.
    """
    config = {
        "class": type(embedder).__name__,
        "params": _saved_params(embedder),
        "fitted": _plain_attributes(embedder),
        "trained_elsewhere": _is_trained_elsewhere(embedder),
        "output": getattr(embedder, "_sklearn_output_config", {}).get("transform"),
    }
    arrays = dict(embedder.weights_)
    if embedder.offset_ is not None:
        arrays["offset_"] = embedder.offset_
    if embedder.scale_ is not None:
        arrays["scale_"] = embedder.scale_
    return jsonable(config), arrays


def _saved_params(embedder: FittedEmbedder) -> dict[str, Any]:
    """Return the parameters, except for code and for what belongs to this machine."""
    params = embedder.get_params(deep=False)
    if callable(params["encoder"]):
        params["encoder"] = None  # code is not data: load() receives it again
    params["random_state"] = saved_seed(params["random_state"])
    return params | MACHINE | {"pretrained": _bundled(params["pretrained"])}


def _bundled(pretrained: Any) -> str | None:
    """Return the name of a bundled checkpoint, which every machine has, None of another model."""
    if isinstance(pretrained, str) and pretrained in bundled_names():
        return pretrained
    return None


def saved_seed(random_state: Any) -> int | None:
    """Return a seed as an int; a RandomState has moved on, so it could not repeat the fit."""
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    return None


def _plain_attributes(embedder: FittedEmbedder) -> dict[str, Any]:
    attributes = {
        "n_features_in_": embedder.n_features_in_,
        "n_channels_in_": embedder.n_channels_in_,
        "n_timepoints_in_": embedder.n_timepoints_in_,
        "input_ndim_": embedder.input_ndim_,
        "separate_channels_": embedder.separate_channels_,
        "stride_": embedder.stride_,
        "objective_": embedder.objective_,
        "reference_length_": embedder.reference_length_,
        "min_timepoints_": embedder.min_timepoints_,
        "stretch_": embedder.stretch_,
        "history_": embedder.history_,
        "n_iter_": embedder.n_iter_,
        "best_epoch_": embedder.best_epoch_,
        "stage_widths_": list(embedder.stage_widths_),
        "architecture_": embedder.architecture_,
    }
    if hasattr(embedder, "feature_names_in_"):  # as in scikit-learn, after a fit on a frame alone
        attributes["feature_names_in_"] = [str(name) for name in embedder.feature_names_in_]
    return attributes


def jsonable(value: Any) -> Any:
    """Return a value with lists in the place of tuples, and plain numbers in that of NumPy's."""
    if isinstance(value, dict):
        return {key: jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    return value


def from_folder(
    cls: type[Any],
    config: dict[str, Any],
    arrays: dict[str, np.ndarray],
    *,
    encoder: Callable[[int], Any] | None,
) -> Any:
    """Return a fitted embedder from what :func:`to_folder` returned.

    Parameters
    ----------
    cls : type
        Class of the embedder.
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
        If the model is of another class, lacks something, or has arrays that its encoder does not.
    """
    if config.get("class") != cls.__name__:
        raise ValueError(
            f"The model is a {config.get('class')}, not a {cls.__name__}: load it with that class."
        )
    try:
        embedder: FittedEmbedder = cls(**_loaded_params(config["params"], encoder))
        embedder._validate_params()
        _set_plain_attributes(embedder, config["fitted"])
        set_saved_output(embedder, config)
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"The model's configuration does not describe a {cls.__name__} of this version: "
            f"{error}."
        ) from error
    weights = dict(arrays)
    embedder.offset_ = weights.pop("offset_", None)
    embedder.scale_ = weights.pop("scale_", None)
    for array in weights.values():
        array.flags.writeable = False  # as after a fit
    embedder.weights_ = weights
    try:
        _check_consistent(embedder)
    except (RuntimeError, LookupError, ValueError, TypeError) as error:
        first_line = str(error).splitlines()[0]
        raise ValueError(
            f"The model's weights do not fit the encoder of its configuration: {first_line}"
        ) from error
    if config.get("trained_elsewhere"):  # earlier versions saved none
        embedder._is_trained_elsewhere = True
    return embedder


def warn_of_dropped_weights(embedder: Any) -> None:
    """Warn if an embedder's parameters would train quite other weights than it has loaded."""
    if hasattr(embedder, "_is_trained_elsewhere"):
        warn(
            "fit trains new weights in place of those that were loaded: use transform without fit, "
            "FEIEmbedder(pretrained=...) to start from a model, or partial_fit or warm_start=True "
            "to train it further."
        )


def _is_trained_elsewhere(embedder: Any) -> bool:
    """Return whether the weights come from another model, which the parameters will not name."""
    if hasattr(embedder, "_is_trained_elsewhere"):
        return True
    return embedder.pretrained is not None and _bundled(embedder.pretrained) is None


def _loaded_params(
    saved: dict[str, Any],
    encoder: Callable[[int], Any] | None,
) -> dict[str, Any]:
    pretrained = _bundled(saved.get("pretrained"))
    # a stranger's file sets nothing of this machine
    params = saved | MACHINE | {"pretrained": pretrained}
    if params["encoder"] is None and encoder is None:
        raise ValueError(
            "The model was fitted with a user's own encoder, which is code and not saved: give it "
            "again, load(path, encoder=...)."
        )
    if params["encoder"] is not None and encoder is not None:
        raise ValueError(
            f"The model has the encoder {params['encoder']!r}: load it without encoder=."
        )
    if encoder is not None:
        params["encoder"] = encoder
    for name in TUPLES:
        if isinstance(params[name], list):
            params[name] = tuple(params[name])
    return params


def set_saved_output(estimator: Any, config: dict[str, Any]) -> None:
    """Let `transform` return the container that `set_output` had set before the model was saved."""
    output = config.get("output")  # earlier versions saved none
    if output is None:
        return
    if output not in CONTAINERS:
        raise TypeError(f"output is {output!r}")
    estimator.set_output(transform=output)


def _set_plain_attributes(
    embedder: FittedEmbedder,
    saved: dict[str, Any],
) -> None:
    embedder.n_features_in_ = saved["n_features_in_"]
    embedder.n_channels_in_ = saved["n_channels_in_"]
    embedder.n_timepoints_in_ = saved["n_timepoints_in_"]
    embedder.input_ndim_ = saved["input_ndim_"]
    embedder.separate_channels_ = saved["separate_channels_"]
    embedder.stride_ = saved["stride_"]
    embedder.objective_ = saved["objective_"]
    embedder.reference_length_ = saved["reference_length_"]
    embedder.min_timepoints_ = saved["min_timepoints_"]
    embedder.stretch_ = saved.get("stretch_")
    embedder.history_ = saved["history_"]
    embedder.n_iter_ = saved["n_iter_"]
    embedder.best_epoch_ = saved["best_epoch_"]
    embedder.stage_widths_ = tuple(saved["stage_widths_"])
    embedder.architecture_ = saved.get("architecture_", RESIDUAL)
    if "feature_names_in_" in saved:
        embedder.feature_names_in_ = np.array(saved["feature_names_in_"], dtype=object)


def _check_consistent(embedder: FittedEmbedder) -> None:
    """Raise an error if the attributes do not describe the arrays."""
    from fei_sklearn.encoder.maps import stated_widths

    n_channels = embedder.n_channels_in_
    if not isinstance(n_channels, int) or n_channels < 1:
        raise ValueError(f"it has {n_channels} channels")
    if embedder.input_ndim_ == 3 and embedder.n_features_in_ != n_channels:
        raise ValueError(f"it has {n_channels} channels, not {embedder.n_features_in_}")
    _check_scaling("offset_", embedder.offset_, n_channels)
    _check_scaling("scale_", embedder.scale_, n_channels)
    _check_sizes(embedder)
    widths = stated_widths(embedder.encoder_)  # restoring the encoder checks its weights
    if widths is not None and widths != embedder.stage_widths_:
        raise ValueError(f"its stages have the widths {widths}, not {embedder.stage_widths_}")


def _check_sizes(embedder: FittedEmbedder) -> None:
    """Raise an error if the encoder, or its series, would be much larger than the weights.

    An encoder has more weights than its width squared, and than its channels. Training stretches
    series to `min_timepoints` before their length becomes the reference.
    """
    arrays = embedder.weights_.values()
    n_weights = sum(array.size for array in arrays)
    if callable(embedder.get_params(deep=False)["encoder"]):
        return
    width = embedder.stage_widths_[-1]
    if width**2 > n_weights:
        raise ValueError(f"stages of widths up to {width} have more than its {n_weights} weights")
    if not embedder.separate_channels_ and embedder.n_channels_in_ > n_weights:
        raise ValueError(f"it has {n_weights} weights for {embedder.n_channels_in_} channels")
    prompts = embedder.weights_.get("prompts")
    longest = embedder.reference_length_
    if prompts is not None and longest > 2 * len(prompts):
        raise ValueError(f"it has {len(prompts)} prompts for {longest} time points")
    shortest = embedder.min_timepoints_
    if shortest is not None and shortest > longest:
        raise ValueError(f"min_timepoints_ is {shortest} for series of {longest} time points")
    factor = embedder.stretch_
    if factor is not None and not factor >= 1:
        raise ValueError(f"stretch_ is {factor}, not a factor of at least 1")


def _check_scaling(
    name: str,
    array: np.ndarray | None,
    n_channels: int,
) -> None:
    if array is not None and array.shape != (n_channels,):
        raise ValueError(f"{name} has shape {array.shape} for {n_channels} channels")
