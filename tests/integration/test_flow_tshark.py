"""Exports made at random, decoded by Wireshark's dissectors and by ours: both find the same in them.

Skipped where there is no tshark.
"""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from teagent.model.traffic import FlowBatch
from teagent.wire.flow.decoder import FlowDecoder
from tests.fakes import sflow
from tests.fakes.netflow import Fields, flow_set, ipfix, netflow5, netflow9, record, record5, template

pytestmark = pytest.mark.slow

TSHARK = shutil.which("tshark")
VARIABLE = 0xFFFF
SHOWN = {
    8: "cflow.srcaddr", 12: "cflow.dstaddr", 27: "cflow.srcaddrv6", 28: "cflow.dstaddrv6", 10: "cflow.inputint",
    14: "cflow.outputint", 1: "cflow.octets", 2: "cflow.packets", 7: "cflow.srcport", 11: "cflow.dstport",
    4: "cflow.protocol", 16: "cflow.srcas", 17: "cflow.dstas",
}  # fmt: skip
COLUMNS = {
    10: "in_if", 14: "out_if", 1: "octets", 2: "packets", 7: "src_port", 11: "dst_port", 4: "protocol", 16: "src_asn",
    17: "dst_asn",
}  # fmt: skip
WIDTHS = {1: (1, 3, 4, 5, 8), 2: (1, 2, 4, 8), 10: (1, 2, 3, 4), 14: (2, 3, 4), 16: (2, 3, 4), 17: (2, 4)}
FIXED = {4: 1, 7: 2, 11: 2}
OTHERS: Fields = ((5, 1), (6, 1), (9, 1), (21, 4), (22, 4), (32, 2), (56, 6), (61, 1))
OF_IPFIX: Fields = ((9 << 16 | 12, 5), (82, VARIABLE), (83, VARIABLE))
Row = tuple[str, ...]


@pytest.fixture
def tshark(tmp_path: Path):
    if TSHARK is None:
        pytest.skip("tshark is not installed")

    def dissected(payloads: Sequence[bytes], fields: Sequence[str], *, as_: str) -> list[list[list[str]]]:
        """For each datagram and each of the fields what is found, in order."""
        capture = tmp_path / "export.pcap"
        capture.write_bytes(_pcap(payloads))
        command = [TSHARK, "-n", "-r", str(capture), "-d", f"udp.port==2055,{as_}", "-T", "fields", "-E", "separator=|"]
        command += [word for field in fields for word in ("-e", field)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        return [[found.split(",") if found else [] for found in line.split("|")] for line in done.stdout.splitlines()]

    return dissected


def _pcap(payloads: Sequence[bytes]) -> bytes:
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)]
    for number, payload in enumerate(payloads):
        frame = sflow.ethernet(sflow.ipv4("192.0.2.1", "192.0.2.250", sflow.udp(4000, 2055, payload)))
        out.append(struct.pack("<IIII", 1_700_000_000 + number, 0, len(frame), len(frame)) + frame)
    return b"".join(out)


def chosen(rng: random.Random, version: int) -> list[tuple[int, int]]:
    """Fields of a template, in any order and of any width."""
    addresses = rng.choice([((8, 4), (12, 4)), ((27, 16), (28, 16))])
    numbers = [(element, rng.choice(widths)) for element, widths in WIDTHS.items()]
    fields = [*addresses, *numbers, *FIXED.items(), *rng.sample(OTHERS, 4)]
    if version == 10:
        fields += rng.sample(OF_IPFIX, rng.randint(0, 3))
    rng.shuffle(fields)
    return fields


def value(rng: random.Random, element: int, length: int) -> bytes:
    if length == VARIABLE:
        return b"x" * rng.choice([0, 1, 254, 255, 300])
    return rng.randbytes(length)


def exports(rng: random.Random, version: int) -> list[bytes]:
    """A template in each datagram, and one to four sets of its records, padded or not."""
    found = []
    for number in range(30):
        fields, identifier = chosen(rng, version), 300 + number
        sets = [flow_set(0 if version == 9 else 2, template(identifier, fields))]
        for _ in range(rng.randint(1, 4)):
            rows = [record(fields, *(value(rng, *each) for each in fields)) for _ in range(rng.randint(1, 3))]
            sets.append(flow_set(identifier, b"".join(rows), pad=rng.randint(0, 3)))
        found.append((netflow9 if version == 9 else ipfix)(*sets))
    return found


