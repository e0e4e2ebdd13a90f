"""How many flow records a second teagent decodes, attributes and aggregates on one core.

    python benchmarks/flow_ingest.py [--seconds 2] [--seed 1] [--json]

In process, on bursts of 16 datagrams, as they come off a socket: NetFlow v5, v9 and IPFIX, 20 to 29 records a
datagram, towards 256 of our prefixes, from 70,000 ASes, both by Zipf's law, over 4 links. The figure is the median
over rounds, per second of CPU time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import struct
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Network

import numpy as np

from teagent.engine.measure.attribution import Attribution
from teagent.engine.measure.matrix import MatrixBuilder
from teagent.wire.flow.decoder import FlowDecoder

BURST = 16
TARGET_RECORDS_PER_SECOND = 10e6
NOW = 1_700_000_000
OURS = 0xC6330000  # 198.51.0.0, as 256 /24
COMMON = [
    (4, 1),
    (5, 1),
    (7, 2),
    (8, 4),
    (9, 1),
    (10, 4),
    (11, 2),
    (12, 4),
    (13, 1),
    (14, 4),
    (15, 4),
    (16, 4),
    (17, 4),
]
NETFLOW9 = [(1, 4), (2, 4), *COMMON, (21, 4), (22, 4), (6, 1)]
IPFIX = [(1, 8), (2, 8), *COMMON, (152, 8), (153, 8), (6, 1)]
NETFLOW5 = [
    (8, 4), (12, 4), (15, 4), (10, 2), (14, 2), (2, 4), (1, 4), (22, 4), (21, 4), (7, 2), (11, 2),
    (210, 1), (6, 1), (4, 1), (5, 1), (16, 2), (17, 2), (9, 1), (13, 1), (0, 2),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Export:
    """Datagrams of one exporter: templates first, then data, each with so many records."""

    templates: list[bytes]
    data: list[bytes]
    records: int
    sequence_at: int
    sequence_step: int


def rows(fields: list[tuple[int, int]], count: int, rng: np.random.Generator) -> bytes:
    table = np.zeros(count, np.dtype([(f"e{element}", f">u{length}") for element, length in fields]))
    table["e1"] = rng.integers(40, 150_000, count)
    table["e2"] = rng.integers(1, 100, count)
    table["e4"] = rng.choice([6, 17], count)
    table["e7"] = 443
    table["e8"] = rng.integers(0x01000000, 0xC6000000, count)
    table["e10"] = rng.choice([101, 102, 103, 104], count, p=[0.4, 0.3, 0.2, 0.1])
    table["e11"] = rng.integers(1024, 65_535, count)
    table["e12"] = OURS + (rng.zipf(1.3, count) % 65_536)
    table["e14"] = 7
    table["e16"] = 1 + rng.zipf(1.2, count) % (65_535 if fields is NETFLOW5 else 70_000)
    return table.tobytes()


def export(kind: str, datagrams: int, rng: np.random.Generator) -> Export:
    if kind == "netflow-v5":
        head = struct.pack(">HHIIIIBBH", 5, 29, 600_000, NOW, 0, 0, 0, 0, 0)
        return Export([], [head + rows(NETFLOW5, 29, rng) for _ in range(datagrams)], 29, 16, 29)
    if kind == "netflow-v9":
        head = struct.pack(">HHIIII", 9, 1, 600_000, NOW, 0, 1)
        bodies = [flow_set(260, rows(NETFLOW9, 26, rng)) for _ in range(datagrams)]
        return Export([head + template(0, NETFLOW9)], [head + body for body in bodies], 26, 12, 1)
    bodies = [flow_set(260, rows(IPFIX, 20, rng)) for _ in range(datagrams)]
    return Export([message(template(2, IPFIX))], [message(body) for body in bodies], 20, 8, 20)


def template(set_id: int, fields: list[tuple[int, int]]) -> bytes:
    return flow_set(set_id, struct.pack(">HH", 260, len(fields)) + b"".join(struct.pack(">HH", *f) for f in fields))


def flow_set(number: int, body: bytes) -> bytes:
    pad = -len(body) % 4
    return struct.pack(">HH", number, 4 + len(body) + pad) + body + bytes(pad)


def message(body: bytes) -> bytes:
    return struct.pack(">HHIII", 10, 16 + len(body), NOW, 0, 1) + body


def attribution() -> Attribution:
    return Attribution(
        links=[f"link-{i}" for i in range(4)],
        interfaces={("edge", 101 + i): f"link-{i}" for i in range(4)},
        prefixes=[IPv4Network((OURS + 256 * i, 24)) for i in range(256)],
        routers={"192.0.2.1": "edge"},
    )


def in_process(exported: Export) -> Callable[[], int]:
    """One round: everything decoded, attributed and aggregated, and the matrix built."""
    bursts = [exported.data[i : i + BURST] for i in range(0, len(exported.data), BURST)]
    decoder = FlowDecoder("192.0.2.1")
    decoder.decode(exported.templates, at=NOW)
    builder = MatrixBuilder(attribution())

    def once() -> int:
        records = 0
        for burst in bursts:
            result = decoder.decode(burst, at=NOW)
            records += result.records
            for batch in result.batches:
                builder.add(batch)
        builder.build(at=datetime.fromtimestamp(NOW, UTC), seconds=60, interface_octets={})
        return records

    return once


def rounds(once: Callable[[], int], seconds: float) -> Iterator[float]:
    """Records per second of CPU time, round by round."""
    once()
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        before = time.process_time()
        records = once()
        yield records / (time.process_time() - before)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="for each protocol")
    parser.add_argument("--datagrams", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures: dict[str, float] = {}
    for kind in ("netflow-v5", "netflow-v9", "ipfix"):
        exported = export(kind, arguments.datagrams, np.random.default_rng(arguments.seed))
        figures[f"{kind}_records_per_second"] = statistics.median(rounds(in_process(exported), arguments.seconds))
    targets = dict.fromkeys(figures, TARGET_RECORDS_PER_SECOND)
    met = {name: value >= targets[name] for name, value in figures.items()}
    if arguments.json:
        print(json.dumps({"name": "flow_ingest", "figures": figures, "targets": targets, "met": met}))
    else:
        for name, value in figures.items():
            print(f"{name:32} {value / 1e6:6.2f} M   to reach {targets[name] / 1e6:.0f} M")
    return 0


if __name__ == "__main__":
    sys.exit(main())
