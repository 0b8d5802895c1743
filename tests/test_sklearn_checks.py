"""scikit-learn's own checks, which have 2-D panels, and the same checks for 3-D panels."""

from __future__ import annotations

import copy
import pickle
import re
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from quick import CONFIGURATIONS, dilated, quick, walks
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

configurations = pytest.mark.parametrize("params", CONFIGURATIONS.values(), ids=CONFIGURATIONS)

#: Checks that scikit-learn runs on its own transformers and leaves out of `check_estimator`.
FURTHER_CHECKS = [
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    "check_get_feature_names_out_error",
    "check_param_validation",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
    "check_dataframe_column_names_consistency",
    "check_inplace_ensure_writeable",
]


#: The narrowest encoder, because the checks fit a hundred times.
NARROW = {"encoder": 8, "max_epochs": 1}


#: The checks set `n_components` on every estimator that has it, also where it has no effect.
without_effect = pytest.mark.filterwarnings("ignore:n_components=. has no effect:UserWarning")


@without_effect
@parametrize_with_checks(
    [
        quick(**NARROW),
        quick(**NARROW, **CONFIGURATIONS["all-stages"], **CONFIGURATIONS["series-scaling"]),
        quick(**(NARROW | {"max_epochs": 0}), **CONFIGURATIONS["mixed"]),
    ]
)
def test_scikit_learn_check(estimator, check):
    check(estimator)


@without_effect
def test_no_check_is_skipped():
    results = check_estimator(quick(encoder=8, max_epochs=0), on_skip=None, on_fail=None)
    assert {
        result["check_name"]: result["status"] for result in results if not passed(result)
    } == {}
    assert len(results) >= 45


def passed(result):
    return result["status"] == "passed"


# some fit on a frame and transform an array, or the other way round
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names:UserWarning")
@pytest.mark.parametrize("name", FURTHER_CHECKS)
def test_further_check(name):
    getattr(estimator_checks, name)("FEIEmbedder", quick(encoder=8, max_epochs=0))


# The same checks for 3-D panels


@pytest.fixture(scope="module", params=CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def fitted(request):
    """An embedder fitted on `walks()`, not to be changed."""
    return quick(**request.param).fit(walks())


def test_shape_type_and_names(fitted):
    embeddings = fitted.transform(walks())
    names = fitted.get_feature_names_out()
    assert embeddings.dtype == np.float32
    assert embeddings.shape == (20, len(names))
    assert len(set(names)) == len(names)
    numbered = [f"feiembedder{i}" for i in range(len(names))]
    is_front = fitted.architecture_ == "dilated"
    assert is_front or list(names) == numbered
    assert np.isfinite(embeddings).all()
    assert embeddings.std(axis=0).max() > 1e-3


@pytest.mark.parametrize(
    ("params", "n_features"),
    [
        ({"channels": "mix"}, 16),
        ({"channels": "independent"}, 2 * 16),
        ({"channels": "mix", "layers": "all", "pooling": ("mean", "max")}, 2 * (2 + 4 + 8 + 16)),
        ({"layers": "all", "pooling": ("mean", "max", "std")}, 2 * 3 * (2 + 4 + 8 + 16)),
    ],
)
def test_number_of_features(params, n_features):
    assert quick(**params).fit_transform(walks()).shape == (20, n_features)


def test_fit_is_idempotent(fitted):
    again = clone(fitted).fit(walks())
    first = again.transform(walks())
    np.testing.assert_array_equal(first, fitted.transform(walks()))
    np.testing.assert_array_equal(again.fit(walks()).transform(walks()), first)
    np.testing.assert_array_equal(clone(fitted).fit_transform(walks()), first)


def test_a_users_encoder_is_seeded():
    embedder = quick(encoder=dilated)
    first = embedder.fit(walks()).transform(walks())
    torch.rand(1)
    state = torch.get_rng_state()
    np.testing.assert_array_equal(clone(embedder).fit(walks()).transform(walks()), first)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("params", [{"random_state": 1}, {"mask_ratio": 0.2}, {"max_epochs": 1}])
def test_another_parameter_gives_another_fit(params):
    reference = quick().fit(walks()).transform(walks())
    assert (quick(**params).fit(walks()).transform(walks()) != reference).any()


def test_a_second_fit_replaces_the_first(fitted):
    embedder = clone(fitted).fit(walks(seed=1))
    other = embedder.transform(walks())
    assert (other != fitted.transform(walks())).any()
    embedder.fit(walks())
    np.testing.assert_array_equal(embedder.transform(walks()), fitted.transform(walks()))


def test_embedders_do_not_share_what_they_learned():
    embedders = [quick(random_state=seed).fit(walks()) for seed in range(3)]
    embedders += [clone(embedders[0]).fit(walks(seed=1)), copy.copy(embedders[0])]
    first = [embedder.transform(walks()) for embedder in embedders]
    assert len({embeddings.tobytes() for embeddings in first}) == 4
    embedders[-1].fit(walks(seed=2))  # the copy is independent
    for embedder, expected in zip(embedders[:-1], first, strict=False):
        np.testing.assert_array_equal(embedder.transform(walks()), expected)


def test_weights_may_be_replaced():
    embedder, other = (quick(random_state=seed).fit(walks()) for seed in range(2))
    embedder.transform(walks())
    embedder.weights_ = other.weights_
    np.testing.assert_array_equal(embedder.transform(walks()), other.transform(walks()))


@pytest.mark.parametrize("readout", [{"pooling": "max"}, {"layers": "all", "pooling": ["std"]}])
def test_the_readout_may_change_after_fit(readout):
    embedder = quick().fit(walks())
    embedder.transform(walks())
    changed = embedder.set_params(**readout)
    expected = quick(**readout).fit(walks())
    np.testing.assert_array_equal(changed.transform(walks()), expected.transform(walks()))
    assert list(changed.get_feature_names_out()) == list(expected.get_feature_names_out())


def test_a_random_state_instance_moves_on():
    draws = np.random.RandomState(0)
    first, second = (quick(random_state=draws).fit_transform(walks()) for _ in range(2))
    assert (first != second).any()


def test_rows_do_not_depend_on_their_order(fitted):
    order = np.random.default_rng(1).permutation(20)
    expected = fitted.transform(walks())[order]
    np.testing.assert_array_equal(fitted.transform(walks()[order]), expected)


@pytest.mark.parametrize("rows", [slice(0, 1), slice(3, 20), slice(None, None, 7)])
def test_rows_do_not_depend_on_their_neighbours(fitted, rows):
    expected = fitted.transform(walks())[rows]
    np.testing.assert_array_equal(fitted.transform(walks()[rows]), expected)


def test_transform_changes_no_attribute(fitted):
    before = dict(vars(fitted))
    weights = {name: array.copy() for name, array in fitted.weights_.items()}
    fitted.transform(walks())
    assert vars(fitted).keys() == before.keys()
    assert all(vars(fitted)[name] is value for name, value in before.items())
    assert all((fitted.weights_[name] == array).all() for name, array in weights.items())


@configurations
def test_fit_keeps_parameters_and_panel(params):
    embedder = quick(**params)
    X = walks()
    before = embedder.get_params()
    embedder.fit(X)
    assert embedder.get_params().keys() == before.keys()
    assert all(embedder.get_params()[name] is value for name, value in before.items())
    np.testing.assert_array_equal(X, walks())
    added = vars(embedder).keys() - before.keys()
    assert all(name.endswith("_") and not name.startswith("_") for name in added)


def test_what_is_noted_of_the_panel(fitted):
    noted = (fitted.n_features_in_, fitted.n_channels_in_, fitted.n_timepoints_in_)
    assert noted == (2, 2, 30)
    assert fitted.input_ndim_ == 3
    assert not hasattr(fitted, "feature_names_in_")


@pytest.mark.parametrize(("library", "frame"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)])
def test_set_output(fitted, library, frame):
    out = clone(fitted).set_output(transform=library).fit(walks()).transform(walks())
    assert isinstance(out, frame)
    assert list(out.columns) == list(fitted.get_feature_names_out())
    np.testing.assert_array_equal(out.to_numpy(), fitted.transform(walks()))


