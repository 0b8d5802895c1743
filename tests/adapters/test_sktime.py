"""FEI in sktime: its own checks, equality with the plain estimators, pipelines, bad input."""

from __future__ import annotations

import json
import pickle
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
from quick import oscillations, quick, run_python, walks
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from sktime.classification.compose import SklearnClassifierPipeline
from sktime.classification.model_selection import TSCGridSearchCV
from sktime.datasets import load_japanese_vowels
from sktime.datatypes import convert_to
from sktime.transformations.compose import FeatureUnion
from sktime.transformations.summarize import SummaryTransformer
from sktime.utils.estimator_checks import check_estimator, parametrize_with_checks

import fei_sklearn
from fei_sklearn.adapters.sktime import FEIClassifier, FEIRegressor, FEITransformer

CLASSES = [FEITransformer, FEIClassifier, FEIRegressor]
MTYPES = ["numpy3D", "pd-multiindex", "nested_univ", "df-list"]
QUICK = quick().get_params() | {"n_jobs": None}
del QUICK["n_jobs"]


def transformer(**params):
    return FEITransformer(**QUICK | params)


def fine_tuned(adapter, **params):
    return adapter(quick(), max_epochs=2, random_state=0, **params)


def with_gaps():
    """A panel with a gap, a late start and an early end."""
    X = walks()
    X[0, 1, 3:9] = X[1, :, :4] = X[2, :, 25:] = np.nan
    return X


@pytest.fixture(scope="module")
def vowels():
    """Series of unequal length as a nested frame and as arrays, and their speakers."""
    X, y = load_japanese_vowels(split="train", return_type="nested_univ")
    some = slice(None, None, len(X) // 20)
    X = X.iloc[some].reset_index(drop=True)
    arrays = [frame.to_numpy().T for frame in convert_to(X, "df-list")]
    return X, arrays, y[some]


@pytest.fixture(scope="module")
def vowels_expected(vowels):
    """Embeddings and a classifier of the plain estimators."""
    _, arrays, y = vowels
    classifier = fine_tuned(fei_sklearn.FEIClassifier).fit(arrays, y)
    return quick().fit_transform(arrays), classifier


@pytest.fixture(scope="module")
def regression():
    """Series with gaps, one and two targets, and the plain estimator's predictions for each."""
    X = with_gaps()
    y = np.random.default_rng(0).normal(size=(20, 2))
    targets = [y[:, 0], y]
    plain = fine_tuned(fei_sklearn.FEIRegressor)
    return X, targets, [plain.fit(X, target).predict(X) for target in targets]


# sktime's checks


@pytest.mark.slow
@parametrize_with_checks(CLASSES)
def test_sktime_checks(obj, test_name):
    check_estimator(obj, tests_to_run=test_name, raise_exceptions=True, verbose=False)


# Parameters


@pytest.mark.parametrize("adapter", CLASSES)
def test_parameters_are_those_of_the_estimator(adapter):
    expected = adapter._adapted().get_params(deep=False)
    del expected["n_jobs"]
    assert adapter().get_params(deep=False) == expected
    documented = re.search(r"Parameters\n    -+\n    ([^\n]*)\n", adapter.__doc__)[1]
    assert set(documented.split(", ")) == set(expected)


def test_a_parameter_that_does_not_exist():
    with pytest.raises(TypeError, match="unexpected keyword argument 'mask'"):
        FEITransformer(mask=0.5)
    with pytest.raises(TypeError, match="too many positional arguments"):
        FEITransformer("tiny", 0.5)
    with pytest.raises(ValueError, match="mask_ratio"):
        transformer(mask_ratio=2.0).fit(walks())


def test_parameters_reach_the_estimator():
    assert FEITransformer(mask_ratio=0.5).mask_ratio == 0.5
    fitted = transformer(mask_ratio=0.5, layers="all").fit(walks())
    assert fitted.embedder_.mask_ratio == 0.5
    assert fitted.embedder_.layers == "all"
    classifier = fine_tuned(FEIClassifier).set_params(embedder__mask_ratio=0.25)
    assert classifier.fit(*oscillations()).estimator_.embedder_.mask_ratio == 0.25


def test_warm_start_goes_on():
    X = walks()
    cold, warm = transformer(), transformer(warm_start=True)
    plain = quick(warm_start=True).fit(X)
    for _ in range(2):
        cold.fit(X)
        warm.fit(X)
    assert len(cold.embedder_.history_) == 2
    assert len(warm.embedder_.history_) == 4
    np.testing.assert_array_equal(warm.transform(X), plain.fit(X).transform(X))
    assert len(warm.set_params(warm_start=False).fit(X).embedder_.history_) == 2


def test_torch_waits_until_something_is_fitted():
    code = """
import json, sys
from fei_sklearn.adapters.sktime import FEIClassifier, FEIRegressor, FEITransformer
objects = [repr(FEIClassifier()), repr(FEIRegressor()), repr(FEITransformer().clone())]
print(json.dumps([objects, "torch" in sys.modules]))
"""
    objects, torch_is_loaded = json.loads(run_python(code))
    assert objects == ["FEIClassifier()", "FEIRegressor()", "FEITransformer()"]
    assert not torch_is_loaded
    assert all("torch" in adapter.get_class_tag("python_dependencies") for adapter in CLASSES)


# Equality with the plain estimators, element by element


@pytest.mark.parametrize("mtype", MTYPES)
@pytest.mark.parametrize("X", [walks(), walks(n_channels=1), with_gaps()], ids=["2", "1", "nan"])
def test_embeddings_are_those_of_the_embedder(X, mtype):
    panel = convert_to(X, mtype)
    fitted = transformer().fit(panel)
    embeddings = fitted.transform(panel)
    assert isinstance(embeddings, pd.DataFrame)
    assert (embeddings.dtypes == np.float32).all()
    np.testing.assert_array_equal(embeddings, quick().fit_transform(X))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(panel), embeddings)


