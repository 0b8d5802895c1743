"""Devices, precision, threads and random states."""

from __future__ import annotations

import os
import types

import pytest
import torch
from quick import quick, run_python, walks

from fei_sklearn._bridge import devices
from fei_sklearn._bridge.devices import (
    private_random_state,
    resolve_device,
    resolve_devices,
    resolve_precision,
    shared_threads,
    torch_threads,
)

X = walks(23, 1, 24)
CPU = torch.device("cpu")


# Which devices


@pytest.fixture
def machine(monkeypatch):
    """Function that pretends a number of accelerators, and the variables of a launcher."""

    def set_to(n_accelerators=0, kind="cuda", **variables):
        found = torch.device(kind)
        accelerator = types.SimpleNamespace(
            is_available=lambda: n_accelerators > 0,
            current_accelerator=lambda: found,
        )
        monkeypatch.setattr(torch, "accelerator", accelerator, raising=False)
        for other in ("cuda", "mps", "xpu"):
            count = n_accelerators if other == kind else 0
            module = getattr(torch, other)
            monkeypatch.setattr(module, "device_count", lambda count=count: count)
        for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "SLURM_STEP_ID", "SLURM_NTASKS"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))

    return set_to


accelerators = pytest.mark.parametrize("kind", ["cuda", "mps", "xpu"])


@accelerators
@pytest.mark.parametrize("version", ["2.6 and later", "before 2.6"])
def test_auto_is_the_accelerator_that_torch_finds(kind, version, machine, monkeypatch):
    machine(1, kind)
    if version == "before 2.6":
        monkeypatch.delattr(torch, "accelerator")
    assert resolve_device("auto") == torch.device(kind)
    assert resolve_device(kind) == torch.device(kind)
    machine(0, kind)
    if version == "before 2.6":
        monkeypatch.delattr(torch, "accelerator")
    assert resolve_device("auto") == CPU
    with pytest.raises(ValueError, match=f"device='{kind}' is not on this machine.*'cpu'"):
        resolve_device(kind)


def test_auto_is_the_cpu_beside_an_accelerator_that_is_not_known(machine):
    machine(1, "hpu")
    assert resolve_device("auto") == CPU


@pytest.mark.parametrize("kind", ["mps", "xpu"])
def test_several_devices_are_those_of_cuda_or_the_cpu(kind, machine):
    machine(2, kind)
    assert resolve_devices("auto", "auto").all() == [torch.device(kind)]
    with pytest.raises(ValueError, match=r"n_devices=2 needs device='cuda'.*'cpu', got 'auto'"):
        resolve_devices(2, "auto")


@pytest.mark.parametrize(
    ("kind", "precision"), [("mps", "64-true"), ("xpu", "64-true"), ("xpu", "bf16-mixed")]
)
def test_precisions_that_a_device_lacks(kind, precision):
    device = torch.device(kind)
    assert resolve_precision("auto", device) == "32-true"
    assert resolve_precision("32-true", device) == "32-true"
    message = f"precision='{precision}' is not available on device '{kind}'.*'32-true'"
    with pytest.raises(ValueError, match=message):
        resolve_precision(precision, device)


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
def test_devices_of_a_process_without_a_launcher(n_devices, device, n_cuda, all_devices, machine):
    machine(n_cuda)
    devices = resolve_devices(n_devices, device)
    assert [str(d) for d in devices.all()] == all_devices
    assert (devices.count, devices.joined) == (len(all_devices), False)


@pytest.mark.parametrize("use", ["fit", "transform"])
@pytest.mark.parametrize("n_devices", [9, 2**31, 10**30])
def test_processes_on_the_cpu_are_bounded_by_its_cores(use, n_devices, machine, monkeypatch):
    machine()
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert resolve_devices(8, "cpu").count == 8
    embedder = quick(device="cpu").fit(X).set_params(n_devices=n_devices)
    with pytest.raises(ValueError, match=rf"n_devices={n_devices} .*has 2 cores.*at most 8"):
        getattr(embedder, use)(X)


