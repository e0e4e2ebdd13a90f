"""Power cuts at every write: never an override on the wire that neither the journal nor the store has on record.

What had been synced is there after the cut; of what was being written any part may be, and so may junk behind it. Each
moment at which an announcement goes out is a cut, and so is each byte of what is written after it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import random
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from teagent.adapters.store import SqliteStore
from teagent.engine.lifecycle import advance, begin_apply
from teagent.model.proposal import ON_WIRE, ProposalEvent
from teagent.relay import journal as journal_module
from teagent.relay.journal import Journal
from teagent.relay.protocol import Announce, Confirm, Override, Signal, WithdrawRequest
from teagent.relay.refusal import Refusal
from teagent.relay.relay import Relay
from tests.fakes.proposals import NOW, example_proposal
from tests.faults.figure import Figure, Options
from tests.unit.relay.conftest import ALLOW
from tests.unit.relay.exabgp_double import ExabgpDouble
from tests.unit.relay.setting import StillClock

REQUESTS = 150
COMPACT_AFTER_BYTES = 2000
"""So that the journal is written anew every few requests, which takes a quarter of a megabyte otherwise."""

PROPOSALS = 40
TAILS = 24
"""Cuts within the write-ahead log behind each announcement; within the journal there is one at every byte."""

NEIGHBORS = ("192.0.2.65", "192.0.2.73")
PREFIXES = ("198.51.100.0/24", "2001:db8:100::/44")


def run(options: Options) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="te-") as name:
        directory = Path(name)
        requests = options.count(REQUESTS, least=20)
        cuts, lost, rewritten = asyncio.run(_journal(directory, random.Random(options.seed), requests))
        yield Figure(what="cuts of the journal", value=cuts)
        yield Figure(what="times that it was written anew meanwhile", value=rewritten)
        yield Figure(what="overrides on the wire without a record in it", value=lost, limit=0)
        cuts, lost, broken = asyncio.run(_store(directory, options.count(PROPOSALS, least=4)))
        yield Figure(what="cuts of the store", value=cuts)
        yield Figure(what="overrides on the wire without a row in it", value=lost, limit=0)
        yield Figure(what="stores that do not open after a cut", value=broken, limit=0)


@dataclass
class _Tape:
    """The journal's file at each announcement, and the part of it that had been synced by then.

    Where it was written anew, and its directory not synced since, a cut brings back the file before: `linked` is the
    one that a cut leaves, and what is in it.
    """

    path: Path
    synced: int = 0
    linked: tuple[int, bytes] = (0, b"")
    rewritten: int = 0
    moments: list[tuple[str, bytes, int]] = field(default_factory=list)

    def synchronised(self, fd: int) -> None:
        found, file = os.fstat(fd), self.path.stat()
        if stat.S_ISDIR(found.st_mode):
            self.rewritten += self.linked[0] not in {0, file.st_ino}
            self.linked = (file.st_ino, self.path.read_bytes())
        elif os.path.samestat(found, file):
            self.synced = found.st_size
            if file.st_ino == self.linked[0]:
                self.linked = (file.st_ino, self.path.read_bytes())

    def announced(self, command: str) -> None:
        if " announce route " in command:
            inode, content = self.linked
            if self.path.stat().st_ino == inode:
                content = self.path.read_bytes()
            self.moments.append((command, content, min(self.synced, len(content))))


async def _journal(directory: Path, rng: random.Random, requests: int) -> tuple[int, int, int]:
    """Cuts, overrides that were lost by them, and how often the file was written anew."""
    tape = _Tape(directory / "journal")
    real_sync = os.fsync

    def sync(fd: int) -> None:
        real_sync(fd)
        tape.synchronised(fd)

    as_shipped = journal_module.COMPACT_AFTER_BYTES
    os.fsync, journal_module.COMPACT_AFTER_BYTES = sync, COMPACT_AFTER_BYTES
    try:
        await _drive(directory, tape, rng, requests)
    finally:
        os.fsync, journal_module.COMPACT_AFTER_BYTES = real_sync, as_shipped
    return (*_cut_everywhere(tape), tape.rewritten)


def _cut_everywhere(tape: _Tape) -> tuple[int, int]:
    cuts = lost = 0
    after = [content for _, content, _ in tape.moments[1:]] + [tape.path.read_bytes()]
    for (command, content, synced), later in zip(tape.moments, after, strict=True):
        prefix = command.split()[4]
        # What was synced survives; behind it any part of what is written next, torn or overwritten.
        grows = later if later.startswith(content) else content
        for end in range(synced, len(grows) + 1):
            # Once its withdrawal is on record it is no longer wanted, and what is still there is taken away.
            leaving = f'"op":"remove","prefix":"{prefix}"'.encode() in grows[len(content) : end]
            for tail in (b"", b"\0" * 16):
                cuts += 1
                lost += not leaving and prefix not in _on_record(tape.path, grows[:end] + tail)
    return cuts, lost


def _on_record(path: Path, content: bytes) -> set[str]:
    """What `Journal.open` finds in a file of this content; that it reads a torn file so is a test of its own."""
    journal = Journal(path)
    journal._replay(content[: content.rfind(b"\n") + 1])
    return {str(prefix) for prefix in journal.entries}


async def _drive(directory: Path, tape: _Tape, rng: random.Random, requests: int) -> None:
    allow = directory / "allow.json"
    allow.write_text(json.dumps({**ALLOW, "changes_per_minute": 1e9, "burst": 1_000_000}))
    exabgp, clock = ExabgpDouble(*NEIGHBORS), StillClock()
    exabgp.on_command = tape.announced
    relay = Relay(
        allow_path=allow,
        allow_owners=frozenset({0, os.getuid()}),
        journal=Journal(tape.path),
        pipe=exabgp.pipe,
        clock=clock,
        tell=lambda _event, **_fields: None,
        log=lambda _line: None,
    )
    running = asyncio.ensure_future(relay.run())
    for _ in range(400):
        await asyncio.sleep(0)
    for _ in range(requests):
        clock.advance(rng.choice([0, 1, 30]))
        prefix = ipaddress.ip_network(rng.choice(PREFIXES))
        signals = tuple(Signal(link_id=link, prepend=rng.randint(0, 3)) for link in (1, 2))
        try:
            match rng.randrange(5):
                case 0:
                    await relay.withdraw(WithdrawRequest(prefix=prefix, owner="p-1"))
                case 1:
                    relay.confirm(Confirm(prefix=prefix, owner="p-1"))
                case _:
                    deadline = rng.choice([None, clock.wall() + 40])
                    override = Override(prefix=prefix, signals=signals)
                    await relay.announce(Announce(override=override, owner="p-1", deadline=deadline))
        except Refusal:
            continue
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    relay.journal.close()


async def _store(directory: Path, proposals: int) -> tuple[int, int, int]:
    path = directory / "teagent.db"
    store = SqliteStore(path)
    await store.start()
    moments: list[tuple[str, dict[str, bytes]]] = []
    for number in range(proposals):
        proposal = example_proposal(f"p-{number:04x}")
        await store.add_proposal(proposal)
        approved = advance(proposal, ProposalEvent.APPROVE, actor="kim", now=NOW)
        applying = begin_apply(approved, actor="kim", now=NOW, confirm_window_seconds=60)
        await store.save_proposals(applying)
        # Here the announcement goes out.
        moments.append((proposal.id, _files(path)))
        await store.save_proposals(advance(applying, ProposalEvent.ACKED, actor="daemon", now=NOW))
    moments.append(("", _files(path)))
    await store.stop()
    cuts = lost = broken = 0
    for (proposal_id, files), (_, later) in pairwise(moments):
        for cut in _cuts(files, later):
            cuts += 1
            state = _state(directory / "cut", cut, path.name, proposal_id)
            broken += state is None
            lost += state is not None and state not in {each.value for each in ON_WIRE}
    return cuts, lost, broken


def _files(path: Path) -> dict[str, bytes]:
    return {
        file.name: file.read_bytes() for file in path.parent.glob(f"{path.name}*") if not file.name.endswith(".lock")
    }


def _cuts(files: dict[str, bytes], later: dict[str, bytes]) -> Iterator[dict[str, bytes]]:
    """What may be on the disk after a cut: the files as they were, and any part of the next writes to the log."""
    wal = next(name for name in files if name.endswith("-wal"))
    kept = {name: content for name, content in files.items() if not name.endswith("-shm")}
    yield kept
    before, behind = files[wal], later.get(wal, b"")
    if not behind.startswith(before):
        return
    step = max(1, (len(behind) - len(before)) // TAILS)
    for end in range(len(before), len(behind) + 1, step):
        yield {**kept, wal: behind[:end]}
        yield {**kept, wal: behind[:end] + b"\xa5" * 64}


def _state(place: Path, files: dict[str, bytes], database: str, proposal_id: str) -> str | None:
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for name, content in files.items():
        (place / name).write_bytes(content)
    try:
        with closing(sqlite3.connect(place / database)) as connection:
            if connection.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                return None
            row = connection.execute("SELECT state FROM proposal WHERE id = ?", (proposal_id,)).fetchone()
    except sqlite3.Error:
        return None
    return "absent" if row is None else str(row[0])
