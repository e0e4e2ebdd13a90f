"""An exporter for benchmarks: NetFlow v5, v9, IPFIX and sFlow v5 datagrams as a border router sends them.

    python benchmarks/flow_export.py KIND PORT RECORDS_PER_SECOND SECONDS [--seed 1]

sends them over the loopback interface, paced and bounded, and prints what it sent as JSON.

The traffic: 85 % IPv4, the rest IPv6 by templates of its own. Of all records 80 % come in by one of 4 links to one of
our 128 + 32 prefixes, 5 % come in by a link to others, 15 % go out. Senders are in 75,000 ASes by Zipf's law (exponent
1.2: the first ten have half of the records), of which the router does not know one in 20; prefixes by Zipf's law too
(1.2); an AS comes by one link. Datagrams are as full as an MTU of 1,500 allows, but for one in 50; data sets are padded
to 4 octets; templates come again every 1,000 datagrams. sFlow samples the same traffic, with headers (`sflow` says
how). With --many-senders each record has a sender of its own, in no known AS. `one_family` is what generators of
flows mostly send: IPv4 alone, every datagram full.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import socket
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

import numpy as np

KINDS = ("netflow-v5", "netflow-v9", "ipfix", "sflow")
NOW = 1_700_000_000
EXPORTER = "127.0.0.1"
LINKS = {101: "transit-a", 102: "transit-b", 103: "ix-1", 104: "ix-2"}
INSIDE = 7
OUR_AS = 64_512
SAMPLED_HEADER, EXTENDED_SWITCH, EXTENDED_ROUTER, EXTENDED_GATEWAY = 1, 1001, 1002, 1003
OUR_IPV4, OUR_IPV6 = 0xC6120000, 0x20010DB8 << 32  # 198.18.0.0, and 2001:db8:: as its high half
OURS: tuple[IPv4Network | IPv6Network, ...] = (
    *(IPv4Network((OUR_IPV4 + (i << 10), 22 if i % 4 else 23)) for i in range(128)),
    *(ip_network((OUR_IPV6 + (i << 16) << 64, 48)) for i in range(32)),
)
ASES, ASES_EXPONENT = 75_000, 1.2
PAYLOAD_OCTETS = 1_464  # 30 records of NetFlow v5
TEMPLATES_EVERY = 1_000
BATCH = 64  # datagrams that are sent by one system call
IPV4, IPV6 = [(8, 4), (12, 4), (15, 4)], [(27, 16), (28, 16), (62, 16)]
COMMON = [(4, 1), (5, 1), (6, 1), (7, 2), (11, 2), (10, 4), (14, 4), (16, 4), (17, 4), (9, 1), (13, 1)]
FIELDS = {
    "netflow-v9": [(1, 4), (2, 4), *COMMON, (22, 4), (21, 4), (61, 1), (48, 1)],
    "ipfix": [(1, 8), (2, 8), *COMMON, (152, 8), (153, 8), (61, 1), (302, 8)],
}
NETFLOW5 = [
    (8, 4), (12, 4), (15, 4), (10, 2), (14, 2), (2, 4), (1, 4), (22, 4), (21, 4), (7, 2), (11, 2),
    (210, 1), (6, 1), (4, 1), (5, 1), (16, 2), (17, 2), (9, 1), (13, 1), (0, 2),
]  # fmt: skip
SEQUENCE_AT = {"netflow-v5": 16, "netflow-v9": 12, "ipfix": 8, "sflow": 16}
"""Offset of the sequence number in a datagram."""


@dataclass(frozen=True, slots=True)
class Export:
    """`templates` first, then `data`, over and over; `records`, `packets` and `step` (what is added to the sequence
    number) are of each datagram of data; `counter` says which one of two sequences it is in.
    """

    kind: str
    templates: Sequence[bytes]
    data: Sequence[bytes]
    records: Sequence[int]
    packets: Sequence[int]
    step: Sequence[int]
    counter: Sequence[int]


def zipf(count: int, most: int, exponent: float, rng: np.random.Generator) -> np.ndarray:
    """Ranks from 0 on, by Zipf's law among `most`."""
    share = np.arange(1, most + 1) ** -exponent
    return np.searchsorted(np.cumsum(share) / share.sum(), rng.random(count))


