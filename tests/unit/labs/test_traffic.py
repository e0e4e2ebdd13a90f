"""The lab's traffic: its counting by values, and both ends over loopback."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from labs.traffic import CATCH_UP_SECONDS, Heard, Pace, Receiver, Sent, rate_bps

TRAFFIC = Path(__file__).resolve().parents[3] / "labs" / "traffic.py"


def test_a_rate_is_a_number_with_its_unit() -> None:
    assert [rate_bps(text) for text in ("500bps", "1.5kbps", "4Mbps", "0.1Gbps")] == [500, 1500, 4e6, 1e8]


@pytest.mark.parametrize("text", ["4", "4M", "-1Mbps", "0Mbps", "10Gbps", "", "nan bps"])
def test_a_rate_that_is_none_or_too_much_for_a_lab_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a rate|is outside of what a lab is for"):
        rate_bps(text)


def test_the_pace_is_kept_over_uneven_ticks() -> None:
    pace = Pace(333.3)
    ticks = [n * 0.0071 for n in range(1, 1001)]
    assert sum(pace.due(at) for at in ticks) == pytest.approx(333.3 * 7.1, abs=1)
    assert pace.skipped == 0


def test_a_stall_never_becomes_a_burst() -> None:
    pace = Pace(1000)
    assert pace.due(2.0) == 1000 * CATCH_UP_SECONDS
    assert pace.skipped == 2000 - 1000 * CATCH_UP_SECONDS
    assert pace.due(1.0) == 0  # a clock that steps back sends nothing


def test_a_second_nobody_answered_for_has_no_loss_rather_than_none() -> None:
    counts = Sent(sent={0: 10, 1: 10})
    assert counts.second(0) == {"second": 0, "sent": 10, "received": None, "lost": None, "loss": None}
    assert counts.whole() == {"seconds": 2, "sent": 20, "received": None, "lost": None, "loss": None}


def test_an_answer_tells_of_the_seconds_that_it_counts_and_of_the_settled_ones() -> None:
    counts = Sent(sent={0: 10, 1: 10, 2: 10, 3: 10})
    counts.answer(1, [8, 10], 18, settled=0)
    assert [counts.second(n)["lost"] for n in range(4)] == [10, 2, 0, None]
    assert counts.second(1)["loss"] == 0.2
    assert counts.whole() == {"seconds": 4, "sent": 40, "received": 18, "lost": 22, "loss": 0.55}


def test_an_older_answer_takes_nothing_back() -> None:
    counts = Sent(sent={0: 10})
    counts.answer(0, [10], 10, settled=-1)
    counts.answer(0, [4], 4, settled=-1)
    assert (counts.second(0)["received"], counts.whole()["received"]) == (10, 10)


def test_a_receiver_counts_gaps_as_lost_until_what_is_late_has_come() -> None:
    heard = Heard()
    for number in (0, 1, 4):
        heard.take(number, 0, 100)
    assert heard.tell() == {"received": 3, "lost": 2, "late": 0, "bytes": 300}
    heard.take(2, 0, 100)
    heard.take(5, 1, 100)
    assert heard.tell() == {"received": 2, "lost": -1, "late": 1, "bytes": 200}
    assert heard.tell() == {"received": 0, "lost": 0, "late": 0, "bytes": 0}
    assert (heard.in_all, heard.idle_seconds) == (5, 1)


def free_port() -> int:
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.mark.slow
def test_a_sender_that_is_stopped_knows_what_each_address_of_the_receiver_got() -> None:
    port, heard, stop = free_port(), list[dict[str, Any]](), threading.Event()
    receiver = Receiver(["127.0.0.1", "127.0.0.2"], port=port, write=heard.append)
    running = threading.Thread(target=lambda: receiver.run(seconds=60, stopped=stop.is_set))
    running.start()
    # nobody listens at the third address: its ICMP errors must not hurt the others
    flows = ["--flow", "127.0.0.1=1Mbps", "--flow", "127.0.0.2=200kbps", "--flow", "127.0.0.3=200kbps"]
    command = [sys.executable, str(TRAFFIC), "send", "--port", str(port), "--seconds", "3600", *flows]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sender:
        try:
            while {line["destination"] for line in heard} != {"127.0.0.1", "127.0.0.2"}:
                assert running.is_alive()
                stop.wait(0.02)
            sender.send_signal(signal.SIGTERM)
            out, _ = sender.communicate(timeout=30)
        finally:
            sender.kill()
            stop.set()
            running.join()
            receiver.close()
    assert sender.returncode == 0
    told = {row["destination"]: row for row in map(json.loads, out.splitlines()) if row.get("summary")}
    for address in ("127.0.0.1", "127.0.0.2"):
        assert (told[address]["lost"], told[address]["loss"], told[address]["source"]) == (0, 0.0, "127.0.0.1")
        assert told[address]["sent"] == sum(line["received"] for line in heard if line["destination"] == address) > 0
    assert told["127.0.0.3"]["sent"] > 0
    assert told["127.0.0.3"]["received"] is None


def test_a_receiver_is_not_moved_by_what_is_not_its_traffic() -> None:
    port, told = free_port(), list[dict[str, Any]]()
    receiver = Receiver(["127.0.0.1"], port=port, write=told.append)
    packet = struct.Struct("!4sQQI")
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        late = packet.pack(b"TEld", 1, 1, 2**32 - 1)  # a second that no flow reaches would grow the counts without end
        for data in (b"", b"TEld", os.urandom(100), late, packet.pack(b"TEld", 7, 0, 0)):
            sock.sendto(data, ("127.0.0.1", port))
        receiver.run(seconds=0.05, stopped=lambda: False)
        answer = sock.recv(2048)
    receiver.close()
    assert [line["received"] for line in told] == [1]
    assert struct.unpack("!4sQIQI", answer) == (b"TEla", 7, 0, 1, 1)


def test_a_receiver_that_cannot_have_its_address_says_so() -> None:
    done = subprocess.run(
        [sys.executable, str(TRAFFIC), "receive", "--listen", "192.0.2.1", "--seconds", "1"],
        capture_output=True,
        text=True,
        timeout=10,
    )
    assert (done.returncode, done.stderr) == (1, "error: cannot assign requested address\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["send", "--seconds", "9999", "--flow", "127.0.0.1=1Mbps"], "is not a time from 0 to 3600 seconds"),
        (["send", "--seconds", "1", "--flow", "127.0.0.1"], "'127.0.0.1' is not ADDRESS=RATE"),
        (["send", "--seconds", "1", "--flow", "127.0.0.1=1Tbps"], "'1Tbps' is not a rate"),
        (["receive", "--seconds", "1"], "the following arguments are required: --listen"),
    ],
)
def test_a_wrong_argument_is_refused_with_its_reason(words: list[str], said: str) -> None:
    done = subprocess.run([sys.executable, str(TRAFFIC), *words], capture_output=True, text=True, timeout=10)
    assert done.returncode == 2
    assert said in done.stderr
