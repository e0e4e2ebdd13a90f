"""How many flow records a second teagent decodes, attributes and aggregates on one core, beside other collectors.

    python benchmarks/flow_ingest.py [--quick] [--json] [--seed 1] [--kind netflow-v9 ...]
    python benchmarks/flow_ingest.py --soak 10 [--json] [--seed 1]

In process: bursts of 16 datagrams, as the intake has them, into sums by link, our prefix and source; records per second
of CPU time, templates among them. Compiled sFlow is read in the slots into which it was received; all else is copied
first, and so is sFlow that has to wait: `copied` is its figure then, which has no target.
Over a socket: one collector after the other on one core, the sender on the other one, at rising rates; the figure is
the highest rate at which a collector kept up and nothing was lost, by what it counted itself, and the CPU time for a
record at one rate for all, once each has warmed up. All have socket buffers of net.core.rmem_max. nfacctd and sfacctd
sum up by the same key, as the records have it; nfcapd and sfcapd only store.
Of sFlow the figures of teagent are those of its compiled code, where numba is installed (it is made ready before);
`numpy` are those without it, which have no target.
`--soak` lets a million senders whose AS is not known fill each window for so many minutes, and looks at the memory.
benchmarks/flow_export.py says what the traffic is.

Peers that are not installed are left out, and named.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from flow_collectors import (
    COLLECTORS,
    HERE,
    PMACCT_NAMES,
    SENDERS_CORE,
    Collector,
    Running,
    attribution,
    compiled,
    running,
)
from flow_export import EXPORTER, KINDS, NOW, SEQUENCE_AT, TEMPLATES_EVERY, Export, export

from teagent.adapters.flow.account import ExporterAccount
from teagent.adapters.flow.compiled import Compiled
from teagent.adapters.flow.listener import BLOCK
from teagent.adapters.flow.recvmmsg import SLOT
from teagent.engine.measure.matrix import MatrixBuilder
from teagent.wire.flow.datagrams import Datagrams
from teagent.wire.flow.limits import Limits

BURST = 16
SEGMENT = 512  # datagrams that are made ready together, so that they are in the cache as after a receive
TARGET_IN_PROCESS = 10e6
OVER_PMACCT = 2.0
CPU_RATE = 200_000
PART = 1_000_000  # records: many blocks, and whatever is done now and then
LEAST_RATE, MOST_RATE, STEP = 30_000.0, 8e6, 1.6
START_AT = 0.4  # of the rate at which its core would be busy all the time
DATAGRAMS = 20_000
MANY_SENDERS_RATE = 50_000
WARM_UP_SECONDS = 1.0
QUIET_SECONDS, MOST_WAIT_SECONDS = 0.25, 30.0
KEPT_UP_SECONDS = 1.1
FLAT_MIB_A_MINUTE = 1.0
BARS = "▁▂▃▄▅▆▇█"


def numbered(exported: Export) -> Iterator[tuple[list[bytes], int]]:
    """Segments of datagrams with right sequence numbers, without end, and how many records each has."""
    at = SEQUENCE_AT[exported.kind]
    data = [bytearray(datagram) for datagram in exported.data]
    told = [bytearray(datagram) for datagram in exported.templates]
    sequences = [0, 0]
    position = sent = 0
    while True:
        segment, records = [], 0
        for _ in range(SEGMENT):
            sent += 1
            if sent % TEMPLATES_EVERY == 0:
                for template in told:
                    struct.pack_into(">I", template, at, sequences[0] & 0xFFFFFFFF)
                    segment.append(bytes(template))
                    sequences[0] += 1  # in IPFIX the options record counts, in v9 the datagram
            counter = exported.counter[position]
            struct.pack_into(">I", data[position], at, sequences[counter] & 0xFFFFFFFF)
            segment.append(bytes(data[position]))
            sequences[counter] += exported.step[position]
            records += exported.records[position]
            position = (position + 1) % len(data)
        yield segment, records


def in_bursts(datagrams: Sequence[bytes]) -> list[Sequence[bytes]]:
    return [datagrams[i : i + BURST] for i in range(0, len(datagrams), BURST)]


class Slots:
    """Datagrams as recvmmsg leaves them, until the next ones come."""

    def __init__(self) -> None:
        self._octets = mmap.mmap(-1, SEGMENT * SLOT)
        self._begins = np.arange(0, SEGMENT * SLOT, SLOT)

    def bursts(self, segment: list[bytes]) -> list[Sequence[bytes]]:
        for place, datagram in enumerate(segment):
            self._octets[place * SLOT : place * SLOT + len(datagram)] = datagram
        return in_bursts(Datagrams(self._octets, self._begins, np.array([len(datagram) for datagram in segment])))


def in_process(exported: Export, seconds: float, by: Compiled | None = None, slots: Slots | None = None) -> float:
    """Records per second of CPU time: the median over parts of a million records, the first one left out."""
    account = ExporterAccount(exporter=EXPORTER, router="edge", limits=Limits(), sampling_rate=None)
    builder = MatrixBuilder(attribution())
    if by is not None:
        account.read_sflow_by(by.new_pass)
        builder.count_by(by.count)
    if exported.templates:
        account.feed(exported.templates, port=1, at=NOW)
    rates: list[float] = []
    spent, done, until = 0.0, 0, time.perf_counter() + seconds
    for segment, records in numbered(exported):
        bursts = in_bursts(segment) if slots is None else slots.bursts(segment)
        begun = time.process_time()
        for burst in bursts:
            account.feed(burst, port=1, at=NOW)
            if account.pending >= BLOCK:
                for batch in account.collect():
                    builder.add(batch)
        if slots is not None:
            account.settle()
        spent += time.process_time() - begun
        done += records
        if done >= (PART if records > SEGMENT * 10 else PART / 20):
            rates.append(done / spent)
            spent, done = 0.0, 0
            if time.perf_counter() > until and len(rates) > 2:
                break
    builder.build(at=datetime.fromtimestamp(NOW, UTC), seconds=60, interface_octets={})
    health = account.health()
    if health.lost or health.undecoded:
        raise SystemExit(f"{exported.kind}: lost {health.lost}, undecoded {health.undecoded}")
    return statistics.median(rates[1:])


def pip_netflow(exported: Export) -> float | None:
    """Records per second of CPU time of the `netflow` package, summed by the same key in a dictionary."""
    try:
        import netflow
    except ImportError:
        return None
    templates: dict[str, dict[int, Any]] = {"netflow": {}, "ipfix": {}}
    for datagram in exported.templates:
        netflow.parse_packet(datagram, templates)
    sums: dict[tuple[Any, ...], int] = {}
    begun, done = time.process_time(), 0
    for datagram in exported.data[:400]:
        for flow in netflow.parse_packet(datagram, templates).flows:
            data = getattr(flow, "data", None) or flow.__dict__
            key = tuple(
                next((data[name] for name in names if name in data), None)
                for names in (
                    ("INPUT_SNMP", "INPUT", "ingressInterface"),
                    ("IPV4_DST_ADDR", "IPV6_DST_ADDR", "destinationIPv4Address", "destinationIPv6Address"),
                    ("SRC_AS", "bgpSourceAsNumber"),
                )
            )
            octets = next((data[n] for n in ("IN_BYTES", "IN_OCTETS", "octetDeltaCount") if n in data), 0)
            sums[key] = sums.get(key, 0) + octets
            done += 1
    return done / (time.process_time() - begun)


@dataclass(frozen=True, slots=True)
class Tried:
    sent: dict[str, float]
    lossless: bool
    cpu_seconds: float
    drops: int


class Bench:
    """Runs collectors on ports of their own, one at a time."""

    def __init__(self, folder: Path, seed: int, seconds: float) -> None:
        self._folder = folder
        self._seed = seed
        self._seconds = seconds
        self._runs = 0

    def send(self, kind: str, port: int, rate: float, seconds: float, *more: str) -> dict[str, float]:
        command = ["taskset", "-c", SENDERS_CORE, sys.executable, str(HERE / "flow_export.py"), kind, str(port)]
        command += [str(rate), str(seconds), "--seed", str(self._seed), *more]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 120)
        told: dict[str, float] = json.loads(done.stdout)
        return told

    def start(self, collector: Collector) -> Any:
        self._runs += 1
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:  # another run may go on beside
            probe.bind((EXPORTER, 0))
            port = probe.getsockname()[1]
        return running(collector, port, self._folder / f"{collector.name}-{self._runs}")

    def tried(self, collector: Collector, kind: str, rate: float, *, warm_up: bool = False) -> Tried:
        """Lossless is what all arrived, by the kernel's count of drops and by the collector's own of records, and was
        worked off soon after the last of it: what fills large queues could not go on.
        """
        started: Running
        with self.start(collector) as started:
            first = self.send(kind, started.port, rate, WARM_UP_SECONDS) if warm_up else {}
            before = self._when_done(started) if warm_up else started.cpu_seconds()
            sent = self.send(kind, started.port, rate, self._seconds)
            last = time.monotonic()
            cpu, drops = self._when_done(started) - before, started.socket_drops()
            kept_up = time.monotonic() - last < KEPT_UP_SECONDS
        unit, got = ("packets", started.packets) if started.records is None else ("records", started.records)
        return Tried(sent, kept_up and drops == 0 and got == sent[unit] + first.get(unit, 0), cpu, drops)

    @staticmethod
    def _when_done(started: Running) -> float:
        """CPU seconds once it has worked off what was in its queues."""
        cpu, until = started.cpu_seconds(), time.monotonic() + MOST_WAIT_SECONDS
        while time.monotonic() < until:
            time.sleep(QUIET_SECONDS)
            before, cpu = cpu, started.cpu_seconds()
            if cpu - before < QUIET_SECONDS / 20:
                break
        return cpu

    def lossless(self, collector: Collector, kind: str, *, start: float, refine: int) -> float:
        """The highest rate, as sent, without a loss, to the next of STEP ** (1 / 2 ** refine); one that loses is tried
        twice. The search begins at `start`.
        """

        def rate_at(rate: float) -> float | None:
            for _ in range(2):
                found = self.tried(collector, kind, rate)
                if found.lossless:
                    return found.sent["rate"]
            return None

        rate, good, bad = min(max(start, LEAST_RATE), MOST_RATE), 0.0, 0.0
        while LEAST_RATE / STEP < rate <= MOST_RATE and not (good and bad):
            reached = rate_at(rate)
            if reached is None:
                bad = rate
            else:
                good = max(good, reached)
                if reached < 0.8 * rate:  # the sender can no more
                    return good
            rate = rate * STEP if good else rate / STEP
        for _ in range(refine if good and bad else 0):
            rate = (good * bad) ** 0.5
            reached = rate_at(rate)
            if reached is None:
                bad = rate
            else:
                good = max(good, reached)
        return good

    def memory(self, minutes: float) -> dict[str, float]:
        """Resident memory of teagent while a million senders a window come."""
        sampled: list[tuple[float, float]] = []
        seconds = minutes * 60
        with self.start(COLLECTORS[0]) as started:
            command = ["taskset", "-c", SENDERS_CORE, sys.executable, str(HERE / "flow_export.py"), "netflow-v9"]
            command += [str(started.port), str(MANY_SENDERS_RATE), str(seconds), "--many-senders"]
            command += ["--seed", str(self._seed)]
            sender = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            begun = time.monotonic()
            while sender.poll() is None and time.monotonic() - begun < seconds + 120:
                time.sleep(2)
                sampled.append((time.monotonic() - begun, started.rss_octets() / 2**20))
                if len(sampled) % 30 == 0:
                    say(f"{sampled[-1][0] / 60:5.1f} min  {sampled[-1][1]:7.1f} MiB")
            told = json.loads(sender.communicate()[0])
            cpu = started.cpu_seconds()
        say(sparkline([mib for _, mib in sampled]))
        half = [(at, mib) for at, mib in sampled if at > max(90, seconds / 4)] or sampled
        slope = statistics.linear_regression(*zip(*half, strict=True)).slope * 60 if len(half) > 2 else 0.0
        return {
            "memory_minutes": minutes,
            "memory_records": told["records"],
            "memory_lost_records": told["records"] - (started.records or 0),
            "memory_cpu_share": cpu / seconds,
            "memory_start_mib": sampled[0][1],
            "memory_most_mib": max(mib for _, mib in sampled),
            "memory_last_mib": sampled[-1][1],
            "memory_slope_mib_per_minute": slope,
        }


def measured(arguments: argparse.Namespace, bench: Bench) -> tuple[dict[str, float], dict[str, tuple[str, float]]]:
    """Figures, and for those with a target whether it is a least or a most, and which."""
    figures: dict[str, float] = {}
    targets: dict[str, tuple[str, float]] = {}
    if arguments.soak:
        figures = bench.memory(arguments.soak)
        flat = {"memory_slope_mib_per_minute": ("most", FLAT_MIB_A_MINUTE), "memory_lost_records": ("most", 0.0)}
        return figures, flat
    for kind in arguments.kind or KINDS:
        exported = export(kind, DATAGRAMS if kind != "sflow" else DATAGRAMS // 5, arguments.seed)
        name = f"{kind}_in_process_records_per_second"
        by, seconds = compiled() if kind == "sflow" else None, 1.0 if arguments.quick else 4.0
        figures[name] = in_process(exported, seconds, by, None if by is None else Slots())
        targets[name] = ("least", TARGET_IN_PROCESS)
        if by is not None:
            figures[f"{kind}_copied_in_process_records_per_second"] = in_process(exported, seconds, by)
            figures[f"{kind}_numpy_in_process_records_per_second"] = in_process(exported, seconds)
        elif kind == "sflow":
            say("numba is not installed (teagent[compiled]): sFlow is read by numpy")
        if kind != "sflow":
            alone = export(kind, DATAGRAMS, arguments.seed, one_family=True)
            name = f"{kind}_one_family_in_process_records_per_second"
            figures[name] = in_process(alone, seconds)
            targets[name] = ("least", TARGET_IN_PROCESS)
            found = pip_netflow(exported)
            if found is None:
                say("pip netflow is not installed (pip install netflow), left out")
            else:
                figures[f"{kind}_pip_netflow_records_per_second"] = found
        if not arguments.in_process:
            sockets(kind, bench, figures, targets, names=arguments.collector, refine=2 if arguments.quick else 3)
    return figures, targets


def sockets(
    kind: str,
    bench: Bench,
    figures: dict[str, float],
    targets: dict[str, tuple[str, float]],
    *,
    names: list[str] | None,
    refine: int,
) -> None:
    for collector in COLLECTORS:
        if kind not in collector.kinds or (names and collector.name not in names):
            continue
        if not collector.installed:
            say(f"{collector.name} is not installed, left out")
            continue
        label = f"{kind}_{collector.name}"
        at_rate = bench.tried(collector, kind, CPU_RATE if kind != "sflow" else CPU_RATE / 4, warm_up=True)
        figures[f"{label}_cpu_us_per_record"] = at_rate.cpu_seconds / at_rate.sent["records"] * 1e6
        start = START_AT / (at_rate.cpu_seconds / at_rate.sent["records"])
        figures[f"{label}_lossless_records_per_second"] = bench.lossless(collector, kind, start=start, refine=refine)
        say(
            f"{label}: {figures[f'{label}_cpu_us_per_record']:.3f} us a record, lossless to"
            f" {figures[f'{label}_lossless_records_per_second'] / 1e6:.2f} M records/s"
        )
    lossless, cpu = f"{kind}_{{}}_lossless_records_per_second", f"{kind}_{{}}_cpu_us_per_record"
    pmacct = [figures[lossless.format(name)] for name in PMACCT_NAMES if lossless.format(name) in figures]
    if pmacct and lossless.format("teagent") in figures:
        targets[lossless.format("teagent")] = ("least", OVER_PMACCT * max(pmacct))
    stored = [figures[cpu.format(name)] for name in ("nfcapd", "sfcapd") if cpu.format(name) in figures]
    if stored and cpu.format("teagent") in figures:
        targets[cpu.format("teagent")] = ("most", min(stored))


def sparkline(values: list[float]) -> str:
    """From 0 to the most, 60 places."""
    places = [values[i * len(values) // 60] for i in range(min(60, len(values)))]
    return "".join(BARS[min(7, int(value / max(values) * 8))] for value in places) + f"  0 to {max(values):.0f} MiB"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=KINDS, action="append", help="only this one; may be given again")
    parser.add_argument(
        "--collector", choices=[c.name for c in COLLECTORS], action="append", help="only this one; may be given again"
    )
    parser.add_argument("--in-process", action="store_true", help="nothing over a socket")
    parser.add_argument(
        "--soak", type=float, default=0.0, metavar="MINUTES", help="look at the memory for so long, at nothing else"
    )
    parser.add_argument("--quick", action="store_true", help="shorter and coarser")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), arguments.seed, 2.0 if arguments.quick else 4.0)
        figures, bounds = measured(arguments, bench)
    targets = {name: value for name, (_, value) in bounds.items()}
    met = {
        name: figures[name] >= value if bound == "least" else figures[name] <= value
        for name, (bound, value) in bounds.items()
    }
    if arguments.json:
        print(json.dumps({"name": "flow_ingest", "figures": figures, "targets": targets, "met": met}))
        return 0
    for name, value in figures.items():
        verdict = f"   to reach {targets[name]:,.3f}: {'met' if met[name] else 'not met'}" if name in targets else ""
        print(f"{name:52} {value:16,.3f}{verdict}")
    print(f"load average at the end: {os.getloadavg()[0]:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
