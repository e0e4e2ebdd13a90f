"""The table of origins: read again when its file changes, and kept when that cannot be read."""

from __future__ import annotations

import numpy as np
import pytest

from teagent.errors import TeagentError
from teagent.model.origin import OriginRanges, OriginRoutes
from teagent.service.origins import Origins
from tests.fakes.clock import FakeClock

pytestmark = pytest.mark.asyncio
PATH = "bview.gz"


class FakeFile:
    """Implements ports.FileSource. `asn` None cannot be read."""

    path = PATH

    def __init__(self) -> None:
        self.asn: int | None = 64501
        self.written = 1
        self.reads = 0

    def version(self) -> object:
        if not self.written:
            raise TeagentError("bview.gz cannot be read: no such file")
        return self.written

    def read(self) -> OriginRoutes:
        self.reads += 1
        if self.asn is None:
            raise TeagentError("bview.gz is no routing table")
        one = OriginRanges(first=np.array([0], "u8"), last=np.array([255], "u8"), asn=np.array([self.asn], dtype="u4"))
        return OriginRoutes(ipv4=one, ipv6=one, skipped={})


def asn(origins: Origins) -> int:
    assert origins.table is not None
    return int(origins.table.match(4, np.array([7], dtype="u4"))[0])


async def test_a_file_is_read_once_and_again_when_it_has_changed(clock: FakeClock) -> None:
    file = FakeFile()
    origins = Origins(source=file, clock=clock)
    assert origins.table is None
    for _ in range(3):
        await origins.reload()
    assert (asn(origins), file.reads, origins.loaded_at) == (64501, 1, clock.now())
    file.asn, file.written = 64502, 2
    await origins.reload()
    assert (asn(origins), file.reads) == (64502, 2)


async def test_what_cannot_be_read_leaves_the_old_table_and_is_said(clock: FakeClock) -> None:
    file = FakeFile()
    origins = Origins(source=file, clock=clock)
    await origins.reload()
    file.asn, file.written = None, 2
    for _ in range(2):
        await origins.reload()
    assert (asn(origins), file.reads, origins.problem) == (64501, 2, "bview.gz is no routing table")
    file.written = 0
    await origins.reload()
    assert (asn(origins), origins.problem) == (64501, "bview.gz cannot be read: no such file")
    assert origins.counters["failures"] == 2
    file.asn, file.written = 64503, 3
    await origins.reload()
    assert (asn(origins), origins.problem) == (64503, "")


async def test_a_file_that_comes_back_is_believed_again(clock: FakeClock) -> None:
    file = FakeFile()
    origins = Origins(source=file, clock=clock)
    await origins.reload()
    file.written = 0
    await origins.reload()
    assert origins.problem
    file.written = 1
    await origins.reload()
    assert not origins.problem
