"""States on disk: a run that is killed is resumed, and ends as if nothing had happened."""

from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from quick import dilated, quick, run_python, walks
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from fei_sklearn._fitting.callbacks import EpochCallbacks
from fei_sklearn.training import checkpointing
from fei_sklearn.training.checkpointing import (
    PREVIOUS,
    STATE,
    RunFolder,
    RunState,
)
from fei_sklearn.training.loop import Session

X = walks(21, 1, 24)

#: An epoch of these runs has 4 steps, or 6 without validation.
FIT = {
    "max_epochs": 3,
    "min_epoch_steps": 4,
    "batch_size": 8,
    "validation_fraction": 0.2,
}
N_STEPS = 3 * 4
N_STEPS_WITHOUT_VALIDATION = 3 * 6


class Killed(BaseException):
    """The end of the process."""


@pytest.fixture(scope="module")
def uninterrupted():
    """Return a fit that was never interrupted."""
    return quick(**FIT).fit(X)


def write_after_every_step(patch):
    patch.setattr(checkpointing, "EVERY_SECONDS", 0.0)
    patch.setattr(checkpointing, "LARGEST_SHARE", 1e9)


def record_calls(patch, name="train_step", last=None):
    """Record the calls of a method of the run, and end the process in the last, from 1."""
    method = getattr(Session, name)
    calls = []

    def recorded(*arguments):
        calls.append(arguments)
        if len(calls) == last:
            raise Killed
        return method(*arguments)

    patch.setattr(Session, name, recorded)
    return calls


def fit_until_killed(embedder, patch, last, name="train_step"):
    """Fit, with a state of each step on disk, until a call of a method of the run."""
    with patch.context() as patched:
        write_after_every_step(patched)
        record_calls(patched, name, last)
        with pytest.raises(Killed):
            embedder.fit(X)


def assert_same_fit(embedder, other):
    assert embedder.weights_.keys() == other.weights_.keys()
    for name, array in embedder.weights_.items():
        np.testing.assert_array_equal(array, other.weights_[name], err_msg=name)
    assert without_times(embedder.history_) == without_times(other.history_)
    assert embedder.best_epoch_ == other.best_epoch_


def without_times(history):
    return [record | {"seconds": 0.0} for record in history]


def state_names(directory):
    return sorted(path.name for path in directory.glob("*/*"))


# Killed and resumed

#: A process with all imports done forks children, and kills them at random moments.
KILLS = """
import json, os, random, signal, sys, time, zlib
from pathlib import Path

import lightning_fabric  # so that no child has to import it

from fei_sklearn import FEIEmbedder
from fei_sklearn.training import checkpointing
from quick import walks

checkpointing.EVERY_SECONDS = 0.0
checkpointing.LARGEST_SHARE = 1e9
X = walks(21, 1, 24)
FIT = {"max_epochs": 4, "min_epoch_steps": 4, "batch_size": 8, "n_iter_no_change": None}
folder = Path(sys.argv[1])


def child(name, **params):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        embedder = FEIEmbedder(16, random_state=0, **FIT, **params).fit(X)
        arrays = [array for _, array in sorted(embedder.weights_.items())]
        blob = b"".join(array.tobytes() for array in arrays)
        (folder / name).write_text(f"{zlib.crc32(blob)} {len(blob)}")
        os._exit(0)
    return pid


os.waitpid(child("alone"), 0)
n_kills = 0
for attempt in range(5):
    pid = child("killed", checkpoint_dir=folder)
    time.sleep(random.Random(attempt).uniform(0.05, 0.5))
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if os.WIFEXITED(status):
        break
    n_kills += 1
else:
    os.waitpid(child("killed", checkpoint_dir=folder), 0)
weights = [(folder / name).read_text() for name in ("alone", "killed")]
print(json.dumps([*weights, n_kills]))
"""


def test_killed_at_random_moments_the_weights_are_those_of_an_uninterrupted_run(tmp_path):
    printed = run_python(KILLS, tmp_path, OMP_NUM_THREADS="1")
    alone, killed, n_kills = json.loads(printed)
    assert n_kills >= 1
    assert killed == alone


@pytest.mark.parametrize("step", [2, 4, 5, 12])
def test_a_resumed_run_takes_only_the_steps_that_are_left(
    step, uninterrupted, tmp_path, monkeypatch
):
    embedder = quick(**FIT, checkpoint_dir=tmp_path)
    fit_until_killed(embedder, monkeypatch, step)
    steps = record_calls(monkeypatch)
    assert_same_fit(embedder.fit(X), uninterrupted)
    assert len(steps) == N_STEPS - (step - 1)


