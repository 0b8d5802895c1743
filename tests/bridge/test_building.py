"""Encoders, built as a spec or a fitted model describes them."""

from __future__ import annotations

import pytest
import torch
from quick import dilated, quick, walks

from fei_sklearn import _specs
from fei_sklearn._bridge.building import build_encoder, fitted_encoder_spec, users_random_state
from fei_sklearn._bridge.spec import EncoderSpec
from fei_sklearn.encoder.dilated import DilatedEncoder

CPU = torch.device("cpu")


def built(spec, seed=0, objective="fei"):
    generator = torch.Generator().manual_seed(seed)
    return build_encoder(objective, spec, 2, 30, generator)


@pytest.mark.parametrize(("size", "width"), [("tiny", 128), ("norm", 512), (24, 24)])
def test_sizes_have_names_and_widths(size, width):
    encoder = built(EncoderSpec(size, 1))
    assert (encoder.width, encoder.stride, encoder.n_channels) == (width, 1, 2)


@pytest.mark.parametrize("stride", [1, 2])
def test_the_dilated_encoder_has_a_name(stride):
    spec = EncoderSpec("dilated", stride)
    generator = torch.Generator().manual_seed(0)
    assert isinstance(build_encoder("fei", spec, 1, 30, generator), DilatedEncoder)
    embedder = quick(encoder="dilated", max_epochs=0, stride=stride).fit(walks())
    assert fitted_encoder_spec(_specs.fitted_model(embedder)) == spec


def test_initial_weights_are_those_of_the_generator():
    spec = EncoderSpec(16, 2)
    first, again, other = (built(spec, seed).stem.conv.weight for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_users_builder_is_called():
    assert isinstance(built(EncoderSpec(dilated, 2)), torch.nn.Sequential)


def test_a_builder_that_returns_no_module_is_refused():
    with pytest.raises(TypeError, match=r"must return a torch module.*returned list"):
        built(EncoderSpec(lambda n_channels: [n_channels], 2))


@pytest.mark.parametrize("objective", ["fei", "tfc"])
def test_a_fitted_model_has_the_width_of_one_backbone(objective):
    embedder = quick(objective=objective, max_epochs=0, stride=1).fit(walks())
    spec = fitted_encoder_spec(_specs.fitted_model(embedder))
    assert spec == EncoderSpec(16, 1)


def test_only_a_users_encoder_draws_from_the_global_random_state():
    before = torch.get_rng_state()
    with users_random_state(EncoderSpec(dilated, 2), 3, CPU):
        assert not torch.equal(torch.get_rng_state(), before)
    with users_random_state(EncoderSpec(16, 2), 3, CPU):
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(torch.get_rng_state(), before)
