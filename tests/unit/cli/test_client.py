"""A daemon that can't be reached is told apart by why, and always exits 4."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from teagent.cli import client as client_module
from teagent.cli.client import Client, RemoteFailure, exit_code_of
from teagent.cli.root import teagent
from teagent.errors import DaemonUnreachable, Frozen, WireError
from teagent.wire import control


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="teagent-") as directory:
        yield Path(directory) / "teagent.sock"


@contextmanager
def answering(path: Path, reply: bytes) -> Iterator[None]:
    """A daemon that answers one request with these bytes and closes."""

    def serve() -> None:
        peer, _ = listener.accept()
        with peer:
            peer.recv(65536)
            peer.sendall(reply)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join(10)


def why(path: Path, **options: float) -> DaemonUnreachable:
    with pytest.raises(DaemonUnreachable) as caught:
        Client(path, **options).call("status")
    return caught.value


def test_no_socket(path: Path) -> None:
    error = why(path)
    assert error.message == f"the daemon is not running: there is no socket {path}"
    assert "systemctl start teagent" in str(error.hint)


def test_a_socket_on_which_nobody_listens(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert why(path).message == f"the daemon is not running: nobody listens on {path}"


@pytest.mark.skipif(os.geteuid() != 0, reason="losing the right to open a socket takes a second user")
def test_a_socket_that_may_not_be_opened(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        path.chmod(0o600)
        path.parent.chmod(0o755)
        os.seteuid(65534)
        try:
            error = why(path)
        finally:
            os.seteuid(0)
    assert error.message == f"no permission to open {path}"
    assert "control.approvers" in str(error.hint)


def test_a_daemon_that_does_not_answer(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1)
        assert why(path, timeout_seconds=0.05).message == f"the daemon on {path} did not answer in time"


def test_a_daemon_whose_queue_is_full(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "CONNECT_TIMEOUT_SECONDS", 0.05)
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(str(path))
        listener.listen(0)
        first.connect(str(path))
        error = why(path)
        assert "did not answer in time" in error.message or "queue of connections is full" in error.message


def test_a_daemon_of_another_version(path: Path) -> None:
    with answering(path, b'{"version":2,"id":1,"ok":true,"result":{}}\n'):
        error = why(path)
    assert "speaks another version: control protocol is version 2, this teagent speaks 1" in error.message
    assert "restart the daemon after an upgrade" in str(error.hint)


def test_a_daemon_that_refuses_our_version(path: Path) -> None:
    refusal = control.encode_error(None, control.BadVersion("control protocol is version 1, this teagent speaks 2"))
    with answering(path, refusal):
        assert "speaks another version" in why(path).message


@pytest.mark.parametrize("reply", [b"", b'{"version":1,', b"SSH-2.0-OpenSSH_9.2\r\n", b"\x00\n"])
def test_something_that_is_no_daemon(path: Path, reply: bytes) -> None:
    with answering(path, reply):
        message = why(path).message
    assert "closed the connection in the middle" in message or "is no teagent daemon" in message


def test_a_path_that_is_too_long_is_said_to_be(path: Path) -> None:
    assert "too long" in why(path.with_name("x" * 200)).message


def test_a_request_that_the_daemon_would_not_take_is_not_sent(path: Path) -> None:
    with pytest.raises(WireError, match="needs the argument id"):
        Client(path).call("proposal.show")


def test_a_refusal_keeps_kind_and_exit_code(path: Path) -> None:
    refusal = control.encode_error(1, Frozen(since="2026-01-12T19:00:00Z", by="bob", reason=""))
    with answering(path, refusal), pytest.raises(RemoteFailure) as caught:
        Client(path).call("status")
    assert (caught.value.kind, exit_code_of(caught.value), caught.value.fields) == (
        "Frozen",
        5,
        {"since": "2026-01-12T19:00:00Z", "by": "bob", "reason": ""},
    )


def test_the_command_line_exits_4(path: Path) -> None:
    result = CliRunner().invoke(teagent, ["status", "--socket", str(path)])
    assert (result.exit_code, result.stdout) == (4, "")
    assert result.stderr.splitlines()[0] == f"error: the daemon is not running: there is no socket {path}"
    assert result.stderr.splitlines()[1].startswith("hint:  systemctl start teagent")


def test_check_calls_a_daemon_that_is_down_critical(path: Path) -> None:
    result = CliRunner().invoke(teagent, ["check", "--socket", str(path)])
    assert result.exit_code == 2
    assert result.stdout == f"critical: 1 problem: the daemon is not running: there is no socket {path}\n"
