"""`make faults`: every promise about safety, tried on real processes and routers, and the figures printed.

python -m tests.faults [--only NAME ...] [--scale SHARE] [--seed N] [--json]
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time

from tests.faults.figure import Fault, Options

FAULTS = {
    "requests": "tests.faults.generated_requests",
    "floods": "tests.faults.floods",
    "power_cut": "tests.faults.power_cut",
    "clients": "tests.faults.clients",
    "wire": "tests.faults.wire",
    "rejects": "tests.faults.rejects",
    "guard": "tests.faults.guard",
    "kills": "tests.faults.kills",
}


def load(name: str) -> Fault:
    fault: Fault = importlib.import_module(FAULTS[name]).run
    return fault


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=FAULTS, default=list(FAULTS), metavar="NAME")
    parser.add_argument("--scale", type=float, default=1.0, metavar="SHARE", help="a part of the whole counts (1)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one object on stdout")
    options = parser.parse_args()
    figures, targets = {}, {}
    for name in options.only:
        started = time.monotonic()
        print(f"{name}", file=sys.stderr)
        for figure in load(name)(Options(seed=options.seed, scale=options.scale)):
            key = f"{name}: {figure.what}"
            figures[key] = figure.value
            if figure.limit is not None:
                targets[key] = figure.limit
            if not options.json:
                limit = "" if figure.limit is None else f"at most {figure.limit:g}"
                verdict = "" if figure.limit is None else "met" if figure.met else "MISSED"
                print(f"  {figure.what:<58}{figure.value:>12g}  {limit:<16}{verdict}", flush=True)
        print(f"  took {time.monotonic() - started:.0f}s", file=sys.stderr)
    met = all(figures[key] <= limit for key, limit in targets.items())
    if options.json:
        print(json.dumps({"name": "faults", "figures": figures, "targets": targets, "met": met}))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
