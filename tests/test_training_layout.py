"""What training is fast by: its memory layout on the CPU, with the same numbers; no syncs."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from fei_sklearn.encoder.layers import Conv1d, MaskedBatchNorm1d, time_first
from fei_sklearn.encoder.resnet import FEIEncoder
from fei_sklearn.masking import MASK_KINDS
from fei_sklearn.objectives.fei import FEIObjective
from fei_sklearn.readout.pooling import pool


def test_batch_norm_and_its_statistics_are_torchs():
    x = torch.randn(6, 4, 9, dtype=torch.float64)
    ours, torchs = MaskedBatchNorm1d(4).double(), nn.BatchNorm1d(4).double()
    for norm, series in ((ours, time_first(x)), (torchs, x)):
        norm(series)
    for name, value in torchs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-12, atol=0)
    torch.testing.assert_close(ours(time_first(x)), torchs(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n_channels", [1, 2])
def test_in_training_every_map_keeps_the_layout(n_channels):
    layouts = {True: set(), False: set()}

    def note(module, _, out):
        if min(out.shape[1:]) > 1:
            layouts[module.training].add(out.stride()[1] == 1)

    encoder = FEIEncoder(n_channels, 16)
    for module in encoder.modules():
        if isinstance(module, Conv1d | MaskedBatchNorm1d):
            module.register_forward_hook(note)
    x = torch.randn(4, n_channels, 64)
    encoder.train()(x)
    encoder.eval()(x)
    assert layouts == {True: {True}, False: {False}}


class GradientLayouts(TorchDispatchMode):
    """Notes for each operation whether the gradient that it is given has channels side by side."""

    def __init__(self):
        super().__init__()
        self.of = {}

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        if operation.__name__.endswith("_backward.default"):
            # GELU is given the plain array below, images keep their channels side by side
            grad = args[0]
            kept = grad.is_contiguous() if grad.ndim == 3 else grad.stride(1) == 1
            self.of.setdefault(operation.__name__, []).append(kept)
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize("statistic", ["mean", "max", "std"])
def test_every_gradient_keeps_the_layout(statistic):
    encoder = FEIEncoder(2, 16).train()
    loss = pool(encoder(torch.randn(4, 2, 64)), statistic=statistic).square().sum()
    with GradientLayouts() as layouts:
        loss.backward()
    names = ("native_batch_norm_backward", "gelu_backward", "convolution_backward")
    for name in names:
        of_operation = layouts.of[f"{name}.default"]
        assert len(of_operation) >= 17 and all(of_operation)


@pytest.mark.parametrize("mask_kind", MASK_KINDS)
def test_no_value_is_asked_for_in_a_step(mask_kind):
    # on the meta device there are none: whoever asks, as a GPU is synchronised to answer, fails
    objective = FEIObjective(
        FEIEncoder(2, 16), width=16, n_timepoints=64, mask_kind=mask_kind, n_targets=2
    )
    objective.to("meta").train()
    optimizer = torch.optim.AdamW(objective.parameters(), foreach=True)
    losses = objective(torch.empty(4, 2, 64, device="meta"))
    losses.loss.backward()
    optimizer.step()
    objective.update_target(0.99)
    assert all(loss.device.type == "meta" and loss.shape == () for loss in losses)
    with pytest.raises(RuntimeError):
        losses.loss.item()
