"""The relay as ExaBGP's process: clients that misbehave, signals, crashes, restarts; no router is needed for these."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.integration.exabgp_on_loopback import ALLOW, exabgp_on_loopback, free_port, program, until

pytestmark = pytest.mark.slow

PREFIX = "198.51.100.0/24"
VECTOR = [{"link_id": 1, "prepend": 1}, {"link_id": 2, "prepend": 0}]


@pytest.fixture
def exabgp():
    with exabgp_on_loopback(port=free_port()) as exabgp:
        exabgp.start()
        exabgp.ready(session="down")
        yield exabgp


def rss_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


def test_the_socket_is_for_its_owner_and_group_only(exabgp):
    assert exabgp.socket.stat().st_mode & 0o777 == 0o660
    assert exabgp.journal.stat().st_mode & 0o777 == 0o640


def test_without_a_session_an_announcement_is_down_and_leaves_no_record(exabgp):
    answer = exabgp.ask("announce", prefix=PREFIX, signals=VECTOR, owner="p-1", deadline=None)
    assert (answer["error"]["kind"], answer["error"]["rule"]) == ("down", "session")
    assert exabgp.state()["overrides"] == []


def test_junk_is_answered_and_does_not_disturb_the_next_request(exabgp):
    with exabgp.client() as client:
        for raw in (b"\n", b"GET / HTTP/1.1\r\n", b"\xff\x00\n", b"[" * 10_000 + b"\n", b'{"version":1,"id":1}\n'):
            assert client.say(raw)["error"]["kind"] == "bad_request"
        assert client.ask("state")["ok"]


def test_a_line_without_an_end_is_cut_off_and_answered(exabgp):
    with exabgp.client() as client:
        client.socket.sendall(b"x" * 200_000)
        assert client.line()["error"]["rule"] == "line_length"
    assert exabgp.ask("state")["ok"]


def test_a_daemon_that_floods_and_never_reads_holds_up_nobody(exabgp):
    pid = exabgp.relay_pid()
    before = rss_kib(pid)
    request = json.dumps({"version": 1, "id": 1, "do": "announce", "prefix": PREFIX, "signals": VECTOR, "owner": "x"})
    with exabgp.client(timeout_seconds=0.2) as flooding:
        with pytest.raises(TimeoutError):
            flooding.socket.sendall((request.encode() + b"\n") * 100_000)
        started = time.monotonic()
        assert exabgp.ask("state")["ok"]
        assert time.monotonic() - started < 2
    assert exabgp.relay_pid() == pid
    assert rss_kib(pid) < before + 20_000


def test_a_daemon_that_floods_and_reads_is_served_and_memory_stays_flat(exabgp):
    pid = exabgp.relay_pid()
    with exabgp.client() as client:
        for _ in range(500):
            client.ask("announce", prefix=PREFIX, signals=VECTOR, owner="x", deadline=None)
        before = rss_kib(pid)
        for _ in range(5000):
            client.ask("announce", prefix=PREFIX, signals=VECTOR, owner="x", deadline=None)
        assert client.ask("state")["state"]["counters"]["answers_down"] == 5500
    assert rss_kib(pid) < before + 2000


def test_more_clients_than_there_is_room_for_are_told_and_the_others_go_on(exabgp):
    clients = [exabgp.client() for _ in range(32)]
    try:
        until(lambda: clients[0].ask("state")["state"]["clients"] == 32)
        with exabgp.client() as late:
            assert late.line()["error"]["rule"] == "clients"
        assert clients[-1].ask("state")["ok"]
    finally:
        for client in clients:
            client.__exit__()


def test_a_client_that_leaves_in_the_middle_is_forgotten(exabgp):
    for _ in range(50):
        with exabgp.client() as client:
            client.socket.sendall(b'{"version":1,"id":1,"do":"sta')
    exabgp.eventually(lambda state: state["clients"] == 1, what="one client")


def test_sigterm_ends_the_relay_cleanly_and_exabgp_starts_another(exabgp):
    pid = exabgp.relay_pid()
    os.kill(pid, signal.SIGTERM)
    until(lambda: pid not in exabgp.relays(), what="the end")
    assert exabgp.ready(session="down")["pid"] != pid
    assert "teagent-relay: stopped" in exabgp.log()
    assert "Traceback" not in exabgp.log()


def test_killed_again_and_again_the_relay_pauses_before_exabgp_gives_up(exabgp):
    for _ in range(3):
        os.kill(exabgp.ready(session="down") and exabgp.relay_pid(), signal.SIGKILL)
        time.sleep(0.2)
    until(lambda: "started too often, waiting" in exabgp.log(), what="the pause")
    assert exabgp.running()


def test_the_frozen_state_survives_the_relays_death(exabgp):
    answer = {"version": 1, "id": 1, "ok": True, "frozen": True, "freeze_file": False}
    assert exabgp.ask("freeze") == answer
    os.kill(exabgp.relay_pid(), signal.SIGKILL)
    assert exabgp.ready(session="down")["frozen"]
    assert exabgp.ask("thaw")["frozen"] is False


def test_the_freeze_file_freezes_without_anybody_asking(exabgp):
    file = exabgp.directory / "freeze"
    file.touch()
    assert exabgp.ask("thaw")["frozen"] is True
    answer = exabgp.ask("announce", prefix=PREFIX, signals=VECTOR, owner="x", deadline=None)
    assert answer["error"]["rule"] == "frozen"
    file.unlink()
    assert exabgp.state()["frozen"] is False


def test_an_allow_list_that_anybody_could_write_is_not_used(exabgp):
    exabgp.allow.chmod(0o666)
    state = exabgp.eventually(lambda state: state["allow_list"]["problem"] is not None, what="the problem")
    assert "others than its owner may write it" in state["allow_list"]["problem"]
    exabgp.allow.chmod(0o644)
    exabgp.eventually(lambda state: state["allow_list"]["problem"] is None, what="the list's return")


def test_a_relay_without_a_good_allow_list_runs_and_refuses_and_recovers(exabgp):
    exabgp.allow.write_text("{")
    os.kill(exabgp.relay_pid(), signal.SIGKILL)
    state = exabgp.eventually(lambda state: state["allow_list"]["problem"] is not None, what="the problem")
    assert "not JSON" in state["allow_list"]["problem"]
    answer = exabgp.ask("announce", prefix=PREFIX, signals=VECTOR, owner="p-1", deadline=None)
    assert answer["error"]["rule"] == "allow_list"
    exabgp.allow.write_text(json.dumps(ALLOW))
    exabgp.eventually(lambda state: state["allow_list"]["problem"] is None, what="the new list")


@pytest.mark.parametrize("arguments", [[], ["--allow", "x"], ["--allow", "x", "--journal", "y", "--bogus"]])
def test_wrong_arguments_are_an_error_once_stdin_has_ended(arguments):
    done = subprocess.run(
        [program("teagent-relay"), *arguments], input=b"", capture_output=True, timeout=20, check=False
    )
    assert done.returncode == 2
    assert b"usage: teagent-relay" in done.stderr


def test_wrong_arguments_under_exabgp_do_not_end_it_by_dying_six_times():
    process = subprocess.Popen(
        [program("teagent-relay"), "--bogus"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process:
        assert process.stderr is not None
        assert process.stderr.readline()
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)
        process.communicate(b"")
    assert process.returncode == 2


def test_a_second_relay_on_the_same_journal_waits_for_the_first_to_end(exabgp):
    arguments = ["--allow", exabgp.allow, "--journal", exabgp.journal, "--socket", exabgp.directory / "second.sock"]
    with subprocess.Popen(
        [program("teagent-relay"), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as second:
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(timeout=1.5)
        assert not (exabgp.directory / "second.sock").exists()
        second.communicate(b"")
    assert second.returncode == 0


def test_a_dry_run_prints_line_by_line_what_would_be_sent_or_why_not(tmp_path):
    allow = tmp_path / "allow.json"
    allow.write_text(json.dumps(ALLOW))
    request = {"version": 1, "id": 1, "do": "announce", "prefix": PREFIX, "owner": "p-1", "deadline": None}
    lines = [
        {**request, "signals": VECTOR},
        {**request, "signals": [{"link_id": 1, "prepend": 5}, {"link_id": 2, "prepend": 0}]},
        {**request, "prefix": "8.8.8.0/24", "signals": VECTOR},
        {"version": 1, "id": 2, "do": "withdraw", "prefix": PREFIX, "owner": "p-1"},
        {"version": 1, "id": 3, "do": "state"},
    ]
    done = subprocess.run(
        [program("teagent-relay"), "--dry-run", "--allow", allow],
        input="\n".join(json.dumps(line) for line in lines) + "\nnonsense\n",
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    route = "neighbor 127.0.0.1 announce route 198.51.100.0/24 next-hop 192.0.2.254"
    assert done.stdout.splitlines() == [
        f"1: {route} large-community [ 64500:1:11 64500:1:20 ]",
        "2: refused: max_prepend: too many prepends on link 1 (value 5, limit 3)",
        "3: refused: prefix: 8.8.8.0/24 is not on the allow-list",
        "4: neighbor 127.0.0.1 withdraw route 198.51.100.0/24",
        "5: nothing is sent for this request",
        "6: bad_request: json: the request is not one JSON document: Expecting value: line 1 column 1 (char 0)",
    ]


def test_a_dry_run_with_a_bad_allow_list_says_what_is_wrong(tmp_path):
    done = subprocess.run(
        [program("teagent-relay"), "--dry-run", "--allow", tmp_path / "none.json"],
        input=b"",
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stderr) == (3, b"error: none.json: No such file or directory\n")


def test_the_socket_of_a_relay_that_is_gone_refuses_at_once(exabgp):
    exabgp.kill()
    with socket.socket(socket.AF_UNIX) as probe, pytest.raises((FileNotFoundError, ConnectionRefusedError)):
        probe.connect(str(exabgp.socket))
