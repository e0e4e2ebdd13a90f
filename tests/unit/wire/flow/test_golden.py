"""Datagrams of many vendors against the values that other decoders find in them (see the README of the shared data)."""

from __future__ import annotations

import json
import math
from collections import Counter
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path

import pytest

from teagent.model.traffic import FlowBatch
from teagent.wire.flow.columns import unsigned
from teagent.wire.flow.decoder import FlowDecoder
from tests.fakes.pcap import datagrams

CASES = (
    "IPFIX",
    "IPFIX-Mikrotik-RouterOS-6.39.2",
    "IPFIX-Netscaler-with-variable-length-fields",
    "IPFIX-Netscaler-with-variable-length-fields-missing-templates",
    "IPFIX-OpenBSD-pflow",
    "IPFIX-configured-with-include_flowset_id",
    "IPFIX-options-template-from-Juniper-MX240-JunOS-15.1-R6-S3",
    "Netflow-9-Cisco-1941-K9-release-15.1",
    "Netflow-9-Cisco-ASA",
    "Netflow-9-Cisco-ASA-2",
    "Netflow-9-Cisco-ASR-9000-series-options-template-256",
    "Netflow-9-Cisco-ASR-9000-series-template-260",
    "Netflow-9-Cisco-ASR1001--X",
    "Netflow-9-Cisco-NBAR-flowset-262",
    "Netflow-9-Cisco-NBAR-options-template-260",
    "Netflow-9-Fortigate-FortiOS-5.2.1",
    "Netflow-9-Fortigate-FortiOS-54x-appid",
    "Netflow-9-Huawei-Netstream",
    "Netflow-9-template-with-0-length-fields",
    "Netflow-9-valid-01",
    "Netflow9-Juniper-SRX-options-template-with-0-scope-field-length",
)
# Netflow-9-invalid-01 is apart: its header counts two records while seven stand in it, and the other decoder stops
# after two. Every set of it is sound, so ours reads them; see test_a_wrong_count_in_the_header_loses_nothing.
APART = ("Netflow-9-invalid-01",)

Row = tuple[object, ...]


def rows(batches: list[FlowBatch]) -> Counter[Row]:
    found: Counter[Row] = Counter()
    for b in batches:
        for i in range(len(b)):
            source, destination = (_address(column[i], b.family) for column in (b.src, b.dst))
            numbers = (b.octets, b.packets, b.in_if, b.out_if, b.protocol, b.src_port, b.dst_port, b.src_asn, b.dst_asn)
            times = tuple(None if math.isnan(t[i]) else round(float(t[i]) * 1000) for t in (b.start, b.end))
            found[source, destination, *(int(column[i]) for column in numbers), *times] += 1
    return found


def _address(value, family: int) -> str:
    return str(ip_address(int(value) if family == 4 else int(value[0]).to_bytes(8) + int(value[1]).to_bytes(8)))


def expected(fields: dict, boot: float | None) -> Row:
    """The golden values of one record; `boot` is when the exporter's sysUpTime was 0."""

    def first(*names: str):
        return next((fields[name] for name in names if name in fields), 0)

    times: list[int | None] = []
    for edge in ("start", "end"):
        absolute = first(*(f"flow_{edge}_{unit}" for unit in ("milliseconds", "microseconds", "seconds")))
        uptime = fields.get(f"flow_{edge}_sys_up_time")
        if absolute:
            times.append(round(unix(absolute) * 1000))
        else:
            times.append(None if uptime is None or boot is None else round(boot * 1000 + uptime))
    return (
        first("source_ipv4_address", "source_ipv6_address"),
        first("destination_ipv4_address", "destination_ipv6_address"),
        first("octet_delta_count", "octet_total_count", "initiator_octets"),
        first("packet_delta_count", "initiator_packets"),
        first("ingress_interface"),
        first("egress_interface"),
        first("protocol_identifier"),
        first("source_transport_port"),
        first("destination_transport_port"),
        first("bgp_source_as_number"),
        first("bgp_destination_as_number"),
        *times,
    )


def back(fields: dict, boot: float | None) -> Row:
    """What came back, as a record of its own."""
    source, destination, _, _, in_if, out_if, protocol, from_port, to_port, *asns, start, end = expected(fields, boot)
    counted = (fields["responder_octets"], fields.get("responder_packets", 0))
    return (destination, source, *counted, out_if, in_if, protocol, to_port, from_port, *reversed(asns), start, end)


def unix(text: str) -> float:
    head, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{head}+00:00").timestamp() + float(f"0.{fraction or 0}")


def boot_of(events: list[dict]) -> float | None:
    """IPFIX tells it in options, NetFlow v9 in every header."""
    for fields in events:
        if "system_init_time_milliseconds" in fields.get("options", {}):
            return unix(fields["options"]["system_init_time_milliseconds"])
        if fields["exporter"]["version"] == 9:
            return unix(fields["exporter"]["timestamp"]) - fields["exporter"]["uptime_millis"] / 1000
    return None


