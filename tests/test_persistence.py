"""What is kept and carried: pickles, saved folders, and models to start from."""

from __future__ import annotations

import copy
import json
import os
import pickle
import pickletools
import shutil
import sys
from pathlib import Path
from unittest import mock

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from quick import CONFIGURATIONS, dilated, oscillations, quick, run_python, walks
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from torch import nn

from fei_sklearn import FEIEmbedder
from fei_sklearn._saving import folder as _persistence

CONFIG, WEIGHTS = "config.json", "model.safetensors"


class Scaled(nn.Module):
    """An encoder with a weight that has no dimensions."""

    def __init__(self, n_channels):
        super().__init__()
        self.conv = nn.Conv1d(n_channels, 12, 3)
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, x):
        return self.scale * self.conv(x)


def ragged():
    return [series[:, : 30 - i % 9] for i, series in enumerate(walks())]


def wide_frame():
    return pd.DataFrame(walks()[:, 0], columns=[f"t{i}" for i in range(30)])


#: Fitted embedders of all kinds: parameters, and what they are fitted on and transform.
KINDS = {name: (params, walks) for name, params in CONFIGURATIONS.items()} | {
    "frame": ({}, wide_frame),
    "ragged": ({"channels": "mix", "scaling": "series"}, ragged),
    "own-encoder": ({"encoder": dilated}, walks),
    "scalar-weight": ({"encoder": Scaled, "learning_rate": 0.1}, walks),
    "untrained": ({"max_epochs": 0, "stride": 1, "pretrained": None}, walks),
    "unscaled": ({"scaling": None, "mask_ratio": 0.5, "pooling": ["mean", "std"]}, walks),
}


class Model:
    """A fitted embedder, a panel, and its embeddings."""

    def __init__(self, params, panel):
        self.panel = panel()
        self.embedder = quick(**params).fit(self.panel)
        self.embeddings = self.embedder.transform(self.panel)
        self.encoder = params["encoder"] if callable(params.get("encoder")) else None

    def check(self, copied):
        assert copied is not self.embedder
        np.testing.assert_array_equal(copied.transform(self.panel), self.embeddings)
        assert list(copied.get_feature_names_out()) == list(self.embedder.get_feature_names_out())


@pytest.fixture(scope="module", params=KINDS.values(), ids=KINDS)
def model(request):
    return Model(*request.param)


@pytest.fixture(scope="module")
def plain():
    return Model({}, walks)


@pytest.fixture
def saved(plain, tmp_path):
    plain.embedder.save(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def no_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)


# Pickles


def test_pickle_joblib_and_copies(model, tmp_path):
    joblib.dump(model.embedder, tmp_path / "embedder.joblib")
    model.check(joblib.load(tmp_path / "embedder.joblib"))
    model.check(pickle.loads(pickle.dumps(model.embedder)))
    model.check(copy.deepcopy(model.embedder))
    model.check(copy.copy(model.embedder))


def test_memory_mapped_weights(model, tmp_path):
    joblib.dump(model.embedder, tmp_path / "embedder.joblib")
    mapped = joblib.load(tmp_path / "embedder.joblib", mmap_mode="r")
    assert all(isinstance(array, np.memmap) for array in mapped.weights_.values() if array.size > 1)
    model.check(mapped)
    again = mapped.set_params(warm_start=True).fit(model.panel)  # the map itself is read-only
    assert again.n_iter_ == 2 * model.embedder.n_iter_


def test_skops_trusts_no_type_but_ours(plain):
    skops = pytest.importorskip("skops.io")
    content = skops.dumps(plain.embedder)
    assert skops.get_untrusted_types(data=content) == ["fei_sklearn._embedder.FEIEmbedder"]
    plain.check(skops.loads(content, trusted=["fei_sklearn._embedder.FEIEmbedder"]))


def test_a_pickle_names_no_engine(model):
    strings = [
        argument
        for _, argument, _ in pickletools.genops(pickle.dumps(model.embedder))
        if isinstance(argument, str)
    ]
    assert "weights_" in strings
    assert not [s for s in strings if "torch" in s or "lightning" in s]


@pytest.mark.parametrize("n_samples", [20, 200])
def test_a_pickle_is_as_large_as_the_weights(n_samples):
    embedder = quick(encoder="tiny").fit(walks(n_samples))
    embedder.transform(walks(n_samples))
    weights = sum(array.nbytes for array in embedder.weights_.values())
    assert weights < len(pickle.dumps(embedder)) < 1.05 * weights + 10_000


