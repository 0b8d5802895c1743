"""A run that is killed goes on where it was, and ends as if nothing had happened."""

from __future__ import annotations

import errno
import json
import os

import numpy as np
import pytest
from quick import dilated, quick, run_python, walks
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.tree import DecisionTreeClassifier

from fei_sklearn.training import checkpointing
from fei_sklearn.training.loop import _Session

X = walks(21, 1, 24)
FIT = {"max_epochs": 3, "min_epoch_steps": 4, "batch_size": 8}  # 4 steps, or 6 without validation


class Killed(BaseException):
    """Stands for the end of the process."""


def killed_at(step, monkeypatch, name="train_step"):
    """Die in the `step`-th call of a method of the run, from 1; keep a state of each step."""
    monkeypatch.setattr(checkpointing, "EVERY_SECONDS", 0.0)
    monkeypatch.setattr(checkpointing, "LARGEST_SHARE", 1e9)
    return calls_of(monkeypatch, name, step)


def calls_of(monkeypatch, name="train_step", last=None):
    """Note the calls of a method of the run, and die in the last."""
    method, calls = getattr(_Session, name), []

    def deadly(*arguments):
        calls.append(arguments)
        if len(calls) == last:
            raise Killed
        return method(*arguments)

    monkeypatch.setattr(_Session, name, deadly)
    return calls


def assert_same(a, b):
    assert a.weights_.keys() == b.weights_.keys()
    for name, array in a.weights_.items():
        np.testing.assert_array_equal(array, b.weights_[name], err_msg=name)
    without_times = [[{**r, "seconds": 0} for r in e.history_] for e in (a, b)]
    assert without_times[0] == without_times[1]
    assert a.best_epoch_ == b.best_epoch_


def states(folder):
    return sorted(path.name for path in folder.glob("*/*"))


# Killed and resumed

#: A process with all imports done forks children, and kills them at random moments.
CODE = """
import json, os, random, signal, sys, time, zlib
import numpy as np, torch
from fei_sklearn import FEIEmbedder
from fei_sklearn._bridge import pretraining as _network
from fei_sklearn.training import checkpointing
from quick import walks

checkpointing.EVERY_SECONDS, checkpointing.LARGEST_SHARE = 0.0, 1e9
X, folder, kills = walks(21, 1, 24), sys.argv[1], 0
FIT = {"max_epochs": 4, "min_epoch_steps": 4, "batch_size": 8, "n_iter_no_change": None}

def fit(**params):
    return FEIEmbedder(16, random_state=0, **FIT, **params).fit(X)

def child(work):
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    return pid

def note(path, **params):
    weights = fit(**params).weights_
    blob = b"".join(weights[name].tobytes() for name in sorted(weights))
    open(path, "w").write(f"{zlib.crc32(blob)} {len(blob)}")

import lightning_fabric  # so that no child has to import it
os.waitpid(child(lambda: note(folder + "/alone")), 0)
for attempt in range(5):
    pid = child(lambda: note(folder + "/killed", checkpoint_dir=folder))
    time.sleep(random.Random(attempt).uniform(0.05, 0.5))
    os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if os.WIFEXITED(status):
        break
    kills += 1
else:
    os.waitpid(child(lambda: note(folder + "/killed", checkpoint_dir=folder)), 0)
print(json.dumps([open(folder + "/" + name).read() for name in ("alone", "killed")] + [kills]))
"""


def test_killed_at_random_moments_the_weights_are_those_of_an_uninterrupted_run(tmp_path):
    alone, killed, n_kills = json.loads(run_python(CODE, tmp_path, OMP_NUM_THREADS="1"))
    assert n_kills >= 1
    assert killed == alone


@pytest.mark.parametrize("step", [2, 4, 5, 12])
@pytest.mark.parametrize("validation_fraction", [0.2, None])
def test_killed_at_a_step_it_takes_only_the_steps_that_are_left(
    step, validation_fraction, tmp_path, monkeypatch
):
    params = {**FIT, "validation_fraction": validation_fraction}
    n_steps = 3 * (6 if validation_fraction is None else 4)  # of batches of 8
    expected = quick(**params).fit(X)
    with monkeypatch.context() as patched, pytest.raises(Killed):
        killed_at(step, patched)
        quick(**params, checkpoint_dir=tmp_path).fit(X)
    steps = calls_of(monkeypatch)
    assert_same(quick(**params, checkpoint_dir=tmp_path).fit(X), expected)
    assert len(steps) == n_steps - (step - 1)


