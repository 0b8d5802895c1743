"""partial_fit: pretraining on one chunk of a stream after the other."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from quick import CONFIGURATIONS, dilated, oscillations, quick, walks
from sklearn.base import clone
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from snapshots import nothing_changes

from fei_sklearn import FEIEmbedder


def chunks(k=3, n=20):
    return np.split(walks(k * n), k)


def stream(embedder, parts):
    for X in parts:
        embedder.partial_fit(X)
    return embedder


def assert_same(a, b):
    assert a.weights_.keys() == b.weights_.keys()
    for name, array in a.weights_.items():
        np.testing.assert_array_equal(array, b.weights_[name], err_msg=name)


def kernel(embedder):
    """Name of the encoder's first convolution."""
    names = embedder.weights_
    return next(k for k in names if k.startswith("encoder.") and k.endswith("weight"))


# It learns


def test_a_stream_learns():
    X, frequency = oscillations(288)
    params = {"min_epoch_steps": 10, "channels": "mix", "learning_rate": 3e-3}
    embedder = quick(**params)
    parts = np.split(X[:240], 10)
    stream(embedder, parts)
    losses = [record["train_unexplained"] for record in embedder.history_]
    assert np.mean(losses[-3:]) < 0.8 * np.mean(losses[:3])
    assert [record["epoch"] for record in embedder.history_] == list(range(1, 11))
    assert embedder.n_iter_ == embedder.best_epoch_ == 10
    embeddings = embedder.transform(X)
    probe = make_pipeline(StandardScaler(), RidgeClassifier()).fit(embeddings[:48], frequency[:48])
    assert (
        probe.score(embeddings[240:], frequency[240:]) > 0.9
    )  # on series that were never in a chunk


def test_learning_rate_and_momentum_stay_as_they_are():
    embedder = stream(quick(momentum=0.9, learning_rate=1e-3), chunks())
    assert [record["learning_rate"] for record in embedder.history_] == [1e-3] * 3
    assert [record["momentum"] for record in embedder.history_] == [0.9] * 3


def test_every_series_of_a_chunk_trains_once_and_small_chunks_several_times():
    embedder = quick(channels="mix", batch_size=4, min_epoch_steps=1)
    steps = []
    for X in (walks(20), walks(3)):
        embedder.partial_fit(X)
        steps.append(int(embedder.stream_state_["moments.0.step"]))
    assert steps == [5, 6]
    assert int(quick(min_epoch_steps=7).partial_fit(walks()).stream_state_["moments.0.step"]) == 7


# What is kept from chunk to chunk


def test_optimiser_and_momentum_copies_go_on():
    first = quick().partial_fit(walks())
    assert {name.split(".")[0] for name in first.stream_state_} >= {"moments", "target_encoder"}
    without = pickle.loads(pickle.dumps(first))
    del without.stream_state_
    first.partial_fit(walks(seed=1))
    without.partial_fit(walks(seed=1))
    assert (first.weights_[kernel(first)] != without.weights_[kernel(first)]).any()


@pytest.mark.parametrize(("momentum", "moves"), [(0.5, True), (1.0, False)])
def test_the_momentum_copies_follow_from_chunk_to_chunk(momentum, moves):
    first, second, _ = chunks()
    embedder = quick(momentum=momentum).partial_fit(first)
    name = kernel(embedder)
    before = embedder.stream_state_[f"target_{name}"].copy()
    embedder.partial_fit(second)
    after = embedder.stream_state_[f"target_{name}"]
    assert (after != before).any() == moves
    assert (after != embedder.weights_[name]).any()


@pytest.mark.parametrize("params", [*CONFIGURATIONS.values(), {"encoder": dilated}])
def test_a_stream_goes_on_in_another_process(params):
    here = quick(**params)
    there = quick(**params)
    for X in chunks():
        here.partial_fit(X)
        there = pickle.loads(pickle.dumps(there.partial_fit(X)))
        assert_same(here, there)
    np.testing.assert_array_equal(here.transform(walks()), there.transform(walks()))


