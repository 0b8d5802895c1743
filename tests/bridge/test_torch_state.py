"""The caller's torch settings change no bit of what is computed, and are as before afterwards."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from fine_tuners import FREQUENCY, LABELS, X, classifier, regressor
from quick import dilated, quick

from fei_sklearn import FEIEmbedder
from fei_sklearn._bridge.torch_state import own_torch_state

pytestmark = pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled")


@contextmanager
def default_dtype(dtype):
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextmanager
def default_device(device):
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextmanager
def deterministic():
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


SETTINGS = {
    "float64": lambda: default_dtype(torch.float64),
    "bfloat16": lambda: default_dtype(torch.bfloat16),
    "no-grad": torch.no_grad,
    "inference-mode": torch.inference_mode,
    "default-device": lambda: default_device("meta"),
    "device-context": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "anomalies": torch.autograd.detect_anomaly,
    "deterministic": deterministic,
}

USES = {
    "embedder": lambda: quick(pooling="auto").fit(X).transform(X),
    "stream": lambda: quick().partial_fit(X).partial_fit(X).transform(X),
    "users-encoder": lambda: quick(encoder=dilated).fit(X).transform(X),
    "rival": lambda: quick(objective="tfc").fit(X).transform(X),
    "classifier": lambda: classifier().fit(X, LABELS).predict_proba(X),
    "regressor": lambda: regressor().fit(X, FREQUENCY).predict(X),
    "checkpoint": lambda: FEIEmbedder.from_pretrained("fei-tiny").transform(X[:, :1]),
    "positions": lambda: quick(pooling=None, max_epochs=0).fit(X).step_positions(100),
    "encoder": lambda: next(quick(max_epochs=0).fit(X).encoder_.parameters()).detach().numpy(),
}


def state():
    """Return the settings of this thread."""
    return (
        torch.get_default_dtype(),
        torch.get_default_device(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.are_deterministic_algorithms_enabled(),
    )


@pytest.fixture(scope="module")
def expected():
    return {use: run() for use, run in USES.items()}


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("use", USES)
def test_the_callers_settings_change_no_bit(use, setting, expected):
    with SETTINGS[setting]():
        before = state()
        actual = USES[use]()
        assert state() == before
    np.testing.assert_array_equal(actual, expected[use])


@pytest.mark.parametrize("setting", SETTINGS)
def test_what_was_fitted_under_a_setting_works_without_it(setting):
    with SETTINGS[setting]():
        fitted = quick().fit(X)
        within = fitted.transform(X)
    np.testing.assert_array_equal(fitted.transform(X), within)
    np.testing.assert_array_equal(fitted.partial_fit(X).transform(X).shape, within.shape)


@pytest.mark.parametrize("kind", ["cpu", "cuda", "mps", "xpu"])
def test_autocast_of_no_device_reaches_what_is_computed(kind):
    # the switch alone: torch.autocast warns of devices that the machine lacks
    torch.set_autocast_enabled(kind, True)
    try:
        with own_torch_state():
            assert not torch.is_autocast_enabled(kind)
        assert torch.is_autocast_enabled(kind)
    finally:
        torch.set_autocast_enabled(kind, False)


def test_the_last_of_overlapping_threads_restores_the_dtype():
    entered = threading.Event()
    leave = threading.Event()

    def stay():
        with own_torch_state():
            entered.set()
            leave.wait(10)

    with default_dtype(torch.float64):
        thread = threading.Thread(target=stay)
        with own_torch_state():
            thread.start()
            assert entered.wait(10)
        assert torch.get_default_dtype() == torch.float32
        leave.set()
        thread.join()
        assert torch.get_default_dtype() == torch.float64
