"""sFlow samples by IANA's names and the specification's."""

from __future__ import annotations

import struct

import pytest

from teagent.wire.flow.decoder import FlowDecoder
from tests.fakes.sflow import (
    INTERNAL,
    counter_sample,
    datagram,
    discarded_packet,
    ethernet,
    flow_sample,
    gateway,
    if_counters,
    ipv6,
    opaque,
    sampled_header,
    sampled_ipv4,
    udp,
)
from tests.fakes.sflow import record as sflow_record
from tests.unit.wire.flow.conftest import FRAME, documents


def test_a_flow_sample_is_shown_by_ianas_names_and_the_specifications():
    octets = datagram(
        flow_sample(
            sampled_header(FRAME),
            gateway(64496, (64501, 64502)),
            sequence=9,
            source=3,
            rate=1000,
            drops=5,
            in_if=(0, 3),
            out_if=(1, 2),
        ),
        sequence=77,
        sub_agent=2,
    )
    [one], undecoded = documents(octets)
    assert undecoded == {}
    header, path = one["records"]
    assert header == {
        "structure": "sampled_header",
        "header_protocol": 1,
        "frame_length": 66,
        "stripped": 4,
        "header": FRAME.hex(),
    }
    assert (path["structure"], path["dst_as_path"], path["nexthop"]) == (
        "extended_gateway",
        [64501, 64502],
        "192.0.2.9",
    )
    assert one["fields"] == {
        "dataLinkFrameSize": 66,
        "bgpSourceAsNumber": 64496,
        "bgpDestinationAsNumber": 64502,
        "sourceIPv4Address": "192.0.2.1",
        "destinationIPv4Address": "198.51.100.7",
        "protocolIdentifier": 17,
        "sourceTransportPort": 1234,
        "destinationTransportPort": 53,
        "ipTotalLength": 48,
    }
    kept = (
        "kind",
        "protocol",
        "version",
        "agent",
        "sub_agent",
        "sequence",
        "sample_sequence",
        "sampling_rate",
        "drops",
    )
    assert [one[key] for key in kept] == ["flow", "sflow-v5", 5, "192.0.2.1", 2, 77, 9, 1000.0, 5]
    assert (one["input_interface"], one["input"], one["output_interface"], one["output"]) == (3, "3", None, "discarded")
    assert one["source"] == {"class": 0, "index": 3}


@pytest.mark.parametrize("expanded", [False, True])
@pytest.mark.parametrize(
    ("interface", "text"),
    [((0, 0), "unknown"), ((0, 9), "9"), ((0, INTERNAL), "internal"), ((1, 3), "discarded"), ((2, 4), "multiple")],
)
def test_interfaces_of_samples_are_said_in_words(interface, text, expanded):
    [one], _ = documents(datagram(flow_sample(sampled_header(FRAME), out_if=interface, expanded=expanded)))
    assert one["output"] == text


@pytest.mark.parametrize("expanded", [False, True])
def test_counter_samples_are_shown(expanded):
    [one], undecoded = documents(datagram(counter_sample(if_counters(3, in_octets=10**15), expanded=expanded)))
    assert (one["kind"], one["source"], undecoded) == ("counters", {"class": 0, "index": 3}, {})
    [counters] = one["records"]
    assert (counters["structure"], counters["ifIndex"], counters["ifInOctets"]) == ("if_counters", 3, 10**15)
    assert (counters["ifSpeed"], counters["ifPromiscuousMode"]) == (10**10, 5)


def test_a_packet_that_was_not_forwarded_is_shown_with_its_reason_and_is_no_traffic():
    dropped = discarded_packet(sampled_header(FRAME), sflow_record(1038, opaque(b"ip_rcv")), reason=258)
    [one], undecoded = documents(datagram(dropped))
    assert (one["kind"], one["reason"], one["input_interface"], one["output"]) == ("discarded", 258, 3, "unknown")
    assert one["fields"]["destinationIPv4Address"] == "198.51.100.7"
    assert one["records"][1] == {"structure": "extended_function", "symbol": "ip_rcv"}
    assert undecoded == {}
    result = FlowDecoder("192.0.2.1").decode([datagram(dropped)], at=0)
    assert (result.records, result.samples, result.undecoded) == (0, 0, {})


def test_why_linux_did_not_forward_a_packet_is_shown():
    trap = sflow_record(1041, opaque(b"l3_drops") + opaque(b"ttl_value_is_too_small"))
    [one], _ = documents(datagram(discarded_packet(trap, sflow_record(1042, opaque(b"tcp_csum")))))
    assert one["records"] == [
        {"structure": "extended_hw_trap", "group": "l3_drops", "trap": "ttl_value_is_too_small"},
        {"structure": "extended_linux_drop_reason", "reason": "tcp_csum"},
    ]


