"""The command ``fei-sklearn``, also ``python -m fei_sklearn``.

Exit codes: 0 done, 1 something failed during the work, 2 bad arguments, 130 interrupted. Results
are printed on stdout, progress and messages on stderr.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence

from fei_sklearn import __version__
from fei_sklearn.cli import embed, evaluate, pretrain, report
from fei_sklearn.cli.messages import (
    BAD_ARGUMENTS,
    FAILED,
    INTERRUPTED,
    WorkError,
    complain,
    sentence,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, default=None
        Arguments; None uses the process's.

    Returns
    -------
    int
        Exit code.

    Raises
    ------
    SystemExit
        After ``--help`` and ``--version``, and, with code 2, for arguments that do not parse.
    """
    parser = _parser()
    args = parser.parse_args(argv)
    for name, value in vars(args).items():
        if value == "":  # an unset variable of the shell
            parser.error(f"argument {name} is empty: give a value, or leave the argument out.")
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        return _run(args)


def _run(args: argparse.Namespace) -> int:
    """Run a command, and return its exit code or the code of its error."""
    try:
        code = int(args.run(args))
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        complain("interrupted; what was complete is kept.")
        return INTERRUPTED
    except BrokenPipeError:  # the reader of stdout ended first, as `head` does
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
        return FAILED
    except WorkError as error:
        complain(f"error: {error}")
        return FAILED
    except (ValueError, TypeError, OSError) as error:
        complain(f"error: {sentence(error)}")
        return BAD_ARGUMENTS


def _show_warning(message: Warning | str, *where: object, **more: object) -> None:
    complain(f"warning: {sentence(message)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fei-sklearn",
        description="Self-supervised embeddings of time series: pretrain, embed, evaluate, report.",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (pretrain, embed, evaluate, report):
        command.add_to(commands)
    return parser