@pytest.mark.parametrize("mtype", MTYPES[1:])
def test_series_of_unequal_length(mtype, vowels, vowels_expected):
    nested, arrays, y = vowels
    expected, plain = vowels_expected
    panel = convert_to(nested, mtype)
    embeddings = transformer().fit(panel).transform(panel)
    np.testing.assert_array_equal(embeddings, expected)
    pipeline = transformer() * LogisticRegression()
    assert pipeline.fit(panel, y).predict(panel).shape == y.shape
    classifier = fine_tuned(FEIClassifier).fit(panel, y)
    np.testing.assert_array_equal(classifier.predict_proba(panel), plain.predict_proba(arrays))
    np.testing.assert_array_equal(classifier.predict(panel), plain.predict(arrays))


@pytest.mark.parametrize("mtype", MTYPES)
def test_predictions_are_those_of_the_regressor(mtype, regression):
    X, targets, predictions = regression
    panel = convert_to(X, mtype)
    for target, expected in zip(targets, predictions, strict=True):
        predicted = fine_tuned(FEIRegressor).fit(panel, target).predict(panel)
        np.testing.assert_array_equal(predicted, expected)


def test_other_lengths_in_transform():
    fitted, plain = transformer().fit(walks()), quick().fit(walks())
    longer = walks(n_timepoints=47)
    np.testing.assert_array_equal(fitted.transform(longer), plain.transform(longer))


def test_one_series_is_a_panel_of_one():
    X = walks(n=1, n_channels=2)
    times = pd.date_range("2020", periods=X.shape[2])
    series = pd.DataFrame(X[0].T, index=times)
    expected = transformer().fit_transform(X)
    np.testing.assert_array_equal(transformer().fit_transform(series), expected)


def test_a_hierarchy_gives_a_row_for_each_leaf():
    frames = {name: convert_to(walks(seed=i), "pd-multiindex") for i, name in enumerate("ab")}
    embeddings = transformer().fit_transform(pd.concat(frames))
    assert len(embeddings) == 40
    for name, frame in frames.items():
        np.testing.assert_array_equal(embeddings.loc[name], transformer().fit_transform(frame))


# Names of channels and series, times


def named(X, names=("u", "v"), instances=None):
    """A frame with an index of series and times, in the order that sktime demands."""
    frame = convert_to(X, "pd-multiindex").set_axis(list(names), axis=1)
    if instances is None:
        return frame
    return frame.rename(index=dict(enumerate(instances)), level=0)


def as_nested(frame):
    return convert_to(frame, "nested_univ")


def as_list(frame):
    return convert_to(frame, "df-list")


CONVERSIONS = pytest.mark.parametrize("convert", [pd.DataFrame, as_nested, as_list])
MODELS = [
    (lambda: transformer(), "transform"),
    (lambda: fine_tuned(FEIClassifier), "predict_proba"),
    (lambda: fine_tuned(FEIRegressor), "predict"),
]


@CONVERSIONS
@pytest.mark.parametrize(("make", "method"), MODELS)
def test_channels_are_matched_by_name(make, method, convert):
    frame = named(walks())
    model = make().fit(convert(frame), np.arange(20) % 2)
    apply = getattr(model, method)
    expected = np.asarray(apply(convert(frame)))

    np.testing.assert_array_equal(apply(convert(frame[["v", "u"]])), expected)
    np.testing.assert_array_equal(apply(walks()), expected)  # arrays have no names
    assert not np.array_equal(apply(walks()[:, ::-1]), expected)
    with pytest.raises(ValueError, match=r"lacks \['v'\].* and has \['w'\].*: give the columns"):
        apply(convert(frame.rename(columns={"v": "w"})))
    with pytest.raises(ValueError, match=r"X lacks \['v'\]"):
        apply(convert(frame[["u"]]))
    with pytest.raises(ValueError, match=r"X has \['w'\], which fit did not see"):
        apply(convert(frame.assign(w=0.0)))


