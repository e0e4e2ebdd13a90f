"""AS relationships as CAIDA publishes them, in the formats serial-1 and serial-2.

serial-1 has lines `a|b|rel`, serial-2 `a|b|rel|source`: rel -1 says that a is a provider of b, 0 that they peer. Older
files know siblings too (2, in the oldest 1). Lines that begin with `#` are comments.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from teagent.errors import WireError

Asns = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

ASN_MAX = 2**32 - 1
DIGITS_MAX = 10
SHOWN = 40
"""Characters of a bad line that an error quotes."""
EXAMPLE = "for example 64500|64501|-1"

_HASH, _BAR, _NEWLINE, _RETURN, _ZERO, _MINUS = (ord(c) for c in "#|\n\r0-")
_PROVIDER, _PEER, _SIBLING, _UNKNOWN = -1, 0, 2, 9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AsRelationships:
    """Each pair of ASes once, in the order of the file: `provider[i]` sells transit to `customer[i]`, the others meet
    as equals. `lines` counts all lines, comments too.
    """

    provider: Asns
    customer: Asns
    peer_a: Asns
    peer_b: Asns
    sibling_a: Asns
    sibling_b: Asns
    lines: int


def parse(data: bytes) -> AsRelationships:
    """Raises WireError, with the line's number as field `line`, for the first line that is none of the format.

    A pair that is repeated is taken once; a pair that is given with two relations is an error. Empty lines, a missing
    last newline and CR LF are tolerated.
    """
    text = np.frombuffer(data, dtype=np.uint8)
    rows = _rows(text)
    first, second, relation = _columns(text, rows)
    keep = _once(first, second, relation, rows, text)
    first, second, relation = first[keep], second[keep], relation[keep]
    transit, equal, sibling = (relation == kind for kind in (_PROVIDER, _PEER, _SIBLING))
    return AsRelationships(
        provider=first[transit],
        customer=second[transit],
        peer_a=first[equal],
        peer_b=second[equal],
        sibling_a=first[sibling],
        sibling_b=second[sibling],
        lines=rows.lines,
    )


def render(*, transit: tuple[Asns, Asns], peering: tuple[Asns, Asns], comment: str) -> str:
    """serial-1: first transit (providers, customers), then peering, in the order given."""
    lines = [f"# {comment}"]
    lines += [f"{a}|{b}|{_PROVIDER}" for a, b in zip(*(side.tolist() for side in transit), strict=True)]
    lines += [f"{a}|{b}|{_PEER}" for a, b in zip(*(side.tolist() for side in peering), strict=True)]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rows:
    """The lines that hold something: their number (from 1) and where they start and end in the text."""

    number: Asns
    start: Asns
    end: Asns
    lines: int


def _rows(text: npt.NDArray[np.uint8]) -> _Rows:
    end = np.flatnonzero(text == _NEWLINE)
    if len(text) and (not len(end) or end[-1] != len(text) - 1):
        end = np.append(end, len(text))
    start = np.concatenate([[0], end[:-1] + 1]) if len(end) else end
    lines = len(end)
    has_return = (end > start) & (text[end - 1] == _RETURN) if len(end) else np.zeros(0, dtype=bool)
    end = end - has_return
    holds = np.flatnonzero(end > start)
    holds = holds[text[start[holds]] != _HASH]
    return _Rows(number=holds + 1, start=start[holds], end=end[holds], lines=lines)


def _columns(text: npt.NDArray[np.uint8], rows: _Rows) -> tuple[Asns, Asns, Asns]:
    bars = np.flatnonzero(text == _BAR)
    at = np.searchsorted(bars, rows.start)
    count = np.searchsorted(bars, rows.end) - at
    _refuse((count < 2) | (count > 3), text, rows, f"is not a|b|relation or a|b|relation|source, {EXAMPLE}")
    if not len(rows.start):
        none = np.zeros(0, dtype=np.int64)
        return none, none, none
    one, two = bars[at], bars[at + 1]
    three = np.where(count == 3, bars[np.minimum(at + 2, len(bars) - 1)], rows.end)
    first, bad_first = _numbers(text, rows.start, one)
    second, bad_second = _numbers(text, one + 1, two)
    _refuse(bad_first | bad_second, text, rows, f"does not begin with two AS numbers from 1 to {ASN_MAX}, {EXAMPLE}")
    _refuse(first == second, text, rows, "relates an AS to itself")
    relation = _relations(text, two + 1, three)
    _refuse(relation == _UNKNOWN, text, rows, f"has a relation that is none of -1, 0, 1, 2, {EXAMPLE}")
    return first, second, relation


def _numbers(text: npt.NDArray[np.uint8], start: Asns, end: Asns) -> tuple[Asns, Flags]:
    """Decimal numbers, digit by digit for all rows at once, and which of them are none or out of range."""
    width = end - start
    bad = (width < 1) | (width > DIGITS_MAX)
    value = np.zeros(len(start), dtype=np.int64)
    last = len(text) - 1
    for place in range(min(DIGITS_MAX, int(width.max(initial=0)))):
        live = place < width
        digit = text[np.minimum(start + place, last)] - np.uint8(_ZERO)  # what is below "0" wraps to far above 9
        bad |= live & (digit > 9)
        value = np.where(live, value * 10 + digit, value)
    bad |= (value < 1) | (value > ASN_MAX)
    return value, bad


def _relations(text: npt.NDArray[np.uint8], start: Asns, end: Asns) -> Asns:
    last = len(text) - 1
    width = end - start
    head, tail = text[np.minimum(start, last)], text[np.minimum(start + 1, last)]
    relation = np.full(len(start), _UNKNOWN, dtype=np.int64)
    relation[(width == 2) & (head == _MINUS) & (tail == _ZERO + 1)] = _PROVIDER
    relation[(width == 1) & (head == _ZERO)] = _PEER
    relation[(width == 1) & ((head == _ZERO + 1) | (head == _ZERO + 2))] = _SIBLING
    return relation


def _once(first: Asns, second: Asns, relation: Asns, rows: _Rows, text: npt.NDArray[np.uint8]) -> Flags:
    """True for the first row of each pair. Raises WireError where a later one says otherwise."""
    low, high = np.minimum(first, second).astype(np.uint64), np.maximum(first, second).astype(np.uint64)
    pair = (low << np.uint64(32)) | high
    order = np.argsort(pair, kind="stable")
    again = np.zeros(len(pair), dtype=bool)
    same = pair[order][1:] == pair[order][:-1]
    again[order[1:][same]] = True
    if same.any():
        # Only transit has a direction: 1|2|0 and 2|1|0 say the same, 1|2|-1 and 2|1|-1 do not.
        said = np.where(relation == _PROVIDER, np.where(first < second, -1, 1), relation * 10)
        differs = np.zeros(len(pair), dtype=bool)
        differs[order[1:][same & (said[order][1:] != said[order][:-1])]] = True
        _refuse(differs, text, rows, "gives a pair of ASes a second relation, other than in a line above")
    return ~again


def _refuse(bad: Flags, text: npt.NDArray[np.uint8], rows: _Rows, why: str) -> None:
    if not bad.any():
        return
    row = int(np.argmax(bad))
    start, number = int(rows.start[row]), int(rows.number[row])
    line = bytes(text[start : min(int(rows.end[row]), start + SHOWN)]).decode("ascii", "backslashreplace")
    # A file may hold anything, also what a terminal obeys.
    line = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in line)
    raise WireError(f"line {number}: '{line}' {why}", offset=start, line=number)
