"""Sessions signed with a TCP MD5 key (RFC 2385): a real ExaBGP and our witness with a real BIRD and a real FRR.

On addresses of loopback and high ports. One life with each router is lived once; each test looks at one thing of it.
"""

from __future__ import annotations

import asyncio
import base64
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address, ip_network
from pathlib import Path
from typing import Protocol

import pytest

from teagent.adapters.clock import SystemClock
from teagent.adapters.ibgp.session import SessionEnds
from teagent.adapters.ibgp.witness import SessionWitness
from teagent.ports import WitnessHealth
from teagent.wire.router_config import BorderLink, BorderRouter, router_config
from tests.fakes.kernel import needs_tcp_md5
from tests.fakes.until import until as until_async
from tests.integration.bird_network import PREFIX, WITNESS, Bird
from tests.integration.exabgp_on_loopback import ASN, EDGE, SPEAKER, exabgp_on_loopback, free_port, until

BGPD = Path("/usr/lib/frr/bgpd")
KEY, OTHER = "deadbeef", "another"
"""The first of hexadecimal digits, which ExaBGP would take for base64 by itself."""
FROM_US = {
    "right": (WITNESS, KEY),
    "other": ("127.0.0.5", OTHER),
    "none": ("127.0.0.6", ""),
    "alone": ("127.0.0.7", KEY),
}
"""By the name of the session: our address on it, and our key. The router has KEY, and none for `alone`."""
ROUTER = BorderRouter(
    name="edge",
    asn=ASN,
    speaker=ip_address(SPEAKER),
    links=(BorderLink(name="transit-a", link_id=1, neighbor=ip_address("127.0.0.3")),),
    prefixes=(ip_network(PREFIX),),
    next_hop_ipv4=IPv4Address("192.0.2.254"),
    witness=ip_address(WITNESS),
    signed=True,
)

pytestmark = [pytest.mark.slow, needs_tcp_md5]


class Edge(Protocol):
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def take_key(self, key: str) -> None:
        """For the session with ExaBGP, from now on."""


class BirdEdge(Bird):
    """What `router-config` prints, after a file that says the key."""

    def __init__(self, directory: Path, port: int) -> None:
        generated = router_config(ROUTER, "bird").replace(
            f"local as {ASN};", f"local {EDGE} port {port} as {ASN}; strict bind;"
        )
        (_, session) = re.split(r"(?=protocol bgp teagent_witness)", generated)
        session = session[: session.index("\n}\n") + 3]
        more = "".join(
            session.replace("teagent_witness {", f"wants_{name} {{").replace(WITNESS, FROM_US[name][0])
            for name in ("other", "none", "alone")
        )
        (head, alone) = more.split("protocol bgp wants_alone")
        alone = alone.replace("  password TEAGENT_MD5_KEY;\n", "")
        super().__init__(
            directory,
            "edge",
            'router id 192.0.2.1;\nprotocol device {}\ninclude "key.conf";\n'
            f"protocol static home {{ ipv4; route {PREFIX} blackhole; }}\n"
            f"{generated}{head}protocol bgp wants_alone{alone}",
        )
        self._key = directory / "key.conf"
        self._say(KEY)

    def start(self) -> None:
        """Until all sessions are listened for: before that a connection that is not signed is refused, not dropped."""
        super().start()
        until(lambda: self.ask("show", "protocols").count("Passive") == 1 + len(FROM_US), what="bird to listen")

    def _say(self, key: str) -> None:
        self._key.write_text(f'define TEAGENT_MD5_KEY = "{key}";\n')

    def take_key(self, key: str) -> None:
        self._say(key)
        assert "Reconfigur" in self.ask("configure")


