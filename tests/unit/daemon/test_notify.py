"""sd_notify against a real datagram socket."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from teagent.daemon.notify import Notify


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """What systemd is to us: a datagram socket, and its name in $NOTIFY_SOCKET."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@teagent-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(name if request.param == "path" else "\0" + name[1:])
        listener.settimeout(5)
        yield listener, name


def test_each_message_is_one_datagram(manager: tuple[socket.socket, str]) -> None:
    listener, name = manager
    notify = Notify({"NOTIFY_SOCKET": name})
    for send, expected in (
        (notify.ready, b"READY=1"),
        (notify.watchdog, b"WATCHDOG=1"),
        (notify.stopping, b"STOPPING=1"),
    ):
        send()
        assert listener.recv(4096) == expected
    assert notify.failures == 0


def test_a_reload_carries_its_moment(manager: tuple[socket.socket, str]) -> None:
    listener, name = manager
    Notify({"NOTIFY_SOCKET": name}).reloading()
    first, second = listener.recv(4096).split(b"\n")
    assert first == b"RELOADING=1"
    key, _, moment = second.partition(b"=")
    assert key == b"MONOTONIC_USEC"
    assert int(moment) > 0


def test_a_status_stays_one_assignment(manager: tuple[socket.socket, str]) -> None:
    listener, name = manager
    Notify({"NOTIFY_SOCKET": name}).status("2 links\nREADY=1")
    assert listener.recv(4096) == b"STATUS=2 links READY=1"


def test_outside_of_systemd_nothing_is_sent() -> None:
    notify = Notify({})
    notify.ready()
    assert notify.failures == 0


def test_a_service_manager_that_has_gone_is_counted_and_not_raised(tmp_path: Path) -> None:
    notify = Notify({"NOTIFY_SOCKET": str(tmp_path / "gone")})
    notify.ready()
    assert notify.failures == 1


def test_a_status_is_sent_when_it_changes(manager: tuple[socket.socket, str]) -> None:
    listener, name = manager
    notify = Notify({"NOTIFY_SOCKET": name})
    for text in ("2 links", "2 links", "frozen; 2 links"):
        notify.status(text)
    assert listener.recv(4096) == b"STATUS=2 links"
    assert listener.recv(4096) == b"STATUS=frozen; 2 links"


def test_a_service_manager_that_does_not_listen_holds_nothing_up(manager: tuple[socket.socket, str]) -> None:
    _, name = manager
    notify = Notify({"NOTIFY_SOCKET": name})
    for _ in range(2000):  # far more than the kernel queues for it
        notify.watchdog()
    assert notify.failures > 0