def traffic(count: int, family: int, rng: np.random.Generator) -> dict[int, np.ndarray]:
    """Values by element; addresses as uint64, of IPv6 the high half."""
    rank = zipf(count, ASES, ASES_EXPONENT, rng)
    asn = (1 + (rank * 7919) % ASES).astype(np.uint64)
    if family == 4:
        remote = (asn * np.uint64(40_503) & np.uint64(0xBFFF_FFFF)) + rng.integers(0, 4096, count).astype(np.uint64)
        prefix = zipf(count, 128, 1.2, rng).astype(np.uint64)
        own = np.uint64(OUR_IPV4) + (prefix << np.uint64(10)) + rng.integers(0, 512, count).astype(np.uint64)
    else:
        remote = np.uint64(0x2600 << 48) + (asn << np.uint64(24)) + rng.integers(0, 1 << 18, count).astype(np.uint64)
        prefix = zipf(count, 32, 1.2, rng).astype(np.uint64)
        own = np.uint64(OUR_IPV6) + (prefix << np.uint64(16)) + rng.integers(0, 99, count).astype(np.uint64)
    role = rng.random(count)
    outbound, passing = role < 0.15, (role >= 0.15) & (role < 0.20)
    link = 101 + np.searchsorted([0.4, 0.7, 0.9], asn * np.uint64(2_654_435_761) % np.uint64(1000) / 1000)
    packets = rng.integers(1, 100, count)
    return {
        1: packets * rng.integers(64, 1_400, count),
        2: packets,
        4: rng.choice([6, 17], count),
        7: np.full(count, 443),
        8: np.where(outbound, own, remote),
        10: np.where(outbound, INSIDE, link),
        11: rng.integers(1024, 65_535, count),
        12: np.where(outbound | passing, np.roll(remote, 1), own),
        13: np.where(outbound | passing, 16, 22 if family == 4 else 48),
        14: np.where(outbound, link, INSIDE),
        16: np.where(outbound | (asn % np.uint64(20) == 11), 0, asn),
        17: np.where(outbound, asn, 0),
        21: np.full(count, 599_000),
        22: rng.integers(560_000, 590_000, count),
        48: np.full(count, 1),
        152: NOW * 1000 - rng.integers(10_000, 40_000, count),
        153: np.full(count, NOW * 1000 - 1_000),
        302: np.full(count, 1),
    }


def table(fields: list[tuple[int, int]], values: dict[int, np.ndarray], asn_octets: int = 4) -> np.ndarray:
    count = len(values[1])
    rows = np.zeros(count, np.dtype([(f"f{e}", (">u8", (2,)) if n == 16 else f">u{n}") for e, n in fields]))
    for element, length in fields:
        value = values.get({27: 8, 28: 12}.get(element, element))
        if value is None:
            continue
        if length == 16:
            rows[f"f{element}"][:, 0] = value
        elif element in {16, 17} and asn_octets == 2:
            rows[f"f{element}"] = np.where(value > 65_535, 23_456, value)
        else:
            rows[f"f{element}"] = value
    return rows


def flow_set(number: int, body: bytes) -> bytes:
    pad = -len(body) % 4
    return struct.pack(">HH", number, 4 + len(body) + pad) + body + bytes(pad)


def header(kind: str, body: bytes, count: int) -> bytes:
    if kind == "netflow-v5":
        return struct.pack(">HHIIIIBBH", 5, count, 600_000, NOW, 0, 0, 0, 0, 0) + body
    if kind == "netflow-v9":
        return struct.pack(">HHIIII", 9, count, 600_000, NOW, 0, 1) + body
    return struct.pack(">HHIII", 10, 16 + len(body), NOW, 0, 1) + body


