"""``fei-sklearn report``: tables of results, beside the published numbers."""

from __future__ import annotations

import argparse

from fei_sklearn.cli.arguments import Commands
from fei_sklearn.cli.messages import DONE


def add_to(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "report",
        help="make tables of results",
        description="Mean and standard deviation over seeds, beside the published numbers, in "
        "report.md, report.html and results.csv.",
    )
    parser.add_argument("results", nargs="+", metavar="RESULTS", help="files of evaluate")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder to write to")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the report, and print its paths."""
    from fei_sklearn.evaluation import read_results, write_report

    records = read_results(*args.results)
    for path in write_report(records, args.out):
        print(path)
    return DONE
