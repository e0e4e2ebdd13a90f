from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from teagent.adapters.bmp import table as module
from teagent.adapters.bmp.listener import HomeRoutes
from teagent.adapters.bmp.table import TOLD_AFTER_SECONDS, RouterTable
from teagent.model.bgp import LargeCommunity
from teagent.model.witness import Refusal, Sighting
from teagent.wire.bgp_update import own_nets
from teagent.wire.bmp import BmpStream
from tests.fakes import bmp as b

DATA = Path(__file__).resolve().parents[3] / "data" / "bmp"
NOW = datetime(2026, 1, 12, 19, 40, tzinfo=UTC)
PREFIX = ip_network("11.0.0.0/24")
SIX = ip_network("2001:db8:100::/44")
SIGNALS = [(65000, 1, 11), (65000, 1, 20)]
OVERRIDE = b.update(["11.0.0.0/24"], large=SIGNALS)


def table(*messages: bytes, now: datetime = NOW) -> RouterTable:
    made = RouterTable(own=own_nets((PREFIX, SIX)), speaker=ip_address("192.0.2.66"), uptime=0.0)
    return take(made, *messages, now=now)


def take(made: RouterTable, *messages: bytes, now: datetime = NOW) -> RouterTable:
    for message in BmpStream().feed(b"".join(messages)):
        made.take(message, now, 0.0)
    return made


def seen(made: RouterTable, *, uptime: float = 0.0, prefix=PREFIX) -> Sighting:
    return made.sighting(prefix, uptime, home=None)


def test_before_and_after_the_policy_are_told_apart():
    found = seen(table(b.peer_up(), b.monitoring(OVERRIDE), b.monitoring(b.end_of_rib(), view="post_policy")))
    assert found.session_up is True
    assert found.received is not None
    assert found.received.large_communities == {LargeCommunity(*row) for row in SIGNALS}
    assert found.accepted is None
    assert (found.tells_received, found.tells_accepted, found.tells_selected) == (True, True, False)


def test_a_withdrawal_takes_the_route_out_of_its_view_alone():
    both = [b.monitoring(OVERRIDE, view=view) for view in ("pre_policy", "post_policy")]
    gone = b.monitoring(b.update(withdrawn=["11.0.0.0/24"]), view="post_policy")
    found = seen(table(b.peer_up(), *both, gone))
    assert found.received is not None
    assert found.accepted is None


def test_ipv6_is_followed_as_ipv4_is():
    update = b.update(["2001:db8:100::/44"], next_hop="2001:db8::254", large=SIGNALS)
    assert seen(table(b.peer_up(), b.monitoring(update)), prefix=SIX).received is not None


def test_prefixes_of_others_are_not_kept():
    made = table(b.peer_up(), b.monitoring(b.update([f"{n}.0.0.0/8" for n in range(1, 100)] + ["11.0.0.0/25"])))
    assert made.own_routes() == 0


def test_a_session_that_goes_down_takes_its_routes_along_and_says_why():
    found = seen(table(b.peer_up(), b.monitoring(OVERRIDE), b.peer_down(code=3, data=b.notification(4))))
    assert found.session_up is False
    assert found.received is None
    assert found.session_reason == "the peer closed it: hold timer expired"


def test_of_a_session_that_nobody_told_of_nothing_is_known():
    assert seen(table(b.peer_up("192.0.2.9"))).session_up is None


def test_a_table_is_complete_when_its_end_was_told():
    made = table(b.peer_up())
    assert seen(made).complete is False
    assert seen(take(made, b.monitoring(b.end_of_rib()))).complete is True


def test_a_session_that_comes_up_later_has_nothing_left_to_tell():
    made = table(b.peer_up("192.0.2.9"), b.monitoring(b.end_of_rib(), "192.0.2.9"), b.peer_up())
    assert seen(made).complete is True


def test_a_router_that_never_ends_its_table_has_told_it_after_a_while():
    assert seen(table(b.peer_up()), uptime=TOLD_AFTER_SECONDS).complete is True


def test_what_the_router_selects_is_told_by_its_loc_rib():
    assert seen(table(b.peer_up(), b.monitoring(OVERRIDE, view="loc_rib"))).selected is not None


