"""Conversion of long pandas and polars frames, one row per series and time point, to panels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_complex_dtype, is_numeric_dtype

from fei_sklearn._transform import plain_embeddings
from fei_sklearn.adapters._grid import on_grid, ranks_of

__all__ = ["embed_long", "from_long"]


def from_long(
    frame: Any, *, id: Any, time: Any, columns: Any = None
) -> tuple[np.ndarray | list[np.ndarray], pd.Index]:
    """Convert a long frame to a panel and the names of its series.

    Each series lasts from its first to its last time. A time in between that only other series have
    is a missing value.

    Parameters
    ----------
    frame : pandas or polars DataFrame
        One row per series and time point, in any order.
    id : str
        Column with the names of the series.
    time : str
        Column of numbers, dates or times that orders the rows of a series.
    columns : str, list, array or index of str, or None, default=None
        Columns of values, one per channel; None for all except `id` and `time`.

    Returns
    -------
    panel : ndarray of shape (n_samples, n_channels, n_timepoints), or list of arrays of shape \
(n_channels, n_timepoints_i)
        Panel for :class:`fei_sklearn.FEIEmbedder`, float64 with NaN for missing values; a list if
        the series differ in length.
    ids : pandas.Index of length n_samples
        Names of the series in the order of the panel. Series are ordered by their first rows.

    Raises
    ------
    TypeError
        If `frame` is neither a pandas nor a polars DataFrame.
    ValueError
        If the frame is empty, a column is missing, repeated or not numeric, an id or a time is
        missing, times cannot be sorted, there are two rows for an id and a time, or the series
        share so few times that the panel would be more than 50 times as large as the frame.

    Warns
    -----
    UserWarning
        If the series share so few times that most of the panel is missing.

    See Also
    --------
    embed_long : Embeds the series of such a frame.

    Examples
    --------
    >>> import pandas as pd
    >>> from fei_sklearn.adapters.frames import from_long
    >>> frame = pd.DataFrame({
    ...     "pump": ["north", "north", "north", "east", "east"],
    ...     "hour": [2, 1, 0, 0, 2],
    ...     "flow": [0.3, 0.2, 0.1, 0.5, 0.6],
    ... })
    >>> panel, ids = from_long(frame, id="pump", time="hour")
    >>> panel
    array([[[0.1, 0.2, 0.3]],
           [[0.5, nan, 0.6]]])
    >>> ids.to_list()
    ['north', 'east']
    """
    columns = _checked_columns(frame, id, time, columns)
    series, names = pd.factorize(_keys(frame, id))
    ranks = _ranks(_keys(frame, time), time)
    n_times = ranks.max() + 1
    _refuse_duplicates(frame, id, time, series * n_times + ranks)
    values = np.stack([_numbers(frame, column) for column in columns])

    panel = on_grid(values, series, ranks, len(names), id=id, time=time)
    return panel, pd.Index(names, name=id)


def embed_long(
    embedder: Any, frame: Any, *, id: Any, time: Any, columns: Any = None
) -> pd.DataFrame:
    """Embed the series of a long frame.

    Parameters
    ----------
    embedder : FEIEmbedder
        Embedder that was fitted on the panel of such a frame.
    frame, id, time
        As in `from_long`.
    columns : str, list, array or index of str, or None, default=None
        Columns of values, in the order of the channels in `fit`. The panel in `fit` had no names,
        so frames with several columns of values need this list.

    Returns
    -------
    pandas.DataFrame of shape (n_samples, n_features_out)
        Embeddings, one row per series, indexed by the names of the series.

    Raises
    ------
    TypeError, ValueError
        As in `from_long`, and if `columns` is None while there are several columns of values.

    See Also
    --------
    from_long : Converts such a frame to the panel that an embedder is fitted on.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from fei_sklearn import FEIEmbedder
    >>> from fei_sklearn.adapters.frames import embed_long, from_long
    >>> frame = pd.DataFrame({"pump": np.repeat(["north", "east"], 24), "hour": [*range(24)] * 2})
    >>> frame["flow"] = np.sin(frame["hour"] * (1 + (frame["pump"] == "east")))
    >>> panel, ids = from_long(frame, id="pump", time="hour")
    >>> embedder = FEIEmbedder(8, max_epochs=2, random_state=0).fit(panel)
    >>> embed_long(embedder, frame, id="pump", time="hour").iloc[:, :0]
    Empty DataFrame
    Columns: []
    Index: [north, east]
    """
    named = _checked_columns(frame, id, time, columns)
    if columns is None and len(named) > 1:
        raise ValueError(
            f"The frame has {len(named)} columns of values, {named}, and the embedder knows its "
            f"channels by their order alone: give columns={named}, in the order of the channels in "
            "fit."
        )
    panel, ids = from_long(frame, id=id, time=time, columns=named)
    embeddings = plain_embeddings(embedder, panel)
    names = embedder.get_feature_names_out()
    return pd.DataFrame(embeddings, index=ids, columns=names)


def _checked_columns(
    frame: Any,
    id: Any,
    time: Any,
    columns: Any,
) -> list[Any]:
    """Return the names of the columns of values, after a check that all named columns exist."""
    _check_type(frame)
    if id == time:
        raise ValueError(f"id and time are both {id!r}: name two columns.")
    existing = list(frame.columns)
    if columns is None:
        columns = [name for name in existing if name not in (id, time)]
    elif isinstance(columns, str) or not isinstance(columns, Iterable):
        columns = [columns]
    columns = list(columns)
    for name in (id, time, *columns):
        _check_column(frame, name, existing)
    if len(frame) == 0:
        raise ValueError("frame is empty: give a row for each series and time point.")
    if len(columns) == 0:
        raise ValueError(f"No column is left for values beside {id!r} and {time!r} in {existing}.")
    return columns


def _check_type(frame: Any) -> None:
    """Raise if an object is not a pandas or polars DataFrame."""
    if isinstance(frame, pd.DataFrame):
        return
    package = type(frame).__module__.partition(".")[0]
    if package == "polars" and hasattr(frame, "get_column"):
        return
    remedy = ": collect it first." if hasattr(frame, "collect") else "."
    raise TypeError(
        f"frame must be a pandas or polars DataFrame, got {type(frame).__name__}{remedy}"
    )


def _check_column(
    frame: Any,
    name: Any,
    existing: list[Any],
) -> None:
    """Raise unless a frame has exactly one column of a name."""
    count = existing.count(name)
    if count == 1:
        return
    if count > 1:
        raise ValueError(f"There are {count} columns {name!r}: give each its own name.")
    index = getattr(frame, "index", None)
    if name in getattr(index, "names", ()):
        raise ValueError(f"{name!r} is in the index, not a column: give frame.reset_index().")
    raise ValueError(f"There is no column {name!r} in {existing}: name one of these.")


def _keys(
    frame: Any,
    name: Any,
) -> pd.Series:
    """Return a column of ids or times, and raise if a value is missing."""
    keys = frame[name]
    if not isinstance(keys, pd.Series):
        keys = pd.Series(keys.to_numpy())  # polars
    missing = np.flatnonzero(keys.isna())
    if len(missing) == 0:
        return keys
    others = ""
    if len(missing) > 1:
        others = f" and {len(missing) - 1} more"
    raise ValueError(
        f"Column {name!r} has no value in row {missing[0]}{others}: fill it or drop rows."
    )


def _ranks(
    times: pd.Series,
    name: Any,
) -> np.ndarray:
    """Return the position of each time among all distinct times, sorted."""
    codes, distinct = pd.factorize(times)
    types = {type(item).__name__ for item in distinct}
    try:
        if "str" in types:  # "10" comes before "9"
            raise TypeError
        ranks = ranks_of(codes, distinct)
    except TypeError:
        raise ValueError(
            f"Column {name!r} cannot be sorted as times, it holds {' and '.join(sorted(types))}: "
            "convert it to numbers, or to dates with pandas.to_datetime or polars' str.to_datetime."
        ) from None
    return ranks


def _refuse_duplicates(
    frame: Any,
    id: Any,
    time: Any,
    cells: np.ndarray,
) -> None:
    """Raise if two rows have the same cell, a number for a series and a time."""
    is_duplicate = pd.Series(cells).duplicated()
    duplicates = np.flatnonzero(is_duplicate)
    if len(duplicates) == 0:
        return
    row = int(duplicates[0])
    series = _keys(frame, id).iloc[row]
    when = _keys(frame, time).iloc[row]
    raise ValueError(
        f"There is more than one row with {id!r} {series} and {time!r} {when}: drop or average "
        "the others."
    )


def _numbers(
    frame: Any,
    name: Any,
) -> np.ndarray:
    """Return a column of values as float64."""
    column = frame[name]
    dtype = column.dtype
    if isinstance(column, pd.Series):
        if is_numeric_dtype(dtype) and not is_complex_dtype(dtype):
            return column.to_numpy(dtype=np.float64, na_value=np.nan)
    elif dtype.is_numeric() or str(dtype) == "Boolean":
        values = column.cast(float).to_numpy()
        return np.asarray(values, dtype=np.float64)
    raise ValueError(
        f"Column {name!r} is not numeric but {dtype}: convert it, or name the others in columns."
    )
