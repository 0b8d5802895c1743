"""Training on several devices: the losses of one, here with two processes on the CPU."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from quick import dilated, python_path, quick, run_python, walks
from started_processes import processes_of

from fei_sklearn import _specs
from fei_sklearn._bridge.devices import resolve_devices
from fei_sklearn._bridge.launch import TrainingRun, train_on
from fei_sklearn.data import Panel
from fei_sklearn.encoder.resnet import FEIEncoder
from fei_sklearn.objectives.fei import FEIObjective
from fei_sklearn.training import checkpointing
from fei_sklearn.training.checkpointing import RunFolder
from fei_sklearn.training.loop import Session
from fei_sklearn.training.options import TrainingOptions

X = walks(23, 1, 24)
FIT = {"max_epochs": 2, "min_epoch_steps": 3, "batch_size": 8, "device": "cpu"}


def unequal():
    lengths = np.random.default_rng(1).integers(6, 25, size=23)
    return [series[:, :n] for series, n in zip(X, lengths, strict=True)]


def assert_same_run(a, b, rtol=1e-4):
    """Assert that losses and weights are equal up to the rounding of float32."""
    assert len(a.history_) == len(b.history_) and a.best_epoch_ == b.best_epoch_
    for one, other in zip(a.history_, b.history_, strict=True):
        assert one.keys() == other.keys()
        for name in one.keys() - {"seconds"}:
            # the target of an untrained encoder hardly varies: its unexplained share is ill-defined
            wide = 100 if name == "valid_unexplained" else 1
            assert one[name] == pytest.approx(other[name], rel=wide * rtol), name
    for name, array in a.weights_.items():
        # AdamW's steps are as large as the learning rate, even where the gradient is rounding error
        scale = np.abs(array).max() + 1e-3
        np.testing.assert_allclose(array, b.weights_[name], rtol=0, atol=1e-3 * scale, err_msg=name)


# The same losses


@pytest.mark.slow
@pytest.mark.parametrize(
    ("params", "panel"),
    [
        ({}, X),
        ({"batch_size": 11}, X),  # shares of 6 and 5; a last batch of one is left out
        # in float64: in float32, rounding moves one bias of the stem by 7e-6
        (
            {
                "batch_size": 20,
                "validation_fraction": None,
                "n_targets": 2,
                "precision": "64-true",
            },
            X,
        ),
        ({"validation_fraction": 0.5, "batch_size": 64}, walks(300, 2, 8)),  # several batches
        ({}, unequal()),
        ({"mask_kind": "temporal"}, unequal()),
        ({"precision": "64-true", "validation_fraction": 0.5}, walks(300, 1, 8)),
        ({"objective": "fei-no-mask-inference", "stride": 1}, X),
        ({"objective": "fei-no-embedding-inference", "channels": "mix"}, walks(23, 2, 24)),
    ],
    ids=["plain", "uneven", "last", "valid", "unequal", "temporal", "double", "ablation", "mix"],
)
def test_two_processes_have_the_losses_of_one(params, panel, jobs):
    params = FIT | params
    before = torch.get_rng_state(), torch.get_num_threads(), dict(os.environ), os.getcwd()
    two = quick(**params, n_devices=2).fit(panel)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (torch.get_num_threads(), dict(os.environ), os.getcwd()) == before[1:]
    assert not torch.distributed.is_initialized()
    assert_same_run(two, quick(**params).fit(panel))


@pytest.mark.slow
def test_more_processes_than_series_in_a_batch(jobs):
    params = FIT | {"batch_size": 21, "validation_fraction": None}  # and a batch of 2
    assert_same_run(quick(**params, n_devices=3).fit(X), quick(**params).fit(X))


def from_a_script(n_channels):
    """Return an encoder whose batch norm sees only the share of its process."""
    return dilated(n_channels)


@pytest.mark.slow
def test_batch_norm_of_a_users_encoder_sees_each_share_alone(jobs):
    one, two = (quick(**FIT, encoder=from_a_script, n_devices=n).fit(X) for n in (1, 2))
    for a, b in zip(one.history_, two.history_, strict=True):
        assert a["train_loss"] == pytest.approx(b["train_loss"], rel=0.2)
    assert np.isfinite(two.transform(X)).all()


SCRIPT = """
import sys
from fei_sklearn import FEIEmbedder
from quick import quick, walks
from torch import nn

def encoder(n_channels):  # a script's own, and no `if __name__ == "__main__":`
    return nn.Sequential(nn.Conv1d(n_channels, 8, 3, padding=1), nn.GELU())

