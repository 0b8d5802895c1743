"""What has to be set before anything is imported: threads, and scikit-learn's array API checks."""

from __future__ import annotations

import os

# Idle OpenMP threads spin, which takes seconds on a busy machine; scikit-learn skips a check
# without its array API switch; and matplotlib may find a screen.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
os.environ["SCIPY_ARRAY_API"] = "1"
os.environ["MPLBACKEND"] = "Agg"

import numpy as np
import pytest
import torch
from quick import quick

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def whole_float32_on_cuda(request):
    """Switch TF32 off in tests marked cuda: it has three digits, and is torch's default there."""
    if request.node.get_closest_marker("cuda") is None:
        yield
        return
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


@pytest.fixture(scope="module")
def front():
    """A fitted embedder with a front, and its panel."""
    panel = np.random.default_rng(0).normal(size=(20, 1, 40)).cumsum(axis=-1)
    embedder = quick(encoder="dilated", pooling="auto", n_components=6).fit(panel)
    return embedder.set_params(n_components=None), panel