def test_the_records_of_tunnels_are_shown_under_their_own_names():
    outer = sflow_record(1024, sampled_ipv4("192.0.2.1", "192.0.2.2")[8:])
    [one], _ = documents(datagram(flow_sample(sampled_header(FRAME), outer, sflow_record(1030, struct.pack(">I", 77)))))
    assert [row["structure"] for row in one["records"][1:]] == ["extended_ipv4_tunnel_ingress", "extended_vni_ingress"]
    assert (one["records"][1]["dst_ip"], one["records"][2]["vni"]) == ("192.0.2.2", 77)
    assert one["fields"]["destinationIPv4Address"] == "198.51.100.7"


def test_samples_without_a_header_are_shown_by_their_ip_record():
    [one], _ = documents(datagram(flow_sample(sampled_ipv4("192.0.2.1", "198.51.100.7", length=99))))
    assert (one["fields"]["ipTotalLength"], one["fields"]["sourceIPv4Address"]) == (99, "192.0.2.1")


def test_a_sample_without_an_ip_packet_shows_its_frame():
    body = struct.pack(">I", 64) + b"\x02\0\0\0\0\1\0\0" + b"\x02\0\0\0\0\2\0\0" + struct.pack(">I", 0x0806)
    [found], _ = documents(datagram(flow_sample(sflow_record(2, body))))
    assert found["fields"] == {
        "dataLinkFrameSize": 64,
        "sourceMacAddress": "02:00:00:00:00:01",
        "destinationMacAddress": "02:00:00:00:00:02",
        "ethernetType": 0x0806,
    }


def test_what_a_sample_holds_that_is_not_known_is_named_by_number_and_shown_as_octets():
    [one], undecoded = documents(
        datagram(flow_sample(sflow_record(8800 << 12 | 5, b"abcd"), sampled_header(FRAME)), sflow_record(6, bytes(8)))
    )
    assert one["records"][0] == {"structure": "record 8800:5", "octets": "61626364"}
    assert one["records"][1]["structure"] == "sampled_header"
    assert undecoded == {("192.0.2.1", "no_addresses", "sample type 0:6 is not read"): 1}


def test_what_cannot_be_read_of_a_sample_is_said_with_its_reason():
    arp, cut = ethernet(bytes(46), kind=0x0806), FRAME[:20]
    shown, undecoded = documents(
        datagram(
            flow_sample(sampled_header(arp), sequence=4),
            flow_sample(sampled_header(cut), sequence=5),
            flow_sample(sflow_record(1002, bytes(4)), sampled_header(FRAME)),
            sflow_record(1, bytes(20)),
        )
        + b"more"
    )
    assert len(shown) == 3
    assert {(reason, text) for _, reason, text in undecoded} == {
        ("not_ip", "sample 4: the sampled header is not IP"),
        ("truncated", "sample 5: the sampled header ends before the addresses"),
        ("truncated", "extended_router: 4 octets are wanted, 0 are left in the record"),
        ("truncated", "a sample of 20 octets, its fixed part takes 32"),
        ("bad_length", "4 octets after the last of 4 samples"),
    }


def test_a_record_whose_length_leaves_out_its_padding_is_read():
    body = struct.pack(">IIII", 1, 70, 4, 45) + FRAME[:45]
    record = struct.pack(">II", 1, len(body)) + body + bytes(3)
    found, undecoded = documents(datagram(flow_sample(record, sflow_record(1001, bytes(16)))))
    assert found[0]["fields"]["destinationIPv4Address"] == "198.51.100.7"
    assert [row["structure"] for row in found[0]["records"]] == ["sampled_header", "extended_switch"]
    assert undecoded == {}


def test_a_header_that_claims_more_than_its_record_holds_is_read_and_said():
    body = struct.pack(">4I", 1, 66, 4, 4000) + FRAME[:36]
    [one], undecoded = documents(datagram(flow_sample(sflow_record(1, body))))
    assert one["fields"]["destinationIPv4Address"] == "198.51.100.7"
    [(_, reason, text)] = undecoded
    assert (reason, text) == ("truncated", "sampled_header: 4000 octets are wanted, 36 are left in the record")


def test_a_record_that_goes_past_its_sample_is_said_and_ends_it():
    [one], undecoded = documents(datagram(flow_sample(struct.pack(">II", 1001, 400) + bytes(16))))
    assert one["records"] == []
    [(_, reason, text)] = undecoded
    assert (reason, text) == ("truncated", "record 0:1001 states 400 octets, 16 are left in the sample")


def test_an_ipv6_sample_shows_its_addresses():
    six = ethernet(ipv6("2001:db8::1", "2001:db8:100::7", udp(1, 2)))
    [one], _ = documents(datagram(flow_sample(sampled_header(six)), agent="2001:db8::99"))
    assert (one["fields"]["sourceIPv6Address"], one["agent"]) == ("2001:db8::1", "2001:db8::99")
