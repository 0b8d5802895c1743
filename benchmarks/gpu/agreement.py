"""One step on the device and on the CPU, from the same weights, series and masks."""

from __future__ import annotations

import itertools

import torch

from fei_sklearn.data import Panel
from fei_sklearn.encoder.resnet import FEIEncoder
from fei_sklearn.masking import MASK_KINDS, n_positions, sample_mask
from fei_sklearn.objectives.fei import FEIObjective
from gpu.panels import padded_panel, sines
from gpu.report import table
from gpu.setting import Setting

N_SERIES = 16
N_TIMEPOINTS = 96
WIDTH = 64

#: Largest relative difference of losses and gradients in float32, TF32 switched off.
TOLERANCE = 1e-3


def compare_steps(setting: Setting) -> str:
    """Return a table of differences, or raise if one is too large."""
    rows = []
    largest = 0.0
    for kind, are_unequal in itertools.product(MASK_KINDS, (False, True)):
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            loss, gradient = _differences(setting.device, kind, are_unequal)
        largest = max(largest, loss, gradient)
        lengths = "unequal" if are_unequal else "equal"
        rows.append([f"{kind}, {lengths}", f"{loss:.1e}", f"{gradient:.1e}"])
    head = ["masks and lengths", "loss", "gradient"]
    text = f"Relative differences in float32, without TF32.\n\n{table(head, rows)}"
    if largest > TOLERANCE:
        raise ArithmeticError(f"A difference of {largest:.1e} is above {TOLERANCE}.\n\n{text}")
    return text


def _differences(device: str, kind: str, are_unequal: bool) -> tuple[float, float]:
    """Return the relative differences of the loss and of all gradients together."""
    loss, gradient = _step("cpu", kind, are_unequal)
    own_loss, own_gradient = _step(device, kind, are_unequal)
    loss_difference = (own_loss - loss).abs() / loss
    gradient_difference = (own_gradient - gradient).norm() / gradient.norm()
    return loss_difference.item(), gradient_difference.item()


def _step(device: str, kind: str, are_unequal: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the loss of a batch and its gradient, on the CPU in float64."""
    generator = torch.Generator().manual_seed(0)
    encoder = FEIEncoder(1, WIDTH, generator=generator)
    objective = FEIObjective(
        encoder, width=WIDTH, n_timepoints=N_TIMEPOINTS, mask_kind=kind, generator=generator
    )
    objective.to(device).train()
    X, _ = sines(N_SERIES, N_TIMEPOINTS)
    panel = padded_panel(X) if are_unequal else Panel(X)
    n_own = N_TIMEPOINTS
    if panel.lengths is not None:
        n_own = torch.from_numpy(panel.lengths)
    masks = sample_mask(N_SERIES, n_positions(n_own, kind), kind=kind, generator=generator)
    x, lengths = panel.batch(torch.device(device))
    losses = objective(x, lengths, masks=masks.to(device))
    losses.loss.backward()
    gradients = [p.grad.flatten() for p in objective.parameters() if p.grad is not None]
    return losses.loss.detach().cpu().double(), torch.cat(gradients).cpu().double()