def test_set_output_keeps_the_index_of_a_wide_frame():
    X = pd.DataFrame(walks()[:, 0], index=[f"series {i}" for i in range(20)])
    out = quick().set_output(transform="pandas").fit_transform(X)
    assert list(out.index) == list(X.index)
    assert set(out.dtypes) == {np.dtype(np.float32)}


def test_pickle(fitted):
    copied = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copied.transform(walks()), fitted.transform(walks()))


def test_clone_drops_the_weights(fitted):
    copied = clone(fitted)
    assert copied.get_params() == fitted.get_params()
    assert not hasattr(copied, "weights_")
    with pytest.raises(NotFittedError):
        copied.transform(walks())


def test_read_only_memory_map(fitted, tmp_path):
    np.save(tmp_path / "panel.npy", walks())
    X = np.load(tmp_path / "panel.npy", mmap_mode="r")
    embeddings = clone(fitted).fit(X).transform(X)
    np.testing.assert_array_equal(embeddings, fitted.transform(walks()))


@pytest.mark.parametrize("container", [np.asfortranarray, np.ndarray.tolist])
def test_containers_are_the_same_panel(fitted, container):
    X = container(walks())
    np.testing.assert_array_equal(clone(fitted).fit_transform(X), fitted.transform(walks()))


@pytest.mark.parametrize(
    "use",
    [
        lambda embedder: embedder.transform(walks()),
        lambda embedder: embedder.get_feature_names_out(),
        lambda embedder: embedder.save(Path("never")),
        lambda embedder: embedder.push_to_hub("owner/never"),
        lambda embedder: embedder.encoder_,
    ],
    ids=["transform", "names", "save", "push_to_hub", "encoder_"],
)
def test_not_fitted(use, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFittedError, match="FEIEmbedder instance is not fitted"):
        use(quick())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("fit_on", "then", "message"),
    [
        ((2, 30), (3, 30), "X has 3 features, but FEIEmbedder is expecting 2 features"),
        ((2, 30), (1, 30), "X has 1 features, but FEIEmbedder is expecting 2 features"),
        ((30,), (29,), "X has 29 features, but FEIEmbedder is expecting 30 features"),
        ((2, 30), (2,), "X has 2 dimensions, (20, 2), but FEIEmbedder was fitted on 3"),
        ((2,), (2, 30), "X has 3 dimensions, (20, 2, 30), but FEIEmbedder was fitted on 2"),
        ((30,), (2, 30), "X has 3 dimensions, (20, 2, 30), but FEIEmbedder was fitted on 2"),
        ((2, 30), (2, 3, 30), "X has 4 dimensions, (20, 2, 3, 30)"),
        ((2, 30), (2, 1), "Found array with 1 feature(s) (shape=(20, 2, 1))"),
    ],
)
def test_another_shape_is_refused(fit_on, then, message):
    generator = np.random.default_rng(0)
    embedder = quick(max_epochs=0).fit(generator.normal(size=(20, *fit_on)))
    with pytest.raises(ValueError, match=re.escape(message)):
        embedder.transform(generator.normal(size=(20, *then)))


def test_other_lengths_are_taken(fitted):
    assert fitted.transform(walks(n_timepoints=57)).shape == fitted.transform(walks()).shape
