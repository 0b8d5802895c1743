"""FEIEmbedder(objective=...): every objective fits, reads out, and survives what FEI's own does."""

from __future__ import annotations

import copy
import functools
import json
import pickle

import numpy as np
import pytest
import torch
from quick import dilated, quick, run_python, walks
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from fei_sklearn import FEIClassifier, FEIEmbedder
from fei_sklearn.objectives import OBJECTIVES, PUBLISHED, RIVALS, objective_class

objectives = pytest.mark.parametrize("name", OBJECTIVES)
rivals = pytest.mark.parametrize("name", RIVALS)


def brief(name: str, **params: object) -> FEIEmbedder:
    """One epoch of a few steps, at the stride at which all methods work on short series."""
    settings = {"max_epochs": 1, "batch_size": 8, "stride": 1, "encoder": 16, "pooling": "mean"}
    return quick(objective=name, **(settings | params))


X = walks(20, 1, 40)


@functools.cache
def fitted(name: str) -> FEIEmbedder:
    """Not to be changed."""
    return brief(name).fit(X)


def test_names() -> None:
    assert len(OBJECTIVES) == 13
    for name in OBJECTIVES:
        assert isinstance(objective_class(name), type)
    assert set(PUBLISHED) == {"fei", *RIVALS}
    for name, params in PUBLISHED.items():
        FEIEmbedder(objective=name, **params)._validate_params()
    with pytest.raises(ValueError, match=r"objective must be one of .*'ts2vec'.*, got 'moco'"):
        objective_class("moco")
    with pytest.raises(ValueError, match="The 'objective' parameter of FEIEmbedder must be a str"):
        quick(objective="moco").fit(walks())


def test_names_are_known_without_torch() -> None:
    code = (
        "import json, sys; from fei_sklearn import FEIEmbedder; from fei_sklearn import objectives;"
        "FEIEmbedder(objective='tfc')._validate_params(); print(json.dumps('torch' in sys.modules))"
    )
    assert json.loads(run_python(code)) is False


@objectives
def test_fit_moves_the_encoder_and_keeps_it_in_arrays(name: str, tmp_path) -> None:
    embedder = fitted(name)
    expected = embedder.transform(X)
    n_features = 16 * objective_class(name).n_backbones
    assert expected.shape == (20, n_features)
    assert np.isfinite(expected).all()
    assert len(embedder.get_feature_names_out()) == n_features
    assert embedder.objective_ == name
    untrained = brief(name, max_epochs=0).fit(X)
    assert not np.allclose(untrained.transform(X), expected, atol=1e-3)

    embedder.save(tmp_path)
    loaded = FEIEmbedder.load(tmp_path)
    # the objective is the model's
    started = quick(pretrained=tmp_path, max_epochs=0, pooling="mean").fit(X)
    for same in (pickle.loads(pickle.dumps(embedder)), loaded, started):
        assert same.objective_ == name
        np.testing.assert_array_equal(same.transform(X), expected)
    np.testing.assert_array_equal(expected[3:5], embedder.transform(X[3:5]))
    assert clone(embedder).objective == name


@rivals
def test_fits_repeat_and_go_on_from_all_weights(name: str) -> None:
    first, again = fitted(name), brief(name).fit(X)
    for key, value in first.weights_.items():
        np.testing.assert_array_equal(again.weights_[key], value, err_msg=key)
    again.set_params(warm_start=True, max_epochs=0).fit(X)
    assert first.weights_.keys() == again.weights_.keys()
    for key, value in first.weights_.items():
        if "running" not in key and "num_batches" not in key:
            np.testing.assert_array_equal(again.weights_[key], value, err_msg=key)
    assert again.set_params(max_epochs=1).fit(X).n_iter_ == 2


def test_the_readout_stays_when_the_parameter_changes() -> None:
    embedder = copy.deepcopy(fitted("tfc")).set_params(objective="fei")
    np.testing.assert_array_equal(embedder.transform(X), fitted("tfc").transform(X))


@pytest.mark.parametrize(
    ("name", "heads"),
    [
        ("ts2vec", set()),
        ("timedrl", {"predictor", "contrast_head"}),
        ("tfc", {"time_projector", "frequency_projector"}),
        ("timesurl", {"head"}),
        ("simmtm", {"projector", "head", "scales"}),
        ("infots", {"logits"}),
    ],
)
def test_weights_hold_the_encoder_the_heads_and_no_series(name: str, heads: set[str]) -> None:
    parts = {key.partition(".")[0] for key in fitted(name).weights_}
    assert parts - {"biases"} == {"encoder"} | heads  # the readout has biases of its own


@rivals
@pytest.mark.parametrize("freeze", [False, True], ids=["finetuned", "frozen"])
def test_fine_tuning_goes_through_the_readout(name: str, freeze: bool) -> None:
    y, embedder = np.resize([0, 1], 20), fitted(name)
    model = FEIClassifier(
        FrozenEstimator(embedder), freeze_encoder=freeze, max_epochs=1, random_state=0
    ).fit(X, y)
    assert model.predict(X).shape == (20,)
    assert model.transform(X).shape == embedder.transform(X).shape
    same = np.array_equal(model.transform(X), embedder.transform(X))
    assert same is freeze
    moved = {
        key.split(".")[1] if name == "tfc" else key.split(".")[0]
        for key, value in model.embedder_.weights_.items()
        if "running" not in key and not np.array_equal(value, embedder.weights_[key])
    }
    parts = {"time", "frequency"} if name == "tfc" else {"encoder"}
    assert moved == (set() if freeze else parts)


