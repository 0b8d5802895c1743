"""`transform` on several devices: the same embeddings, bit by bit."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from quick import quick, walks

from fei_sklearn import inference
from fei_sklearn.cli import main

X = walks(150, 2, 40)


def unequal():
    lengths = np.random.default_rng(2).integers(10, 41, size=len(X))
    return [series[:, :n] for series, n in zip(X, lengths, strict=True)]


@pytest.fixture
def workers(monkeypatch):
    """Threads that computed, and torch's CPU threads in each of them."""
    threads, original = [], inference._features

    def features(*arguments):
        threads.append((threading.get_ident(), torch.get_num_threads()))
        return original(*arguments)

    monkeypatch.setattr(inference, "_features", features)
    return threads


@pytest.mark.parametrize("panel", [X, unequal()], ids=["equal", "unequal"])
@pytest.mark.parametrize("params", [{}, {"pooling": None}, {"pooling": "auto", "encoder": 32}])
def test_embeddings_are_bitwise_those_of_one_device(panel, params, workers):
    embedder = quick(**params, device="cpu").fit(X[:40])
    expected = embedder.transform(panel)
    workers.clear()
    before = torch.get_num_threads()
    got = embedder.set_params(n_devices=3).transform(panel)
    np.testing.assert_array_equal(got, expected)
    assert torch.get_num_threads() == before
    assert 2 <= len({thread for thread, _ in workers}) <= 4  # the first tile is the caller's


def test_cpu_threads_are_shared_out(workers):
    embedder = quick(device="cpu").fit(X[:40])
    workers.clear()
    before = torch.get_num_threads()
    torch.set_num_threads(6)
    try:
        embedder.set_params(n_devices=3).transform(X)
    finally:
        torch.set_num_threads(before)
    assert {n for _, n in workers} == {2}


def test_an_error_in_one_ends_all(monkeypatch):
    embedder = quick(device="cpu").fit(X[:40]).set_params(n_devices=2)
    calls, original = [], inference._features

    def features(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise ValueError("too little memory")
        return original(*arguments)

    monkeypatch.setattr(inference, "_features", features)
    with pytest.raises(ValueError, match="too little memory"):
        embedder.transform(X)
    assert len(calls) <= 4  # of 19 tiles


def test_an_empty_device_is_no_harm():
    embedder = quick(device="cpu").fit(X[:40])
    expected = embedder.transform(X[:1])
    np.testing.assert_array_equal(embedder.set_params(n_devices=4).transform(X[:1]), expected)


def test_embed_on_the_command_line(tmp_path, capsys):
    quick(device="cpu", channels="mix").fit(X[:40]).save(tmp_path / "model")
    np.savez(tmp_path / "set.npz", X_train=X, y_train=np.arange(150) % 2)
    arguments = ["embed", str(tmp_path / "model"), str(tmp_path / "set.npz"), "--device", "cpu"]
    outs = []
    for n_devices in ("1", "2"):
        out = tmp_path / f"{n_devices}.npz"
        assert main([*arguments, "--out", str(out), "--n-devices", n_devices]) == 0
        outs.append(np.load(out)["embeddings"])
    np.testing.assert_array_equal(*outs)
