from __future__ import annotations

import pytest

from teagent.wire.flow.decoder import FlowDecoder
from tests.fakes.netflow import ipfix, netflow9


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
