"""Cost of a step in parameters, bytes and operations, and the bytes a network has to carry.

    python benchmarks/scaling.py --out scaling.jsonl   # the counts
    python benchmarks/scaling.py --processes 2         # steps per second of 1 and 2 processes here

The first command counts; it times nothing. Operations are those of convolutions and matrix
products, of the encoder forward and backward and of the target encoder forward. Activations are
the tensors that autograd keeps for the backward pass, in float32.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import numpy as np
import torch
from results import append_json, markdown_table
from torch.utils.flop_counter import FlopCounterMode

from fei_sklearn import FEIEmbedder
from fei_sklearn.encoder.layers import MaskedBatchNorm1d
from fei_sklearn.encoder.resnet import ENCODER_WIDTHS, FEIEncoder
from fei_sklearn.objectives.fei import FEIObjective

N_SAMPLES = 8

#: Bytes per value of float32.
VALUE = 4

#: Assumed rates of a network, in Gb/s, and of a device, in floating-point operations per second.
NETWORKS = (10, 100, 400)
BETWEEN_MACHINES = 100
DEVICE_FLOPS = 20e12

#: Assumed seconds until a small message arrives, within a machine and between machines.
LATENCY_WITHIN = 20e-6
LATENCY_BETWEEN = 50e-6

#: Series per step that devices share.
BATCHES = (512, 8192)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--out", type=Path, help="JSON lines, one per encoder")
    parser.add_argument("--processes", type=int, help="time this many processes beside one")
    parser.add_argument("--encoder", default="small", help="encoder to time")
    parser.add_argument("--batch-size", type=int, default=128, help="of all processes together")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    if args.processes:
        compare(args)
        return
    records = [count(encoder, args.length) for encoder in ENCODER_WIDTHS]
    for record in records:
        append_json(args.out, record)
    for table in (step_table, network_table, device_table):
        print(table(records), end="\n\n")


def count(encoder: str, length: int) -> dict:
    """Return the parameters, batch norms, operations and kept bytes of an encoder's step."""
    width = ENCODER_WIDTHS[encoder]
    objective = FEIObjective(FEIEncoder(1, width), width=width, n_timepoints=length).train()
    n_operations, n_kept_bytes = count_step(objective, length)
    return {
        "encoder": encoder,
        "length": length,
        "parameters": sum(p.numel() for p in objective.parameters()),
        "trained": sum(p.numel() for p in objective.parameters() if p.requires_grad),
        "norms": sum(isinstance(m, MaskedBatchNorm1d) for m in objective.encoder.modules()),
        "operations per series": n_operations / N_SAMPLES,
        "bytes per series": n_kept_bytes / N_SAMPLES,
    }


def step_table(records: list[dict]) -> str:
    """Return parameters, memory and operations of a step by encoder."""
    rows = []
    for record in records:
        n_trained = record["trained"]
        n_state = record["parameters"] + 3 * n_trained  # gradients and two moments of AdamW
        rows.append(
            [
                record["encoder"],
                f"{record['parameters'] / 1e6:.2f}",
                f"{n_trained / 1e6:.2f}",
                f"{VALUE * n_state / 1e6:.0f}",
                f"{VALUE * n_trained / 1e6:.1f}",
                f"{record['operations per series'] / 1e9:.3f}",
                f"{record['bytes per series'] / 1e6:.2f}",
            ]
        )
    columns = [
        "encoder",
        "parameters (M)",
        "trained (M)",
        "state on a device (MB)",
        "gradients per step (MB)",
        "operations per series (G)",
        "activations per series (MB)",
    ]
    return markdown_table(columns, rows)


def network_table(records: list[dict]) -> str:
    """Return the time of a step on the network: gradients by rate, and batch norm."""
    rows = []
    for record in records:
        n_bytes = 2 * VALUE * record["trained"]
        within = norm_seconds(record, LATENCY_WITHIN)
        between = norm_seconds(record, LATENCY_BETWEEN)
        norms = f"{1e3 * within:.1f} / {1e3 * between:.1f} ms"
        times = [f"{1e3 * seconds_for(n_bytes, rate):.3g} ms" for rate in NETWORKS]
        rows.append([record["encoder"], f"{n_bytes / 1e6:.3g} MB", *times, norms])
    rates = [f"{rate} Gb/s" for rate in NETWORKS]
    columns = ["encoder", "gradients, both ways", *rates, "batch norm within / between machines"]
    return markdown_table(columns, rows)


def device_table(records: list[dict]) -> str:
    """Return how many devices a batch can feed before half of their time goes to the network."""
    rows = []
    for record in records:
        per_series = record["operations per series"] / DEVICE_FLOPS
        gradients = seconds_for(2 * VALUE * record["trained"], BETWEEN_MACHINES)
        network = gradients + norm_seconds(record, LATENCY_BETWEEN)
        n_series = network / per_series
        devices = [max(round(batch / n_series), 1) for batch in BATCHES]
        rows.append([record["encoder"], f"{1e6 * per_series:.3g}", f"{n_series:.0f}", *devices])
    columns = [
        "encoder",
        "microseconds per series",
        "series per device at which half is network",
        *(f"devices at a batch of {batch}" for batch in BATCHES),
    ]
    return markdown_table(columns, rows)


def seconds_for(n_bytes: int, rate: float) -> float:
    """Return the seconds that bytes take at a rate in Gb/s."""
    return 8 * n_bytes / (rate * 1e9)


def norm_seconds(record: dict, latency: float) -> float:
    """Return the seconds of the messages of batch norm: two per layer forward, one backward."""
    return 3 * record["norms"] * latency


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
