"""What a real Open vSwitch 3.1 exported of one run by sFlow, IPFIX and NetFlow v5, against what tshark 4.0 finds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from teagent.model.traffic import FlowBatch
from teagent.wire.flow import sflow_view
from teagent.wire.flow.decoder import FlowDecoder
from tests.fakes.pcap import datagrams

CAPTURE = Path(__file__).parents[3] / "data" / "flows" / "openvswitch.pcap"
SFLOW, IPFIX, NETFLOW5 = 6343, 4739, 2055


def decoded(port: int) -> tuple[list[FlowBatch], Counter[str]]:
    decoder = FlowDecoder("127.0.0.1")
    results = [decoder.decode([d.payload], at=d.at, stream=d.source_port) for d in datagrams(CAPTURE, port=port)]
    undecoded = Counter({reason: count for found in results for reason, count in found.undecoded.items()})
    assert sum(found.lost + found.samples_lost for found in results) == 0
    return [batch for found in results for batch in found.batches], undecoded


@pytest.mark.parametrize(
    ("port", "flows", "octets", "packets"),
    [(IPFIX, 20, 1_001_664, 1_648 - 16), (NETFLOW5, 6, 432_750, 621)],  # 16 packets of ARP
)
def test_flows_have_the_octets_and_packets_that_tshark_finds(port, flows, octets, packets):
    batches, _ = decoded(port)
    assert sum(map(len, batches)) == flows
    assert sum(int(batch.octets.sum()) for batch in batches) == octets
    assert sum(int(batch.packets.sum()) for batch in batches) == packets


def test_what_left_the_switch_is_told_from_what_came_in():
    directions = np.concatenate([batch.direction for batch in decoded(IPFIX)[0]])
    assert Counter(directions.tolist()) == {0: 10, 1: 10}


def test_samples_have_the_frame_lengths_that_tshark_finds():
    batches, undecoded = decoded(SFLOW)
    frames = sum(int(batch.octets.sum()) for batch in batches)
    assert (sum(map(len, batches)), undecoded) == (194, {"not_ip": 1})  # an ARP request
    assert frames + 46 == 124_982
    assert {float(rate) for batch in batches for rate in batch.sampling_rate} == {4.0}


def test_all_that_it_counts_is_shown_by_name():
    shown = [sflow_view.view(d.payload) for d in datagrams(CAPTURE, port=SFLOW)]
    counters = [
        record for found in shown for sample in found.samples if sample.input is None for record in sample.records
    ]
    assert {record.name for record in counters} == {
        "if_counters", "ethernet_counters", "of_port", "port_name", "app_resources", "ovs_dp_stats",
    }  # fmt: skip
    assert {record.members["name"] for record in counters if record.name == "port_name"} == {"br0", "vta", "vtb"}