def templates(kind: str) -> list[bytes]:
    """Of both families, and an options template with the sampler's rate, which is 1."""
    body = b""
    for number, addresses in ((260, IPV4), (261, IPV6)):
        fields = [*addresses, *FIELDS[kind]]
        packed = b"".join(struct.pack(">HH", *field) for field in fields)
        body += flow_set(0 if kind == "netflow-v9" else 2, struct.pack(">HH", number, len(fields)) + packed)
    if kind == "netflow-v9":
        body += flow_set(1, struct.pack(">HHHHHHH", 262, 4, 8, 1, 4, 48, 1) + struct.pack(">HH", 50, 2))
        body += flow_set(262, struct.pack(">IBH", 0, 1, 1))
    else:
        body += flow_set(3, struct.pack(">HHHHHHHHH", 262, 3, 1, 302, 8, 309, 4, 310, 4))
        body += flow_set(262, struct.pack(">QII", 1, 1, 1))
    return [header(kind, body, 4)]


def export(kind: str, datagrams: int, seed: int, *, many_senders: bool = False, one_family: bool = False) -> Export:
    rng = np.random.default_rng(seed)
    if kind == "sflow":
        return sflow(datagrams, rng)
    data, records, packets = [], [], []
    full = {family: _per_datagram(kind, family) for family in (4, 6)}
    rows = {}
    for family in (4, 6) if kind != "netflow-v5" and not one_family else (4,):
        fields = NETFLOW5 if family == 4 and kind == "netflow-v5" else [*(IPV4 if family == 4 else IPV6), *FIELDS[kind]]
        values = traffic(datagrams * full[family], family, rng)
        if many_senders:
            values[8] = rng.permutation(1 << 24)[: len(values[8])].astype(np.uint64) << np.uint64(
                8 if family == 4 else 40
            )
            values[16] = np.zeros_like(values[16])
        rows[family] = table(fields, values, asn_octets=2 if kind == "netflow-v5" else 4)
    at = dict.fromkeys(rows, 0)
    for is_ipv6, part in zip(rng.random(datagrams) < 0.15, rng.random(datagrams) < 0.02, strict=True):
        family = 6 if is_ipv6 and 6 in rows else 4
        count = int(rng.integers(1, full[family])) if part and not one_family else full[family]
        these = rows[family][at[family] : at[family] + count]
        at[family] += count
        body = these.tobytes() if kind == "netflow-v5" else flow_set(260 if family == 4 else 261, these.tobytes())
        data.append(header(kind, body, count))
        records.append(count)
        packets.append(int(these["f2"].sum()))
    step = [1] * datagrams if kind == "netflow-v9" else records
    told = [] if kind == "netflow-v5" else templates(kind)
    return Export(kind, told, data, records, packets, step, [0] * datagrams)


def _per_datagram(kind: str, family: int) -> int:
    if kind == "netflow-v5":
        return 30
    fields = [*(IPV4 if family == 4 else IPV6), *FIELDS[kind]]
    return (PAYLOAD_OCTETS - 24) // sum(length for _, length in fields)


SAMPLES = 4  # in a datagram of sFlow
SFLOW_COLUMNS = (8, 12, 10, 14, 4, 7, 11, 16, 17, 13, 1)


