"""Settings of an evaluation, completed by the defaults of its protocol."""

from __future__ import annotations

import pytest

from fei_sklearn.evaluation.models import Raw, SavedModel
from fei_sklearn.evaluation.settings import resolve_settings

UNSET = {
    "head": None,
    "standardise": None,
    "readout": None,
    "paper_protocol": None,
    "most": None,
    "params": {},
}


def test_defaults_of_the_probe():
    settings = resolve_settings(**UNSET, protocol="probe")
    assert settings.as_record(Raw()) == {
        "standardise": "model",
        "readout": "model",
        "paper_protocol": False,
        "head": "logistic",
    }


@pytest.mark.parametrize("protocol", ["linear", "finetune"])
def test_defaults_of_the_papers_protocols(protocol):
    settings = resolve_settings(**UNSET, protocol=protocol)
    assert settings.as_record(Raw()) == {
        "standardise": "time-index",
        "readout": "paper",
        "paper_protocol": True,
    }


def test_a_readout_among_the_parameters_replaces_the_papers():
    settings = resolve_settings(**UNSET | {"params": {"views": "level"}}, protocol="linear")
    assert settings.readout == "model"


def test_what_is_set_stays():
    chosen = {"standardise": "time-index", "readout": "paper", "paper_protocol": True, "most": 7}
    settings = resolve_settings(**UNSET | chosen | {"head": "ridge"}, protocol="probe")
    assert settings.as_record(Raw()) == chosen | {"head": "ridge"}


def test_minirocket_is_probed_by_ridge(fitted):
    settings = resolve_settings(**UNSET, protocol="probe")
    minirocket = SavedModel(fitted, "minirocket")  # the name alone matters
    assert settings.head_of(minirocket) == "ridge"


def test_conditions_and_set_options_follow_the_settings():
    settings = resolve_settings(**UNSET | {"most": 5}, protocol="linear")
    conditions = settings.conditions("cpu", 2)
    assert conditions.standardised
    assert conditions.params() == {
        "device": "cpu",
        "n_jobs": 2,
        "pooling": "mean",
        "layers": "last",
        "views": "level",
    }
    options = settings.set_options("folder", "regression")
    assert (options.data, options.task, options.most) == ("folder", "regression", 5)
    assert options.per_time_index
    assert options.paper_protocol


def test_numbers_of_labels_are_settings_of_their_own():
    settings = resolve_settings(**UNSET, protocol="probe")
    assert settings.per_labels(None) == [settings]
    one, five = settings.per_labels([1, 5])
    assert one.as_record(Raw()) == settings.as_record(Raw()) | {"labels": 1}
    assert five.n_labels == 5


@pytest.mark.parametrize("labels", [[], [0], [1, 1], [2.5], ["a"], [float("nan")]], ids=repr)
def test_numbers_of_labels_are_different_counts(labels):
    settings = resolve_settings(**UNSET, protocol="probe")
    with pytest.raises(ValueError, match=r"labels must be different whole numbers.*got \["):
        settings.per_labels(labels)
