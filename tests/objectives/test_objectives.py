"""Names of objectives, and embedders that train each of them."""

from __future__ import annotations

import copy
import functools
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_device import META, FakeAccelerator, meta_step, watched_steps
from quick import dilated, quick, run_python, walks
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from training_runs import options

from fei_sklearn import FEIClassifier, FEIEmbedder
from fei_sklearn.objectives import ABLATIONS, OBJECTIVES, PUBLISHED, RIVALS, objective_class
from fei_sklearn.objectives.base import PretrainingObjective

objectives = pytest.mark.parametrize("name", OBJECTIVES)
rivals = pytest.mark.parametrize("name", RIVALS)
WIDTH = 16
X = walks(20, 1, 40)


def brief(name: str, **params: object) -> FEIEmbedder:
    """Return an embedder of one short epoch, at the stride at which all methods work on X."""
    defaults = {
        "max_epochs": 1,
        "batch_size": 8,
        "stride": 1,
        "encoder": WIDTH,
        "pooling": "mean",
    }
    return quick(objective=name, **(defaults | params))


@functools.cache
def fitted(name: str) -> FEIEmbedder:
    """Return an embedder fitted on X, which no test may change."""
    return brief(name).fit(X)


# Names


def test_names_lead_to_classes() -> None:
    assert len(OBJECTIVES) == 13
    assert {"fei", *ABLATIONS, *RIVALS} == set(OBJECTIVES)
    for name in OBJECTIVES:
        assert issubclass(objective_class(name), PretrainingObjective)


def test_published_settings_are_valid_parameters() -> None:
    assert set(PUBLISHED) == {"fei", *RIVALS}
    for name, params in PUBLISHED.items():
        FEIEmbedder(objective=name, **params)._validate_params()


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match=r"objective must be one of .*'ts2vec'.*, got 'moco'"):
        objective_class("moco")
    with pytest.raises(ValueError, match="The 'objective' parameter of FEIEmbedder must be a str"):
        quick(objective="moco").fit(walks())


def test_names_are_known_without_torch() -> None:
    code = """
import json, sys
from fei_sklearn import FEIEmbedder, objectives
FEIEmbedder(objective="tfc")._validate_params()
print(json.dumps("torch" in sys.modules))
"""
    assert json.loads(run_python(code)) is False


# Fits


@objectives
def test_fit_moves_the_encoder(name: str) -> None:
    embedder = fitted(name)
    rows = embedder.transform(X)
    n_features = WIDTH * objective_class(name).n_backbones
    assert rows.shape == (20, n_features)
    assert np.isfinite(rows).all()
    assert len(embedder.get_feature_names_out()) == n_features
    assert embedder.objective_ == name
    assert clone(embedder).objective == name
    untrained = brief(name, max_epochs=0).fit(X)
    assert not np.allclose(untrained.transform(X), rows, atol=1e-3)


@objectives
def test_saved_models_transform_alike(name: str, tmp_path: Path) -> None:
    embedder = fitted(name)
    expected = embedder.transform(X)
    embedder.save(tmp_path)
    unpickled = pickle.loads(pickle.dumps(embedder))
    loaded = FEIEmbedder.load(tmp_path)
    started = quick(pretrained=tmp_path, max_epochs=0, pooling="mean").fit(X)
    for same in (unpickled, loaded, started):
        assert same.objective_ == name  # the objective belongs to the model
        np.testing.assert_array_equal(same.transform(X), expected)
    np.testing.assert_array_equal(embedder.transform(X[3:5]), expected[3:5])


def assert_same_weights(first: FEIEmbedder, other: FEIEmbedder) -> None:
    for name, value in first.weights_.items():
        np.testing.assert_array_equal(other.weights_[name], value, err_msg=name)


@rivals
def test_fits_repeat_and_go_on_from_all_weights(name: str) -> None:
    first = fitted(name)
    again = brief(name).fit(X)
    assert_same_weights(first, again)
    again.set_params(warm_start=True, max_epochs=0).fit(X)
    assert first.weights_.keys() == again.weights_.keys()
    for key, value in first.weights_.items():
        if "running" not in key and "num_batches" not in key:
            np.testing.assert_array_equal(again.weights_[key], value, err_msg=key)
    assert again.set_params(max_epochs=1).fit(X).n_iter_ == 2


def test_the_readout_stays_when_the_parameter_changes() -> None:
    embedder = copy.deepcopy(fitted("tfc")).set_params(objective="fei")
    expected = fitted("tfc").transform(X)
    np.testing.assert_array_equal(embedder.transform(X), expected)


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
    modules = {key.partition(".")[0] for key in fitted(name).weights_}
    assert modules - {"biases"} == {"encoder"} | heads  # the readout has biases of its own


