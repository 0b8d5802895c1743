"""The first head: ridge regression, its factor, and the penalty that keeps it in place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from fei_sklearn._bridge import first_head as first_head_module
from fei_sklearn._bridge.first_head import first_head
from fei_sklearn.objectives.supervised import Features, LinearHead, SupervisedObjective


def gradient(head, features, y, penalty=None):
    """Of the loss at a head on its features, with respect to the weights."""
    arrays = (head.centre, head.scale, head.weight, head.bias)
    layer = LinearHead(*(torch.tensor(a) for a in arrays))
    penalty = head.penalty if penalty is None else penalty
    objective = SupervisedObjective(Features(), layer, None, penalty, torch.tensor(head.anchor))
    objective(torch.tensor(features)[:, :, None], None, torch.tensor(y)).loss.backward()
    return layer.weight.grad


def test_the_loss_is_the_one_that_the_first_head_of_a_regressor_is_the_minimum_of():
    rng = np.random.default_rng(0)
    features = rng.normal(3.0, 2.0, (60, 20))
    y = rng.normal(size=(60, 2))
    head = first_head(features, y, warm=True)
    assert head.penalty > 0
    assert gradient(head, features, y).abs().max() < 1e-12
    assert gradient(head, features, y, penalty=0.0).abs().max() > 1e-3


def test_the_loss_draws_a_classifiers_head_to_where_it_began():
    rng = np.random.default_rng(0)
    features = rng.normal(3.0, 2.0, (60, 20))
    y = np.argmax(features[:, :3] + rng.normal(size=(60, 3)), axis=1)
    head = first_head(features, y, warm=True)
    moved = replace(head, weight=head.weight + 0.5)
    drawn = gradient(moved, features, y) - gradient(moved, features, y, penalty=0.0)
    assert gradient(head, features, y).allclose(gradient(head, features, y, penalty=0.0))
    np.testing.assert_allclose(drawn, 2 * head.penalty * 0.5)  # down the slope is back


@pytest.mark.parametrize(("noise", "least", "most"), [(0.01, 0.0, 0.02), (3.0, 5.0, 100.0)])
def test_a_regressors_penalty_grows_with_the_noise_of_its_targets(noise, least, most):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(120, 60))
    signal = features @ rng.normal(size=(60, 1)) / np.sqrt(60)
    y = signal + noise * rng.normal(size=signal.shape)
    head = first_head(features, y, warm=True)
    per_feature = head.penalty * len(y) / 60
    assert least < per_feature <= most


def test_few_targets_have_a_fixed_penalty():
    rng = np.random.default_rng(0)
    head = first_head(rng.normal(size=(9, 20)), rng.normal(size=(9, 1)), warm=True)
    assert head.penalty == pytest.approx(0.1 * 20 / 9)


def test_a_sample_of_all_targets_chooses_the_penalty(monkeypatch):
    rng = np.random.default_rng(0)
    chosen_on = []

    def record(model, targets, weights):
        chosen_on.append(targets[:, 0])
        return np.zeros_like(targets)

    monkeypatch.setattr(first_head_module, "PENALTY_SAMPLE", 4)
    monkeypatch.setattr(first_head_module, "_held_out_outputs", record)
    first_head(rng.normal(size=(31, 5)), np.arange(31.0)[:, np.newaxis], warm=True)
    np.testing.assert_array_equal(chosen_on, [[0, 10, 20, 30]] * 6)


def test_one_scale_keeps_the_noise_of_small_features_small():
    rng = np.random.default_rng(0)
    deviation = np.geomspace(10.0, 1e-3, 40)
    features = rng.normal(size=(80, 40)) * deviation
    y = (features[:, 0] > 0).astype(np.int64)
    training = np.arange(40)
    errors = []
    for one_scale in (False, True):
        head = first_head(features, y, warm=True, rows=training, one_scale=one_scale)
        coef, intercept = head.on_features()
        outputs = features[40:] @ coef.T + intercept
        errors.append(np.mean(outputs.argmax(axis=1) != y[40:]))
    assert errors[1] < errors[0] / 2


@pytest.mark.parametrize("noise", [1.0, 2.0, 3.0])
def test_probabilities_of_the_first_head_are_as_sure_as_they_may_be(noise):
    rng = np.random.default_rng(0)
    means = np.repeat(np.eye(3), 17, axis=1)

    def draw(n):
        y = rng.integers(0, 3, n)
        return means[y] + noise * rng.normal(size=(n, 51)), y

    coef, intercept = first_head(*draw(400), warm=True).on_features()
    features, y = draw(4000)

    def cross_entropy(factor):
        logits = log_softmax(factor * (features @ coef.T + intercept), axis=1)
        return -logits[np.arange(4000), y].mean()

    assert cross_entropy(1.0) < min(cross_entropy(0.5), cross_entropy(2.0))
