"""The control socket: who asks, may they, and one answer a line.

Garbage, slow readers, floods and failing handlers cost a client its answer and nobody else anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import grp
import os
import pwd
import socket
import stat
import struct
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TypeAlias

import structlog

from teagent.errors import LimitExceeded, NotAuthorised, NotFound, TeagentError, WireError
from teagent.wire import control

log = structlog.get_logger("control")

ROOT_UID = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who is at the other end, as the kernel says (SO_PEERCRED); `groups` are the names of the user's groups now."""

    uid: int
    gid: int
    pid: int
    user: str
    groups: frozenset[str]

    def member_of(self, groups: Sequence[str]) -> bool:
        return self.uid == ROOT_UID or not self.groups.isdisjoint(groups)


Handler: TypeAlias = Callable[[Actor, Mapping[str, object]], Awaitable[object] | AsyncIterator[object]]
"""Gets checked arguments with their defaults; returns the result, or yields results where the command streams."""


class Right(IntEnum):
    """Each includes those before it."""

    VIEW = 0
    APPROVE = 1
    ADMINISTER = 2


@dataclass(frozen=True, slots=True)
class Command:
    """`right` is what it takes; a function of the arguments where that depends on them."""

    handler: Handler
    right: Right | Callable[[Mapping[str, object]], Right] = Right.VIEW

    def needs(self, arguments: Mapping[str, object]) -> Right:
        return self.right(arguments) if callable(self.right) else self.right


@dataclass(slots=True)
class _Client:
    uid: int
    busy: bool = False


