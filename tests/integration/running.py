"""A real `teagent run` on loopback, in dry run: its files, its process, its service manager, and what it says."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

from teagent.cli.client import Client
from teagent.errors import DaemonUnreachable, TeagentError

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
COMMUNITY = "lab-secret"
ENVIRONMENT = {"EDGE_COMMUNITY": COMMUNITY, "NO_COLOR": "1", "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
PATIENCE_SECONDS = 30.0

POLICY = """
version: 1
policy: relief
match: {links: {names: [transit-a]}, prefixes: {tags: [customer]}}
when: {metric: in_utilisation, above: 80%, for: 5s, clear_below: 70%}
objective: relieve_at_least_cost
allow: [{lever: prepend, max: 3}]
limits: {headroom: 15%, cooldown: 60s}
approval: {required: true, expires_after: 10m}
confirm:
  window: 90s
  settle: 20s
  revert_if: [{guard: no_data, for: 30s}]
"""


def until(what: str, look: Callable[[], T], *, seconds: float = PATIENCE_SECONDS) -> T:
    """The first answer that is true, without measuring how long it took."""
    pause, deadline = threading.Event(), time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds:.0f}s")
        pause.wait(0.02)
    return found


def free_port(kind: int = socket.SOCK_DGRAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Router:
    """`snmp` is the flow mapping of its credentials."""

    name: str
    address: str
    port: int
    snmp: str = 'version: 2c, community: "env:EDGE_COMMUNITY"'


@dataclass
class Site:
    """Everything that a daemon has on disk. Short paths: a socket's may have 108 octets."""

    directory: Path
    routers: list[Router] = field(default_factory=list)
    links: list[tuple[str, str, str]] = field(default_factory=list)  # name, router, interface
    flows_port: int = field(default_factory=free_port)
    metrics_port: int = field(default_factory=lambda: free_port(socket.SOCK_STREAM))
    poll: str = "{interval: 1200ms, timeout: 200ms, retries: 1, stale_after: 5s}"
    window: str = "5s"
    bgp: str = "dry_run: true"
    allow_list_owner: str = field(default_factory=lambda: pwd.getpwuid(os.getuid()).pw_name)
    policy: str = POLICY
    store: str = "teagent.db"
    viewers: str = "[]"
    capacity: str = "1Gbps"
    flows: str | None = None  # where they come from, instead of flows_port
    extra: str = ""

    @property
    def config(self) -> Path:
        return self.directory / "config.yaml"

    @property
    def socket(self) -> Path:
        return self.directory / "teagent.sock"

    @property
    def metrics(self) -> str:
        return f'{{listen: "127.0.0.1:{self.metrics_port}"}}' if self.metrics_port else "{}"

    @property
    def flow_sources(self) -> str:
        return self.flows or f'listen: [{{protocol: netflow, address: "127.0.0.1:{self.flows_port}"}}]'

    def text(self) -> str:
        routers = "\n".join(
            f"  {r.name}: {{address: {r.address}, vendor: frr, snmp: {{{r.snmp}, port: {r.port}}}}}"
            for r in self.routers
        )
        links = "\n".join(
            f"  {name}: {{id: {number}, kind: transit, router: {router}, interface: {interface}, "
            f"neighbor: 192.0.2.{number}, peer_asn: {64500 + number}, capacity: {self.capacity}, price_per_mbps: 0.2}}"
            for number, (name, router, interface) in enumerate(self.links, start=1)
        )
        return f"""
version: 1
local: {{asn: 64510, router_id: 192.0.2.250}}
prefixes:
  - {{prefix: 198.51.100.0/24, tags: [customer], engineer: true}}
  - {{prefix: 203.0.113.0/24}}
routers:
{routers}
links:
{links}
poll: {self.poll}
flows:
  {self.flow_sources}
  window: {self.window}
store: {{path: {self.store}}}
bgp:
  local_address: 127.0.0.250
  next_hop: {{ipv4: 192.0.2.254}}
  relay: relay.sock
  allow_list: allow.json
  allow_list_owner: {self.allow_list_owner}
  freeze_file: freeze
  journal: journal
  {self.bgp}
decide: {{interval: 1s}}
control: {{socket: teagent.sock, viewers: {self.viewers}}}
metrics: {self.metrics}
{self.extra}
"""

    def write(self) -> Path:
        policies = self.directory / "policies"
        policies.mkdir(exist_ok=True)
        (policies / "10-relief.yaml").write_text(self.policy)
        self.config.write_text(self.text())
        return self.config