IN_A_NEW_PROCESS = """
import pickle
import sys
from pathlib import Path

import joblib
import numpy as np

folder = Path(sys.argv[1])
panel = np.load(folder / "panel.npy")


def embeddings(embedder):
    np.testing.assert_array_equal(embedder.transform(panel), np.load(folder / "embeddings.npy"))


embeddings(pickle.loads((folder / "embedder.pickle").read_bytes()))
embeddings(joblib.load(folder / "embedder.joblib", mmap_mode="r"))
from fei_sklearn import FEIEmbedder

loaded = FEIEmbedder.load(folder / "model")
embeddings(loaded)
embeddings(FEIEmbedder.from_pretrained(folder / "model", device="cpu"))
assert "lightning_fabric" not in sys.modules, "only training needs the engine"
embeddings(loaded.fit(panel))
assert not {"lightning", "pytorch_lightning", "sktime", "tensorboard"} & set(sys.modules)
"""


def test_a_new_process_without_cuda(plain, tmp_path):
    np.save(tmp_path / "panel.npy", plain.panel)
    np.save(tmp_path / "embeddings.npy", plain.embeddings)
    (tmp_path / "embedder.pickle").write_bytes(pickle.dumps(plain.embedder))
    joblib.dump(plain.embedder, tmp_path / "embedder.joblib")
    plain.embedder.save(tmp_path / "model")
    assert run_python(IN_A_NEW_PROCESS, tmp_path, CUDA_VISIBLE_DEVICES="") == ""


def test_a_pickle_of_another_device(plain, no_cuda):
    embedder = copy.deepcopy(plain.embedder).set_params(device="cuda")
    copied = pickle.loads(pickle.dumps(embedder))
    with pytest.raises(ValueError, match=r"device='cuda' is not on this machine.*'cpu'"):
        copied.transform(plain.panel)
    plain.check(copied.set_params(device="auto"))


# Saved folders


def test_save_and_load(model, tmp_path):
    model.embedder.save(tmp_path / "deep" / "model")
    loaded = FEIEmbedder.load(tmp_path / "deep" / "model", encoder=model.encoder)
    assert sorted(os.listdir(tmp_path / "deep" / "model")) == [CONFIG, WEIGHTS]
    model.check(loaded)
    fitted, copied = dict(vars(model.embedder)), dict(vars(loaded))
    weights, again = fitted.pop("weights_"), copied.pop("weights_")
    assert list(sorted(weights)) == list(sorted(again))
    for name, array in weights.items():
        np.testing.assert_array_equal(array, again[name], strict=True)
    assert isinstance(copied["pooling"], str | tuple)
    assert tuple(copied.pop("pooling")) == tuple(fitted.pop("pooling"))
    assert fitted.keys() == copied.keys()
    for name, value in fitted.items():
        np.testing.assert_equal(copied[name], value)


def test_a_loaded_model_is_as_good_as_the_saved_one(plain, saved, tmp_path):
    loaded = FEIEmbedder.load(saved)
    loaded.save(tmp_path / "again")
    plain.check(FEIEmbedder.load(tmp_path / "again"))
    plain.check(pickle.loads(pickle.dumps(loaded)))
    plain.check(clone(loaded).fit(plain.panel))
    assert loaded.set_params(warm_start=True).fit(plain.panel).n_iter_ == 4