@pytest.mark.parametrize("n_devices", ["auto", 8])
@pytest.mark.parametrize(
    "variables",
    [
        {"RANK": 6, "WORLD_SIZE": 8, "LOCAL_RANK": 2},
        {"SLURM_STEP_ID": 0, "SLURM_NTASKS": 8, "SLURM_LOCALID": 2},
    ],
    ids=["torchrun", "slurm"],
)
def test_processes_of_a_launcher_are_joined(n_devices, variables, machine):
    machine(4, **variables)
    devices = resolve_devices(n_devices, "cuda")
    assert (str(devices.own), devices.count, devices.joined) == ("cuda:2", 8, True)
    assert devices.all() == [devices.own]
    assert not resolve_devices(1, "cuda").joined


@pytest.mark.parametrize(
    ("n_devices", "device", "n_cuda", "variables", "message"),
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
def test_devices_that_do_not_exist_are_refused(
    n_devices, device, n_cuda, variables, message, machine
):
    machine(n_cuda, **variables)
    with pytest.raises(ValueError, match=message):
        quick(n_devices=n_devices, device=device).fit(X)


@pytest.mark.parametrize("device", ["cuda:7", "nonsense", "meta", None])
def test_a_device_that_does_not_exist_is_refused(device, machine):
    machine(2)
    with pytest.raises(ValueError, match=f"device.*{device!r}"):
        resolve_device(device)


# Precision


def test_automatic_precision_is_float32_on_the_cpu():
    assert resolve_precision("auto", CPU) == "32-true"
    assert resolve_precision("64-true", CPU) == "64-true"


@pytest.mark.parametrize(("supported", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_automatic_precision_on_cuda(supported, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: supported)
    assert resolve_precision("auto", torch.device("cuda")) == expected


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match=r"precision must be one of .*got 'fp8'"):
        resolve_precision("fp8", CPU)


# Threads and random states


def test_threads_are_restored_after_an_error():
    before = torch.get_num_threads()
    with pytest.raises(KeyError), torch_threads(1):
        assert torch.get_num_threads() == 1
        raise KeyError
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("n_jobs", [0, 1.5, "all"])
def test_a_number_of_threads_that_is_none_is_refused(n_jobs):
    with pytest.raises(ValueError, match=f"n_jobs.*got {n_jobs!r}"), torch_threads(n_jobs):
        pass


def test_workers_share_the_threads(monkeypatch):
    set_to = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    monkeypatch.setattr(torch, "set_num_threads", set_to.append)
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    with shared_threads(2):
        pass
    with shared_threads(1):
        pass
    assert set_to == [2, 5]


def test_a_private_random_state_is_seeded_and_leaves_the_callers_alone():
    before = torch.get_rng_state()
    draws = []
    for _ in range(2):
        with private_random_state(3, CPU):
            draws.append(torch.rand(4))
    assert torch.equal(*draws)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_private_random_state_of_an_accelerator(monkeypatch):
    seeded = []
    restored = []
    monkeypatch.setattr(devices, "random_state", lambda device: device.type)
    monkeypatch.setattr(devices, "seed_random_state", lambda *call: seeded.append(call))
    monkeypatch.setattr(devices, "set_random_state", lambda *call: restored.append(call))
    xpu = torch.device("xpu", 1)
    with private_random_state(3, xpu):
        assert not restored
    assert set(seeded) == {(CPU, 3), (xpu, 3)}
    assert set(restored) == {(CPU, "cpu"), (xpu, "xpu")}


# Forks

FORK = """
import os, signal, sys
import numpy as np
import torch
from quick import quick, run_python, walks
from fei_sklearn import FEIClassifier

torch.set_num_threads(2)
X = walks(64, 2, 200)
y = np.arange(64) % 2
embedder = quick(encoder=64).fit(X)
expected = embedder.transform(X)
classifier = FEIClassifier(quick(encoder=64), max_epochs=1).fit(X, y)
pid = os.fork()
if pid == 0:
    signal.alarm(60)  # a process that hangs is killed
    np.testing.assert_array_equal(embedder.transform(X), expected)
    for n_jobs in (None, 2):
        embedder.set_params(n_jobs=n_jobs).fit(X).partial_fit(X)
    classifier.predict(X)
    classifier.fit(X, y)
    assert torch.get_num_threads() == 2
    sys.stdout.flush()
    os._exit(0)
_, status = os.waitpid(pid, 0)
print(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_computes_after_its_parent_used_two_threads():
    assert run_python(FORK, OMP_NUM_THREADS="2").split()[-1] == "0"
