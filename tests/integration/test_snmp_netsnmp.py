"""net-snmp's own agent on loopback: every version and level, and every way of not getting in."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from teagent.adapters.clock import SystemClock
from teagent.adapters.snmp.probe import probe
from teagent.adapters.snmp.target import SnmpTarget
from teagent.adapters.snmp.telemetry import SnmpTelemetry
from teagent.errors import SnmpAuthFailed, SnmpTimeout
from tests.integration.snmp_agents import free_port, running, snmpd_command

AUTH_KEY, PRIV_KEY = "correct-hörse", "battery-staple"
# user -> our words for its protocols, net-snmp's words for the same
USERS = {
    "te-none": (None, None, ""),
    "te-md5": ("md5", None, f"MD5 {AUTH_KEY}"),
    "te-sha224": ("sha224", None, f"SHA-224 {AUTH_KEY}"),
    "te-sha1-des": ("sha1", "des", f"SHA {AUTH_KEY} DES {PRIV_KEY}"),
    "te-sha256-aes": ("sha256", "aes128", f"SHA-256 {AUTH_KEY} AES {PRIV_KEY}"),
    "te-sha384-aes192": ("sha384", "aes192", f"SHA-384 {AUTH_KEY} AES-192-C {PRIV_KEY}"),
    "te-sha512-aes256": ("sha512", "aes256", f"SHA-512 {AUTH_KEY} AES-256-C {PRIV_KEY}"),
    "té": ("md5", "des", f"MD5 {AUTH_KEY} DES {PRIV_KEY}"),
    "te-sha1-aes256": ("sha", "aes256", f"SHA {AUTH_KEY} AES-256-C {PRIV_KEY}"),
}
CONFIG = "\n".join(
    [
        "rocommunity public",
        "com2sec narrow default narrow",
        "group narrow v2c narrow",
        "view system included .1.3.6.1.2.1.1",
        'access narrow "" v2c noauth exact system none none',
        *(f"createUser {user} {words}".rstrip() for user, (_, _, words) in USERS.items()),
        *(
            f"rouser {user} {'priv' if priv else 'auth' if auth else 'noauth'}"
            for user, (auth, priv, _) in USERS.items()
        ),
    ]
)


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    base = tmp_path_factory.mktemp("snmpd")
    port = free_port()
    command = snmpd_command(base / "snmpd.conf", base / "state", port, text=CONFIG + "\n")
    if command is None:
        pytest.skip("net-snmp's snmpd is not installed")
    with running(command, port=port, community="public", log=base / "log"):
        yield port


def v3(port: int, user: str, **changes) -> SnmpTarget:
    auth, priv, _ = USERS.get(user, ("sha256", "aes128", ""))
    options = {
        "auth_protocol": auth,
        "auth_key": AUTH_KEY if auth else None,
        "priv_protocol": priv,
        "priv_key": PRIV_KEY if priv else None,
        "timeout_seconds": 5.0,
        "retries": 0,
    }
    return SnmpTarget(address="127.0.0.1", port=port, version="3", user=user, **{**options, **changes})


def v2c(port: int, community: str = "public", **changes) -> SnmpTarget:
    return SnmpTarget(address="127.0.0.1", port=port, community=community, **{"timeout_seconds": 5.0, **changes})


async def read(target: SnmpTarget):
    reader = SnmpTelemetry({"edge1": target}, clock=SystemClock(), interests={"edge1": ["lo"]})
    try:
        return [await reader.read("edge1") for _ in range(2)]
    finally:
        await reader.stop()


def octets_of(interface: str) -> int:
    """What the kernel has counted."""
    return int(Path(f"/sys/class/net/{interface}/statistics/rx_bytes").read_text())


@pytest.mark.asyncio
async def test_v2c_reads_the_kernels_own_counters(agent):
    before = octets_of("lo")
    first, second = await read(v2c(agent))
    lo = next(row for row in first.interfaces if row.if_name == "lo")
    assert (lo.if_descr, lo.if_oper_status) == ("lo", "up")
    # The agent refreshes its counters every few seconds, so they may be a little old but never ahead.
    assert first.counters[lo.if_index].in_octets <= octets_of("lo")
    assert first.counters[lo.if_index].bits == 64
    assert second.counters[lo.if_index].in_octets <= octets_of("lo") >= before
    assert first.sys_name == socket.gethostname()
    assert second.sys_uptime_seconds >= first.sys_uptime_seconds >= 0
    assert second.pdus == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("user", USERS)
async def test_v3_reads_at_every_level_and_with_every_protocol(agent, user):
    first, second = await read(v3(agent, user))
    assert [row.if_name for row in first.interfaces] == [row.if_name for row in second.interfaces]
    assert len(second.counters) == 1
    assert second.pdus == 1


@pytest.mark.asyncio
async def test_wrong_community_looks_like_silence_and_the_hint_says_so(agent):
    with pytest.raises(SnmpTimeout, match=r"gave no SNMP answer within 0\.2s, 2 attempts") as caught:
        await read(v2c(agent, "hush-hush", timeout_seconds=0.2))
    assert "a wrong community looks the same" in caught.value.hint
    assert "hush-hush" not in f"{caught.value}{caught.value.hint}{caught.value.fields}"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("user", "changes", "told", "hint"),
    [
        ("te-nobody", {}, "the agent knows no user te-nobody", "user name"),
        (
            "te-sha256-aes",
            {"auth_key": "wrong-horse"},
            "the agent refuses the authentication of user te-sha256-aes",
            "wrong authentication key, or the protocol is not sha256",
        ),
        (
            "te-sha256-aes",
            {"auth_protocol": "md5"},
            "the agent refuses the authentication of user te-sha256-aes",
            "wrong authentication key, or the protocol is not md5",
        ),
        (
            "te-sha256-aes",
            {"priv_key": "wrong-staple", "timeout_seconds": 2.0},
            "the agent answers, but not what user te-sha256-aes encrypts",
            "wrong privacy key, or the protocol is not aes128",
        ),
        (
            "te-sha256-aes",
            {"priv_protocol": "des", "timeout_seconds": 2.0},
            "the agent answers, but not what user te-sha256-aes encrypts",
            "wrong privacy key, or the protocol is not des",
        ),
        (
            "te-none",
            {"auth_protocol": "sha1", "auth_key": AUTH_KEY},
            "the agent does not offer authNoPriv to user te-none",
            "authentication and privacy",
        ),
        (
            "te-sha256-aes",
            {"priv_protocol": None, "priv_key": None},
            "the agent grants no access to what was asked",
            "view",
        ),
    ],
    ids=["user", "auth-key", "auth-protocol", "priv-key", "priv-protocol", "level-above", "level-below"],
)
async def test_each_refusal_of_version_3_has_its_own_words(agent, user, changes, told, hint):
    with pytest.raises(SnmpAuthFailed, match=told) as caught:
        await read(v3(agent, user, **changes))
    error = caught.value
    assert hint in error.hint
    assert error.message.startswith(f"edge1 (127.0.0.1:{agent}): ")
    for secret in (AUTH_KEY, PRIV_KEY, "wrong-horse", "wrong-staple"):
        assert secret not in f"{error}{error.hint}{error.fields}"


@pytest.mark.asyncio
async def test_community_that_may_not_see_interfaces_is_told_by_the_probe(agent):
    found = await probe(v2c(agent, "narrow"), clock=SystemClock())
    assert found.interfaces == ()
    assert found.sys_name == socket.gethostname()
    assert [oddity.kind for oddity in found.oddities] == ["no_interfaces"]


@pytest.mark.asyncio
async def test_agent_that_restarts_is_read_again(tmp_path):
    """net-snmp that was killed comes back under another engine id."""
    port = free_port()
    command = snmpd_command(tmp_path / "snmpd.conf", tmp_path / "state", port, text=CONFIG + "\n")
    if command is None:
        pytest.skip("net-snmp's snmpd is not installed")
    reader = SnmpTelemetry({"edge1": v3(port, "te-sha256-aes")}, clock=SystemClock(), interests={"edge1": ["lo"]})
    for _ in range(2):
        with running(command, port=port, community="public", log=tmp_path / "log"):
            assert len((await reader.read("edge1")).counters) == 1
    await reader.stop()


@pytest.mark.asyncio
async def test_agent_over_ipv6_is_read(tmp_path):
    port = free_port()
    text = f"agentaddress udp:127.0.0.1:{port},udp6:[::1]:{port}\nrocommunity public\nrocommunity6 public\n"
    command = snmpd_command(tmp_path / "snmpd.conf", tmp_path / "state", port, text=text)
    if command is None:
        pytest.skip("net-snmp's snmpd is not installed")
    (tmp_path / "snmpd.conf").write_text(text)
    with running(command, port=port, community="public", log=tmp_path / "log"):
        found = await probe(
            SnmpTarget(address="::1", port=port, community="public", timeout_seconds=5), clock=SystemClock()
        )
    assert found.address == f"[::1]:{port}"
    assert "lo" in [row.interface.if_name for row in found.interfaces]
