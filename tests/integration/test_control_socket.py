"""The control server on a real socket, with clients that behave and clients that do not."""

from __future__ import annotations

import asyncio
import grp
import json
import os
import pwd
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from teagent.daemon.control import Actor, Command, ControlServer, Right
from teagent.errors import GuardRefused, TeagentError

pytestmark = pytest.mark.asyncio

ROOT = os.geteuid() == 0
NOBODY = 65534
OUR_GROUPS = (grp.getgrgid(os.getgid()).gr_name,)


class Desk:
    """Handlers that can be told to wait, and that remember who asked."""

    def __init__(self) -> None:
        self.actors: list[Actor] = []
        self.started = asyncio.Event()
        self.release = asyncio.Event()
        self.ended = asyncio.Event()
        self.closed = asyncio.Event()

    async def status(self, actor: Actor, _arguments: Mapping[str, object]) -> object:
        self.actors.append(actor)
        return {"at": "2026-01-12T19:40:30Z"}

    async def show(self, _actor: Actor, arguments: Mapping[str, object]) -> object:
        return arguments

    async def refuse(self, _actor: Actor, _arguments: Mapping[str, object]) -> object:
        raise GuardRefused([{"rule": "headroom", "message": "9% left", "value": 0.09, "limit": 0.15}], checks=6)

    async def broken(self, _actor: Actor, _arguments: Mapping[str, object]) -> object:
        raise KeyError("a bug")

    async def not_json(self, _actor: Actor, _arguments: Mapping[str, object]) -> object:
        return {"bps": float("nan")}

    async def slow(self, _actor: Actor, _arguments: Mapping[str, object]) -> object:
        self.started.set()
        await self.release.wait()
        self.ended.set()
        return {}

    async def large(self, _actor: Actor, _arguments: Mapping[str, object]) -> object:
        self.started.set()
        return {"text": "x" * 8_000_000}

    async def follow(self, _actor: Actor, _arguments: Mapping[str, object]) -> AsyncIterator[object]:
        try:
            for number in range(3):
                yield {"number": number}
            self.started.set()
            await asyncio.Event().wait()
        finally:
            self.closed.set()

    def commands(self) -> dict[str, Command]:
        return {
            "status": Command(self.status),
            "matrix.show": Command(self.show),
            "proposal.show": Command(self.refuse),
            "link.list": Command(self.broken),
            "prefix.list": Command(self.not_json),
            "freeze": Command(self.slow, right=Right.APPROVE),
            "router.list": Command(self.large),
            "log.follow": Command(self.follow),
            "thaw": Command(self.status, right=Right.APPROVE),
        }


@asynccontextmanager
async def serving(**options: object) -> AsyncIterator[tuple[Path, Desk, ControlServer]]:
    # Not tmp_path: its names may be longer than the 108 octets that a socket's path may have.
    with tempfile.TemporaryDirectory(prefix="teagent-") as directory:
        os.chmod(directory, 0o755)  # noqa: PTH101  # nobody has to get in
        path, desk = Path(directory) / "teagent.sock", Desk()
        settings: dict[str, object] = {"timeout_seconds": 5.0, "approvers": OUR_GROUPS, **options}
        server = ControlServer(path, desk.commands(), **settings)  # type: ignore[arg-type]
        await server.start()
        try:
            yield path, desk, server
        finally:
            desk.release.set()
            await server.stop()


@asynccontextmanager
async def connected(path: Path) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_unix_connection(str(path), limit=2**24)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


def line(command: str, number: int = 1, **arguments: object) -> bytes:
    return json.dumps({"version": 1, "id": number, "command": command, "arguments": arguments}).encode() + b"\n"


async def read(reader: asyncio.StreamReader) -> dict[str, object]:
    document = json.loads(await asyncio.wait_for(reader.readline(), 10))
    assert isinstance(document, dict)
    return document


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # a counter has no event to wait for
            await asyncio.sleep(0)


async def ask(path: Path, command: str, **arguments: object) -> dict[str, object]:
    async with connected(path) as (reader, writer):
        writer.write(line(command, **arguments))
        return await read(reader)


async def test_a_request_is_answered_on_one_line_with_its_id() -> None:
    async with serving() as (path, desk, _), connected(path) as (reader, writer):
        writer.write(line("status", 41) + line("matrix.show", 42, link="transit-a"))
        assert await read(reader) == {"version": 1, "id": 41, "ok": True, "result": {"at": "2026-01-12T19:40:30Z"}}
        second = await read(reader)
        assert second["id"] == 42
        assert second["result"] == {
            "link": "transit-a",
            "prefix": None,
            "source_as": None,
            "window_seconds": None,
            "since_seconds": None,
            "top": 20,
        }
        assert desk.actors[0].pid == os.getpid()


