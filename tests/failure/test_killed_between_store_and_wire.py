"""kill -9 at every step between the store and the wire, of a real process with a real SQLite file.

The relay, which outlives it, is a directory: a file for each override that it holds, which is what survives the daemon.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from teagent.adapters.store import SqliteStore
from teagent.model.announcement import HeldOverride, Override
from teagent.model.bgp import Prefix
from tests.fakes.clock import FakeClock
from tests.fakes.speaker import FakeSpeaker
from tests.unit.service.world import HEAVY, OTHER, M, World

pytestmark = pytest.mark.asyncio
ROOT = Path(__file__).resolve().parents[2]
START = datetime(2026, 1, 12, 19, 40, tzinfo=UTC)
BOTH = {HEAVY: {"a": 1, "b": 0}, OTHER: {"a": 2, "b": 0}}

SCRIPT = """
import asyncio, sys
from pathlib import Path
from tests.failure.test_killed_between_store_and_wire import live
asyncio.run(live(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
"""


class OutlivingSpeaker(FakeSpeaker):
    """Holds its overrides on disk. `die_at` names the call, and whether it dies before or after it has gone out."""

    def __init__(self, directory: Path, die_at: str = "") -> None:
        super().__init__()
        self._directory = directory
        self._die_at = die_at
        directory.mkdir(exist_ok=True)
        for file in directory.iterdir():
            row = json.loads(file.read_text())
            prefix = ip_network(row["prefix"])
            self.held[prefix] = HeldOverride(
                override=Override.of(prefix, row["vector"]), owner=row["owner"], deadline=None, acknowledged=True
            )

    def _die(self, moment: str) -> None:
        if moment == self._die_at:
            signal.raise_signal(signal.SIGKILL)

    def _keep(self, prefix: Prefix) -> None:
        place = self._directory / str(prefix).replace("/", "-")
        held = self.held.get(prefix)
        if held is None:
            place.unlink(missing_ok=True)
        else:
            row = {"prefix": str(prefix), "vector": held.override.vector(), "owner": held.owner}
            place.write_text(json.dumps(row))

    async def announce(self, override: Override, *, owner: str, deadline: datetime | None) -> None:
        self._die(f"before announce {override.prefix}")
        await super().announce(override, owner=owner, deadline=deadline)
        self._keep(override.prefix)
        self._die(f"after announce {override.prefix}")

    async def withdraw(self, prefix: Prefix, *, owner: str) -> None:
        self._die(f"before withdraw {prefix}")
        await super().withdraw(prefix, owner=owner)
        self._keep(prefix)
        self._die(f"after withdraw {prefix}")

    async def confirm(self, prefix: Prefix, *, owner: str) -> None:
        await super().confirm(prefix, owner=owner)
        self._die(f"after confirm {prefix}")


@asynccontextmanager
async def daemon(directory: Path, *, die_at: str = "", seconds: float = 0) -> AsyncIterator[World]:
    """A life of the daemon that begins as a real one does."""
    store = SqliteStore(directory / "teagent.db")
    await store.start()
    try:
        world = World(
            FakeClock(START + timedelta(seconds=seconds)),
            store=store,  # type: ignore[arg-type]
            speaker=OutlivingSpeaker(directory / "relay", die_at),
        )
        world.telemetry.rates["edge1"]["eth1"] = 40 * M
        await world.book.load()
        await world.freeze.load()
        await world.settle()
        yield world
    finally:
        await store.stop()


async def live(directory: Path, die_at: str, what: str) -> None:
    """The life that is cut short."""
    async with daemon(directory, die_at=die_at) as world:
        proposal = await world.propose(BOTH)
        await world.approver.approve(proposal.id, digest=None, actor="kim")
        if what in {"confirm", "revert"}:
            await world.approver.confirm(proposal.id, actor="kim")
        if what == "revert":
            await world.approver.revert(proposal.id, actor="kim", reason="enough")


def killed(directory: Path, die_at: str, what: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(directory), die_at, what],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.parametrize(
    "die_at",
    [f"before announce {HEAVY}", f"after announce {HEAVY}", f"before announce {OTHER}", f"after announce {OTHER}"],
)
async def test_what_was_being_applied_goes_home_when_the_daemon_is_back(tmp_path: Path, die_at: str) -> None:
    killed(tmp_path, die_at, "apply")
    on_wire = {place.name for place in (tmp_path / "relay").iterdir()}
    async with daemon(tmp_path, seconds=5) as world:
        [proposal] = world.book.all()
        assert proposal.state.value == "reverted"
        assert "applying" in [entry.to_state.value for entry in proposal.history]
        assert world.on_wire() == {}
        assert list((tmp_path / "relay").iterdir()) == []
        history, log = await world.store.verify_chain()
        assert (history.broken_at, log.broken_at) == (None, None)
    assert len(on_wire) == {f"before announce {HEAVY}": 0, f"after announce {OTHER}": 2}.get(die_at, 1)


async def test_killed_with_a_change_confirmed_at_the_relay_and_not_in_the_store_it_is_no_confirmation(
    tmp_path: Path,
) -> None:
    killed(tmp_path, f"after confirm {OTHER}", "confirm")
    async with daemon(tmp_path, seconds=5) as world:
        [proposal] = world.book.all()
        assert proposal.state.value == "confirming"
        await world.run(310)
        assert world.state(proposal) == "reverted"
        assert world.on_wire() == {}


@pytest.mark.parametrize("die_at", [f"before withdraw {HEAVY}", f"after withdraw {HEAVY}", f"after withdraw {OTHER}"])
async def test_a_revert_that_was_cut_short_is_carried_through(tmp_path: Path, die_at: str) -> None:
    killed(tmp_path, die_at, "revert")
    async with daemon(tmp_path, seconds=5) as world:
        [proposal] = world.book.all()
        assert proposal.state.value == "reverted"
        assert world.on_wire() == {}
