"""A real daemon learns from its windows, is killed, and knows it again; and says so on the command line."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.fakes.netflow import flow_set, netflow9, record, template
from tests.integration.loopback_traffic import OTHER, loopback_index
from tests.integration.running import Router, RunningDaemon, Site, scrape, send, site, teagent
from tests.integration.snmp_agents import agent

pytestmark = pytest.mark.slow

FIELDS = ((8, 4), (12, 4), (10, 4), (1, 4), (2, 4), (16, 4))
SENDER = 64999


@contextmanager
def exporting(where: Site) -> Iterator[None]:
    """What one AS sends, some every moment, and octets over loopback for its counters."""
    stop, sink = threading.Event(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind(("127.0.0.1", 0))

    def run() -> None:
        sequence = 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            while not stop.wait(0.2):
                for _ in range(20):
                    out.sendto(bytes(1000), sink.getsockname())
                body = record(FIELDS, 0x0A000001, OTHER, loopback_index(), 20_000, 20, SENDER)
                sets = (flow_set(0, template(300, FIELDS)), flow_set(300, body))
                send(where.flows_port, [netflow9(*sets, sequence=sequence, seconds=int(time.time()))])
                sequence += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        sink.close()


def believed(daemon: RunningDaemon) -> bool:
    done = teagent(daemon.site, "ingress", f"AS{SENDER}", "--prefix", "203.0.113.0/24", "--json")
    return done.returncode == 0 and json.loads(done.stdout)["senders"][0]["vectors"] > 0


def test_what_was_learned_survives_kill_9_and_no_change_is_scored() -> None:
    with site() as where, agent(where.directory) as port:
        where.routers = [Router("edge1", "127.0.0.1", port)]
        where.links = [("transit-a", "edge1", "lo"), ("transit-b", "edge1", "lo0")]
        # Other tests may send over the same loopback.
        where.window = "5s\n  trust: {active_timeout: 5m, coverage: {low: 1%, high: 1000%}}"
        where.policy = where.policy.replace("settle: 20s", "settle: 5s")
        (where.directory / "as-rel.txt").write_text(f"64501|{SENDER}|-1\n")
        where.extra = "as_graph: {path: as-rel.txt}"
        where.write()
        # The second link has no data, so that only what is not announced there teaches.
        alone = "{prefix: 203.0.113.0/24, home: {transit-b: withhold}}"
        where.config.write_text(where.config.read_text().replace("{prefix: 203.0.113.0/24}", alone))
        with exporting(where):
            with RunningDaemon(where) as first:
                first.ready()
                first.until("an observation", lambda: believed(first), seconds=90)
                first.signal(signal.SIGKILL)
                first.ended()
            with RunningDaemon(where) as second:
                second.ready()
                second.until("what was learned", lambda: "evidence read" in second.log())
                assert believed(second)
                second.until("a score", lambda: second.call("scorecard.list")["scorecards"], seconds=90)
                shown = teagent(where, "scorecard")
                assert "no change" in shown.stdout
                assert scrape(second)["teagent_ingress_senders"] == 1
                assert second.stop() == 0
                assert "Traceback" not in second.log()
