"""The fitted state as configuration and arrays, and back; a state that does not fit is refused."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from fitted_models import Model
from quick import dilated, quick, walks
from torch import nn

from fei_sklearn import FEIEmbedder
from fei_sklearn._saving.state import from_folder, to_folder


@pytest.mark.parametrize(
    "seed", [None, np.int64(3), np.random.RandomState(0)], ids=["none", "numpy", "state"]
)
def test_any_random_state_is_saved(seed, plain, tmp_path):
    quick(random_state=seed).fit(plain.panel).save(tmp_path)
    assert FEIEmbedder.load(tmp_path).random_state == (3 if seed == 3 else None)


def test_a_users_encoder_has_to_be_given_again(tmp_path):
    model = Model({"encoder": dilated}, walks)
    model.embedder.save(tmp_path)
    with pytest.raises(ValueError, match=r"user's own.*load\(path, encoder=\.\.\.\)"):
        FEIEmbedder.load(tmp_path)
    with pytest.raises(ValueError, match="weights do not fit"):
        FEIEmbedder.load(tmp_path, encoder=lambda n_channels: nn.Conv1d(n_channels, 12, 5))
    model.check(FEIEmbedder.load(tmp_path, encoder=dilated))
    model.check(quick(encoder=dilated, pretrained=tmp_path, max_epochs=0).fit(model.panel))


def test_the_state_comes_back(model):
    config, arrays = to_folder(model.embedder)
    model.check(from_folder(FEIEmbedder, config, arrays, encoder=model.encoder))


MACHINE = {
    "checkpoint_dir": "/somewhere",
    "device": "cuda:7",
    "n_devices": 10**6,
    "n_jobs": 10**6,
    "pretrained": "stranger/model",
    "verbose": 3,
}


def test_what_belongs_to_this_machine_is_not_saved(plain):
    embedder = copy.deepcopy(plain.embedder).set_params(**MACHINE)
    config, _ = to_folder(embedder)
    default = FEIEmbedder().get_params()
    assert {name: config["params"][name] for name in MACHINE} == {
        name: default[name] for name in MACHINE
    }


def test_a_strangers_file_sets_nothing_of_this_machine(plain):
    config, arrays = to_folder(plain.embedder)
    config["params"].update(MACHINE)
    loaded = from_folder(FEIEmbedder, config, arrays, encoder=None)
    default = FEIEmbedder()
    for name in MACHINE:
        assert getattr(loaded, name) == getattr(default, name)


def set_param(**values):
    return lambda config: config["params"].update(values)


def set_attribute(**values):
    return lambda config: config["fitted"].update(values)


UNFIT = "weights do not fit"

#: Changes of a configuration, and the messages of their refusal.
CHANGES = {
    "a parameter out of bounds": (set_param(layers="al"), "layers.*'al'"),
    "another class": (
        lambda config: config.update({"class": "FEIClassifier"}),
        "a FEIClassifier, not a FEI",
    ),
    "no parameters": (
        lambda config: config.update(params={}),
        "does not describe a FEIEmbedder",
    ),
    "an unknown parameter": (set_param(depth=3), "does not describe a FEIEmbedder.*'depth'"),
    "a missing attribute": (
        lambda config: config["fitted"].pop("n_channels_in_"),
        "does not describe a FEIEmbedder.*'n_channels_in_'",
    ),
    "another width": (set_attribute(stage_widths_=[3, 6, 12, 24]), UNFIT),
    "other channels": (set_attribute(n_channels_in_=5), UNFIT),
    "no channels": (set_attribute(n_channels_in_=0), f"{UNFIT}|does not describe"),
    "no widths": (set_attribute(stage_widths_=[]), f"{UNFIT}|does not describe"),
    "huge stages": (set_attribute(stage_widths_=[768, 1536, 3072, 6144]), UNFIT),
    "a huge number of channels": (
        set_attribute(n_channels_in_=10**9, n_features_in_=10**9),
        UNFIT,
    ),
    "a huge reference": (set_attribute(reference_length_=10**7), UNFIT),
    "a huge minimum": (set_attribute(min_timepoints_=10**7), UNFIT),
    "a factor that shortens series": (set_attribute(stretch_=0.5), f"{UNFIT}.*0.5"),
    "an impossible stride": (set_attribute(stride_=7), UNFIT),
}


@pytest.mark.parametrize(("change", "message"), CHANGES.values(), ids=CHANGES)
def test_a_configuration_that_does_not_fit_is_refused(change, message, plain):
    config, arrays = to_folder(copy.deepcopy(plain.embedder))
    change(config)
    with pytest.raises(ValueError, match=f"(?s){message}") as error:
        from_folder(FEIEmbedder, config, arrays, encoder=None)
    assert type(error.value) is ValueError
    assert "\n" not in str(error.value)
    assert str(error.value).count(". ") <= 1


def test_a_model_of_a_version_with_one_architecture_is_read(plain):
    config, arrays = to_folder(plain.embedder)
    for name in ("architecture_", "stretch_"):
        del config["fitted"][name]
    for name in ("n_components", "calibration"):
        del config["params"][name]
    plain.check(from_folder(FEIEmbedder, config, arrays, encoder=None))


@pytest.mark.parametrize("name", ["thresholds.sum", "encoder.front.bank.weight"])
def test_a_front_without_its_arrays_is_refused(name):
    embedder = quick(encoder="dilated", max_epochs=0).fit(walks())
    config, arrays = to_folder(embedder)
    del arrays[name]
    with pytest.raises(ValueError, match=UNFIT):
        from_folder(FEIEmbedder, config, arrays, encoder=None)


@pytest.mark.parametrize("name", ["encoder.stem.conv.weight", "offset_"])
def test_fewer_or_other_arrays_are_refused(name, plain):
    config, arrays = to_folder(plain.embedder)
    array = arrays.pop(name)
    if name == "offset_":
        arrays[name] = array[:1]
    with pytest.raises(ValueError, match=UNFIT):
        from_folder(FEIEmbedder, config, arrays, encoder=None)
