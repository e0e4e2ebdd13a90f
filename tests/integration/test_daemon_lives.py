"""`teagent run` from its start to its end: signals, reloads, kills, wrong secrets, a full disk, bursts."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.fakes.netflow import flow_set, netflow5, netflow9, record, record5, template
from tests.integration.loopback_traffic import FIELDS, HEAVY
from tests.integration.running import (
    COMMUNITY,
    Router,
    RunningDaemon,
    Site,
    open_files,
    resident_bytes,
    scrape,
    send,
    site,
    teagent,
)
from tests.integration.snmp_agents import agent

pytestmark = pytest.mark.slow

WRONG = "not-the-secret"


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


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="the C library is not glibc: it has no mallopt")
def test_its_threads_share_one_arena_of_malloc(place: Site) -> None:
    with RunningDaemon(place) as daemon:
        daemon.ready()
        daemon.until("a thread that allocates", lambda: daemon.call("link.list") and threads_of(daemon.pid) > 2)
        assert arenas_of(daemon.pid) == 0
        assert daemon.stop() == 0


def arenas_of(pid: int) -> int:
    """Besides the first one: glibc reserves 64 MiB for each, at a multiple of that, and opens them as they fill."""
    lines = [line.split() for line in Path(f"/proc/{pid}/maps").read_text().splitlines()]
    areas = [[int(edge, 16) for edge in line[0].split("-")] for line in lines]
    return sum(
        before[1] == "rw-p" and after[1] == "---p" and begin % (64 << 20) == 0 and end == begin + (64 << 20)
        for before, after, (begin, _), (_, end) in zip(lines, lines[1:], areas, areas[1:], strict=False)
    )


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
            for name, told in (
                ("right", ""),
                ("community", "gave no SNMP answer"),
                ("user", "user nobody"),
                ("auth", "refuses the authentication of user teagent"),
            ):  # one poll may be answered too late, where the machine is busy

                def said(name: str = name, told: str = told) -> bool:
                    reason = reasons(daemon)[name]
                    return told in reason if told else not reason

                daemon.until(f"{name} to be told: {told}", said)
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