def sflow(datagrams: int, rng: np.random.Generator) -> Export:
    """Flow samples as a router with BGP sends them: up to 128 octets of a frame, of which one in five is shorter,
    extended switch, router and gateway. One frame in three has a VLAN tag. A second sub-agent sends one datagram in
    four, with expanded samples; one datagram in 20 has a counter sample too. The rate is 1; sequence numbers are those
    of each data source.
    """
    of_family = {
        family: zip(*(traffic(datagrams * SAMPLES, family, rng)[e].tolist() for e in SFLOW_COLUMNS), strict=True)
        for family in (4, 6)
    }
    families = np.where(rng.random((datagrams, SAMPLES)) < 0.15, 6, 4).tolist()
    tagged = (rng.random((datagrams, SAMPLES)) < 1 / 3).tolist()
    hops = rng.integers(1, 5, (datagrams, SAMPLES)).tolist()
    numbers: dict[tuple[int, int], int] = {}
    sub_agents = [int(i % 4 == 3) for i in range(datagrams)]
    data = []
    for i, sub_agent in enumerate(sub_agents):
        counters = i % 20 == 0
        samples = b""
        for family, tag, path in zip(families[i], tagged[i], hops[i], strict=True):
            values = next(of_family[family])
            source = (sub_agent, values[2])
            numbers[source] = numbers.get(source, -1) + 1
            samples += sample(values, numbers[source], family=family, tag=tag, path=path, expanded=sub_agent == 1)
        if counters:
            samples += struct.pack(">II", 2, 108) + struct.pack(">5I", i, 101, 1, 1, 88) + bytes(88)
        head = struct.pack(">7I", 5, 1, 0x7F000001, sub_agent, 0, 600_000, SAMPLES + counters)
        data.append(head + samples)
    each = [SAMPLES] * datagrams
    return Export("sflow", [], data, each, each, [1] * datagrams, sub_agents)


def sample(values: Sequence[int], number: int, *, family: int, tag: bool, path: int, expanded: bool) -> bytes:
    """A flow_sample; `path` is how many ASes the way to the destination has."""
    src, dst, in_if, out_if, protocol, src_port, dst_port, src_as, dst_as, dst_mask, octets = values
    length = 40 + octets % 89 if octets % 5 == 0 else octets % 1_400 + 64  # one in five small
    if family == 4:
        ip = struct.pack(">BBHHHBBHII", 0x45, 0, length, 0, 0, 60, protocol, 0, src, dst)
    else:
        ip = struct.pack(">IHBBQQQQ", 6 << 28, length, protocol, 60, src, 1, dst, 1)
    kind = (b"\x81\x00\x00\x64" if tag else b"") + (b"\x08\x00" if family == 4 else b"\x86\xdd")
    whole = len(kind) + 12 + (length if family == 4 else length + 40)
    frame = (bytes(12) + kind + ip + struct.pack(">HH", src_port, dst_port)).ljust(min(128, whole), b"\0")
    pad = -len(frame) % 4
    records = (
        struct.pack(">6I", SAMPLED_HEADER, 16 + len(frame) + pad, 1, whole + 4, 4, len(frame)) + frame + bytes(pad)
    )
    records += struct.pack(">6I", EXTENDED_SWITCH, 16, 100, 0, 100, 0)
    records += struct.pack(">6I", EXTENDED_ROUTER, 16, 1, 0x0A000001, 24, dst_mask)
    gateway = struct.pack(">8I", 1, 0x0A000001, OUR_AS, src_as, src_as, 1, 2, path)
    gateway += struct.pack(f">{path}I", *range(64_600, 64_599 + path), dst_as) + struct.pack(">II", 0, 100)
    records += struct.pack(">II", EXTENDED_GATEWAY, len(gateway)) + gateway
    if expanded:
        body = struct.pack(">11I", number, 0, in_if, 1, number, 0, 0, in_if, 0, out_if, 4)
    else:
        body = struct.pack(">8I", number, in_if, 1, number, 0, in_if, out_if, 4)
    return struct.pack(">II", 3 if expanded else 1, len(body) + len(records)) + body + records


VECTOR = np.dtype([("base", "u8"), ("octets", "u8")])  # struct iovec, and struct mmsghdr, where a pointer has 64 bits
MESSAGE = np.dtype(
    {"names": ["vectors", "count"], "formats": ["u8", "u8"], "offsets": [16, 24], "itemsize": 64},
)


