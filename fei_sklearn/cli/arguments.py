"""Arguments that several commands share."""

from __future__ import annotations

import argparse
import ast
from typing import Any

STANDARDISE = ("time-index", "model")


def add_data(
    parser: argparse.ArgumentParser, help: str = "dataset name or path", optional: bool = False
) -> None:
    """Add the positional DATA and the folder in which names are looked up."""
    parser.add_argument("dataset", metavar="DATA", help=help, nargs="?" if optional else None)
    parser.add_argument("--data", metavar="DIR", help="folder in which a dataset name is looked up")


def add_machine(parser: argparse.ArgumentParser) -> None:
    """Add where to compute."""
    group = parser.add_argument_group("machine")
    group.add_argument("--device", default="auto", help="cpu, cuda, cuda:1, mps (default: auto)")
    group.add_argument("--jobs", type=int, metavar="N", help="threads on the CPU, -1 for all cores")
    group.add_argument("--quiet", action="store_true", help="no progress on stderr")


def add_embedder(parser: argparse.ArgumentParser) -> None:
    """Add the parameters of FEIEmbedder."""
    group = parser.add_argument_group("pretraining")
    group.add_argument("--encoder", help="tiny, small, norm, big, or a width")
    group.add_argument("--epochs", type=int, metavar="N", help="most epochs")
    group.add_argument("--batch-size", metavar="N", help="series in a step, or auto")
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="assignments",
        help="any parameter of FEIEmbedder, such as mask_ratio=0.0,0.5; may be repeated",
    )


def embedder_params(args: argparse.Namespace) -> dict[str, Any]:
    """Parameters of FEIEmbedder that the command line spells, later ones over earlier ones.

    Raises
    ------
    ValueError
        For something other than KEY=VALUE.
    """
    params: dict[str, Any] = {}
    options = {"encoder": args.encoder, "max_epochs": args.epochs, "batch_size": args.batch_size}
    params |= {name: _value(value) for name, value in options.items() if value is not None}
    for assignment in args.assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(f"--set takes KEY=VALUE, got {assignment!r}.")
        params[name] = _value(value)
    return params


def _value(text: Any) -> Any:
    """A Python literal, a tuple where there are commas, or else the text."""
    if not isinstance(text, str):
        return text
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        pass
    if "," in text:
        return tuple(_value(part.strip()) for part in text.split(","))
    return text
