"""The command ``fei-sklearn``, also ``python -m fei_sklearn``.

Exit codes: 0 done, 1 something failed on the way, 2 bad arguments, 130 interrupted. Results go to
stdout, progress and messages to stderr.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from fei_sklearn import __version__
from fei_sklearn.cli import embed, evaluate, pretrain, report
from fei_sklearn.cli.messages import WorkError, complain, sentence

FAILED, BAD_ARGUMENTS, INTERRUPTED = 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    argv : sequence of str, default=None
        Arguments; None takes those of the process.

    Returns
    -------
    int
        Exit code.

    Raises
    ------
    SystemExit
        After ``--help`` and ``--version``, and, with code 2, for arguments that do not parse.
    """
    args = _parser().parse_args(argv)
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            code = int(args.run(args))
            sys.stdout.flush()
            return code
        except KeyboardInterrupt:
            complain("interrupted; what was complete is kept.")
            return INTERRUPTED
        except BrokenPipeError:  # the reader of stdout has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        except WorkError as error:
            complain(f"error: {error}")
            return FAILED
        except (ValueError, TypeError, OSError) as error:
            complain(f"error: {sentence(error)}")
            return BAD_ARGUMENTS


def _show_warning(message: Any, *where: Any, **more: Any) -> None:
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