def test_channels_of_an_array_have_no_names():
    model = transformer().fit(walks())
    np.testing.assert_array_equal(model.transform(named(walks())), model.transform(walks()))
    assert model.fit(named(walks())).channel_names_ == ["u", "v"]
    assert model.fit(walks()).channel_names_ is None


@CONVERSIONS
def test_series_keep_their_names(convert):
    names = ["zoe", "amy", "kim", "bob", "eve", "dan"]
    frame = convert(named(walks(6), instances=names).sort_index())
    embeddings = transformer().fit(frame).transform(frame)
    expected = sorted(names)
    if convert is as_list:  # a list has no names
        expected = list(range(6))
    assert embeddings.index.to_list() == expected


def test_rows_meet_those_of_another_transformer():
    frame = named(walks(6), instances="azbycx").sort_index()
    union = FeatureUnion([("summary", SummaryTransformer()), ("fei", transformer())])
    both = union.fit_transform(frame)
    assert both.shape[0] == 6
    assert not both.isna().any(axis=None)
    assert both.index.to_list() == sorted("azbycx")


@CONVERSIONS
def test_rows_missing_inside_a_series_are_missing_values(convert):
    X = walks()
    frame = named(X)
    dropped = [(3, time) for time in (4, 5, 11, 12, 20)]
    X[3][:, [4, 5, 11, 12, 20]] = np.nan
    fitted = quick().fit(X)
    gappy = convert(frame.drop(index=dropped))
    np.testing.assert_array_equal(transformer().fit_transform(gappy), fitted.transform(X))


def test_dates_are_a_grid_too():
    X = walks(6)
    frame = named(X)
    days = pd.date_range("2020", periods=X.shape[2], tz="Europe/Berlin")
    frame.index = frame.index.set_levels(days, level=1)
    dropped = frame.drop(index=[(0, days[7]), (5, days[1])])
    X[0, :, 7] = X[5, :, 1] = np.nan
    np.testing.assert_array_equal(transformer().fit_transform(dropped), quick().fit_transform(X))


def test_times_that_series_do_not_share_are_warned_of():
    frame = named(walks(6))
    rng = np.random.default_rng(0)
    times = np.sort(rng.permutation(180).reshape(6, 30), axis=1).ravel()
    frame.index = pd.MultiIndex.from_arrays([frame.index.get_level_values(0), times])
    with pytest.warns(UserWarning, match="8.% of the panel is missing, as the series share few"):
        transformer().fit(frame)


# Pipelines and searches


@pytest.mark.parametrize("mtype", MTYPES)
def test_in_an_sktime_pipeline(mtype):
    X, y = oscillations()
    panel = convert_to(X, mtype)
    model = transformer(max_epochs=10) * LogisticRegression()
    assert isinstance(model, SklearnClassifierPipeline)
    assert model.fit(panel, y).score(panel, y) == 1.0
    plain = make_pipeline(quick(max_epochs=10), LogisticRegression()).fit(X, y)
    # not equal: sktime hands the embeddings to the head in another memory layout
    np.testing.assert_allclose(model.predict_proba(panel), plain.predict_proba(X), rtol=1e-4)


def test_beside_another_transformer():
    X = walks()
    both = (transformer() + SummaryTransformer()).fit_transform(convert_to(X, "pd-multiindex"))
    np.testing.assert_array_equal(both.iloc[:, :-18], quick().fit_transform(X))


def test_a_2d_array_is_a_panel_to_classifiers_and_pipelines():
    X, y = oscillations()
    for model in (transformer() * LogisticRegression(), fine_tuned(FEIClassifier)):
        predicted = model.fit(X[:, 0], y).predict(X[:, 0])
        np.testing.assert_array_equal(predicted, model.fit(X[:, :1], y).predict(X[:, :1]))


