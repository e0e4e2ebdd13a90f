"""`teagent run` as a process, in dry run, with net-snmp to poll and NetFlow datagrams to take in."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from teagent.adapters.metrics import METRICS
from tests.fakes.netflow import flow_set, netflow5, netflow9, record, record5, template
from tests.integration.running import (
    COMMUNITY,
    Router,
    RunningDaemon,
    Site,
    free_port,
    open_files,
    resident_bytes,
    send,
    site,
    teagent,
)
from tests.integration.snmp_agents import running, snmpd_command

pytestmark = pytest.mark.slow

FIELDS = ((8, 4), (12, 4), (10, 4), (1, 4), (2, 4))
HEAVY = 0xC6336407  # 198.51.100.7
OTHER = 0xCB007107  # 203.0.113.7
WRONG = "not-the-secret"
V3 = "createUser teagent SHA-256 authpass123 AES privpass123\nrouser teagent priv\n"


@contextmanager
def agent(directory: Path) -> Iterator[int]:
    """net-snmp on a port of loopback, for v2c and v3."""
    port, state = free_port(), directory / "snmpd"
    state.mkdir()
    others = ",".join(f"udp:127.0.0.{number}:{port}" for number in (2, 3, 4))
    text = f"agentaddress {others}\nrocommunity {COMMUNITY} 127.0.0.0/8\n{V3}"
    command = snmpd_command(directory / "snmpd.conf", state, port, text=text)
    if command is None:
        pytest.skip("net-snmp's snmpd is not installed")
    with running(command, port=port, community=COMMUNITY, log=directory / "snmpd.log"):
        yield port


def loopback_index() -> int:
    return socket.if_nametoindex("lo")


class Traffic:
    """Octets over loopback, so that its counters run, and the NetFlow that a router would tell of them."""

    def __init__(self, where: Site) -> None:
        self._where = where
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._sink.bind(("127.0.0.1", 0))

    def _run(self) -> None:
        sequence = 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            while not self._stop.wait(0.2):
                for _ in range(20):
                    out.sendto(bytes(1000), self._sink.getsockname())
                index = loopback_index()
                body = record(FIELDS, 0x0A000001, HEAVY, index, 14_000, 14)
                body += record(FIELDS, 0x0A000101, OTHER, index, 6_000, 6)
                sets = (flow_set(0, template(300, FIELDS)), flow_set(300, body))
                send(self._where.flows_port, [netflow9(*sets, sequence=sequence)])
                sequence += 1

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._sink.close()


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


def scrape(daemon: RunningDaemon) -> dict[str, float]:
    """Samples by name with labels, as Prometheus would take them."""
    with urllib.request.urlopen(f"http://127.0.0.1:{daemon.site.metrics_port}/metrics", timeout=5) as answer:
        text = answer.read().decode()
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line[:1] != "#"}


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
    names = {re.split(r"[{ ]", key)[0] for key in scrape(daemon)}
    assert names <= {spec.name for spec in METRICS}
    assert {"teagent_info", "teagent_link_in_bps", "teagent_router_up", "teagent_jobs_total"} <= names


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


# --- lives of their own ---------------------------------------------------------------------------------------------


@pytest.fixture
def place() -> Iterator[Site]:
    with site() as where:
        where.routers = [Router("edge1", "127.0.0.1", free_port())]
        where.links = [("transit-a", "edge1", "lo"), ("transit-b", "edge1", "lo1")]
        where.write()
        yield where


def test_sigterm_and_sigint_end_it_with_zero_and_leave_nothing(place: Site) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with RunningDaemon(place) as daemon:
            daemon.ready()
            daemon.signal(number)
            assert daemon.ended(seconds=10) == 0
            assert daemon.manager.order() == ["READY=1", "STOPPING=1"]
    assert not place.socket.exists()
    assert "Traceback" not in daemon.log()


def test_sigterm_while_it_starts_ends_it_with_zero(place: Site) -> None:
    with RunningDaemon(place) as daemon:
        daemon.until("the first sign of life", (place.directory / "teagent.db.lock").exists)
        assert daemon.stop() == 0


def test_sigterm_while_it_polls_a_router_that_is_silent_does_not_wait_for_it(place: Site) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", place.routers[0].port))
        place.poll = "{interval: 60s, timeout: 50s, retries: 0, stale_after: 90s}"
        place.policy = place.policy.replace("for: 5s", "for: 60s").replace("for: 30s", "for: 180s")
        place.policy = place.policy.replace("window: 90s", "window: 10m")
        place.window = "60s"
        place.write()
        with RunningDaemon(place) as daemon:
            daemon.ready()
            silent.recv(4096)  # it asks
            assert daemon.stop(seconds=10) == 0


def test_sigterm_with_a_client_that_follows_the_log_does_not_wait_for_it(place: Site) -> None:
    with RunningDaemon(place) as daemon, socket.socket(socket.AF_UNIX) as client:
        daemon.ready()
        client.connect(str(place.socket))
        client.sendall(b'{"version": 1, "id": 1, "command": "log.follow", "arguments": {}}\n')
        assert daemon.stop(seconds=10) == 0


def test_a_reload_takes_a_good_file_and_keeps_the_old_one_over_a_bad_one(place: Site) -> None:
    with RunningDaemon(place) as daemon:
        daemon.ready()
        place.capacity = "2Gbps"
        place.write()
        daemon.signal(signal.SIGHUP)
        daemon.until("the reload", lambda: daemon.manager.order() == ["READY=1", "RELOADING=1", "READY=1"])
        assert daemon.call("link.show", name="transit-a")["capacity_bps"] == 2_000_000_000
        moment = next(text for text in daemon.manager.heard if text.startswith("RELOADING"))
        assert "MONOTONIC_USEC=" in moment

        place.config.write_text(place.text().replace("2Gbps", "2 bananas") + "\nnonsense: 1\n")
        daemon.signal(signal.SIGHUP)
        daemon.until("the refusal", lambda: "the old one stays" in daemon.log())
        assert daemon.call("link.show", name="transit-a")["capacity_bps"] == 2_000_000_000
        daemon.until("ready again", lambda: daemon.manager.told("READY=1") == 3)

        asked = teagent(place, "config", "reload")
        assert asked.returncode == 3
        assert "links.transit-a.capacity: '2 bananas' is not a rate" in asked.stderr
        assert "nonsense: unknown key" in asked.stderr
        as_json = teagent(place, "config", "reload", "--json")
        assert json.loads(as_json.stderr)["error"]["exit_code"] == 3

        place.write()
        assert teagent(place, "config", "reload").returncode == 0
        daemon.until("the reload", lambda: daemon.manager.told("RELOADING=1") == 3)
        assert daemon.stop() == 0


def test_memory_threads_and_files_do_not_grow_over_reloads(place: Site) -> None:
    with RunningDaemon(place) as daemon:
        daemon.ready()

        def reload(times: int) -> None:
            for _ in range(times):
                ready = daemon.manager.told("READY=1")
                daemon.signal(signal.SIGHUP)
                daemon.until("the reload", lambda ready=ready: daemon.manager.told("READY=1") > ready)

        reload(4)
        files, threads, resident = open_files(daemon.pid), threads_of(daemon.pid), resident_bytes(daemon.pid)
        reload(16)
        assert open_files(daemon.pid) <= files + 1
        assert threads_of(daemon.pid) <= threads + 1
        assert resident_bytes(daemon.pid) - resident < 4 * 1024 * 1024
        assert daemon.stop() == 0


def threads_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def test_a_killed_daemon_leaves_nothing_that_keeps_the_next_from_starting(place: Site) -> None:
    with RunningDaemon(place) as first:
        first.ready()
        first.signal(signal.SIGKILL)
        first.ended()
    assert place.socket.exists()
    asked = teagent(place, "status")
    assert asked.returncode == 4
    assert "nobody listens on" in asked.stderr
    with RunningDaemon(place) as second:
        second.ready()
        assert second.answers()
        assert second.stop() == 0


def test_wrong_secrets_are_told_for_each_version(place: Site) -> None:
    key = 'key: "env:EDGE_COMMUNITY"'
    with agent(place.directory) as port:
        place.routers = [
            Router("right", "127.0.0.1", port),
            Router("community", "127.0.0.2", port, 'version: 2c, community: "env:WRONG"'),
            Router("user", "127.0.0.3", port, "version: 3, user: nobody"),
            Router("auth", "127.0.0.4", port, f"version: 3, user: teagent, auth: {{protocol: sha256, {key}}}"),
        ]
        place.links = [(f"transit-{router.name}", router.name, "lo") for router in place.routers]
        place.policy = place.policy.replace("transit-a", "transit-right")
        place.write()
        with RunningDaemon(place, environment={"WRONG": WRONG}) as daemon:
            daemon.ready()
            daemon.until("all polled", lambda: "not polled yet" not in reasons(daemon).values())
            told = reasons(daemon)
            assert told["right"] == ""
            assert "gave no SNMP answer" in told["community"]
            assert "user nobody" in told["user"]
            assert "refuses the authentication of user teagent" in told["auth"]
            assert daemon.stop() == 0
            assert "a wrong community looks the same" in daemon.log()
            assert COMMUNITY not in daemon.log()
            assert WRONG not in daemon.log()


def reasons(daemon: RunningDaemon) -> dict[str, str]:
    rows = daemon.call("router.list")["routers"]
    return {row["name"]: row["poll"].get("no_data", {}).get("reason", "") for row in rows}


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting takes root")
def test_a_full_disk_stops_proposals_and_no_poll() -> None:
    with site() as where, agent(where.directory) as port:
        disk = where.directory / "disk"
        disk.mkdir()
        mount(disk)
        try:
            where.routers = [Router("edge1", "127.0.0.1", port)]
            where.links = [("transit-a", "edge1", "lo"), ("transit-b", "edge1", "lo1")]
            where.store = "disk/teagent.db"
            where.write()
            with RunningDaemon(where) as daemon:
                daemon.ready()
                daemon.until("a load", lambda: daemon.call("link.show", name="transit-a")["state"] != "no_data")
                fill(disk)
                daemon.until("the trouble", lambda: "cannot be written" in json.dumps(daemon.call("check")), seconds=60)
                before = scrape(daemon)["teagent_polls_total"]
                daemon.until("more polls", lambda: scrape(daemon)["teagent_polls_total"] > before + 2)
                # the link is the loopback: how full it is depends on what else runs on this machine
                assert daemon.call("link.show", name="transit-a")["state"] in {"ok", "above_target"}
                assert scrape(daemon)["teagent_store_failures_total"] > 0
                refused = teagent(where, "freeze", "--reason", "the disk is full")
                assert refused.returncode == 1
                assert "frozen, but a restart would forget it" in refused.stderr
                assert daemon.call("status")["frozen"]["reason"] == "the disk is full"
                heard = daemon.manager.told("WATCHDOG=1")
                daemon.until("heartbeats", lambda: daemon.manager.told("WATCHDOG=1") > heard + 1)
                (disk / "others").unlink()
                daemon.until("room", lambda: "cannot be written" not in json.dumps(daemon.call("check")))
                assert daemon.log().count("utilisation cannot be stored") == 1
                assert daemon.stop() == 0
        finally:
            unmount(disk)


def mount(disk: Path) -> None:
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=800k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("a tmpfs cannot be mounted here")


def unmount(disk: Path) -> None:
    subprocess.run(["umount", str(disk)], check=True)


def fill(disk: Path) -> None:
    file = os.open(disk / "others", os.O_WRONLY | os.O_CREAT)
    try:
        with contextlib.suppress(OSError):
            while os.write(file, bytes(1024)):
                pass
    finally:
        os.close(file)


def test_exporters_that_start_anew_are_followed_and_bursts_are_bounded(place: Site) -> None:
    with RunningDaemon(place) as daemon:
        daemon.ready()
        for size in (4, 8):  # the same template number, another layout, as after an exporter's restart
            fields = ((8, 4), (12, 4), (10, 4), (1, size), (2, 4))
            body = record(fields, 1, HEAVY, 1, 1500, 1)
            send(place.flows_port, [netflow9(flow_set(0, template(300, fields)), flow_set(300, body), sequence=0)])
        daemon.until("both", lambda: daemon.call("exporter.list")["exporters"][0]["records"] == 2)
        # Two thousand templates of two thousand sources: memory stays.
        before = resident_bytes(daemon.pid)
        flood = [
            netflow9(flow_set(0, b"".join(template(256 + n, FIELDS) for n in range(30))), source=source)
            for source in range(2000)
        ]
        send(place.flows_port, flood)
        # And a burst of many more datagrams than are queued.
        burst = netflow5(*[record5(src=n, dst=HEAVY) for n in range(30)])
        send(place.flows_port, [burst] * 40_000)
        daemon.until("it answers", daemon.answers)
        assert resident_bytes(daemon.pid) - before < 200 * 1024 * 1024
        assert daemon.stop() == 0
        assert "Traceback" not in daemon.log()
