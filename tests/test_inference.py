"""Inference: embeddings do not depend on neighbours, tiles, or the number of devices."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from fake_device import FakeAccelerator
from quick import assert_close, quick, walks
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from fei_sklearn import inference
from fei_sklearn.cli import main
from fei_sklearn.data import Panel
from fei_sklearn.encoder.resnet import FEIEncoder
from fei_sklearn.readout.pooling import Readout

NUMPY = {"mean": np.mean, "max": np.max, "std": np.std}


class DilatedConvolutions(nn.Module):
    """A user's own encoder, which ignores lengths, dilates, and makes the map shorter."""

    def __init__(self, n_channels, width=24):
        super().__init__()
        self.first = nn.Conv1d(n_channels, width, 3, padding=1)
        self.norm = nn.BatchNorm1d(width)
        self.second = nn.Conv1d(width, width, 3, padding=2, dilation=2, stride=2)

    def forward(self, x):
        return self.second(F.gelu(self.norm(self.first(x))))


class Linear(DilatedConvolutions):
    """Ends in a product of matrices, whose rounding depends on the number of rows."""

    def __init__(self, n_channels):
        super().__init__(n_channels)
        self.last = nn.Linear(24, 40)

    def forward(self, x):
        return self.last(super().forward(x).mean(dim=-1))[:, :, None]


class Flat(DilatedConvolutions):
    """Pools by itself."""

    def forward(self, x):
        return super().forward(x).mean(dim=-1)


class Several(DilatedConvolutions):
    """Returns more than a map."""

    def forward(self, x):
        return super().forward(x), x


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def fast(**params):
    defaults = {"max_epochs": 1, "channels": "mix", "scaling": "series"}
    return quick(**(defaults | params))


def ragged(n, lengths=(9, 30, 17, 16, 190, 5, 2)):
    return [noise(2, lengths[i % len(lengths)], seed=i) for i in range(n)]


READOUTS = {
    "plain": {},
    "wide": {"encoder": "tiny"},
    "all": {"layers": "all", "pooling": ("std", "max", "mean")},
    "independent": {"channels": "independent", "pooling": ("mean", "max")},
    "stride 1": {"stride": 1},
    "own linear": {"encoder": Linear},
    "own": {"encoder": DilatedConvolutions, "pooling": ("mean", "std")},
}


@pytest.fixture(scope="module", params=READOUTS)
def embedder(request):
    return fast(**READOUTS[request.param]).fit(noise(20, 2, 30))


@pytest.fixture(scope="module")
def unscaled():
    return fast(scaling=None).fit(noise(20, 2, 30))


# A series and its neighbours


@pytest.mark.parametrize("n_timepoints", [2, 30, 101])
@pytest.mark.parametrize("n_rows", [1, 2, 15, 16, 17, 32, 33])
def test_a_dense_row_is_the_same_in_any_batch_and_place(embedder, n_rows, n_timepoints):
    X = noise(40, 2, n_timepoints)
    whole = embedder.transform(X)
    for rows in (np.arange(n_rows), np.random.default_rng(1).permutation(40)[:n_rows]):
        np.testing.assert_array_equal(embedder.transform(X[rows]), whole[rows])


def test_a_dense_row_does_not_depend_on_what_its_neighbours_are(embedder):
    X = noise(20, 2, 30)
    expected = embedder.transform(X)[3]
    X[np.arange(20) != 3] *= 1e6
    X[4] = 0.0
    X[5, :, 1:] = 1.0
    X[6, :, ::2] = -1.0
    np.testing.assert_array_equal(embedder.transform(X)[3], expected)


@pytest.mark.parametrize("n_rows", [2, 15, 16, 17, 33])
def test_a_ragged_row_is_the_same_in_any_ragged_batch_and_place(embedder, n_rows):
    series = ragged(60)
    whole = embedder.transform(series)
    shuffled = np.random.default_rng(1).permutation(60)
    short = [0, 1, *(i for i in shuffled if series[i].shape[1] < 100)]
    for rows in (np.arange(n_rows), shuffled[:n_rows], short[:n_rows]):
        part = embedder.transform([series[i] for i in rows])
        np.testing.assert_array_equal(part, whole[rows])