def test_saving_twice_gives_the_same_bytes(plain, saved, tmp_path):
    plain.embedder.save(tmp_path / "again")
    for name in (CONFIG, WEIGHTS):
        assert (saved / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_columns_are_checked_after_loading(tmp_path):
    frame = wide_frame()
    quick().fit(frame).save(tmp_path)
    loaded = FEIEmbedder.load(tmp_path)
    assert list(loaded.feature_names_in_) == list(frame.columns)
    with pytest.raises(ValueError, match="feature names should match"):
        loaded.transform(frame[frame.columns[::-1]])


def test_a_model_of_a_cuda_machine(plain, no_cuda, tmp_path):
    copy.deepcopy(plain.embedder).set_params(device="cuda").save(tmp_path)
    loaded = FEIEmbedder.load(tmp_path)
    assert loaded.device == "auto"
    plain.check(loaded)
    assert FEIEmbedder.load(tmp_path, device="cpu").device == "cpu"
    plain.check(quick(max_epochs=0, pretrained=tmp_path).fit(plain.panel))


@pytest.mark.parametrize(
    "seed", [None, np.int64(3), np.random.RandomState(0)], ids=["none", "numpy", "state"]
)
def test_any_random_state_is_saved(seed, plain, tmp_path):
    quick(random_state=seed).fit(plain.panel).save(tmp_path)
    assert FEIEmbedder.load(tmp_path).random_state == (3 if seed == 3 else None)


def test_an_encoder_of_the_users_own_has_to_be_given_again(tmp_path):
    model = Model({"encoder": dilated}, walks)
    model.embedder.save(tmp_path)
    with pytest.raises(ValueError, match=r"user's own.*load\(path, encoder=\.\.\.\)"):
        FEIEmbedder.load(tmp_path)
    with pytest.raises(ValueError, match="weights do not fit"):
        FEIEmbedder.load(tmp_path, encoder=lambda n_channels: nn.Conv1d(n_channels, 12, 5))
    model.check(FEIEmbedder.load(tmp_path, encoder=dilated))
    model.check(quick(encoder=dilated, pretrained=tmp_path, max_epochs=0).fit(model.panel))


def test_saving_over_a_model_replaces_it(plain, saved):
    (saved / "README.md").write_text("about this model")
    other = quick(random_state=1).fit(plain.panel)
    other.save(saved)
    embeddings = FEIEmbedder.load(saved).transform(plain.panel)
    np.testing.assert_array_equal(embeddings, other.transform(plain.panel))
    assert (embeddings != plain.embeddings).any()
    assert sorted(os.listdir(saved)) == ["README.md", CONFIG, WEIGHTS]


def test_a_path_that_is_a_file_is_not_written_over(plain, tmp_path):
    (tmp_path / "model").write_text("something else")
    for path in (tmp_path / "model", tmp_path / "model" / "within"):
        with pytest.raises(ValueError, match=r"could not be written.*give a folder"):
            plain.embedder.save(path)
    assert (tmp_path / "model").read_text() == "something else"


@pytest.mark.parametrize("n_written", [0, 1])
def test_a_full_disk_leaves_the_older_model(plain, saved, n_written, monkeypatch):
    write, written = Path.open, []

    def open_until_full(path, mode="r", *args, **kwargs):
        if "w" in mode and len(written) == n_written:
            raise OSError(28, "No space left on device")
        written.extend([path] if "w" in mode else [])
        return write(path, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", open_until_full)
    with pytest.raises(ValueError, match="No space left on device"):
        quick(max_epochs=0).fit(plain.panel).save(saved)
    monkeypatch.undo()
    assert len(written) == n_written
    assert sorted(os.listdir(saved)) == [CONFIG, WEIGHTS]
    plain.check(FEIEmbedder.load(saved))


@pytest.mark.parametrize("blocked", [CONFIG, WEIGHTS])
def test_a_file_that_cannot_be_replaced_leaves_the_older_model(plain, saved, blocked, monkeypatch):
    move, refused = os.replace, []

    def replace(source, target, **kwargs):
        if Path(target).name == blocked and not refused:
            refused.append(target)
            raise PermissionError(13, "Permission denied")
        return move(source, target, **kwargs)

    with monkeypatch.context() as patched, pytest.raises(ValueError, match="Permission denied"):
        patched.setattr(os, "replace", replace)
        quick(random_state=1).fit(plain.panel).save(saved)
    assert sorted(os.listdir(saved)) == [CONFIG, WEIGHTS]
    plain.check(FEIEmbedder.load(saved))


def test_a_failed_save_makes_no_folder(plain, tmp_path, monkeypatch):
    with monkeypatch.context() as patched, pytest.raises(ValueError, match="could not be written"):
        patched.setattr(os, "fsync", mock.Mock(side_effect=OSError(28, "No space left on device")))
        plain.embedder.save(tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_a_mixture_of_two_models_is_refused(plain, saved, tmp_path):
    quick(random_state=1).fit(plain.panel).save(tmp_path / "other")
    shutil.copy(tmp_path / "other" / WEIGHTS, saved / WEIGHTS)
    with pytest.raises(ValueError, match="truncated or was altered"):
        FEIEmbedder.load(saved)


# Folders that are refused


def edit(folder, **changes):
    """Change the configuration; a value is set, a callable changes the entry in place."""
    config = json.loads((folder / CONFIG).read_text())
    for name, change in changes.items():
        if callable(change):
            change(config[name])
        else:
            config[name] = change
    if "sha256" not in changes:  # signed anew, so that the change itself is what is refused
        config["sha256"] = _persistence.digest(config, (folder / WEIGHTS).read_bytes())
    (folder / CONFIG).write_text(json.dumps(config))


def replace_weights(folder, content):
    """Other weights whose checksum is right."""
    (folder / WEIGHTS).write_bytes(content)
    edit(folder)


def truncate(folder):
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[: len(content) // 2])


def flip_a_byte(folder):
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (folder / WEIGHTS).write_bytes(content)


class Armed:
    """Unpickling it leaves a trace."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def armed_pickle(folder):
    return pickle.dumps(Armed(folder / "executed"))


def restride(folder):
    """A change that loads well but gives other embeddings."""
    config = json.loads((folder / CONFIG).read_text())
    config["fitted"]["stride_"] = 1
    (folder / CONFIG).write_text(json.dumps(config))


DAMAGES = {
    "an unsigned change": (restride, "truncated or was altered"),
    "a parameter out of bounds": (
        lambda f: edit(f, params=lambda params: params.update(layers="al")),
        "layers.*'al'",
    ),
    "no folder": (shutil.rmtree, "There is no model in"),
    "an empty folder": (lambda f: [p.unlink() for p in f.iterdir()], "There is no model in"),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), "There is no model in"),
    "no config": (lambda f: (f / CONFIG).unlink(), "There is no model in"),
    "truncated weights": (truncate, "truncated or was altered"),
    "a flipped byte": (flip_a_byte, "truncated or was altered"),
    "no weights at all": (lambda f: (f / WEIGHTS).write_bytes(b""), "truncated or was altered"),
    "a pickle": (lambda f: (f / WEIGHTS).write_bytes(armed_pickle(f)), "truncated or was altered"),
    "a signed pickle": (lambda f: replace_weights(f, armed_pickle(f)), "not a safetensors file"),
    "no checksum": (lambda f: edit(f, sha256=None), "truncated or was altered"),
    "not JSON": (lambda f: (f / CONFIG).write_bytes(b"{"), "damaged or of another library"),
    "not text": (lambda f: (f / CONFIG).write_bytes(b"\xff\x00"), "damaged or of another library"),
    "a pickle as config": (
        lambda f: (f / CONFIG).write_bytes(armed_pickle(f)),
        "damaged or of another library",
    ),
    "a list as config": (lambda f: (f / CONFIG).write_text("[]"), "damaged or of another library"),
    "a foreign config": (
        lambda f: (f / CONFIG).write_text('{"model_type": "bert"}'),
        "damaged or of another library",
    ),
    "another library": (lambda f: edit(f, library="other"), "damaged or of another library"),
    "no format": (lambda f: edit(f, format=None), "damaged or of another library"),
    "a newer format": (lambda f: edit(f, format=99), "format 99.*upgrade"),
    "another class": (
        lambda f: edit(f, **{"class": "FEIClassifier"}),
        "a FEIClassifier, not a FEI",
    ),
    "an endless format": (
        lambda f: edit(f, format=float("inf")),
        "damaged or of another library",
    ),
    "nested without end": (
        lambda f: (f / CONFIG).write_text("[" * 100_000),
        "damaged or of another library",
    ),
    "no parameters": (lambda f: edit(f, params={}), "does not describe a FEIEmbedder"),
    "an unknown parameter": (
        lambda f: edit(f, params=lambda params: params.update(depth=3)),
        "does not describe a FEIEmbedder.*'depth'",
    ),
    "a missing attribute": (
        lambda f: edit(f, fitted=lambda fitted: fitted.pop("n_channels_in_")),
        "does not describe a FEIEmbedder.*'n_channels_in_'",
    ),
    "another width": (
        lambda f: edit(f, fitted=lambda fitted: fitted.update(stage_widths_=[3, 6, 12, 24])),
        "weights do not fit",
    ),
    "other channels": (
        lambda f: edit(f, fitted=lambda fitted: fitted.update(n_channels_in_=5)),
        "weights do not fit",
    ),
    "no channels": (
        lambda f: edit(f, fitted=lambda fitted: fitted.update(n_channels_in_=0)),
        "weights do not fit|does not describe",
    ),
    "no widths": (
        lambda f: edit(f, fitted=lambda fitted: fitted.update(stage_widths_=[])),
        "weights do not fit|does not describe",
    ),
    "an impossible stride": (
        lambda f: edit(f, fitted=lambda fitted: fitted.update(stride_=7)),
        "weights do not fit",
    ),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_folder_is_refused(damage, message, saved):
    damage(saved)
    files = sorted(saved.iterdir()) if saved.exists() else None
    with pytest.raises(ValueError, match=f"(?s){message}") as error:
        FEIEmbedder.load(saved)
    assert type(error.value) is ValueError
    assert "\n" not in str(error.value)
    assert str(error.value).count(". ") <= 1
    assert not (saved / "executed").exists()
    assert files == (sorted(saved.iterdir()) if saved.exists() else None)


def test_a_folder_of_fewer_weights_is_refused(plain, saved):
    from safetensors.numpy import load, save

    weights = load((saved / WEIGHTS).read_bytes())
    weights.pop("encoder.stem.conv.weight")
    replace_weights(saved, save(weights))
    with pytest.raises(ValueError, match="weights do not fit"):
        FEIEmbedder.load(saved)


# Hubs


@pytest.fixture
def hub(monkeypatch):
    """The hub's client with no network behind it; calls have to fit the real signatures."""
    real = pytest.importorskip("huggingface_hub")
    fake = mock.Mock(spec=["snapshot_download", "create_repo", "upload_folder"])
    for name in fake._mock_methods:
        setattr(fake, name, mock.create_autospec(getattr(real, name)))
    monkeypatch.setitem(sys.modules, "huggingface_hub", fake)
    return fake


def test_from_pretrained_takes_a_folder(plain, saved):
    plain.check(FEIEmbedder.from_pretrained(saved))
    plain.check(FEIEmbedder.from_pretrained(str(saved), device="cpu"))


def test_from_pretrained_takes_an_id_of_the_hub(plain, saved, hub):
    hub.snapshot_download.return_value = str(saved)
    plain.check(FEIEmbedder.from_pretrained("owner/name"))
    plain.check(quick(pretrained="owner/name", max_epochs=0).fit(plain.panel))
    call = hub.snapshot_download.call_args
    assert call.args == ("owner/name",)
    assert sorted(call.kwargs["allow_patterns"]) == [CONFIG, WEIGHTS]


def test_a_folder_comes_before_the_hub(plain, tmp_path, hub, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plain.embedder.save("owner/name")
    plain.check(FEIEmbedder.from_pretrained("owner/name"))
    hub.snapshot_download.assert_not_called()


def test_push_to_hub_uploads_what_save_writes(plain, tmp_path, hub):
    def upload(*, folder_path, **kwargs):
        shutil.copytree(folder_path, tmp_path / "uploaded")
        return mock.Mock(repo_url="https://hub.example/owner/name")

    hub.upload_folder.side_effect = upload
    address = plain.embedder.push_to_hub("owner/name", private=True, token="secret")
    assert address == "https://hub.example/owner/name"
    hub.create_repo.assert_called_once_with(
        "owner/name", private=True, exist_ok=True, token="secret"
    )
    call = hub.upload_folder.call_args.kwargs
    assert (call["repo_id"], call["token"]) == ("owner/name", "secret")
    assert not Path(call["folder_path"]).exists()
    assert sorted(os.listdir(tmp_path / "uploaded")) == [CONFIG, WEIGHTS]
    plain.check(FEIEmbedder.load(tmp_path / "uploaded"))


def test_a_hub_that_does_not_answer(hub):
    hub.snapshot_download.side_effect = OSError("no route\nto host")
    with pytest.raises(ValueError, match=r"'owner/name' is neither a folder.*OSError: no route$"):
        FEIEmbedder.from_pretrained("owner/name")


@pytest.mark.parametrize("use", ["from_pretrained", "push_to_hub"])
def test_without_the_hubs_client(use, plain, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError, match=r"pip install 'fei-sklearn\[hub\]'"):
        getattr(plain.embedder, use)("owner/name")


@pytest.mark.parametrize("name", ["no such name", "./no/such", "../name", "/no/such", "~/name"])
def test_an_unknown_name_lists_what_there_is(name, hub):
    with pytest.raises(ValueError, match=r"There is no model.*'owner/name'.*bundled"):
        FEIEmbedder.from_pretrained(name)
    hub.snapshot_download.assert_not_called()


def test_a_bundled_checkpoint_goes_by_its_name(plain, tmp_path, monkeypatch):
    monkeypatch.setattr(_persistence, "BUNDLED", tmp_path)
    plain.embedder.save(tmp_path / "small-walks")
    plain.check(FEIEmbedder.from_pretrained("small-walks"))
    with pytest.raises(ValueError, match=r"bundled checkpoints \['small-walks'\]"):
        FEIEmbedder.from_pretrained("large-walks")


# Models to start from


@pytest.mark.parametrize("params", CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_a_model_is_used_as_it_is(params, tmp_path):
    X, frequency = oscillations()
    y = frequency > 4
    # statistics without biases, which a fit takes from its own panel, see test_readout
    readout = {"pooling": ("mean", "max", "std")} | {k: params[k] for k in params if k == "layers"}
    checkpoint = quick(stride=1, **params | readout).fit(walks())
    checkpoint.save(tmp_path)
    expected = checkpoint.transform(X)
    # what the model decides is the model's, whatever these parameters say
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
    assert loaded.fit(plain.panel).n_iter_ == 0


def test_heads_and_prompts_start_from_the_model_too(plain, saved):
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
