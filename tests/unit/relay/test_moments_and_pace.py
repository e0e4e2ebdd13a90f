"""Deadlines across clock steps and reboots; how fast announcements and restarts may come."""

from __future__ import annotations

import pytest

from teagent.relay import moments
from teagent.relay.moments import Deadline, SystemClock
from teagent.relay.pace import TokenBucket, pause_seconds, record_start


@pytest.mark.parametrize("step", [-3600, 3600])
def test_setting_the_clock_neither_hastens_nor_delays_a_deadline(still, step):
    deadline = Deadline.at(still.wall() + 600, still)
    still.advance(100)
    still.now += step
    assert deadline.remaining(still) == pytest.approx(500)
    assert deadline.resumed(still).remaining(still) == pytest.approx(500)


def test_after_a_reboot_the_date_decides(still):
    deadline = Deadline.at(still.wall() + 600, still)
    still.advance(100)
    still.boot, still.up = "boot-2", 10.0
    assert deadline.remaining(still) == pytest.approx(500)
    resumed = deadline.resumed(still)
    still.now -= 3600
    still.up += 100
    assert resumed.remaining(still) == pytest.approx(400)


def test_after_a_reboot_with_the_clock_set_back_it_waits_no_longer_than_the_window(still):
    deadline = Deadline.at(still.wall() + 600, still)
    still.boot, still.up, still.now = "boot-2", 10.0, still.now - 86_400
    assert deadline.remaining(still) == pytest.approx(600)


def test_the_systems_uptime_never_steps_and_its_boot_has_a_name():
    clock = SystemClock()
    assert clock.boot
    assert clock.uptime() <= clock.uptime()


def test_where_the_boot_has_no_name_a_process_trusts_its_own_uptime_and_no_others(tmp_path, monkeypatch):
    monkeypatch.setattr(moments, "BOOT_ID", tmp_path / "hidden")
    ours, after_a_restart = SystemClock(), SystemClock()
    deadline = Deadline.at(ours.wall() + 600, ours)
    monkeypatch.setattr(ours, "wall", lambda: 0.0)
    monkeypatch.setattr(after_a_restart, "wall", lambda: deadline.wall - 100)
    assert deadline.remaining(ours) == pytest.approx(600, abs=5)
    assert deadline.remaining(after_a_restart) == pytest.approx(100)


def test_a_burst_is_let_through_and_then_so_many_a_minute():
    bucket = TokenBucket()
    taken = [bucket.take(0.0, per_minute=60, burst=3) for _ in range(5)]
    assert taken == [True, True, True, False, False]
    assert not bucket.take(0.9, per_minute=60, burst=3)
    assert bucket.take(1.1, per_minute=60, burst=3)
    assert [bucket.take(1000.0, per_minute=60, burst=3) for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize(
    ("starts", "pause"),
    [
        ([], 0),
        ([100.0, 100.1], 0),
        ([98.0, 99.0, 99.5], 62),
        ([1.0, 2.0, 99.5], 0),
        ([90.0, 98.0, 99.0, 99.5], 62),
    ],
)
def test_the_fourth_start_within_64_seconds_waits(starts, pause):
    assert pause_seconds(starts, 100.0) == pytest.approx(pause)


def test_with_its_pauses_a_crash_loop_never_reaches_six_starts_in_any_64_seconds():
    now, starts = 0.0, []
    while now < 1000:
        now += pause_seconds(starts, now) + 0.05
        starts.append(now)
    assert max(sum(start <= other < start + 64 for other in starts) for start in starts) < 5


def test_starts_are_counted_for_one_parent_and_a_broken_file_is_no_obstacle(tmp_path):
    path = tmp_path / "starts"
    assert record_start(path, 7, 1.0) == ()
    assert record_start(path, 8, 2.0) == ()
    assert record_start(path, 7, 3.0) == (1.0,)
    path.write_text("{broken")
    assert record_start(path, 7, 4.0) == ()
    assert record_start(path, 7, 5.0) == (4.0,)
    assert record_start(path, 7, 2.0) == ()  # the machine was started anew
    assert record_start(tmp_path / "missing" / "starts", 7, 6.0) == ()
