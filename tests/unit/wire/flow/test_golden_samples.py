"""Captures of sFlow and of sampled frames by several vendors, against the values that tshark finds in them."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from teagent.wire.flow.decoder import FlowDecoder
from tests.fakes.pcap import datagrams
from tests.unit.wire.flow.test_golden import rows

# (source, destination, octets, packets, input, output, protocol, source port, destination port, source AS, dest. AS)
TSHARK = {
    "data-discard-interface": (
        1024,
        ("2a0c:8880:2:0:185:21:130:38", "2a0c:8880:2:0:185:21:130:39", 1518, 1, 27, 0, 6, 46026, 22, 0, 0),
    ),
    "data-local-interface": (
        1024,
        ("2a0c:8880:2:0:185:21:130:38", "2a0c:8880:2:0:185:21:130:39", 1518, 1, 27, 0, 6, 46026, 22, 0, 0),
    ),
    "data-encap-vxlan": (1, ("192.168.108.40", "192.168.15.14", 172, 1, 0, 0, 17, 45833, 4789, 0, 0)),
    "data-icmpv4": (1, ("203.0.113.4", "203.0.113.5", 102, 1, 0, 0, 1, 0, 0, 0, 0)),
    "data-icmpv6": (1, ("fe80::d05b:45ff:feee:5ecf", "2001:db8::", 90, 1, 0, 0, 58, 0, 0, 0, 0)),
    "data-qinq": (4096, ("49.49.49.2", "49.49.49.109", 106, 1, 369098852, 369098851, 6, 32017, 443, 0, 0)),
    "data-sflow-expanded-sample": (
        1000,
        ("52.52.52.52", "53.53.53.53", 126, 1, 29001, 1285816721, 6, 22, 52237, 203476, 203361),
    ),
    "data-sflow-ipv4-data": (256, ("50.50.50.50", "51.51.51.51", 1390, 1, 0, 182, 17, 46622, 58631, 0, 0)),
}


@pytest.mark.parametrize("name", TSHARK)
def test_a_sample_has_the_values_that_tshark_finds(data_dir, name):
    """Of discarded packets and of packets to the router itself there is no output interface; of a tunnel the outer
    addresses count. Two of these captures hold more samples than their header counts: both decoders leave them.
    """
    [one] = datagrams(data_dir / "flows" / "akvorado" / f"{name}.pcap", port=6343)
    result = FlowDecoder("192.0.2.1").decode([one.payload], at=0)
    rate, expected = TSHARK[name]
    assert rows(list(result.batches)) == Counter([(*expected, None, None)])
    assert [(b.sampling_rate.tolist(), b.layer2) for b in result.batches] == [([rate], True)]
    assert (result.undecoded, result.lost) == ({}, 0)


def test_headers_that_begin_with_ip_count_the_octets_of_ip(data_dir):
    """tshark shows the frame_length of 50 beside IP's own 32: these two samples count the Ethernet header that was
    stripped, which the matrix adds for itself.
    """
    [one] = datagrams(data_dir / "flows" / "akvorado" / "data-sflow-raw-ipv4.pcap")
    result = FlowDecoder("192.0.2.1").decode([one.payload], at=0)
    assert rows(list(result.batches)) == Counter(
        ("69.58.92.107", to, 32, 1, 0, 2, 1, 0, 0, 0, 0, None, None) for to in ("92.222.186.1", "92.222.184.1")
    )
    assert [(b.sampling_rate.tolist(), b.layer2) for b in result.batches] == [([1, 1], False)]


@pytest.mark.parametrize("order", [("datalink-template", "datalink-data"), ("datalink-data", "datalink-template")])
def test_a_frame_in_ipfix_has_the_values_that_tshark_finds(data_dir, order):
    decoder = FlowDecoder("192.0.2.1")
    batches = []
    for name in order:
        for one in datagrams(data_dir / "flows" / "akvorado" / f"{name}.pcap"):
            batches += decoder.decode([one.payload], at=0).batches
    expected = ("51.51.51.51", "52.52.52.52", 114, 1, 582, 0, 17, 55501, 11777, 0, 0, None, None)
    assert rows(batches) == Counter([expected])
    assert [b.layer2 for b in batches] == [True]


SENT_PACKETS = {"11.0.0.10": 7_721, "10.0.0.10": 12_868}  # as pmacctd's own unsampled NetFlow of the same run has it
LAB = "pmacctd-nfprobe-sfprobe.pcap"


def test_the_lab_run_of_known_volume_is_found_within_the_error_of_sampling(data_dir):
    """1 in 10 packets, chosen at random: 2,059 samples, so that a destination of 7,721 packets has a standard error of
    sqrt(7721 * 9) = 264 packets; three of them are allowed.
    """
    decoder, unsampled = FlowDecoder("192.0.2.65"), FlowDecoder("192.0.2.65")
    packets: Counter[str] = Counter()
    exported: Counter[str] = Counter()
    for d in datagrams(data_dir / "flows" / "lab" / LAB):
        result = (decoder if d.port == 6343 else unsampled).decode([d.payload], at=d.at, stream=d.source_port)
        assert (result.undecoded, result.lost, result.samples_lost, result.samples_dropped) == ({}, 0, 0, 0)
        counter, rate = (packets, 10) if d.port == 6343 else (exported, 1)
        for row, times in rows(list(result.batches)).items():
            assert row[4] == 2
            assert d.port != 6343 or row[2] == 1218  # 1200 octets of IP, 14 of Ethernet, 4 of its checksum
            counter[str(row[1])] += times * rate * int(str(row[3]))
    assert {to: exported[to] for to in SENT_PACKETS} == SENT_PACKETS
    for to, sent in SENT_PACKETS.items():
        assert packets[to] == pytest.approx(sent, abs=3 * (sent * 9) ** 0.5)
    assert set(packets) == set(SENT_PACKETS)


@pytest.mark.parametrize(
    "path",
    ["lab/pmacctd-nfprobe-sfprobe", *(f"akvorado/{name}" for name in (*TSHARK, "data-sflow-raw-ipv4"))],
)
def test_all_samples_are_those_that_tshark_shows(data_dir, path):
    if shutil.which("tshark") is None:
        pytest.skip("not installed: tshark")
    capture = data_dir / "flows" / f"{path}.pcap"
    found: Counter[tuple[str, ...]] = Counter()
    decoder = FlowDecoder("192.0.2.1")
    for d in datagrams(capture, port=6343):
        for b in decoder.decode([d.payload], at=0, stream=d.source_port).batches:
            for row, times in rows([b]).items():
                found[str(row[0]), str(row[1]), str(int(b.sampling_rate[0]))] += times
    assert found == shown_by_tshark(capture)


def shown_by_tshark(capture: Path) -> Counter[tuple[str, ...]]:
    """(source, destination, sampling rate) of each sampled header. All addresses of a datagram come in one list, its
    own first, so the inner ones of a tunnel are left out by their number.
    """
    fields = ("sflow.flow_sample.sampling_rate", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst")
    arguments = [part for field in fields for part in ("-e", field)]
    done = subprocess.run(
        ["tshark", "-r", capture, "-d", "udp.port==6343,sflow", "-Y", "sflow", "-T", "fields", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    shown: Counter[tuple[str, ...]] = Counter()
    for line in done.stdout.splitlines():
        rates, *addresses = (column.split(",") if column else [] for column in line.split("\t"))
        sources = [*addresses[0][1:], *addresses[2]]
        destinations = [*addresses[1][1:], *addresses[3]]
        for rate, source, destination in zip(rates, sources, destinations, strict=False):
            shown[source, destination, rate] += 1
    return shown
