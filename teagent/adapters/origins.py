"""A file that says which AS originates which addresses: an MRT routing table or an ip-to-asn text, as it is or
compressed with gzip or bzip2. What it is shows in its first octets, not in its name.
"""

from __future__ import annotations

import bz2
import gzip
import io
import threading
import zlib
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Final, TypeVar

import numpy as np

from teagent.errors import TeagentError, Unreadable, WireError
from teagent.model.origin import OriginRanges, OriginRoutes
from teagent.wire import ip_to_asn, mrt

T = TypeVar("T")

CHUNK_OCTETS: Final = 1 << 20
MOST_RANGES: Final = 8_000_000
"""Six full tables: what is larger is not what it is taken for."""
BAD_SHARE: Final = 0.01
HINT: Final = "flows.origins.path in the configuration"


class OriginFile:
    """Implements ports.FileSource. Every call blocks for as long as the disk and the parsing take; `stop` ends one
    that is under way in another thread.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stopping = threading.Event()

    def stop(self) -> None:
        self._stopping.set()

    def version(self) -> object:
        """Equal as long as the file is the same. Raises TeagentError where it is not there."""
        try:
            found = self.path.stat()
        except OSError as error:
            raise Unreadable(self.path, error, hint=HINT) from error
        return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)

    def read(self) -> OriginRoutes:
        """Raises TeagentError where the file cannot be read, or says nothing of origins."""
        gathered = _Gathered(self.path)
        try:
            with _opened(self.path) as source:
                if _is_text(source.peek(64)[:64]):
                    self._read_text(source, gathered)
                else:
                    _read_mrt(self._until_stopped(_chunks(source)), gathered)
        except (OSError, EOFError, zlib.error) as error:
            raise Unreadable(self.path, error, hint=HINT) from error
        except WireError as error:
            raise TeagentError(
                f"{self.path} is no routing table that can be read: {error.message}",
                hint="an MRT table (bview, rib), or lines of `prefix,asn`; gzip and bzip2 are read",
                path=str(self.path),
            ) from error
        return gathered.routes()

    def _read_text(self, source: io.BufferedReader, gathered: _Gathered) -> None:
        bad: list[ip_to_asn.BadLine] = []
        good = 0
        with io.TextIOWrapper(source, encoding="utf-8", errors="replace") as text:
            for found in ip_to_asn.ranges(self._until_stopped(_lines(text))):
                if isinstance(found, ip_to_asn.BadLine):
                    gathered.skipped["bad_line"] += 1
                    bad = bad or [found]
                elif found.last - found.first == (1 << (32 if found.family == 4 else 128)) - 1:
                    gathered.skipped["default_route"] += 1
                else:
                    good += 1
                    gathered.add(*found)
        count = gathered.skipped["bad_line"]
        if bad and count > good * BAD_SHARE:
            raise TeagentError(
                f"{gathered.path}:{bad[0].number}: {bad[0].reason} ({count} such lines, {good} good ones)",
                hint="lines are `prefix asn`, `first last asn` or `address length asn`",
                path=str(gathered.path),
                line=bad[0].number,
            )

    def _until_stopped(self, pieces: Iterable[T]) -> Iterator[T]:
        for piece in pieces:
            if self._stopping.is_set():
                raise TeagentError(f"{self.path} is not read to its end: the daemon stops", path=str(self.path))
            yield piece


class _Gathered:
    """Ranges while they are read, in 20 octets each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._columns = {family: (array("Q"), array("Q"), array("I")) for family in (4, 6)}
        self.skipped: Counter[str] = Counter()

    def add(self, family: int, first: int, last: int, asn: int) -> None:
        if family == 6:
            if first & _LOW_HALF or last & _LOW_HALF != _LOW_HALF:
                self.skipped["longer_than_64"] += 1
                return
            first, last = first >> 64, last >> 64
        columns = self._columns[family]
        if len(columns[2]) >= MOST_RANGES:
            raise TeagentError(f"{self.path} has more than {MOST_RANGES:,} ranges", path=str(self.path))
        for column, value in zip(columns, (first, last, asn), strict=True):
            column.append(value)

    def routes(self) -> OriginRoutes:
        if not any(len(asn) for _, _, asn in self._columns.values()):
            said = ", ".join(f"{reason} {count}" for reason, count in sorted(self.skipped.items()))
            raise TeagentError(
                f"{self.path} has no routes with an origin{f': {said}' if said else ''}",
                hint="an MRT file of updates is not a table: take a bview or rib file",
                path=str(self.path),
            )
        return OriginRoutes(ipv4=self._ranges(4), ipv6=self._ranges(6), skipped=dict(self.skipped))

    def _ranges(self, family: int) -> OriginRanges:
        first, last, asn = self._columns[family]
        return OriginRanges(
            first=np.array(first, dtype=np.uint64),
            last=np.array(last, dtype=np.uint64),
            asn=np.array(asn, dtype=np.uint32),
        )


_LOW_HALF: Final = (1 << 64) - 1


def _read_mrt(chunks: Iterable[bytes], gathered: _Gathered) -> None:
    bits = {4: 32, 6: 128}
    for family, network, length, asn in mrt.routes(mrt.records(chunks)):
        if not asn:
            gathered.skipped["no_origin"] += 1
        elif not length:
            gathered.skipped["default_route"] += 1
        else:
            span = (1 << bits[family] - length) - 1
            gathered.add(family, network & ~span, network | span, asn)


def _chunks(source: IO[bytes]) -> Iterator[bytes]:
    while chunk := source.read(CHUNK_OCTETS):
        yield chunk


def _lines(text: IO[str]) -> Iterator[str]:
    """Of a file without line ends, pieces: nothing is read whole."""
    while line := text.readline(ip_to_asn.LONGEST_LINE):
        yield line


def _opened(path: Path) -> io.BufferedReader:
    with path.open("rb") as plain:
        magic = plain.read(3)
    if magic[:2] == b"\x1f\x8b":
        return io.BufferedReader(gzip.open(path, "rb"))
    if magic == b"BZh":
        return io.BufferedReader(bz2.open(path, "rb"))
    return path.open("rb")


def _is_text(begin: bytes) -> bool:
    """An MRT header has octets below a blank in its type and length; text has none but tabs and line ends."""
    return all(octet >= 32 or octet in {9, 10, 13} for octet in begin)
