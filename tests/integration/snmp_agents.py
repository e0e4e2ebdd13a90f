"""Agents to ask: snmpsim on recordings, net-snmp's snmpd, and one in this process that can be told to misbehave."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pyasn1.codec.ber import decoder, encoder
from pysnmp.proto.api import v2c

from tests.integration.running import COMMUNITY, free_port

Oid = tuple[int, ...]
UPTIME: Oid = (1, 3, 6, 1, 2, 1, 1, 3, 0)


def answers(port: int, community: str) -> bool:
    """Whether an agent gives sysUpTime."""
    pdu = v2c.GetNextRequestPDU()
    v2c.apiPDU.set_defaults(pdu)
    v2c.apiPDU.set_varbinds(pdu, [((1, 3, 6), v2c.null)])
    message = v2c.Message()
    v2c.apiMessage.set_defaults(message)
    v2c.apiMessage.set_community(message, community)
    v2c.apiMessage.set_pdu(message, pdu)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.2)
        client.connect(("127.0.0.1", port))
        try:
            client.send(encoder.encode(message))
            return bool(client.recv(65535))
        except OSError:
            return False


@contextmanager
def running(command: list[str], *, port: int, community: str, log: Path, seconds: float = 60.0) -> Iterator[None]:
    """The agent in a process of its own, from when it answers until the block is left."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, "MIBS": ""})
        try:
            deadline = time.monotonic() + seconds
            while not answers(port, community):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"agent does not answer: {log.read_text(errors='replace')[-2000:]}")
                time.sleep(0.05)
            yield
        finally:
            process.kill()
            process.wait()


def snmpsim_command(data: Path, cache: Path, port: int) -> list[str] | None:
    """None where snmpsim is not installed. The recordings are selected by community."""
    responder = Path(sys.executable).parent / "snmpsim-command-responder"
    if not responder.exists():
        return None
    command = [
        str(responder),
        f"--data-dir={data}",
        f"--cache-dir={cache}",
        f"--agent-udpv4-endpoint=127.0.0.1:{port}",
        "--logging-method=null",
    ]
    if os.geteuid() == 0:
        # It refuses to stay root.
        cache.chmod(0o777)
        command += ["--process-user=nobody", "--process-group=nogroup"]
    return command


def snmpd_command(config: Path, state: Path, port: int, *, text: str) -> list[str] | None:
    """None where net-snmp's agent is not installed."""
    snmpd = shutil.which("snmpd") or shutil.which("snmpd", path="/usr/sbin")
    if snmpd is None:
        return None
    config.write_text(f"agentaddress udp:127.0.0.1:{port}\n{text}")
    return [snmpd, "-f", "-Lo", "-C", "-c", str(config), "-I", "-smux", f"--persistentDir={state}", "-m", ""]


class ScriptedAgent(asyncio.DatagramProtocol):
    """An SNMPv2c agent on `mib` (name -> pysnmp value). `script` sees every answer before it goes, and may change it.

    The script gets the number of the request and the answer's octets; it returns the datagrams to send.
    """

    def __init__(self, mib: Mapping[Oid, Any]) -> None:
        self.mib = dict(mib)
        self.requests = 0
        self.asked: list[int] = []
        self.most = 100
        self.script: Callable[[int, bytes], list[bytes]] = lambda _, answer: [answer]
        self.port = 0
        self._transport: Any = None

    @asynccontextmanager
    async def served(self):
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        self._transport = transport
        self.port = transport.get_extra_info("sockname")[1]
        try:
            yield self
        finally:
            transport.close()
            await asyncio.sleep(0)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.requests += 1
        for datagram in self.script(self.requests, self._answer(data)):
            self._transport.sendto(datagram, addr)

    def _answer(self, data: bytes) -> bytes:
        message, _ = decoder.decode(data, asn1Spec=v2c.Message())
        pdu = v2c.apiMessage.get_pdu(message)
        names = [tuple(oid) for oid, _ in v2c.apiPDU.get_varbinds(pdu)]
        self.asked.append(len(names))
        if pdu.tagSet == v2c.GetBulkRequestPDU.tagSet:
            rows = self._bulk(
                names, int(v2c.apiBulkPDU.get_non_repeaters(pdu)), int(v2c.apiBulkPDU.get_max_repetitions(pdu))
            )
        else:
            rows = [(oid, self.mib.get(oid, v2c.NoSuchInstance())) for oid in names]
        reply = v2c.GetResponsePDU()
        v2c.apiPDU.set_defaults(reply)
        v2c.apiPDU.set_request_id(reply, v2c.apiPDU.get_request_id(pdu))
        v2c.apiPDU.set_varbinds(reply, rows)
        v2c.apiMessage.set_pdu(message, reply)
        return encoder.encode(message)

    def _bulk(self, names: list[Oid], once: int, repetitions: int) -> list[tuple[Oid, Any]]:
        order = sorted(self.mib)

        def after(oid: Oid) -> tuple[Oid, Any]:
            found = next((other for other in order if other > oid), None)
            return (oid, v2c.EndOfMibView()) if found is None else (found, self.mib[found])

        rows = [after(oid) for oid in names[:once]]
        cursors = names[once:]
        for _ in range(repetitions):
            row = [after(oid) for oid in cursors]
            rows += row
            cursors = [oid for oid, _ in row]
        return rows[: self.most]


V3 = "createUser teagent SHA-256 authpass123 AES privpass123\nrouser teagent priv\n"


@contextmanager
def agent(directory: Path) -> Iterator[int]:
    """net-snmp on a port of loopback, for v2c and v3."""
    port, state = free_port(), directory / "snmpd"
    state.mkdir()
    others = ",".join(f"udp:127.0.0.{number}:{port}" for number in (2, 3, 4))
    text = f"agentaddress {others}\nrocommunity {COMMUNITY} 127.0.0.0/8\n{V3}"
    command = snmpd_command(directory / "snmpd.conf", state, port, text=text)
    if command is None:
        pytest.skip("net-snmp's snmpd is not installed")
    with running(command, port=port, community=COMMUNITY, log=directory / "snmpd.log"):
        yield port
