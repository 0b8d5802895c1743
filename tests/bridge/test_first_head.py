"""The first head: ridge regression, its factor, and the penalty that keeps it in place."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

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