@rivals
@pytest.mark.parametrize("freeze", [False, True], ids=["finetuned", "frozen"])
def test_fine_tuning_goes_through_the_readout(name: str, freeze: bool) -> None:
    y = np.resize([0, 1], 20)
    embedder = fitted(name)
    rows = embedder.transform(X)
    model = FEIClassifier(
        FrozenEstimator(embedder),
        freeze_encoder=freeze,
        max_epochs=1,
        random_state=0,
    )
    model.fit(X, y)
    assert model.predict(X).shape == (20,)
    tuned_rows = model.transform(X)
    assert tuned_rows.shape == rows.shape
    assert np.array_equal(tuned_rows, rows) is freeze

    moved = set()
    for key, value in model.embedder_.weights_.items():
        if "running" not in key and not np.array_equal(value, embedder.weights_[key]):
            modules = key.split(".")
            moved.add(modules[1] if name == "tfc" else modules[0])
    if freeze:
        assert moved == set()
    elif name == "tfc":
        assert moved == {"time", "frequency"}
    else:
        assert moved == {"encoder"}


@pytest.mark.parametrize("name", ["ts2vec", "tfc", "timesurl", "simmtm"])
def test_series_of_unequal_length(name: str) -> None:
    generator = np.random.default_rng(0)
    lengths = generator.integers(20, 40, size=20)
    series = [generator.normal(size=(2, n)) for n in lengths]
    embedder = brief(name, channels="mix").fit(series)
    expected = embedder.transform(series)
    assert np.isfinite(expected).all()
    np.testing.assert_array_equal(embedder.transform(series[4:5]), expected[4:5])
    alone = embedder.transform(series[4][None])
    np.testing.assert_allclose(alone, expected[4:5], atol=1e-4)


@pytest.mark.parametrize("name", ["timedrl", "infots"])
def test_series_of_unequal_length_that_cannot_train_may_be_embedded(name: str) -> None:
    ragged = [series[:, : 40 - i] for i, series in enumerate(X)]
    with pytest.raises(ValueError, match="needs series of one length, got lengths from"):
        brief(name).fit(ragged)
    embedder = fitted(name)
    rows = embedder.transform(ragged)
    alone = embedder.transform(ragged[5][None])
    np.testing.assert_allclose(rows[5], alone[0], atol=1e-5)


@rivals
def test_half_precision(name: str) -> None:
    embedder = brief(name, precision="bf16-mixed").fit(X)
    for value in embedder.weights_.values():
        assert np.isfinite(value).all()
        assert str(value.dtype) in ("float32", "int64")


# Encoders and lengths


def test_all_stages_need_maps_of_all_stages() -> None:
    with pytest.raises(ValueError, match="PatchEncoder has none; use layers='last'"):
        brief("timedrl", layers="all").fit(X)


def test_all_stages_of_both_encoders() -> None:
    embedder = brief("tfc", layers="all", pooling=("mean", "max")).fit(X)
    n_stage_features = 2 + 4 + 8 + 16
    assert embedder.transform(X).shape == (20, 2 * 2 * n_stage_features)


def test_all_blocks_of_both_encoders() -> None:
    embedder = copy.deepcopy(fitted("tfc"))
    embedder.set_params(layers="blocks", pooling=("mean", "ppv"))
    # a mean, and proportions of positive values for 15, 9 or 5 biases
    n_block_features = (1 + 15) * (2 + 4) + (1 + 9) * 8 + (1 + 5) * 16
    assert embedder.transform(X).shape == (20, 2 * 2 * n_block_features)


def test_simmtm_trains_an_encoder_of_the_users_own() -> None:
    embedder = brief("simmtm", encoder=dilated).fit(X)
    assert embedder.transform(X).shape == (20, 12)


@pytest.mark.parametrize("name", [name for name in RIVALS if name != "simmtm"])
def test_an_encoder_of_the_users_own_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"objective='{name}' needs the stages of the paper's"):
        brief(name, encoder=dilated).fit(X)


def test_short_series_are_refused() -> None:
    with pytest.raises(ValueError, match=r"of at least 64 time points .* got 40: use stride=1"):
        brief("ts2vec", stride=2).fit(X)
    with pytest.raises(ValueError, match="maps of at least 4 steps, got 2: use stride=1"):
        brief("infots", stride=2).fit(X)


# The training loop


def objective_of(name: str, **options: object) -> PretrainingObjective:
    """Return an objective on a fitted encoder."""
    return objective_class(name)(
        copy.deepcopy(fitted(name).encoder_),
        width=WIDTH,
        n_channels=1,
        n_timepoints=40,
        **options,
    )


def test_the_loop_decays_all_but_the_undecayed_parameters() -> None:
    from fei_sklearn.training.engine import parameter_groups

    objective = objective_of("timedrl")
    decayed, undecayed = parameter_groups(objective)
    assert len(undecayed["params"]) == 2
    assert undecayed["weight_decay"] == 0
    trained = [parameter for parameter in objective.parameters() if parameter.requires_grad]
    assert len(decayed["params"]) + 2 == len(trained)


