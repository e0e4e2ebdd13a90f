"""The relay against an ExaBGP in memory: order, undoing, deadlines, disk full, hanging, replay."""

from __future__ import annotations

import errno
import ipaddress

import pytest

from teagent.relay import journal as journal_module
from teagent.relay.protocol import Confirm, WithdrawRequest
from teagent.relay.refusal import Refusal
from teagent.relay.relay import LOOK_SECONDS
from tests.unit.relay.setting import BOTH, PREFIX, Setting, command, refused, request, withdrawal

pytestmark = pytest.mark.asyncio


async def test_an_override_goes_to_each_neighbor_of_its_family_after_it_is_on_record(setting):
    on_record = []
    setting.exabgp.on_command = lambda _: on_record.append(b'"prefix":"198.51.100.0/24"' in _read(setting))
    assert await setting.relay.announce(request(1, 0)) == {"acked": True}
    assert setting.exabgp.sent() == [command(n, "64500:1:11", "64500:1:20") for n in BOTH]
    assert on_record == [True, True]


def _read(setting: Setting) -> bytes:
    return setting.journal_path.read_bytes()


async def test_ipv6_goes_only_to_neighbors_that_carry_it_with_a_next_hop_of_its_family(setting):
    await setting.relay.announce(request(1, 0, prefix=ipaddress.ip_network("2001:db8:100::/44")))
    only = "neighbor 192.0.2.65 announce route 2001:db8:100::/44 next-hop 2001:db8:ffff::254"
    assert setting.exabgp.sent() == [f"{only} large-community [ 64500:1:11 64500:1:20 ]"]


async def test_with_one_session_down_nothing_is_sent_to_the_other_either(setting):
    setting.exabgp.session("192.0.2.73", up=False)
    assert await refused(setting.relay.announce(request(1, 0))) == ("down", "session")
    assert setting.exabgp.sent() == []
    assert setting.held() == {}


async def test_when_one_neighbor_is_refused_the_other_is_taken_back(setting):
    setting.exabgp.refuse.add("192.0.2.73")
    assert await refused(setting.relay.announce(request(1, 0))) == ("refused", "exabgp")
    assert setting.exabgp.sent()[2:] == [withdrawal(n) for n in BOTH]
    assert setting.exabgp.routes == {}
    assert setting.held() == {}


async def test_a_session_that_falls_during_the_announcement_is_down_and_all_is_taken_back(setting):
    setting.exabgp.fall_after = "192.0.2.65"
    assert await refused(setting.relay.announce(request(1, 0))) == ("down", "session")
    assert setting.exabgp.routes == {}
    assert setting.held() == {}


async def test_a_failed_replacement_leaves_what_was_there(setting):
    await setting.relay.announce(request(1, 0))
    setting.exabgp.refuse.add("192.0.2.73")
    setting.exabgp.commands.clear()
    assert await refused(setting.relay.announce(request(0, 2, owner="p-2"))) == ("refused", "exabgp")
    setting.exabgp.refuse.clear()
    await setting.turn()
    assert setting.held() == {"198.51.100.0/24": "p-1"}
    assert {tuple(tags) for _, tags in setting.exabgp.routes.values()} == {("64500:1:11", "64500:1:20")}


async def test_no_answer_in_time_is_unknown_and_stays_on_record(setting):
    setting.exabgp.hanging = True
    assert await refused(setting.relay.announce(request(1, 0, deadline=setting.still.wall() + 60))) == (
        "unknown",
        "ack_timeout",
    )
    assert setting.held() == {"198.51.100.0/24": "p-1"}
    assert await refused(setting.relay.announce(request(1, 0, prefix=PREFIX))) == ("busy", "exabgp")
    setting.exabgp.wake()
    await setting.turn()
    assert len(setting.exabgp.routes) == 2
    assert setting.relay.state()["overrides"][0]["acked"]


async def test_a_late_answer_is_not_taken_for_the_answer_to_the_next_command(setting):
    setting.exabgp.hanging = True
    assert (await refused(setting.relay.announce(request(1, 0))))[0] == "unknown"
    assert (await refused(setting.relay.withdraw(WithdrawRequest(prefix=PREFIX, owner="p-1"))))[0] == "unknown"
    setting.exabgp.refuse.add("192.0.2.65")  # so that the late answer is `error`, and those to the withdrawals `done`
    setting.exabgp.wake()
    await setting.turn()
    assert setting.exabgp.routes == {}
    assert setting.held() == {}
    assert setting.relay.state()["in_step"]


