"""Long pandas and polars frames, with a row for each series and time point, as panels."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["embed_long", "from_long"]


def from_long(
    frame: Any, *, id: Any, time: Any, columns: Any = None
) -> tuple[np.ndarray | list[np.ndarray], pd.Index]:
    """Panel of a long frame, and the names of its series.

    Each series runs from its first to its last time. A time in between that only other series have
    is a missing value of it.

    Parameters
    ----------
    frame : pandas or polars DataFrame
        A row for each series and time point, in any order.
    id : str
        Column that tells the series apart.
    time : str
        Column that orders the rows of a series, of numbers, dates or times.
    columns : str, list of str or None, default=None
        Columns of values, a channel each; None takes all but `id` and `time`.

    Returns
    -------
    panel : ndarray of shape (n_samples, n_channels, n_timepoints), or list of arrays of shape \
(n_channels, n_timepoints_i)
        What :class:`fei_sklearn.FEIEmbedder` takes: float64, with NaN for missing values; a list if
        the series differ in length.
    ids : pandas.Index
        Names of the series as in the panel, in the order in which they first appear in the frame.

    Raises
    ------
    TypeError
        If `frame` is neither a pandas nor a polars DataFrame.
    ValueError
        If the frame is empty, if a column is missing, repeated or not numeric, if an id or a time
        is missing, if times cannot be sorted, or if there are two rows for an id and a time.

    Warns
    -----
    UserWarning
        If times have so little in common that most of the panel is missing.

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
    columns = _checked_names(frame, id, time, columns)
    series, ids = pd.factorize(_keys(frame, id))
    clock = _ranks(_keys(frame, time), time)
    _refuse_doubles(series, clock, frame, id, time)
    values = np.stack([_numbers(frame, column) for column in columns])

    first = np.full(len(ids), len(clock))
    last = np.zeros(len(ids), dtype=int)
    np.minimum.at(first, series, clock)
    np.maximum.at(last, series, clock)
    lengths = last - first + 1
    ends = lengths.cumsum()
    _warn_of_sparsity(ends[-1], len(clock), id, time)

    panel = np.full((len(columns), ends[-1]), np.nan)
    panel[:, (ends - lengths - first)[series] + clock] = values
    if (lengths == lengths[0]).all():
        stacked = panel.reshape(len(columns), len(ids), lengths[0]).swapaxes(0, 1)
        return np.ascontiguousarray(stacked), pd.Index(ids, name=id)
    return np.split(panel, ends[:-1], axis=1), pd.Index(ids, name=id)


def embed_long(
    embedder: Any, frame: Any, *, id: Any, time: Any, columns: Any = None
) -> pd.DataFrame:
    """Embeddings of the series in a long frame, a row each.

    Parameters
    ----------
    embedder : FEIEmbedder
        Fitted on the panel of such a frame.
    frame, id, time, columns
        As in `from_long`.

    Returns
    -------
    pandas.DataFrame of shape (n_samples, n_features_out)
        Embeddings, with the ids as its index.

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
    panel, ids = from_long(frame, id=id, time=time, columns=columns)
    embeddings = np.asarray(embedder.transform(panel))
    return pd.DataFrame(embeddings, index=ids, columns=embedder.get_feature_names_out())


def _checked_names(frame: Any, id: Any, time: Any, columns: Any) -> list[Any]:
    """The columns of values. All that are named are there, once."""
    is_polars = type(frame).__module__.partition(".")[0] == "polars"
    if not isinstance(frame, pd.DataFrame) and not (is_polars and hasattr(frame, "get_column")):
        raise TypeError(
            f"frame must be a pandas or polars DataFrame, got {type(frame).__name__}"
            + (": collect it first." if hasattr(frame, "collect") else ".")
        )
    names = list(frame.columns)
    if columns is None:
        columns = [name for name in names if name not in (id, time)]
    elif not isinstance(columns, list | tuple | pd.Index):
        columns = [columns]
    if id == time:
        raise ValueError(f"id and time are both {id!r}: name two columns.")
    for name in (id, time, *columns):
        _check_name(frame, names, name)
    if len(frame) == 0:
        raise ValueError("frame is empty: give a row for each series and time point.")
    if not len(columns):
        raise ValueError(f"No column is left for values beside {id!r} and {time!r} in {names}.")
    return list(columns)


def _check_name(frame: Any, names: list[Any], name: Any) -> None:
    if name in getattr(getattr(frame, "index", None), "names", ()) and name not in names:
        raise ValueError(f"{name!r} is in the index, not a column: give frame.reset_index().")
    if name not in names:
        raise ValueError(f"There is no column {name!r} in {names}: name one of these.")
    if names.count(name) > 1:
        raise ValueError(f"There are {names.count(name)} columns {name!r}: give each its own name.")


def _keys(frame: Any, name: Any) -> Any:
    """A column of ids or times, none of which is missing."""
    keys = frame[name]
    if not isinstance(keys, pd.Series):
        keys = pd.Series(keys.to_numpy())  # polars
    missing = np.flatnonzero(keys.isna())
    if len(missing):
        raise ValueError(
            f"Column {name!r} has no value in row {missing[0]}"
            f"{f' and {len(missing) - 1} more' if len(missing) > 1 else ''}: fill it or drop rows."
        )
    return keys


def _ranks(times: pd.Series, name: Any) -> np.ndarray:
    """Position of each time among all of them, sorted."""
    codes, distinct = pd.factorize(times)
    kinds = {type(item).__name__ for item in distinct}
    try:
        if "str" in kinds:  # "10" comes before "9"
            raise TypeError
        order = np.argsort(np.asarray(distinct))
    except TypeError:
        raise ValueError(
            f"Column {name!r} cannot be sorted as times, it holds {' and '.join(sorted(kinds))}: "
            "convert it to numbers, or to dates with pandas.to_datetime or polars' str.to_datetime."
        ) from None
    ranks = np.empty(len(order), dtype=int)
    ranks[order] = np.arange(len(order))
    return ranks[codes]


def _refuse_doubles(series: np.ndarray, clock: np.ndarray, frame: Any, id: Any, time: Any) -> None:
    doubles = np.flatnonzero(pd.Series(series * (clock.max() + 1) + clock).duplicated())
    if len(doubles):
        row = int(doubles[0])
        which, when = (_keys(frame, name).iloc[row] for name in (id, time))
        raise ValueError(
            f"There is more than one row with {id!r} {which} and {time!r} {when}: drop or average "
            "the others."
        )


def _numbers(frame: Any, name: Any) -> np.ndarray:
    """A column of values as float64."""
    column = frame[name]
    dtype = column.dtype
    if not isinstance(column, pd.Series):
        if dtype.is_numeric() or str(dtype) == "Boolean":
            return np.asarray(column.cast(float).to_numpy(), dtype=np.float64)
    elif pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    raise ValueError(
        f"Column {name!r} is not numeric but {dtype}: convert it, or name the others in columns."
    )


def _warn_of_sparsity(n_values: int, n_rows: int, id: Any, time: Any) -> None:
    if n_values > 2 * n_rows:
        warnings.warn(
            f"{1 - n_rows / n_values:.0%} of the panel is missing, as the series share few values "
            f"of {time!r}: round it, or number the rows of each series, as pandas' "
            f"frame.groupby({id!r}).cumcount() does.",
            stacklevel=3,
        )
