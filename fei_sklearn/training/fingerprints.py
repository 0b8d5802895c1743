"""Fingerprints of runs: two runs share one only if they have the same outcome."""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fei_sklearn.data import Panel
from fei_sklearn.objectives.base import Objective

#: Version of the format of states: a version reads only the states that it wrote.
RUN_FORMAT = 2

#: Series that are hashed at once.
CHUNK_ROWS = 1024

#: Series on which the objective is tried; contrastive objectives compare two.
TRIED_ROWS = 2


def run_fingerprint(
    objective: Objective,
    panels: Sequence[Panel],
    settings: Mapping[str, Any],
) -> str:
    """Return the name of a run, which differs if anything that determines the outcome does.

    This includes the code of a user's own encoder, by what the objective computes on two series,
    and the versions of this package and of torch.

    Parameters
    ----------
    objective : Objective
        Module with its initial weights, on the CPU.
    panels : sequence of Panel
        Training series and, if there are any, validation series.
    settings : mapping
        Everything else that determines the outcome, in JSON's types or objects whose `repr` is
        complete.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    digest = hashlib.blake2b(digest_size=16)
    description = [
        RUN_FORMAT,
        _own_version(),
        torch.__version__,
        type(objective).__qualname__,
        repr(objective),
        dict(settings),
        _trial(objective, panels[0]),
    ]
    text = json.dumps(description, sort_keys=True, default=repr)
    digest.update(text.encode())
    for name, tensor in objective.state_dict().items():
        array = tensor.detach().cpu().numpy()
        _hash_array(digest, name, array)
    for number, panel in enumerate(panels):
        _hash_panel(digest, f"panel {number}", panel)
    return digest.hexdigest()


def _own_version() -> str | None:
    try:
        return version("fei-sklearn")
    except PackageNotFoundError:  # a checkout that was not installed
        return None


def _trial(
    objective: Objective,
    panel: Panel,
) -> list[float]:
    """Return rounded summaries of an objective's losses, gradients and embeddings.

    Rounding hides the last bits, in which processors and numbers of threads differ.
    """
    tried = copy.deepcopy(objective)
    n_rows = min(len(panel), TRIED_ROWS)
    batch = panel.take(np.arange(n_rows)).batch(torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    tried.train()
    losses = tried(*batch, generator=generator)
    losses.loss.backward()
    gradients = [p.grad for p in tried.parameters() if p.grad is not None]
    summaries = _summary(losses) + _summary(gradients)
    encoder = getattr(tried, "encoder", None)
    if encoder is not None:
        tried.eval()
        with torch.no_grad():
            summaries += _summary([encoder(batch[0])])
    return summaries


def _summary(tensors: Iterable[Tensor]) -> list[float]:
    """Return the norm of tensors and their direction along a fixed vector, rounded."""
    flat = [tensor.detach().double().flatten() for tensor in tensors]
    values = torch.cat(flat)
    norm = values.norm().item()
    if not math.isfinite(norm) or norm == 0.0:
        return [norm]
    positions = torch.arange(1, len(values) + 1, dtype=torch.float64)
    projection = values @ positions.sin()
    direction = projection.item() / norm
    rounded_norm = float(f"{norm:.3e}")
    rounded_direction = round(direction, 3) + 0.0  # -0.0 would have another text than 0.0
    return [rounded_norm, rounded_direction]


def _hash_panel(
    digest: hashlib.blake2b,
    name: str,
    panel: Panel,
) -> None:
    for start in range(0, len(panel), CHUNK_ROWS):
        end = min(start + CHUNK_ROWS, len(panel))
        rows = np.arange(start, end)
        chunk = panel.take(rows)
        _hash_array(digest, name, np.asarray(chunk.values))
        _hash_array(digest, name, chunk.lengths)
        _hash_array(digest, name, chunk.targets)


def _hash_array(
    digest: hashlib.blake2b,
    name: str,
    array: np.ndarray | None,
) -> None:
    layout = None
    if array is not None:
        layout = (array.dtype.str, array.shape)
    description = repr((name, layout))
    digest.update(description.encode())
    if array is not None:
        contiguous = np.ascontiguousarray(array)
        digest.update(contiguous.data)