class Sender:
    """Sends the data of an Export over a connected socket, over and over, many datagrams by one sendmmsg(2), with right
    sequence numbers.
    """

    def __init__(self, exported: Export, out: socket.socket) -> None:
        self._exported, self._out = exported, out
        self._sendmmsg = ctypes.CDLL(None, use_errno=True).sendmmsg
        lengths = np.array([len(datagram) for datagram in exported.data], np.uint64)
        self._octets = np.frombuffer(bytearray(b"".join(exported.data)), np.uint8)
        begin = np.cumsum(lengths) - lengths
        self._vectors = np.zeros(len(lengths), VECTOR)
        self._vectors["base"], self._vectors["octets"] = begin + np.uint64(self._octets.ctypes.data), lengths
        self._messages = np.zeros(len(lengths), MESSAGE)
        at = np.arange(len(lengths), dtype=np.uint64) * np.uint64(VECTOR.itemsize)
        self._messages["vectors"], self._messages["count"] = at + np.uint64(self._vectors.ctypes.data), 1
        self._numbers_at = begin.astype(np.int64)[:, None] + SEQUENCE_AT[exported.kind] + np.arange(4)
        self._counter, step = np.array(exported.counter), np.array(exported.step)
        self._before = np.zeros(len(lengths), np.int64)
        self._total = np.zeros(2, np.int64)
        for counter in (0, 1):
            its = self._counter == counter
            self._before[its] = np.cumsum(step[its]) - step[its]
            self._total[counter] = step[its].sum()
        self._base = np.zeros(2, np.int64)
        self.sent = self.records = self.packets = 0

    def send(self, most: int) -> None:
        """The next datagrams, so many or fewer, and templates when it is time. Blocks."""
        first = self.sent % len(self._vectors)
        count = min(most, BATCH, len(self._vectors) - first, TEMPLATES_EVERY - self.sent % TEMPLATES_EVERY)
        here = slice(first, first + count)
        numbers = (self._before[here] + self._base[self._counter[here]]).astype(">u4")
        self._octets[self._numbers_at[here]] = numbers.view(np.uint8).reshape(-1, 4)
        done = 0
        while done < count:
            at = self._messages.ctypes.data + (first + done) * MESSAGE.itemsize
            done += max(0, self._sendmmsg(self._out.fileno(), ctypes.c_void_p(at), count - done, 0))
        self.sent += count
        self.records += sum(self._exported.records[here])
        self.packets += sum(self._exported.packets[here])
        if first + count == len(self._vectors):
            self._base += self._total
        if self.sent % TEMPLATES_EVERY == 0:
            self.tell_templates()

    def tell_templates(self) -> None:
        for template in self._exported.templates:
            numbered = bytearray(template)
            first = int(self._base[0] + self._before[self.sent % len(self._vectors)])
            struct.pack_into(">I", numbered, SEQUENCE_AT[self._exported.kind], first & 0xFFFFFFFF)
            with contextlib.suppress(ConnectionRefusedError):
                self._out.send(numbered)
            self._base[0] += 1  # in IPFIX the options record counts, in v9 the datagram


def send(exported: Export, port: int, rate: float, seconds: float) -> dict[str, float]:
    """At `rate` records per second for `seconds`, or as fast as it goes."""
    mean = sum(exported.records) / len(exported.data)
    total = int(rate / mean * seconds)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.connect((EXPORTER, port))
        sender = Sender(exported, out)
        sender.tell_templates()
        time.sleep(0.1)
        begun = time.perf_counter()
        while sender.sent < total:
            due = min(total, int((time.perf_counter() - begun) * rate / mean) + 1)
            while sender.sent < due:
                sender.send(due - sender.sent)
            time.sleep(0.001)
        elapsed = time.perf_counter() - begun
    return {
        "datagrams": sender.sent,
        "records": sender.records,
        "packets": sender.packets,
        "seconds": elapsed,
        "rate": sender.records / elapsed,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("port", type=int)
    parser.add_argument("rate", type=float)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--many-senders", action="store_true")
    arguments = parser.parse_args()
    datagrams = 50_000 if arguments.many_senders else 4_000 if arguments.kind == "sflow" else 12_000
    exported = export(arguments.kind, datagrams, arguments.seed, many_senders=arguments.many_senders)
    print(json.dumps(send(exported, arguments.port, arguments.rate, arguments.seconds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