def decoded(data_dir: Path, name: str) -> tuple[FlowDecoder, list[FlowBatch], list[dict]]:
    """A case's datagrams through one decoder, and the golden records."""
    folder = data_dir / "flows"
    listed = json.loads((folder / "golden" / "INDEX.json").read_text())[f"{name}.golden.json"]["datagrams"]
    golden = json.loads((folder / "golden" / f"{name}.golden.json").read_text())
    decoder = FlowDecoder("192.0.2.1")
    batches: list[FlowBatch] = []
    for file in listed:
        result = decoder.decode([(folder / "dat" / file).read_bytes()], at=0)
        assert result.undecoded == {}
        batches += result.batches
    return decoder, batches, [event["Fields"]["netflow"] for event in golden.get("events") or []]


def test_every_golden_case_is_tested(data_dir):
    index = json.loads((data_dir / "flows" / "golden" / "INDEX.json").read_text())
    assert sorted(index) == sorted(f"{name}.golden.json" for name in CASES + APART)


@pytest.mark.parametrize("name", CASES)
def test_flow_records_are_those_of_the_golden_case(data_dir, name):
    _, batches, events = decoded(data_dir, name)
    boot = boot_of(events)
    flows = [fields for fields in events if fields["type"] == "netflow_flow"]
    there = Counter(expected(fields, boot) for fields in flows)
    assert rows(batches) == there + Counter(back(fields, boot) for fields in flows if fields.get("responder_octets"))


OPTIONS = {
    "ingress_interface": 10,
    "sampling_interval": 34,
    "sampling_algorithm": 35,
    "flow_active_timeout": 36,
    "flow_idle_timeout": 37,
    "exported_octet_total_count": 40,
    "exported_message_total_count": 41,
    "exported_flow_record_total_count": 42,
    "system_init_time_milliseconds": 160,
    "selector_algorithm": 304,
    "sampling_packet_interval": 305,
    "sampling_packet_space": 306,
}


@pytest.mark.parametrize("name", CASES)
def test_options_records_hold_the_values_of_the_golden_case(data_dir, name):
    folder = data_dir / "flows"
    decoder = FlowDecoder("192.0.2.1")
    found: Counter[frozenset] = Counter()
    for file in json.loads((folder / "golden" / "INDEX.json").read_text())[f"{name}.golden.json"]["datagrams"]:
        for records in decoder.read((folder / "dat" / file).read_bytes(), at=0):
            template = records.layout.template
            if not template.options:
                continue
            row = records.decode().rows
            columns = {
                option: unsigned(template, row, index)
                for option, element in OPTIONS.items()
                if (index := template.find((element,))) is not None
            }
            for i in range(records.records):
                found[frozenset((option, int(column[i])) for option, column in columns.items())] += 1
    _, _, events = decoded(data_dir, name)
    golden: Counter[frozenset] = Counter()
    for fields in events:
        if fields["type"] == "netflow_options":
            options = {k: v for k, v in fields["options"].items() if k in OPTIONS}
            if "system_init_time_milliseconds" in options:
                options["system_init_time_milliseconds"] = round(unix(options["system_init_time_milliseconds"]) * 1000)
            golden[frozenset(options.items())] += 1
    assert found == golden


def test_a_wrong_count_in_the_header_loses_nothing(data_dir):
    payload = (data_dir / "flows" / "dat" / "netflow9_test_invalid01.dat").read_bytes()
    result = FlowDecoder("192.0.2.1").decode([payload], at=0)
    assert sorted((b.family, b.octets.tolist(), b.sampling_rate.tolist()) for b in result.batches) == [
        (4, [98], [100.0]),
        (6, [96], [100.0]),
    ]


@pytest.mark.parametrize(
    ("file", "records", "sampling"),
    [
        ("netflow5.dat", 30, 1.0),
        ("netflow5_test_juniper_mx80.dat", 29, 1000.0),
        ("netflow5_test_microtik.dat", 30, 1.0),
    ],
)
def test_netflow5_of_real_routers(data_dir, file, records, sampling):
    payload = (data_dir / "flows" / "dat" / file).read_bytes()
    result = FlowDecoder("192.0.2.1").decode([payload], at=0)
    assert result.records == records
    assert {rate for b in result.batches for rate in b.sampling_rate.tolist()} == {sampling}
    assert result.undecoded == {}


@pytest.mark.parametrize("file", ["netflow5_test_invalid01.dat", "netflow5_test_invalid02.dat"])
def test_a_netflow5_header_that_promises_more_than_is_there_is_not_believed(data_dir, file):
    payload = (data_dir / "flows" / "dat" / file).read_bytes()
    result = FlowDecoder("192.0.2.1").decode([payload], at=0)
    assert (result.records, result.undecoded) == (0, {"bad_length": 1})


