"""`teagent run` as a process, in dry run, with net-snmp to poll and NetFlow datagrams to take in."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator

import pytest

from teagent.adapters.metrics import METRICS
from tests.fakes.netflow import netflow5, record5
from tests.integration.loopback_traffic import HEAVY, Traffic, loopback_index
from tests.integration.running import (
    Router,
    RunningDaemon,
    free_port,
    scrape,
    send,
    site,
    teagent,
)
from tests.integration.snmp_agents import agent

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def daemon() -> Iterator[RunningDaemon]:
    """One life for all that only look: three routers, of which one is silent and one refuses, and one bad link."""
    with site() as where, agent(where.directory) as port, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.5", 0))
        where.routers = [
            Router("edge1", "127.0.0.1", port),
            Router("mute", "127.0.0.5", mute.getsockname()[1]),
            Router("refusing", "127.0.0.6", free_port()),
        ]
        where.links = [
            ("transit-a", "edge1", "lo"),
            ("transit-b", "edge1", "lo0"),
            ("transit-c", "mute", "eth1"),
            ("transit-d", "refusing", "eth1"),
        ]
        where.write()
        with RunningDaemon(where) as found, Traffic(where):
            found.ready()
            found.until("a matrix", lambda: "demands" in found.call("matrix.show")["matrix"], seconds=40)
            found.until("the breaker", lambda: polls_failed(found) >= 10, seconds=40)
            yield found
            assert found.stop() == 0
            assert "Traceback" not in found.log()


def polls_failed(daemon: RunningDaemon) -> float:
    return scrape(daemon).get("teagent_poll_failures_total", 0)


def test_a_link_that_is_there_has_a_load(daemon: RunningDaemon) -> None:
    def load() -> bool:
        # net-snmp looks at the counters every three seconds, so that a poll may see no progress.
        link = daemon.call("link.show", name="transit-a")
        return link["state"] == "ok" and link["utilisation"]["in_bps"] > 100_000

    daemon.until("a load", load)


def test_a_link_without_its_interface_has_no_data_and_near_names(daemon: RunningDaemon) -> None:
    link = daemon.call("link.show", name="transit-b")
    assert link["state"] == "no_data"
    assert "there is no interface lo0, near matches are lo" in json.dumps(link)


def test_a_router_that_is_silent_and_one_that_refuses_are_told_apart(daemon: RunningDaemon) -> None:
    rows = {row["name"]: row for row in daemon.call("router.list")["routers"]}
    assert rows["edge1"]["state"] == "ok"
    assert "gave no SNMP answer" in json.dumps(rows["mute"])
    assert "nothing listens there" in json.dumps(rows["refusing"])
    shown = teagent(daemon.site, "router", "-o", "wide")
    assert shown.returncode == 0
    assert "nothing listens there" in shown.stdout


def test_each_lost_router_is_logged_once(daemon: RunningDaemon) -> None:
    lost = re.findall(r"event=\"router gives no data\".* router=(\w+)", daemon.log())
    assert sorted(lost) == ["mute", "refusing"]


def test_after_five_failures_a_lost_router_is_left_alone_for_a_minute(daemon: RunningDaemon) -> None:
    before = scrape(daemon)
    daemon.until("more polls", lambda: scrape(daemon)["teagent_polls_total"] >= before["teagent_polls_total"] + 3)
    assert scrape(daemon)["teagent_poll_failures_total"] <= 12  # five each, and a probe at most


def test_flows_become_a_matrix_by_link_prefix_and_source(daemon: RunningDaemon) -> None:
    by_prefix: Counter[str] = Counter()  # a prefix has a row for every source AS
    for row in daemon.call("matrix.show", link="transit-a")["matrix"]["demands"]:
        by_prefix[row["prefix"]] += row["bps"]
    assert set(by_prefix) == {"198.51.100.0/24", "203.0.113.0/24"}
    assert by_prefix["198.51.100.0/24"] > by_prefix["203.0.113.0/24"] > 0


def test_the_command_line_answers_everything(daemon: RunningDaemon) -> None:
    commands = (
        ["status"],
        ["link"],
        ["link", "transit-a", "--since", "1h"],
        ["matrix"],
        ["router"],
        ["exporter"],
        ["policy"],
        ["policy", "relief", "explain"],
        ["plan"],
        ["prefix"],
        ["prefix", "198.51.100.0/24"],
        ["explain", "198.51.100.7"],
        ["proposal", "--all"],
        ["log"],
    )
    for words in commands:
        done = teagent(daemon.site, *words)
        assert (done.returncode, done.stderr) == (0, ""), words
        assert done.stdout.strip(), words
        as_json = teagent(daemon.site, *words, "--json")
        assert as_json.returncode == 0
        json.loads(as_json.stdout)


def test_monitoring_hears_of_the_lost_routers(daemon: RunningDaemon) -> None:
    done = teagent(daemon.site, "check")
    assert done.returncode == 1
    assert "mute" in done.stdout


def test_the_exporter_is_accounted_for(daemon: RunningDaemon) -> None:
    rows = {row["exporter"]: row for row in daemon.call("exporter.list")["exporters"]}
    assert rows["127.0.0.1"]["records"] > 0
    assert rows["127.0.0.1"]["router"] == "edge1"
    assert rows["127.0.0.6"]["datagrams"] == 0


def test_malformed_datagrams_and_strangers_are_counted_and_harm_nothing(daemon: RunningDaemon) -> None:
    good = netflow5(record5(src=1, dst=HEAVY, in_if=loopback_index()))
    bad = [
        b"",
        b"\0",
        b"\0\5",
        good[:30],
        b"\0\5" + bytes(2000),
        b"\0\x09" + b"\xff" * 300,
        b"\0\x0a\xff\xff" + bytes(20),
    ]
    before = scrape(daemon)
    send(daemon.site.flows_port, [*bad, good])
    send(daemon.site.flows_port, [good], source="127.0.0.77")

    def counted() -> bool:
        now = scrape(daemon)
        undecoded = sum(now[key] - before.get(key, 0) for key in now if key.startswith("teagent_flow_undecoded_total"))
        strangers = 'teagent_flow_dropped_total{reason="unknown_exporter"}'
        return undecoded >= len(bad) - 1 and now[strangers] - before.get(strangers, 0) == 1

    daemon.until("the bad ones counted", counted)
    assert "Traceback" not in daemon.log()
    assert len(re.findall("level=(?:warning|error).*flow", daemon.log())) <= 1  # never one for each datagram


def test_metrics_are_those_of_the_table(daemon: RunningDaemon) -> None:
    def names() -> set[str]:
        return {re.split(r"[{ ]", key)[0] for key in scrape(daemon)}

    # some are there once routers have been read, which this daemon may be about to do for the first time
    wanted = {"teagent_info", "teagent_link_in_bps", "teagent_router_up", "teagent_jobs_total"}
    daemon.until("metrics of what was read", lambda: wanted <= names())
    assert names() <= {spec.name for spec in METRICS}


def test_the_service_manager_hears_that_it_lives(daemon: RunningDaemon) -> None:
    assert daemon.manager.order()[0] == "READY=1"
    heard = daemon.manager.told("WATCHDOG=1")
    daemon.until("a heartbeat", lambda: daemon.manager.told("WATCHDOG=1") > heard)
    assert daemon.manager.told("STATUS=") >= 1


def test_a_second_daemon_on_the_same_store_is_refused(daemon: RunningDaemon) -> None:
    done = teagent(daemon.site, "run", "--config", str(daemon.site.config))
    assert done.returncode == 1
    assert f"another teagent holds it (pid {daemon.pid})" in done.stderr
    assert "hint:" in done.stderr
    assert daemon.answers()


@pytest.mark.skipif(os.geteuid() != 0, reason="takes root to become somebody else")
def test_somebody_else_may_look_and_not_touch(daemon: RunningDaemon) -> None:
    os.chmod(daemon.site.directory, 0o755)  # noqa: PTH101
    probe = """
import json, socket, sys
s = socket.socket(socket.AF_UNIX); s.settimeout(20); s.connect(sys.argv[1])
for number, command in enumerate(("status", "freeze")):
    s.sendall(json.dumps({"version": 1, "id": number, "command": command, "arguments": {}}).encode() + b"\\n")
reader = s.makefile()
print(reader.readline(), reader.readline())
"""
    done = subprocess.run(
        [
            "setpriv",
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "/usr/bin/python3",
            "-c",
            probe,
            str(daemon.site.socket),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    status, freeze = (json.loads(line) for line in done.stdout.split("\n") if line.strip())
    assert status["ok"] is True
    assert freeze["error"]["kind"] == "NotAuthorised"
