"""Too little memory on the device: transform takes smaller slices, and fit names a batch size."""

from __future__ import annotations

import torch

from fei_sklearn import FEIEmbedder
from gpu.estimators import TOLERANCE
from gpu.panels import difference, sines
from gpu.setting import Setting

#: Bytes that the process may take: less than one map of 256 series of 4,096 points needs.
LIMIT = 2**28

N_TIMEPOINTS = 4096


def run_short(setting: Setting) -> str:
    """Return what happens under the limit, or raise if it is not what is documented."""
    setting.require_cuda("torch limits the memory of CUDA devices alone")
    X, _ = sines(300, N_TIMEPOINTS)
    embedder = FEIEmbedder("small", max_epochs=0, random_state=0, device=setting.device).fit(X)
    expected = embedder.transform(X)
    torch.cuda.empty_cache()
    _, n_bytes = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction(LIMIT / n_bytes)
    apart = difference(embedder.transform(X), expected)
    if apart > TOLERANCE:
        raise ArithmeticError(f"Embeddings in slices differ by {apart:.1e} standard deviations.")
    message = _message_of_fit(setting.device)
    return (
        f"With {LIMIT / 2**20:.0f} MiB, transform of {len(X)} series of {N_TIMEPOINTS} points "
        f"ends, and embeddings differ by {apart:.1e} standard deviations. fit raises "
        f"`ValueError: {message}`"
    )


def _message_of_fit(device: str) -> str:
    """Return the message of a fit that needs more memory, or raise if it names no batch size."""
    X, _ = sines(512, N_TIMEPOINTS)
    embedder = FEIEmbedder("small", max_epochs=1, random_state=0, device=device)
    try:
        embedder.fit(X)
    except ValueError as error:
        if "batch_size" in str(error):
            return str(error)
        raise
    raise RuntimeError("A fit that needs more than the limit ended without an error.")
