"""The file is missing, not ours, damaged, held, locked, or the disk is full: each says so, and nothing is half done."""

# ruff: noqa: ASYNC240  # these tests have nothing else to do while they look at files and processes

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from teagent.adapters.store import SqliteStore
from teagent.engine.lifecycle import advance
from teagent.errors import DiskFull, SchemaTooNew, StoreCorrupt, StoreError
from teagent.model.link import Utilisation
from teagent.model.proposal import ProposalEvent, ProposalState
from tests.contract.store.stored import scorecard
from tests.fakes.proposals import NOW, example_proposal

pytestmark = pytest.mark.asyncio
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "teagent.db"


@pytest_asyncio.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(path, busy_timeout_seconds=0.05)
    await made.start()
    yield made
    await made.stop()


def many(count: int) -> list[Utilisation]:
    return [
        Utilisation(link="transit-a", at=NOW + timedelta(seconds=n), in_bps=n, out_bps=0, seconds=1)
        for n in range(count)
    ]


@contextmanager
def edited(path: Path) -> Iterator[sqlite3.Connection]:
    """The closed store, open to someone who is not teagent."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def run_script(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )


# --- the place ------------------------------------------------------------------------------------------------------


async def test_constructing_a_store_touches_nothing(path: Path) -> None:
    SqliteStore(path)
    assert list(path.parent.iterdir()) == []


async def test_a_store_is_not_for_everyone_to_read(store: SqliteStore, path: Path) -> None:
    await store.set_fact("frozen", value=True)
    modes = {place.name: place.stat().st_mode & 0o007 for place in path.parent.iterdir()}
    assert set(modes) == {"teagent.db", "teagent.db-wal", "teagent.db-shm", "teagent.db.lock"}
    assert set(modes.values()) == {0}


async def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "absent" / "teagent.db")
    with pytest.raises(StoreError, match=r"absent/teagent.db cannot be opened for writing: no such file") as caught:
        await store.start()
    assert caught.value.hint is not None
    assert "directory must exist" in caught.value.hint


async def test_a_file_where_the_directory_should_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be opened for writing: not a directory"):
        await SqliteStore(tmp_path / "file" / "teagent.db").start()


async def test_a_directory_where_the_file_should_be_is_named(path: Path) -> None:
    path.mkdir()
    with pytest.raises(StoreError, match="cannot be opened for writing: unable to open"):
        await SqliteStore(path).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to become somebody else")
async def test_a_directory_that_is_not_ours_is_named(path: Path) -> None:
    os.seteuid(65534)
    try:
        with pytest.raises(StoreError, match="cannot be opened for writing: permission denied"):
            await SqliteStore(path).start()
    finally:
        os.seteuid(0)


async def test_a_start_that_failed_leaves_nothing_open(path: Path) -> None:
    path.write_bytes(b"not a database" * 100)
    store = SqliteStore(path)
    with pytest.raises(StoreCorrupt):
        await store.start()
    path.unlink()
    await store.start()
    await store.set_fact("frozen", value=True)
    await store.stop()


# --- whose it is ----------------------------------------------------------------------------------------------------


async def test_a_second_teagent_on_the_same_store_is_refused_with_the_pid_of_the_first(
    store: SqliteStore, path: Path
) -> None:
    second = SqliteStore(path)
    with pytest.raises(StoreError, match=rf"another teagent holds it \(pid {os.getpid()}\)"):
        await second.start()
    await store.stop()
    await second.start()
    await second.stop()


async def test_the_store_of_a_killed_teagent_is_free(path: Path) -> None:
    holder = run_script(
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from teagent.adapters.store import SqliteStore\n"
        "asyncio.run(SqliteStore(Path(sys.argv[1])).start())\n"
        "print('held', flush=True)\n"
        "sys.stdin.read()\n",
        path,
    )
    with holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        store = SqliteStore(path)
        with pytest.raises(StoreError, match=rf"another teagent holds it \(pid {holder.pid}\)"):
            await store.start()
        holder.kill()
        holder.wait(timeout=20)
    await store.start()
    await store.stop()


async def test_a_process_that_forgets_to_stop_its_store_can_end(path: Path) -> None:
    process = run_script(
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from teagent.adapters.store import SqliteStore\n"
        "asyncio.run(SqliteStore(Path(sys.argv[1])).start())\n",
        path,
    )
    with process:
        assert process.wait(timeout=30) == 0


async def test_a_database_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    with edited(path) as other:
        other.execute("CREATE TABLE theirs (x)")
    with pytest.raises(StoreError, match="is a database of another program"):
        await SqliteStore(path).start()
    with edited(path) as other:
        assert other.execute("SELECT name FROM sqlite_schema").fetchall() == [("theirs",)]


async def test_a_store_of_a_newer_teagent_is_refused(store: SqliteStore, path: Path) -> None:
    await store.stop()
    with edited(path) as newer:
        newer.execute("PRAGMA user_version = 99")
    with pytest.raises(SchemaTooNew, match="the store has schema 99, this teagent knows up to"):
        await store.start()


# --- damage ---------------------------------------------------------------------------------------------------------


async def test_a_file_that_is_no_database_is_corrupt_with_a_hint(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(8192))
    with pytest.raises(StoreCorrupt, match="is damaged: file is not a database") as caught:
        await SqliteStore(path).start()
    assert caught.value.hint is not None
    assert "restore a backup" in caught.value.hint


async def test_a_damaged_page_is_corrupt_when_it_is_read(store: SqliteStore, path: Path) -> None:
    await store.add_utilisation(many(5000))
    await store.stop()
    content = bytearray(path.read_bytes())
    content[8 * 4096 :] = b"\xff" * (len(content) - 8 * 4096)
    path.write_bytes(content)
    with pytest.raises(StoreCorrupt, match="is damaged"):  # noqa: PT012  # which of the two meets it does not matter
        await store.start()
        await store.utilisation(since=NOW - timedelta(days=1), until=NOW + timedelta(days=1))


@pytest.mark.parametrize("document", ["{", "[]", '{"id":"p-7f3c"}'])
async def test_a_document_that_is_no_proposal_is_corrupt(store: SqliteStore, path: Path, document: str) -> None:
    await store.add_proposal(example_proposal())
    await store.stop()
    with edited(path) as editor:
        editor.execute("DROP TRIGGER proposal_plan_is_fixed")
        editor.execute("UPDATE proposal SET document = ?", (document,))
    await store.start()
    with pytest.raises(StoreCorrupt):
        await store.proposal("p-7f3c")
    await store.set_fact("the rest", "goes on")
    assert await store.fact("the rest") == "goes on"


async def test_text_that_cannot_be_stored_is_an_error_of_the_store(store: SqliteStore) -> None:
    with pytest.raises(StoreError):
        await store.set_fact("\ud800", 1)
    assert await store.fact("frozen") is None


# --- locks and full disks -------------------------------------------------------------------------------------------


async def test_a_lock_that_another_program_keeps_is_waited_for_and_then_an_error(
    store: SqliteStore, path: Path
) -> None:
    with edited(path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"is locked by another program for more than 0\.05 s"):
            await store.set_fact("frozen", value=True)
        assert await store.fact("frozen") is None  # reading goes on meanwhile
        other.execute("ROLLBACK")
    await store.set_fact("frozen", value=True)
    assert await store.fact("frozen") is True


async def test_a_file_that_cannot_grow_is_a_full_disk_and_goes_on_when_there_is_room(store: SqliteStore) -> None:
    def limit(pages: int) -> object:
        return store._database.write(lambda c: c.execute(f"PRAGMA max_page_count = {pages}").fetchone())

    proposal = example_proposal()
    await store.add_proposal(proposal)
    await limit(1)  # which SQLite raises to the present size
    with pytest.raises(DiskFull, match="cannot grow") as caught:
        await store.add_utilisation(many(5000))
    assert caught.value.hint is not None
    assert await store.utilisation(since=NOW - timedelta(days=1), until=NOW + timedelta(days=1)) == []
    assert await store.proposal("p-7f3c") == proposal
    await limit(10**6)
    await store.add_utilisation(many(5000))
    assert len(await store.utilisation(since=NOW - timedelta(days=1), until=NOW + timedelta(days=1))) == 5000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 600 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(disk)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"mounting takes root, and here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


async def test_a_disk_that_is_really_full_loses_nothing_that_was_committed(small_disk: Path) -> None:
    store = SqliteStore(small_disk / "teagent.db")
    try:
        await store.start()
        committed = await _fill(store)
        assert committed > 10
        with pytest.raises(DiskFull):
            await store.add_proposal(example_proposal("p-ffff"))
        assert len(await store.proposals(limit=10_000)) == committed
        history, _ = await store.verify_chain()
        assert (history.rows, history.broken_at) == (committed, None)
        await store.stop()
        await store.start()
        assert len(await store.proposals(limit=10_000)) == committed
    finally:
        await store.stop()


@pytest.mark.parametrize("free_kilobytes", [0, 8, 24, 64])
async def test_a_store_does_not_start_on_a_disk_without_room(small_disk: Path, free_kilobytes: int) -> None:
    (small_disk / "others").write_bytes(bytes((600 - free_kilobytes) * 1024))
    store = SqliteStore(small_disk / "teagent.db")
    with pytest.raises(DiskFull, match="cannot grow"):
        await store.start()
    (small_disk / "others").unlink()
    await store.start()
    await store.stop()


async def _fill(store: SqliteStore) -> int:
    for number in range(10_000):
        try:
            await store.add_proposal(example_proposal(f"p-{number:04x}"))
        except DiskFull:
            return number
    raise AssertionError("10,000 proposals fit on the small disk")


# --- kill -9, cancellation ------------------------------------------------------------------------------------------

WRITER = """
import asyncio, sys
from pathlib import Path
from teagent.adapters.store import SqliteStore
from teagent.engine.lifecycle import advance
from teagent.model.proposal import ProposalEvent
from tests.fakes.proposals import NOW, example_proposal

