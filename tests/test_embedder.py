"""FEIEmbedder: equal results for equal seeds, failed fits, side effects, parameters."""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import random
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
import torch
from quick import python_path, quick, run_python, walks
from sklearn.exceptions import NotFittedError
from snapshots import nothing_changes, snapshot
from torch import nn
from torch.nn import functional as F

from fei_sklearn import FEIEmbedder
from fei_sklearn.training import loop as training

X = np.random.default_rng(0).normal(size=(20, 2, 24))


class Dropping(nn.Module):
    """An encoder that draws from torch's global random state, when it is made and in training."""

    def __init__(self, n_channels):
        super().__init__()
        self.first = nn.Conv1d(n_channels, 8, 3)
        self.second = nn.Conv1d(8, 8, 3)

    def forward(self, x):
        return self.second(F.dropout(F.gelu(self.first(x)), 0.3, self.training))


OWN = {"ours": {}, "own": {"encoder": Dropping}}
encoders = pytest.mark.parametrize("params", OWN.values(), ids=OWN)


def embeddings(**params):
    return quick(**params).fit_transform(X)


@pytest.fixture(scope="module")
def expected():
    return embeddings()


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def failing_at(step, error, monkeypatch):
    """Make training fail at a step, counted from 1."""
    original = training.Session.train_step
    steps = []

    def train_step(run, *arguments):
        steps.append(run)
        if len(steps) == step:
            raise error
        return original(run, *arguments)

    monkeypatch.setattr(training.Session, "train_step", train_step)


# One seed, one result


@encoders
def test_the_same_seed_gives_the_same_bits_whatever_was_drawn_before(params):
    first = embeddings(**params)
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    np.testing.assert_array_equal(embeddings(**params), first)


@pytest.mark.parametrize("change", [{"n_jobs": 1}, {"verbose": 1}, {"device": "cpu"}], ids=str)
def test_what_does_not_change_the_result(expected, change):
    np.testing.assert_array_equal(embeddings(**change), expected)


def test_a_seed_of_numpys_is_a_seed(expected):
    np.testing.assert_array_equal(embeddings(random_state=np.int64(0)), expected)


def test_other_processes_give_the_same_bits(expected):
    code = (
        "import hashlib, sys, numpy as np, torch\n"
        "from quick import quick\n"
        "torch.manual_seed(int(sys.argv[1])), np.random.seed(int(sys.argv[1]))\n"
        "X = np.random.default_rng(0).normal(size=(20, 2, 24))\n"
        "print(hashlib.sha256(quick(n_jobs=1).fit_transform(X).tobytes()).hexdigest())"
    )
    environment = os.environ | {"PYTHONPATH": python_path()}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, seed],
            env=environment | {"PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in "12"
    ]
    printed = {process.communicate()[0].strip() for process in processes}
    assert printed == {hashlib.sha256(expected.tobytes()).hexdigest()}


def test_other_seeds_give_other_embeddings(expected):
    assert np.abs(embeddings(random_state=1) - expected).max() > 1e-3
    assert np.abs(embeddings(random_state=None) - embeddings(random_state=None)).max() > 1e-3


def test_a_random_state_goes_on_from_fit_to_fit():
    states = [np.random.RandomState(3), np.random.RandomState(3)]
    first, again = ([embeddings(random_state=state) for _ in range(2)] for state in states)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first[0] - first[1]).max() > 1e-3


@encoders
def test_fits_in_threads_give_what_they_give_one_after_the_other(params):
    fits = [{"random_state": seed, "max_epochs": 4, "n_jobs": 1} | params for seed in range(2)]
    before = torch.get_rng_state()
    together = joblib.Parallel(2, prefer="threads")(joblib.delayed(embeddings)(**f) for f in fits)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(together, [embeddings(**f) for f in fits])


# What is left alone


@pytest.mark.parametrize("params", [{"n_jobs": 1}, {"n_jobs": 2}, {"encoder": Dropping}], ids=str)
def test_the_world_is_as_it_was(params, elsewhere, three_threads, capfd):
    quick(max_epochs=1).fit(X[:4])  # a process's first fit imports modules that set variables
    embedder = quick(**params)
    before = snapshot(embedder)
    embedder.fit(X[:4]).transform(X[:4])
    after = snapshot(embedder)
    del before["attributes"], before["their content"]
    assert {name: after[name] for name in before} == before
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("n_jobs", "n_threads"), [(None, 3), (1, 1), (2, 2), (-1, joblib.cpu_count())]
)
def test_the_number_of_threads(n_jobs, n_threads, three_threads):
    seen = []

    class Counting(Dropping):
        def forward(self, x):
            seen.append((self.training, torch.get_num_threads()))
            return super().forward(x)

    embedder = quick(encoder=Counting, n_jobs=n_jobs, max_epochs=1).fit(X[:4])
    in_fit = set(seen)
    seen.clear()
    embedder.transform(X[:4])
    assert {n for _, n in in_fit} == {n for _, n in seen} == {n_threads}
    assert {training for training, _ in in_fit} == {False, True}


