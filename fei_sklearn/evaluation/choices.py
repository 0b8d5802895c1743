"""Tasks, protocols and options of an evaluation by name, without torch or scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence

#: Task -> metrics.
METRICS = {
    "classification": ("accuracy", "precision", "recall", "f1"),
    "regression": ("mse", "mae"),
}
TASKS = tuple(METRICS)

PROTOCOLS = ("linear", "finetune", "probe")

#: Heads of the probe for classes.
HEADS = ("logistic", "ridge")

#: Standardise the input per time index, or by the model's own scaling.
STANDARDISE = ("time-index", "model")

#: Embed by the mean over time of the last stage, or by the model's own readout.
READOUTS = ("paper", "model")


def check_choice(
    name: str,
    value: str | None,
    choices: Sequence[str | None],
) -> None:
    """Raise ValueError if an argument is none of its choices.

    Parameters
    ----------
    name : str
        Name of the argument.
    value : str or None
        Value of the argument.
    choices : sequence of str or None
        Allowed values.
    """
    if value not in choices:
        raise ValueError(f"{name} must be one of {list(choices)}, got {value!r}.")
