"""Every recording of a real router, served by snmpsim, compared with what its file says."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from teagent.adapters.clock import SystemClock
from teagent.adapters.snmp.probe import Probe, probe
from teagent.adapters.snmp.target import SnmpTarget
from teagent.adapters.snmp.telemetry import SnmpTelemetry
from tests.conftest import ROOT
from tests.integration.snmp_agents import free_port, running, snmpsim_command

pytestmark = pytest.mark.slow

IF_TABLE, IF_X_TABLE = "1.3.6.1.2.1.2.2.1", "1.3.6.1.2.1.31.1.1.1"
COLUMNS = {
    "ifDescr": f"{IF_TABLE}.2",
    "ifType": f"{IF_TABLE}.3",
    "ifSpeed": f"{IF_TABLE}.5",
    "ifOperStatus": f"{IF_TABLE}.8",
    "ifInOctets": f"{IF_TABLE}.10",
    "ifOutOctets": f"{IF_TABLE}.16",
    "ifName": f"{IF_X_TABLE}.1",
    "ifHCInOctets": f"{IF_X_TABLE}.6",
    "ifHCOutOctets": f"{IF_X_TABLE}.10",
    "ifHighSpeed": f"{IF_X_TABLE}.15",
    "ifAlias": f"{IF_X_TABLE}.18",
    "ifCounterDiscontinuityTime": f"{IF_X_TABLE}.19",
}
STATES = ["?", "up", "down", "testing", "unknown", "dormant", "notPresent", "lowerLayerDown"]
DATA = Path(os.environ.get("TEAGENT_DATA", ROOT.parent / "shared" / "data")) / "snmp"
RECORDINGS = sorted(DATA.glob("*.snmprec"))


BUNDLES = [
    ("arista_eos", "Port-Channel1", ["Ethernet43 up", "Ethernet44 up"]),
    ("vrp_ne", "Eth-Trunk1", ["40GE0/3/0 up", "40GE0/3/1 up"]),
    # a subinterface of a bundle, and a unit of one over units of its ports
    ("vrp_ne", "Eth-Trunk1.2", ["40GE0/3/0 up", "40GE0/3/1 up"]),
    ("junos_ex4600mp", "ae0.0", ["et-0/2/0.0 up", "et-1/2/0.0 up"]),
    # of the type propVirtual, with a port that is down and stays listed
    ("iosxe_c3850", "Po26", ["Gi1/0/26 up", "Gi2/0/26 down"]),
    # listed nowhere
    ("junos_ex4600mp", "ae0", []),
    # no bundle
    ("vrp_ne", "40GE0/3/0", []),
]


class Recording:
    """The file, read on its own: column -> ifIndex -> value, and the scalars."""

    def __init__(self, path: Path) -> None:
        self.cells: dict[str, dict[int, int | bytes]] = {name: {} for name in COLUMNS}
        self.scalars: dict[str, int | bytes] = {}
        by_base = {oid: name for name, oid in COLUMNS.items()}
        for row in path.read_bytes().decode("latin-1").split("\n"):
            oid, bar, rest = row.rstrip("\r").partition("|")
            if not bar:
                continue
            kind, _, value = rest.partition("|")
            base, _, index = oid.rpartition(".")
            if base in by_base:
                self.cells[by_base[base]][int(index)] = self._value(kind, value)
            elif oid.startswith("1.3.6.1.2.1.1."):
                self.scalars[oid] = self._value(kind, value)

    @staticmethod
    def _value(kind: str, value: str) -> int | bytes:
        if kind == "4x":
            return bytes.fromhex(value)
        return value.encode("latin-1") if kind == "4" else int(value) if value.lstrip("-").isdigit() else b""

    def indexes(self) -> list[int]:
        return sorted({index for column in self.cells.values() for index in column})


@pytest.fixture(scope="module")
def simulator():
    """One snmpsim for all recordings; the community selects."""
    if not RECORDINGS:
        pytest.skip(f"no recordings at {DATA}: set TEAGENT_DATA")
    # snmpsim gives up root and must still get at its cache, which pytest's own folders do not let it.
    with tempfile.TemporaryDirectory(prefix="teagent-snmpsim-") as folder:
        base = Path(folder)
        base.chmod(0o755)
        (base / "cache").mkdir()
        port = free_port()
        command = snmpsim_command(DATA, base / "cache", port)
        if command is None:
            pytest.skip("snmpsim is not installed")
        with running(command, port=port, community=RECORDINGS[0].stem, log=base / "log"):
            yield port


def target(port: int, path: Path) -> SnmpTarget:
    return SnmpTarget(address="127.0.0.1", port=port, community=path.stem, timeout_seconds=10)


every_recording = pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)


def same_text(shown: str, raw: int | bytes | None) -> bool:
    """Equal for plain text; for the rest the probe has its own rules, tested elsewhere."""
    raw = raw or b""
    assert isinstance(raw, bytes)
    plain = raw.rstrip(b"\0").strip()
    return shown == plain.decode() if plain.isascii() and plain.decode().isprintable() else bool(shown)


def expected_speed(recording: Recording, index: int) -> float | None:
    high, low = recording.cells["ifHighSpeed"].get(index), recording.cells["ifSpeed"].get(index)
    if high:
        return high * 1e6
    return low if low and low != 2**32 - 1 else None


def expected_counters(recording: Recording, index: int) -> tuple[int | None, int | None, int | None]:
    for bits, names in ((64, ("ifHCInOctets", "ifHCOutOctets")), (32, ("ifInOctets", "ifOutOctets"))):
        pair = [recording.cells[name].get(index) for name in names]
        if None not in pair:
            return bits, *pair
    return None, None, None


@every_recording
@pytest.mark.asyncio
async def test_probe_says_what_the_recording_says(simulator, path):
    recording = Recording(path)
    found = await probe(target(simulator, path), clock=SystemClock())
    assert [row.interface.if_index for row in found.interfaces] == recording.indexes()
    for row in found.interfaces:
        interface, index = row.interface, row.interface.if_index
        assert same_text(interface.if_name, recording.cells["ifName"].get(index)), index
        assert same_text(interface.if_descr, recording.cells["ifDescr"].get(index)), index
        assert same_text(interface.if_alias, recording.cells["ifAlias"].get(index)), index
        assert interface.if_oper_status == STATES[recording.cells["ifOperStatus"].get(index, 4)]
        assert interface.if_high_speed_bps == expected_speed(recording, index)
        counters = row.counters
        got = (None,) * 3 if counters is None else (counters.bits, counters.in_octets, counters.out_octets)
        assert got == expected_counters(recording, index)
        assert row.discontinuity == (index in recording.cells["ifCounterDiscontinuityTime"])
    assert_system(found, recording)
    assert_oddities(found, recording)


def assert_system(found: Probe, recording: Recording) -> None:
    uptime = recording.scalars.get("1.3.6.1.2.1.1.3.0")
    assert (found.sys_uptime_seconds is None) == (uptime is None)
    if uptime is not None:
        # snmpsim answers with the recorded time, or with one that runs on from it.
        assert found.sys_uptime_seconds >= uptime / 100
    descr = recording.scalars["1.3.6.1.2.1.1.1.0"]
    assert found.sys_descr.split() == descr.decode("latin-1").replace("\0", "").split()
    assert same_text(found.sys_name, recording.scalars.get("1.3.6.1.2.1.1.5.0"))


def assert_oddities(found: Probe, recording: Recording) -> None:
    by_kind: dict[str, list[int | None]] = {}
    for oddity in found.oddities:
        by_kind.setdefault(oddity.kind, []).append(oddity.if_index)
    indexes = recording.indexes()
    widths = {index: expected_counters(recording, index)[0] for index in indexes}
    names = [name for name in recording.cells["ifName"].values() if name]
    up = [index for index in indexes if recording.cells["ifOperStatus"].get(index) == 1]
    assert by_kind.get("counters_32_bit", []) == [i for i in indexes if widths[i] == 32]
    assert by_kind.get("no_counters", []) == [i for i in indexes if widths[i] is None]
    assert by_kind.get("no_speed", []) == [i for i in up if expected_speed(recording, i) is None]
    assert by_kind.get("duplicate_name", []) == [
        i for i in indexes if names.count(recording.cells["ifName"].get(i)) > 1
    ]
    assert by_kind.get("no_name", []) == [i for i in indexes if not recording.cells["ifName"].get(i)]
    assert ("no_uptime" in by_kind) == ("1.3.6.1.2.1.1.3.0" not in recording.scalars)
    assert "truncated" in by_kind  # snmpsim answers at most 64 repeated variables
    assert not by_kind.keys() & {"not_increasing", "endless", "agent_error", "too_big", "large_answers_lost"}


@every_recording
@pytest.mark.asyncio
async def test_steady_poll_of_a_recording_agrees_with_the_full_look(simulator, path):
    """By whatever an interface is called, the second poll is small and finds the same."""
    recording = Recording(path)
    counted = [index for index in recording.indexes() if expected_counters(recording, index)[0] is not None]
    wanted = counted[:1] + counted[-1:]
    reader = SnmpTelemetry(
        {"edge1": target(simulator, path)},
        clock=SystemClock(),
        interests={"edge1": [f"ifIndex:{index}" for index in wanted]},
    )
    first = await reader.read("edge1")
    second = await reader.read("edge1")
    await reader.stop()
    assert sorted(first.counters) == sorted(second.counters) == sorted(set(wanted))
    for index in wanted:
        sample = second.counters[index]
        assert (sample.bits, sample.in_octets, sample.out_octets) == expected_counters(recording, index)
    assert second.interfaces == first.interfaces
    assert second.pdus == 1


@pytest.fixture(scope="module")
def probes() -> dict[str, Probe]:
    """By recording, as far as tests have probed them."""
    return {}


@pytest.mark.parametrize(("recording", "interface", "members"), BUNDLES)
@pytest.mark.asyncio
async def test_members_of_bundles_are_told_as_each_vendor_lists_them(simulator, probes, recording, interface, members):
    """By the probe, which walks the table, and by a poll, which asks for one interface."""
    path = DATA / f"{recording}.snmprec"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    if recording not in probes:
        probes[recording] = await probe(target(simulator, path), clock=SystemClock())
    reader = SnmpTelemetry({"edge1": target(simulator, path)}, clock=SystemClock(), interests={"edge1": [interface]})
    reading = await reader.read("edge1")
    await reader.stop()
    for rows in ([row.interface for row in probes[recording].interfaces], reading.interfaces):
        (row,) = (row for row in rows if row.if_name == interface)
        assert [f"{member.if_name} {member.state}" for member in row.members] == members
