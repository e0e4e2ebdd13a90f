"""Text files that say which AS has which addresses, one range a line.

What is read, with commas, tabs or blanks between, and double quotes around what likes them:

- `prefix asn ...`, as in `192.0.2.0/24,64500` (GeoLite2's ASN blocks, and what everybody writes by hand);
- `first last asn ...`, as in iptoasn.com's TSV;
- `address length asn`, as in CAIDA's pfx2as.

An AS is written `64500`, `AS64500` or `1.10`; of several (`64500_64501`, `{64500,64501}`) the first counts, and 0 is
nobody. Lines that are empty or begin with # or ; are comments, and the first line may be a header.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final, NamedTuple

from teagent.model.bgp import parse_asn

SEPARATORS: Final = re.compile(r"[,\t ]+")
FIRST_OF_SEVERAL: Final = re.compile(r"[_{},]+")
LONGEST_LINE: Final = 4096


class Range(NamedTuple):
    """Addresses as numbers, `last` inclusive."""

    family: int
    first: int
    last: int
    asn: int


class BadLine(NamedTuple):
    """A line that says nothing of an origin; `number` counts from 1."""

    number: int
    reason: str


def ranges(lines: Iterable[str]) -> Iterator[Range | BadLine]:
    """What each line says, without comments and header. Never raises."""
    heading = True
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text[0] in "#;":
            continue
        try:
            yield _range(text)
        except ValueError as error:
            if not heading:
                yield BadLine(number, str(error))
        heading = False


def _range(text: str) -> Range:
    """Raises ValueError."""
    words = SEPARATORS.split(text[:LONGEST_LINE].replace('"', ""), 3)
    if len(words) < 2:
        raise ValueError(f"'{text[:40]}' has no AS number")
    address, slash, length = words[0].partition("/")
    family, first = _address(address)
    if slash:
        return _prefix(family, first, length, words[1])
    if len(words) < 3:
        raise ValueError(f"'{text[:40]}' has neither a prefix nor a last address")
    if words[1].isdecimal():
        return _prefix(family, first, words[1], words[2])
    last_family, last = _address(words[1])
    if last_family != family or last < first:
        raise ValueError(f"{words[1]} is not after {address}")
    return Range(family, first, last, _asn(words[2]))


def _address(text: str) -> tuple[int, int]:
    try:
        return (6, int(IPv6Address(text))) if ":" in text else (4, int(IPv4Address(text)))
    except AddressValueError as error:
        raise ValueError(f"'{text[:40]}' is no address") from error


def _prefix(family: int, first: int, length: str, asn: str) -> Range:
    bits = 32 if family == 4 else 128
    if not length.isdecimal() or int(length) > bits:
        raise ValueError(f"'{length[:40]}' is no prefix length, which goes to {bits}")
    span = (1 << bits - int(length)) - 1
    return Range(family, first & ~span, first | span, _asn(asn))


def _asn(text: str) -> int:
    words = [word for word in FIRST_OF_SEVERAL.split(text) if word]
    if words == ["0"]:
        return 0
    return int(parse_asn(words[0].upper().removeprefix("AS") if words else text))
