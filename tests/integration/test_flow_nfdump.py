"""Captures of real exporters, read by nfcapd and by ours: addresses, ports, interfaces, AS, octets and packets agree,
or it stands here why they do not.

Skipped where nfdump's programs are not installed.
"""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import pytest

from teagent.wire.flow.decoder import FlowDecoder
from tests.fakes.pcap import datagrams
from tests.unit.wire.flow.test_golden import Row, rows

pytestmark = pytest.mark.slow

PROGRAMS = ("nfcapd", "nfdump")
PATIENCE_SECONDS = 10
FORMAT = "fmt:%ra|%sa|%da|%byt|%pkt|%in|%out|%pr|%sp|%dp|%sas|%das|%obyt|%opkt"
PROTOCOLS = {"TCP": 6, "UDP": 17, "ICMP": 1, "ICMP6": 58}
SAME = (
    "akvorado/template.pcap akvorado/data.pcap",
    "akvorado/nfv5.pcap",
    "akvorado/nat.pcap",
    "akvorado/samplingrate-template.pcap akvorado/samplingrate-data.pcap",
    "akvorado/ipfixprobe-templates.pcap akvorado/ipfixprobe-data.pcap",
    "lab/nfv9-softflowd.pcap",
    "lab/pmacctd-nfprobe-sfprobe.pcap",
    "lab/softflowd-v10-milli-s10.pcap",
    "lab/softflowd-v10-milli.pcap",
    "lab/softflowd-v10.pcap",
    "lab/softflowd-v5.pcap",
    "lab/softflowd-v9-s10.pcap",
    "pmacct/100-IPFIXv10-CISCO/traffic-00.pcap",
    "pmacct/104-IPFIXv10-IPv6-CISCO-sampling_option/traffic-00.pcap",
)
SCALED = "lab/softflowd-v5-s10.pcap"
LATE_TEMPLATE = "akvorado/data+templates.pcap"
FRAMES = "akvorado/datalink-template.pcap akvorado/datalink-data.pcap"
ICMP = "akvorado/icmp-template.pcap akvorado/icmp-data.pcap"
BOTH_FAMILIES = "pmacct/101-NFv9-CISCO-cust_primitives/traffic-00.pcap"
ALL = (*SAME, SCALED, LATE_TEMPLATE, FRAMES, ICMP, BOTH_FAMILIES)


@dataclass(frozen=True, slots=True)
class Readings:
    """Of the same datagrams, without times; how many records have each row."""

    ours: Counter[Row]
    nfdump: Counter[Row]


@pytest.fixture(scope="module")
def readings(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Readings]:
    """By capture. One collector reads them all; each capture comes from an address of its own, as an exporter does."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{' and '.join(missing)} not installed: apt-get install nfdump")
    folder = tmp_path_factory.mktemp("nfcapd")
    port = _free_port()
    command = ["nfcapd", "-b", "127.0.0.1", "-p", str(port), "-w", str(folder), "-t", "3600", "-B", str(1 << 22)]
    collector = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _until(lambda: _waiting(port) is not None)
        ours = {
            name: _sent_and_decoded(data_dir / "flows", name, f"127.0.1.{number}", port)
            for number, name in enumerate(ALL, 1)
        }
        _until(lambda: _waiting(port) == 0)
    finally:
        collector.send_signal(signal.SIGTERM)
        collector.wait(PATIENCE_SECONDS)
    theirs = _nfdumped(folder)
    return {name: Readings(ours[name], theirs[f"127.0.1.{number}"]) for number, name in enumerate(ALL, 1)}


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _waiting(port: int) -> int | None:
    """Octets in the receive queue of the port's socket, None where it has none."""
    for line in Path("/proc/net/udp").read_text().splitlines():
        _, local, _, _, queues, *_ = line.split()
        if local.endswith(f":{port:04X}"):
            return int(queues.partition(":")[2], 16)
    return None


def _until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(PATIENCE_SECONDS * 50):
        if condition():
            return
        pause.wait(0.02)
    pytest.fail("nfcapd does not listen, or does not read")


