"""Cost of a step in parameters, bytes and operations, and the bytes a network has to carry.

    python benchmarks/scaling.py                       # the table, counted on this machine
    python benchmarks/scaling.py --processes 2         # steps per second of 1 and 2 processes here

The table counts: nothing in it was timed. Operations are those of convolutions and matrix products,
of the encoder forward and backward and of the target encoder forward. Activations are the tensors
that autograd keeps for the backward pass, in float32.
"""

from __future__ import annotations

import argparse
import statistics

import numpy as np
import torch
from results import table_head, table_row
from torch.utils.flop_counter import FlopCounterMode

from fei_sklearn import FEIEmbedder
from fei_sklearn.encoder.layers import MaskedBatchNorm1d
from fei_sklearn.encoder.resnet import ENCODER_WIDTHS, FEIEncoder
from fei_sklearn.objectives.fei import FEIObjective

N_SAMPLES = 8

COLUMNS = (
    "encoder",
    "parameters (M)",
    "trained (M)",
    "state on a device (MB)",
    "gradients a step (MB)",
    "batch norms, forward and backward",
    "operations a series (G)",
    "activations a series (MB)",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--processes", type=int, help="time this many processes beside one")
    parser.add_argument("--encoder", default="small", help="encoder to time")
    parser.add_argument("--batch-size", type=int, default=128, help="of all processes together")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    if args.processes:
        compare(args)
    else:
        print_counts(args.length)


def print_counts(length: int) -> None:
    print(table_head(COLUMNS))
    for encoder in ENCODER_WIDTHS:
        print(table_row([encoder, *count(encoder, length)]), flush=True)


def count(encoder: str, length: int) -> list[str]:
    """Return one row of the table."""
    width = ENCODER_WIDTHS[encoder]
    objective = FEIObjective(FEIEncoder(1, width), width=width, n_timepoints=length).train()
    n_operations, n_kept_bytes = count_step(objective, length)
    n_parameters = sum(p.numel() for p in objective.parameters())
    n_trained = sum(p.numel() for p in objective.parameters() if p.requires_grad)
    n_norms = sum(isinstance(m, MaskedBatchNorm1d) for m in objective.encoder.modules())
    n_state = n_parameters + 3 * n_trained  # weights; gradients and two moments of AdamW
    return [
        f"{n_parameters / 1e6:.2f}",
        f"{n_trained / 1e6:.2f}",
        f"{4 * n_state / 1e6:.0f}",
        f"{4 * n_trained / 1e6:.1f}",
        f"{2 * n_norms} and {n_norms}",
        f"{n_operations / N_SAMPLES / 1e9:.3f}",
        f"{n_kept_bytes / N_SAMPLES / 1e6:.2f}",
    ]


def count_step(objective: FEIObjective, length: int) -> tuple[int, int]:
    """Return the operations of a step, and the bytes that autograd keeps during it."""
    x = torch.randn(N_SAMPLES, 1, length)
    weights = {p.data_ptr() for p in objective.parameters()}
    n_bytes: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            n_bytes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with FlopCounterMode(display=False) as counter:
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = objective(x).loss
        loss.backward()
    return counter.get_total_flops(), sum(n_bytes.values())


def compare(args: argparse.Namespace) -> None:
    """Print seconds per epoch of one process and of several, in turns, and their ratio."""
    X = np.random.default_rng(0).normal(size=(8 * args.batch_size, 1, args.length))
    seconds: dict[int, list[float]] = {1: [], args.processes: []}
    for _ in range(args.repeats):
        for n_devices, times in seconds.items():
            times.append(seconds_per_epoch(X, n_devices, args))
            print(f"{n_devices} processes: {times[-1]:.2f} s an epoch of 8 steps", flush=True)
    one, several = (statistics.median(times) for times in seconds.values())
    print(f"medians {one:.2f} and {several:.2f} s: {one / several:.2f} times as fast")


def seconds_per_epoch(X: np.ndarray, n_devices: int, args: argparse.Namespace) -> float:
    """Return the median over all epochs but the first, which warms up."""
    embedder = FEIEmbedder(
        args.encoder,
        max_epochs=3,
        min_epoch_steps=1,
        batch_size=args.batch_size,
        validation_fraction=None,
        device="cpu",
        n_devices=n_devices,
        n_jobs=n_devices,  # one thread for each
        pooling="mean",
        random_state=0,
    )
    embedder.fit(X)
    return statistics.median(record["seconds"] for record in embedder.history_[1:])


if __name__ == "__main__":
    main()
