"""What the daemon costs at rest: memory, and its share of one core.

    python benchmarks/idle.py [--seconds 30] [--json]

`teagent run` in dry run on loopback: one router (net-snmp) with two links polled every 30 s, NetFlow v9 from it once a
second, windows of five minutes, a policy looked at every 30 s: the shipped defaults. Measured after it has settled;
nothing is compared, the targets are absolute.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TARGET_MEBIBYTES = 120
TARGET_SHARE_OF_CORE = 0.01
RECORDS_A_SECOND = 500
SETTLE_SECONDS = 5.0
CONFIG = """
version: 1
local: {{asn: 64510, router_id: 192.0.2.250}}
prefixes:
  - {{prefix: 198.51.100.0/24, tags: [customer], engineer: true}}
  - {{prefix: 203.0.113.0/24}}
routers:
  edge1: {{address: 127.0.0.1, vendor: frr, snmp: {{version: 2c, community: "env:BENCH_COMMUNITY", port: {snmp}}}}}
links:
  a: {{id: 1, kind: transit, router: edge1, interface: lo, neighbor: 192.0.2.1, peer_asn: 64501, capacity: 10Gbps}}
  b: {{id: 2, kind: transit, router: edge1, interface: eth0, neighbor: 192.0.2.2, peer_asn: 64502, capacity: 10Gbps}}
flows:
  listen: [{{protocol: netflow, address: "127.0.0.1:{flows}"}}]
store: {{path: teagent.db}}
bgp: {{local_address: 127.0.0.250, next_hop: {{ipv4: 192.0.2.254}}, dry_run: true}}
control: {{socket: teagent.sock}}
metrics: {{listen: "127.0.0.1:{metrics}"}}
"""
POLICY = """
version: 1
policy: relief
match: {links: {names: [a]}, prefixes: {tags: [customer]}}
when: {metric: in_utilisation, above: 80%, for: 15m, clear_below: 70%}
objective: minimise_max_utilisation
allow: [{lever: prepend, max: 3}]
limits: {headroom: 15%, cooldown: 1h}
approval: {required: true, expires_after: 30m}
confirm:
  window: 20m
  settle: 5m
  revert_if: [{guard: no_data, for: 5m}]
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long is measured (30)")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="idle-") as made:
        found = measure(Path(made), options.seconds)
    if options.json:
        print(json.dumps(found, indent=2))
        return
    print(f"resident memory   {found['resident_mebibytes']:8.1f} MiB   target {TARGET_MEBIBYTES}")
    print(f"share of one core {found['share_of_core'] * 100:8.2f} %     target {TARGET_SHARE_OF_CORE * 100:.0f}")
    print(f"flow records      {found['records']:8d}       in {found['seconds']:.0f} s")


def measure(directory: Path, seconds: float) -> dict[str, float]:
    ports = {"snmp": free_port(), "flows": free_port(), "metrics": free_port()}
    (directory / "config.yaml").write_text(CONFIG.format(**ports))
    (directory / "policies").mkdir()
    (directory / "policies" / "10-relief.yaml").write_text(POLICY)
    with agent(directory, ports["snmp"]), daemon(directory) as pid, exporting(ports["flows"]) as sent:
        wait(SETTLE_SECONDS)
        before, cpu, begun = sent[0], cpu_seconds(pid), time.monotonic()
        wait(seconds)
        took = time.monotonic() - begun
        return {
            "seconds": took,
            "records": sent[0] - before,
            "resident_mebibytes": resident_mebibytes(pid),
            "share_of_core": (cpu_seconds(pid) - cpu) / took,
            "target_mebibytes": TARGET_MEBIBYTES,
            "target_share_of_core": TARGET_SHARE_OF_CORE,
        }


@contextmanager
def agent(directory: Path, port: int) -> Iterator[None]:
    snmpd = shutil.which("snmpd") or shutil.which("snmpd", path="/usr/sbin")
    if snmpd is None:
        sys.exit("error: snmpd is not installed\nhint:  apt-get install snmpd")
    config, state = directory / "snmpd.conf", directory / "snmpd"
    state.mkdir()
    config.write_text(f"agentaddress udp:127.0.0.1:{port}\nrocommunity bench 127.0.0.1\n")
    command = [snmpd, "-f", "-C", "-c", str(config), "-I", "-smux", f"--persistentDir={state}", "-m", ""]
    command += ["-Lf", str(directory / "snmpd.log")]
    with started(command, {"MIBS": ""}, directory):
        yield


@contextmanager
def daemon(directory: Path) -> Iterator[int]:
    command = [sys.executable, "-m", "teagent.cli", "run", "--config", str(directory / "config.yaml")]
    root = Path(__file__).resolve().parent.parent
    environment = {"BENCH_COMMUNITY": "bench", "PYTHONPATH": str(root)}
    with started(command, environment, directory) as process:
        while not (directory / "teagent.sock").exists():
            if process.poll() is not None:
                sys.exit(f"error: the daemon ended with {process.returncode}\n{(directory / 'log').read_text()}")
            wait(0.05)
        yield process.pid


@contextmanager
def started(command: list[str], environment: dict[str, str], directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)


@contextmanager
def exporting(port: int) -> Iterator[list[int]]:
    """NetFlow v9, 20 records a datagram, towards our prefixes from a thousand networks; the count of records sent."""
    sent, stop = [0], threading.Event()
    thread = threading.Thread(target=_export, args=(port, sent, stop))
    thread.start()
    try:
        yield sent
    finally:
        stop.set()
        thread.join()


def _export(port: int, sent: list[int], stop: threading.Event) -> None:
    fields = ((8, 4), (12, 4), (10, 4), (1, 4), (2, 4), (16, 4))
    described = b"".join(number.to_bytes(2, "big") + size.to_bytes(2, "big") for number, size in fields)
    template = flow_set(0, (300).to_bytes(2, "big") + len(fields).to_bytes(2, "big") + described)
    ours = (0xC6336401, 0xCB007101)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        sequence = 0
        while not stop.wait(1.0):
            for _ in range(RECORDS_A_SECOND // 20):
                body = b""
                for _ in range(20):
                    number = sent[0] % 1000
                    values = (0x0A000001 + (number << 8), ours[number % 2], 1, 1500 * 8, 8, 64600 + number)
                    body += b"".join(value.to_bytes(4, "big") for value in values)
                    sent[0] += 1
                sets = template + flow_set(300, body)
                head = [(9, 2), (21, 2), (1000, 4), (int(time.time()), 4), (sequence, 4), (1, 4)]
                out.sendto(b"".join(v.to_bytes(n, "big") for v, n in head) + sets, ("127.0.0.1", port))
                sequence += 1


def flow_set(number: int, body: bytes) -> bytes:
    return number.to_bytes(2, "big") + (4 + len(body)).to_bytes(2, "big") + body


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait(seconds: float) -> None:
    threading.Event().wait(seconds)


def resident_mebibytes(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