async def test_answers_that_never_come_are_given_up_and_the_place_is_found_again(setting):
    setting.exabgp.hanging = True
    assert (await refused(setting.relay.announce(request(1, 0))))[0] == "unknown"
    setting.exabgp.hanging = False
    setting.exabgp._backlog.clear()
    await setting.turn()
    assert await refused(setting.relay.announce(request(1, 0))) == ("busy", "exabgp")
    setting.still.advance(61)
    setting.exabgp.commands.clear()
    await setting.turn()
    assert setting.exabgp.commands[:3] == ["reset", "enable-ack", "version"]
    assert len(setting.exabgp.routes) == 2
    assert await setting.relay.announce(request(2, 0)) == {"acked": True}


async def test_a_deadline_brings_home_and_a_confirmation_prevents_it(setting):
    for owner, prefix in (("p-1", PREFIX), ("p-2", ipaddress.ip_network("2001:db8:100::/44"))):
        await setting.relay.announce(request(1, 0, owner=owner, prefix=prefix, deadline=setting.still.wall() + 60))
    setting.relay.confirm(Confirm(prefix=PREFIX, owner="p-1"))
    setting.still.advance(61)
    await setting.turn()
    assert setting.held() == {"198.51.100.0/24": "p-1"}
    assert setting.exabgp.sent()[-1] == withdrawal("192.0.2.65", "2001:db8:100::/44")
    assert setting.events[-1] == ("expired", {"prefix": "2001:db8:100::/44", "owner": "p-2", "restored": None})


@pytest.mark.parametrize("step", [-7200, 7200])
async def test_a_stepped_clock_neither_keeps_nor_drops_an_override(setting, step):
    await setting.relay.announce(request(1, 0, deadline=setting.still.wall() + 60))
    setting.still.now += step
    await setting.restart()
    assert setting.held() == {"198.51.100.0/24": "p-1"}
    setting.still.advance(61)
    await setting.restart()
    assert setting.held() == {}
    assert setting.exabgp.routes == {}


async def test_an_expired_replacement_gives_way_to_the_confirmed_one_even_after_a_restart_and_frozen(setting):
    await setting.relay.announce(request(1, 0))
    await setting.relay.announce(request(0, 3, owner="p-2", deadline=setting.still.wall() + 60))
    await setting.relay.announce(request(0, 2, owner="p-3", deadline=setting.still.wall() + 60))
    setting.relay.freeze(frozen=True)
    setting.still.advance(61)
    await setting.restart()
    assert setting.held() == {"198.51.100.0/24": "p-1"}
    assert {tuple(tags) for _, tags in setting.exabgp.routes.values()} == {("64500:1:11", "64500:1:20")}


async def test_confirming_what_is_anothers_or_too_late_or_not_there_is_refused(setting):
    await setting.relay.announce(request(1, 0, deadline=setting.still.wall() + 60))
    for confirm, rule, wait in (
        (Confirm(prefix=PREFIX, owner="p-2"), "owner", 0),
        (Confirm(prefix=ipaddress.ip_network("203.0.113.0/24"), owner="p-1"), "held", 0),
        (Confirm(prefix=PREFIX, owner="p-1"), "deadline", 61),
    ):
        setting.still.advance(wait)
        with pytest.raises(Refusal) as caught:
            setting.relay.confirm(confirm)
        assert caught.value.rule == rule