@pytest.mark.parametrize(
    ("file", "rate", "octets"),
    [
        ("nfv9-softflowd.pcap", 1.0, 19_200_000),
        ("softflowd-v5.pcap", 1.0, 19_200_388),
        ("softflowd-v5-s10.pcap", 10.0, 19_200_000),
        ("softflowd-v9-s10.pcap", 10.0, 19_212_710),
        ("softflowd-v10.pcap", 1.0, 19_200_000),
        ("softflowd-v10-milli.pcap", 1.0, 19_200_000),
        ("softflowd-v10-milli-s10.pcap", 10.0, 19_224_000),
    ],
)
def test_the_lab_run_of_known_volume_is_found_whole(data_dir, file, rate, octets):
    """The senders sent 19.2 MB; the rest is ICMP, and the error of sampling."""
    decoder = FlowDecoder("192.0.2.65")
    total, lost, rates = 0.0, 0, set()
    for d in datagrams(data_dir / "flows" / "lab" / file):
        result = decoder.decode([d.payload], at=d.at, stream=d.source_port)
        assert result.undecoded == {}
        lost += result.lost
        for b in result.batches:
            total += float((b.octets * b.sampling_rate).sum())
            rates |= set(b.sampling_rate.tolist())
    assert (total, rates, lost, decoder.awaiting_template) == (octets, {rate}, 0, 0)


PMACCT = (
    ("100-IPFIXv10-CISCO", 0),
    ("101-NFv9-CISCO-cust_primitives", 24),
    ("104-IPFIXv10-IPv6-CISCO-sampling_option", 21),
)


@pytest.mark.parametrize(("folder", "lost"), PMACCT)
def test_captures_decode_as_nfacctd_decodes_them(data_dir, folder, lost):
    """The numbers lost are gaps that stand in the captures: they were filtered."""
    where = data_dir / "flows" / "pmacct" / folder
    result = FlowDecoder("192.0.2.1").decode([d.payload for d in datagrams(where / "traffic-00.pcap")], at=0)
    rate = 256 if folder.startswith("104") else 1  # nfacctd renormalises
    assert {r for b in result.batches for r in b.sampling_rate.tolist() if not math.isnan(r)} <= {rate}
    found: Counter[Row] = Counter()
    for (source, destination, octets, packets, in_if, out_if, _, src_port, dst_port, *_), times in rows(
        list(result.batches)
    ).items():
        key = (source, destination, in_if, out_if, src_port, dst_port)
        found[*key, "bytes"] += octets * times * rate
        found[*key, "packets"] += packets * times * rate
    golden: Counter[Row] = Counter()
    for line in (where / "output-flow-00.json").read_text().splitlines():
        flow = json.loads(line)
        key = tuple(flow[k] for k in ("ip_src", "ip_dst", "iface_in", "iface_out", "port_src", "port_dst"))
        for amount in ("bytes", "packets"):
            golden[*key, amount] += flow[amount]
    assert found == golden
    assert (result.undecoded, result.lost) == ({}, lost)


def akvorado(data_dir, *names: str) -> tuple[FlowDecoder, list[FlowBatch]]:
    decoder = FlowDecoder("192.0.2.1")
    batches: list[FlowBatch] = []
    for name in names:
        path = data_dir / "flows" / "akvorado" / f"{name}.pcap"
        result = decoder.decode([d.payload for d in datagrams(path)], at=0)
        assert result.undecoded == {}
        batches += result.batches
    return decoder, batches


CISCO_XR = {
    ("198.38.121.178", "91.170.143.87", 1500, 1, 335, 450, 6, 443, 19624),
    ("198.38.121.219", "88.122.57.97", 1500, 1, 335, 452, 6, 443, 2444),
    ("173.194.190.106", "37.165.129.20", 1400, 1, 461, 306, 6, 443, 53697),
    ("74.125.100.234", "88.120.219.117", 1448, 1, 461, 451, 6, 443, 52300),
}


@pytest.mark.parametrize(
    "order",
    [
        ("options-template", "options-data", "template", "data"),
        ("template", "options-template", "options-data", "data"),
        ("options-data", "options-template", "data", "template"),
    ],
)
def test_the_sampling_rate_comes_out_of_options_in_whatever_order_templates_arrive(data_dir, order):
    _, batches = akvorado(data_dir, *order)
    assert {row[:9] for row in rows(batches)} == CISCO_XR
    assert {rate for b in batches for rate in b.sampling_rate.tolist()} == {30_000.0}


@pytest.mark.parametrize(
    ("names", "records", "rate"),
    [
        (("data+templates",), 21, 100.0),
        (("samplingrate-template", "samplingrate-data"), 6, 2048.0),
        (("nfv5",), 29, 1.0),
        (("icmp-template", "icmp-data"), 4, None),
        (("ipfixprobe-templates", "ipfixprobe-data"), 6, None),
        (("nat",), 9, None),
    ],
)
def test_captures_of_templates_and_data_decode_whole(data_dir, names, records, rate):
    decoder, batches = akvorado(data_dir, *names)
    assert sum(len(b) for b in batches) == records
    assert (decoder.sampling_rate, decoder.awaiting_template) == (rate, 0)
