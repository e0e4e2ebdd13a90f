"""Implements ports.OriginSource beside, or in place of, a file: whose prefixes the routers say that they have accepted.

The last announcement of a prefix counts. A withdrawal is not followed: who originated the addresses last is still the
best that is known of them, and on one session gone is not gone on the others.
"""

from __future__ import annotations

import threading
from array import array
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from teagent.adapters.origins import OriginFile
from teagent.errors import WireError
from teagent.model.origin import OriginRanges, OriginRoutes
from teagent.model.traffic import Column
from teagent.wire.bgp_update import Net, Update, origin_asn
from teagent.wire.bmp import RouteMonitoring, View

ROUTES: Final = frozenset({View.POST_POLICY, View.LOC_RIB})
MOST_PREFIXES: Final = 4_000_000
"""Of one family, three full tables: what comes beyond is counted and left out."""
MOST_PENDING: Final = 4_000_000
"""Announcements between two readings."""
BITS: Final = {4: 32, 6: 64}  # of IPv6 the high half, as in the table


class _Columns:
    """Announcements in the order in which they came, of one family: 13 octets each."""

    def __init__(self) -> None:
        self.network = array("Q")
        self.length = array("B")
        self.asn = array("I")

    def add(self, network: int, length: int, asn: int) -> None:
        self.network.append(network)
        self.length.append(length)
        self.asn.append(asn)


class BmpOrigins:
    """`take` is called on the event loop and costs a microsecond a prefix; `read` in a thread. `file` is read too: what
    BMP says wins over it.
    """

    def __init__(self, file: OriginFile | None = None) -> None:
        self._file = file
        self._told: tuple[object, OriginRoutes] | None = None
        self._lock = threading.Lock()
        self._pending = {4: _Columns(), 6: _Columns()}
        self._known = {family: (_empty("Q"), _empty("B"), _empty("I")) for family in BITS}
        self._taken = 0
        self.skipped: Counter[str] = Counter()

    @property
    def path(self) -> Path:
        return Path("bmp") if self._file is None else self._file.path

    def take(self, message: RouteMonitoring, update: Update) -> None:
        if message.peer.view not in ROUTES or not update.announced:
            return
        try:
            asn = origin_asn(update.attributes, as_octets=message.peer.as_octets, peer=message.peer.asn)
        except WireError:
            self.skipped["undecoded"] += 1
            return
        if not asn:
            self.skipped["no_origin"] += len(update.announced)
            return
        with self._lock:
            for net in update.announced:
                self._add(net, asn)

    def _add(self, net: Net, asn: int) -> None:
        if not net.length:
            self.skipped["default_route"] += 1
        elif net.family == 6 and net.length > BITS[6]:
            self.skipped["longer_than_64"] += 1
        elif len(self._pending[net.family].asn) >= MOST_PENDING:
            self.skipped["too_many"] += 1
        else:
            network = net.network if net.family == 4 else net.network >> 64
            self._pending[net.family].add(network, net.length, asn)
            self._taken += 1

    def version(self) -> object:
        return (self._taken, None if self._file is None else self._file.version())

    def read(self) -> OriginRoutes:
        """Raises TeagentError where the file cannot be read."""
        told = self._of_file()
        with self._lock:
            pending, self._pending = self._pending, {4: _Columns(), 6: _Columns()}
        ranges = {}
        for family in BITS:
            self._known[family] = self._merged(family, pending[family])
            files = [] if told is None else [told.ipv4 if family == 4 else told.ipv6]
            ranges[family] = _together([*files, _ranges(family, *self._known[family])])
        skipped = Counter(self.skipped)
        if told is not None:
            skipped.update(told.skipped)
        return OriginRoutes(ipv4=ranges[4], ipv6=ranges[6], skipped=dict(skipped))

    def _of_file(self) -> OriginRoutes | None:
        """Read once, as long as it is the same."""
        if self._file is None:
            return None
        version = self._file.version()
        if self._told is None or self._told[0] != version:
            self._told = (version, self._file.read())
        return self._told[1]

    def stop(self) -> None:
        if self._file is not None:
            self._file.stop()

    def _merged(self, family: int, pending: _Columns) -> tuple[Column, Column, Column]:
        """With the pending ones, each prefix once, as it was announced last."""
        columns = [
            np.concatenate((known, np.array(new, dtype=known.dtype)))
            for known, new in zip(self._known[family], (pending.network, pending.length, pending.asn), strict=True)
        ]
        network, length, asn = columns
        # By prefix, and of one prefix by when it came: lexsort is stable.
        order = np.lexsort((length, network))
        last = np.ones(len(order), dtype=bool)
        same = (network[order][1:] == network[order][:-1]) & (length[order][1:] == length[order][:-1])
        last[:-1] = ~same
        kept = order[last]
        if len(kept) > MOST_PREFIXES:
            self.skipped["too_many"] += len(kept) - MOST_PREFIXES
            kept = kept[:MOST_PREFIXES]
        return network[kept], length[kept], asn[kept]


def _empty(code: str) -> Column:
    return np.array([], dtype={"Q": np.uint64, "B": np.uint8, "I": np.uint32}[code])


def _ranges(family: int, network: Column, length: Column, asn: Column) -> OriginRanges:
    span = (np.uint64(1) << (BITS[family] - length.astype(np.uint64))) - np.uint64(1)
    return OriginRanges(first=network, last=network | span, asn=asn)


def _together(ranges: Sequence[OriginRanges]) -> OriginRanges:
    """What comes later wins over the same range before it."""
    return OriginRanges(
        first=np.concatenate([each.first for each in ranges]),
        last=np.concatenate([each.last for each in ranges]),
        asn=np.concatenate([each.asn for each in ranges]),
    )
