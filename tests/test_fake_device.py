"""The fake accelerator refuses what would make the host wait, in inference mode as well."""

from __future__ import annotations

import pytest
import torch
from fake_device import META, FakeAccelerator

CPU = torch.device("cpu")
VALUES = torch.arange(4.0)

READS = {
    "item": lambda: VALUES[0].item(),
    "if": lambda: bool(VALUES[0]),
    "unique": lambda: torch.unique(VALUES),
    "mask": lambda: VALUES[VALUES > 1],
    "where": lambda: torch.where(VALUES > 1),
    "argwhere": lambda: torch.argwhere(VALUES),
    "allclose": lambda: torch.allclose(VALUES, VALUES),
    "repeats": lambda: torch.repeat_interleave(VALUES, torch.arange(4)),
}

modes = pytest.mark.parametrize("inference", [False, True], ids=["gradients", "inference"])


@modes
@pytest.mark.parametrize("name", READS)
def test_reads_are_refused(name, inference):
    with torch.inference_mode(inference), FakeAccelerator(CPU, reads_allowed=True):
        READS[name]()
    with (
        torch.inference_mode(inference),
        FakeAccelerator(CPU),
        pytest.raises(AssertionError, match=r"reads from the device|has a mask"),
    ):
        READS[name]()


@modes
def test_float64_is_refused(inference):
    with (
        torch.inference_mode(inference),
        FakeAccelerator(CPU, reads_allowed=True),
        pytest.raises(AssertionError, match=r"gives torch\.float64"),
    ):
        VALUES.double()


@modes
def test_copies_that_block_are_refused(inference):
    with torch.inference_mode(inference), FakeAccelerator(META):
        copied = VALUES.to(META, non_blocking=True)
        assert copied.device == META
        with pytest.raises(AssertionError, match="to the device blocks"):
            VALUES.to(META)


def test_an_index_on_the_host_is_refused():
    # torch would copy it to the device, and wait
    rows = torch.tensor([1, 3])
    with FakeAccelerator(META), pytest.raises(AssertionError, match="joins host and device"):
        torch.empty(4, device=META)[rows]


def test_what_reads_nothing_passes():
    with FakeAccelerator(CPU) as accelerator:
        total = torch.where(VALUES > 1, VALUES, 0.0).sum()
    assert total == 5
    assert accelerator.n_calls >= 3
