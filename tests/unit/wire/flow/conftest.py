from __future__ import annotations

import pytest

from teagent.wire.flow.decoder import FlowDecoder
from teagent.wire.flow.offline import OfflineReader
from tests.fakes.netflow import ipfix, netflow9
from tests.fakes.sflow import ethernet, ipv4, udp

FRAME = ethernet(ipv4("192.0.2.1", "198.51.100.7", udp(1234, 53)))


def documents(*payloads: bytes) -> tuple[list[dict], dict]:
    """What `flow decode` has of datagrams from one exporter, and what it could not decode."""
    reader = OfflineReader()
    found = [document for p in payloads for document in reader.read(p, exporter="192.0.2.1", port=50000, at=1.7e9)]
    reader.finish()
    return found, dict(reader.undecoded)


@pytest.fixture
def decoder() -> FlowDecoder:
    return FlowDecoder("192.0.2.1")


@pytest.fixture(params=["netflow-v9", "ipfix"])
def wrap(request):
    """A message of either protocol around sets, with the set ids of v9's templates translated."""

    def make(*sets: bytes, **header) -> bytes:
        if request.param == "netflow-v9":
            return netflow9(*sets, **header)
        return ipfix(*(bytes([0, s[1] + 2]) + s[2:] if s[0] == 0 and any(s) else s for s in sets), **header)

    return make
