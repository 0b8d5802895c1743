"""Batch norm folded into convolutions: the same maps without norms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from quick import CONFIGURATIONS, dilated, quick, walks
from torch import nn

from fei_sklearn import _specs
from fei_sklearn._bridge.encoding import build_readout
from fei_sklearn._input.checks import check_panel
from fei_sklearn.encoder.folding import FoldedConv1d, fold_batch_norm
from fei_sklearn.encoder.layers import MaskedBatchNorm1d
from fei_sklearn.encoder.resnet import FEIEncoder
from fei_sklearn.inference import embed
from fei_sklearn.objectives import OBJECTIVES

CPU = torch.device("cpu")
LENGTHS = torch.tensor([37, 2, 18, 5, 36])


def lived_in(encoder):
    """An encoder whose batch norms are far from the identity, in evaluation mode."""
    generator = torch.Generator().manual_seed(1)
    for norm in encoder.modules():
        if isinstance(norm, nn.BatchNorm1d):
            norm.weight.data.uniform_(-2, 2, generator=generator)
            norm.bias.data.normal_(generator=generator)
            norm.running_mean.normal_(generator=generator)
            norm.running_var.uniform_(0.01, 4, generator=generator)
    return encoder.eval()


def series(n_channels, lengths):
    x = torch.randn((5, n_channels, 37), generator=torch.Generator().manual_seed(2))
    if lengths is not None:
        x *= torch.arange(37) < lengths[:, None, None]
    return x


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["dense", "ragged"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("n_channels", [1, 3])
def test_every_stage_is_the_same(n_channels, stride, lengths):
    # in float64, where a scale or shift left out cannot hide in rounding
    encoder = lived_in(FEIEncoder(n_channels, 32, stride)).double()
    folded = fold_batch_norm(encoder)
    x = series(n_channels, lengths).double()
    pairs = list(zip(encoder.stages(x, lengths), folded.stages(x, lengths), strict=True))
    assert len(pairs) == 4
    for (expected, n_steps), (maps, steps) in pairs:
        torch.testing.assert_close(maps, expected, rtol=1e-9, atol=1e-9)
        assert (n_steps is None and steps is None) or torch.equal(n_steps, steps)
        if steps is not None:  # padding is zero, though the folded shift is not
            padding = torch.arange(maps.shape[-1]) >= steps[:, None]
            assert not maps.transpose(1, 2)[padding].any()
    torch.testing.assert_close(folded(x, lengths), encoder(x, lengths), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["dense", "ragged"])
def test_float32_rounds_little(lengths):
    encoder = lived_in(FEIEncoder(1, 32))
    x = series(1, lengths)
    with torch.no_grad():
        for (expected, _), (maps, _) in zip(
            encoder.stages(x, lengths), fold_batch_norm(encoder).stages(x, lengths), strict=True
        ):
            size = float(expected.abs().max())
            torch.testing.assert_close(maps, expected, rtol=1e-5, atol=1e-5 * size)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["dense", "ragged"])
def test_with_and_without_weights_in_onednns_order(lengths, monkeypatch):
    encoder = lived_in(FEIEncoder(1, 32))
    x = series(1, lengths)
    packed = fold_batch_norm(encoder)
    monkeypatch.setattr(
        "fei_sklearn.encoder.folding._has_packed_convolutions", lambda weight: False
    )
    plain = fold_batch_norm(encoder)
    convolutions = [m for m in packed.modules() if isinstance(m, FoldedConv1d)]
    assert len(convolutions) == 1 + 4 * 5
    assert [m.packed is not None for m in convolutions] == [
        torch.backends.mkldnn.is_available()
    ] * 21
    assert all(m.packed is None for m in plain.modules() if isinstance(m, FoldedConv1d))
    with torch.no_grad():
        for (maps, _), (expected, _) in zip(
            packed.stages(x, lengths), plain.stages(x, lengths), strict=True
        ):
            size = float(expected.abs().max())
            torch.testing.assert_close(maps, expected, rtol=1e-5, atol=1e-5 * size)


def test_the_encoder_itself_is_left_alone():
    encoder = lived_in(FEIEncoder(1, 16))
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    folded = fold_batch_norm(encoder)
    assert not any(isinstance(module, MaskedBatchNorm1d) for module in folded.modules())
    assert encoder.state_dict().keys() == before.keys()
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, before[name])


def test_in_training_mode_it_is_refused():
    with pytest.raises(ValueError, match=r"FEIEncoder is in training mode.*eval\(\)"):
        fold_batch_norm(FEIEncoder(1, 16).train())


def test_layers_of_the_user_are_copied_as_they_are():
    encoder = lived_in(dilated(2))
    x = series(2, None)
    assert torch.equal(fold_batch_norm(encoder)(x), encoder(x))


# the front is read by compiled loops, which take its batch norm as it is
@pytest.mark.parametrize("name", sorted(CONFIGURATIONS.keys() - {"front"}))
@pytest.mark.parametrize("ragged", [False, True])
def test_transform_is_that_of_the_unfolded_encoder(name, ragged):
    X = walks(20, 2, 40)
    if ragged:
        X = [row[:, : 20 + i] for i, row in enumerate(X)]
    embedder = quick(**CONFIGURATIONS[name]).fit(X)
    compare(embedder, X)


@pytest.mark.parametrize("objective", sorted(OBJECTIVES))
def test_folding_keeps_the_embeddings_of_every_objective(objective):
    X = walks(17, 2, 64)
    compare(quick(objective=objective, max_epochs=0).fit(X), X)


def compare(embedder, X):
    encoding = _specs.encoding_spec(embedder)
    panel = encoding.input.panel(check_panel(embedder, X, reset=False))
    encoder = embedder.encoder_
    assert any(isinstance(module, MaskedBatchNorm1d) for module in encoder.modules())
    readout = build_readout(encoding.model, encoding.readout, encoder)
    expected = embed(readout, panel, device=CPU)
    embeddings = embedder.transform(X)
    np.testing.assert_allclose(embeddings, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