async def test_the_actor_is_who_the_kernel_says() -> None:
    async with serving() as (path, desk, _):
        await ask(path, "status")
        me = pwd.getpwuid(os.geteuid())
        assert (desk.actors[0].uid, desk.actors[0].user) == (me.pw_uid, me.pw_name)
        assert grp.getgrgid(me.pw_gid).gr_name in desk.actors[0].groups


async def test_an_error_of_a_handler_comes_with_all_its_facts() -> None:
    async with serving() as (path, _, _):
        reply = await ask(path, "proposal.show", id="p-7f3c")
        assert reply["ok"] is False
        error = reply["error"]
        assert isinstance(error, dict)
        assert (error["kind"], error["exit_code"]) == ("GuardRefused", 5)
        assert error["fields"]["checks"] == 6


@pytest.mark.parametrize("command", ["link.list", "prefix.list"])
async def test_a_bug_in_one_handler_is_answered_and_harms_nobody_else(command: str) -> None:
    async with serving() as (path, _, server), connected(path) as (reader, writer):
        writer.write(line(command) + line("status", 2))
        reply = await read(reader)
        assert reply["error"] == {
            "kind": "TeagentError",
            "exit_code": 1,
            "message": f"{command} failed inside the daemon",
            "hint": "journalctl -u teagent has the cause",
            "fields": {},
        }
        assert (await read(reader))["ok"] is True
        assert server.counters["failures"] == 1


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\n",
        b"\x00\xff\xfe\n",
        b"[" * 5000 + b"\n",
        b"{}\n",
        b'{"version":2,"id":1,"command":"status"}\n',
        b'{"version":1,"id":"x","command":"status"}\n',
        b'{"version":1,"id":1,"command":"explode"}\n',
        b'{"version":1,"id":1,"command":"status","arguments":[]}\n',
        b"\n",
    ],
)
async def test_garbage_gets_an_error_and_the_conversation_goes_on(garbage: bytes) -> None:
    async with serving() as (path, _, _), connected(path) as (reader, writer):
        writer.write(garbage + line("status", 9))
        assert (await read(reader))["ok"] is False
        reply = await read(reader)
        assert (reply["id"], reply["ok"]) == (9, True)


async def test_a_line_without_an_end_is_refused_at_its_limit() -> None:
    async with serving() as (path, _, _):
        async with connected(path) as (reader, writer):
            writer.write(b"x" * 200_000)
            reply = await read(reader)
            assert reply["error"]["message"] == "request is longer than 65536 octets"  # type: ignore[index]
            with suppress(ConnectionError):
                assert await reader.read() == b""
        assert (await ask(path, "status"))["ok"] is True


async def test_a_request_that_breaks_off_is_not_carried_out() -> None:
    async with serving() as (path, desk, _), connected(path) as (reader, writer):
        writer.write(line("status").rstrip(b"\n"))
        writer.write_eof()
        assert (await read(reader))["ok"] is False
        assert desk.actors == []


async def test_a_client_that_says_nothing_is_let_go() -> None:
    async with serving(timeout_seconds=0.05) as (path, _, _), connected(path) as (reader, _):
        assert await asyncio.wait_for(reader.read(), 5) == b""


async def test_a_client_that_does_not_read_is_let_go_and_others_are_served() -> None:
    async with serving(timeout_seconds=0.2) as (path, desk, server):
        with socket.socket(socket.AF_UNIX) as deaf:
            deaf.connect(str(path))
            deaf.sendall(line("router.list"))
            await asyncio.wait_for(desk.started.wait(), 5)
            assert (await ask(path, "status"))["ok"] is True
            await until(lambda: server.counters["lost_clients"] > 0)


async def test_one_client_too_many_is_told_and_a_place_becomes_free_again() -> None:
    async with serving(max_clients=2) as (path, _, server):
        async with connected(path) as (one, first), connected(path) as (two, second):
            first.write(line("status"))
            second.write(line("status"))
            await read(one)
            await read(two)
            async with connected(path) as (third, _):
                assert (await read(third))["error"]["kind"] == "LimitExceeded"  # type: ignore[index]
        await until(lambda: not server._clients)
        assert (await ask(path, "status"))["ok"] is True


async def test_a_stream_ends_with_its_client_even_when_there_is_nothing_to_send() -> None:
    async with serving() as (path, desk, _):
        async with connected(path) as (reader, writer):
            writer.write(line("log.follow"))
            replies = [await read(reader) for _ in range(3)]
            assert [(reply["more"], reply["result"]) for reply in replies] == [
                (True, {"number": number}) for number in range(3)
            ]
        await asyncio.wait_for(desk.closed.wait(), 5)