def test_a_ragged_row_is_close_to_the_series_alone(embedder):
    series = ragged(20)
    alone = np.concatenate([embedder.transform(s[np.newaxis]) for s in series])
    assert_close(embedder.transform(series), alone)


def test_the_shape_of_a_tile_depends_on_the_lengths_in_it_alone(monkeypatch):
    embedder = fast().fit(noise(20, 2, 30))
    shapes = {}
    block_maps = FEIEncoder.block_maps

    def noting(encoder, x, lengths):
        for length in lengths.tolist():
            shapes.setdefault(length, set()).add(tuple(x.shape))
        return block_maps(encoder, x, lengths)

    monkeypatch.setattr(FEIEncoder, "block_maps", noting)
    for lengths in [(9, 190), (9, 30), (30, 31, 30), (9, 10, 11, 12, 13, 14, 15, 30, 31, 190)]:
        embedder.transform(ragged(40, lengths))
    assert {9, 30, 190} <= set(shapes)
    assert all(len(of_length) == 1 for of_length in shapes.values())


def test_calls_between_do_not_matter(embedder):
    X = noise(5, 2, 30)
    expected = embedder.transform(X)
    embedder.transform(noise(3, 2, 12))
    embedder.transform(ragged(4))
    np.testing.assert_array_equal(embedder.transform(X), expected)


def test_independent_channels_stand_side_by_side():
    X = noise(9, 3, 30)
    embedder = fast(channels="independent", pooling=("mean", "max")).fit(X)
    assert embedder.transform(X).shape == (9, 3 * 2 * 16)
    swapped = embedder.transform(X[:, [2, 0, 1]])
    expected = embedder.transform(X).reshape(9, 3, 32)[:, [2, 0, 1]].reshape(9, -1)
    assert_close(swapped, expected)


# Features


@pytest.mark.parametrize("statistics", ["mean", "max", "std", ("std", "max", "mean"), ["max"]])
@pytest.mark.parametrize("layers", ["last", "all"])
def test_transform_gives_statistics_of_the_encoders_maps(unscaled, layers, statistics):
    X = noise(9, 2, 70).astype(np.float32)
    with torch.no_grad():
        stages = unscaled.encoder_.block_maps(torch.from_numpy(X))[1::2]
    stages = stages if layers == "all" else stages[-1:]
    names = [statistics] if isinstance(statistics, str) else statistics
    of = {"mean": "activated", "max": "summed", "std": "summed"}
    parts = [NUMPY[s](getattr(m, of[s]).numpy(), axis=2) for m in stages for s in names]
    expected = np.concatenate(parts, axis=1)
    unscaled.set_params(layers=layers, pooling=statistics)
    assert len(unscaled.get_feature_names_out()) == expected.shape[1]
    assert_close(unscaled.transform(X), expected)


def test_one_row_of_one_channel():
    embedder = fast().fit(noise(9, 12))
    assert embedder.transform(noise(1, 12)).shape == (1, 16)


# Encoders of a user's own


@pytest.mark.parametrize("X", [noise(9, 2, 30), ragged(14, (9, 30, 17))], ids=["dense", "ragged"])
def test_a_users_encoder(X):
    embedder = fast(encoder=DilatedConvolutions, scaling=None, max_epochs=2).fit(X)
    encoder = embedder.encoder_
    assert isinstance(encoder, DilatedConvolutions) and not encoder.training
    with torch.no_grad():
        maps = [encoder(torch.from_numpy(x[np.newaxis].astype(np.float32)))[0] for x in X]
    expected = np.stack([m.numpy().mean(axis=1) for m in maps])
    assert_close(embedder.transform(X), expected)
    assert [record["epoch"] for record in embedder.history_] == [1, 2]