def test_the_scaling_is_that_of_the_first_chunk():
    first, *others = chunks()
    embedder = quick().partial_fit(first)
    offset = embedder.offset_.copy()
    scale = embedder.scale_.copy()
    np.testing.assert_allclose(offset, first.mean(axis=(0, 2)))
    stream(embedder, [100 + 7 * X for X in others])
    np.testing.assert_array_equal(embedder.offset_, offset)
    np.testing.assert_array_equal(embedder.scale_, scale)


def test_chunks_of_one_series_and_of_other_lengths():
    embedder = quick()
    for X in (walks(20), walks(1), walks(7, 2, 50), [*walks(3), *walks(2, 2, 9)]):
        embeddings = embedder.partial_fit(X).transform(X)
        assert np.isfinite(embeddings).all()


def test_chunks_are_drawn_differently_and_the_same_stream_gives_the_same():
    X = walks()
    assert_same(stream(quick(), [X, X]), stream(quick(), [X, X]))
    once = quick().partial_fit(X)
    twice = stream(quick(), [X, X])
    losses = [record["train_loss"] for record in twice.history_]
    assert losses[0] == once.history_[0]["train_loss"] != losses[1]


# Before and after


def test_after_fit_the_stream_goes_on_from_its_weights():
    embedder = quick().fit(walks())
    before = embedder.weights_[kernel(embedder)].copy()
    embedder.set_params(learning_rate=1e-12).partial_fit(walks(seed=1))
    np.testing.assert_allclose(embedder.weights_[kernel(embedder)], before, atol=1e-9)
    assert embedder.n_iter_ == 3 and len(embedder.history_) == 3


def test_fit_after_a_stream_begins_anew():
    embedder = stream(quick(), chunks()).fit(walks())
    assert not hasattr(embedder, "stream_state_")
    assert_same(embedder, quick().fit(walks()))


def test_clone_forgets_and_save_keeps_the_weights_alone(tmp_path):
    embedder = stream(quick(), chunks())
    assert not any(hasattr(clone(embedder), name) for name in ("weights_", "stream_state_"))
    embedder.save(tmp_path)
    loaded = FEIEmbedder.load(tmp_path)
    assert_same(loaded, embedder)
    np.testing.assert_array_equal(loaded.transform(walks()), embedder.transform(walks()))
    assert loaded.partial_fit(walks()).n_iter_ == 4


def test_from_a_checkpoint(tmp_path):
    quick().fit(walks()).save(tmp_path)
    embedder = quick(pretrained=tmp_path, learning_rate=1e-12).partial_fit(walks(seed=1))
    fitted = FEIEmbedder.load(tmp_path)
    np.testing.assert_array_equal(embedder.offset_, fitted.offset_)
    name = kernel(fitted)
    np.testing.assert_allclose(embedder.weights_[name], fitted.weights_[name], atol=1e-9)


def test_a_panel_on_disk_is_a_stream(tmp_path):
    np.save(tmp_path / "X.npy", walks(60))
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    embedder = stream(quick(), [X[start : start + 20] for start in range(0, 60, 20)])
    assert_same(embedder, stream(quick(), chunks()))


# Bad input, and scikit-learn's checks


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (walks(n_channels=3), "X has 3 features, but FEIEmbedder is expecting 2"),
        (walks()[:, 0], "X has 2 dimensions.* fitted on 3"),
        (np.full((5, 2, 30), np.inf), "infinity"),
        (np.full((5, 2, 30), 1e30), r"after scaling, too large"),
    ],
)
def test_a_chunk_that_does_not_fit_changes_nothing(X, message):
    embedder = quick().partial_fit(walks())
    with nothing_changes(embedder), pytest.raises(ValueError, match=message):
        embedder.partial_fit(X)


def test_a_rival_with_more_than_weights_is_refused():
    with pytest.raises(ValueError, match="cannot be trained on a stream: use fit"):
        quick(objective="infots").partial_fit(walks())


def test_a_line_a_chunk(capsys):
    stream(quick(verbose=1), chunks(2))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and all("epoch 1/1" in line for line in lines)


@pytest.mark.parametrize(
    "name", ["check_estimators_partial_fit_n_features", "check_n_features_in_after_fitting"]
)
def test_scikit_learn_check(name):
    embedder = quick(encoder=8)
    assert hasattr(embedder, "partial_fit")
    getattr(estimator_checks, name)("FEIEmbedder", embedder)