def test_in_sktime_searches():
    X, y = oscillations()
    pipeline = transformer() * LogisticRegression()
    for model, name in [
        (pipeline, "FEITransformer__mask_ratio"),
        (fine_tuned(FEIClassifier), "embedder__mask_ratio"),
    ]:
        search = TSCGridSearchCV(model, {name: [0.25, 0.5]}, cv=KFold(2), error_score="raise")
        search.fit(X, y)
        assert search.best_params_[name] in (0.25, 0.5)
        assert search.predict(X).shape == y.shape


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (make_pipeline(transformer(), LogisticRegression()), "feitransformer__mask_ratio"),
        (fine_tuned(FEIClassifier), "embedder__mask_ratio"),
        (make_pipeline(transformer(), Ridge()), "feitransformer__mask_ratio"),
        (fine_tuned(FEIRegressor), "embedder__mask_ratio"),
    ],
    ids=["embed-classify", "classify", "embed-regress", "regress"],
)
def test_in_scikit_learn(model, name):
    X, y = oscillations()
    scores = cross_val_score(model, X, y, cv=2, error_score="raise")
    assert np.isfinite(scores).all()
    search = GridSearchCV(model, {name: [0.25, 0.5]}, cv=2, error_score="raise").fit(X, y)
    assert search.best_params_[name] in (0.25, 0.5)
    if hasattr(model, "steps"):
        step = search.best_estimator_[0]
        plain = quick(mask_ratio=search.best_params_[name])
        np.testing.assert_array_equal(step.transform(X), plain.fit_transform(X))


def test_scikit_learn_tags_are_those_of_the_estimator():
    assert get_tags(FEITransformer()).transformer_tags.preserves_dtype == ["float32"]
    assert get_tags(FEIClassifier()).estimator_type == "classifier"
    assert get_tags(FEIRegressor()).estimator_type == "regressor"


# Bad input

FLAT = pd.DataFrame(walks(n_channels=1)[:, 0])
LONG = pd.DataFrame({"id": [0, 0, 1, 1], "time": [0, 1, 0, 1], "value": [1.0, 2.0, 3.0, 4.0]})
PANEL = convert_to(walks(n_channels=1), "pd-multiindex")


@pytest.mark.parametrize(
    ("X", "error", "sentence"),
    [
        (walks()[None], ValueError, "X has 4 dimensions, .* reshape it to .n_samples, n_ch"),
        (FLAT, ValueError, r"X is a frame of shape \(20, 30\) .* X.to_numpy\(\)\[:, np.newaxis\]"),
        (LONG, ValueError, r"X is a frame of shape \(4, 3\) .*from_long\(X, id=\.\.\., time"),
        (pl.DataFrame(FLAT), TypeError, "X is of type polars.*from_long"),
        ({"a": FLAT}, TypeError, "X is of type builtins.dict, .* give an array of shape"),
        (list(walks()), TypeError, "X is a list that holds ndarray, .*pd.DataFrame.series.T."),
        ([], ValueError, "X is an empty list: give at least one series"),
        (pd.DataFrame(), ValueError, "X is an empty DataFrame: give at least one series"),
        (PANEL[::-1], TypeError, "X has rows that are not in the order .* give X.sort_index"),
        (PANEL.rename(index=float, level=1), TypeError, "X has an index of times of .* float64"),
        (PANEL.iloc[[0, *range(50)]], ValueError, r"X has more than one row for \(0, 0\): keep"),
    ],
    ids=[
        "4-D",
        "wide",
        "long",
        "polars",
        "dict",
        "arrays",
        "none",
        "empty",
        "unsorted",
        "float",
        "twice",
    ],
)
def test_what_is_no_panel_is_refused_in_a_sentence(X, error, sentence):
    y = np.arange(20) % 2
    with pytest.raises(error, match=f"^{sentence}") as fitting:
        transformer().fit(X)
    fitted = transformer().fit(walks(n_channels=1))
    with pytest.raises(error, match=f"^{sentence}"):
        fitted.transform(X)
    with pytest.raises(error, match=f"^{sentence}"):
        fine_tuned(FEIClassifier).fit(X, y)
    message = str(fitting.value)
    assert "\n" not in message
    assert message.endswith(".")


def test_a_2d_array_is_refused_by_the_transformer():
    sentence = r"^X is a 2-D array, \(20, 30\), .* X\[:, np.newaxis\] .* X\.T\[np\.newaxis\]"
    with pytest.raises(ValueError, match=sentence):
        transformer().fit(walks(n_channels=1)[:, 0])
    with pytest.raises(ValueError, match=sentence):
        transformer().fit(walks()).transform(walks(n_channels=1)[:, 0])


def test_what_the_embedder_refuses_stays_refused():
    fitted = transformer().fit(walks())
    with pytest.raises(ValueError, match=r"3 (channels|features)"):
        fitted.transform(walks(n_channels=3))
    infinite = walks()
    infinite[0, 0, 0] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        transformer().fit(infinite)


def test_steps_are_no_rows_of_a_transformer():
    with pytest.raises(ValueError, match=r"pooling=None.*FEIEmbedder"):
        FEITransformer(**QUICK | {"pooling": None}).fit(walks())