def test_killed_in_validation(tmp_path, monkeypatch):
    expected = quick(**FIT).fit(X)
    with monkeypatch.context() as patched, pytest.raises(Killed):
        killed_at(2, patched, "validate")
        quick(**FIT, checkpoint_dir=tmp_path).fit(X)
    steps = calls_of(monkeypatch)
    assert_same(quick(**FIT, checkpoint_dir=tmp_path).fit(X), expected)
    assert len(steps) == 6  # the third epoch's


def with_dropout(n_channels):
    from torch import nn

    return nn.Sequential(dilated(n_channels), nn.Dropout(0.5))


def test_what_a_users_module_draws_from_torchs_generator_goes_on_as_well(tmp_path, monkeypatch):
    import torch

    params = {**FIT, "encoder": with_dropout}
    expected = quick(**params).fit(X)
    with monkeypatch.context() as patched, pytest.raises(Killed):
        killed_at(5, patched)
        quick(**params, checkpoint_dir=tmp_path).fit(X)
    before = torch.get_rng_state()
    assert_same(quick(**params, checkpoint_dir=tmp_path).fit(X), expected)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("objective", "precision"),
    [("fei", "64-true"), ("fei", "bf16-mixed"), ("ts2vec", "32-true"), ("simmtm", "32-true")],
)
def test_every_objective_and_precision_goes_on(objective, precision, tmp_path, monkeypatch):
    params = {**FIT, "objective": objective, "precision": precision, "max_epochs": 2, "stride": 1}
    expected = quick(**params).fit(X)
    with monkeypatch.context() as patched, pytest.raises(Killed):
        killed_at(3, patched)
        quick(**params, checkpoint_dir=tmp_path).fit(X)
    assert_same(quick(**params, checkpoint_dir=tmp_path).fit(X), expected)


def test_an_objective_with_more_than_its_weights_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"InfoTSObjective.*checkpoint_dir=None"):
        quick(objective="infots", stride=1, checkpoint_dir=tmp_path).fit(X)


def test_a_finished_run_is_not_trained_again(tmp_path, monkeypatch):
    first = quick(**FIT, checkpoint_dir=tmp_path).fit(X)
    steps = calls_of(monkeypatch)
    again = quick(**FIT, checkpoint_dir=tmp_path).fit(X)
    assert_same(again, first)
    assert first.history_ == again.history_ and steps == []
    assert states(tmp_path) == [checkpointing.STATE]  # nothing but the outcome is left


