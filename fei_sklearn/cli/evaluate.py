"""``fei-sklearn evaluate``: a model or a study on labelled sets, saved in a results file."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import redirect_stdout
from typing import TYPE_CHECKING

from fei_sklearn.cli.arguments import (
    Commands,
    add_embedder,
    add_label,
    add_machine,
    embedder_params,
)
from fei_sklearn.cli.messages import DONE, FAILED, complain, sentence
from fei_sklearn.evaluation import STUDIES
from fei_sklearn.evaluation.choices import HEADS, PROTOCOLS, READOUTS, STANDARDISE, TASKS
from fei_sklearn.evaluation.results import cell_name

if TYPE_CHECKING:
    from fei_sklearn.evaluation.cells import CellProgress


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "evaluate",
        help="evaluate a model, or the variants of a study",
        description="Evaluate on labelled sets. Each cell (model, set, seed) is a line of the "
        "results file; cells of the file are not computed again.",
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        nargs="?",
        help="folder of a saved model or its name, random, raw or minirocket; none with --study",
    )
    parser.add_argument("--data", metavar="DIR", required=True, help="folder of the sets")
    add_label(parser)
    parser.add_argument("--out", metavar="FILE", required=True, help="results file, .jsonl")
    parser.add_argument("--task", choices=TASKS, help="(default: both)")
    parser.add_argument("--protocol", choices=PROTOCOLS, default="probe", help="(default: probe)")
    parser.add_argument(
        "--sets", nargs="+", metavar="SET", help="names or patterns such as 'UCR:*' (default: all)"
    )
    parser.add_argument(
        "--seeds",
        nargs="+",
        type=int,
        default=[0],
        help="(default: 0)",
    )
    _add_settings(parser)
    parser.add_argument("--study", choices=sorted(STUDIES), help="evaluate a study's variants")
    parser.add_argument("--pretrain-on", metavar="DATA", help="what a study pretrains on")
    add_embedder(parser)
    add_machine(parser)
    parser.set_defaults(run=run)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """Add what changes a number apart from the model and the set."""
    parser.add_argument("--head", choices=HEADS, help="head of the probe")
    parser.add_argument(
        "--standardise",
        choices=STANDARDISE,
        help="per time index (default for linear and finetune), or by the model's own scaling",
    )
    parser.add_argument(
        "--readout",
        choices=READOUTS,
        help="mean of the last stage (default for linear and finetune), or the model's own readout",
    )
    parser.add_argument(
        "--paper-protocol",
        action=argparse.BooleanOptionalAction,
        help="cut the paper's sets as the paper does (default for linear and finetune)",
    )
    parser.add_argument("--most", type=int, metavar="N", help="train on at most N series of a set")
    parser.add_argument(
        "--labels",
        nargs="+",
        type=int,
        metavar="N",
        help="give the probe's head N labels per class, or N targets; the seeds draw them",
    )


def run(args: argparse.Namespace) -> int:
    """Evaluate, and print a summary."""
    params = embedder_params(args)
    failed: list[str] = []
    started = time.monotonic()

    def on_cell(progress: CellProgress) -> None:
        if progress.is_new and not args.quiet:
            line = _line(progress, time.monotonic() - started)
            print(line, file=sys.stderr, flush=True)

    def on_failure(where: str, error: Exception) -> None:
        failed.append(where)
        complain(f"{where}: {sentence(error)}")

    from fei_sklearn.evaluation import evaluate
    from fei_sklearn.evaluation.report import plain_text
    from fei_sklearn.evaluation.tables import tables

    with redirect_stdout(sys.stderr):  # printed epochs are progress
        records = evaluate(
            args.model,
            data=args.data,
            sets=args.sets,
            task=args.task,
            protocol=args.protocol,
            seeds=args.seeds,
            out=args.out,
            study=args.study,
            pretrain_on=args.pretrain_on,
            params=params,
            head=args.head,
            standardise=args.standardise,
            readout=args.readout,
            paper_protocol=args.paper_protocol,
            most=args.most,
            labels=args.labels,
            label=args.label,
            device=args.device,
            n_jobs=args.jobs,
            on_cell=on_cell,
            on_failure=on_failure,
        )
    if records:
        print(plain_text(tables(records)))
    if failed:
        complain(f"{len(failed)} failed: {'; '.join(failed)}")
        return FAILED
    return DONE


def _line(progress: CellProgress, seconds: float) -> str:
    record = progress.record
    metrics = [f"{name} {value:.4f}" for name, value in record["metrics"].items()]
    measured = "  ".join(metrics)
    where = cell_name(record)
    return f"[{progress.n_done}/{progress.n_cells}] {where}: {measured}  ({seconds:.0f} s)"
