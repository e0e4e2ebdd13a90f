"""Collectors side by side for benchmarks/flow_ingest.py: each a process that listens on a port of the loopback
interface, counts what it received, and tells it when it ends.

    python benchmarks/flow_collectors.py PORT [--compiled]

is teagent's: the listener, the attribution and the matrix of the daemon, records taken once a second as there,
or when many wait. On SIGTERM it prints what it counted, as JSON. With --compiled sFlow is read by compiled code from
the start, where numba is installed; without it, by numpy all the time.
"""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from flow_export import EXPORTER, LINKS, OURS

from teagent.adapters.allocator import give_back_free_memory, use_one_arena
from teagent.adapters.flow.compiled import Compiled, NotCompiled, compiler, loaded
from teagent.adapters.flow.listener import Binding, FlowListener
from teagent.engine.measure.attribution import Attribution
from teagent.engine.measure.matrix import MatrixBuilder

HERE = Path(__file__).resolve().parent
WINDOW_SECONDS = 60
CORE, SENDERS_CORE = ("1", "0") if (os.cpu_count() or 1) > 1 else ("0", "0")
SETTLE_SECONDS = 1.0


def attribution() -> Attribution:
    return Attribution(
        links=sorted(LINKS.values()),
        interfaces={("edge", number): link for number, link in LINKS.items()},
        prefixes=OURS,
        routers={EXPORTER: "edge"},
    )


def compiled() -> Compiled | None:
    """None where numba is not installed, or does not work, which is then said."""
    if importlib.util.find_spec("numba") is None:
        return None
    compiler().communicate()
    outcome = loaded()
    if isinstance(outcome, NotCompiled):
        print(f"sFlow is read by numpy: {outcome.reason}", file=sys.stderr)
        return None
    return outcome


