"""A real ExaBGP with a real relay, without root: BGP on high ports of loopback, everything in one directory."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self

from teagent.adapters.exabgp.configuration import ExabgpSession, render_exabgp_conf, render_exabgp_env
from teagent.model.bgp import Asn

ASN = Asn(64500)
SPEAKER = "127.0.0.2"
EDGE = "127.0.0.1"
ALLOW: dict[str, Any] = {
    "version": 1,
    "local_asn": ASN,
    "links": {"1": "transit-a", "2": "transit-b"},
    "max_prepend": 3,
    "withhold": True,
    "prefixes": [{"prefix": "198.51.100.0/24"}, {"prefix": "203.0.113.0/24"}],
    "next_hop": {"ipv4": "192.0.2.254"},
    "neighbors": [{"address": EDGE, "families": ["ipv4"]}],
    "burst": 1_000_000,
}


def until(holds: Callable[[], Any], *, seconds: float = 20.0, what: str = "it") -> Any:
    """The first true answer; fails the test when there is none in time."""
    deadline = time.monotonic() + seconds
    while not (answer := holds()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g}s"
        time.sleep(0.02)
    return answer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((EDGE, 0))
        return int(probe.getsockname()[1])


def program(name: str) -> str:
    found = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert found is not None, f"{name} is a part or a dependency of the project"
    return found


class RelayClient:
    """One connection; `ask` sends a request and returns the whole answer."""

    def __init__(self, path: Path, *, timeout_seconds: float = 20.0) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(timeout_seconds)
        try:
            self.socket.connect(str(path))
        except OSError:
            self.socket.close()
            raise
        self._file = self.socket.makefile("rwb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
        self.socket.close()

    def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        return self.say(json.dumps({"version": 1, "id": 1, "do": do, **fields}).encode() + b"\n")

    def say(self, raw: bytes) -> dict[str, Any]:
        self._file.write(raw)
        self._file.flush()
        return self.line()

    def line(self) -> dict[str, Any]:
        return json.loads(self._file.readline())


class ExabgpOnLoopback:
    """`port` is where the edge listens; with nobody there the session stays down, and everything else works."""

    def __init__(
        self,
        directory: Path,
        *,
        port: int,
        allow: Mapping[str, Any] = ALLOW,
        families: tuple[str, ...] = ("ipv4",),
        ack_timeout: float = 2.0,
        md5_key: bytes = b"",
    ) -> None:
        self.directory = directory
        self.socket = directory / "relay.sock"
        self.allow = directory / "allow.json"
        self.journal = directory / "journal"
        self._process: subprocess.Popen[bytes] | None = None
        self.allow.write_text(json.dumps(allow))
        conf = render_exabgp_conf(
            local_asn=ASN,
            router_id=ip_address("192.0.2.66"),
            sessions=[
                ExabgpSession(
                    router="edge",
                    neighbor=ip_address(EDGE),
                    local_address=ip_address(SPEAKER),
                    families=families,
                    md5_key=md5_key,
                )
            ],
            relay_command=[
                *(program("teagent-relay"), "--allow", str(self.allow), "--journal", str(self.journal)),
                *("--socket", str(self.socket), "--ack-timeout", str(ack_timeout)),
                *("--allow-owner", str(os.getuid()), "--freeze-file", str(directory / "freeze")),
            ],
        )
        (directory / "exabgp.conf").write_text(conf.replace("hold-time", f"connect {port};\n    hold-time"))
        me = pwd.getpwuid(os.getuid()).pw_name
        (directory / "exabgp.env").write_text(render_exabgp_env(user=me))

    def start(self) -> None:
        with (self.directory / "exabgp.log").open("ab") as log:
            self._process = subprocess.Popen(
                [program("exabgp"), "server", str(self.directory / "exabgp.conf")],
                env={**os.environ, "EXABGP_ENVFILE": str(self.directory / "exabgp.env")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL to ExaBGP alone, then waits for its relay to see the end of its stdin."""
        if self._process is None:
            return
        relays = self.relays()
        self._process.send_signal(signal.SIGCONT)
        self._process.kill()
        self._process.wait()
        self._process = None
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in relays), what="the relay's end")

    def relays(self) -> list[int]:
        """Pids of ExaBGP's children; there is one, or none while it is being started again."""
        if not self.running():
            return []
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def relay_pid(self) -> int:
        return until(lambda: next(iter(self.relays()), 0), what="a relay")

    def client(self, **options: Any) -> RelayClient:
        def connected() -> RelayClient | None:
            with contextlib.suppress(OSError):
                return RelayClient(self.socket, **options)
            return None

        return until(connected, what="the relay's socket")

    def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        with self.client() as client:
            return client.ask(do, **fields)

    def state(self) -> dict[str, Any]:
        return self.ask("state")["state"]

    def eventually(
        self, holds: Callable[[dict[str, Any]], bool], *, seconds: float = 30.0, what: str
    ) -> dict[str, Any]:
        """The first state for which this holds; the relay may be away meanwhile."""

        def found() -> dict[str, Any] | None:
            with contextlib.suppress(OSError, ValueError, KeyError):
                state = self.state()
                if holds(state):
                    return state
            return None

        return until(found, seconds=seconds, what=what)

    def ready(self, *, session: str, seconds: float = 30.0) -> dict[str, Any]:
        """The state once ExaBGP is in step with the journal and the session is `session`."""
        return self.eventually(
            lambda state: state["in_step"] and all(row["state"] == session for row in state["neighbors"]),
            seconds=seconds,
            what=f"ExaBGP in step and the session {session}",
        )

    def log(self) -> str:
        return (self.directory / "exabgp.log").read_text()


@contextlib.contextmanager
def exabgp_on_loopback(**options: Any) -> Iterator[ExabgpOnLoopback]:
    """Nothing of it runs after the block. The directory's name is short, because a socket's path must be."""
    with tempfile.TemporaryDirectory(prefix="te-") as name:
        exabgp = ExabgpOnLoopback(Path(name), **options)
        try:
            yield exabgp
        finally:
            exabgp.kill()
