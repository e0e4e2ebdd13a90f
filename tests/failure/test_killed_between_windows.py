"""kill -9 of a real daemon that takes flows in: what has closed is there, and the open window is what is lost."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from teagent.adapters.store.sqlite import SqliteStore
from teagent.model.traffic import MatrixSpan
from teagent.model.units import format_time, parse_time
from tests.fakes.netflow import netflow5, record5
from tests.integration.running import Router, RunningDaemon, Site, free_port, send, site

pytestmark = pytest.mark.slow

SPANS = {MatrixSpan.SHORT: 5, MatrixSpan.WINDOW: 10}


@contextmanager
def exporting(where: Site) -> Iterator[None]:
    """NetFlow v5, some every moment, from the address of edge1."""
    stop = threading.Event()

    def run() -> None:
        sequence = 0
        while not stop.wait(0.1):
            send(where.flows_port, [netflow5(record5(src=0xC0000209, dst=0xC6336407), sequence=sequence)])
            sequence += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def shown(daemon: RunningDaemon, span: MatrixSpan) -> str | None:
    """When the last window of the span ended, as the daemon says."""
    until = daemon.call("matrix.show", window_seconds=SPANS[span])["matrix"].get("until")
    return None if until is None else str(until)


def stored(path: Path, span: MatrixSpan, *, until: str) -> list[str]:
    async def read() -> list[str]:
        store = SqliteStore(path)
        await store.start()
        at = parse_time(until)
        found = await store.matrices(since=at - timedelta(hours=1), until=at + timedelta(hours=1), span=span)
        await store.stop()
        return [format_time(matrix.at) for matrix in found]

    return asyncio.run(read())


def test_every_window_that_was_ever_shown_is_there_after_kill_9_and_the_next_life_goes_on() -> None:
    with site() as where:
        where.routers = [Router("edge1", "127.0.0.1", free_port())]
        where.links = [("transit-a", "edge1", "lo"), ("transit-b", "edge1", "lo0")]
        where.window = f"{SPANS[MatrixSpan.WINDOW]}s\n  short_window: {SPANS[MatrixSpan.SHORT]}s"
        where.policy = where.policy.replace("for: 5s", "for: 20s")
        where.write()
        seen: dict[MatrixSpan, set[str]] = {span: set() for span in SPANS}
        with RunningDaemon(where) as daemon, exporting(where):
            daemon.ready()

            def both() -> bool:
                for span, ends in seen.items():
                    ends.update({end} if (end := shown(daemon, span)) else ())
                return len(seen[MatrixSpan.SHORT]) >= 3 and bool(seen[MatrixSpan.WINDOW])

            daemon.until("three short windows and a whole one", both)
            daemon.signal(signal.SIGKILL)
            daemon.ended()
        store = where.directory / where.store
        for span, ends in seen.items():
            assert ends <= set(stored(store, span, until=max(ends)))
        with RunningDaemon(where) as daemon, exporting(where):
            daemon.ready()
            for span, ends in seen.items():
                known = daemon.call("matrix.show", window_seconds=SPANS[span], since_seconds=600)["matrix"]
                assert known["until"] >= max(ends)
            last = max(seen[MatrixSpan.SHORT])
            daemon.until("the next short window", lambda: shown(daemon, MatrixSpan.SHORT) not in {last, None})