async def test_stopping_lets_a_command_under_way_finish_and_ends_the_rest() -> None:
    async with serving() as (path, desk, server):
        async with connected(path) as (reader, writer), connected(path) as (idle, _), connected(path) as (tail, follow):
            follow.write(line("log.follow"))
            await read(tail)
            writer.write(line("freeze"))
            await asyncio.wait_for(desk.started.wait(), 5)
            async with asyncio.TaskGroup() as group:
                stopping = group.create_task(server.stop())
                assert await idle.read() == b""
                assert not stopping.done()
                desk.release.set()
                assert (await read(reader))["ok"] is True
        assert not path.exists()
        await server.stop()


async def test_stopping_does_not_wait_for_ever() -> None:
    async with serving(timeout_seconds=0.05) as (path, desk, server), connected(path) as (reader, writer):
        writer.write(line("freeze"))
        await asyncio.wait_for(desk.started.wait(), 5)
        await asyncio.wait_for(server.stop(), 5)
        assert await reader.read() == b""
        assert not desk.ended.is_set()


async def test_a_client_that_leaves_does_not_stop_what_it_asked_for() -> None:
    async with serving() as (path, desk, _):
        async with connected(path) as (_, writer):
            writer.write(line("freeze"))
            await asyncio.wait_for(desk.started.wait(), 5)
        desk.release.set()
        await asyncio.wait_for(desk.ended.wait(), 5)


async def test_the_socket_has_its_mode_and_goes_with_the_server() -> None:
    async with serving(mode=0o660) as (path, _, server):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        await server.stop()
        assert not path.exists()


async def test_a_socket_that_a_dead_daemon_left_is_replaced() -> None:
    with tempfile.TemporaryDirectory(prefix="teagent-") as directory:
        path = Path(directory) / "teagent.sock"
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        server = ControlServer(path, Desk().commands())
        await server.start()
        assert (await ask(path, "status"))["ok"] is True
        await server.stop()


async def test_a_live_daemons_socket_is_never_taken() -> None:
    async with serving() as (path, _, _):
        second = ControlServer(path, {})
        with pytest.raises(TeagentError, match="another teagent is running"):
            await second.start()
        await second.stop()
        assert (await ask(path, "status"))["ok"] is True


async def test_a_file_in_the_sockets_place_is_left_alone() -> None:
    with tempfile.TemporaryDirectory(prefix="teagent-") as directory:
        path = Path(directory) / "teagent.sock"
        path.write_text("precious")
        with pytest.raises(TeagentError, match="is no socket"):
            await ControlServer(path, {}).start()
        assert path.read_text() == "precious"


@pytest.mark.parametrize(
    ("place", "words"),
    [("missing/teagent.sock", "no such file or directory"), ("x" * 120, "too long")],
)
async def test_a_place_that_cannot_be_bound_is_named(place: str, words: str) -> None:
    with tempfile.TemporaryDirectory(prefix="teagent-") as directory, pytest.raises(TeagentError, match=words):
        await ControlServer(Path(directory) / place, {}).start()


async def test_a_group_that_does_not_exist_is_named() -> None:
    with tempfile.TemporaryDirectory(prefix="teagent-") as directory:
        server = ControlServer(Path(directory) / "t.sock", {}, group="no-such-group")
        with pytest.raises(TeagentError, match="there is no group no-such-group"):
            await server.start()


# The system's own: the one of a virtual environment may lie where nobody can't read.
PYTHON = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
CLIENT = """
import socket, sys
peer = socket.socket(socket.AF_UNIX)
peer.connect(sys.argv[1])
peer.sendall(sys.argv[2].encode() + b"\\n")
print(peer.makefile().readline(), end="")
"""


async def as_nobody(path: Path, command: str) -> dict[str, object]:
    request = line(command).decode().strip()
    done = await asyncio.to_thread(
        subprocess.run,
        [PYTHON, "-c", CLIENT, str(path), request],
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        capture_output=True,
        text=True,
        timeout=20,
        cwd="/",
        check=True,
    )
    document = json.loads(done.stdout)
    assert isinstance(document, dict)
    return document


@pytest.mark.skipif(not ROOT, reason="becoming another user takes root")
async def test_another_user_may_read_and_may_not_change() -> None:
    async with serving(approvers=("no-such-group",)) as (path, desk, server):
        assert (await as_nobody(path, "status"))["ok"] is True
        assert desk.actors[0].uid == NOBODY
        refused = await as_nobody(path, "thaw")
        assert refused["error"]["kind"] == "NotAuthorised"  # type: ignore[index]
        assert server.counters["not_authorised"] == 1


@pytest.mark.skipif(not ROOT, reason="becoming another user takes root")
async def test_a_user_in_an_approvers_group_may_change() -> None:
    group = grp.getgrgid(pwd.getpwuid(NOBODY).pw_gid).gr_name
    async with serving(approvers=(group,)) as (path, _, _):
        assert (await as_nobody(path, "thaw"))["ok"] is True
