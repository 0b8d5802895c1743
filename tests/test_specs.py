"""Specs of an embedder: from parameters and fitted attributes to what the bridge takes."""

from __future__ import annotations

import numpy as np
import pytest
from quick import dilated, quick, walks

from fei_sklearn import FEIEmbedder, _specs


@pytest.mark.parametrize(
    ("params", "expected"),
    [({}, 50), ({"pretrained": "fei-tiny"}, 0), ({"max_epochs": 3, "pretrained": "fei-tiny"}, 3)],
)
def test_maximum_number_of_epochs(params, expected):
    assert _specs.max_epochs(FEIEmbedder(**params)) == expected


def test_parameters_of_a_pretraining():
    embedder = quick(mask_ratio=0.3, momentum=0.9, validation_fraction=None, n_jobs=2)
    spec = _specs.pretraining_spec(embedder, seed=9)
    assert spec.objective_options["mask_ratio"] == 0.3
    assert (spec.optimisation.momentum, spec.optimisation.max_epochs) == (0.9, 2)
    assert (spec.validation_fraction, spec.machine.n_jobs) == (0.0, 2)
    assert (spec.seed, spec.is_repeatable) == (9, True)
    assert not _specs.pretraining_spec(quick(random_state=None), seed=9).is_repeatable


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
