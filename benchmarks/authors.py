"""Steps per second of pretraining, beside the authors' own code.

    python benchmarks/authors.py --repo PATH [--sizes tiny small] [--steps 5] [--device cpu]

PATH is a checkout of the authors' repository on GitHub,
USTBInnovationPark/Frequency-masked-Embedding-Inference. Both sides train the same encoder on the
same series, in batches of one size, and take their steps in turn: what else the machine does falls
on both. Printed are medians over the steps, their ratio, and the time from data in memory to the
first step's beginning. Seconds are the process's CPU time on one thread of a CPU, which does not
count its waiting for a core, and wall time elsewhere.

A step of the authors' is what their ``train_model`` does between two batches: batch from their kind
of loader, masks from their pool, loss, gradients, the norms and losses that they log, optimiser,
momentum. Their files on disk, and plots once an epoch, are left out.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import platform
import statistics
import sys
import time
import types
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

import numpy as np
import torch

from fei_sklearn._bridge.devices import resolve_precision
from fei_sklearn.data import Panel
from fei_sklearn.encoder.resnet import ENCODER_WIDTHS, FEIEncoder
from fei_sklearn.objectives.fei import FEIObjective
from fei_sklearn.training.loop import Session
from fei_sklearn.training.options import TrainingOptions

Step = Callable[[], None]


def authors_step(repo: str, size: str, x: np.ndarray, batch_size: int, device: str) -> Step:
    """Set the authors' code up as its ``pre_train`` does; a step of it."""
    if repo not in sys.path:
        sys.path.insert(0, repo)
    with suppress(ImportError):  # only writes curves, once an epoch
        importlib.import_module("torch.utils.tensorboard")
    if "torch.utils.tensorboard" not in sys.modules:
        stub = types.ModuleType("torch.utils.tensorboard")
        stub.SummaryWriter = object
        sys.modules["torch.utils.tensorboard"] = stub
    from config.configs import FEIConfig
    from models.pretrain_models import FEIModel

    config = FEIConfig()
    config.device, config.encoder_size = device, size
    config.pretrain_sample_length, config.pretrain_batch_size = x.shape[2], batch_size
    FEIModel.logger = logging.getLogger("authors")  # theirs makes a file
    model = FEIModel(config)
    series = torch.from_numpy(x.transpose(0, 2, 1).copy())
    data = torch.utils.data.TensorDataset(series, torch.zeros(len(series)))
    model.train_loader = torch.utils.data.DataLoader(
        data, batch_size, shuffle=True, num_workers=0, pin_memory=device != "cpu"
    )
    model.criterion = torch.nn.MSELoss()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=config.pretrain_lr)
    model.generate_masks(
        model.mask_pool_size, x.shape[2], config.reduce_mask_ratio, config.target_num
    )
    model.train()
    batches = forever(lambda: iter(model.train_loader))

    def step() -> None:
        x, y = (part.to(torch.float32).to(device) for part in next(batches))
        loss = model.compute_loss(x, y, model.criterion)
        optimizer.zero_grad()
        loss.backward()
        model.iter_end_before_opt(0)
        optimizer.step()
        loss.item()
        model.iter_end(0)

    return step


def our_step(size: str, x: np.ndarray, batch_size: int, device: str, precision: str) -> Step:
    """A step of the loop that `FEIEmbedder.fit` runs."""
    generator = torch.Generator().manual_seed(0)
    width = ENCODER_WIDTHS[size]
    objective = FEIObjective(
        FEIEncoder(1, width, generator=generator),
        width=width,
        n_timepoints=x.shape[2],
        generator=generator,
    )
    where = torch.device(device)
    options = TrainingOptions(
        max_epochs=100,
        min_epoch_steps=1,
        batch_size=batch_size,
        learning_rate=2e-4,
        lr_decay=0.9,
        momentum=0.995,
        n_iter_no_change=None,
        device=where,
        precision=resolve_precision(precision, where),
        seed=0,
    )
    run = Session(objective, Panel(x), None, options)
    run.module.train()
    rows = forever(run.epoch_rows)

    def step() -> None:
        taken = next(rows)
        losses = run.train_step(run.batch(taken), 0)
        run.progress.losses.add(losses, len(taken))

    return step


def forever(begin: Callable[[], Iterator]) -> Iterator:
    """The items of one pass after the other."""
    while True:
        yield from begin()


def seconds(work: Callable[[], object], device: str) -> float:
    alone = device == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if alone else time.perf_counter
    started = clock()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - started


def compare(size: str, args: argparse.Namespace) -> None:
    """Print a line for each precision of ours."""
    n_series = args.batch_size * max(args.steps, 2)
    x = np.random.default_rng(0).normal(size=(n_series, 1, args.length)).astype(np.float32)
    given = (size, x, args.batch_size, args.device)
    sides = {"authors": partial(authors_step, args.repo, *given)}
    sides |= {precision: partial(our_step, *given, precision) for precision in args.precisions}
    steps: dict[str, Step] = {}

    def begin(name: str, build: Callable[[], Step]) -> None:
        steps[name] = build()

    before, times = {}, {name: [] for name in sides}
    for name, build in sides.items():
        before[name] = seconds(partial(begin, name, build), args.device)
        seconds(steps[name], args.device)  # warms up
    for _ in range(args.steps):
        for name, step in steps.items():
            times[name].append(seconds(step, args.device))
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    for name, median in medians.items():
        print(
            f"{size:6s} {name:12s} {median:8.4f} s a step  {1 / median:7.2f} steps/s  "
            f"{medians['authors'] / median:5.2f} x authors  {before[name]:6.2f} s before the first",
            flush=True,
        )


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
    args = parser.parse_args()
    args.repo = os.path.abspath(args.repo)
    if not os.path.isfile(os.path.join(args.repo, "models", "pretrain_models.py")):
        parser.error(f"--repo {args.repo} has no models/pretrain_models.py: give a checkout.")
    torch.set_num_threads(args.threads)
    where = torch.cuda.get_device_name() if args.device != "cpu" else platform.processor()
    print(f"torch {torch.__version__}, {args.threads} thread(s), {where or platform.machine()}")
    for size in args.sizes:
        compare(size, args)


if __name__ == "__main__":
    main()
