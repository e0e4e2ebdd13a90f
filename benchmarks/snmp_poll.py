"""Poll 2,000 counters on 20 agents: our poller beside net-snmp's snmpbulkget, in one run.

    sudo python benchmarks/snmp_poll.py [--rounds 5] [--json]

20 of net-snmp's agents with 51 interfaces each (25 pairs of veth and lo) in a network namespace of its own, which goes
when the benchmark ends. `ours_*` is a steady poll of all 1,020 interfaces: both counters, and with them name, state,
speed and time of discontinuity, which the two columns of snmpbulkget leave out. `two_links_*` is what a poll of two
links a router costs, the usual case. CPU is the client's alone; figures are medians over the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

AGENTS = 20
VETH_PAIRS = 25
FIRST_PORT = 17001
INTERVAL_SECONDS = 30.0
HC_IN, HC_OUT = "1.3.6.1.2.1.31.1.1.1.6", "1.3.6.1.2.1.31.1.1.1.10"
# Well under the interval, one PDU a router where it fits, and no more than a small part of a core.
TARGETS = {
    "ours_wall_seconds": INTERVAL_SECONDS / 10,
    "two_links_pdus_per_router": 1.0,
    "ours_core_share_at_1000_interfaces": 0.05,
}
ENVIRONMENT = {**os.environ, "MIBS": ""}


@contextmanager
def agents(folder: Path) -> Iterator[list[int]]:
    """20 agents on loopback; killed by their own process ids."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for pair in range(VETH_PAIRS):
        a, b = f"ve{pair}a", f"ve{pair}b"
        subprocess.run(["ip", "link", "add", a, "type", "veth", "peer", "name", b], check=True)
        for end in (a, b):
            subprocess.run(["ip", "link", "set", end, "up"], check=True)
    ports = [FIRST_PORT + number for number in range(AGENTS)]
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for port in ports:
            config = folder / f"{port}.conf"
            config.write_text(f"agentaddress udp:127.0.0.1:{port}\nrocommunity public\n")
            command = ["snmpd", "-f", "-Lo", "-C", "-c", str(config), "-I", "-smux", "-m", ""]
            command += [f"--persistentDir={folder / str(port)}", "-p", str(folder / f"{port}.pid")]
            processes.append(
                subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT)
            )
        for port in ports:
            wait_for(port)
        yield ports
    finally:
        for process in processes:
            process.kill()
            process.wait()


def wait_for(port: int, *, tries: int = 100) -> None:
    for _ in range(tries):
        if bulkget(port).wait() == 0:
            return
        time.sleep(0.1)
    raise RuntimeError(f"the agent on port {port} does not answer")


def bulkget(port: int) -> subprocess.Popen[bytes]:
    command = ["snmpbulkget", "-v2c", "-cpublic", "-OnqtU", "-m", "", "-r0", "-t1", "-Cr51"]
    return subprocess.Popen(
        [*command, f"127.0.0.1:{port}", HC_IN, HC_OUT],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=ENVIRONMENT,
    )


def snmpbulkget(ports: list[int], *, at_once: int) -> int:
    """Returns the counters read."""
    counters = 0
    for start in range(0, len(ports), at_once):
        running = [bulkget(port) for port in ports[start : start + at_once]]
        for process in running:
            lines = process.communicate()[0].splitlines()
            counters += sum(1 for row in lines if row.startswith((f".{HC_IN}.".encode(), f".{HC_OUT}.".encode())))
    return counters


def cpu_seconds() -> float:
    """Of this process and of the children that it has waited for."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def measured(rounds: int, poll: Callable[[], int]) -> dict[str, float]:
    """Medians over the rounds, after one that does not count."""
    poll()
    walls, cpus, counts = [], [], []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), cpu_seconds()
        counts.append(poll())
        walls.append(time.perf_counter() - wall)
        cpus.append(cpu_seconds() - cpu)
    return {
        "wall_seconds": statistics.median(walls),
        "cpu_seconds": statistics.median(cpus),
        "counters": statistics.median(counts),
    }


def ours(ports: list[int], rounds: int, interests: tuple[str, ...]) -> dict[str, float]:
    """Steady polls; the full looks before them are told apart."""
    from teagent.adapters.clock import SystemClock
    from teagent.adapters.snmp.target import SnmpTarget
    from teagent.adapters.snmp.telemetry import SnmpTelemetry

    targets = {f"edge{port}": SnmpTarget(address="127.0.0.1", port=port, community="public") for port in ports}
    poller = SnmpTelemetry(targets, clock=SystemClock(), interests=dict.fromkeys(targets, interests))
    pdus: list[int] = []

    async def poll() -> int:
        async with asyncio.TaskGroup() as group:
            reads = [group.create_task(poller.read(name)) for name in targets]
        pdus[:] = [read.result().pdus for read in reads]
        return sum(2 * len(read.result().counters) for read in reads)

    with asyncio.Runner() as runner:
        cpu = cpu_seconds()
        runner.run(poll())
        full_cpu, full_pdus = cpu_seconds() - cpu, statistics.mean(pdus)
        figures = measured(rounds, lambda: runner.run(poll()))
        runner.run(poller.stop())
    return {
        **figures,
        "pdus_per_router": statistics.mean(pdus),
        "full_look_cpu_seconds": full_cpu,
        "full_look_pdus_per_router": full_pdus,
    }


def inside(rounds: int) -> dict[str, float]:
    names = ("lo", *(f"ve{pair}{end}" for pair in range(VETH_PAIRS) for end in "ab"))
    with tempfile.TemporaryDirectory(prefix="teagent-bench-") as folder, agents(Path(folder)) as ports:
        parts = {
            "ours": ours(ports, rounds, names),
            "two_links": ours(ports, rounds, names[1:3]),
            "snmpbulkget": measured(rounds, lambda: snmpbulkget(ports, at_once=1)),
            "snmpbulkget_4_at_once": measured(rounds, lambda: snmpbulkget(ports, at_once=4)),
        }
    figures = {f"{part}_{name}": value for part, values in parts.items() for name, value in values.items()}
    figures["ours_core_share_at_1000_interfaces"] = (
        figures["ours_cpu_seconds"] / INTERVAL_SECONDS * 1000 / (AGENTS * len(names))
    )
    figures["cpu_ours_over_snmpbulkget"] = figures["ours_cpu_seconds"] / figures["snmpbulkget_cpu_seconds"]
    figures["wall_ours_over_snmpbulkget"] = figures["ours_wall_seconds"] / figures["snmpbulkget_wall_seconds"]
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.inside:
        # A namespace of its own: its interfaces and agents are nobody else's, and go with it.
        return subprocess.run(
            ["unshare", "--net", sys.executable, __file__, "--inside", *sys.argv[1:]], check=False
        ).returncode
    figures = inside(arguments.rounds)
    met = {name: figures[name] <= target for name, target in TARGETS.items()}
    if arguments.json:
        print(json.dumps({"name": "snmp_poll", "figures": figures, "targets": TARGETS, "met": met}))
    else:
        for name, value in figures.items():
            goal = f"   to reach {TARGETS[name]:g}" if name in TARGETS else ""
            print(f"{name:44} {value:10.4f}{goal}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
