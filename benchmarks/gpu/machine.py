"""The machine: processor, device, and versions."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import torch

from gpu.report import table
from gpu.runner import REQUIRED
from gpu.setting import Setting

OPTIONAL = ("sktime", "pytest", "hypothesis")


def describe(setting: Setting) -> str:
    """Return a table of the machine."""
    rows = [
        ["Python", platform.python_version()],
        ["system", f"{platform.system()} on {platform.machine()}"],
        ["CPU cores", os.cpu_count()],
        ["torch's CPU threads", torch.get_num_threads()],
    ]
    if not setting.is_rehearsal:
        rows += _device_rows()
    for package in (*REQUIRED.values(), *OPTIONAL):
        rows.append([package, _version(package)])
    return table(["", "here"], rows)


def _device_rows() -> list[list[object]]:
    """Return rows on the CUDA devices, or raise if torch finds none."""
    if not torch.cuda.is_available():
        raise RuntimeError(
            f"torch {torch.__version__} finds no CUDA device: use make gpu DEVICE=cpu for a "
            "rehearsal, or another Python, as in make gpu PYTHON=python3.12."
        )
    properties = torch.cuda.get_device_properties(0)
    capability = f"{properties.major}.{properties.minor}"
    return [
        ["device", properties.name],
        ["devices", torch.cuda.device_count()],
        ["compute capability", capability],
        ["memory of the device (GiB)", f"{properties.total_memory / 2**30:.1f}"],
        ["CUDA of torch", torch.version.cuda],
        ["cuDNN", torch.backends.cudnn.version()],
        ["bfloat16", torch.cuda.is_bf16_supported()],
    ]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