class FrrEdge:
    """bgpd alone: what `router-config` prints, with the lines that its comments ask for, and no zebra."""

    def __init__(self, directory: Path, port: int) -> None:
        self._directory, self._port = directory, port
        text = router_config(ROUTER, "frr")
        asked = re.findall(r"^!  ( *(?:router bgp|neighbor).*)$", text, re.MULTILINE)
        assert len(asked) == 3
        more = [f" neighbor {FROM_US[name][0]} remote-as {ASN}" for name in ("other", "none", "alone")]
        more += [f" neighbor {FROM_US[name][0]} passive" for name in ("other", "none", "alone")]
        more += [f" neighbor {FROM_US[name][0]} password KEY" for name in ("other", "none")]
        lines = [line for line in text.splitlines() if not line.startswith("ip route")]  # zebra's
        (directory / "bgpd.conf").write_text(
            "\n".join([*lines, *asked, " bgp router-id 192.0.2.1", *more, ""]).replace("KEY", KEY)
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        place = self._directory
        with (place / "bgpd.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(BGPD, "-f", place / "bgpd.conf", "-l", EDGE, "-p", str(self._port), "-n", "-S", "-P", "0"),
                    *("-i", place / "bgpd.pid", "-z", place / "zserv", "--vty_socket", place, "--log", "stdout"),
                ],
                stdout=log,
                stderr=log,
            )
        until((place / "bgpd.vty").exists, what="bgpd")
        last = f"neighbor {FROM_US['none'][0]} password"
        until(
            lambda: last in self.ask("show running-config"), what="all of its configuration"
        )  # until then none is signed

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def take_key(self, key: str) -> None:
        assert self.ask("configure terminal", f"router bgp {ASN}", f"neighbor {SPEAKER} password {key}") == ""

    def ask(self, *commands: str) -> str:
        words = [part for command in commands for part in ("-c", command)]
        return subprocess.run(
            ["vtysh", "--vty_socket", self._directory, *words], check=False, capture_output=True, text=True, timeout=10
        ).stdout


EDGES = [
    pytest.param(
        BirdEdge, id="bird", marks=pytest.mark.skipif(not shutil.which("bird"), reason="bird is not installed")
    ),
    pytest.param(FrrEdge, id="frr", marks=pytest.mark.skipif(not BGPD.exists(), reason="frr is not installed")),
]


@dataclass(kw_only=True)
class Life:
    witness: Mapping[str, WitnessHealth]
    dropped_by_kernel: int = 0
    session: str = ""
    log: str = ""


@pytest.fixture(scope="module", params=EDGES)
def life(request: pytest.FixtureRequest) -> Iterator[Life]:
    port = free_port()
    with exabgp_on_loopback(port=port, md5_key=KEY.encode()) as exabgp:
        exabgp.directory.chmod(0o755)
        edge: Edge = request.param(exabgp.directory, port)
        try:
            edge.start()
            exabgp.start()
            seen = Life(witness=asyncio.run(witnessed(port)))
            exabgp.ready(session="up")
            edge.take_key(OTHER)
            exabgp.ready(session="down")
            before = wrongly_signed()
            until(lambda: wrongly_signed() > before, what="a segment that is signed with the old key")
            seen.dropped_by_kernel = wrongly_signed() - before
            (row,) = exabgp.state()["neighbors"]
            seen.session, seen.log = row["state"], exabgp.log()
            yield seen
        finally:
            edge.stop()


async def witnessed(port: int) -> dict[str, WitnessHealth]:
    """Once one session is told and the others have waited in vain."""
    ends = [
        SessionEnds(
            router=name,
            neighbor=ip_address(EDGE),
            local_address=ip_address(address),
            identifier=IPv4Address(address),
            md5_key=key.encode(),
        )
        for name, (address, key) in FROM_US.items()
    ]
    witness = SessionWitness(ends, asn=ASN, prefixes=[ip_network(PREFIX)], clock=SystemClock(), port=port)

    def health() -> dict[str, WitnessHealth]:
        return {each.router: each for each in witness.health()}

    await witness.start()
    try:
        await until_async(
            lambda: (
                health()["right"].told and all(row.reason != "has not been reached yet" for row in health().values())
            ),
            seconds=20,
        )
        return health()
    finally:
        await witness.stop()


def wrongly_signed() -> int:
    """Segments that the kernel has dropped for their signature."""
    names, values = [
        line.split() for line in Path("/proc/net/netstat").read_text().splitlines() if line.startswith("TcpExt:")
    ]
    return int(dict(zip(names, values, strict=True))["TCPMD5Failure"])


def test_with_the_same_key_the_witness_session_comes_up(life: Life) -> None:
    assert life.witness["right"].connected


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("other", "or it has no TCP MD5 key, or another one than routers.other.bgp.md5_password"),
        ("none", "or it wants a TCP MD5 key (routers.none.bgp.md5_password)"),
        ("alone", "or it has no TCP MD5 key, or another one than routers.alone.bgp.md5_password"),
    ],
)
def test_without_the_same_key_at_both_ends_it_stays_down_and_the_key_is_named(
    life: Life, name: str, reason: str
) -> None:
    assert not life.witness[name].connected
    assert life.witness[name].reason.endswith(reason)


def test_exabgp_s_session_goes_with_the_key_and_stays_down_without_it(life: Life) -> None:
    assert life.dropped_by_kernel > 0
    assert life.session == "down"


def test_exabgp_logs_no_key(life: Life) -> None:
    assert not any(key in life.log for key in (KEY, base64.b64encode(KEY.encode()).decode()))
