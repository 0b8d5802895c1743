"""Specs of an embedder: from parameters and fitted attributes to what the bridge takes."""

from __future__ import annotations

import numpy as np
import pytest
from quick import dilated, quick, walks

from fei_sklearn import FEIEmbedder, _specs


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, 3),
        ({"encoder": "tiny"}, 50),
        ({"encoder": 64}, 50),
        ({"encoder": dilated}, 50),
        ({"pretrained": "fei-tiny"}, 0),
        ({"max_epochs": 3, "pretrained": "fei-tiny"}, 3),
    ],
)
def test_maximum_number_of_epochs(params, expected):
    assert _specs.max_epochs(FEIEmbedder(**params)) == expected


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, 64),
        ({"encoder": "tiny"}, None),
        ({"min_timepoints": 9}, 9),
        ({"min_timepoints": None}, None),
    ],
)
def test_length_to_which_short_series_are_stretched(params, expected):
    embedder = FEIEmbedder(max_epochs=0, random_state=0, **params).fit(walks(n_channels=1))
    assert embedder.min_timepoints_ == expected
    assert embedder.reference_length_ == max(walks().shape[2], expected or 0)


def test_parameters_of_a_pretraining():
    embedder = quick(mask_ratio=0.3, momentum=0.9, validation_fraction=None, n_jobs=2)
    spec = _specs.pretraining_spec(embedder, seed=9)
    assert spec.objective_options["mask_ratio"] == 0.3
    assert (spec.optimisation.momentum, spec.optimisation.max_epochs) == (0.9, 2)
    assert (spec.validation_fraction, spec.machine.n_jobs) == (0.0, 2)
    assert (spec.seed, spec.is_repeatable) == (9, True)
    assert not _specs.pretraining_spec(quick(random_state=None), seed=9).is_repeatable


@pytest.mark.parametrize(("calibration", "factor"), [("fixed", 2.0), ("panel", 4.0)])
def test_a_calibration_takes_the_stretching_of_its_panel(tmp_path, calibration, factor):
    quick(min_timepoints=40, max_epochs=0).fit(walks(n_timepoints=20)).save(tmp_path)
    embedder = FEIEmbedder(pretrained=tmp_path, calibration=calibration)
    assert embedder.fit(walks(n_timepoints=10)).stretch_ == factor


@pytest.mark.parametrize(
    ("params", "n_statistics", "layers"),
    [({}, 3, "blocks"), ({"encoder": dilated}, 1, "last"), ({"objective": "tfc"}, 1, "last")],
)
def test_automatic_readout_of_an_encoder(params, n_statistics, layers):
    embedder = quick(pooling="auto", max_epochs=0, **params).fit(walks())
    readout = _specs.fitted_readout(embedder)
    assert (len(readout.statistics), readout.layers) == (n_statistics, layers)
    encoding = _specs.encoding_spec(embedder)
    assert embedder.transform(walks()).shape == (20, encoding.n_features)


@pytest.mark.parametrize(
    ("params", "n_channels", "n_features"),
    [
        ({}, 1, 2688),
        ({"pooling": "small"}, 1, 1344),
        ({"views": ("shape", "change")}, 1, 1344),
        ({}, 2, 2 * 1344),  # 2 * 2688 would exceed the bound
        ({"views": "level"}, 3, 3 * 672),
        ({"n_components": 5}, 1, 5),
        ({"n_components": 5}, 3, 15),
        ({"pooling": "mean"}, 1, 128),
        ({"pooling": "mean", "layers": "all"}, 1, 240),
    ],
)
def test_readouts_of_the_dilated_encoder(front, params, n_channels, n_features):
    X = walks(n_channels=n_channels)
    defaults = {"pooling": "auto", "layers": "auto", "views": "auto", "n_components": None}
    embedder = FEIEmbedder(pretrained=front, **defaults | params).fit(X)
    assert _specs.encoding_spec(embedder).n_features == n_features
    assert embedder.transform(X).shape == (20, n_features)


