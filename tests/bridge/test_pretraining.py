"""Pretraining from a spec: starts, outcomes so far, biases and the watch for collapse."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from quick import quick, walks

from fei_sklearn import _specs
from fei_sklearn._bridge.pretraining import prepared, pretrain
from fei_sklearn._fitting.watchers import Watchers
from fei_sklearn.data import Panel

PANEL = Panel(walks(20, 1, 24).astype(np.float32))
SILENT = Watchers([])


def spec(**params):
    return _specs.pretraining_spec(quick(**params), seed=5)


def test_the_same_spec_gives_the_same_outcome():
    first, again = (pretrain(spec(), PANEL, None, SILENT) for _ in range(2))
    assert len(first.history) == 2
    assert first.weights.keys() == again.weights.keys()
    for name, array in first.weights.items():
        np.testing.assert_array_equal(array, again.weights[name], err_msg=name)


def test_momentum_copies_are_no_weights_of_the_model():
    outcome = pretrain(spec(max_epochs=0), PANEL, None, SILENT)
    assert not any(name.startswith("target_") for name in outcome.weights)
    assert {"biases.level", "biases.shape", "biases.change"} <= outcome.weights.keys()
    assert (outcome.history, outcome.best_epoch) == ([], 0)


def test_a_start_keeps_its_weights_and_statistics_without_training():
    embedder = quick().fit(walks(20, 1, 24, seed=1))
    start = _specs.fitted_model(embedder)
    outcome = pretrain(spec(max_epochs=0, encoder=8), PANEL, start, SILENT)
    assert outcome.stage_widths == embedder.stage_widths_
    for name, array in embedder.weights_.items():
        if name.startswith("encoder."):
            np.testing.assert_array_equal(outcome.weights[name], array, err_msg=name)


def test_an_outcome_so_far_leaves_the_training_alone():
    with prepared(spec(), PANEL, None) as pretraining:
        weights = {
            name: value.clone() for name, value in pretraining.objective.state_dict().items()
        }
        so_far = pretraining.outcome_so_far([], weights, 0)
        for name, value in pretraining.objective.state_dict().items():
            assert torch.equal(value, weights[name]), name
        final = pretraining.outcome([], 0)
    np.testing.assert_array_equal(so_far.weights["biases.level"], final.weights["biases.level"])


@pytest.mark.parametrize("n_different", [1, 2])
def test_identical_series_have_no_relative_deviation(n_different):
    values = np.repeat(PANEL.values[:n_different], 3, axis=0)
    outcome = pretrain(spec(max_epochs=0), Panel(values), None, SILENT)
    assert np.isnan(outcome.relative_deviation) == (n_different == 1)


def test_options_of_an_objective_are_taken_by_name():
    with prepared(spec(n_targets=3, mask_ratio=0.4), PANEL, None) as pretraining:
        assert pretraining.objective.n_targets == 3
        assert pretraining.objective.mask_ratio == (0.0, 0.4)


def test_an_empty_checkpoint_dir_is_not_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="checkpoint_dir is empty: give a path"):
        pretrain(spec(checkpoint_dir=""), PANEL, None, SILENT)
    assert list(tmp_path.iterdir()) == []
