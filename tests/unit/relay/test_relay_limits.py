"""What holds the relay back: the allow-list, its budget and rate, a freeze; none of them stands in the way of home."""

from __future__ import annotations

import ipaddress

import pytest

from teagent.relay.protocol import WithdrawRequest
from tests.unit.relay.conftest import ALLOW
from tests.unit.relay.setting import PREFIX, refused, request

pytestmark = pytest.mark.asyncio


async def test_an_expired_replacement_goes_home_when_the_one_before_is_no_longer_allowed(setting):
    await setting.relay.announce(request(3, 0))
    await setting.relay.announce(request(1, 0, owner="p-2", deadline=setting.still.wall() + 60))
    setting.write_allow(max_prepend=2)
    setting.still.advance(61)
    await setting.turn()
    assert setting.held() == {}
    assert setting.exabgp.routes == {}


async def test_without_a_usable_allow_list_nothing_on_the_wire_is_touched(setting):
    await setting.relay.announce(request(1, 0))
    setting.allow_path.write_text("{")
    setting.exabgp.commands.clear()
    await setting.restart()
    assert setting.exabgp.commands == []
    assert await refused(setting.relay.announce(request(1, 0))) == ("refused", "allow_list")
    setting.write_allow()
    await setting.turn()
    assert setting.relay.state()["in_step"]
    assert len(setting.exabgp.routes) == 2


async def test_a_bad_new_allow_list_leaves_the_last_good_one_in_force_and_says_so(setting):
    setting.allow_path.write_text("{")
    assert await setting.relay.announce(request(1, 0)) == {"acked": True}
    assert "not JSON" in setting.relay.state()["allow_list"]["problem"]


async def test_a_narrower_allow_list_takes_back_what_it_no_longer_allows(setting):
    await setting.relay.announce(request(3, 0))
    setting.write_allow(max_prepend=2)
    await setting.turn()
    assert setting.exabgp.routes == {}
    assert setting.held() == {}
    assert ("disallowed", {"prefix": "198.51.100.0/24", "owner": "p-1", "rule": "max_prepend"}) in setting.events


async def test_a_neighbor_that_leaves_the_allow_list_is_told_to_forget(setting):
    await setting.relay.announce(request(1, 0))
    setting.write_allow(neighbors=ALLOW["neighbors"][:1])
    await setting.turn()
    assert set(setting.exabgp.routes) == {("192.0.2.65", "198.51.100.0/24")}


async def test_the_budget_and_the_rate_are_kept_and_do_not_stand_in_the_way_of_going_back(setting):
    setting.write_allow(max_overrides=1, burst=2, changes_per_minute=1)
    await setting.relay.announce(request(1, 0))
    six = request(1, 0, prefix=ipaddress.ip_network("2001:db8:100::/44"))
    assert await refused(setting.relay.announce(six)) == ("refused", "max_overrides")
    await setting.relay.announce(request(2, 0, owner="p-2", deadline=setting.still.wall() + 60))
    assert await refused(setting.relay.announce(request(3, 0))) == ("refused", "rate")
    await setting.relay.announce(request(1, 0, owner="p-1"))
    assert setting.held() == {"198.51.100.0/24": "p-1"}


async def test_a_freeze_refuses_the_new_and_lets_go_back_to_what_was_confirmed(setting):
    await setting.relay.announce(request(1, 0))
    await setting.relay.announce(request(2, 0, owner="p-2", deadline=setting.still.wall() + 60))
    setting.relay.freeze(frozen=True)
    assert await refused(setting.relay.announce(request(3, 0))) == ("refused", "frozen")
    assert await setting.relay.announce(request(1, 0, owner="p-1")) == {"acked": True}
    await setting.relay.withdraw(WithdrawRequest(prefix=PREFIX, owner="p-1"))
    assert await refused(setting.relay.announce(request(1, 0))) == ("refused", "frozen")


async def test_the_freeze_file_refuses_the_new_lets_go_back_and_thaws_when_it_is_gone(setting):
    await setting.relay.announce(request(1, 0))
    await setting.relay.announce(request(2, 0, owner="p-2", deadline=setting.still.wall() + 60))
    file = setting.journal_path.with_name("freeze")
    file.symlink_to("nowhere")
    assert await refused(setting.relay.announce(request(3, 0))) == ("refused", "frozen")
    assert (setting.relay.state()["frozen"], setting.relay.state()["freeze_file"]) == (True, True)
    assert setting.relay.freeze(frozen=False) == {"frozen": True, "freeze_file": True}
    assert await setting.relay.announce(request(1, 0, owner="p-1")) == {"acked": True}
    await setting.relay.withdraw(WithdrawRequest(prefix=PREFIX, owner="p-1"))
    file.unlink()
    assert await setting.relay.announce(request(1, 0)) == {"acked": True}


async def test_a_deadline_brings_home_while_the_freeze_file_is_there(setting):
    await setting.relay.announce(request(1, 0, deadline=setting.still.wall() + 60))
    setting.journal_path.with_name("freeze").touch()
    setting.still.advance(61)
    await setting.turn()
    assert setting.held() == {}
    assert setting.exabgp.routes == {}


async def test_an_allow_list_that_others_could_write_is_not_used_until_they_cannot(setting):
    setting.write_allow(max_prepend=2)
    setting.allow_path.chmod(0o666)
    await setting.turn()
    assert "others than its owner may write it" in setting.relay.state()["allow_list"]["problem"]
    assert setting.relay.allow.max_prepend == 3
    setting.allow_path.chmod(0o644)
    await setting.turn()
    assert setting.relay.state()["allow_list"]["problem"] is None
    assert setting.relay.allow.max_prepend == 2


async def test_an_allow_list_is_tried_again_when_the_fault_was_in_its_directory(setting):
    setting.allow_path.parent.chmod(0o777)
    setting.write_allow(max_prepend=2)
    await setting.turn()
    assert "may write into" in setting.relay.state()["allow_list"]["problem"]
    setting.allow_path.parent.chmod(0o755)
    await setting.turn()
    assert setting.relay.allow.max_prepend == 2
