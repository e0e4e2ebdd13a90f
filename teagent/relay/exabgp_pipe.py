"""The two pipes to ExaBGP: its events and answers on our stdin, our commands on our stdout.

ExaBGP writes to us with blocking writes: a helper that stops reading freezes it and drops every session. So a thread
of its own does nothing but read, and a bounded intake forgets what can be forgotten before it grows.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from teagent.relay import grammar
from teagent.relay.grammar import Answer, Line, Text

LINE_MAX_BYTES = 4_000_000
INTAKE_MAX_LINES = 10_000
ABANDONED_MAX = 64  # commands without an answer; 64 of COMMAND_MAX_BYTES would not fill ExaBGP's patience


class Intake:
    """Lines from the reading thread to the event loop. Updates may be dropped when it is full; answers never."""

    def __init__(self, *, limit: int = INTAKE_MAX_LINES) -> None:
        self._wake: Callable[[], object] | None = None
        self._limit = limit
        self._lines: deque[bytes] = deque()
        self._lock = threading.Lock()
        self._awake = False
        self.ended = False
        self.dropped = 0

    def connect(self, wake: Callable[[], object]) -> None:
        """`wake` is called, from the reading thread, when there is something to take after there was nothing."""
        with self._lock:
            self._wake = wake
            self._awake = True
        wake()

    def put(self, line: bytes) -> None:
        with self._lock:
            if len(self._lines) >= self._limit and b'"type": "update"' in line:
                self.dropped += 1
                return
            self._lines.append(line)
            sleeping, self._awake = not self._awake, True
        self._rouse(sleeping=sleeping)

    def end(self) -> None:
        with self._lock:
            self.ended = True
        self._rouse(sleeping=True)

    def _rouse(self, *, sleeping: bool) -> None:
        if sleeping and self._wake is not None:
            with contextlib.suppress(RuntimeError):  # the loop has closed meanwhile
                self._wake()

    def take(self) -> list[bytes]:
        with self._lock:
            lines = list(self._lines)
            self._lines.clear()
            self._awake = False
        return lines


def drain(fd: int, intake: Intake) -> None:
    """Reads until end of file; the body of the reading thread."""
    rest = b""
    while True:
        try:
            chunk = os.read(fd, 65_536)
        except OSError:
            chunk = b""
        if not chunk:
            intake.end()
            return
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line:
                intake.put(line)
        if len(rest) > LINE_MAX_BYTES:
            rest = b""


@dataclass(slots=True, kw_only=True)
class Reply:
    """What became of a command. `unknown`: no answer in time, and it may still be carried out. `full` and `gone`: it
    was not written, because ExaBGP does not read, or is no more.
    """

    outcome: Literal["done", "error", "unknown", "full", "gone"]
    lines: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class _Pending:
    command: str
    reply: asyncio.Future[Reply]
    lines: list[str] = field(default_factory=list)


class ExabgpPipe:
    """Writes commands and matches the answers to them, in order.

    One command is outstanding at a time, which is the caller's to hold to; those given up on stay in line, because
    their answers still come, and must not be taken for the answer to the next.
    """

    def __init__(self, write: Callable[[bytes], None], *, ack_timeout_seconds: float) -> None:
        self._write = write
        self._ack_timeout_seconds = ack_timeout_seconds
        self._pending: deque[_Pending] = deque()
        self._synchronising: asyncio.Future[str] | None = None
        self._versions_owed = 0
        self.on_event: Callable[[Line], None] = lambda _line: None
        self.late = 0
        self.strays = 0

    @property
    def stalled(self) -> bool:
        """A command was given up on and has not been answered since."""
        return any(pending.reply.cancelled() for pending in self._pending)

    def feed(self, raw: bytes) -> None:
        """One line from ExaBGP."""
        line = grammar.parse_line(raw.decode("ascii", "replace"))
        match line:
            case Text(line=text) if self._versions_owed and (found := grammar.VERSION_LINE.fullmatch(text)):
                self._synchronised(found[1])
            case Text() | Answer() if self._versions_owed:
                self.strays += 1
            case Answer(ok=ok):
                self._answered("done" if ok else "error")
            case Text(line=text):
                if self._pending:
                    self._pending[0].lines.append(text)
            case _:
                self.on_event(line)

    async def synchronise(self) -> str | None:
        """Finds out where in the stream of answers we are; returns ExaBGP's version, None when it does not answer.

        A relay before us may have died with commands queued. `reset` drops those, and `version` is answered at once,
        so that all before its line is not ours.
        """
        self._abandon_all()
        self._synchronising = asyncio.get_running_loop().create_future()
        try:
            for command in grammar.SYNCHRONISE:
                self._write(command.encode("ascii") + b"\n")
            self._versions_owed += 1
            async with asyncio.timeout(self._ack_timeout_seconds):
                return await self._synchronising
        except (TimeoutError, OSError):
            return None
        finally:
            self._synchronising = None

    async def command(self, text: str) -> Reply:
        """Never raises, whatever ExaBGP does."""
        raw = text.encode("ascii")
        if len(raw) >= grammar.COMMAND_MAX_BYTES or b"\n" in raw or len(self._pending) >= ABANDONED_MAX:
            return Reply(outcome="full")
        pending = _Pending(command=text, reply=asyncio.get_running_loop().create_future())
        try:
            self._write(raw + b"\n")
        except BlockingIOError:
            return Reply(outcome="full")
        except OSError:
            return Reply(outcome="gone")
        self._pending.append(pending)
        try:
            async with asyncio.timeout(self._ack_timeout_seconds):
                return await pending.reply
        except TimeoutError:
            return Reply(outcome="unknown")

    def _synchronised(self, version: str) -> None:
        """A version line. Only the last of those asked for, in case earlier ones were answered too late, counts."""
        self._versions_owed -= 1
        if self._versions_owed:
            return
        # The `done` of `version` itself comes next: something has to stand in line for it.
        done: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._pending.append(_Pending(command="version", reply=done))
        if self._synchronising is not None and not self._synchronising.done():
            self._synchronising.set_result(version)

    def _answered(self, outcome: Literal["done", "error"]) -> None:
        if not self._pending:
            self.strays += 1
            return
        pending = self._pending.popleft()
        if pending.reply.done():
            self.late += 1
            return
        pending.reply.set_result(Reply(outcome=outcome, lines=pending.lines))

    def _abandon_all(self) -> None:
        for pending in self._pending:
            if not pending.reply.done():
                pending.reply.cancel()
        self._pending.clear()


def write_now(fd: int) -> Callable[[bytes], None]:
    """A writer that never waits: BlockingIOError when the pipe is full. A line of PIPE_BUF bytes is never torn."""
    os.set_blocking(fd, False)

    def write(raw: bytes) -> None:
        os.write(fd, raw)

    return write
