"""Report on this machine's accelerator: what works, what does not, and how fast it is.

    make gpu [PYTHON=python3] [DEVICE=cpu] [AUTHORS=PATH] [REPORT=build/gpu.md]

The Python needs torch, numpy, scipy, scikit-learn, joblib, numba, safetensors, cloudpickle and
lightning-fabric. Nothing is installed, and the package runs from its checkout. Parts that need
pytest, sktime or several devices say so where those are absent. DEVICE=cpu rehearses everything on
the CPU, on smaller encoders. AUTHORS is a checkout of the authors' repository, whose steps are then
timed beside ours.

Each part runs in a process of its own, so that a part that crashes or hangs does not stop the rest.
The exit status is 1 if any part failed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gpu.parts import PARTS
from gpu.report import FAILED, markdown, verdict_line
from gpu.runner import MISSING, missing_packages, run_parts

#: Seconds after which parts that have not begun are left out.
SECONDS = 450.0


def main() -> int:
    """Run all parts, write the report, and return the exit status."""
    parser = argparse.ArgumentParser(prog="gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", choices=["cpu", "cuda"])
    parser.add_argument("--authors", default="", help="a checkout of the authors' repository")
    parser.add_argument("--report", type=Path, default=Path("build") / "gpu.md")
    parser.add_argument("--parts", nargs="+", choices=[part.name for part in PARTS])
    args = parser.parse_args()
    missing = missing_packages()
    if missing:
        print(MISSING.format(", ".join(missing), sys.executable), file=sys.stderr)
        return 1
    parts = [part for part in PARTS if args.parts is None or part.name in args.parts]
    args.report.parent.mkdir(parents=True, exist_ok=True)
    outcomes = []
    for outcome in run_parts(parts, [args.device, args.authors], SECONDS):
        print(f"{outcome.verdict:18}{outcome.seconds:6.1f} s  {outcome.title}", flush=True)
        outcomes.append(outcome)
        # written after each part, so that an interrupted run leaves a report
        args.report.write_text(markdown(outcomes, args.device), encoding="utf-8")
    print(f"{verdict_line(outcomes)} The report is {args.report}.")
    return int(any(outcome.verdict == FAILED for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
