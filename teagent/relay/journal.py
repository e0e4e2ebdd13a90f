"""What should be on the wire, kept across crashes: appended and synced before anything goes out.

A line is `CRC32 JSON`. Each `put` holds all there is to know about its prefix, so a damaged line costs that line
only. A torn last line was never acknowledged to anybody and is dropped.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from teagent.relay.moments import Clock, Deadline
from teagent.relay.protocol import OWNER, Override, Prefix, Signal, parse_prefix
from teagent.relay.refusal import Json, Refusal

COMPACT_AFTER_BYTES = 262_144


class JournalError(OSError):
    """The line is not safely on disk, and is not in the file either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An override that should be on the wire. `deadline` None: it was confirmed.

    `before` is the confirmed override that an unconfirmed one replaced, with its owner: what the deadline returns
    to. None there means home.
    """

    override: Override
    owner: str
    accepted_at: float  # seconds since the epoch
    deadline: Deadline | None
    before: tuple[Override, str] | None = None


class Journal:
    """One file, one writer. `put` and `freeze` raise JournalError and have then changed nothing.

    `remove` takes effect in any case, because going home must not wait for a disk; the file learns of it later.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries: dict[Prefix, Entry] = {}
        self.frozen = False
        self.damaged_lines = 0
        self._unwritten: set[Prefix] = set()
        self._fd = -1
        self._size = 0
        self._compacted_size = 0
        self._torn = False  # a write failed, and part of it may be in the file
        self._unlinked = False  # the directory may still lead to the file before this one

    def open(self) -> None:
        """Reads what is there and makes the file whole. Raises JournalError when the file cannot be read."""
        fd = -1
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
            with self.path.open("rb") as file:
                raw = file.read()
            whole = raw.rfind(b"\n") + 1
            if whole != len(raw):
                os.ftruncate(fd, whole)
            if not raw:
                _sync_directory(self.path.parent)  # the file may be new, and what is put into it must be found again
        except OSError as error:
            if fd >= 0:
                os.close(fd)
            raise JournalError(error.errno, error.strerror, str(self.path)) from error
        self._fd, self._size = fd, whole
        self._replay(raw[:whole])
        if whole:
            with contextlib.suppress(JournalError):  # the disk may be full; what was read is good all the same
                self.compact()

    @property
    def is_open(self) -> bool:
        return self._fd >= 0

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def put(self, entry: Entry) -> None:
        self._append({"op": "put", **_entry_as_json(entry)})
        self.entries[entry.override.prefix] = entry
        self._unwritten.discard(entry.override.prefix)

    def remove(self, prefix: Prefix) -> None:
        """Raises JournalError when the file does not know yet; `settle` tells it."""
        if self.entries.pop(prefix, None) is not None:
            self._unwritten.add(prefix)
            self.settle()

    def settle(self) -> None:
        """Writes the removals that could not be written. Raises JournalError while they still cannot."""
        if not self.is_open:
            raise JournalError(errno.EBADF, "it is not open", str(self.path))
        if self._unlinked:
            self._link()
        for prefix in sorted(self._unwritten, key=str):
            self._append({"op": "remove", "prefix": str(prefix)})
            self._unwritten.discard(prefix)

    def freeze(self, *, frozen: bool) -> None:
        self._append({"op": "freeze", "frozen": frozen})
        self.frozen = frozen

    def compact(self) -> None:
        """Rewrites the file with only what holds: temporary file, sync, rename, sync of the directory."""
        lines: list[Mapping[str, Json]] = [{"op": "freeze", "frozen": self.frozen}]
        lines += [{"op": "put", **_entry_as_json(entry)} for entry in self.entries.values()]
        content = b"".join(_line(line) for line in lines)
        temporary = self.path.with_name(self.path.name + ".new")
        try:
            fd = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o640)
            try:
                _write_all(fd, content)
                os.fsync(fd)
                temporary.rename(self.path)
            except BaseException:
                os.close(fd)
                raise
            os.close(self._fd)
            self._fd, self._size, self._compacted_size = fd, len(content), len(content)
            self._torn = False
            self._unwritten.clear()
            self._link()
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise JournalError(error.errno, error.strerror, str(self.path)) from error

    def _link(self) -> None:
        """Before this a power cut brings back the file that was there: nothing may go into the new one alone."""
        self._unlinked = True
        try:
            _sync_directory(self.path.parent)
        except OSError as error:
            raise JournalError(error.errno, error.strerror, str(self.path)) from error
        self._unlinked = False

    def _append(self, document: Mapping[str, Json]) -> None:
        if self._size > self._compacted_size + COMPACT_AFTER_BYTES:
            with contextlib.suppress(JournalError):
                self.compact()
        content = _line(document)
        try:
            if self._unlinked:
                self._link()
            if self._torn:
                os.ftruncate(self._fd, self._size)
                self._torn = False
            _write_all(self._fd, content)
            os.fsync(self._fd)
        except OSError as error:
            self._torn = True
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._size)
            raise JournalError(error.errno, error.strerror, str(self.path)) from error
        self._size += len(content)

    def resume(self, clock: Clock) -> None:
        """Puts the deadlines that were read onto this boot's clock; once, after `open`."""
        for prefix, entry in self.entries.items():
            if entry.deadline is not None:
                self.entries[prefix] = replace(entry, deadline=entry.deadline.resumed(clock))

    def _replay(self, raw: bytes) -> None:
        for line in raw.split(b"\n")[:-1]:
            try:
                self._apply(_document(line))
            except (ValueError, KeyError, TypeError, Refusal):
                self.damaged_lines += 1

    def _apply(self, document: Mapping[str, Any]) -> None:
        match document["op"]:
            case "put":
                entry = _entry_from_json(document)
                self.entries[entry.override.prefix] = entry
            case "remove":
                self.entries.pop(parse_prefix(document["prefix"]), None)
            case "freeze":
                self.frozen = document["frozen"] is True
            case _:
                raise ValueError("unknown op")