def _sent_and_decoded(flows: Path, name: str, address: str, port: int) -> Counter[Row]:
    decoder = FlowDecoder(address)
    found: Counter[Row] = Counter()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as exporter:
        exporter.bind((address, 0))
        for file in name.split():
            for one in datagrams(flows / file):
                if one.payload[:2] in {b"\x00\x05", b"\x00\x09", b"\x00\x0a"}:
                    exporter.sendto(one.payload, ("127.0.0.1", port))
                    found += rows(list(decoder.decode([one.payload], at=one.at).batches))
    return _untimed(found)


def _untimed(found: Counter[Row]) -> Counter[Row]:
    untimed: Counter[Row] = Counter()
    for row, count in found.items():
        untimed[row[:-2]] += count
    return untimed


def _nfdumped(folder: Path) -> dict[str, Counter[Row]]:
    """By exporter. What a record counts for the way back is a row of its own, as ours."""
    theirs: dict[str, Counter[Row]] = {}
    for file in folder.glob("nfcapd.*"):
        command = ["nfdump", "-r", str(file), "-q", "-N", "-6", "-o", FORMAT]
        for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
            exporter, source, destination, *cells = (cell.strip() for cell in line.split("|"))
            *numbers, came_octets, came_packets = (PROTOCOLS.get(cell) or _number(cell) for cell in cells)
            addresses = (str(ip_address(source)), str(ip_address(destination)))
            found = theirs.setdefault(exporter, Counter())
            found[(*addresses, *numbers)] += 1
            if came_octets:
                _, _, in_if, out_if, protocol, from_port, to_port, *asns = numbers
                swapped = (out_if or in_if, in_if, protocol, to_port, from_port, *reversed(asns))
                found[(*reversed(addresses), came_octets, came_packets, *swapped)] += 1
    return theirs


def _number(cell: str) -> int:
    """Of ICMP type and code stand in the place of the port, as in 8.0."""
    high, _, low = cell.partition(".")
    return int(high) * 256 + int(low) if low else int(high)


@pytest.mark.parametrize("name", SAME)
def test_both_find_the_same_records(readings, name):
    assert readings[name].ours == readings[name].nfdump
    assert readings[name].ours


def test_nfdump_has_multiplied_by_the_sampling_rate_of_version_5_what_we_multiply_later(readings):
    found = readings[SCALED]
    assert Counter({(*row[:2], row[2] * 10, row[3] * 10, *row[4:]): n for row, n in found.ours.items()}) == found.nfdump


def test_data_before_its_template_is_held_back_where_nfdump_leaves_it_out(readings):
    found = readings[LATE_TEMPLATE]
    assert found.nfdump < found.ours
    assert (found.ours.total(), found.nfdump.total()) == (21, 10)


def test_what_is_in_a_frame_is_found_where_nfdump_finds_nothing(readings):
    found = readings[FRAMES]
    assert found.ours == Counter([("51.51.51.51", "52.52.52.52", 114, 1, 582, 0, 17, 55501, 11777, 0, 0)])
    assert [row[:4] for row in found.nfdump] == [("0.0.0.0", "0.0.0.0", 0, 0)]


def test_type_and_code_of_icmp_stand_for_the_port_where_nfdump_has_none(readings):
    found = readings[ICMP]
    assert {row[8] for row in found.ours} == {8 << 8, 0, 128 << 8, 129 << 8}
    assert Counter((*row[:8], 0, *row[9:]) for row in found.ours.elements()) == found.nfdump


def test_a_template_of_both_families_gives_the_addresses_that_are_set_where_nfdump_writes_all_as_ipv6(readings):
    found = readings[BOTH_FAMILIES]
    assert Counter((*map(_as_ipv6, row[:2]), *row[2:]) for row in found.ours.elements()) == found.nfdump


def _as_ipv6(address: str) -> str:
    return address if ":" in address else str(ip_address(int(ip_address(address)).to_bytes(16)))
