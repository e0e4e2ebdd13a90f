"""What an operator gets wrong: one clear message each, its exit code, and nothing is left running."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable

import pytest

from tests.integration.running import ENVIRONMENT, Router, Site, teagent

pytestmark = pytest.mark.slow


def broken_yaml(where: Site) -> None:
    where.config.write_text("version: 1\nlocal: {asn: 64510\nlinks: [\n")


def unknown_router(where: Site) -> None:
    where.links[1] = ("transit-b", "edge9", "lo1")
    where.write()


def unset_secret(where: Site) -> None:
    where.routers = [Router("edge1", "127.0.0.1", 1161, 'version: 2c, community: "env:NOT_SET_ANYWHERE"')]
    where.write()


def no_file(where: Site) -> None:
    where.config.unlink()


def broken_policy(where: Site) -> None:
    where.policy = where.policy.replace("above: 80%", "above: 80")
    where.write()


def several(where: Site) -> None:
    where.capacity = "fast"
    where.poll = "{interval: 10}"
    where.write()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (broken_yaml, ["config.yaml:3"]),
        (unknown_router, ["links.transit-b.router", "edge9", "edge1"]),
        (unset_secret, ["routers.edge1.snmp.community", "the environment variable NOT_SET_ANYWHERE is not set"]),
        (no_file, ["config.yaml"]),
        (broken_policy, ["10-relief.yaml:", "when.above", "80 has no unit"]),
        (several, ["links.transit-a.capacity", "links.transit-b.capacity", "poll.interval", "3 problems in"]),
    ],
)
def test_a_bad_configuration_is_told_with_its_place_and_nothing_is_started(
    place: Site, spoil: Callable[[Site], None], told: list[str]
) -> None:
    spoil(place)
    done = teagent(place, "run", "--config", str(place.config))
    assert done.returncode == 3
    for words in told:
        assert words in done.stderr
    assert done.stderr.rstrip().endswith("Nothing was started.") or "hint:" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (place.directory / "teagent.db").exists()


def test_a_metrics_port_that_is_taken_ends_the_start_and_what_was_started(place: Site) -> None:
    with socket.create_server(("127.0.0.1", place.metrics_port)):
        done = teagent(place, "run", "--config", str(place.config))
    assert done.returncode == 1
    message = f"error: metrics cannot be served on 127.0.0.1:{place.metrics_port}: address already in use"
    assert message in done.stderr
    assert "hint:  metrics.listen in the configuration" in done.stderr
    assert "Traceback" not in done.stderr
    assert not place.socket.exists()


def test_a_store_directory_that_is_missing_is_told(place: Site) -> None:
    place.store = "absent/teagent.db"
    place.write()
    done = teagent(place, "run", "--config", str(place.config))
    assert done.returncode == 1
    assert "absent/teagent.db cannot be opened for writing: no such file or directory" in done.stderr
    assert "hint:  store.path names the file" in done.stderr


@pytest.mark.parametrize("words", [["status"], ["proposal", "p-7f3c", "approve", "--yes"]])
def test_a_daemon_that_is_not_running_is_exit_4(place: Site, words: list[str]) -> None:
    done = teagent(place, *words)
    assert done.returncode == 4
    assert f"the daemon is not running: there is no socket {place.socket}" in done.stderr
    assert "systemctl start teagent" in done.stderr


def test_a_daemon_that_is_not_running_is_critical_for_monitoring(place: Site) -> None:
    done = teagent(place, "check", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["level"] == "critical"


def test_no_message_tells_a_secret(place: Site) -> None:
    place.routers = [Router("edge1", "127.0.0.1", 1161, f"version: 2c, community: {ENVIRONMENT['EDGE_COMMUNITY']}")]
    place.write()
    done = teagent(place, "run", "--config", str(place.config))
    assert done.returncode == 3
    assert ENVIRONMENT["EDGE_COMMUNITY"] not in done.stderr
    assert "env:NAME" in done.stderr