@pytest.mark.parametrize("step", [2, 4, 5, 12])
def test_a_run_without_validation_is_resumed(step, tmp_path, monkeypatch):
    params = {**FIT, "validation_fraction": None}
    expected = quick(**params).fit(X)
    embedder = quick(**params, checkpoint_dir=tmp_path)
    fit_until_killed(embedder, monkeypatch, step)
    steps = record_calls(monkeypatch)
    assert_same_fit(embedder.fit(X), expected)
    assert len(steps) == N_STEPS_WITHOUT_VALIDATION - (step - 1)


def test_killed_in_validation(uninterrupted, tmp_path, monkeypatch):
    embedder = quick(**FIT, checkpoint_dir=tmp_path)
    fit_until_killed(embedder, monkeypatch, 2, name="validate")
    steps = record_calls(monkeypatch)
    assert_same_fit(embedder.fit(X), uninterrupted)
    assert len(steps) == 4  # of the third epoch


def with_dropout(n_channels):
    return nn.Sequential(dilated(n_channels), nn.Dropout(0.5))


def test_the_global_generator_of_a_users_module_is_resumed(tmp_path, monkeypatch):
    params = {**FIT, "encoder": with_dropout}
    expected = quick(**params).fit(X)
    embedder = quick(**params, checkpoint_dir=tmp_path)
    fit_until_killed(embedder, monkeypatch, 5)
    before = torch.get_rng_state()
    assert_same_fit(embedder.fit(X), expected)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("objective", "precision"),
    [
        ("fei", "64-true"),
        ("fei", "bf16-mixed"),
        ("ts2vec", "32-true"),
        ("simmtm", "32-true"),
    ],
)
def test_every_objective_and_precision_is_resumed(objective, precision, tmp_path, monkeypatch):
    params = {
        **FIT,
        "objective": objective,
        "precision": precision,
        "max_epochs": 2,
        "stride": 1,
    }
    expected = quick(**params).fit(X)
    embedder = quick(**params, checkpoint_dir=tmp_path)
    fit_until_killed(embedder, monkeypatch, 3)
    assert_same_fit(embedder.fit(X), expected)


def test_an_objective_with_more_than_its_weights_is_refused(tmp_path):
    embedder = quick(objective="infots", stride=1, checkpoint_dir=tmp_path)
    with pytest.raises(ValueError, match=r"InfoTSObjective.*checkpoint_dir=None"):
        embedder.fit(X)


def test_a_finished_run_is_not_trained_again(tmp_path, monkeypatch):
    first = quick(**FIT, checkpoint_dir=tmp_path).fit(X)
    steps = record_calls(monkeypatch)
    again = quick(**FIT, checkpoint_dir=tmp_path).fit(X)
    assert_same_fit(again, first)
    assert first.history_ == again.history_
    assert steps == []
    assert state_names(tmp_path) == [STATE]  # the outcome alone is left