@pytest.mark.parametrize("precision", ["32-true", "64-true", "bf16-mixed"])
def test_any_precision_trains_in_silence_and_gives_float32(precision, caplog, capfd):
    embedded = embeddings(precision=precision)
    assert embedded.dtype == np.float32 and np.isfinite(embedded).all()
    assert capfd.readouterr() == ("", "") and caplog.messages == []


def test_transform_changes_no_attribute(expected, elsewhere):
    embedder = quick().fit(X)
    with nothing_changes(embedder):
        np.testing.assert_array_equal(embedder.transform(X), expected)


def test_threads_leave_nothing_behind():
    import lightning_fabric  # noqa: F401 its import adds filters of its own

    panel = walks()
    logger = logging.getLogger("lightning_fabric")
    before = (list(warnings.filters), logger.level, torch.get_default_dtype())

    def fit(seed):
        precision = ("32-true", "bf16-mixed")[seed % 2]
        return quick(random_state=seed // 2, precision=precision).fit(panel).transform(panel)

    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(fit, range(8)))
    assert (list(warnings.filters), logger.level, torch.get_default_dtype()) == before
    for seed, embeddings in enumerate(together):
        np.testing.assert_array_equal(embeddings, fit(seed))


# All or nothing


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("boom"), MemoryError()])
@pytest.mark.parametrize("step", [1, 3])
def test_a_fit_that_fails_leaves_an_unfitted_embedder(
    step, error, monkeypatch, elsewhere, three_threads
):
    failing_at(step, error, monkeypatch)
    embedder = quick(min_epoch_steps=2, n_jobs=1)
    with nothing_changes(embedder), pytest.raises(type(error)):
        embedder.fit(X)
    with pytest.raises(NotFittedError):
        embedder.transform(X)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("boom")])
@pytest.mark.parametrize("change", [{}, {"warm_start": True}, {"encoder": Dropping}], ids=str)
def test_a_fit_that_fails_leaves_the_last_one(expected, error, change, monkeypatch, elsewhere):
    embedder = quick().fit(X).set_params(**change, n_jobs=1)
    failing_at(2, error, monkeypatch)
    with nothing_changes(embedder), pytest.raises(type(error)):
        embedder.fit(X + 1.0)
    embedder.set_params(encoder=16)
    np.testing.assert_array_equal(embedder.transform(X), expected)


@encoders
def test_a_fit_that_fails_may_be_done_again(params, monkeypatch):
    again = quick(**params)
    with monkeypatch.context() as patch:
        failing_at(2, KeyboardInterrupt(), patch)
        with pytest.raises(KeyboardInterrupt):
            again.fit(X)
    np.testing.assert_array_equal(again.fit_transform(X), embeddings(**params))


def missing(n_channels):
    raise OSError("no such weights")


def test_an_error_of_a_users_builder_is_raised(elsewhere):
    embedder = quick(encoder=missing)
    with nothing_changes(embedder), pytest.raises(OSError, match="no such weights"):
        embedder.fit(X)


# Fitting again


def test_a_second_fit_starts_anew(expected):
    embedder = quick(random_state=1)
    embedder.fit(X[:, :1, :10])
    embedder.transform(X[:, :1])
    assert embedder.set_params(random_state=0).fit(X).n_iter_ == 2
    np.testing.assert_array_equal(embedder.transform(X), expected)


def test_warm_start_goes_on():
    embedder = quick(warm_start=True).fit(X)
    first = embedder.weights_
    history = embedder.history_
    embedder.set_params(learning_rate=1e-30, max_epochs=3).fit(X)
    assert embedder.n_iter_ == 5 and embedder.history_[:2] == history
    assert len(embedder.history_) == 5 and 3 <= embedder.best_epoch_ <= 5
    for name, array in first.items():
        if "running" not in name and "tracked" not in name:
            np.testing.assert_allclose(embedder.weights_[name], array, rtol=1e-6, err_msg=name)


def test_warm_start_trains():
    embedder = quick(warm_start=True).fit(X)
    first = embedder.weights_
    kept = {name: array.copy() for name, array in first.items()}
    second = embedder.fit(X).weights_
    assert np.abs(second["encoder.stem.conv.weight"] - first["encoder.stem.conv.weight"]).max() > 0
    for name, array in kept.items():  # somebody may have kept them
        np.testing.assert_array_equal(first[name], array)


