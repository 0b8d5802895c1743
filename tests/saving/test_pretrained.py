"""Models to start from: `pretrained` takes their weights, their scaling and their size."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from fitted_models import KINDS, Model
from quick import CONFIGURATIONS, oscillations, quick, walks
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from fei_sklearn import FEIEmbedder


@pytest.mark.parametrize("params", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_a_model_is_used_as_it_is(params, tmp_path):
    X, frequency = oscillations()
    y = frequency > 4
    # statistics without biases, which a fit takes from its own panel, see test_readout
    readout = {"pooling": ("mean", "max", "std")} | {k: params[k] for k in params if k == "layers"}
    checkpoint = quick(stride=1, **params | readout).fit(walks())
    checkpoint.save(tmp_path)
    expected = checkpoint.transform(X)
    # size, stride and objective are the model's, whatever these parameters are
    start = FEIEmbedder("tiny", pretrained=str(tmp_path), max_epochs=0, random_state=5, **readout)
    model = make_pipeline(start, LogisticRegression())
    np.testing.assert_array_equal(clone(model).fit(X, y)[0].transform(X), expected)
    search = GridSearchCV(model, {"logisticregression__C": [0.1, 1.0]}, cv=2).fit(X, y)
    np.testing.assert_array_equal(search.best_estimator_[0].transform(X), expected)
    assert search.best_estimator_[0].n_iter_ == 0


def test_another_readout_of_a_model(plain, saved):
    start = quick(pretrained=saved, max_epochs=0, pooling=("mean", "max"))
    mean, maximum = start.fit_transform(plain.panel).reshape(20, 2, 2, 16).swapaxes(0, 2)
    np.testing.assert_array_equal(mean.swapaxes(0, 1), plain.embeddings.reshape(20, 2, 16))
    # the maximum is of sums, of which GELU keeps what is positive
    assert (maximum >= mean)[mean > 0].all()


def test_training_starts_from_the_model(plain, saved):
    def stem(embedder):
        return embedder.weights_["encoder.stem.conv.weight"]

    # a step so small that the weights stay where they started
    params = {"max_epochs": 1, "learning_rate": 1e-9, "random_state": 7}
    start = quick(pretrained=saved, **params).fit(plain.panel)
    np.testing.assert_allclose(stem(start), stem(plain.embedder), atol=1e-6)
    assert start.n_iter_ == 1
    assert abs(stem(quick(**params).fit(plain.panel)) - stem(plain.embedder)).max() > 0.1
    moved = quick(pretrained=saved, max_epochs=1).fit(plain.panel)
    assert (stem(moved) != stem(plain.embedder)).any()


@pytest.mark.parametrize("kind", ["own-encoder", "scalar-weight", "unscaled", "ragged"])
def test_each_kind_of_model_is_used_as_it_is(kind, tmp_path):
    params, panel = KINDS[kind]
    model = Model(params, panel)
    model.embedder.save(tmp_path)
    start = quick(**params).set_params(pretrained=tmp_path, max_epochs=0, random_state=1)
    model.check(start.fit(model.panel))


def test_a_model_that_started_from_another_stands_alone(plain, saved, tmp_path):
    start = quick(pretrained=saved, max_epochs=0).fit(plain.panel)
    start.save(tmp_path / "own")
    shutil.rmtree(saved)
    loaded = FEIEmbedder.load(tmp_path / "own")
    plain.check(loaded)
    assert loaded.pretrained is None
    with pytest.warns(UserWarning, match="fit trains new weights in place of those that"):
        assert loaded.fit(plain.panel).n_iter_ == 0
    loaded.fit(plain.panel)  # whose weights are its own by now


def test_fit_of_a_bundled_checkpoint_warns_that_its_weights_go(plain, tmp_path):
    FEIEmbedder.from_pretrained("fei-tiny").save(tmp_path)
    for loaded in (FEIEmbedder.from_pretrained("fei-tiny"), FEIEmbedder.load(tmp_path)):
        loaded.set_params(max_epochs=0)
        with pytest.warns(UserWarning, match="fit trains new weights in place of those that"):
            loaded.fit(plain.panel)


@pytest.mark.parametrize("params", [{"warm_start": True}, {"pretrained": "fei-tiny"}])
def test_a_model_that_is_trained_further_is_no_reason_to_warn(params, plain):
    loaded = FEIEmbedder.from_pretrained("fei-tiny").set_params(**params, max_epochs=0)
    loaded.fit(plain.panel)
    FEIEmbedder.from_pretrained("fei-tiny").partial_fit(plain.panel[:, :1])


def test_the_name_of_a_bundled_checkpoint_is_saved(plain, tmp_path):
    model = quick(pretrained="fei-tiny", max_epochs=0).fit(plain.panel)
    model.save(tmp_path / "own")
    loaded = FEIEmbedder.load(tmp_path / "own")
    assert loaded.pretrained == "fei-tiny"
    again = loaded.fit(plain.panel).transform(plain.panel)
    np.testing.assert_array_equal(again, model.transform(plain.panel))


def test_heads_and_prompts_start_from_the_model(plain, saved):
    start = quick(pretrained=saved, max_epochs=1, learning_rate=1e-9).fit(plain.panel)
    of_the_panel = ("encoder.", "biases.")
    trained = {name for name in plain.embedder.weights_ if not name.startswith(of_the_panel)}
    assert trained
    for name in trained:
        np.testing.assert_allclose(start.weights_[name], plain.embedder.weights_[name], atol=1e-6)


def test_a_model_of_other_channels_is_refused(tmp_path):
    quick(channels="mix").fit(walks()).save(tmp_path)
    embedder = quick(pretrained=tmp_path)
    with pytest.raises(ValueError, match=r"X has 3 channels.*trained on 2.*'independent'"):
        embedder.fit(walks(n_channels=3))
    assert not hasattr(embedder, "weights_")


def test_a_model_of_independent_channels_takes_any_number(tmp_path):
    quick(channels="independent").fit(walks()).save(tmp_path)
    start = quick(pretrained=tmp_path, max_epochs=0).fit(walks(n_channels=3))
    assert start.transform(walks(n_channels=3)).shape == (20, 3 * 16)


def test_a_model_that_is_not_there_leaves_the_embedder(tmp_path):
    embedder = quick().fit(walks())
    before = dict(vars(embedder))
    embedder.set_params(pretrained=tmp_path / "missing")
    with pytest.raises(ValueError, match="There is no model"):
        embedder.fit(walks())
    assert vars(embedder).keys() == before.keys()
    assert all(vars(embedder)[k] is v for k, v in before.items() if k != "pretrained")