async def main():
    store = SqliteStore(Path(sys.argv[1]))
    await store.start()
    for number in range(100_000):
        pending = example_proposal(f"p-{number:04x}")
        await store.add_proposal(pending)
        print(pending.id, "pending", flush=True)
        await store.save_proposals(advance(pending, ProposalEvent.APPROVE, actor="alice", now=NOW))
        print(pending.id, "approved", flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("lines", [1, 8, 33])
async def test_what_was_committed_is_there_after_kill_9_in_the_middle_of_writing(path: Path, lines: int) -> None:
    writer = run_script(WRITER, path)
    told: dict[str, str] = {}
    with writer:
        assert writer.stdout is not None
        for _ in range(lines):
            proposal, state = writer.stdout.readline().split()
            told[proposal] = state
        os.kill(writer.pid, signal.SIGKILL)
        for line in writer.stdout:  # what it said before it died
            if len(words := line.split()) == 2 and line.endswith("\n"):
                told[words[0]] = words[1]
        writer.wait(timeout=20)
    store = SqliteStore(path)
    await store.start()
    found = {proposal.id: proposal for proposal in await store.proposals(limit=100_000)}
    for name, state in told.items():
        assert found[name].state.value in {state, ProposalState.APPROVED.value}
    assert len(found) - len(told) in {0, 1}  # the last may be committed and not yet told
    assert all(proposal.history[-1].to_state is proposal.state for proposal in found.values())
    history, _ = await store.verify_chain()
    assert history.broken_at is None
    assert history.rows == sum(len(proposal.history) for proposal in found.values())
    await store.stop()
    with edited(path) as reader:
        assert reader.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def test_a_write_whose_caller_is_cancelled_is_whole_or_absent(store: SqliteStore) -> None:
    pending = example_proposal()
    await store.add_proposal(pending)
    approved = advance(pending, ProposalEvent.APPROVE, actor="alice", now=NOW)
    for _ in range(20):
        saving = asyncio.ensure_future(store.save_proposals(approved))
        await asyncio.sleep(0)
        saving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await saving
    assert await store.proposal("p-7f3c") in {pending, approved}
    assert (await store.verify_chain())[0].broken_at is None


async def test_work_that_was_handed_in_before_the_stop_is_done(path: Path) -> None:
    store = SqliteStore(path)
    await store.start()
    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(store.set_fact(str(number), number))
        group.create_task(_stop_soon(store))
    await store.start()
    assert [await store.fact(str(number)) for number in range(20)] == list(range(20))
    await store.stop()


async def _stop_soon(store: SqliteStore) -> None:
    await store.stop()


async def test_a_copy_of_the_file_is_a_store(store: SqliteStore, path: Path, tmp_path: Path) -> None:
    await store.add_proposal(example_proposal())
    await store.stop()
    shutil.copy(path, tmp_path / "restored.db")
    restored = SqliteStore(tmp_path / "restored.db")
    await restored.start()
    assert await restored.proposal("p-7f3c") == example_proposal()
    await restored.stop()


async def test_a_scorecard_that_cannot_be_read_is_left_out(store: SqliteStore, path: Path) -> None:
    for second in (300, 600):
        await store.add_scorecard(scorecard(second))
    await store.stop()
    with edited(path) as connection:
        connection.execute('UPDATE scorecard SET document = \'{"of": "a newer version"}\' WHERE position = 1')
    await store.start()
    assert await store.scorecards(since=NOW - timedelta(days=400)) == [scorecard(600)]