@contextmanager
def site(**settings: Any) -> Iterator[Site]:
    """A directory of its own that is gone afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="tg-"))
    try:
        yield Site(directory, **settings)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


class ServiceManager:
    """What systemd is to the daemon: a datagram socket."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.heard: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while message := self._socket.recv(4096):
            self.heard.append(message.decode())

    def told(self, word: str) -> int:
        """How often a message began with the word."""
        return sum(message.startswith(word) for message in list(self.heard))

    def order(self) -> list[str]:
        """The messages that are not said again and again, in their order."""
        said = [message.split("\n")[0] for message in list(self.heard)]
        return [word for word in said if not word.startswith(("WATCHDOG=", "STATUS="))]

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", str(self.path))
        self._thread.join()
        self._socket.close()


class RunningDaemon:
    """`teagent run` as a process; leaving the block kills what still runs."""

    def __init__(self, where: Site, *, environment: dict[str, str] | None = None) -> None:
        self.site = where
        self._log = where.directory / "log"
        self.manager = ServiceManager(where.directory / f"notify-{len(list(where.directory.iterdir()))}")
        self._file = self._log.open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "teagent.cli", "run", "--config", str(where.config)],
            cwd=ROOT,
            env={**os.environ, **ENVIRONMENT, "NOTIFY_SOCKET": str(self.manager.path), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=self._file,
            stderr=self._file,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._file.close()
        self.manager.close()

    @property
    def pid(self) -> int:
        return self.process.pid

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def ready(self) -> Self:
        self.until("READY=1", lambda: self.manager.told("READY=1"))
        return self

    def until(self, what: str, look: Callable[[], T], *, seconds: float = PATIENCE_SECONDS) -> T:
        """As `until`, and fails at once with the log when the daemon has ended."""

        def looked() -> T:
            found = look()
            if not found and self.process.poll() is not None:
                raise AssertionError(f"{what}: the daemon ended with {self.process.returncode}")
            return found

        try:
            return until(what, looked, seconds=seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()[-1500:]}") from None

    def call(self, command: str, **arguments: object) -> Any:
        return Client(self.site.socket, timeout_seconds=20).call(command, **arguments)

    def answers(self) -> bool:
        try:
            self.call("log.list", limit=1)
        except (DaemonUnreachable, TeagentError):
            return False
        return True

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def stop(self, *, seconds: float = 10.0) -> int:
        """SIGTERM, and its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.ended(seconds=seconds)

    def ended(self, *, seconds: float = PATIENCE_SECONDS) -> int:
        try:
            return self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the daemon did not end within {seconds:.0f}s\n{self.log()[-1500:]}") from None


def teagent(where: Site | Path, *words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    """The command line as a person uses it."""
    path = where.socket if isinstance(where, Site) else where
    return subprocess.run(
        [sys.executable, "-m", "teagent.cli", *words],
        cwd=ROOT,
        env={**os.environ, **ENVIRONMENT, "TEAGENT_SOCKET": str(path)},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
        **more,
    )


def documents(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def send(port: int, datagrams: Sequence[bytes], *, source: str = "127.0.0.1") -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as exporter:
        exporter.bind((source, 0))
        for datagram in datagrams:
            exporter.sendto(datagram, ("127.0.0.1", port))


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_files(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def scrape(daemon: RunningDaemon) -> dict[str, float]:
    """Samples by name with labels, as Prometheus would take them."""
    with urllib.request.urlopen(f"http://127.0.0.1:{daemon.site.metrics_port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line[:1] != "#"}