def _line(document: Mapping[str, Json]) -> bytes:
    body = json.dumps(document, separators=(",", ":"), allow_nan=False).encode("ascii")
    return b"%08x %s\n" % (zlib.crc32(body), body)


def _document(line: bytes) -> Mapping[str, Any]:
    checksum, _, body = line.partition(b" ")
    if len(checksum) != 8 or int(checksum, 16) != zlib.crc32(body):
        raise ValueError("checksum")
    document = json.loads(body)
    if not isinstance(document, dict):
        raise TypeError("not an object")
    return document


def _entry_as_json(entry: Entry) -> dict[str, Json]:
    deadline: Json = None
    if entry.deadline is not None:
        deadline = {
            "wall": entry.deadline.wall,
            "due_uptime": entry.deadline.due_uptime,
            "boot": entry.deadline.boot,
            "window_seconds": entry.deadline.window_seconds,
        }
    before: Json = None
    if entry.before is not None:
        before = {"signals": [s.as_json() for s in entry.before[0].signals], "owner": entry.before[1]}
    return {
        "prefix": str(entry.override.prefix),
        "signals": [s.as_json() for s in entry.override.signals],
        "owner": entry.owner,
        "accepted_at": entry.accepted_at,
        "deadline": deadline,
        "before": before,
    }


def _entry_from_json(document: Mapping[str, Any]) -> Entry:
    prefix = parse_prefix(document["prefix"])
    deadline = document["deadline"]
    before = document["before"]
    return Entry(
        override=Override(prefix=prefix, signals=_signals_from_json(document["signals"])),
        owner=_owner(document["owner"]),
        accepted_at=_number(document["accepted_at"]),
        deadline=None
        if deadline is None
        else Deadline(
            wall=_number(deadline["wall"]),
            due_uptime=_number(deadline["due_uptime"]),
            boot=str(deadline["boot"]),
            window_seconds=_number(deadline["window_seconds"]),
        ),
        before=None
        if before is None
        else (Override(prefix=prefix, signals=_signals_from_json(before["signals"])), _owner(before["owner"])),
    )


def _signals_from_json(rows: list[Mapping[str, Any]]) -> tuple[Signal, ...]:
    return tuple(
        Signal(link_id=int(row["link_id"]), prepend=None if row.get("withhold") is True else int(row["prepend"]))
        for row in rows
    )


def _owner(value: Any) -> str:
    if not isinstance(value, str) or not OWNER.fullmatch(value):
        raise ValueError("owner")
    return value


def _number(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("number")
    return number


def _write_all(fd: int, content: bytes) -> None:
    while content:
        content = content[os.write(fd, content) :]


def _sync_directory(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