def rows_of(batches: Sequence[FlowBatch]) -> Iterator[Row]:
    for batch in batches:
        for i in range(len(batch)):
            addresses = (_address(column[i], batch.family) for column in (batch.src, batch.dst))
            yield (*addresses, *(str(int(getattr(batch, name)[i])) for name in COLUMNS.values()))


def _address(found, family: int) -> str:
    return str(IPv4Address(int(found)) if family == 4 else IPv6Address(int(found[0]) << 64 | int(found[1])))


@pytest.mark.parametrize("version", [9, 10])
@pytest.mark.parametrize("seed", [1, 2])
def test_templates_of_any_fields_and_widths_are_read_as_wireshark_reads_them(tshark, version: int, seed: int) -> None:
    payloads = exports(random.Random(seed), version)
    decoder = FlowDecoder("192.0.2.1")
    ours = [list(rows_of(decoder.decode([payload], at=0).batches)) for payload in payloads]
    shown = tshark(payloads, list(SHOWN.values()), as_="cflow")
    assert len(shown) == len(payloads)
    assert all(ours)
    for number, found in enumerate(shown):
        by_element = dict(zip(SHOWN, found, strict=True))
        src, dst = by_element[8] or by_element[27], by_element[12] or by_element[28]
        numbers = [by_element[element] for element in COLUMNS]
        assert sorted(zip(src, dst, *numbers, strict=True)) == sorted(ours[number]), f"datagram {number}"


def test_netflow_v5_is_read_as_wireshark_reads_it(tshark) -> None:
    rng = random.Random(3)
    payloads = []
    for count in (1, 29, 30):
        numbers = [(rng.getrandbits(32), rng.getrandbits(32), rng.getrandbits(32)) for _ in range(count)]
        payloads.append(netflow5(*(record5(src=src, dst=dst, octets=octets) for src, dst, octets in numbers)))
    decoder = FlowDecoder("192.0.2.1")
    shown = tshark(payloads, [SHOWN[element] for element in (8, 12, *COLUMNS)], as_="cflow")
    for payload, found in zip(payloads, shown, strict=True):
        ours = list(rows_of(decoder.decode([payload], at=0).batches))
        assert list(zip(*found, strict=True)) == ours


def test_the_packets_in_sflow_samples_are_those_that_wireshark_sees_in_them(tshark) -> None:
    body = sflow.udp(53, 4000, b"z" * 40)
    packets = (
        sflow.ipv4("10.0.0.1", "198.51.100.7", body),
        sflow.ipv4("10.0.0.2", "198.51.100.8", body, options=bytes([7, 7, 4, 0, 0, 0, 0, 0])),
        sflow.ipv6("2001:db8::1", "2001:db8:100::7", body),
        sflow.ipv6("2001:db8::2", "2001:db8:100::8", body, extensions=(0, 60)),
    )
    wrappings = ({}, {"vlans": (10,)}, {"vlans": (10, 20)}, {"labels": (100,)}, {"labels": (100, 200, 300)})
    frames = [sflow.ethernet(packet, **wrapping) for packet in packets for wrapping in wrappings]
    payloads = [
        sflow.datagram(sflow.flow_sample(sflow.sampled_header(frame), expanded=number % 2 == 1), sequence=number)
        for number, frame in enumerate(frames)
    ]
    fields = ("ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "udp.srcport", "udp.dstport")
    decoder = FlowDecoder("192.0.2.1")
    for payload, found in zip(payloads, tshark(payloads, fields, as_="sflow"), strict=True):
        ip_src, ip_dst, ipv6_src, ipv6_dst, src_port, dst_port = found
        [ours] = rows_of(decoder.decode([payload], at=0).batches)
        assert ours[:2] == (*(ip_src[1:] or ipv6_src), *(ip_dst[1:] or ipv6_dst))
        places = [2 + list(COLUMNS.values()).index(name) for name in ("src_port", "dst_port")]
        assert [ours[place] for place in places] == [src_port[1], dst_port[1]]