async def test_disk_full_refuses_before_the_wire_and_still_goes_home(setting, monkeypatch):
    await setting.relay.announce(request(1, 0))
    setting.exabgp.commands.clear()

    def full(_fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(journal_module.os, "fsync", full)
    assert await refused(setting.relay.announce(request(2, 0))) == ("journal", "journal")
    assert setting.exabgp.sent() == []
    await setting.relay.withdraw(WithdrawRequest(prefix=PREFIX, owner="p-1"))
    assert setting.exabgp.sent() == [withdrawal(n) for n in BOTH]
    with pytest.raises(Refusal):
        setting.relay.freeze(frozen=True)
    assert await refused(setting.relay.announce(request(2, 0))) == ("refused", "frozen")
    monkeypatch.undo()
    await setting.turn()
    await setting.restart()
    assert setting.held() == {}


async def test_a_restarted_relay_asks_what_is_there_and_corrects_only_the_difference(setting):
    await setting.relay.announce(request(1, 0))
    setting.exabgp.routes["192.0.2.65", "203.0.113.0/24"] = ("192.0.2.254", ["64500:1:23"])
    setting.exabgp.routes["192.0.2.73", "198.51.100.0/24"] = ("192.0.2.254", ["64500:1:13"])
    setting.exabgp.commands.clear()
    await setting.restart()
    assert setting.exabgp.sent() == [
        withdrawal("192.0.2.65", "203.0.113.0/24"),
        command("192.0.2.73", "64500:1:11", "64500:1:20"),
    ]
    assert setting.exabgp.commands[-3:] == [
        "neighbor 192.0.2.65 announce eor ipv4 unicast",
        "neighbor 192.0.2.65 announce eor ipv6 unicast",
        "neighbor 192.0.2.73 announce eor ipv4 unicast",
    ]


async def test_a_session_that_comes_up_hears_everything_and_then_the_end_of_rib(setting):
    await setting.relay.announce(request(1, 0))
    setting.exabgp.session("192.0.2.73", up=False)
    setting.exabgp.routes.clear()
    setting.exabgp.commands.clear()
    setting.exabgp.session("192.0.2.73", up=True)
    await setting.turn()
    assert setting.exabgp.sent() == [command(n, "64500:1:11", "64500:1:20") for n in BOTH]
    assert setting.exabgp.commands[-1] == "neighbor 192.0.2.73 announce eor ipv4 unicast"


async def test_the_end_of_rib_waits_until_the_replay_succeeded(setting):
    await setting.relay.announce(request(1, 0))
    setting.exabgp.session("192.0.2.73", up=False)
    setting.exabgp.routes.clear()
    setting.exabgp.refuse.add("192.0.2.65")
    setting.exabgp.commands.clear()
    setting.exabgp.session("192.0.2.73", up=True)
    await setting.turn()
    assert not any(" eor " in line for line in setting.exabgp.commands)
    setting.exabgp.refuse.clear()
    await setting.turn()
    assert setting.exabgp.commands[-1] == "neighbor 192.0.2.73 announce eor ipv4 unicast"


async def test_what_exabgp_lost_without_a_word_is_put_back_at_the_next_look(setting):
    await setting.relay.announce(request(1, 0))
    setting.exabgp.routes.clear()
    await setting.turn()
    assert setting.exabgp.routes == {}
    setting.still.advance(LOOK_SECONDS)
    await setting.turn()
    assert {neighbor for neighbor, _ in setting.exabgp.routes} == set(BOTH)


async def test_withdrawing_what_is_not_held_is_done_already(setting):
    assert await setting.relay.withdraw(WithdrawRequest(prefix=PREFIX, owner="x")) == {"held": False, "acked": True}
    foreign = WithdrawRequest(prefix=ipaddress.ip_network("8.8.8.0/24"), owner="x")
    assert await setting.relay.withdraw(foreign) == {"held": False, "acked": True}
    assert setting.exabgp.sent() == [withdrawal(n) for n in BOTH]


async def test_an_exabgp_that_is_gone_is_down_not_an_error(setting):
    def gone(_raw: bytes) -> None:
        raise BrokenPipeError

    setting.exabgp.pipe._write = gone
    assert await refused(setting.relay.announce(request(1, 0))) == ("down", "exabgp")
    assert setting.held() == {}


async def test_a_journal_that_cannot_be_opened_refuses_and_touches_nothing_until_it_can(setting):
    await setting.relay.announce(request(1, 0))
    setting.relay.journal.close()
    good, setting.journal_path = setting.journal_path, setting.journal_path.parent / "missing" / "journal"
    setting.exabgp.commands.clear()
    setting.relay = setting.new_relay()
    await setting.turn()
    assert setting.exabgp.commands == []
    assert await refused(setting.relay.announce(request(1, 0))) == ("journal", "journal")
    setting.journal_path.parent.mkdir()
    good.rename(setting.journal_path)
    await setting.turn()
    assert setting.held() == {"198.51.100.0/24": "p-1"}


def repetition(neighbor: str) -> str:
    return f"neighbor {neighbor} flush adj-rib out"


async def test_what_was_told_is_told_again_to_the_sessions_that_are_up(setting):
    setting.exabgp.session("192.0.2.73", up=False)
    await setting.turn()
    setting.exabgp.commands.clear()
    assert await setting.relay.repeat() == {}
    assert setting.exabgp.commands == [repetition("192.0.2.65")]


async def test_nothing_is_repeated_while_exabgp_is_not_in_step(setting):
    setting.relay.exabgp.in_step = False
    assert await refused(setting.relay.repeat()) == ("down", "exabgp")
    assert setting.exabgp.commands == []


async def test_repetitions_are_not_asked_of_routers_without_a_pause(setting):
    await setting.relay.repeat()
    assert await refused(setting.relay.repeat()) == ("refused", "rate")
    setting.still.advance(0.6)
    await setting.relay.repeat()
    assert setting.exabgp.commands == [repetition(n) for n in BOTH] * 2


async def test_a_repetition_that_is_not_acknowledged_is_unknown(setting):
    setting.exabgp.hanging = True
    assert await refused(setting.relay.repeat()) == ("unknown", "ack_timeout")