def test_progress_is_told_of_every_epoch(tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patched, pytest.raises(Killed):
        killed_at(10, patched)
        quick(**FIT, checkpoint_dir=tmp_path).fit(X)
    quick(**FIT, checkpoint_dir=tmp_path, verbose=1).fit(X)
    epochs = [line.split()[2] for line in capsys.readouterr().out.splitlines()]
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
    other = quick(**{**change}, checkpoint_dir=tmp_path).fit(X)
    assert len(list(tmp_path.iterdir())) == 2
    assert_same(other, quick(**{**change}).fit(X))


@pytest.mark.parametrize("what", ["value", "row", "order"])
def test_other_data_have_a_folder_of_their_own(what, tmp_path):
    other = {"value": X.copy(), "row": X[:-1], "order": X[::-1]}[what]
    if what == "value":
        other[3, 0, 3] += 1e-3
    quick(checkpoint_dir=tmp_path).fit(X)
    assert_same(quick(checkpoint_dir=tmp_path).fit(other), quick().fit(other))
    assert len(list(tmp_path.iterdir())) == 2


def test_what_does_not_decide_the_outcome_shares_a_folder(tmp_path):
    quick(checkpoint_dir=tmp_path).fit(X)
    quick(checkpoint_dir=str(tmp_path), n_jobs=1, pooling="max").fit(X)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_search_gives_the_same_with_checkpoints_and_again(tmp_path):
    y = np.arange(len(X)) % 2

    def scores(**params):
        pipeline = make_pipeline(quick(**params), DecisionTreeClassifier(random_state=0))
        grid = {"feiembedder__learning_rate": [0.01, 0.1]}
        return GridSearchCV(pipeline, grid, cv=2).fit(X, y).cv_results_["mean_test_score"].tolist()

    expected = scores()
    assert scores(checkpoint_dir=tmp_path) == scores(checkpoint_dir=tmp_path) == expected
    assert len(list(tmp_path.iterdir())) == 2 * 2 + 1  # each of two folds twice, and the refit


def test_without_a_random_state_there_is_nothing_to_resume(tmp_path):
    with pytest.raises(ValueError, match=r"checkpoint_dir=.*needs a random_state, got None"):
        quick(checkpoint_dir=tmp_path, random_state=None).fit(X)


def test_a_saved_model_does_not_name_the_folder(tmp_path):
    embedder = quick(checkpoint_dir=tmp_path / "runs").fit(X)
    embedder.save(tmp_path / "model")
    assert "runs" not in (tmp_path / "model" / "config.json").read_text()
    assert type(embedder).load(tmp_path / "model").checkpoint_dir is None


# Disks that fail


def interrupted(folder, monkeypatch, step=8):
    with monkeypatch.context() as patched, pytest.raises(Killed):
        killed_at(step, patched)
        quick(**FIT, checkpoint_dir=folder).fit(X)
    assert states(folder) == [checkpointing.PREVIOUS, checkpointing.STATE]
    return next(folder.iterdir())


def damage(path, how):
    content = bytearray(path.read_bytes())
    if how == "truncated":
        content = content[: len(content) // 2]
    elif how == "empty":
        content = b""
    else:
        content[{"header": 20, "tensor": -100}[how]] ^= 255
    path.write_bytes(content)


@pytest.mark.parametrize("how", ["truncated", "empty", "header", "tensor"])
def test_of_a_damaged_state_the_one_before_is_taken(how, tmp_path, monkeypatch):
    run = interrupted(tmp_path, monkeypatch)
    damage(run / checkpointing.STATE, how)
    steps = calls_of(monkeypatch)
    assert_same(quick(**FIT, checkpoint_dir=tmp_path).fit(X), quick(**FIT).fit(X))
    assert len(steps) == (18 - 6) + 18  # of the resumed run, and of the one to compare with


def test_two_damaged_states_are_a_sentence(tmp_path, monkeypatch):
    run = interrupted(tmp_path, monkeypatch)
    for name in (checkpointing.STATE, checkpointing.PREVIOUS):
        damage(run / name, "tensor")
    with pytest.raises(ValueError, match=f"{run.name}' is damaged: remove that folder"):
        quick(**FIT, checkpoint_dir=tmp_path).fit(X)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_is_a_sentence_and_the_last_state_stays(call, tmp_path, monkeypatch):
    interrupted(tmp_path, monkeypatch)
    expected = quick(**FIT).fit(X)

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    embedder = quick(**FIT, checkpoint_dir=tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(os, call, full)
        with pytest.raises(ValueError, match=r"No space left on device.*with room"):
            embedder.fit(X)
    assert not hasattr(embedder, "weights_")
    assert states(tmp_path) == [checkpointing.PREVIOUS, checkpointing.STATE]
    steps = calls_of(monkeypatch)
    assert_same(embedder.fit(X), expected)
    assert len(steps) == 11  # of 18, seven were taken


def test_a_folder_that_cannot_be_is_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"could not be written to .*file.*give a checkpoint_dir"):
        quick(**FIT, checkpoint_dir=tmp_path / "file").fit(X)


def test_states_are_rare_where_writing_is_slow(tmp_path, monkeypatch):
    clock = iter([0.0, 0.5, 1.5, 1.5, 3.5, 42.0, 44.0])
    monkeypatch.setattr(checkpointing, "EVERY_SECONDS", 1.0)
    monkeypatch.setattr(checkpointing, "LARGEST_SHARE", 0.05)
    monkeypatch.setattr(checkpointing.time, "monotonic", lambda: next(clock))
    run = checkpointing.RunFolder(tmp_path, "run")
    assert [run.due(), run.due()] == [False, True]
    run.write(checkpointing.RunState({"a": 1}))  # takes from 1.5 to 3.5
    assert [run.due(), run.due()] == [False, True]  # 38.5 and 40.5 seconds later
