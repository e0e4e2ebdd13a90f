"""The client of the control socket: plain blocking sockets, so that the command line starts fast."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from teagent.errors import BadVersion, DaemonUnreachable, TeagentError, WireError
from teagent.wire import control

CONNECT_TIMEOUT_SECONDS = 5.0
REPLY_TIMEOUT_SECONDS = 120.0


class RemoteFailure(TeagentError):
    """An error that the daemon raised; kind, exit code and facts are its own."""

    def __init__(self, remote: control.RemoteError) -> None:
        super().__init__(remote.message, hint=remote.hint, **remote.fields)
        self.remote = remote

    @property
    def kind(self) -> str:
        return self.remote.kind


def exit_code_of(error: TeagentError) -> int:
    return error.remote.exit_code if isinstance(error, RemoteFailure) else error.exit_code


def _request(command: str, arguments: dict[str, object]) -> bytes:
    """Raises WireError for what the daemon would not take, before anybody is bothered with it."""
    given = {name: value for name, value in arguments.items() if value is not None}
    control.check_arguments(command, given)
    return control.encode_request(control.Request(id=1, command=command, arguments=given))


class Client:
    """One connection a call. Raises DaemonUnreachable, or RemoteFailure for what the daemon refused."""

    def __init__(self, path: Path, *, timeout_seconds: float = REPLY_TIMEOUT_SECONDS) -> None:
        self._path = path
        self._timeout_seconds = timeout_seconds

    def call(self, command: str, **arguments: object) -> Any:
        line = _request(command, arguments)
        with self._connect() as peer, peer.makefile("rb") as stream:
            self._send(peer, line)
            return self._reply(stream).result

    def stream(self, command: str, **arguments: object) -> Iterator[Any]:
        """Results as they come, without an end of their own."""
        line = _request(command, arguments)
        with self._connect() as peer, peer.makefile("rb") as stream:
            self._send(peer, line)
            peer.settimeout(None)
            while (reply := self._reply(stream)).more:
                yield reply.result

    def _connect(self) -> socket.socket:
        peer = socket.socket(socket.AF_UNIX)
        peer.settimeout(CONNECT_TIMEOUT_SECONDS)
        try:
            peer.connect(str(self._path))
        except OSError as error:
            peer.close()
            raise self._unreachable(error) from error
        peer.settimeout(self._timeout_seconds)
        return peer

    def _send(self, peer: socket.socket, line: bytes) -> None:
        try:
            peer.sendall(line)
        except OSError as error:
            # A daemon that refuses at once says why before it closes: that answer is read below.
            if error.errno not in {errno.EPIPE, errno.ECONNRESET}:
                raise self._unreachable(error) from error

    def _reply(self, stream: BinaryIO) -> control.Reply:
        try:
            line = stream.readline(control.MAX_REPLY_BYTES)
        except OSError as error:
            raise self._unreachable(error) from error
        if not line.endswith(b"\n"):
            raise DaemonUnreachable(
                f"the daemon on {self._path} closed the connection in the middle of its answer",
                hint="systemctl status teagent",
                socket=str(self._path),
            )
        try:
            reply = control.decode_reply(line)
        except BadVersion as error:
            raise self._other_version(error.message) from error
        except WireError as error:
            raise DaemonUnreachable(
                f"what answers on {self._path} is no teagent daemon: {error.message}", socket=str(self._path)
            ) from error
        if reply.error is None:
            return reply
        if reply.error.kind == "BadVersion":
            raise self._other_version(reply.error.message)
        raise RemoteFailure(reply.error)

    def _other_version(self, message: str) -> DaemonUnreachable:
        return DaemonUnreachable(
            f"the daemon on {self._path} speaks another version: {message}",
            hint="use the teagent of the daemon's version, or restart the daemon after an upgrade",
            socket=str(self._path),
        )

    def _unreachable(self, error: OSError) -> DaemonUnreachable:
        path = self._path
        if isinstance(error, TimeoutError):
            message, hint = f"the daemon on {path} did not answer in time", "journalctl -u teagent"
        elif error.errno == errno.EAGAIN:
            message, hint = f"the daemon on {path} is busy: its queue of connections is full", "journalctl -u teagent"
        elif error.errno in {errno.ENOENT, errno.ENOTDIR}:
            message = f"the daemon is not running: there is no socket {path}"
            hint = "systemctl start teagent, or name the socket with --socket or $TEAGENT_SOCKET"
        elif error.errno == errno.ECONNREFUSED:
            message, hint = f"the daemon is not running: nobody listens on {path}", "systemctl start teagent"
        elif error.errno in {errno.EACCES, errno.EPERM}:
            message = f"no permission to open {path}"
            hint = "control.viewers and control.approvers in the configuration name the groups; id shows yours"
        else:
            message = f"the daemon on {path} cannot be reached: {(error.strerror or str(error)).lower()}"
            hint = "systemctl status teagent"
        return DaemonUnreachable(message, hint=hint, socket=str(path))