embedder = quick(encoder=encoder, n_devices=2, device="cpu", verbose=1).fit(walks(12, 1, 16))
assert len(embedder.history_) == 2 and sorted(embedder.weights_)
print("end")
"""


@pytest.mark.slow
def test_in_a_script_that_defines_its_encoder(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    code = "import runpy, sys; runpy.run_path(sys.argv[1], run_name='__main__')"
    printed = run_python(code, tmp_path / "script.py").splitlines()
    assert [line.split()[0] for line in printed] == ["[FEIEmbedder]"] * 2 + ["end"]


# Watchers


@pytest.mark.slow
def test_watchers_get_every_epoch_and_may_stop(jobs):
    class Watcher:
        calls = []

        def begin(self, best):
            self.best = best
            self.calls.append("begin")

        def begin_epoch(self):
            self.calls.append("begin_epoch")

        def end_epoch(self, record):
            weights, epoch = self.best()
            self.calls.append((record["epoch"], epoch, weights["prompts"].clone()))
            return record["epoch"] == 2

    watcher = Watcher()
    devices = resolve_devices(2, "cpu")
    objective = FEIObjective(FEIEncoder(1, 16), width=16, n_timepoints=24)
    options = TrainingOptions(5, 1, 8, 0.01, "cosine", 0.9, None, devices.own, "32-true", 0, 2)
    run = TrainingRun(objective, Panel(X.astype(np.float32)), options, None, None)
    history, best_epoch = train_on(devices, run, _specs.pretraining_spec(quick(), seed=0), watcher)
    assert len(history) == best_epoch == 2
    begin, *rest = watcher.calls
    assert begin == "begin" and [rest[0], rest[2]] == ["begin_epoch"] * 2
    assert [(epoch, best) for epoch, best, _ in (rest[1], rest[3])] == [(1, 1), (2, 2)]
    assert not torch.equal(rest[1][2], rest[3][2])
    weights, epoch = watcher.best()  # the processes have ended, and left their weights here
    assert torch.equal(weights["prompts"], rest[3][2]) and epoch == 2


# Processes that are killed


def kill_when_trained(folder, rank, checkpoints):
    """Kill a rank as soon as there is a state on disk."""
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and not list(Path(checkpoints).glob("*/state*")):
        time.sleep(0.05)
    environments = {p: Path(f"/proc/{p}/environ").read_bytes() for p in processes_of(folder)}
    victim = next(p for p, e in environments.items() if f"\0RANK={rank}\0".encode() in e)
    os.kill(victim, signal.SIGKILL)


LONG = FIT | {"max_epochs": 400, "n_iter_no_change": None, "validation_fraction": None}


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process_ends_the_run_which_may_be_resumed(rank, jobs, tmp_path):
    folder = tmp_path / "runs"
    killer = threading.Thread(target=kill_when_trained, args=(jobs, rank, folder))
    killer.start()
    embedder = quick(**LONG, n_devices=2, checkpoint_dir=folder)
    message = rf"Process {rank} of the 2 .*killed by SIGKILL.*{folder}.* is intact, fit again"
    with pytest.raises(RuntimeError, match=message):
        embedder.fit(X)
    killer.join()
    assert processes_of(jobs) == [] and not hasattr(embedder, "weights_")
    state = next(folder.glob("*/state.safetensors"))
    step = RunFolder(folder, state.parent.name).read().plain["step"]
    assert 0 < step < 400 * 3


@pytest.mark.slow
def test_a_run_on_two_devices_is_resumed_on_two_and_on_one(jobs, tmp_path, monkeypatch):
    expected = quick(**FIT).fit(X)

    class Killed(BaseException):
        pass

    def deadly(run, *arguments, original=Session.train_step):
        if run.progress.step == 4:
            raise Killed
        return original(run, *arguments)

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(checkpointing, "EVERY_SECONDS", 0.0)
        patched.setattr(checkpointing, "LARGEST_SHARE", 1e9)
        patched.setattr(Session, "train_step", deadly)
        quick(**FIT, checkpoint_dir=tmp_path / "one").fit(X)
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    steps = []
    original = Session.train_step
    monkeypatch.setattr(
        Session, "train_step", lambda run, *rest: steps.append(run) or original(run, *rest)
    )
    resumed = quick(**FIT, checkpoint_dir=tmp_path / "two", n_devices=2).fit(X)
    assert_same_run(resumed, expected)
    assert resumed.history_[0] == quick(**FIT, checkpoint_dir=tmp_path / "one").fit(X).history_[0]
    assert len(steps) == 2  # of six: this process resumed after the first four


@pytest.mark.slow
def test_ctrl_c_ends_all(jobs, tmp_path):
    folder = tmp_path / "runs"
    # a shell starts jobs in the background with the signal ignored
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt():
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline and not list(folder.glob("*/state*")):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            quick(**LONG, n_devices=2, checkpoint_dir=folder).fit(X)
        thread.join()
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.slow
def test_an_error_of_training_comes_as_it_is(jobs):
    with pytest.raises(ValueError, match=r"loss \(train_loss\) became .*lower learning_rate"):
        quick(**FIT, learning_rate=1e30, n_devices=2).fit(X)


# Started by others


TORCHRUN = """
import os, zlib
from quick import quick, walks
X = walks(23, 1, 24)
fit = {"max_epochs": 2, "min_epoch_steps": 3, "batch_size": 8, "device": "cpu"}
for n_devices in (2, "auto", 1):  # one after the other, in the same processes
    embedder = quick(**fit, n_devices=n_devices, verbose=1).fit(X)
    blob = b"".join(embedder.weights_[name].tobytes() for name in sorted(embedder.weights_))
    print(f"\\nweights {n_devices} {zlib.crc32(blob)}\\n", end="", flush=True)
"""


@pytest.mark.slow
def test_under_torchrun_every_process_has_the_same_weights(tmp_path):
    (tmp_path / "script.py").write_text(TORCHRUN)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*torchrun, "--nproc-per-node", "2", str(tmp_path / "script.py")],
        env=os.environ | {"PYTHONPATH": python_path()},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    weights = re.findall(r"weights (\w+) (\d+)", done.stdout)  # lines of two may run together
    assert len(weights) == 6 and len(set(weights)) == 3  # alike in both processes
    spread = {checksum for n_devices, checksum in weights if n_devices != "1"}
    assert len(spread) == 1
    # the first process prints, unless each process trains by itself
    assert done.stdout.count("[FEIEmbedder]") == 2 + 2 + 2 * 2


# Refused


def test_a_rival_trains_on_one_device():
    with pytest.raises(ValueError, match=r"objective='ts2vec' compares.*use n_devices=1"):
        quick(objective="ts2vec", stride=1, n_devices=2, device="cpu").fit(X)


def test_processes_that_were_started_together_need_a_random_state(monkeypatch):
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match="needs a random_state, got None"):
        quick(n_devices=2, device="cpu", random_state=None).fit(X)