@pytest.fixture(scope="module")
def front(tmp_path_factory):
    """A saved model with a front."""
    folder = tmp_path_factory.mktemp("front")
    quick(encoder="dilated", max_epochs=0, n_components=5, pooling="auto").fit(
        walks(n_channels=1)
    ).save(folder)
    return folder


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"encoder": "dilated", "channels": "mix"}, "'independent'.*encoder='small'"),
        ({"encoder": "dilated", "n_components": 3, "pooling": "mean"}, "n_components=3 needs"),
        ({"encoder": "dilated", "n_components": 3, "pooling": "small"}, "pooling='small'"),
        ({"encoder": "dilated", "n_components": 3, "views": "sum"}, "views='sum'"),
        ({"encoder": "tiny", "views": "sum"}, "'level', 'shape', 'change' or.*'sum'"),
        ({"encoder": "dilated", "pooling": "mean", "views": "sum"}, "'change' or.*'sum'"),
        ({"encoder": "dilated", "views": ("sum", "sum")}, "'halved', 'sum' or"),
    ],
)
def test_readouts_that_an_encoder_does_not_have_are_refused(params, message):
    with pytest.raises(ValueError, match=message):
        _specs.check_readout(FEIEmbedder(**params))


def test_an_encoder_without_a_front_has_no_short_embeddings():
    with pytest.warns(UserWarning, match="n_components=3 has no effect on an encoder without"):
        embedder = quick(n_components=3, max_epochs=0).fit(walks(n_channels=1))
    assert embedder.transform(walks(n_channels=1)).shape == (20, 16)


@pytest.mark.filterwarnings("ignore:n_components=3 has no effect")
@pytest.mark.parametrize(
    ("params", "unfitted", "fitted"),
    [
        ({"encoder": "dilated", "pooling": "auto", "n_components": 3}, True, True),
        ({"n_components": 3}, True, False),  # the encoder is looked at in fit
        ({"encoder": "dilated", "pooling": "auto"}, False, False),
    ],
)
def test_principal_axes_are_those_of_a_front(params, unfitted, fitted):
    embedder = quick(max_epochs=0, **params)
    assert _specs.gives_principal_axes(embedder) is unfitted
    embedder.fit(walks(n_channels=1))
    assert _specs.gives_principal_axes(embedder) is fitted


@pytest.mark.parametrize(("calibration", "is_kept"), [("fixed", True), ("panel", False)])
def test_the_calibration_decides_about_the_scaling_of_a_start(calibration, is_kept):
    start = quick(max_epochs=0).fit(walks())
    embedder = quick(calibration=calibration)
    scaler = _specs.training_input(embedder, walks(seed=1), start).scaler
    assert np.array_equal(scaler.offset, start.offset_) == is_kept
    assert _specs.pretraining_spec(embedder, seed=9).recalibrates != is_kept


@pytest.mark.parametrize("readout", [{"layers": "all"}, {"views": ("level", "change")}])
def test_steps_of_several_maps_are_refused(readout):
    with pytest.raises(ValueError, match="layers='last' and one view"):
        _specs.check_readout(quick(pooling=None, **readout))


def test_a_start_keeps_its_scaling_where_it_has_the_channels():
    start = quick(max_epochs=0).fit(walks())
    same = _specs.training_input(quick(), walks(seed=1), start)
    np.testing.assert_array_equal(same.scaler.offset, start.offset_)
    fewer = _specs.training_input(quick(), walks(n_channels=1, seed=1), start)
    assert fewer.scaler.offset.shape == (1,)
    assert fewer.separate_channels


def test_a_start_that_mixes_channels_refuses_another_number():
    start = quick(max_epochs=0, channels="mix").fit(walks())
    with pytest.raises(ValueError, match=r"X has 3 channels.* trained on 2: give X 2 channels"):
        _specs.training_input(quick(), walks(n_channels=3), start)
