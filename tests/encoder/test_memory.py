"""Too little memory is recognised on every device, and other errors are not."""

from __future__ import annotations

import pytest
import torch

from fei_sklearn.encoder.memory import is_out_of_memory, release_memory


def test_torchs_own_error_on_the_cpu():
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**50)
    assert is_out_of_memory(raised.value)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.cuda.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
        RuntimeError("XPU out of memory. Tried to allocate 20 GiB."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:80] DefaultCPUAllocator: not enough memory"),
    ],
)
def test_too_little_memory(error):
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error", [RuntimeError("shape mismatch"), ValueError("out of memory"), OSError("out of memory")]
)
def test_other_errors(error):
    assert not is_out_of_memory(error)


def test_memory_is_given_back_to_the_device_alone(monkeypatch):
    released = []
    for kind in ("cuda", "mps", "xpu"):
        module = getattr(torch, kind)
        monkeypatch.setattr(module, "empty_cache", lambda kind=kind: released.append(kind))
    for kind in ("cpu", "cuda", "mps", "xpu"):
        release_memory(torch.device(kind))
    assert released == ["cuda", "mps", "xpu"]