@pytest.mark.parametrize("mask_kind", ["discrete", "temporal"])
def test_no_padding_reaches_a_users_encoder(mask_kind):
    seen = set()

    class Noting(DilatedConvolutions):
        def forward(self, x):
            seen.add((self.training, x.shape[-1]))
            return super().forward(x)

    X = ragged(14, (9, 30, 17))
    embedder = fast(encoder=Noting, mask_kind=mask_kind).fit(X)
    assert seen == {(training, n) for training in (False, True) for n in (9, 30, 17)}
    seen.clear()
    embedder.transform(X)
    assert seen == {(False, n) for n in (9, 30, 17)}


@pytest.mark.parametrize(
    ("encoder", "error", "message"),
    [
        (Flat, ValueError, r"\(n_samples, width, n_steps\).*\(2, 2, 30\) it gave \(2, 24\)"),
        (Several, ValueError, r"\(n_samples, width, n_steps\).* it gave tuple"),
        (lambda n_channels: "tiny", TypeError, "must return a torch module.*returned str"),
        (lambda n_channels: DilatedConvolutions, TypeError, "torch module.*returned type"),
    ],
)
def test_an_encoder_that_is_none_is_refused(encoder, error, message):
    with pytest.raises(error, match=message):
        fast(encoder=encoder).fit(noise(9, 2, 30))


def test_stages_of_an_encoder_that_has_none_are_refused():
    message = "layers='all'.*DilatedConvolutions has none.*'last'"
    with pytest.raises(ValueError, match=message):
        fast(encoder=DilatedConvolutions, layers="all").fit(noise(9, 2, 30))
    embedder = fast(encoder=DilatedConvolutions).fit(noise(9, 2, 30))
    with pytest.raises(ValueError, match=message):
        embedder.set_params(layers="all").transform(noise(9, 2, 30))


# Several devices

#: Series of one length, five tiles of them.
X = walks(150, 2, 40)


def unequal():
    lengths = np.random.default_rng(2).integers(10, 41, size=len(X))
    return [series[:, :n] for series, n in zip(X, lengths, strict=True)]


@pytest.fixture
def workers(monkeypatch):
    """Threads that computed, and torch's CPU threads in each of them."""
    threads = []
    original = inference._features

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
    calls = []
    original = inference._features

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


# Types


class NoFloat64(TorchFunctionMode):
    """Refuses what MPS refuses: tensors of float64 as results of any function of torch."""

    def __torch_function__(self, function, types, arguments=(), named=None):
        result = function(*arguments, **(named or {}))
        if isinstance(result, torch.Tensor) and result.dtype == torch.float64:
            raise TypeError(f"{function} gives float64")
        return result


@pytest.mark.parametrize("panel", [walks(9), ragged(9)], ids=["equal", "unequal"])
@pytest.mark.parametrize("pooling", ["auto", ("mean", "max", "std"), None])
def test_no_float64_reaches_the_device(panel, pooling):
    embedder = quick(pooling=pooling, encoder=32, device="cpu").fit(walks(9))
    expected = embedder.transform(panel)  # batch norm is folded in float64, on the CPU
    with NoFloat64():
        np.testing.assert_array_equal(embedder.transform(panel), expected)


# Tiles


def test_a_panel_of_no_series_is_refused():
    readout = Readout(FEIEncoder(1, 8).eval())
    panel = Panel(np.empty((0, 1, 9), dtype=np.float32))
    with pytest.raises(ValueError, match="no series to embed"):
        inference.embed(readout, panel, device=torch.device("cpu"))


@pytest.mark.parametrize("length", [2, 15, 16, 17, 20, 21, 63, 64, 65, 1000])
def test_under_a_quarter_of_a_series_is_padding(length):
    (padded,) = inference._padded_length(np.array([length]))
    assert padded >= max(length, 16)
    assert padded < 1.25 * max(length, 16)


CPU = torch.device("cpu")


def test_a_long_series_has_fewer_rows_beside_it():
    lengths = [2, 1000, 4096, 4097, 20_000, 50_000, 400_000]
    assert [inference.rows_per_tile(CPU, n) for n in lengths] == [32, 32, 32, 16, 4, 2, 1]
    for kind in ("cpu", "cuda", "mps", "xpu"):
        for n in lengths:
            n_rows = inference.rows_per_tile(torch.device(kind), n)
            assert n_rows == 1 or n_rows * n <= inference.TILE_ROWS[kind] * 4096


