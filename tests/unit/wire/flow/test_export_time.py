"""The exporter's clock out of a datagram's header."""

from __future__ import annotations

import pytest

from teagent.wire.flow.export_time import export_time
from tests.fakes.netflow import ipfix, netflow5, netflow9, record5


@pytest.mark.parametrize("datagram", [netflow5(record5(src=1, dst=2)), netflow9(), ipfix()])
def test_every_protocol_with_a_clock_tells_it(datagram: bytes) -> None:
    assert export_time(datagram) == 1_700_000_000


@pytest.mark.parametrize(
    "datagram", [b"", b"\0\x09", b"\0\0\0\5" + bytes(40), bytes(40), netflow9(seconds=0), b"\xff" * 40]
)
def test_sflow_nonsense_and_a_clock_that_was_never_set_tell_nothing(datagram: bytes) -> None:
    assert export_time(datagram) is None
