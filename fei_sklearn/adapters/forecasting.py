"""FEIForecaster: multi-step forecasts from embeddings and lags of the last window, for sktime."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral

import numpy as np
import pandas as pd
from scipy.stats import t as student_t
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import RidgeCV
from sktime.forecasting.base import BaseForecaster

from fei_sklearn import FEIEmbedder

__all__ = ["FEIForecaster"]

#: What a step is forecast from: the reference to which the head adds its forecast.
DIFFERENCES = ("none", "first", "seasonal", "both")

#: Penalties of the ridge head, relative to the number of windows it is fitted on.
ALPHAS = np.logspace(-4, 2, 13)

#: Weights of the embeddings beside the lags that the folds choose from.
EMBEDDING_WEIGHTS = (0.0, 1.0)

#: Share by which embeddings must lower the error on the folds to be used beside the lags.
MARGIN = 0.05

#: Folds, ordered in time, that choose the head and give the residuals of the intervals.
N_FOLDS = 5

#: Fewest windows with known targets that a head is fitted on.
MIN_WINDOWS = 3

#: Shortest window.
MIN_WINDOW_LENGTH = 2

#: Least unit of a window, relative to the spread of the series.
SCALE_FLOOR = 0.05

#: Windows, the latest, that a head is fitted on and an encoder is pretrained on.
MAX_WINDOWS = 4096


class FEIForecaster(BaseForecaster):
    """Forecaster that reads the future off FEI embeddings of the last window.

    Every window of the series is embedded by a :class:`fei_sklearn.FEIEmbedder` and one ridge
    regression with an output for each step of the horizon is fitted on embeddings and lags. Windows
    are relative to their last value and in units of their own spread, and a step is forecast as a
    difference from a value already known, so that no level is lost. The kind of difference, the
    penalty and the weight of the embeddings beside the lags are those with the least absolute error
    on folds ordered in time.

    Parameters
    ----------
    embedder : FEIEmbedder, FrozenEstimator or None, default=None
        Embedder of windows, which is cloned and pretrained on those of the series. A fitted one in
        scikit-learn's ``FrozenEstimator`` is used as it is. None takes encoder "tiny" and the
        paper's readout.
    window_length : int or "auto", default="auto"
        Time points of a window. "auto" takes two seasons, at least 12 points, and fewer for a short
        series: as many as leave half of its windows with known targets.
    sp : int, default=1
        Time points in a season; 1 for none.
    difference : {"auto", "none", "first", "seasonal", "both"}, default="auto"
        What a step is the difference from: the window's mean, its last value, the last value of the
        same season, or that moved by the change over the last season. "auto" lets the folds
        choose.
    lags : int or "auto", default="auto"
        Latest values of the (differenced) window that stand beside the embedding; 0 for none.
        "auto" takes all of them.
    random_state : int, RandomState instance or None, default=None
        Replaces that of the embedder, unless None.

    Attributes
    ----------
    embedder_ : FEIEmbedder
        The fitted embedder.
    window_length_ : int
        Time points of a window.
    difference_ : str
        The kind of difference.
    alpha_ : float
        The head's penalty.
    embedding_weight_ : float
        Weight of the embeddings beside the lags.

    Notes
    -----
    Exogenous variables are channels of the windows, and their values at the steps to forecast,
    which `predict` needs, enter by a linear regression of differences on differences.

    Examples
    --------
    >>> from sktime.datasets import load_airline
    >>> from fei_sklearn import FEIEmbedder
    >>> from fei_sklearn.adapters.sktime import FEIForecaster
    >>> y = load_airline()
    >>> forecaster = FEIForecaster(FEIEmbedder("tiny", max_epochs=2), sp=12, random_state=0)
    >>> forecaster.fit(y[:-12], fh=range(1, 13)).predict().shape
    (12,)
    >>> forecaster.predict_interval(coverage=0.9).shape
    (12, 2)
    """

    _tags = {
        "authors": ["fei_sklearn developers"],
        "python_dependencies": ["torch"],
        "y_inner_mtype": "pd.Series",
        "X_inner_mtype": "pd.DataFrame",
        "requires-fh-in-fit": True,
        "capability:multivariate": False,
        "capability:exogenous": True,
        "capability:categorical_in_X": False,
        "capability:insample": False,
        "capability:pred_int": True,
        "capability:pred_int:insample": False,
        "capability:missing_values": False,
        "capability:update": True,
        "capability:pretrain": True,
        "pretrain:fitted_params": ["pretrained_embedder_", "pretrained_window_length_"],
        "capability:random_state": True,
        "property:randomness": "derandomized",
    }

    def __init__(
        self,
        embedder=None,
        *,
        window_length="auto",
        sp=1,
        difference="auto",
        lags="auto",
        random_state=None,
    ):
        self.embedder = embedder
        self.window_length = window_length
        self.sp = sp
        self.difference = difference
        self.lags = lags
        self.random_state = random_state
        super().__init__()

    def _pretrain(self, y, X=None, fh=None):
        self._check_parameters()
        series = _each_series(y, X)
        longest = max(values.shape[1] for values in series)
        length = _preferred_length(self.sp) if self.window_length == "auto" else self.window_length
        length = max(min(length, longest), MIN_WINDOW_LENGTH)
        panels = [_relative(_windows(s, length)) for s in series if s.shape[1] >= length]
        panel = np.concatenate([self._as_panel(windows) for windows in panels])
        self.pretrained_embedder_ = self._new_embedder().fit(_thinned(panel), None)
        self.pretrained_window_length_ = length
        return self

    def _fit(self, y, X, fh):
        self._check_parameters()
        self._cur_y, self._cur_X = y, X
        steps = self._steps(fh)
        series = _stacked(y, X)
        self.window_length_ = self._choose_length(len(y), steps.max())
        pretrained = self.__dict__.get("pretrained_embedder_")
        if pretrained is None:
            windows = _relative(_windows(series, self.window_length_))
            pretrained = self._new_embedder().fit(_thinned(self._as_panel(windows)), None)
        self.embedder_ = pretrained
        self._set_head(self._fit_head(steps))
        return self

    def _update(self, y, X=None, update_params=True):
        self._cur_y = _appended(self._cur_y, y)
        self._cur_X = None if X is None or self._cur_X is None else _appended(self._cur_X, X)
        if update_params:
            self._set_head(self._fit_head(self._head.steps))
        return self

    def _predict(self, fh, X):
        return self._forecast(fh, X)[0]

    def _predict_quantiles(self, fh, X, alpha):
        point, spread, freedom = self._forecast(fh, X)
        name = self._get_varnames()[0]
        columns = pd.MultiIndex.from_product([[name], alpha])
        values = point.to_numpy()[:, np.newaxis] + np.outer(spread, student_t.ppf(alpha, freedom))
        return pd.DataFrame(values, index=point.index, columns=columns)

    def _forecast(self, fh, X):
        """Point forecasts, their spread, and the degrees of freedom that it is estimated with."""
        steps = self._steps(fh)
        known = np.array_equal(steps, self._head.steps)
        head = self._head if known else self._fit_head(steps)
        index = fh.to_absolute_index(self.cutoff)
        window = _stacked(self._cur_y, self._cur_X)[:, -self.window_length_ :][np.newaxis]
        table = _Table(window, self._embed(window), steps, head.floor)
        point = head.predict(table, None if self._cur_X is None else self._future(X, index))[0]
        series = pd.Series(point, index=index, name=self._cur_y.name)
        return series, head.spread * table.scale[0], head.freedom

    def _future(self, X, index):
        """Exogenous values at the steps to forecast, of shape (1, n_channels, n_steps)."""
        missing = index if X is None else index.difference(X.index)
        if len(missing):
            raise ValueError(
                f"X lacks {len(missing)} of the {len(index)} time points to forecast, such as "
                f"{missing[0]}, but {type(self).__name__} was fitted with X: give predict the "
                "exogenous variables at all of them."
            )
        return X.loc[index].to_numpy(dtype=np.float64).T[np.newaxis]

    def _steps(self, fh):
        steps = fh.to_relative(self.cutoff).to_numpy().astype(int)
        if steps.min() < 1:
            raise NotImplementedError(
                f"fh holds {steps.min()}, an in-sample step, which {type(self).__name__} does not "
                "forecast: give steps from 1 on, after the cutoff."
            )
        return steps

    def _check_parameters(self):
        _check_integer("sp", self.sp, 1)
        if self.window_length != "auto":
            _check_integer("window_length", self.window_length, MIN_WINDOW_LENGTH, '"auto" or ')
        if self.lags != "auto":
            _check_integer("lags", self.lags, 0, '"auto" or ')
        if self.difference not in ("auto", *DIFFERENCES):
            raise ValueError(
                f"difference must be 'auto' or one of {list(DIFFERENCES)}, got {self.difference!r}."
            )

    def _choose_length(self, n, horizon):
        """Length of the windows of a series of n time points."""
        most = n - horizon - MIN_WINDOWS + 1
        if most < MIN_WINDOW_LENGTH:
            needed = MIN_WINDOW_LENGTH + horizon + MIN_WINDOWS - 1
            raise ValueError(
                f"y has {n} time points, too few for a horizon of {horizon}: give at least "
                f"{needed}, or shorten fh."
            )
        if self.window_length != "auto":
            if self.window_length > most:
                raise ValueError(
                    f"window_length={self.window_length} leaves fewer than {MIN_WINDOWS} windows "
                    f"of the {n} time points of y before a horizon of {horizon}: give at most "
                    f'{most}, or "auto".'
                )
            return self.window_length
        preferred = self.__dict__.get("pretrained_window_length_") or _preferred_length(self.sp)
        return max(min(preferred, (n - horizon) // 2, most), MIN_WINDOW_LENGTH)

    def _new_embedder(self):
        default = FEIEmbedder("tiny", pooling="mean")
        embedder = default if self.embedder is None else clone(self.embedder)
        if self.random_state is not None and not isinstance(embedder, FrozenEstimator):
            embedder.set_params(random_state=self.random_state)
        return embedder

    def _as_panel(self, windows):
        """Windows of shape (n, n_channels, length) as the embedder takes them.

        One that embeds channels one by one gets them as series of their own, so that its weights
        serve any number of channels.
        """
        embedder = getattr(self.embedder, "estimator", self.embedder)
        if getattr(embedder, "channels", "independent") == "mix":
            return windows
        return windows.reshape(-1, 1, windows.shape[2])

    def _embed(self, windows):
        panel = self._as_panel(_relative(windows))
        return self.embedder_.transform(panel).reshape(len(windows), -1).astype(np.float64)

    def _fit_head(self, steps):
        series = _stacked(self._cur_y, self._cur_X)[:, -MAX_WINDOWS - self.window_length_ :]
        n_windows = series.shape[1] - self.window_length_ - steps.max() + 1
        windows = _windows(series, self.window_length_)[:n_windows]
        last = np.arange(n_windows) + self.window_length_ - 1
        future = series[:, last[:, np.newaxis] + steps].transpose(1, 0, 2)
        floor = SCALE_FLOOR * series[0].std() or 1.0
        table = _Table(windows, self._embed(windows), steps, floor)
        return _Search(self.sp, self.difference, self.lags).fit(table, future)

    def _set_head(self, head):
        self._head = head
        self.difference_ = head.recipe.difference
        self.embedding_weight_ = head.recipe.embedding_weight
        self.alpha_ = head.alpha

    @classmethod
    def get_test_params(cls, parameter_set="default"):
        """Parameters of the estimators that sktime's checks run on."""
        quick = {"pooling": "mean", "max_epochs": 1, "min_epoch_steps": 1}
        return [
            {"embedder": FEIEmbedder(8, **quick), "random_state": 0},
            {
                "embedder": FEIEmbedder(8, channels="mix", random_state=0, **quick),
                "window_length": 4,
                "sp": 3,
                "difference": "seasonal",
                "lags": 0,
                "random_state": 0,
            },
        ]