class ControlServer:
    """Answers on `path`. A constructor is inert; `start` binds, `stop` may be called twice.

    `viewers` are the Unix groups that may read (empty: whoever can open the socket), `approvers` those that may decide
    about changes as well, `administrators` those that may do everything (empty: the approvers). So may root. The socket
    is open to all by default, because it is the peer's credentials that decide. `timeout_seconds` bounds a silent and a
    slow client and, on `stop`, the wait for commands under way.
    """

    def __init__(
        self,
        path: Path,
        handlers: Mapping[str, Command],
        *,
        approvers: Sequence[str] = (),
        viewers: Sequence[str] = (),
        administrators: Sequence[str] = (),
        group: str | None = None,
        mode: int = 0o666,
        max_clients: int = 128,
        timeout_seconds: float = 30.0,
    ) -> None:
        self._path = path
        self._handlers = handlers
        everything = tuple(administrators) or tuple(approvers)
        self._may = {
            Right.VIEW: (*viewers, *approvers, *administrators),
            Right.APPROVE: (*approvers, *administrators),
            Right.ADMINISTER: everything,
        }
        self._open_to_all = not viewers
        self._group = group
        self._mode = mode
        self._max_clients = max_clients
        self._timeout_seconds = timeout_seconds
        self._server: asyncio.Server | None = None
        self._stopping = False
        self._lock_fd: int | None = None
        self._inode: int | None = None
        self._clients: dict[asyncio.Task[None], _Client] = {}
        self.counters: Counter[str] = Counter()

    async def start(self) -> None:
        """Raises TeagentError when another daemon answers on the path, or when it can't be bound."""
        if self._server is not None:
            return
        try:
            self._take_lock()
            listener = self._bind()
        except OSError as error:
            self._release()
            raise TeagentError(
                f"control socket {self._path} can't be opened: {(error.strerror or str(error)).lower()}",
                hint="control.socket in the configuration says where it is",
                path=str(self._path),
            ) from error
        except TeagentError:
            self._release()
            raise
        self._stopping = False
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=control.MAX_REQUEST_BYTES)

    def _take_lock(self) -> None:
        # A lock and not a trial connection: it is free of races, and a daemon that hangs still holds it.
        lock = self._path.with_name(self._path.name + ".lock")
        self._lock_fd = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in {errno.EAGAIN, errno.EACCES}:
                raise
            raise TeagentError(
                f"another teagent is running on {self._path}", hint="systemctl status teagent", path=str(self._path)
            ) from error

    def _bind(self) -> socket.socket:
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISSOCK(self._path.lstat().st_mode):
                raise TeagentError(
                    f"{self._path} is there and is no socket: it is left alone",
                    hint="control.socket in the configuration says where the socket goes",
                    path=str(self._path),
                )
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        # Made beside its place and moved onto it, so that nobody ever sees it with other rights or not at all.
        fresh = self._path.with_name(self._path.name + ".new")
        try:
            fresh.unlink(missing_ok=True)
            listener.bind(str(fresh))
            if self._group is not None:
                os.chown(fresh, -1, self._group_id(self._group))
            fresh.chmod(self._mode)
            listener.listen(self._max_clients)
            self._inode = fresh.stat().st_ino
            fresh.replace(self._path)
        except (OSError, TeagentError):
            listener.close()
            fresh.unlink(missing_ok=True)
            raise
        return listener

    @staticmethod
    def _group_id(name: str) -> int:
        try:
            return grp.getgrnam(name).gr_gid
        except KeyError:
            raise NotFound("group", name, hint="the control socket was to belong to it") from None

    async def stop(self) -> None:
        """Takes no more commands; those under way may finish in `timeout_seconds`."""
        server, self._server = self._server, None
        self._stopping = True
        if server is not None:
            server.close()
            for task, client in self._clients.items():
                if not client.busy:
                    task.cancel()
            if self._clients:
                _, late = await asyncio.wait(list(self._clients), timeout=self._timeout_seconds)
                for task in late:
                    task.cancel()
                if late:
                    await asyncio.wait(late)
            await server.wait_closed()
        self._release()

    def _release(self) -> None:
        if self._inode is not None:
            with contextlib.suppress(OSError):
                if self._path.lstat().st_ino == self._inode:
                    self._path.unlink()
            self._inode = None
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    # --- one client ---------------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # asyncio runs this as a task
        # An empty buffer after each drain: what is written is with the kernel, and closing never has to wait.
        writer.transport.set_write_buffer_limits(high=0)
        pid, uid, gid = _peer(writer)
        client = _Client(uid=uid)
        crowd = Counter(other.uid for other in self._clients.values())
        self._clients[task] = client
        self.counters["connections"] += 1
        try:
            # Half is left for others, so that no single user keeps the operator from the kill switch.
            if crowd.total() >= self._max_clients or (uid != ROOT_UID and crowd[uid] >= (self._max_clients + 1) // 2):
                self.counters["refused_clients"] += 1
                busy = LimitExceeded(f"too many clients on the control socket, limit {self._max_clients}")
                await self._send(writer, control.encode_error(None, busy))
                return
            actor = await asyncio.to_thread(_actor, pid, uid, gid)
            while not self._stopping and await self._answer(actor, client, reader, writer):
                pass
        except (ConnectionError, TimeoutError):
            self.counters["lost_clients"] += 1
        finally:
            # What was answered is with the kernel already; what a deaf client did not take is dropped.
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            del self._clients[task]

    async def _answer(
        self, actor: Actor, client: _Client, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """One request; False when the conversation is over."""
        try:
            line = await asyncio.wait_for(reader.readuntil(b"\n"), self._timeout_seconds)
        except asyncio.IncompleteReadError as error:
            if error.partial:
                self.counters["bad_requests"] += 1
                await self._send(writer, control.encode_error(None, WireError("request ends without a newline")))
            return False
        except asyncio.LimitOverrunError:
            self.counters["bad_requests"] += 1
            too_long = LimitExceeded(f"request is longer than {control.MAX_REQUEST_BYTES} octets")
            await self._send(writer, control.encode_error(None, too_long))
            return False
        try:
            request = control.decode_request(line)
        except WireError as error:
            self.counters["bad_requests"] += 1
            await self._send(writer, control.encode_error(None, error))
            return True
        self.counters["commands"] += 1
        client.busy = True
        try:
            return await self._run(actor, client, request, reader, writer)
        finally:
            client.busy = False

    async def _run(
        self,
        actor: Actor,
        client: _Client,
        request: control.Request,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        try:
            command, arguments = self._admit(actor, request)
            answer = command.handler(actor, arguments)
            if isinstance(answer, AsyncIterator):
                client.busy = False
                await self._stream(request.id, answer, reader, writer)
                return False
            reply = control.encode_result(request.id, await answer)
        except Exception as error:  # noqa: BLE001  # a bug in one handler must not take the socket from the others
            reply = self._error(request, actor, error)
        await self._send(writer, reply)
        return True

    def _admit(self, actor: Actor, request: control.Request) -> tuple[Command, dict[str, object]]:
        command = self._handlers.get(request.command)
        arguments = control.check_arguments(request.command, request.arguments)
        if command is None:
            raise NotFound("command", request.command)
        right = command.needs(arguments)
        needs = self._may[right]
        if not (right is Right.VIEW and self._open_to_all) and not actor.member_of(needs):
            self.counters["not_authorised"] += 1
            log.warning("command refused", command=request.command, actor=actor.user, uid=actor.uid)
            raise NotAuthorised(actor=actor.user, needs=needs, action=request.command)
        return command, arguments

    def _error(self, request: control.Request, actor: Actor, error: Exception) -> bytes:
        if isinstance(error, TeagentError):
            self.counters["errors"] += 1
            return control.encode_error(request.id, error)
        self.counters["failures"] += 1
        log.error("command failed", command=request.command, actor=actor.user, exc_info=error)
        broken = TeagentError(f"{request.command} failed inside the daemon", hint="journalctl -u teagent has the cause")
        return control.encode_error(request.id, broken)

    async def _stream(
        self,
        request_id: int,
        answers: AsyncIterator[object],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        """Until the answers end or the client goes; a client that has gone is noticed without anything to send."""
        async with asyncio.TaskGroup() as group:
            pump = group.create_task(self._pump(request_id, answers, writer))
            gone = group.create_task(_until_gone(reader))
            await asyncio.wait({pump, gone}, return_when=asyncio.FIRST_COMPLETED)
            pump.cancel()
            gone.cancel()

    async def _pump(self, request_id: int, answers: AsyncIterator[object], writer: asyncio.StreamWriter) -> None:
        try:
            async for answer in answers:
                await self._send(writer, control.encode_result(request_id, answer, more=True))
            await self._send(writer, control.encode_result(request_id, None))
        except TeagentError as error:
            await self._send(writer, control.encode_error(request_id, error))
        except (ConnectionError, TimeoutError):
            self.counters["lost_clients"] += 1
        finally:
            if hasattr(answers, "aclose"):
                await answers.aclose()

    async def _send(self, writer: asyncio.StreamWriter, line: bytes) -> None:
        """Raises TimeoutError for a client that does not read, ConnectionError for one that has gone."""
        writer.write(line)
        await asyncio.wait_for(writer.drain(), self._timeout_seconds)


async def _until_gone(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        while await reader.read(4096):
            pass


def _peer(writer: asyncio.StreamWriter) -> tuple[int, int, int]:
    """pid, uid, gid (struct ucred, unix(7)); the kernel fills them in, the peer can't choose."""
    peer: socket.socket = writer.get_extra_info("socket")
    size = struct.calcsize("iII")
    pid, uid, gid = struct.unpack("iII", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return pid, uid, gid


def _actor(pid: int, uid: int, gid: int) -> Actor:
    """Runs in a thread: with LDAP behind them these look-ups may take their time."""
    try:
        user = pwd.getpwuid(uid).pw_name
        gids = {gid, *os.getgrouplist(user, gid)}
    except KeyError:
        # As sudo writes a user that has no name; a colon would make it a policy or a guard.
        user, gids = f"#{uid}", {gid}
    names = set()
    for number in gids:
        with contextlib.suppress(KeyError):
            names.add(grp.getgrgid(number).gr_name)
    return Actor(uid=uid, gid=gid, pid=pid, user=user, groups=frozenset(names))
