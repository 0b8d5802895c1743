"""``fei-sklearn pretrain``: a model from a dataset, without its labels."""

from __future__ import annotations

import argparse
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from fei_sklearn.cli.arguments import (
    STANDARDISE,
    add_data,
    add_embedder,
    add_machine,
    embedder_params,
)
from fei_sklearn.cli.messages import failing


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "pretrain",
        help="pretrain a model on a dataset",
        description="Pretrain FEIEmbedder on the training series of a dataset, or on the synthetic "
        "corpus of a bundled checkpoint's recipe, and save it.",
    )
    add_data(parser, optional=True)
    parser.add_argument("--recipe", metavar="NAME", help="how a bundled checkpoint was made")
    parser.add_argument(
        "--series", type=int, metavar="N", help="series of the recipe's corpus (default: its own)"
    )
    parser.add_argument("--out", required=True, metavar="MODEL", help="folder to save the model in")
    parser.add_argument("--seed", type=int, help="random state (default: 0, or the recipe's)")
    parser.add_argument(
        "--standardise",
        choices=STANDARDISE,
        default="model",
        help="per time index, as the paper does, or by the model's own scaling (default)",
    )
    parser.add_argument(
        "--paper-protocol", action="store_true", help="cut the paper's sets as it did"
    )
    add_embedder(parser)
    add_machine(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Pretrain and save."""
    if Path(args.out).is_file():
        raise ValueError(f"--out {args.out!r} is a file: give a folder for the model.")
    if (args.dataset is None) == (args.recipe is None):
        raise ValueError("Give DATA to pretrain on, or --recipe NAME, and not both.")
    from fei_sklearn._bridge.devices import resolve_device

    resolve_device(args.device)  # a bad argument, found out before hours of work
    embedder, n_series = _on_dataset(args) if args.recipe is None else _by_recipe(args)
    print(f"{args.out}: {n_series} series, {embedder.n_iter_} epochs, {_loss(embedder)}")
    return 0


def _by_recipe(args: argparse.Namespace) -> tuple[Any, int]:
    """The embedder of a recipe, saved, and the series of its corpus."""
    from fei_sklearn.recipes import RECIPES, pretrain_recipe

    params = {"verbose": 0 if args.quiet else 1, "device": args.device, "n_jobs": args.jobs}
    params |= embedder_params(args) | ({} if args.seed is None else {"random_state": args.seed})
    with failing():
        with redirect_stdout(sys.stderr):  # epochs are progress
            embedder = pretrain_recipe(args.recipe, n_series=args.series, **params)
        embedder.save(args.out)
    return embedder, args.series or RECIPES[args.recipe].n_series


def _on_dataset(args: argparse.Namespace) -> tuple[Any, int]:
    """An embedder pretrained on the training part of a dataset, saved, and its series."""
    from fei_sklearn.datasets import load_dataset
    from fei_sklearn.evaluation.models import check_params
    from fei_sklearn.evaluation.pretraining import Corpus

    params = embedder_params(args)
    embedder = check_params(
        {"verbose": 0 if args.quiet else 1}
        | params
        | {"device": args.device, "n_jobs": args.jobs, "random_state": args.seed or 0}
    )
    dataset = load_dataset(args.dataset, root=args.data, paper_protocol=args.paper_protocol)
    with failing():
        corpus = Corpus(dataset.X_train, per_time_index=args.standardise == "time-index")
        embedder.set_params(**corpus.scaling)
        with redirect_stdout(sys.stderr):  # epochs are progress
            embedder.fit(corpus.X)
        embedder.save(args.out)
    return embedder, len(corpus.X)


def _loss(embedder: Any) -> str:
    if not embedder.history_:
        return "untrained"
    best = embedder.history_[embedder.best_epoch_ - 1]
    name = "valid_loss" if "valid_loss" in best else "train_loss"
    return f"{name} {best[name]:.4f} in epoch {embedder.best_epoch_}"