@pytest.mark.parametrize("fraction", [0.2, None], ids=["validation", "none"])
def test_a_run_that_a_watcher_stopped_goes_on_from_there(fraction, tmp_path, monkeypatch):
    params = {**FIT, "validation_fraction": fraction}
    expected = quick(**params).fit(X)
    embedder = quick(**params, checkpoint_dir=tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(EpochCallbacks, "end_epoch", lambda watcher, record: True)
        stopped = embedder.fit(X)
    assert stopped.n_iter_ == 1
    steps = record_calls(monkeypatch)
    assert_same_fit(quick(**params, checkpoint_dir=tmp_path).fit(X), expected)
    assert len(steps) == (N_STEPS if fraction else N_STEPS_WITHOUT_VALIDATION) * 2 // 3


def test_a_run_that_is_stopped_twice_in_an_epoch_has_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(EpochCallbacks, "end_epoch", lambda watcher, record: True)
    first = quick(**FIT, checkpoint_dir=tmp_path).fit(X)
    steps = record_calls(monkeypatch)
    assert_same_fit(quick(**FIT, checkpoint_dir=tmp_path).fit(X), first)
    assert steps == []


def test_every_epoch_is_printed_after_resuming(tmp_path, monkeypatch, capsys):
    embedder = quick(**FIT, checkpoint_dir=tmp_path)
    fit_until_killed(embedder, monkeypatch, 10)
    embedder.set_params(verbose=1).fit(X)
    lines = capsys.readouterr().out.splitlines()
    epochs = [line.split()[2] for line in lines]
    assert epochs == ["1/3", "2/3", "3/3"]


# Runs do not mix


@pytest.mark.parametrize(
    "change",
    [
        {"learning_rate": 0.02},
        {"max_epochs": 4},
        {"mask_ratio": 0.5},
        {"n_targets": 2},
        {"momentum": 0.9},
        {"encoder": 24},
        {"random_state": 1},
        {"precision": "bf16-mixed"},
        {"objective": "fei-no-detach"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_run_has_a_folder_of_its_own(change, tmp_path):
    quick(checkpoint_dir=tmp_path).fit(X)
    other = quick(**change, checkpoint_dir=tmp_path).fit(X)
    assert len(list(tmp_path.iterdir())) == 2
    assert_same_fit(other, quick(**change).fit(X))


@pytest.mark.parametrize("change", ["value", "row", "order"])
def test_other_data_have_a_folder_of_their_own(change, tmp_path):
    other = {"value": X.copy(), "row": X[:-1], "order": X[::-1]}[change]
    if change == "value":
        other[3, 0, 3] += 1e-3
    quick(checkpoint_dir=tmp_path).fit(X)
    embedder = quick(checkpoint_dir=tmp_path).fit(other)
    assert_same_fit(embedder, quick().fit(other))
    assert len(list(tmp_path.iterdir())) == 2


def test_parameters_that_do_not_change_the_outcome_share_a_folder(tmp_path):
    quick(checkpoint_dir=tmp_path).fit(X)
    quick(checkpoint_dir=str(tmp_path), n_jobs=1, pooling="max").fit(X)
    assert len(list(tmp_path.iterdir())) == 1


class Edited(nn.Module):
    """User's encoder whose code may change while its name and its weights stay."""

    edit = staticmethod(lambda features: features)

    def __init__(self, n_channels):
        super().__init__()
        self.convolution = nn.Conv1d(n_channels, 8, 3, padding=1)

    def forward(self, x):
        return self.edit(self.convolution(x))


@pytest.mark.parametrize(
    "edit",
    [torch.relu, torch.detach, lambda features: 1.01 * features],
    ids=["output", "gradient", "scale"],
)
def test_an_encoder_whose_code_was_edited_has_a_folder_of_its_own(edit, tmp_path, monkeypatch):
    quick(encoder=Edited, checkpoint_dir=tmp_path).fit(X)
    monkeypatch.setattr(Edited, "edit", staticmethod(edit))
    embedder = quick(encoder=Edited, checkpoint_dir=tmp_path).fit(X)
    assert_same_fit(embedder, quick(encoder=Edited).fit(X))
    assert len(list(tmp_path.iterdir())) == 2


def test_a_search_has_the_same_scores_with_checkpoints_and_again(tmp_path):
    y = np.arange(len(X)) % 2

    def scores(**params):
        tree = DecisionTreeClassifier(random_state=0)
        pipeline = make_pipeline(quick(**params), tree)
        grid = {"feiembedder__learning_rate": [0.01, 0.1]}
        search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
        return search.cv_results_["mean_test_score"].tolist()

    expected = scores()
    assert scores(checkpoint_dir=tmp_path) == expected
    assert scores(checkpoint_dir=tmp_path) == expected
    n_fits = 2 * 2 + 1  # each of two folds twice, and the refit
    assert len(list(tmp_path.iterdir())) == n_fits


def test_without_a_random_state_no_run_can_be_resumed(tmp_path):
    embedder = quick(checkpoint_dir=tmp_path, random_state=None)
    message = r"checkpoint_dir=.*needs a random_state, got None"
    with pytest.raises(ValueError, match=message):
        embedder.fit(X)


def test_a_saved_model_does_not_name_the_folder(tmp_path):
    embedder = quick(checkpoint_dir=tmp_path / "runs").fit(X)
    embedder.save(tmp_path / "model")
    config = (tmp_path / "model" / "config.json").read_text()
    loaded = type(embedder).load(tmp_path / "model")
    assert "runs" not in config
    assert loaded.checkpoint_dir is None


# Disks that fail


@pytest.fixture
def interrupted(tmp_path, monkeypatch):
    """Return the folder of a run that was killed in its eighth step."""
    embedder = quick(**FIT, checkpoint_dir=tmp_path)
    fit_until_killed(embedder, monkeypatch, 8)
    assert state_names(tmp_path) == [PREVIOUS, STATE]
    (folder,) = tmp_path.iterdir()
    return folder


def damage(path, how):
    content = bytearray(path.read_bytes())
    if how == "truncated":
        content = content[: len(content) // 2]
    elif how == "empty":
        content = b""
    elif how == "header":
        content[20] ^= 255
    else:
        content[-100] ^= 255
    path.write_bytes(content)


@pytest.mark.parametrize("how", ["truncated", "empty", "header", "tensor"])
def test_a_damaged_state_is_replaced_by_the_one_before(
    how, uninterrupted, interrupted, monkeypatch
):
    damage(interrupted / STATE, how)
    steps = record_calls(monkeypatch)
    embedder = quick(**FIT, checkpoint_dir=interrupted.parent).fit(X)
    assert_same_fit(embedder, uninterrupted)
    assert len(steps) == N_STEPS - 6


def test_two_damaged_states_are_an_error_with_a_remedy(interrupted):
    for name in (STATE, PREVIOUS):
        damage(interrupted / name, "tensor")
    embedder = quick(**FIT, checkpoint_dir=interrupted.parent)
    message = f"{interrupted.name}' is damaged: remove that folder"
    with pytest.raises(ValueError, match=message):
        embedder.fit(X)


@pytest.fixture
def other_run(tmp_path_factory, monkeypatch):
    """Return the folder of another run, of other data, that was killed."""
    folder = tmp_path_factory.mktemp("other")
    with monkeypatch.context() as patched:
        write_after_every_step(patched)
        record_calls(patched, last=8)
        with pytest.raises(Killed):
            quick(**FIT, checkpoint_dir=folder).fit(-2 * X)
    (run,) = folder.iterdir()
    return run


def test_the_state_of_another_run_is_not_taken(uninterrupted, interrupted, other_run, monkeypatch):
    shutil.copy(other_run / STATE, interrupted / STATE)
    steps = record_calls(monkeypatch)
    embedder = quick(**FIT, checkpoint_dir=interrupted.parent).fit(X)
    assert_same_fit(embedder, uninterrupted)
    assert len(steps) == N_STEPS - 6  # from the run's own state before


def test_two_states_of_another_run_are_an_error_with_a_remedy(interrupted, other_run):
    for name in (STATE, PREVIOUS):
        shutil.copy(other_run / name, interrupted / name)
    embedder = quick(**FIT, checkpoint_dir=interrupted.parent)
    message = f"{interrupted.name}' belongs to another run: remove that folder"
    with pytest.raises(ValueError, match=message):
        embedder.fit(X)


def altered(folder, name, change):
    """Replace a tensor in the state of a run, under a checksum that is right."""
    run_folder = RunFolder(folder.parent, folder.name)
    state = run_folder.read()
    if change is None:
        del state.tensors[name]
    else:
        state.tensors[name] = change(state.tensors[name])
    run_folder.finish(state)


@pytest.mark.parametrize(
    "change",
    [
        lambda moment: moment.flatten()[:1],
        lambda moment: moment.half(),
        lambda moment: moment.new_zeros((0,)),
        lambda moment: moment.flatten()[:, None],
        None,
    ],
    ids=["short", "half", "empty", "shape", "missing"],
)
@pytest.mark.parametrize("name", ["optimizer.0.exp_avg", "optimizer.0.exp_avg_sq"])
def test_moments_that_do_not_fit_are_refused(name, change, interrupted):
    altered(interrupted, name, change)
    embedder = quick(**FIT, checkpoint_dir=interrupted.parent)
    with pytest.raises(ValueError, match=r"does not fit this run.*parameter 0.*remove the folder"):
        embedder.fit(X)


@pytest.mark.parametrize("name", ["best.prompts", "weights.prompts", "total", "generators.masks"])
def test_a_state_of_other_shapes_is_refused(name, interrupted):
    altered(interrupted, name, lambda tensor: tensor[:1])
    embedder = quick(**FIT, checkpoint_dir=interrupted.parent)
    with pytest.raises(ValueError, match=r"does not fit this run.*remove the folder"):
        embedder.fit(X)


@pytest.mark.parametrize("name", ["optimizer.0.step", "generators.order", "total"])
def test_a_state_that_lacks_something_is_refused(name, interrupted):
    altered(interrupted, name, None)
    embedder = quick(**FIT, checkpoint_dir=interrupted.parent)
    with pytest.raises(ValueError, match=r"does not fit this run.*remove the folder"):
        embedder.fit(X)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_is_an_error_and_the_last_state_stays(
    call, uninterrupted, interrupted, monkeypatch
):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    embedder = quick(**FIT, checkpoint_dir=interrupted.parent)
    with monkeypatch.context() as patched:
        patched.setattr(os, call, full)
        message = r"could not be written to .*No space left on device.*with room"
        with pytest.raises(ValueError, match=message):
            embedder.fit(X)
    assert not hasattr(embedder, "weights_")
    assert state_names(interrupted.parent) == [PREVIOUS, STATE]
    steps = record_calls(monkeypatch)
    assert_same_fit(embedder.fit(X), uninterrupted)
    assert len(steps) == N_STEPS - 7


def test_a_folder_that_cannot_be_made_is_an_error_with_a_remedy(tmp_path):
    (tmp_path / "file").touch()
    embedder = quick(**FIT, checkpoint_dir=tmp_path / "file")
    message = r"could not be written to .*file.*give a checkpoint_dir"
    with pytest.raises(ValueError, match=message):
        embedder.fit(X)


# States and their folder


@pytest.fixture
def run_folder(tmp_path):
    return RunFolder(tmp_path, "run")


def state_of(number):
    tensors = {"a.weight": torch.full((2, 3), float(number))}
    return RunState({"number": number}, tensors)


def test_a_folder_holds_the_last_state_and_the_one_before(run_folder):
    assert run_folder.read() is None
    for number in range(3):
        run_folder.write(state_of(number))
    assert run_folder.read().plain == {"number": 2}
    (run_folder.folder / STATE).unlink()
    state = run_folder.read()
    assert state.plain == {"number": 1}
    assert torch.equal(state.tensors["a.weight"], torch.ones(2, 3))


def test_a_state_names_its_run(run_folder, tmp_path):
    run_folder.write(state_of(0))
    other = RunFolder(tmp_path, "other")
    shutil.copy(run_folder.folder / STATE, other.folder / STATE)
    with pytest.raises(ValueError, match="other' belongs to another run"):
        other.read()


def test_a_state_is_read_while_another_process_renames_it(run_folder, monkeypatch):
    run_folder.write(state_of(0))
    read_bytes = Path.read_bytes
    renames = iter([True])

    def renamed_meanwhile(path):
        if next(renames, False):
            run_folder.finish(state_of(1))
            raise FileNotFoundError
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", renamed_meanwhile)
    assert run_folder.read().plain == {"number": 1}


def test_an_outcome_replaces_all_states(run_folder):
    run_folder.finish(state_of(0))
    run_folder.write(state_of(1))
    run_folder.finish(state_of(2))
    names = [path.name for path in run_folder.folder.iterdir()]
    assert names == [STATE]
    assert run_folder.read().plain == {"number": 2}


def test_leftovers_of_killed_processes_are_removed(run_folder):
    old = run_folder.folder / f".{STATE}.x.part"
    young = run_folder.folder / f".{STATE}.y.part"
    for path in (old, young):
        path.touch()
    os.utime(old, (0, 0))
    run_folder.write(state_of(0))
    assert not old.exists()
    assert young.exists()


def test_tensors_that_share_their_memory_are_written(run_folder):
    tensor = torch.arange(6.0).reshape(2, 3)
    state = RunState({}, {"a": tensor, "b": tensor.T, "c": tensor[:1]})
    run_folder.write(state)
    tensors = run_folder.read().tensors
    for name, expected in state.tensors.items():
        assert torch.equal(tensors[name], expected)


def test_sections_of_a_state_are_separate():
    state = RunState()
    state.add("best", {"x": torch.zeros(1)})
    state.add("best.x", {"y": torch.ones(1)})
    state.add("bestial", {"x": torch.ones(1)})
    assert state.section("best").keys() == {"x", "x.y"}
    assert state.section("other") == {}


def test_states_are_rare_if_writing_is_slow(tmp_path, monkeypatch):
    clock = iter([0.0, 0.5, 1.5, 1.5, 3.5, 42.0, 44.0])
    monkeypatch.setattr(checkpointing, "EVERY_SECONDS", 1.0)
    monkeypatch.setattr(checkpointing, "LARGEST_SHARE", 0.05)
    monkeypatch.setattr(checkpointing.time, "monotonic", lambda: next(clock))
    run_folder = RunFolder(tmp_path, "run")
    assert not run_folder.due()
    assert run_folder.due()
    run_folder.write(state_of(0))  # takes from 1.5 to 3.5
    assert not run_folder.due()  # 38.5 seconds later
    assert run_folder.due()  # 40.5 seconds later
