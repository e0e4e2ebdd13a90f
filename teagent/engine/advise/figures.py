"""Figures in words: read from our facts and from a model's text by the same rules.

What looks like a figure and cannot be read is none that the facts hold: it is refused, not guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

TOKEN = re.compile(r"[^\s()\[\]{}\"“”]*\d[^\s()\[\]{}\"“”]*")
NUMBER = re.compile(r"(?P<sign>[-+~<>=]?)(?P<digits>\d{1,3}(?:,\d{3})+|\d+)(?P<places>\.\d+)?(?P<unit>[A-Za-z%/]*)")
AFTER = re.compile(r"[\s-]*(?P<unit>[A-Za-z%/]+)")

_RATE = ("bps", "bit/s", "b/s", "bits/s", "bits")
UNITS: dict[str, tuple[str, Decimal]] = {"%": ("share", Decimal(1)), "percent": ("share", Decimal(1))}
UNITS |= {
    prefix + unit: ("rate", Decimal(factor))
    for short, long, factor in (
        ("g", "giga", 10**9),
        ("m", "mega", 10**6),
        ("k", "kilo", 10**3),
        ("t", "tera", 10**12),
    )
    for prefix, units in ((short, ("", *_RATE)), (long, ("bits", "bit")))
    for unit in units
}
UNITS |= {unit: ("rate", Decimal(1)) for unit in _RATE}
UNITS |= {
    word: ("time", Decimal(factor))
    for words, factor in (
        (("s", "sec", "secs", "second", "seconds"), 1),
        (("min", "mins", "minute", "minutes"), 60),
        (("h", "hour", "hours"), 3600),
        (("d", "day", "days"), 86400),
    )
    for word in words
}


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_COUNTED = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
COUNTED = {word: number for number, word in enumerate(_COUNTED.split())}
VAGUE = words(
    "thirty forty fifty sixty seventy eighty ninety hundred hundreds thousand thousands million millions billion "
    "billions dozen dozens half halve halves halved third thirds quarter quarters double doubles doubled doubling "
    "twice twofold triple triples tripled thrice tenfold threefold"
)
"""Words for amounts that no fact of ours uses."""
ONE_OF = re.compile(
    r"\s+(prepends?|changes?|links?|prefix|prefixes|minutes?|seconds?|hours?|days?|percent|AS|senders?)\b"
)
"""`one` is a count before these words, and otherwise no figure at all."""


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` in the unit's base, `grain` half of the last digit that was written. Kinds: rate, share, time, count."""

    kind: str
    value: Decimal
    grain: Decimal


@dataclass(frozen=True, slots=True)
class Found:
    """Where in the text; `figure` None: it looks like one and is not to be read."""

    start: int
    end: int
    token: str
    figure: Figure | None


def found_in(text: str) -> Iterator[Found]:
    """Everything that stands for a number, in order of place within digits and then within words."""
    for match in TOKEN.finditer(text):
        token = match.group().strip(".,;:!?'`*_")
        start = match.start() + match.group().index(token)
        end, figure = start + len(token), None
        number = NUMBER.fullmatch(token)
        if number is not None:
            unit = number["unit"]
            after = AFTER.match(text, end)
            if not unit and after is not None and after["unit"].lower() in UNITS:
                unit, end = after["unit"], after.end()
            figure = _figure(number, unit)
        yield Found(start, end, token, figure)
    for match in re.finditer(r"[A-Za-z]+", text):
        word = match.group().lower()
        if word in VAGUE:
            yield Found(match.start(), match.end(), word, None)
        elif word in COUNTED and (word != "one" or ONE_OF.match(text, match.end())):
            figure = Figure("count", Decimal(COUNTED[word]), Decimal(0))
            after = AFTER.match(text, match.end())
            if after is not None and after["unit"].lower() in UNITS:
                kind, factor = UNITS[after["unit"].lower()]
                figure = Figure(kind, COUNTED[word] * factor, Decimal(0))
            yield Found(match.start(), match.end(), word, figure)


def _figure(number: re.Match[str], unit: str) -> Figure | None:
    digits, places = number["digits"].replace(",", ""), number["places"] or ""
    if number["sign"] not in {"", "~"} or len(digits) + len(places) > 20:
        return None
    kind, factor = ("count", Decimal(1)) if not unit else UNITS.get(unit.lower(), ("", Decimal(0)))
    if not kind:
        return None
    last = Decimal(1).scaleb(-(len(places) - 1)) if places else Decimal(1)
    return Figure(kind, Decimal(digits + places) * factor, last * factor / 2)


def same(said: Figure, known: Figure) -> bool:
    """The known figure, or the known figure rounded to the digits that were said."""
    grain = Decimal(0) if said.kind in {"count", "time"} else said.grain
    return said.kind == known.kind and abs(said.value - known.value) <= grain
