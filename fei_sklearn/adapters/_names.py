"""Comparison of the names of channels and exogenous variables with the names seen in fit."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np

from fei_sklearn._input.columns import refuse_repeated


def positions_by_name(
    fitted: Iterable[Hashable],
    given: Iterable[Hashable],
    container: str = "X",
) -> np.ndarray:
    """Return the positions of the columns of `fit` among the columns that a user passes.

    Columns numbered from 0 on have no names. Such columns are matched by position with columns
    that are named by anything else than numbers.

    Parameters
    ----------
    fitted : iterable of hashable
        Names seen in `fit`.
    given : iterable of hashable
        Names of the columns that the user passes.
    container : str, default="X"
        Name of the user's argument, for messages.

    Returns
    -------
    ndarray of shape (n_fitted,), int
        Positions.

    Raises
    ------
    ValueError
        If a column is missing, new or repeated.
    """
    fitted = list(fitted)
    given = list(given)
    refuse_repeated(given, container)
    if set(given) == set(fitted):
        return np.array([given.index(name) for name in fitted], dtype=int)
    if _is_unnamed(given) != _is_unnamed(fitted) and not (_are_ints(given) and _are_ints(fitted)):
        if len(given) == len(fitted):
            return np.arange(len(fitted))
        raise ValueError(
            f"{container} has {len(given)} columns, but fit saw {len(fitted)}: give {fitted}."
        )
    missing = [name for name in fitted if name not in given]
    new = [name for name in given if name not in fitted]
    faults = []
    if missing:
        faults.append(f"lacks {missing}, which fit saw")
    if new:
        faults.append(f"has {new}, which fit did not see")
    raise ValueError(f"{container} {' and '.join(faults)}: give the columns {fitted}.")


def _is_unnamed(names: list[Hashable]) -> bool:
    """Return whether columns are numbered from 0 on, as pandas does without names."""
    return _are_ints(names) and names == list(range(len(names)))


def _are_ints(names: list[Hashable]) -> bool:
    return all(isinstance(name, int | np.integer) for name in names)