@pytest.mark.parametrize("name", ["ts2vec", "tfc", "timesurl", "simmtm"])
def test_series_of_unequal_length(name: str) -> None:
    generator = np.random.default_rng(0)
    X = [generator.normal(size=(2, n)) for n in generator.integers(20, 40, size=20)]
    embedder = brief(name, channels="mix").fit(X)
    expected = embedder.transform(X)
    assert np.isfinite(expected).all()
    np.testing.assert_array_equal(embedder.transform(X[4:5]), expected[4:5])
    np.testing.assert_allclose(embedder.transform(X[4][None]), expected[4:5], atol=1e-4)


@pytest.mark.parametrize("name", ["timedrl", "infots"])
def test_series_of_unequal_length_that_cannot_train_may_be_embedded(name: str) -> None:
    ragged = [series[:, : 40 - i] for i, series in enumerate(X)]
    with pytest.raises(ValueError, match="needs series of one length, got lengths from"):
        brief(name).fit(ragged)
    embedder = fitted(name)
    rows = embedder.transform(ragged)
    np.testing.assert_allclose(rows[5], embedder.transform(ragged[5][None])[0], atol=1e-5)


@rivals
def test_half_precision(name: str) -> None:
    embedder = brief(name, precision="bf16-mixed").fit(X)
    assert all(np.isfinite(value).all() for value in embedder.weights_.values())
    assert {str(value.dtype) for value in embedder.weights_.values()} <= {"float32", "int64"}


def test_infots_survives_a_copy_in_the_middle_of_a_run() -> None:
    """Snapshots for callbacks are deep copies."""
    generator = torch.Generator().manual_seed(0)
    chosen = objective_class("infots")
    objective = chosen(
        fitted("infots").encoder_, width=16, n_channels=1, n_timepoints=40, generator=generator
    )
    x = torch.randn((6, 1, 40), generator=generator)
    for _ in range(3):
        objective.train()(x, generator=generator)
        objective.update_target(1.0)
    copied = copy.deepcopy(objective)
    copied(x, generator=generator)
    copied.update_target(1.0)
    assert not torch.equal(copied.logits, objective.logits)
    assert copied.meta.optimizer.param_groups[0]["params"][0] is copied.logits


@pytest.mark.parametrize("name", ["timedrl", "tfc"])
def test_all_stages(name: str) -> None:
    if name == "timedrl":
        with pytest.raises(ValueError, match="PatchEncoder has none; use layers='last'"):
            brief(name, layers="all").fit(X)
    else:
        rows = brief(name, layers="all", pooling=("mean", "max")).fit(X).transform(X)
        assert rows.shape == (20, 2 * 2 * (2 + 4 + 8 + 16))
        both_blocks = {"layers": "blocks", "pooling": ("mean", "ppv")}
        rows = copy.deepcopy(fitted(name)).set_params(**both_blocks).transform(X)
        assert rows.shape == (20, 2 * 2 * ((1 + 15) * (2 + 4) + (1 + 9) * 8 + (1 + 5) * 16))


@rivals
def test_an_encoder_of_the_users_own(name: str) -> None:
    embedder = brief(name, encoder=dilated)
    if name == "simmtm":
        assert embedder.fit(X).transform(X).shape == (20, 12)
        return
    with pytest.raises(ValueError, match=f"objective='{name}' needs the stages of the package's"):
        embedder.fit(X)


def test_short_series_are_refused_in_a_sentence() -> None:
    with pytest.raises(ValueError, match=r"of at least 64 time points .* got 40: use stride=1"):
        brief("ts2vec", stride=2).fit(X)
    with pytest.raises(ValueError, match="maps of at least 4 steps, got 2: use stride=1"):
        brief("infots", stride=2).fit(X)


def test_the_loop_spares_from_decay_what_asks_for_it() -> None:
    from fei_sklearn.training.engine import parameter_groups

    objective = objective_class("timedrl")(
        fitted("timedrl").encoder_, width=16, n_channels=1, n_timepoints=40
    )
    decayed, spared = parameter_groups(objective)
    assert len(spared["params"]) == 2
    assert spared["weight_decay"] == 0
    trained = [p for p in objective.parameters() if p.requires_grad]
    assert len(decayed["params"]) + 2 == len(trained)


@pytest.mark.parametrize(("similarity", "largest"), [("dot", 1.0), ("cosine", None)])
def test_gradients_are_clipped_where_products_are_raw(similarity: str, largest) -> None:
    from fei_sklearn.data import Panel
    from fei_sklearn.training.loop import TrainingOptions, train

    objective = objective_class("ts2vec")(
        fitted("ts2vec").encoder_,
        width=16,
        n_channels=1,
        n_timepoints=40,
        similarity=similarity,
    )
    norms = []
    follow = objective.update_target

    def update_target(momentum: float) -> None:
        gradients = [p.grad for p in objective.parameters() if p.grad is not None]
        norms.append(torch.linalg.vector_norm(torch.cat([g.flatten() for g in gradients])).item())
        follow(momentum)

    objective.update_target = update_target
    panel = Panel(100 * walks(16, 1, 40).astype(np.float32))
    options = TrainingOptions(1, 1, 8, 1e-3, 0.9, 0.9, None, torch.device("cpu"), "32-true", 0)
    train(objective, panel, options)
    assert len(norms) == 2
    if largest is not None:
        np.testing.assert_allclose(norms, largest, rtol=1e-3)
    else:
        assert all(abs(norm - 1) > 1e-2 for norm in norms)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@objectives
def test_cuda_and_cpu_agree_on_what_cuda_has_fitted(name: str) -> None:
    embedder = brief(name, device="cuda").fit(X)
    on_cuda, on_cpu = embedder.transform(X), embedder.set_params(device="cpu").transform(X)
    np.testing.assert_allclose(on_cuda, on_cpu, rtol=1e-3, atol=1e-3)
