"""Writes the inputs to begin with: our own lab's captures and what tests/fakes/netflow.py and sflow.py make.

python -m tests.fuzz.seeds DIRECTORY CAPTURE...
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

from teagent.wire.capture import frames
from teagent.wire.capture_udp import UdpReader
from tests.fakes import netflow as n
from tests.fakes import sflow as s
from tests.fuzz.targets import TARGETS, joined

FIELDS = ((8, 4), (12, 4), (10, 4), (1, 4), (2, 4))
BOTH = ((8, 4), (12, 4), (27, 16), (28, 16), (10, 2), (1, 8), (302, 4), (371, 0xFFFF))
SECTION = ((10, 4), (312, 2), (315, 0xFFFF))
TWO_WAY = ((8, 4), (12, 4), (10, 4), (14, 2), (1, 8), (29305 << 16 | 1, 3))
SAMPLERS = ((302, 4), (309, 4), (310, 4), (160, 8))
MOST_OCTETS = 3000  # an input that is longer is slow, and finds no more


def made() -> Iterator[list[bytes]]:
    frame = s.ethernet(s.ipv4("192.0.2.1", "198.51.100.1", s.udp(1234, 53)), vlans=(100, 200))
    six = s.ethernet(s.ipv6("2001:db8::1", "2001:db8::2", s.udp(1, 2), extensions=(0, 60)), labels=(16, 17))
    yield [n.netflow5(*[n.record5(src=i, dst=2) for i in range(3)], sampling=10)] * 2
    yield [
        n.netflow9(n.flow_set(0, n.template(300, FIELDS)), n.flow_set(300, n.record(FIELDS, 1, 2, 3, 4, 5) * 3, pad=2)),
        n.netflow9(n.flow_set(300, n.record(FIELDS, 1, 2, 3, 4, 5) * 2), sequence=1),
    ]
    yield [
        n.ipfix(
            n.flow_set(3, n.options_template10(400, SAMPLERS[:1], SAMPLERS[1:])),
            n.flow_set(2, n.template(300, BOTH)),
            n.flow_set(400, n.record(SAMPLERS, 5, 1, 100, 1_600_000_000_000)),
            n.flow_set(300, n.record(BOTH, 1, 2, bytes(16), bytes(16), 3, 100, 5, b"name") * 2),
        )
    ]
    yield [n.ipfix(n.flow_set(2, n.template(300, SECTION)), n.flow_set(300, n.record(SECTION, 7, len(frame), frame)))]
    yield [s.datagram(s.flow_sample(s.sampled_header(frame)), s.flow_sample(s.sampled_header(six), expanded=True))]
    yield [s.datagram(s.flow_sample(s.sampled_ipv4("192.0.2.1", "198.51.100.1"), s.gateway(64500, (64501, 64502))))]
    yield [s.datagram(s.counter_sample(s.if_counters(3)))]
    yield [s.datagram(s.discarded_packet(s.sampled_header(frame)), agent="2001:db8::9")]
    yield [
        n.ipfix(n.flow_set(2, n.template(300, TWO_WAY)), n.flow_set(300, n.record(TWO_WAY, 1, 2, 3, 4, 100, 200) * 2))
    ]
    turned = (FIELDS[1], FIELDS[0], *FIELDS[2:])
    yield [
        n.ipfix(n.flow_set(2, n.template(300, fields)), n.flow_set(300, n.record(fields, 1, 2, 3, 4, 5)))
        for fields in (FIELDS, turned, FIELDS, turned)
    ]


def captured(path: Path) -> Iterator[list[bytes]]:
    datagrams = [d.payload for d in UdpReader().datagrams(frames([path.read_bytes()]))]
    for at in range(0, min(len(datagrams), 6), 2):
        yield datagrams[at : at + 2]


def main(directory: Path, captures: list[Path]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    lists = [*made(), *(found for path in captures for found in captured(path))]
    inputs = [bytes([target]) + joined(found) for found in lists for target in range(len(TARGETS) - 1)]
    inputs += [bytes([len(TARGETS) - 1]) + path.read_bytes()[:MOST_OCTETS] for path in captures]
    for octets in inputs:
        if len(octets) <= MOST_OCTETS + 1:
            (directory / hashlib.sha1(octets, usedforsecurity=False).hexdigest()).write_bytes(octets)


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(argument) for argument in sys.argv[2:]])
