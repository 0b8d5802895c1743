"""Arrays of the front readout: thresholds of the right panel, and principal axes."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from quick import quick, walks
from sklearn.decomposition import PCA

from fei_sklearn import _specs
from fei_sklearn._bridge.encoding import restore_encoder
from fei_sklearn._bridge.front import (
    check_front_arrays,
    front_arrays,
    front_kernels,
    front_readout,
    trainable_front,
    warn_of_missing_axes,
)
from fei_sklearn._bridge.weight_names import AXES_COMPONENTS, AXES_MEAN, AXES_SCALE, threshold_name
from fei_sklearn.data import Panel
from fei_sklearn.readout.front import FrontReadout, fit_thresholds
from fei_sklearn.readout.spec import FRONT_VIEWS, FrontSpec

VIEW_NAMES = {threshold_name(view) for view in FRONT_VIEWS}


def panel(n=40, seed=5):
    series = walks(n=n, n_channels=1, n_timepoints=60, seed=seed)
    return Panel(series.astype(np.float32))


@pytest.fixture(scope="module")
def embedder():
    params = {"encoder": "dilated", "pooling": "auto", "max_epochs": 0, "n_components": 6}
    return quick(**params).fit(walks(n=30, n_channels=1, n_timepoints=60))


@pytest.fixture(scope="module")
def model(embedder):
    return _specs.fitted_model(embedder)


@pytest.fixture(scope="module")
def kernels(model):
    return front_kernels(restore_encoder(model))


def arrays_of(kernels, series, **params):
    given = {"start": None, "recalibrates": True, "n_components": None}
    return front_arrays(kernels, series, **given | params).weights


def test_an_encoder_without_a_front_has_no_kernels():
    model = _specs.fitted_model(quick(max_epochs=0).fit(walks()))
    assert front_kernels(restore_encoder(model)) is None


def test_thresholds_are_those_of_the_panel(kernels, model):
    arrays = arrays_of(kernels, panel(), start=model)
    assert set(arrays) >= VIEW_NAMES
    expected = fit_thresholds(kernels, panel(), FRONT_VIEWS)
    for view in FRONT_VIEWS:
        np.testing.assert_array_equal(arrays[threshold_name(view)], expected[view])


def test_thresholds_are_kept_without_a_calibration(kernels, model):
    arrays = arrays_of(kernels, panel(), start=model, recalibrates=False)
    for name in VIEW_NAMES:
        np.testing.assert_array_equal(arrays[name], model.weights[name])


def test_axes_of_the_start_are_kept_without_a_calibration(kernels, model):
    arrays = arrays_of(kernels, panel(), start=model, recalibrates=False, n_components=3)
    np.testing.assert_array_equal(arrays[AXES_COMPONENTS], model.weights[AXES_COMPONENTS])


def test_axes_of_the_start_do_not_outlive_its_thresholds(kernels, model):
    assert set(arrays_of(kernels, panel(), start=model)) == VIEW_NAMES


def test_a_calibration_takes_the_axes_of_the_panel(kernels, model):
    arrays = arrays_of(kernels, panel(), start=model, n_components=4)
    from_scratch = arrays_of(kernels, panel(), n_components=4)
    np.testing.assert_array_equal(arrays[AXES_COMPONENTS], from_scratch[AXES_COMPONENTS])


@pytest.mark.parametrize(("rows", "n_axes"), [(range(4), 3), ([0, 1, 2] * 5, 2), ([0], 0)])
def test_what_a_small_panel_lacks_is_zero(kernels, model, rows, n_axes):
    series = panel().take(np.array(rows))
    front = front_arrays(kernels, series, start=model, recalibrates=True, n_components=6)
    assert front.n_fitted_axes == n_axes
    components = front.weights[AXES_COMPONENTS]
    own = np.diag([1.0] * n_axes + [0.0] * (6 - n_axes))
    np.testing.assert_allclose(components @ components.T, own, atol=1e-5)


def test_no_axes_are_fitted_unless_asked_for(kernels):
    front = front_arrays(kernels, panel(), start=None, recalibrates=True, n_components=None)
    assert (set(front.weights), front.n_fitted_axes) == (VIEW_NAMES, None)


def test_missing_axes_are_warned_of():
    with pytest.warns(UserWarning, match="n_components=6, but the panel's series have 2 principal"):
        warn_of_missing_axes(6, 2)


@pytest.mark.parametrize(("n_components", "n_fitted_axes"), [(6, 6), (6, None), (None, None)])
def test_there_is_no_warning_without_missing_axes(n_components, n_fitted_axes):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_missing_axes(n_components, n_fitted_axes)


def test_axes_are_the_principal_components_of_the_standardised_features(kernels):
    arrays = arrays_of(kernels, panel(), n_components=4)
    thresholds = {view: arrays[threshold_name(view)] for view in FrontSpec().views}
    readout = FrontReadout(kernels, FrontSpec(), thresholds, None)
    features = readout.embed(panel(), device=torch.device("cpu"), n_threads=1).astype(np.float64)
    varies = features.std(axis=0) > 1e-6
    standardised = (features - features.mean(axis=0))[:, varies] / features.std(axis=0)[varies]
    expected = PCA(4, svd_solver="full").fit(standardised).components_
    found = arrays[AXES_COMPONENTS][:, varies]
    cosines = np.abs((found * expected).sum(axis=1))
    np.testing.assert_allclose(cosines, 1.0, atol=1e-4)
    np.testing.assert_array_equal(arrays[AXES_COMPONENTS][:, ~varies], 0.0)
    np.testing.assert_allclose(arrays[AXES_MEAN], features.mean(axis=0), rtol=1e-5, atol=1e-6)
    assert (arrays[AXES_SCALE] > 0).all()


def test_fewer_axes_are_the_first_ones(embedder):
    X = walks(n_channels=1, n_timepoints=60, seed=2)
    all_axes = embedder.transform(X)
    model = _specs.fitted_model(embedder)
    kernels = front_kernels(restore_encoder(model))
    fewer = front_readout(model, FrontSpec(), kernels, 2)
    first = fewer.embed(
        _specs.fitted_input(embedder).panel(X), device=torch.device("cpu"), n_threads=1
    )
    np.testing.assert_allclose(first, all_axes[:, :2], rtol=1e-5, atol=1e-5)


def test_more_axes_than_the_model_has_are_refused(model, kernels):
    with pytest.raises(ValueError, match="n_components=7, but the model has 6 principal axes"):
        front_readout(model, FrontSpec(), kernels, 7)


def test_a_model_without_axes_says_so(model, kernels):
    weights = {name: array for name, array in model.weights.items() if "axes" not in name}
    check_front_arrays(kernels, weights)
    bare = type(model)(**vars(model) | {"weights": weights})
    with pytest.raises(ValueError, match="the model has 0 principal axes"):
        front_readout(bare, FrontSpec(), kernels, 2)


@pytest.mark.parametrize("n_components", [None, 4])
def test_the_trainable_module_has_the_same_features(n_components, model):
    series = walks(n=9, n_channels=3, n_timepoints=50, seed=3)
    encoder = restore_encoder(model)
    spec = FrontSpec(n_groups=1) if n_components is None else FrontSpec()
    panel = Panel(series.astype(np.float32))
    readout = front_readout(model, spec, front_kernels(encoder), n_components)
    expected = readout.embed(panel, device=torch.device("cpu"), n_threads=1)
    module = trainable_front(model, spec, encoder, n_components)
    features = module(torch.from_numpy(panel.values))
    assert features.requires_grad
    found = features.detach().numpy()
    # a value that rounds to the other side of a threshold changes a share by one step
    close = np.isclose(found, expected, rtol=1e-3, atol=2e-3 * np.abs(expected).max())
    assert close.mean() > 0.98


@pytest.mark.parametrize("name", [threshold_name("sum"), AXES_MEAN])
def test_missing_or_misshapen_arrays_are_refused(name, model, kernels):
    weights = dict(model.weights)
    weights[name] = weights[name][..., :-1]
    with pytest.raises(ValueError, match=f"{name} has shape"):
        check_front_arrays(kernels, weights)
    del weights[name]
    with pytest.raises(KeyError, match=name):
        check_front_arrays(kernels, weights)
