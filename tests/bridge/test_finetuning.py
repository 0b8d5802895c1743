"""Fine-tuning from a spec: frozen and free encoders, and runs without epochs."""

from __future__ import annotations

import numpy as np
import pytest
from quick import oscillations, quick

from fei_sklearn import _specs
from fei_sklearn._bridge.encoding import embed_values
from fei_sklearn._bridge.finetuning import finetune
from fei_sklearn._bridge.first_head import first_head
from fei_sklearn._bridge.spec import FinetuningSpec, MachineSpec, OptimisationSpec
from fei_sklearn._fitting.watchers import Watchers
from fei_sklearn.data import Panel

X, FREQUENCY = oscillations(24)
CLASSES = (FREQUENCY > 4).astype(np.int64)
NONE = np.array([], dtype=np.int64)


@pytest.fixture(scope="module")
def embedder():
    return quick(max_epochs=0).fit(X)


def finetuned(embedder, *, freeze_encoder, max_epochs=2):
    encoding = _specs.encoding_spec(embedder)
    panel = encoding.input.panel(X)
    features = embed_values(encoding, X, panel=panel)
    head = first_head(features.astype(np.float64), CLASSES, warm=True)
    training = Panel(panel.values, targets=CLASSES)
    if freeze_encoder:
        training = Panel(features[:, :, np.newaxis], targets=CLASSES)
    spec = FinetuningSpec(
        freeze_encoder=freeze_encoder,
        optimisation=OptimisationSpec(max_epochs, 1, 8, 1e-3, "cosine", None, "auto"),
        machine=MachineSpec("cpu"),
        class_weight=None,
        seed=0,
    )
    outcome = finetune(spec, encoding, training, head, np.arange(24), NONE, Watchers([]))
    return head, outcome


def test_a_frozen_encoder_has_no_new_weights(embedder):
    head, outcome = finetuned(embedder, freeze_encoder=True)
    assert outcome.weights == {}
    assert len(outcome.history) == 2
    assert (outcome.head.weight != head.weight).any()


def test_a_free_encoder_is_trained_with_the_head(embedder):
    _, outcome = finetuned(embedder, freeze_encoder=False)
    assert outcome.weights.keys() <= embedder.weights_.keys()
    name = "encoder.stem.conv.weight"
    assert (outcome.weights[name] != embedder.weights_[name]).any()


@pytest.mark.parametrize("n_components", [None, 6])
def test_the_front_is_trained_with_the_head(n_components):
    params = {"encoder": "dilated", "pooling": "auto", "max_epochs": 0}
    embedder = quick(**params, n_components=n_components).fit(X)
    _, outcome = finetuned(embedder, freeze_encoder=False)
    assert outcome.weights.keys() <= embedder.weights_.keys()
    trained = "encoder.front.bank.weight"
    assert (outcome.weights[trained] != embedder.weights_[trained]).any()
    losses = [record["train_loss"] for record in outcome.history]
    assert losses[1] < losses[0]


@pytest.mark.parametrize("freeze_encoder", [True, False])
def test_without_epochs_the_first_head_is_kept(embedder, freeze_encoder):
    head, outcome = finetuned(embedder, freeze_encoder=freeze_encoder, max_epochs=0)
    np.testing.assert_array_equal(outcome.head.weight, head.weight.astype(np.float32))
    assert (outcome.history, outcome.best_epoch) == ([], 0)