@dataclass(frozen=True, slots=True)
class Collector:
    """`command` of (port, folder), pinned to one core; `received` of (standard output, folder) gives records and
    packets, None for what it does not count.
    """

    name: str
    kinds: frozenset[str]
    program: str
    command: Callable[[int, Path], list[str]]
    end: signal.Signals
    received: Callable[[str, Path], tuple[int | None, int | None]]

    @property
    def installed(self) -> bool:
        return shutil.which(self.program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is not None


@dataclass(slots=True)
class Running:
    collector: Collector
    process: subprocess.Popen[str]
    port: int
    folder: Path
    records: int | None = None
    packets: int | None = None

    def cpu_seconds(self) -> float:
        """Of the process and its children, which are its plugins."""
        return sum(_cpu_seconds(pid) for pid in (self.process.pid, *_children(self.process.pid)))

    def rss_octets(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        match = re.search(r"VmRSS:\s+(\d+) kB", status)
        return 1024 * int(match.group(1)) if match else 0

    def socket_drops(self) -> int:
        """Datagrams that found the socket's buffer full."""
        for line in Path("/proc/net/udp").read_text().splitlines():
            parts = line.split()
            if parts[1].endswith(f":{self.port:04X}"):
                return int(parts[-1])
        return 0


def _cpu_seconds(pid: int) -> float:
    """Of its threads, in nanoseconds where the kernel counts them, else in ticks."""
    with suppress(OSError):
        threads = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/schedstat")]
        if threads:
            return sum(int(spent) for spent, *_ in threads) / 1e9
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


@contextmanager
def running(collector: Collector, port: int, folder: Path) -> Iterator[Running]:
    """Runs it in an empty folder; `records` and `packets` are there when the block has ended."""
    folder.mkdir(parents=True)
    command = ["taskset", "-c", CORE, *collector.command(port, folder)]
    with (folder / "errors").open("w") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        _wait_for_port(process, port)
        found = Running(collector, process, port, folder)
        yield found
        process.send_signal(collector.end)
        output, _ = process.communicate(timeout=120)
        time.sleep(SETTLE_SECONDS)  # its plugins write what they have
        found.records, found.packets = collector.received(output, folder)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def _wait_for_port(process: subprocess.Popen[str], port: int) -> None:
    for _ in range(200):
        if f":{port:04X} " in Path("/proc/net/udp").read_text():
            time.sleep(SETTLE_SECONDS / 2)
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise SystemExit(f"{' '.join(process.args)} does not listen on port {port}")  # type: ignore[arg-type]


def _teagent(port: int, _: Path, *more: str) -> list[str]:
    command = [sys.executable, str(HERE / "flow_collectors.py"), str(port), *more]
    if os.geteuid() == 0 and shutil.which("setpriv"):
        # Without this capability its socket gets no larger buffer than those of the others.
        command = ["setpriv", "--inh-caps=-net_admin", "--bounding-set=-net_admin", *command]
    return command


def _teagent_compiled(port: int, folder: Path) -> list[str]:
    return _teagent(port, folder, "--compiled")


def _told(output: str, _: Path) -> tuple[int | None, int | None]:
    told = json.loads(output)
    return told["records"], None


def _nfcapd(program: str) -> Callable[[int, Path], list[str]]:
    def command(port: int, folder: Path) -> list[str]:
        buffer = Path("/proc/sys/net/core/rmem_max").read_text().strip()
        return [program, "-b", EXPORTER, "-p", str(port), "-w", str(folder), "-t", "3600", "-B", buffer]

    return command


def _nfdumped(_: str, folder: Path) -> tuple[int | None, int | None]:
    flows = 0
    for path in folder.glob("nfcapd.*"):
        out = subprocess.run(["nfdump", "-I", "-r", str(path)], capture_output=True, text=True, check=False).stdout
        match = re.search(r"^Flows: (\d+)", out, re.MULTILINE)
        flows += int(match.group(1)) if match else 0
    return flows, None


PMACCT = """daemonize: false
{program}_ip: 127.0.0.1
{program}_port: {port}
{program}_net: {net}
{program}_as: {net}
{program}_pipe_size: {buffer}
plugins: print[a]
aggregate[a]: {aggregate}
print_output[a]: csv
print_output_file[a]: {folder}/out.csv
print_refresh_time[a]: 3600
print_cache_entries[a]: 399989
plugin_pipe_size[a]: 134217728
plugin_buffer_size[a]: 65536
"""


BY_PREFIX = "peer_src_ip, in_iface, dst_net, dst_mask"
BY_SOURCE = f"{BY_PREFIX}, src_as"
"""The same sums as ours, and the cheapest way to them: prefix length and AS as the record has them."""


def _pmacct(program: str, net: str, aggregate: str) -> Callable[[int, Path], list[str]]:
    def command(port: int, folder: Path) -> list[str]:
        buffer = Path("/proc/sys/net/core/rmem_max").read_text().strip()
        text = PMACCT.format(program=program, net=net, port=port, buffer=buffer, folder=folder, aggregate=aggregate)
        (folder / "pmacct.conf").write_text(text)
        return [program, "-f", str(folder / "pmacct.conf")]

    return command


def _printed(_: str, folder: Path) -> tuple[int | None, int | None]:
    packets = 0
    for path in folder.glob("out.csv*"):
        with path.open() as lines:
            packets += sum(int(row["PACKETS"]) for row in csv.DictReader(lines))
    return None, packets


NETFLOW = frozenset({"netflow-v5", "netflow-v9", "ipfix"})
SFLOW = frozenset({"sflow"})
COLLECTORS = (
    Collector("teagent", NETFLOW, sys.executable, _teagent, signal.SIGTERM, _told),
    Collector("teagent", SFLOW, sys.executable, _teagent_compiled, signal.SIGTERM, _told),
    Collector("teagent_numpy", SFLOW, sys.executable, _teagent, signal.SIGTERM, _told),
    Collector("nfcapd", NETFLOW, "nfcapd", _nfcapd("nfcapd"), signal.SIGTERM, _nfdumped),
    Collector("nfacctd", NETFLOW, "nfacctd", _pmacct("nfacctd", "netflow", BY_SOURCE), signal.SIGINT, _printed),
    Collector(
        "nfacctd_by_prefix", NETFLOW, "nfacctd", _pmacct("nfacctd", "netflow", BY_PREFIX), signal.SIGINT, _printed
    ),
    Collector("sfcapd", SFLOW, "sfcapd", _nfcapd("sfcapd"), signal.SIGTERM, _nfdumped),
    Collector("sfacctd", SFLOW, "sfacctd", _pmacct("sfacctd", "sflow", BY_SOURCE), signal.SIGINT, _printed),
)
PMACCT_NAMES = ("nfacctd", "nfacctd_by_prefix", "sfacctd")


def serve(port: int, *, by: Compiled | None) -> None:
    use_one_arena()  # as the daemon does
    ending, due = threading.Event(), threading.Event()

    def end(*_: object) -> None:
        ending.set()
        due.set()

    signal.signal(signal.SIGTERM, end)
    listener = FlowListener(
        bindings=[Binding(host=EXPORTER, port=port)], exporters={EXPORTER: "edge"}, compile_sflow=False
    )
    builder = MatrixBuilder(attribution())
    if by is not None:
        listener.read_sflow_by(by.new_pass)
        builder.count_by(by.count)
    records = 0
    window_ends = time.monotonic() + WINDOW_SECONDS

    def drain() -> None:
        for batch in listener.take():
            builder.add(batch)

    listener.call_when_many(due.set)
    listener.start()
    while not ending.is_set():
        due.wait(1.0)
        due.clear()
        drain()
        if time.monotonic() >= window_ends:
            window_ends += WINDOW_SECONDS
            records += builder.counts().records
            builder.build(at=datetime.now(UTC), seconds=WINDOW_SECONDS, interface_octets={})
            give_back_free_memory()  # as the daemon does
    listener.stop()
    drain()
    records += builder.counts().records
    [health] = listener.exporters()
    told = {"records": records, "lost": health.lost, "undecoded": dict(health.undecoded), **listener.dropped()}
    print(json.dumps(told))


if __name__ == "__main__":
    serve(int(sys.argv[1]), by=compiled() if sys.argv[2:] == ["--compiled"] else None)