@pytest.mark.parametrize(("channels", "n_rows"), [("independent", 2), ("mix", 32)])
def test_channels_that_are_embedded_one_by_one_share_a_tile(channels, n_rows, monkeypatch):
    monkeypatch.setattr(inference, "MOST_ROWS_TIMEPOINTS", 50)
    embedder = fast(channels=channels).fit(noise(20, 16, 30))
    X = noise(5, 16, 40)
    whole = embedder.transform(X)
    shapes = set()

    def recorded(panel, rows, shape, masked):
        shapes.add(shape)
        return original(panel, rows, shape, masked)

    original = inference._tile
    monkeypatch.setattr(inference, "_tile", recorded)
    np.testing.assert_array_equal(embedder.transform(X[[4, 0]]), whole[[4, 0]])
    assert shapes == {(n_rows, 16, 40)}


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("n_timepoints", [40, 100, 200, 400, 2000])
def test_a_long_row_is_the_same_in_any_company(stride, n_timepoints, monkeypatch):
    monkeypatch.setattr(inference, "MOST_ROWS_TIMEPOINTS", 50)  # 32, 16, 8, 4 and 1 rows
    embedder = fast(stride=stride).fit(noise(20, 2, 30))
    X = noise(12, 2, n_timepoints)
    whole = embedder.transform(X)
    for rows in ([0], [3, 0], [11, 5, 2, 7, 1]):
        np.testing.assert_array_equal(embedder.transform(X[rows]), whole[rows])


def test_rows_of_a_tile_depend_on_its_length_alone(monkeypatch):
    monkeypatch.setattr(inference, "MOST_ROWS_TIMEPOINTS", 50)
    embedder = fast().fit(noise(20, 2, 30))
    long = [noise(2, 190, seed=1), noise(2, 900, seed=2)]
    alone = embedder.transform(long)
    np.testing.assert_array_equal(embedder.transform(long + ragged(40))[:2], alone)


class StrideOfItsOwn(DilatedConvolutions):
    """A user's encoder with an attribute that means something else in FEI's own."""

    stride = 2


@pytest.mark.parametrize(
    ("encoder", "n_rows"),
    [(FEIEncoder(1, 8, 2), 2), (FEIEncoder(1, 8, 1), 32), (StrideOfItsOwn(1), 32)],
    ids=["stride 2", "stride 1", "own"],
)
def test_a_lone_series_has_a_small_tile_where_its_bits_are_the_same(encoder, n_rows):
    panel = Panel(np.zeros((1, 1, 40), dtype=np.float32))
    rows = []
    first_layer = next(module for module in encoder.modules() if isinstance(module, nn.Conv1d))
    first_layer.register_forward_pre_hook(lambda layer, inputs: rows.append(len(inputs[0])))
    inference.embed(Readout(encoder.eval()), panel, device=torch.device("cpu"))
    assert rows == [n_rows]


# A device that the host should not wait for


@pytest.mark.parametrize("ragged", [False, True], ids=["equal", "unequal"])
@pytest.mark.parametrize(
    "params",
    [
        {"pooling": ("mean", "max", "std", "ppv"), "layers": "all", "views": ("level", "shape")},
        {"pooling": ("mean", "ppv"), "layers": "blocks", "views": "change", "channels": "mix"},
        {"pooling": None},
    ],
    ids=["all-stages", "blocks", "steps"],
)
def test_transform_reads_nothing_but_features(params, ragged):
    X = walks()
    if ragged:
        X = [series[:, : 30 - number] for number, series in enumerate(X)]
    embedder = quick(**params, max_epochs=0).fit(X)
    expected = embedder.transform(X)  # folds the encoder on the host, in float64
    with FakeAccelerator(torch.device("cpu")) as accelerator:
        actual = embedder.transform(X)
    assert accelerator.n_calls > 20
    np.testing.assert_array_equal(actual, expected)