@encoders
def test_warm_start_takes_other_lengths(params):
    embedder = quick(warm_start=True, **params).fit(X).fit(X[:, :, :17])
    assert embedder.n_iter_ == 4 and embedder.n_timepoints_in_ == 17


def test_warm_start_refuses_other_channels(elsewhere):
    embedder = quick(warm_start=True, channels="mix").fit(X)
    with nothing_changes(embedder), pytest.raises(ValueError, match=r"1 channels.*on 2.*give"):
        embedder.fit(X[:, :1])


@pytest.mark.parametrize("scaling", ["series", "channel", None])
@pytest.mark.parametrize("n_channels", [1, 3])
def test_warm_start_of_independent_channels_takes_any_number_of_them(scaling, n_channels):
    panel = np.concatenate([X, X], axis=1)[:, :n_channels]
    embedder = quick(warm_start=True, channels="independent", scaling=scaling).fit(X).fit(panel)
    assert embedder.n_iter_ == 4 and embedder.transform(panel).shape == (20, 16 * n_channels)


def test_a_panel_is_calibrated_by_itself_on_request(front, tmp_path):
    embedder, panel = front
    embedder.save(tmp_path)
    other = 3.0 * panel[:12] ** 2
    fixed = FEIEmbedder(pretrained=tmp_path).fit(other)
    own = FEIEmbedder(pretrained=tmp_path, calibration="panel").fit(other)
    for name in ("thresholds.level", "encoder.front.norm.running_var"):
        np.testing.assert_array_equal(fixed.weights_[name], embedder.weights_[name])
        assert not np.array_equal(own.weights_[name], embedder.weights_[name])
    assert "axes.components" in fixed.weights_
    with pytest.raises(ValueError, match="n_components=2, but the model has 0 principal axes"):
        own.set_params(n_components=2).transform(other)
    codes = own.fit_transform(other)
    np.testing.assert_allclose(codes.mean(axis=0), 0.0, atol=1e-3)  # centred on its own panel
    np.testing.assert_allclose(own.offset_, [other.mean()])


def test_a_stream_and_a_warm_start_recalibrate_the_front(front):
    _, panel = front
    stream = quick(encoder="dilated", pooling="auto").partial_fit(panel[:10])
    first = stream.weights_["thresholds.level"]
    stream.partial_fit(panel[10:])
    assert not np.array_equal(stream.weights_["thresholds.level"], first)
    warm = quick(encoder="dilated", pooling="auto", warm_start=True).fit(panel)
    first = warm.weights_["thresholds.level"]
    assert not np.array_equal(warm.fit(panel).weights_["thresholds.level"], first)
    assert warm.transform(panel).shape == (20, 2688)


def test_without_epochs_there_is_an_untrained_calibrated_encoder():
    embedder = quick(max_epochs=0, channels="mix").fit(X)
    assert (embedder.n_iter_, embedder.best_epoch_, embedder.history_) == (0, 0, [])
    assert embedder.encoder_.stem.norm.running_mean.abs().max() > 0
    untrained = embedder.weights_
    trained = quick(channels="mix").fit(X).weights_
    difference = np.abs(untrained["projector.weight"] - trained["projector.weight"]).max()
    assert 0 < difference < 0.01  # two steps away from the same start
    assert np.isfinite(embedder.transform(X)).all()


# Parameters


