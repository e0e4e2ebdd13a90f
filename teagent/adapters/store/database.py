"""The SQLite file: who holds it, its two connections, and its errors in our words.

One thread writes and one reads, each with its own connection: in WAL mode a long read does not hold up the row that
must be durable before an announcement. What is committed when a write returns is seen by every read begun after.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from teagent.adapters.store.schema import migrate
from teagent.errors import DiskFull, StoreCorrupt, StoreError, TeagentError

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

FILE_MODE = 0o640
FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE}  # the second: no room for the index of the log
BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
REFUSED = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH}


class Database:
    """Runs pieces of work in transactions. Inert until `start`; `start` and `stop` may be called twice."""

    def __init__(self, path: Path, *, busy_timeout_seconds: float) -> None:
        self._path = path
        self._busy_timeout_seconds = busy_timeout_seconds
        self._writer: _Worker | None = None
        self._reader: _Worker | None = None
        self._lock: int | None = None

    async def start(self) -> None:
        """Takes the lock, opens the file, creates it where absent, migrates it. Raises StoreError, nothing opened."""
        if self._writer is not None:
            return
        self._lock = _take_lock(self._path)
        try:
            self._writer = await self._open("store-writer", self._prepare)
            self._reader = await self._open("store-reader", lambda c: c.execute("PRAGMA query_only = ON"))
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Finishes the work that was handed in, closes, and lets go of the lock."""
        reader, writer, lock = self._reader, self._writer, self._lock
        self._reader = self._writer = self._lock = None
        for worker in (reader, writer):
            if worker is not None:
                await worker.close()
        if lock is not None:
            os.close(lock)  # which lets go of the flock

    async def write(self, work: Work[T]) -> T:
        """Runs `work` in a transaction that is committed, and on the disk, when this returns.

        When `work` raises nothing is changed. When the caller is cancelled the transaction is whole or absent.
        """
        return await self._run(self._writer, "BEGIN IMMEDIATE", work)

    async def read(self, work: Work[T]) -> T:
        """Runs `work` on one consistent state of the store."""
        return await self._run(self._reader, "BEGIN", work)

    async def _run(self, worker: _Worker | None, begin: str, work: Work[T]) -> T:
        if worker is None:
            raise StoreError(f"the store {self._path} is not open")
        return await worker.run(lambda connection: _transaction(connection, begin, work))

    async def _open(self, name: str, prepare: Work[object]) -> _Worker:
        worker = _Worker(self._path, name, self._busy_timeout_seconds)
        try:
            await worker.open(prepare)
        except BaseException:
            await worker.close()
            raise
        return worker

    def _prepare(self, connection: sqlite3.Connection) -> None:
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise StoreError(
                f"{self._path} cannot keep a write-ahead log here, its journal stays {mode}",
                hint="keep the store on a local file system",
            )
        migrate(connection, self._path)


class _Worker:
    """One thread with one connection."""

    def __init__(self, path: Path, name: str, busy_timeout_seconds: float) -> None:
        self._path = path
        self._busy_timeout_seconds = busy_timeout_seconds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._connection: sqlite3.Connection | None = None

    async def open(self, prepare: Work[object]) -> None:
        def connect() -> None:
            # Created here rather than by SQLite, so that the measurements are not for everyone to read; the log
            # beside the file takes its mode.
            with contextlib.suppress(FileExistsError):
                os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE_MODE))
            connection = sqlite3.connect(self._path, timeout=self._busy_timeout_seconds, isolation_level=None)
            self._connection = connection
            # FULL: a commit is on the disk before the wire hears of it. Recursive triggers: a REPLACE is a DELETE too.
            for pragma in ("synchronous = FULL", "foreign_keys = ON", "recursive_triggers = ON"):
                connection.execute(f"PRAGMA {pragma}")
            prepare(connection)

        await self._submit(connect)

    async def run(self, work: Work[T]) -> T:
        def job() -> T:
            if self._connection is None:
                raise StoreError(f"the store {self._path} is not open")
            return work(self._connection)

        return await self._submit(job)

    async def close(self) -> None:
        def disconnect() -> None:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

        try:
            await self._submit(disconnect)
        finally:
            self._thread.shutdown(wait=True)

    async def _submit(self, job: Callable[[], T]) -> T:
        def translated() -> T:
            try:
                return job()
            except (sqlite3.Error, OSError, UnicodeEncodeError) as error:
                raise translate(error, self._path, self._busy_timeout_seconds) from error

        return await asyncio.get_running_loop().run_in_executor(self._thread, translated)


def _transaction(connection: sqlite3.Connection, begin: str, work: Work[T]) -> T:
    connection.execute(begin)
    try:
        result = work(connection)
        connection.execute("COMMIT")
    finally:
        # SQLite has already rolled back by itself after some errors, a full disk among them.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return result


def translate(error: Exception, path: Path, busy_timeout_seconds: float) -> TeagentError:
    """The library's error as ours."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if code is not None else None
    reason = (error.strerror or str(error)).lower() if isinstance(error, OSError) else str(error)
    if code in FULL or getattr(error, "errno", None) in {errno.ENOSPC, errno.EDQUOT}:
        return DiskFull(
            f"{path} cannot grow: {reason}",
            hint="free space on that file system; nothing is announced while the store cannot be written",
            path=str(path),
        )
    if primary in BROKEN:
        return StoreCorrupt(
            f"{path} is damaged: {reason}",
            hint="stop teagent, move the file and its -wal and -shm away, restore a backup or start without; "
            "the routers keep what they announce",
            path=str(path),
        )
    if primary in BUSY:
        return StoreError(
            f"{path} is locked by another program for more than {busy_timeout_seconds:g} s",
            hint=f"fuser {path}",
            path=str(path),
        )
    if primary in REFUSED or isinstance(error, OSError):
        return StoreError(
            f"{path} cannot be opened for writing: {reason}",
            hint="store.path names the file; its directory must exist and belong to the user that runs teagent",
            path=str(path),
        )
    return StoreError(f"{path}: {reason}", path=str(path))


def _take_lock(path: Path) -> int:
    """The descriptor of PATH.lock, held as long as it is open; the kernel lets go when the process dies.

    Raises StoreError when another process holds it, or when the directory is not there or not ours.
    """
    place = path.with_name(f"{path.name}.lock")
    try:
        lock = os.open(place, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    except OSError as error:
        raise translate(error, path, 0) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError as error:
        holder = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        raise StoreError(
            f"{path}: another teagent holds it (pid {holder})",
            hint="systemctl status teagent, or give this one another store.path",
            path=str(path),
            pid=holder,
        ) from error
    except OSError as error:
        os.close(lock)
        raise translate(error, path, 0) from error
    return lock