def gradient_norms(objective: PretrainingObjective) -> list[float]:
    """Return the norm of all gradients at each step of an epoch of two steps."""
    from fei_sklearn.data import Panel
    from fei_sklearn.training.loop import TrainingOptions, train

    norms = []
    original = objective.update_target

    def update_target(momentum: float) -> None:
        gradients = [p.grad.flatten() for p in objective.parameters() if p.grad is not None]
        norm = torch.linalg.vector_norm(torch.cat(gradients))
        norms.append(norm.item())
        original(momentum)

    objective.update_target = update_target
    panel = Panel(100 * walks(16, 1, 40).astype(np.float32))
    options = TrainingOptions(1, 1, 8, 1e-3, 0.9, 0.9, None, torch.device("cpu"), "32-true", 0)
    train(objective, panel, options)
    return norms


def test_gradients_of_raw_products_are_clipped() -> None:
    norms = gradient_norms(objective_of("ts2vec", similarity="dot"))
    assert len(norms) == 2
    np.testing.assert_allclose(norms, 1.0, rtol=1e-3)


def test_gradients_of_cosines_are_not_clipped() -> None:
    norms = gradient_norms(objective_of("ts2vec", similarity="cosine"))
    assert len(norms) == 2
    for norm in norms:
        assert abs(norm - 1) > 1e-2


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@objectives
def test_a_model_fitted_on_cuda_transforms_alike_on_the_cpu(name: str) -> None:
    embedder = brief(name, device="cuda").fit(X)
    on_cuda = embedder.transform(X)
    on_cpu = embedder.set_params(device="cpu").transform(X)
    np.testing.assert_allclose(on_cuda, on_cpu, rtol=1e-3, atol=1e-3)


# Devices

#: Methods whose steps read a value: the bounds of two crops, or whether a batch is augmented.
READING = {"ts2vec", "timesurl", "infots"}
#: Methods that train on series of one length, or read the lengths of others.
ONE_LENGTH = {"timedrl", "infots", "tfc"}
RAGGED = [series[:, : 40 - number] for number, series in enumerate(X)]
waiting_free = pytest.mark.parametrize("name", [n for n in OBJECTIVES if n not in READING])


def on_meta(*shape: int) -> torch.Tensor:
    return torch.empty(shape, device=META)


def untrained(name: str, **options: object) -> PretrainingObjective:
    """Return an objective for series of 40 time points, with new weights."""
    from fei_sklearn.encoder.resnet import FEIEncoder

    kind = objective_class(name)

    def build(n_channels: int, stride: int = 1) -> FEIEncoder:
        return FEIEncoder(n_channels, WIDTH, stride)

    encoder = kind.build_encoder(build, 1, 40, None)
    if "n_channels" in kind.options:
        options["n_channels"] = 1
    return kind(encoder, width=WIDTH * kind.n_backbones, n_timepoints=40, **options)


@objectives
def test_pretraining_needs_no_float64(name: str) -> None:
    with FakeAccelerator(torch.device("cpu"), reads_allowed=True):
        embedder = brief(name).fit(X)
    assert_same_weights(embedder, fitted(name))


@waiting_free
def test_steps_read_no_value(name: str) -> None:
    with watched_steps() as n_calls:
        embedder = brief(name).fit(X)
    assert len(n_calls) == 3 and min(n_calls) > 100
    assert_same_weights(embedder, fitted(name))


@pytest.mark.parametrize("name", [n for n in OBJECTIVES if n not in READING | ONE_LENGTH])
def test_steps_on_series_of_unequal_length_read_no_value(name: str) -> None:
    with watched_steps() as n_calls:
        brief(name).fit(RAGGED)
    assert len(n_calls) == 3


@pytest.mark.parametrize("mask_kind", ["discrete", "continuous", "temporal"])
def test_masks_of_unequal_length_read_no_value(mask_kind: str) -> None:
    with watched_steps():
        brief("fei", mask_kind=mask_kind, n_targets=2).fit(RAGGED)
    lengths = torch.arange(40, 32, -1, device=META)
    objective = untrained("fei", mask_kind=mask_kind, n_targets=2)
    losses = meta_step(objective, options(device=META), on_meta(8, 1, 40), lengths)
    assert losses.loss.device == META


@waiting_free
def test_a_step_keeps_host_and_device_apart(name: str) -> None:
    losses = meta_step(untrained(name), options(device=META), on_meta(8, 1, 40), None)
    for loss in losses:
        assert loss.device == META
        assert loss.shape == ()
    if name in ONE_LENGTH:
        return
    lengths = torch.arange(40, 32, -1, device=META)
    losses = meta_step(untrained(name), options(device=META), on_meta(8, 1, 40), lengths)
    assert losses.loss.device == META


def test_a_step_on_shorter_series_keeps_host_and_device_apart() -> None:
    losses = meta_step(untrained("fei"), options(device=META), on_meta(8, 1, 30), None)
    assert losses.loss.device == META


@pytest.mark.parametrize("name", sorted(READING))
def test_the_exceptions_are_still_exceptions(name: str) -> None:
    with pytest.raises((AssertionError, NotImplementedError), match=r"reads from|copy out of meta"):
        meta_step(untrained(name), options(device=META), on_meta(8, 1, 40), None)
