"""BGP values: AS numbers, prefixes, communities."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final, NewType, TypeAlias

Asn = NewType("Asn", int)
Prefix: TypeAlias = IPv4Network | IPv6Network
Address: TypeAlias = IPv4Address | IPv6Address

ASN_MAX = 2**32 - 1
AS_TRANS: Final = 23456  # RFC 6793: stands for a number that 16 bits have no room for
# 0 and the last of 16 and of 32 bits (RFC 7607, RFC 7300) never are anybody's either.
NOBODYS_ASNS: Final = (0, AS_TRANS, 65535, ASN_MAX)
ASDOT = re.compile(r"^(\d{1,5})\.(\d{1,5})$")


def parse_asn(text: str) -> Asn:
    """`64500`, `AS64500` or asdot `1.10` (RFC 5396); shown as asplain everywhere. Raises ValueError."""
    body = text.removeprefix("AS").removeprefix("as")
    dotted = ASDOT.match(body)
    if dotted:
        high, low = int(dotted[1]), int(dotted[2])
        number = high * 65536 + low if high < 65536 and low < 65536 else 0
    else:
        number = int(body) if body.isdecimal() else 0
    if not 0 < number <= ASN_MAX:
        raise ValueError(f"'{text}' is not an AS number from 1 to {ASN_MAX}")
    return Asn(number)


def parse_prefix(text: str) -> Prefix:
    """Raises ValueError for host bits as well: `10.0.0.1/24` is a mistake more often than a habit."""
    try:
        return ip_network(text, strict=True)
    except ValueError as error:
        try:
            meant = f", did you mean {ip_network(text, strict=False)}"
        except ValueError:
            meant = ", for example 198.51.100.0/24"
        raise ValueError(f"'{text}' is not a prefix{meant}") from error


def prefix_key(prefix: Prefix) -> tuple[int, int, int]:
    """An order over both families: IPv4 first, then by address, then by length."""
    return (prefix.version, int(prefix.network_address), prefix.prefixlen)


@dataclass(frozen=True, slots=True, order=True)
class LargeCommunity:
    """RFC 8092: three 32-bit numbers; after RFC 8195 our own ASN, a function, a parameter."""

    global_admin: int
    function: int
    parameter: int

    def __post_init__(self) -> None:
        for part in (self.global_admin, self.function, self.parameter):
            if not 0 <= part < 2**32:
                raise ValueError(f"{self} has a part outside 0 to {2**32 - 1}")

    def __str__(self) -> str:
        return f"{self.global_admin}:{self.function}:{self.parameter}"

    @classmethod
    def parse(cls, text: str) -> LargeCommunity:
        parts = text.split(":")
        if len(parts) != 3 or not all(p.isdecimal() for p in parts):
            raise ValueError(f"'{text}' is not a large community, for example 64500:1:10")
        return cls(*(int(p) for p in parts))


@dataclass(frozen=True, slots=True, kw_only=True)
class PathAttributes:
    """What a route carries. `as_path` are all numbers in the order of the path, those of sets as well; it is empty for
    what our own AS originates. `communities` are (high, low) after RFC 1997. `reflected`: it comes from another speaker
    of our AS (RFC 4456), not from the one that tells it. None is what was not there.
    """

    next_hop: Address | None
    as_path: tuple[int, ...] = ()
    med: int | None = None
    local_pref: int | None = None
    communities: frozenset[tuple[int, ...]] = frozenset()
    large_communities: frozenset[LargeCommunity] = frozenset()
    reflected: bool = False
