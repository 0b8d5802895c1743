"""Arguments that several commands share."""

from __future__ import annotations

import argparse
import ast
from typing import Any, TypeAlias

#: Subparsers to which a command adds its own.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_data(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """Add the positional DATA and the folder in which names are looked up."""
    parser.add_argument(
        "dataset",
        metavar="DATA",
        help="dataset name or path",
        nargs="?" if optional else None,
    )
    parser.add_argument("--data", metavar="DIR", help="folder in which a dataset name is looked up")
    add_label(parser)


def add_label(parser: argparse.ArgumentParser) -> None:
    """Add the column of labels."""
    parser.add_argument(
        "--label",
        metavar="NAME",
        help="column of labels in .csv, .parquet and .arff files (default: label, class or target)",
    )


def add_machine(parser: argparse.ArgumentParser) -> None:
    """Add where to compute."""
    group = parser.add_argument_group("machine")
    devices = "cpu, cuda, cuda:1, mps, xpu (default: auto)"
    group.add_argument("--device", default="auto", help=devices)
    group.add_argument("--jobs", type=int, metavar="N", help="threads on the CPU, -1 for all cores")
    group.add_argument("--quiet", action="store_true", help="no progress on stderr")


def add_embedder(parser: argparse.ArgumentParser) -> None:
    """Add the parameters of FEIEmbedder."""
    group = parser.add_argument_group("pretraining")
    group.add_argument("--encoder", help="dilated (default), tiny, small, norm, big, or a width")
    group.add_argument("--epochs", type=int, metavar="N", help="largest number of epochs")
    group.add_argument("--batch-size", metavar="N", help="series per step, or auto")
    group.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="assignments",
        help="any parameter of FEIEmbedder, such as mask_ratio=0.0,0.5; may be repeated",
    )


def embedder_params(args: argparse.Namespace) -> dict[str, Any]:
    """Return the parameters of FEIEmbedder on the command line; later ones replace earlier ones.

    Raises
    ------
    ValueError
        For an assignment that is not KEY=VALUE.
    """
    params: dict[str, Any] = {}
    if args.encoder is not None:
        params["encoder"] = _value(args.encoder)
    if args.epochs is not None:
        params["max_epochs"] = args.epochs
    if args.batch_size is not None:
        params["batch_size"] = _value(args.batch_size)
    for assignment in args.assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(f"--set needs KEY=VALUE, got {assignment!r}.")
        params[name] = _value(value)
    return params


def split_names(text: str) -> list[str]:
    """Return the names between the commas of a text."""
    names = text.split(",")
    return [name.strip() for name in names]


def _value(text: str) -> Any:
    """Return a Python literal, a tuple where there are commas, or else the text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        pass
    if "," in text:
        return tuple(_value(name) for name in split_names(text))
    return text
