"""Several devices: the losses of one, on two processes of the CPU."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from quick import dilated, quick, run_python, walks

from fei_sklearn import FEIEmbedder, _specs
from fei_sklearn._bridge import processes as _ranks
from fei_sklearn._bridge.devices import resolve_devices
from fei_sklearn._bridge.processes import _Pickler, run_on_ranks
from fei_sklearn._input.checks import check_panel

X = walks(23, 1, 24)
FIT = {"max_epochs": 2, "min_epoch_steps": 3, "batch_size": 8, "device": "cpu"}


def unequal():
    lengths = np.random.default_rng(1).integers(6, 25, size=23)
    return [series[:, :n] for series, n in zip(X, lengths, strict=True)]


def assert_same_run(a, b, rtol=1e-4):
    """The same losses and embeddings within what float32 rounds otherwise."""
    assert len(a.history_) == len(b.history_) and a.best_epoch_ == b.best_epoch_
    for one, other in zip(a.history_, b.history_, strict=True):
        assert one.keys() == other.keys()
        for name in one.keys() - {"seconds"}:
            # an untrained encoder's target hardly varies, and the share of it is not well defined
            wide = 100 if name == "valid_unexplained" else 1
            assert one[name] == pytest.approx(other[name], rel=wide * rtol), name
    for name, array in a.weights_.items():
        # AdamW's step has the size of the learning rate, be the gradient as small as rounding
        scale = np.abs(array).max() + 1e-3
        np.testing.assert_allclose(array, b.weights_[name], rtol=0, atol=1e-3 * scale, err_msg=name)


def processes_of(folder):
    """Processes that were given a job in this folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in command:
            found.append(int(entry.name))
    return found


