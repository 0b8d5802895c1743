"""Steps per second of pretraining, beside the authors' own code.

    python benchmarks/authors.py --repo PATH [--sizes tiny small] [--steps 5] [--device cpu]
                                 [--out authors.jsonl]

PATH is a checkout of the authors' repository on GitHub,
USTBInnovationPark/Frequency-masked-Embedding-Inference. Both sides train the same encoder on the
same series, in batches of one size, and take their steps in turn, so that other load on the machine
falls on both. The script prints medians over the steps, their ratio, and the time from data in
memory to the beginning of the first step. Seconds are the process's CPU time on one thread of a
CPU, which does not count its waiting for a core, and wall time elsewhere.

A step of the authors' code is what their ``train_model`` does between two batches: batch from their
kind of loader, masks from their pool, loss, gradients, the norms and losses that they log,
optimiser, momentum. Their files on disk, and plots once an epoch, are left out.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import platform
import sys
import time
import types
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import torch
from results import append_json, markdown_table
from timing import Work, medians_in_turn
from training_step import Step, forever, our_step

from fei_sklearn.encoder.resnet import ENCODER_WIDTHS

AUTHORS = "the authors'"


def authors_step(repo: str, size: str, x: np.ndarray, batch_size: int, device: str) -> Step:
    """Set the authors' code up as its ``pre_train`` does, and return a function for one step."""
    model = authors_model(repo, size, x, batch_size, device)
    model.criterion = torch.nn.MSELoss()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=model.config.pretrain_lr)
    model.generate_masks(
        model.mask_pool_size, x.shape[2], model.config.reduce_mask_ratio, model.config.target_num
    )
    model.train()
    batches = forever(lambda: model.train_loader)

    def step() -> None:
        batch = [tensor.to(torch.float32).to(device) for tensor in next(batches)]
        loss = model.compute_loss(*batch, model.criterion)
        optimizer.zero_grad()
        loss.backward()
        model.iter_end_before_opt(0)
        optimizer.step()
        loss.item()
        model.iter_end(0)

    return step


def authors_model(repo: str, size: str, x: np.ndarray, batch_size: int, device: str):
    """Return the authors' model with a loader of the series."""
    import_tensorboard_or_stub()
    if repo not in sys.path:
        sys.path.insert(0, repo)
    from config.configs import FEIConfig
    from models.pretrain_models import FEIModel

    config = FEIConfig()
    config.device = device
    config.encoder_size = size
    config.pretrain_sample_length = x.shape[2]
    config.pretrain_batch_size = batch_size
    FEIModel.logger = logging.getLogger("authors")  # their logger makes a file
    model = FEIModel(config)
    model.config = config
    series = torch.from_numpy(x.transpose(0, 2, 1).copy())
    data = torch.utils.data.TensorDataset(series, torch.zeros(len(series)))
    model.train_loader = torch.utils.data.DataLoader(
        data, batch_size, shuffle=True, num_workers=0, pin_memory=device != "cpu"
    )
    return model


def import_tensorboard_or_stub() -> None:
    """Import tensorboard, which only writes curves once an epoch, or put an empty module there."""
    name = "torch.utils.tensorboard"
    with suppress(ImportError):
        importlib.import_module(name)
    if name not in sys.modules:
        stub = types.ModuleType(name)
        stub.SummaryWriter = object
        sys.modules[name] = stub


class Side:
    """A training run, and its step once the run has begun."""

    def __init__(self, build: Callable[[], Step]) -> None:
        self.build = build

    def begin(self) -> None:
        self.step = self.build()


def seconds_on(device: str, work: Work) -> float:
    """Return CPU time on one thread of a CPU, and wall time elsewhere."""
    on_one_thread = device == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if on_one_thread else time.perf_counter
    started = clock()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - started


def compare(size: str, args: argparse.Namespace) -> list[dict]:
    """Return a record of the authors' code and of each precision of ours."""
    n_series = args.batch_size * max(args.steps, 2)
    x = np.random.default_rng(0).normal(size=(n_series, 1, args.length)).astype(np.float32)
    setting = (size, x, args.batch_size, args.device)
    sides = {AUTHORS: Side(partial(authors_step, args.repo, *setting))}
    for precision in args.precisions:
        sides[f"ours, {precision}"] = Side(partial(our_step, *setting, precision))
    seconds = partial(seconds_on, args.device)
    seconds_before = {}
    for name, side in sides.items():
        seconds_before[name] = seconds(side.begin)
        side.step()  # warms up
    steps = {name: side.step for name, side in sides.items()}
    medians = medians_in_turn(steps, args.steps, seconds)
    return [
        {
            "encoder": size,
            "side": name,
            "batch size": args.batch_size,
            "seconds per step": median,
            "seconds before": seconds_before[name],
        }
        for name, median in medians.items()
    ]


def table(records: list[dict]) -> str:
    """Return the steps per second of both sides by encoder, and their ratio."""
    of_authors = {r["encoder"]: r["seconds per step"] for r in records if r["side"] == AUTHORS}
    rows = []
    for record in records:
        seconds = record["seconds per step"]
        ratio = of_authors[record["encoder"]] / seconds
        rows.append(
            [
                record["encoder"],
                record["side"],
                record["batch size"],
                f"{seconds:.3f}",
                f"{1 / seconds:.2f}",
                f"{ratio:.2f}",
                f"{record['seconds before']:.2f}",
            ]
        )
    columns = [
        "encoder",
        "side",
        "batch size",
        "seconds per step",
        "steps/s",
        "ratio",
        "seconds before the first step",
    ]
    return markdown_table(columns, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repo", required=True, help="a checkout of the authors' repository")
    parser.add_argument("--sizes", nargs="+", default=["tiny", "small"], choices=ENCODER_WIDTHS)
    parser.add_argument("--precisions", nargs="+", default=["32-true", "auto"])
    parser.add_argument("--steps", type=int, default=9)
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--length", type=int, default=178)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, help="JSON lines, one per encoder and side")
    args = parser.parse_args()
    args.repo = os.path.abspath(args.repo)
    if not os.path.isfile(os.path.join(args.repo, "models", "pretrain_models.py")):
        parser.error(f"--repo {args.repo} has no models/pretrain_models.py: give a checkout.")
    torch.set_num_threads(args.threads)
    on_gpu = args.device != "cpu"
    processor = torch.cuda.get_device_name() if on_gpu else platform.processor()
    machine = processor or platform.machine()
    print(f"torch {torch.__version__}, {args.threads} thread(s), {machine}")
    for size in args.sizes:
        records = compare(size, args)
        for record in records:
            append_json(args.out, record)
        print(table(records))


if __name__ == "__main__":
    main()
