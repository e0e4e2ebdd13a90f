"""ExaBGP with the relay in a lab's management node, and what its transits hear of us."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Self

from labs.runner import NodeProcess
from teagent.adapters.exabgp.allow_list import write_allow_list
from teagent.adapters.exabgp.configuration import ExabgpSession, render_exabgp_conf, render_exabgp_env
from teagent.model.allow_list import AllowedNeighbor, AllowedPrefix, AllowList
from teagent.model.bgp import Asn
from tests.lab.conftest import RunningLab


def until(holds: Callable[[], Any], *, seconds: float = 20.0, what: str = "it") -> Any:
    """The first true answer; fails the test when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (answer := holds()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g}s"
        time.sleep(0.05)
    return answer


class RelayClient:
    """One connection; `ask` sends a request and returns the whole answer."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(40)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._file = self._socket.makefile("rwb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def send(self, do: str, **fields: Any) -> None:
        self._file.write(json.dumps({"version": 1, "id": 1, "do": do, **fields}).encode() + b"\n")
        self._file.flush()

    def line(self) -> dict[str, Any]:
        return json.loads(self._file.readline())

    def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        self.send(do, **fields)
        return self.line()


class ExabgpInLab:
    """Started and stopped at will; its files stay between starts, as on a real machine."""

    def __init__(self, running: RunningLab, directory: Path) -> None:
        self._running = running
        self._process: NodeProcess | None = None
        self.directory = directory
        self.socket = directory / "relay.sock"
        self.allow = directory / "allow.json"
        self.journal = directory / "journal"
        self._write_files()

    def _write_files(self) -> None:
        scenario = self._running.scenario
        told = scenario.raw["signal"]
        ids = {link.link_id: link.name for link in scenario.links}
        carried: dict[str, set[int]] = {}
        for link in scenario.links:
            for prefix, path in scenario.home[link.name].items():
                if path is not None:
                    carried.setdefault(prefix, set()).add(link.link_id)
        allowed = AllowList(
            local_asn=Asn(scenario.local_asn),
            links=ids,
            prefixes=tuple(
                AllowedPrefix(prefix=ip_network(prefix), max_prepend=3, link_ids=frozenset(links))
                for prefix, links in carried.items()
            ),
            next_hop_ipv4=ip_address(told["next_hop"]),
            next_hop_ipv6=None,
            neighbors=(AllowedNeighbor(address=ip_address(told["router"]), families=frozenset({"ipv4"})),),
            max_prepend=3,
            withhold=True,
            changes_per_minute=600,
        )
        write_allow_list(self.allow, allowed)
        relay = shutil.which("teagent-relay", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        assert relay is not None
        (self.directory / "exabgp.conf").write_text(
            render_exabgp_conf(
                local_asn=Asn(scenario.local_asn),
                router_id=ip_address(told["speaker"]),
                sessions=[
                    ExabgpSession(
                        router="edge", neighbor=ip_address(told["router"]), local_address=ip_address(told["speaker"])
                    )
                ],
                relay_command=[
                    *(relay, "--allow", str(self.allow), "--journal", str(self.journal)),
                    *("--socket", str(self.socket), "--ack-timeout", "2"),
                ],
            )
        )
        (self.directory / "exabgp.env").write_text(render_exabgp_env(user="root"))

    def start(self) -> None:
        exabgp = shutil.which("exabgp", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        assert exabgp is not None
        with (self.directory / "exabgp.log").open("a") as log:
            self._process = self._running.lab.node("mgmt").popen(
                [exabgp, "server", str(self.directory / "exabgp.conf")],
                env={"EXABGP_ENVFILE": str(self.directory / "exabgp.env")},
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """SIGKILL to ExaBGP alone; its relay sees the end of its stdin."""
        if self._process is not None:
            for pid in self._pids("exabgp"):
                os.kill(pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def signal(self, number: int) -> None:
        for pid in self._pids("exabgp"):
            os.kill(pid, number)
        if number == signal.SIGCONT and self._process is not None:
            os.kill(self._process.pid, number)  # nsenter stops with its child, and does not wake with it

    def relay_pid(self) -> int:
        return until(lambda: next(iter(self._pids("teagent-relay")), 0), what="a relay")

    def kill_relay(self) -> int:
        """SIGKILL to the relay; returns the pid that died."""
        pid = self.relay_pid()
        os.kill(pid, signal.SIGKILL)
        until(lambda: pid not in self._pids("teagent-relay"), what="the relay's end")
        return pid

    def client(self) -> RelayClient:
        def connected() -> RelayClient | None:
            with contextlib.suppress(OSError):
                return RelayClient(self.socket)
            return None

        # a relay that has been killed again and again pauses, for a minute at most, before ExaBGP would give up
        return until(connected, seconds=90, what="the relay's socket")

    def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        with self.client() as client:
            return client.ask(do, **fields)

    def state(self) -> dict[str, Any]:
        return self.ask("state")["state"]

    def ready(self, *, seconds: float = 30.0) -> dict[str, Any]:
        """The state once the session is up and ExaBGP is in step with the journal; a relay's pause does not count."""
        with self.client():
            pass

        def settled() -> dict[str, Any] | None:
            with contextlib.suppress(OSError, ValueError):
                state = self.state()
                if state["in_step"] and all(row["state"] == "up" for row in state["neighbors"]):
                    return state
            return None

        return until(settled, seconds=seconds, what="the session and the journal's replay")

    def log(self) -> str:
        return (self.directory / "exabgp.log").read_text()

    def _pids(self, program: str) -> list[int]:
        """By this instance's own directory in the command line, as the machine counts processes."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal():
                continue
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                names = [Path(word.decode()).name for word in words[:2]]
                mine = any(word.startswith(str(self.directory).encode()) for word in words)
                if program in names and mine:
                    found.append(int(entry.name))
        return found


@contextlib.contextmanager
def exabgp_in(running: RunningLab) -> Iterator[ExabgpInLab]:
    """Nothing of it runs after the block. The directory's name is short: a socket's path must be."""
    with tempfile.TemporaryDirectory(prefix="te-") as name:
        exabgp = ExabgpInLab(running, Path(name))
        try:
            yield exabgp
        finally:
            exabgp.kill()


class TransitLogs:
    """What the transits' bgpd logs about UPDATEs from our edge, from the moment of `mark` on."""

    WITHDRAWN = re.compile(r"rcvd UPDATE about (\S+) \S+ \S+ -- withdrawn")
    HEARD = re.compile(r"rcvd (\d[0-9a-f.:/]+) IPv")

    def __init__(self, running: RunningLab) -> None:
        self._running = running
        self._marks: dict[str, int] = {}
        for link in running.scenario.links:
            running.lab.node(link.node).run(
                [
                    *("vtysh", "-c", "configure terminal", "-c", "log file /var/log/frr/frr.log debugging"),
                    *("-c", "debug bgp updates in", "-c", "end"),
                ]
            )
        self.mark()

    def mark(self) -> None:
        self._marks = {link.node: len(self._read(link.node)) for link in self._running.scenario.links}

    def withdrawn(self) -> list[tuple[str, str]]:
        """(transit, prefix) of every withdrawal of ours heard since the mark."""
        return self._found(self.WITHDRAWN)

    def heard(self) -> list[tuple[str, str]]:
        """(transit, prefix) of every announcement of ours heard since the mark."""
        return self._found(self.HEARD)

    def _found(self, pattern: re.Pattern[str]) -> list[tuple[str, str]]:
        rows = []
        for link in self._running.scenario.links:
            for line in self._read(link.node)[self._marks[link.node] :].splitlines():
                if f" {link.neighbor}(" in line or f" {link.neighbor} " in line:
                    rows += [(link.node, prefix) for prefix in pattern.findall(line)]
        return rows

    def _read(self, node: str) -> str:
        return self._running.lab.node(node).run("cat /var/log/frr/frr.log").stdout
