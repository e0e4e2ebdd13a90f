"""The journal: what is on record survives crashes, torn lines and full disks."""

from __future__ import annotations

import errno
import ipaddress
import os
from dataclasses import replace

import pytest

from teagent.relay import journal as journal_module
from teagent.relay.journal import Entry, Journal, JournalError
from teagent.relay.moments import Deadline
from teagent.relay.protocol import Override, Signal


def entry(third: int, *, owner: str = "p-1", deadline: Deadline | None = None, before: str | None = None) -> Entry:
    prefix = ipaddress.ip_network(f"198.51.{third}.0/24")
    override = Override(prefix=prefix, signals=(Signal(link_id=1, prepend=2), Signal(link_id=2, prepend=None)))
    earlier = None if before is None else (replace(override, signals=(Signal(link_id=1, prepend=0),)), before)
    return Entry(override=override, owner=owner, accepted_at=1.5, deadline=deadline, before=earlier)


def opened(path) -> Journal:
    journal = Journal(path)
    journal.open()
    return journal


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal"


@pytest.fixture
def journal(path):
    journal = opened(path)
    yield journal
    journal.close()


def reread(path) -> Journal:
    again = opened(path)
    again.close()
    return again


def test_what_was_put_and_not_removed_is_there_after_a_crash(journal, path, still):
    kept = entry(1, deadline=Deadline.at(still.wall() + 600, still), before="p-0")
    journal.put(kept)
    journal.put(entry(2))
    journal.put(entry(3))
    journal.put(entry(3, owner="p-2"))
    journal.remove(entry(2).override.prefix)
    journal.freeze(frozen=True)
    again = reread(path)
    assert list(again.entries.values()) == [kept, entry(3, owner="p-2")]
    assert again.frozen
    assert again.damaged_lines == 0


def test_a_journal_cut_at_any_byte_holds_a_prefix_of_what_was_written(journal, path):
    prefix = entry(1).override.prefix
    states = [{}]
    for step in (lambda: journal.put(entry(1)), lambda: journal.put(entry(2)), lambda: journal.remove(prefix)):
        step()
        states.append(dict(journal.entries))
    raw = path.read_bytes()
    for cut in range(len(raw) + 1):
        path.write_bytes(raw[:cut])
        again = reread(path)
        assert again.entries == states[raw[:cut].count(b"\n")]
        assert again.damaged_lines == 0


def test_what_is_appended_after_a_torn_line_is_read_back(journal, path):
    journal.put(entry(1))
    path.write_bytes(path.read_bytes() + b'1234abcd {"op":"put","pre')
    again = opened(path)
    again.put(entry(2))
    again.close()
    assert list(reread(path).entries.values()) == [entry(1), entry(2)]


def test_a_damaged_line_costs_that_line_only_and_is_counted(journal, path):
    for third in (1, 2, 3):
        journal.put(entry(third))
    lines = path.read_bytes().split(b"\n")
    lines[1] = lines[1].replace(b"p-1", b"p-9")
    path.write_bytes(b"\n".join(lines))
    again = opened(path)
    assert list(again.entries.values()) == [entry(1), entry(3)]
    assert again.damaged_lines == 1
    again.close()


@pytest.mark.parametrize("raw", [b"\n\n\n", b"\x00" * 100 + b"\n", b"00000000 {}\n", b"zzzzzzzz {}\n", b"[]\n"])
def test_junk_in_the_file_is_no_entry_and_no_crash(path, raw):
    path.write_bytes(raw)
    again = reread(path)
    assert again.entries == {}
    assert again.damaged_lines > 0


def test_a_write_that_fails_changes_nothing_and_leaves_no_trace(journal, path, monkeypatch):
    journal.put(entry(1))
    real = os.write

    def half(fd: int, content: bytes) -> int:
        if len(content) > 20:
            return real(fd, content[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(journal_module.os, "write", half)
    with pytest.raises(JournalError, match="No space left"):
        journal.put(entry(2))
    assert list(journal.entries.values()) == [entry(1)]
    monkeypatch.undo()
    journal.put(entry(3))
    again = reread(path)
    assert list(again.entries.values()) == [entry(1), entry(3)]
    assert again.damaged_lines == 0


def test_a_removal_that_cannot_be_written_holds_and_is_written_later(journal, path, monkeypatch):
    journal.put(entry(1))

    def full(_fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(journal_module.os, "fsync", full)
    with pytest.raises(JournalError):
        journal.remove(entry(1).override.prefix)
    assert journal.entries == {}
    assert list(reread(path).entries) == [entry(1).override.prefix]
    with pytest.raises(JournalError):
        journal.settle()
    monkeypatch.undo()
    journal.settle()
    assert reread(path).entries == {}


def test_a_put_after_a_removal_that_could_not_be_written_is_not_undone_later(journal, path, monkeypatch):
    journal.put(entry(1))
    monkeypatch.setattr(journal_module.os, "fsync", _fails)
    with pytest.raises(JournalError):
        journal.remove(entry(1).override.prefix)
    monkeypatch.undo()
    journal.put(entry(1, owner="p-2"))
    journal.settle()
    assert [e.owner for e in reread(path).entries.values()] == ["p-2"]


def _fails(_fd: int) -> None:
    raise OSError(errno.EIO, "Input/output error")


def test_it_is_compacted_when_it_has_grown_and_holds_the_same(journal, path, monkeypatch):
    monkeypatch.setattr(journal_module, "COMPACT_AFTER_BYTES", 2000)
    for turn in range(100):
        journal.put(entry(turn % 3, owner=f"p-{turn}"))
    assert path.stat().st_size < 4000
    assert sorted(e.owner for e in reread(path).entries.values()) == ["p-97", "p-98", "p-99"]
    assert not path.with_name("journal.new").exists()


def test_a_compaction_that_fails_leaves_the_old_file_in_use(journal, path, monkeypatch):
    journal.put(entry(1))
    monkeypatch.setattr(journal_module.Path, "rename", lambda *_: _fails(0))
    with pytest.raises(JournalError):
        journal.compact()
    monkeypatch.undo()
    journal.put(entry(2))
    assert list(reread(path).entries.values()) == [entry(1), entry(2)]


def test_into_a_rewritten_file_nothing_goes_before_its_directory_surely_knows_it(journal, path, monkeypatch):
    """A power cut would bring back the file that was there before, without what was put into the new one."""
    journal.put(entry(1))
    with monkeypatch.context() as broken:
        broken.setattr(journal_module, "_sync_directory", _fails)
        with pytest.raises(JournalError):
            journal.compact()
        with pytest.raises(JournalError):
            journal.put(entry(2))
    assert b"198.51.2.0/24" not in path.read_bytes()
    journal.put(entry(2))
    assert len(reread(path).entries) == 2


def test_a_journal_that_cannot_be_opened_says_so_and_can_be_opened_later(tmp_path):
    journal = Journal(tmp_path / "missing" / "journal")
    with pytest.raises(JournalError, match="No such file"):
        journal.open()
    assert not journal.is_open
    with pytest.raises(JournalError, match="not open"):
        journal.settle()
    (tmp_path / "missing").mkdir()
    journal.open()
    assert journal.is_open
    journal.close()
