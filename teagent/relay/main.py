"""`teagent-relay`: the API process that ExaBGP runs, the last one before the routers.

Whatever goes wrong in here, ExaBGP keeps its sessions: stdin is drained from the first moment on, and a relay that
was started too often lately pauses before it does anything that could fail.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from teagent.relay.allow_list import BadAllowListError, load
from teagent.relay.custody import ROOT, owner_named
from teagent.relay.dry_run import dry_run
from teagent.relay.exabgp_pipe import ExabgpPipe, Intake, drain, write_now
from teagent.relay.journal import Journal
from teagent.relay.moments import SystemClock
from teagent.relay.pace import pause_seconds, record_start
from teagent.relay.relay import Relay
from teagent.relay.server import Clients, Server

LOG_LINE_MAX_BYTES = 2048


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    try:
        options = _options(arguments)
    except SystemExit as error:
        if error.code and not sys.stdin.isatty():
            drain(0, Intake())  # under ExaBGP: to exit at once, again and again, would end it
        raise
    sys.exit(_dry_run(options.allow, options.allow_owners) if options.dry_run else _serve(options))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _parser()
    options = parser.parse_args(arguments)
    if not options.dry_run and (options.journal is None or options.socket is None):
        parser.error("--journal and --socket are needed, except with --dry-run")
    try:
        options.allow_owners = frozenset({ROOT, owner_named(options.allow_owner)})
    except LookupError:
        parser.error(f"--allow-owner: this machine has no user {options.allow_owner}")
    if not 0 < options.ack_timeout <= 60:
        parser.error("--ack-timeout is not a number of seconds above 0 and up to 60")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="teagent-relay",
        description="Run by ExaBGP as its API process: passes on what teagent asks for and the allow-list allows.",
    )
    parser.add_argument("--allow", type=Path, required=True, metavar="FILE", help="the allow-list")
    parser.add_argument(
        "--allow-owner",
        default=str(ROOT),
        metavar="USER",
        help="who alone, beside root, may be able to write the allow-list, or it is not used (root)",
    )
    parser.add_argument(
        "--freeze-file", type=Path, metavar="FILE", help="while it is there, nothing new is announced; reverts go on"
    )
    parser.add_argument("--journal", type=Path, metavar="FILE", help="what should be on the wire, across restarts")
    parser.add_argument("--socket", type=Path, metavar="PATH", help="where the daemon asks")
    parser.add_argument("--socket-group", metavar="GROUP", help="the group that may ask; the process's own otherwise")
    parser.add_argument(
        "--ack-timeout", type=float, default=5.0, metavar="SECONDS", help="how long ExaBGP may take (5)"
    )
    parser.add_argument("--dry-run", action="store_true", help="read requests on stdin and print what would be sent")
    return parser


def _dry_run(path: Path, owners: frozenset[int]) -> int:
    try:
        allow = load(path)
    except BadAllowListError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - this is a command's answer
        return 3
    try:
        load(path, owners=owners)
    except BadAllowListError as error:
        print(f"note: in earnest {error}", file=sys.stderr)  # noqa: T201
    for line in dry_run(allow, sys.stdin.buffer):
        print(line, flush=True)  # noqa: T201
    return 0


def log(line: str) -> None:
    """To stderr, if that can be done without waiting; text that came from outside stays one printable line."""
    raw = f"teagent-relay: {line}".encode("ascii", "backslashreplace").replace(b"\n", b"\\n")[:LOG_LINE_MAX_BYTES]
    if select.select([], [2], [], 0)[1]:
        os.write(2, raw + b"\n")


def _serve(options: argparse.Namespace) -> int:
    os.umask(0o027)
    leaving = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: leaving.set())
    intake = Intake()
    threading.Thread(target=drain, args=(0, intake), name="drain", daemon=True).start()
    clock = SystemClock()
    starts = record_start(options.journal.with_name(options.journal.name + ".starts"), os.getppid(), clock.uptime())
    pause = pause_seconds(starts, clock.uptime())
    if pause:
        log(f"started too often, waiting  seconds={pause:.0f}")
    until = time.monotonic() + pause
    lock: int | None = None
    while time.monotonic() < until or (lock := _lock(options.journal)) is None:
        if leaving.wait(0.2) or intake.ended:
            return 0
    try:
        asyncio.run(_run(options, clock, intake))
    except Exception:  # noqa: BLE001 - the last thing that can be done is to say what it was
        log(traceback.format_exc())
        return 1
    finally:
        os.close(lock)
    return 0


def _lock(journal: Path) -> int | None:
    """Only one relay holds a journal: a dying ExaBGP's may still be there when the next one starts ours."""
    try:
        fd = os.open(journal.with_name(journal.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        log(f"lock cannot be made  path={journal}.lock reason={error.strerror}")
        time.sleep(2)
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        return None
    return fd


async def _run(options: argparse.Namespace, clock: SystemClock, intake: Intake) -> None:
    """Until ExaBGP closes our stdin or somebody sends SIGTERM. Nothing is withdrawn on the way out."""
    loop = asyncio.get_running_loop()
    leave = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, leave.set)
    pipe = ExabgpPipe(write_now(1), ack_timeout_seconds=options.ack_timeout)
    clients = Clients()
    relay = Relay(
        allow_path=options.allow,
        allow_owners=options.allow_owners,
        freeze_file=options.freeze_file,
        journal=Journal(options.journal),
        pipe=pipe,
        clock=clock,
        tell=clients.tell,
        log=log,
    )
    server = Server(path=options.socket, group=options.socket_group, relay=relay, clients=clients, log=log)

    def deliver() -> None:
        for line in intake.take():
            pipe.feed(line)
        if intake.ended:
            leave.set()

    intake.connect(lambda: loop.call_soon_threadsafe(deliver))
    log(f"started  pid={os.getpid()} exabgp={os.getppid()}")
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(relay.run()), tasks.create_task(server.run())]
        await leave.wait()
        for task in running:
            task.cancel()
    intake.connect(lambda: None)
    relay.journal.close()
    log("stopped")