@pytest.fixture
def jobs(tmp_path, monkeypatch):
    """The folder in which jobs are handed to processes, of which none is left in the end."""
    monkeypatch.setattr(_ranks.tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    assert processes_of(tmp_path) == []
    assert list(tmp_path.glob("fei-*")) == []


# The same losses


@pytest.mark.slow
@pytest.mark.parametrize(
    ("params", "panel"),
    [
        ({}, X),
        ({"batch_size": 11}, X),  # parts of 6 and 5; a last batch of one is left out
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
    """An encoder with batch norm of its own, of which every process has its own part's."""
    return dilated(n_channels)


@pytest.mark.slow
def test_a_users_encoder_has_batch_norm_of_each_part(jobs):
    one, two = (quick(**FIT, encoder=from_a_script, n_devices=n).fit(X) for n in (1, 2))
    for a, b in zip(one.history_, two.history_, strict=True):
        assert a["train_loss"] == pytest.approx(b["train_loss"], rel=0.2)
    assert np.isfinite(two.transform(X)).all()


SCRIPT = """
import sys
from fei_sklearn import FEIEmbedder, _specs
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


# The epochs are heard where fit was called


@pytest.mark.slow
def test_watchers_hear_every_epoch_and_may_stop(jobs):
    from fei_sklearn._bridge.launch import TrainingRun, train_on
    from fei_sklearn.data import Panel
    from fei_sklearn.encoder.resnet import FEIEncoder
    from fei_sklearn.objectives.fei import FEIObjective
    from fei_sklearn.training.loop import TrainingOptions

    class Watcher:
        heard = []

        def begin(self, best):
            self.best = best
            self.heard.append("begin")

        def begin_epoch(self):
            self.heard.append("begin_epoch")

        def end_epoch(self, record):
            weights, epoch = self.best()
            self.heard.append((record["epoch"], epoch, weights["prompts"].clone()))
            return record["epoch"] == 2

    watcher, devices = Watcher(), resolve_devices(2, "cpu")
    objective = FEIObjective(FEIEncoder(1, 16), width=16, n_timepoints=24)
    options = TrainingOptions(5, 1, 8, 0.01, "cosine", 0.9, None, devices.own, "32-true", 0, 2)
    run = TrainingRun(objective, Panel(X.astype(np.float32)), options, None, None)
    history, best_epoch = train_on(devices, run, _specs.pretraining_spec(quick(), seed=0), watcher)
    assert len(history) == best_epoch == 2
    begin, *rest = watcher.heard
    assert begin == "begin" and [rest[0], rest[2]] == ["begin_epoch"] * 2
    assert [(epoch, best) for epoch, best, _ in (rest[1], rest[3])] == [(1, 1), (2, 2)]
    assert not torch.equal(rest[1][2], rest[3][2])
    weights, epoch = watcher.best()  # the processes are no more, but the weights are here
    assert torch.equal(weights["prompts"], rest[3][2]) and epoch == 2


# Processes that die


def kill_when_trained(folder, rank, checkpoints):
    """Kill a rank once there is a state on disk."""
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline and not list(Path(checkpoints).glob("*/state*")):
        time.sleep(0.05)
    environments = {p: Path(f"/proc/{p}/environ").read_bytes() for p in processes_of(folder)}
    victim = next(p for p, e in environments.items() if f"\0RANK={rank}\0".encode() in e)
    os.kill(victim, signal.SIGKILL)


LONG = FIT | {"max_epochs": 400, "n_iter_no_change": None, "validation_fraction": None}


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process_is_a_sentence_and_the_run_goes_on_later(rank, jobs, tmp_path):
    folder = tmp_path / "runs"
    killer = threading.Thread(target=kill_when_trained, args=(jobs, rank, folder))
    killer.start()
    embedder = quick(**LONG, n_devices=2, checkpoint_dir=folder)
    told = rf"Process {rank} of the 2 .*killed by SIGKILL.*{folder}.* is intact, fit again"
    with pytest.raises(RuntimeError, match=told):
        embedder.fit(X)
    killer.join()
    assert processes_of(jobs) == [] and not hasattr(embedder, "weights_")
    state = next(folder.glob("*/state.safetensors"))
    from fei_sklearn.training.checkpointing import _decode

    step = _decode(state.read_bytes()).plain["step"]
    assert 0 < step < 400 * 3


@pytest.mark.slow
def test_a_run_on_two_devices_is_resumed_on_two_and_on_one(jobs, tmp_path, monkeypatch):
    import shutil

    from fei_sklearn.training import checkpointing
    from fei_sklearn.training.loop import Session

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
    steps, original = [], Session.train_step
    monkeypatch.setattr(
        Session, "train_step", lambda run, *rest: steps.append(run) or original(run, *rest)
    )
    resumed = quick(**FIT, checkpoint_dir=tmp_path / "two", n_devices=2).fit(X)
    assert_same_run(resumed, expected)
    assert resumed.history_[0] == quick(**FIT, checkpoint_dir=tmp_path / "one").fit(X).history_[0]
    assert len(steps) == 2  # of six: those of this process, and it went on where the other was


@pytest.mark.slow
def test_ctrl_c_ends_all(jobs, tmp_path):
    folder = tmp_path / "runs"
    # a shell's job in the background is started with the signal ignored
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
    here = str(Path(__file__).parent)
    path = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*torchrun, "--nproc-per-node", "2", str(tmp_path / "script.py")],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    weights = re.findall(r"weights (\w+) (\d+)", done.stdout)  # lines of two may run together
    assert len(weights) == 6 and len(set(weights)) == 3  # alike in both processes
    spread = {checksum for n_devices, checksum in weights if n_devices != "1"}
    assert len(spread) == 1
    # by the first alone, unless each trains for itself
    assert done.stdout.count("[FEIEmbedder]") == 2 + 2 + 2 * 2


# Which devices


@pytest.fixture
def machine(monkeypatch):
    """A machine with as many CUDA devices, and variables of a launcher, as a test says."""

    def set_to(n_cuda=0, **variables):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: n_cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: n_cuda)
        for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "SLURM_STEP_ID", "SLURM_NTASKS"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))

    return set_to


@pytest.mark.parametrize(
    ("n_devices", "device", "n_cuda", "all_devices"),
    [
        (1, "auto", 4, ["cuda"]),
        (1, "cuda:2", 4, ["cuda:2"]),
        (3, "cuda", 4, ["cuda:0", "cuda:1", "cuda:2"]),
        ("auto", "auto", 4, ["cuda:0", "cuda:1", "cuda:2", "cuda:3"]),
        ("auto", "cuda:2", 4, ["cuda:2"]),
        ("auto", "auto", 0, ["cpu"]),
        (2, "cpu", 4, ["cpu", "cpu"]),
    ],
)
def test_devices_of_a_process_of_its_own(n_devices, device, n_cuda, all_devices, machine):
    machine(n_cuda)
    devices = resolve_devices(n_devices, device)
    assert [str(d) for d in devices.all()] == all_devices
    assert (devices.count, devices.joined) == (len(all_devices), False)


@pytest.mark.parametrize("n_devices", ["auto", 8])
@pytest.mark.parametrize(
    "variables",
    [
        {"RANK": 6, "WORLD_SIZE": 8, "LOCAL_RANK": 2},
        {"SLURM_STEP_ID": 0, "SLURM_NTASKS": 8, "SLURM_LOCALID": 2},
    ],
    ids=["torchrun", "slurm"],
)
def test_processes_that_others_started_are_joined(n_devices, variables, machine):
    machine(4, **variables)
    devices = resolve_devices(n_devices, "cuda")
    assert (str(devices.own), devices.count, devices.joined) == ("cuda:2", 8, True)
    assert devices.all() == [devices.own]
    assert not resolve_devices(1, "cuda").joined


@pytest.mark.parametrize(
    ("n_devices", "device", "n_cuda", "variables", "told"),
    [
        (4, "cuda", 2, {}, r"n_devices=4 needs 4 CUDA devices.*shows 2: use n_devices='auto'"),
        (2, "cuda:1", 4, {}, r"n_devices=2 needs device='cuda'.*'cpu', got 'cuda:1'"),
        (
            2,
            "cpu",
            0,
            {"RANK": 0, "WORLD_SIZE": 3, "LOCAL_RANK": 0},
            r"n_devices=2, but 3 processes were started: use n_devices=3 or 'auto'",
        ),
        (
            2,
            "cuda",
            1,
            {"RANK": 1, "WORLD_SIZE": 2, "LOCAL_RANK": 1},
            r"needs 2 CUDA devices on this machine, which has or shows 1",
        ),
    ],
)
def test_devices_that_do_not_exist_are_a_sentence(
    n_devices, device, n_cuda, variables, told, machine
):
    machine(n_cuda, **variables)
    with pytest.raises(ValueError, match=told):
        quick(n_devices=n_devices, device=device).fit(X)


def test_a_rival_trains_on_one_device():
    with pytest.raises(ValueError, match=r"objective='ts2vec' compares.*use n_devices=1"):
        quick(objective="ts2vec", stride=1, n_devices=2, device="cpu").fit(X)


def test_processes_that_were_started_together_draw_the_same(machine):
    machine(0, RANK=0, WORLD_SIZE=2, LOCAL_RANK=0)
    with pytest.raises(ValueError, match="needs a random_state, got None"):
        quick(n_devices=2, device="cpu", random_state=None).fit(X)


def test_a_saved_model_asks_for_one_device(tmp_path):
    quick().fit(X).set_params(n_devices=2).save(tmp_path)
    assert FEIEmbedder.load(tmp_path).n_devices == 1


@pytest.mark.parametrize("n_devices", [0, 1.5, "all", None])
def test_wrong_numbers_of_devices(n_devices):
    with pytest.raises(ValueError, match="'n_devices' parameter of FEIEmbedder must be"):
        quick(n_devices=n_devices).fit(X)


# Arrays on their way to other processes


def sent(obj, folder):
    import pickle

    with open(folder / "job", "wb") as file:
        _Pickler(file, folder).dump(obj)
    return pickle.loads((folder / "job").read_bytes())


@pytest.mark.parametrize("view", ["whole", "rows", "columns", "backwards", "transposed"])
def test_a_memory_map_is_sent_by_name(view, tmp_path):
    np.save(tmp_path / "panel.npy", np.arange(600_000.0).reshape(300, 2, 1000))
    panel = np.load(tmp_path / "panel.npy", mmap_mode="r")
    part = {
        "whole": panel,
        "rows": np.asarray(panel)[7:90][:, np.newaxis],
        "columns": panel[:, 1, 3:900:2],
        "backwards": panel[::-1, :, ::-3],
        "transposed": panel[2:].T,
    }[view]
    copy = sent({"panel": part}, tmp_path)["panel"]
    np.testing.assert_array_equal(copy, part)
    assert (tmp_path / "job").stat().st_size < 2000
    assert len(list(tmp_path.glob("*.npy"))) == 1


def test_a_large_array_is_sent_in_a_file_and_a_small_one_is_not(tmp_path):
    large, small = np.ones((2**18, 1, 2), np.float32), np.arange(5)
    copies = sent([large, small], tmp_path)
    np.testing.assert_array_equal(copies[0], large)
    np.testing.assert_array_equal(copies[1], small)
    assert isinstance(copies[0], np.memmap) and not isinstance(copies[1], np.memmap)
    assert (tmp_path / "job").stat().st_size < 2000


@pytest.mark.parametrize("kind", ["npy", "zarr", "hdf5"])
def test_a_panel_that_is_not_in_memory_is_sent_by_its_file(kind, tmp_path):
    values = walks(200, 1, 64)
    if kind == "npy":
        np.save(tmp_path / "panel.npy", values)
        stored = np.load(tmp_path / "panel.npy", mmap_mode="r")
    elif kind == "zarr":
        zarr = pytest.importorskip("zarr")
        stored = zarr.create_array(str(tmp_path / "panel.zarr"), data=values, chunks=(50, 1, 64))
    else:
        h5py = pytest.importorskip("h5py")
        with h5py.File(tmp_path / "panel.h5", "w") as file:
            file["panel"] = values
        stored = h5py.File(tmp_path / "panel.h5")["panel"]
    embedder = quick(device="cpu").fit(walks(20, 1, 64))
    checked = check_panel(embedder, stored, reset=False)
    panel = _specs.fitted_input(embedder).panel(checked)
    copy = sent(panel, tmp_path)
    rows = np.array([3, 150, 4])
    np.testing.assert_array_equal(copy.take(rows).values, panel.take(rows).values)
    assert (tmp_path / "job").stat().st_size < 20_000 < values.nbytes


def test_what_cannot_be_sent_is_a_sentence(tmp_path):
    lock = threading.Lock()
    with pytest.raises(ValueError, match=r"cannot be sent to them .*lock.*use n_devices=1"):
        run_on_ranks(lambda watcher: lock, 2, n_threads=1, watcher=None, remedy="")


def test_a_process_that_ends_without_a_word_is_a_sentence(jobs):
    with pytest.raises(RuntimeError, match=r"Process \d of the 2 .*ended with code 3.*remedy"):
        run_on_ranks(_leave, 2, n_threads=1, watcher=None, remedy="remedy")


def _leave(watcher):
    os._exit(3)