@dataclass
class _Table:
    """Windows and their embeddings, a row a window.

    Attributes
    ----------
    windows : ndarray of shape (n, 1 + n_exogenous, length)
        The series first.
    embeddings : ndarray of shape (n, n_features)
    steps : ndarray of shape (n_steps,)
        Steps ahead to forecast, from 1 on.
    floor : float
        Least unit of a window.
    """

    windows: np.ndarray
    embeddings: np.ndarray
    steps: np.ndarray
    floor: float

    @property
    def scale(self) -> np.ndarray:
        """The unit of each window."""
        return np.maximum(self.windows[:, 0].std(axis=-1), self.floor)

    def take(self, rows: np.ndarray) -> _Table:
        return _Table(self.windows[rows], self.embeddings[rows], self.steps, self.floor)


@dataclass(frozen=True)
class _Recipe:
    """What a head is made of, but for its penalty."""

    difference: str
    sp: int
    n_lags: Integral | int | None
    embedding_weight: float

    def reference(self, windows: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """What steps are differences from: (..., length) to (..., n_steps)."""
        last = windows.shape[-1] - 1
        if self.difference == "none":
            return np.repeat(windows.mean(axis=-1, keepdims=True), len(steps), axis=-1)
        if self.difference == "first":
            return np.repeat(windows[..., -1:], len(steps), axis=-1)
        seasons = -(-steps // self.sp)
        reference = windows[..., last + steps - seasons * self.sp]
        if self.difference == "seasonal":
            return reference
        change = windows[..., -1:] - windows[..., [last - self.sp]]
        return reference + seasons * change

    def lags(self, windows: np.ndarray) -> np.ndarray:
        """Latest differences within windows of shape (n, length)."""
        if self.difference in ("seasonal", "both"):
            windows = windows[:, self.sp :] - windows[:, : -self.sp]
        if self.difference in ("first", "both"):
            windows = windows[:, :-1] - windows[:, -1:]
        if self.difference == "none":
            windows = windows - windows.mean(axis=1, keepdims=True)
        n_lags = windows.shape[1] if self.n_lags is None else self.n_lags
        return windows[:, max(windows.shape[1] - n_lags, 0) :]


class _Head:
    """Ridge regression of all steps on lags and embeddings, for all penalties at once."""

    def __init__(self, recipe: _Recipe):
        self.recipe = recipe

    def fit(self, table: _Table, future: np.ndarray) -> _Head:
        """`future` has shape (n, 1 + n_exogenous, n_steps)."""
        self.steps, self.floor = table.steps, table.floor
        differences = future - self.recipe.reference(table.windows, table.steps)
        self.slope = _slope(differences)
        own = _net(differences, self.slope) / table.scale[:, np.newaxis]
        features = self._features(table)
        self.blocks: list[tuple[np.ndarray, float]] = []
        parts = [self._standardise(block, weight) for block, weight in features]
        # no intercept: one would carry the drift of the past on, which costs more than it gains
        left, values, right = np.linalg.svd(np.hstack(parts), full_matrices=False)
        shrinkage = values / (values**2 + ALPHAS[:, np.newaxis] * len(own))
        self.coefficients = right.T @ (shrinkage[:, :, np.newaxis] * (left.T @ own))
        return self

    def _features(self, table):
        scale = table.scale[:, np.newaxis]
        lags = self.recipe.lags(_net(table.windows, self.slope)) / scale
        return [(lags, 1.0), (table.embeddings, self.recipe.embedding_weight)]

    def _standardise(self, block, weight):
        """Centred, with a total variance of weight squared."""
        mean = block.mean(axis=0)
        spread = np.sqrt(((block - mean) ** 2).mean(axis=0).sum())
        factor = weight / spread if spread > 0 else 0.0
        self.blocks.append((mean, factor))
        return (block - mean) * factor

    def forecasts(self, table: _Table, exogenous: np.ndarray | None) -> np.ndarray:
        """Forecasts for every penalty, of shape (n_alphas, n, n_steps)."""
        features = [block for block, _ in self._features(table)]
        pairs = zip(features, self.blocks, strict=True)
        design = np.hstack([(block - mean) * factor for block, (mean, factor) in pairs])
        own = (design @ self.coefficients) * table.scale[:, np.newaxis]
        reference = self.recipe.reference(table.windows, table.steps)
        own = own + reference[:, 0]
        if exogenous is None:
            return own
        return own + np.einsum("c,nch->nh", self.slope, exogenous - reference[:, 1:])

    def predict(self, table: _Table, exogenous: np.ndarray | None) -> np.ndarray:
        """Forecasts for the chosen penalty."""
        return self.forecasts(table, exogenous)[list(ALPHAS).index(self.alpha)]

    def choose(self, alpha: float, residuals: np.ndarray) -> _Head:
        """Note the chosen penalty, and residuals, in units of the windows, for the intervals."""
        self.alpha = alpha
        self.spread = np.sqrt((residuals**2).mean(axis=0))
        self.freedom = max(len(residuals) // int(self.steps.max()), 2)
        return self


@dataclass
class _Search:
    """Choice of the head on folds ordered in time."""

    sp: int
    difference: str
    lags: int | str

    def fit(self, table: _Table, future: np.ndarray) -> _Head:
        recipes = self.recipes(table.windows.shape[2])
        folds = list(_folds(len(future), int(table.steps.max())))
        if not folds:
            return self.without_folds(recipes, table, future)
        scored = []
        for recipe in recipes:
            residuals = self.residuals(recipe, folds, table, future)
            errors = np.abs(residuals).mean(axis=(1, 2)) * (1 + MARGIN * recipe.embedding_weight)
            i = int(errors.argmin())
            scored.append((errors[i], recipe, ALPHAS[i], residuals[i]))
        _, recipe, alpha, residuals = min(scored, key=lambda entry: entry[0])
        tested = np.concatenate([test for _, test in folds])
        relative = residuals / table.take(tested).scale[:, np.newaxis]
        return _Head(recipe).fit(table, future).choose(alpha, relative)

    def recipes(self, length):
        """All combinations of differences that fit in the window and weights of embeddings."""
        allowed = [self.difference]
        if self.difference == "auto":
            allowed = list(DIFFERENCES if self.sp > 1 else DIFFERENCES[:2])
        needed = {"seasonal": self.sp + 1, "both": self.sp + 2}
        fitting = [name for name in allowed if needed.get(name, 0) <= length] or ["first"]
        n_lags = self.lags if isinstance(self.lags, Integral) else None
        weights = (1.0,) if self.lags == 0 else EMBEDDING_WEIGHTS
        return [_Recipe(name, self.sp, n_lags, weight) for name in fitting for weight in weights]

    def residuals(self, recipe, folds, table, future):
        """Out-of-fold residuals for every penalty, of shape (n_alphas, n_tested, n_steps)."""
        parts = []
        for train, test in folds:
            head = _Head(recipe).fit(table.take(train), future[train])
            exogenous = future[test, 1:] if future.shape[1] > 1 else None
            parts.append(future[test, 0] - head.forecasts(table.take(test), exogenous))
        return np.concatenate(parts, axis=1)

    def without_folds(self, recipes, table, future):
        """The strongest penalty, and the differences themselves as residuals."""
        recipe = recipes[-1]
        differences = future - recipe.reference(table.windows, table.steps)
        relative = differences[:, 0] / table.scale[:, np.newaxis]
        return _Head(recipe).fit(table, future).choose(ALPHAS[-1], relative)


def _folds(n, horizon):
    """Training and test windows: what a test window's forecast is fitted on lies before it."""
    first = max(n // 2, horizon + MIN_WINDOWS - 1)
    if first >= n:
        return
    edges = np.unique(np.linspace(first, n, min(N_FOLDS, n - first) + 1).astype(int))
    for start, stop in pairwise(edges):
        yield np.arange(start - horizon + 1), np.arange(start, stop)


def _slope(differences):
    """Coefficients of exogenous differences, of shape (n_exogenous,), the same for all steps."""
    n_exogenous = differences.shape[1] - 1
    if n_exogenous == 0:
        return np.zeros(0)
    rows = differences.transpose(0, 2, 1).reshape(-1, n_exogenous + 1)
    spread = rows[:, 1:].std(axis=0)
    spread[spread == 0] = 1.0
    ridge = RidgeCV(alphas=np.logspace(-3, 3, 13)).fit(rows[:, 1:] / spread, rows[:, 0])
    return ridge.coef_ / spread


def _net(values, slope):
    """The series without what exogenous variables explain: (n, 1 + n_exogenous, k) to (n, k)."""
    return values[:, 0] - np.einsum("c,nck->nk", slope, values[:, 1:])


def _relative(windows):
    """Windows relative to their last value, in units of their own spread."""
    scale = windows.std(axis=-1, keepdims=True)
    scale[scale == 0] = 1.0
    return (windows - windows[..., -1:]) / scale


def _windows(series, length):
    """All windows of a series: (n_channels, n) to (n - length + 1, n_channels, length)."""
    return np.lib.stride_tricks.sliding_window_view(series, length, axis=1).transpose(1, 0, 2)


def _thinned(panel):
    """At most `MAX_WINDOWS` rows, evenly spread."""
    return panel[:: -(-len(panel) // MAX_WINDOWS)]


def _stacked(y, X):
    """The series, and below it its exogenous variables, of shape (1 + n_exogenous, n)."""
    values = y.to_numpy(dtype=np.float64)[np.newaxis]
    if X is None:
        return values
    return np.vstack([values, X.loc[y.index].to_numpy(dtype=np.float64).T])


def _each_series(y, X):
    """All series of a panel, each column of y one of its own, with its exogenous variables."""
    levels = list(range(y.index.nlevels - 1))
    groups = [
        (frame, None if X is None else X.loc[frame.index]) for _, frame in y.groupby(level=levels)
    ]
    return [_stacked(frame[column], own) for frame, own in groups for column in frame]


def _appended(old, new):
    """Old and new observations; where both have a time point, the new one."""
    return pd.concat([old[~old.index.isin(new.index)], new]).sort_index()


def _preferred_length(sp):
    return max(2 * sp, 12)


def _check_integer(name, value, least, otherwise=""):
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(
            f"{name} must be {otherwise}an integer of at least {least}, got {value!r}."
        )
