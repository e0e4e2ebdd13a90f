"""From captured datagrams to the matrix: the lab's run of known volume, through every exporter format of softflowd."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path

import numpy as np
import pytest

from teagent.engine.measure.attribution import Attribution
from teagent.engine.measure.matrix import MatrixBuilder
from teagent.wire.flow.decoder import FlowDecoder
from tests.fakes.pcap import datagrams

CAPTURES = Path(__file__).resolve().parents[1] / "data" / "flows"
AT = datetime(2026, 1, 12, 19, 40, tzinfo=UTC)
SENT_OCTETS = np.array([[9_150_000, 5_490_000, 0], [912_000, 0, 3_648_000]])  # by link, by prefix
PACKET_OCTETS = 1200


def filled(capture: str, **settings) -> MatrixBuilder:
    attribution = Attribution(
        links=("transit-a", "transit-b"),
        interfaces={("edge", 2): "transit-a", ("edge", 3): "transit-b"},
        prefixes=[ip_network(f"{first}.0.0.0/24") for first in (10, 11, 12)],
        routers={"192.0.2.65": "edge"},
    )
    builder, decoder = MatrixBuilder(attribution, **settings), FlowDecoder("192.0.2.65")
    for arrived in datagrams(CAPTURES / capture):
        result = decoder.decode([arrived.payload], at=arrived.at, stream=arrived.source_port)
        assert (result.undecoded, result.lost) == ({}, 0)
        for batch in result.batches:
            builder.add(batch)
    return builder


UNSAMPLED = ("softflowd-v5.pcap", "nfv9-softflowd.pcap", "softflowd-v10.pcap", "softflowd-v10-milli.pcap")


@pytest.mark.parametrize("capture", UNSAMPLED)
def test_every_format_gives_what_was_sent_by_link_and_prefix(capture):
    matrix = filled(capture, frame_overhead_octets=0).build(at=AT, seconds=8, interface_octets={})
    assert matrix.by_link_and_prefix() == pytest.approx(SENT_OCTETS, rel=0.002)
    assert sum(matrix.unattributed_bps.values()) < 1000
    assert {str(source) for source in matrix.sources} == {"198.18.1.0/24", "198.18.2.0/24", "198.18.3.0/24"}


@pytest.mark.parametrize("capture", ["softflowd-v5-s10.pcap", "softflowd-v9-s10.pcap", "softflowd-v10-milli-s10.pcap"])
def test_sampled_exports_give_the_whole_within_the_error_of_sampling(capture):
    """1 in 10 of 16,000 packets that came evenly: the total is sure, the parts are not."""
    matrix = filled(capture, frame_overhead_octets=0).build(at=AT, seconds=8, interface_octets={})
    table = matrix.by_link_and_prefix()
    assert table.sum() == pytest.approx(SENT_OCTETS.sum(), rel=0.005)
    assert table.sum(axis=1) == pytest.approx(SENT_OCTETS.sum(axis=1), rel=0.01)


def test_the_interface_counters_are_met_and_the_headers_of_l2_are_why():
    """Interfaces count 14 octets more for each packet, so that the flows cover all of it and nothing is stretched."""
    packets = SENT_OCTETS.sum(axis=1) / PACKET_OCTETS
    octets = dict(zip(("transit-a", "transit-b"), SENT_OCTETS.sum(axis=1) + 14 * packets, strict=True))
    matrix = filled("nfv9-softflowd.pcap").build(at=AT, seconds=8, interface_octets=octets)
    assert matrix.coverage == pytest.approx({"transit-a": 1.0, "transit-b": 1.0}, rel=0.001)
    assert matrix.by_link_and_prefix().sum(axis=1) == pytest.approx(list(octets.values()), rel=1e-9)