def test_counters_that_grow_name_what_was_refused():
    made = table(b.peer_up(), b.statistics({0: 7, 4: 2}), now=NOW)
    assert seen(made).refusals == {}
    later = NOW + timedelta(seconds=1)
    assert seen(take(made, b.statistics({0: 8, 4: 2}), now=later)).refusals == {Refusal.POLICY: NOW}


def test_what_grew_since_the_report_before_may_be_as_old_as_that() -> None:
    """What was refused a moment before an announcement, and is told after it, says nothing of it."""
    made = table(b.peer_up(), b.statistics({0: 7}), now=NOW)
    announced = NOW + timedelta(seconds=0.5)
    told = take(made, b.statistics({0: 8}), now=NOW + timedelta(seconds=1))
    assert seen(told).refusals[Refusal.POLICY] < announced
    again = take(told, b.statistics({0: 9}), now=NOW + timedelta(seconds=2))
    assert seen(again).refusals[Refusal.POLICY] > announced


def test_of_additional_paths_one_that_goes_leaves_the_others():
    opens = {
        "sent": b.open_(capabilities=b.add_path((1, 1, 1))),
        "received": b.open_(capabilities=b.add_path((1, 1, 2))),
    }
    made = table(
        b.peer_up(**opens),
        b.monitoring(b.update(["11.0.0.0/24"], path_id=1)),
        b.monitoring(b.update(["11.0.0.0/24"], path_id=2)),
        b.monitoring(b.update(withdrawn=["11.0.0.0/24"], path_id=1)),
    )
    assert made.own_routes() == 1
    assert made.counters["undecoded"] == 0


def test_additional_paths_that_were_negotiated_and_are_not_reported_are_read_too():
    opens = {
        "sent": b.open_(capabilities=b.add_path((1, 1, 1))),
        "received": b.open_(capabilities=b.add_path((1, 1, 2))),
    }
    made = table(b.peer_up(**opens), b.monitoring(OVERRIDE))
    assert seen(made).received is not None


def test_paths_of_one_prefix_are_bounded():
    opens = {
        "sent": b.open_(capabilities=b.add_path((1, 1, 1))),
        "received": b.open_(capabilities=b.add_path((1, 1, 2))),
    }
    many = [b.monitoring(b.update(["11.0.0.0/24"], path_id=n)) for n in range(200)]
    assert table(b.peer_up(**opens), *many).own_routes() == module.MOST_PATHS


def test_sessions_are_bounded(monkeypatch):
    monkeypatch.setattr(module, "MOST_SESSIONS", 3)
    made = table(*[b.peer_up(f"198.51.100.{n}") for n in range(10)])
    assert len(made.sessions) == 3
    assert made.counters["sessions_left_out"] == 7


def test_an_update_that_makes_no_sense_is_counted_and_changes_nothing():
    made = table(b.peer_up(), b.monitoring(OVERRIDE), b.message(0, b.peer() + b"nonsense"))
    assert made.counters["undecoded"] == 1
    assert seen(made).received is not None


def test_frr_tells_of_its_own_routes_as_of_a_peer_without_an_address():
    own = b.monitoring(b.update(["11.0.0.0/24"], next_hop="0.0.0.0"), "0.0.0.0", view="post_policy")
    made = table(b.peer_up(), own, b.monitoring(b.end_of_rib()))
    assert made.originated() == {PREFIX}


@pytest.mark.parametrize(("name", "originated"), [("accepted", {PREFIX}), ("inside-down", set())])
def test_in_what_frr_sends_home_is_there_or_not(name, originated):
    assert take(table(), (DATA / f"frr-8.4.4-{name}.bmp").read_bytes()).originated() == originated


def test_home_is_gone_once_two_tables_running_lack_it():
    home = HomeRoutes()
    assert home.has(PREFIX) is None
    home.told(frozenset({PREFIX}))
    assert home.has(PREFIX) is True
    home.told(frozenset())
    assert home.has(PREFIX) is None
    assert home.doubtful()
    home.told(frozenset())
    assert home.has(PREFIX) is False
    assert not home.doubtful()
    home.told(frozenset({PREFIX}))
    assert home.has(PREFIX) is True


def test_home_that_was_never_told_of_is_not_missed():
    home = HomeRoutes()
    home.told(frozenset({SIX}))
    home.told(frozenset())
    home.told(frozenset())
    assert home.has(PREFIX) is None
