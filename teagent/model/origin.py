"""Which AS originates which addresses, as columns: what a BGP table or an ip-to-asn file says."""

from __future__ import annotations

from dataclasses import dataclass

from teagent.model.traffic import Column


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OriginRanges:
    """Ranges of addresses of one family with the AS that originates them, in any order, nested and repeated as it
    may be: the narrowest counts, and of two that are alike the later one.

    `first` and `last` (inclusive) are uint64: IPv4 addresses, or the high halves of IPv6 addresses. `asn` is uint32;
    0 is "nobody", which hides what is around it.
    """

    first: Column
    last: Column
    asn: Column

    def __len__(self) -> int:
        return len(self.asn)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OriginRoutes:
    """Both families of one file. `skipped` counts what was there and says nothing of an origin, by reason."""

    ipv4: OriginRanges
    ipv6: OriginRanges
    skipped: dict[str, int]