@pytest.mark.parametrize(
    "params",
    [
        *({"mask_kind": kind} for kind in ("discrete", "continuous", "temporal")),
        *({"mask_ratio": ratio} for ratio in (0, 0.0, 0.5, (0.3, 0.3), [0.2, 0.99])),
        *({"momentum": momentum} for momentum in (0, 0.9, 1)),
        {"n_targets": 3},
        {"stride": 1},
        {"batch_size": 1},
        {"encoder": 8},
        {"scaling": None},
        {"validation_fraction": None},
        {"n_iter_no_change": None},
    ],
    ids=str,
)
def test_what_trains(params):
    embedder = quick(**params).fit(X[:9])
    assert all(np.isfinite(list(record.values())).all() for record in embedder.history_)
    assert np.isfinite(embedder.transform(X)).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("mask_ratio", v) for v in (1.0, -0.1, (0.7, 0.2), (0.0, 1.0), "x", (0.1,), None)),
        *(("encoder", v) for v in (12, 4, 0, -8, 16.0, "huge", None)),
        *(("pooling", v) for v in (("median",), "median", (), 3)),
        *(("device", v) for v in ("cuda:7", "nonsense", "meta", None)),
        *(("n_jobs", v) for v in (0, 1.5, "all")),
        *(("precision", v) for v in ("fp8", None)),
        *(("momentum", v) for v in (-0.1, 1.1)),
        *(("lr_decay", v) for v in (0, 1.5, "linear")),
        *(("validation_fraction", v) for v in (1.0, -0.1)),
        *(("learning_rate", v) for v in (0, -1e-3)),
        *(("batch_size", v) for v in (0, 1.5)),
        *(("max_epochs", v) for v in (-1, 1.5)),
        ("mask_kind", "spatial"),
        ("n_targets", 0),
        ("stride", 3),
        ("channels", "both"),
        ("scaling", "minmax"),
        ("layers", "first"),
        ("min_epoch_steps", 0),
        ("n_iter_no_change", 0),
        ("warm_start", "yes"),
        ("pretrained", 3),
        ("pretrained", "no such model"),
        ("random_state", "seed"),
    ],
)
def test_parameters_out_of_bounds_are_refused_by_name_and_value(name, value, elsewhere):
    embedder = quick(**{name: value})
    with nothing_changes(embedder), pytest.raises((ValueError, TypeError)) as caught:
        embedder.fit(X)
    message = str(caught.value)
    assert repr(value) in message and (name in message or name == "pretrained")


def test_a_saved_model_asks_for_one_device(tmp_path):
    quick().fit(X).set_params(n_devices=2).save(tmp_path)
    assert FEIEmbedder.load(tmp_path).n_devices == 1


@pytest.mark.parametrize("n_devices", [0, 1.5, "all", None])
def test_wrong_numbers_of_devices(n_devices):
    with pytest.raises(ValueError, match="'n_devices' parameter of FEIEmbedder must be"):
        quick(n_devices=n_devices).fit(X)


@pytest.mark.parametrize("name", ["transform", "encoder_", "get_feature_names_out", "save"])
def test_nothing_works_before_fit(name, tmp_path):
    embedder = quick()
    with pytest.raises(NotFittedError):
        method = getattr(embedder, name)
        method(*{"transform": [X], "save": [tmp_path / "model"]}.get(name, []))


# CUDA


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
class TestCuda:
    """Fits and embeddings on a CUDA device."""

    @encoders
    @pytest.mark.parametrize("precision", ["auto", "32-true"])
    def test_cuda_and_cpu_agree_on_what_cuda_has_fitted(self, params, precision):
        embedder = quick(device="cuda", precision=precision, **params).fit(X)
        assert all(isinstance(array, np.ndarray) for array in embedder.weights_.values())
        on_cuda = embedder.transform(X)
        on_cpu = embedder.set_params(device="cpu").transform(X)
        np.testing.assert_allclose(on_cuda, on_cpu, rtol=1e-3, atol=1e-3)

    def test_auto_takes_cuda_and_its_random_state_is_left_alone(self):
        before = torch.cuda.get_rng_state()
        auto, cuda = (embeddings(device=d, encoder=Dropping) for d in ("auto", "cuda"))
        np.testing.assert_allclose(auto, cuda, rtol=1e-3, atol=1e-3)
        assert torch.equal(torch.cuda.get_rng_state(), before)

    def test_unequal_lengths(self):
        series = [x[:, : 5 + i] for i, x in enumerate(X)]
        embedder = quick(device="cuda").fit(series)
        on_cuda, on_cpu = (embedder.set_params(device=d).transform(series) for d in ("cuda", "cpu"))
        np.testing.assert_allclose(on_cuda, on_cpu, rtol=1e-3, atol=1e-3)

    def test_a_pickle_loads_where_there_is_no_cuda(self, tmp_path):
        embedder = quick(device="cuda").fit(X)
        (tmp_path / "embedder.pickle").write_bytes(pickle.dumps(embedder))
        np.save(tmp_path / "X.npy", X)
        code = (
            "import pickle, sys, numpy as np, torch\n"
            "assert not torch.cuda.is_available()\n"
            "embedder = pickle.load(open(sys.argv[1] + '/embedder.pickle', 'rb'))\n"
            "X = np.load(sys.argv[1] + '/X.npy')\n"
            "np.save(sys.argv[1] + '/out.npy', embedder.set_params(device='cpu').transform(X))"
        )
        run_python(code, tmp_path, CUDA_VISIBLE_DEVICES="")
        loaded = np.load(tmp_path / "out.npy")
        np.testing.assert_allclose(loaded, embedder.transform(X), rtol=1e-3, atol=1e-3)


def test_the_width_of_an_encoder_is_bounded():
    with pytest.raises(ValueError, match=r"'encoder' parameter.*2147483648"):
        quick(encoder=2**31).fit(walks())
