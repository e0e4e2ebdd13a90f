"""The options that `ingress_world.py` and `ingress_oracle.py` share, each refused where it makes no world."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path

from hidden_world import Biases
from whole_numbers import at_least

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("TEAGENT_DATA", ROOT.parent / "shared" / "data"))
STRENGTHS = ("medium", "strong")
UNBOUNDED = ("volume_noise", "diurnal")
"""What is no share of senders."""


def add_world_options(parser: argparse.ArgumentParser, *, forms: Sequence[str], worlds: int) -> None:
    parser.add_argument("--as-rel", type=Path, default=DATA / "asrel" / "20241001.as-rel2.txt.bz2")
    parser.add_argument("--seed", type=at_least(0), default=1)
    parser.add_argument("--worlds", type=at_least(1), default=worlds, help="of each form and strength")
    parser.add_argument("--form", type=some_of(forms), default=forms)
    parser.add_argument("--strength", type=some_of(STRENGTHS), default=STRENGTHS)
    parser.add_argument("--bias", type=bias, action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--json", action="store_true")


def some_of(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    def names(text: str) -> tuple[str, ...]:
        found = tuple(text.split(","))
        for name in found:
            if name not in known:
                raise argparse.ArgumentTypeError(f"there is no {name}, there is {','.join(known)}")
        return found

    return names


def share(text: str) -> float:
    return _number(text, 1.0)


def bias(text: str) -> tuple[str, float]:
    """NAME=VALUE."""
    name, _, value = text.partition("=")
    known = sorted(field.name for field in fields(Biases))
    if name not in known:
        raise argparse.ArgumentTypeError(f"there is no {name}, there is {', '.join(known)}")
    return name, _number(value, math.inf if name in UNBOUNDED else 1.0)


def _number(text: str, most: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= most or math.isinf(number):
        limit = "of 0 or more" if math.isinf(most) else f"from 0 to {most:g}"
        raise argparse.ArgumentTypeError(f"'{text}' is no number {limit}")
    return number


def biases_of(strength: str, changed: Mapping[str, float]) -> Biases:
    return replace(Biases().strong() if strength == "strong" else Biases(), **changed)
