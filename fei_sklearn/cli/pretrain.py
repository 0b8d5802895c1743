"""``fei-sklearn pretrain``: a model from a dataset, without its labels."""

from __future__ import annotations

import argparse
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fei_sklearn.cli.arguments import (
    Commands,
    add_data,
    add_embedder,
    add_machine,
    embedder_params,
)
from fei_sklearn.cli.messages import DONE, failing
from fei_sklearn.evaluation.choices import STANDARDISE

if TYPE_CHECKING:
    from fei_sklearn import FEIEmbedder


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "pretrain",
        help="pretrain a model on a dataset",
        description="Pretrain FEIEmbedder on the training series of a dataset, or on the synthetic "
        "corpus of a bundled checkpoint's recipe, and save it.",
    )
    add_data(parser, optional=True)
    parser.add_argument("--recipe", metavar="NAME", help="recipe of a bundled checkpoint")
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
        "--paper-protocol", action="store_true", help="cut the paper's sets as the paper does"
    )
    add_embedder(parser)
    add_machine(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Pretrain and save."""
    if Path(args.out).is_file():
        raise ValueError(f"--out {args.out!r} is a file: give a folder for the model.")
    has_dataset = args.dataset is not None
    has_recipe = args.recipe is not None
    if has_dataset == has_recipe:
        raise ValueError("Give either DATA to pretrain on, or --recipe NAME.")
    from fei_sklearn._bridge.devices import resolve_device

    resolve_device(args.device)  # a bad device fails now, and not after hours of work
    if has_dataset:
        embedder, n_series = _on_dataset(args)
    else:
        embedder, n_series = _by_recipe(args)
    print(f"{args.out}: {n_series} series, {embedder.n_iter_} epochs, {_loss(embedder)}")
    return DONE


def _by_recipe(args: argparse.Namespace) -> tuple[FEIEmbedder, int]:
    """Return the saved embedder of a recipe, and the number of series of its corpus."""
    from fei_sklearn.recipes import RECIPES, pretrain_recipe

    params = {
        "verbose": _verbosity(args),
        "device": args.device,
        "n_jobs": args.jobs,
    }
    params |= embedder_params(args)
    if args.seed is not None:
        params["random_state"] = args.seed
    with failing():
        with redirect_stdout(sys.stderr):  # printed epochs are progress
            embedder = pretrain_recipe(args.recipe, n_series=args.series, **params)
        embedder.save(args.out)
    return embedder, args.series or RECIPES[args.recipe].n_series


def _on_dataset(args: argparse.Namespace) -> tuple[FEIEmbedder, int]:
    """Return the saved embedder of a dataset's training part, and its number of series."""
    from fei_sklearn.datasets import load_dataset
    from fei_sklearn.evaluation.models import embedder_of
    from fei_sklearn.evaluation.pretraining import Corpus

    params: dict[str, Any] = {"verbose": _verbosity(args)}
    params |= embedder_params(args)
    params["device"] = args.device
    params["n_jobs"] = args.jobs
    params["random_state"] = args.seed or 0
    embedder = embedder_of(params)
    dataset = load_dataset(
        args.dataset,
        root=args.data,
        label=args.label,
        paper_protocol=args.paper_protocol,
    )
    with failing():
        corpus = Corpus(dataset.X_train, per_time_index=args.standardise == "time-index")
        embedder.set_params(**corpus.scaling)
        with redirect_stdout(sys.stderr):  # printed epochs are progress
            embedder.fit(corpus.X)
        embedder.save(args.out)
    return embedder, len(corpus.X)


def _verbosity(args: argparse.Namespace) -> int:
    return int(not args.quiet)


def _loss(embedder: FEIEmbedder) -> str:
    if not embedder.history_:
        return "untrained"
    best = embedder.history_[embedder.best_epoch_ - 1]
    name = "valid_loss" if "valid_loss" in best else "train_loss"
    return f"{name} {best[name]:.4f} in epoch {embedder.best_epoch_}"
