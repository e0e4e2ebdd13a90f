"""What is told of a link that fails."""

from __future__ import annotations

from typing import Any

from teagent.engine.advise.check import contradicts
from teagent.engine.advise.failure import facts_without, failure_of
from teagent.engine.advise.found import facts_of
from teagent.model.announcement import Announcement, AnnouncementSet
from teagent.model.bgp import parse_prefix

SHARED, LONE = parse_prefix("198.51.100.0/24"), parse_prefix("203.0.113.0/24")
LIVE = AnnouncementSet(
    Announcement(prefix=prefix, link=link, prepend=0)
    for prefix, link in [(SHARED, "a"), (SHARED, "b"), (LONE, "a"), (parse_prefix("192.0.2.0/24"), "c")]
)


def rows(**loads: float | None) -> list[dict[str, Any]]:
    """Links of 100 Mbps with these loads in Mbps."""
    return [
        {"name": name, "capacity_bps": 100e6, "utilisation": {} if load is None else {"in_bps": load * 1e6}}
        for name, load in loads.items()
    ]


def told(**loads: float | None) -> str:
    return "\n".join(fact.text for fact in facts_without(failure_of("a", LIVE), rows(**loads)))


def test_only_a_link_with_the_same_prefix_could_take_the_traffic() -> None:
    assert failure_of("a", LIVE).others == ("b",)


def test_a_prefix_that_no_other_link_carries_is_named() -> None:
    assert "not to be reached without it: 203.0.113.0/24." in told(a=80, b=50, c=0)


def test_a_link_that_shares_all_its_prefixes_loses_none() -> None:
    assert failure_of("b", LIVE).alone == ()


def test_too_little_room_elsewhere_is_said() -> None:
    assert "have 50.0M left together, less than a carries" in told(a=80, b=50, c=0)


def test_room_enough_elsewhere_is_said() -> None:
    assert "have 50.0M left together, not less than a carries" in told(a=30, b=50, c=0)


def test_a_full_link_has_no_room_and_no_less_than_that() -> None:
    assert "b has 0 left before it is full." in told(a=30, b=104, c=0)


def test_no_sum_is_made_of_links_without_data() -> None:
    text = told(a=80, b=None, c=0)
    assert "together" not in text
    assert "b has no data." in text


def test_a_failing_link_without_data_is_said_to_have_none() -> None:
    assert told(b=50, c=0).startswith("Of a there is no data")


def test_a_model_may_not_say_that_the_failed_link_gets_more() -> None:
    document = {"links": rows(a=80, b=50, c=0)}
    facts = facts_of("link.list", document, ["a", "b", "c"], failure=failure_of("a", LIVE))
    assert contradicts("the load of a would rise", facts)


def test_the_list_of_links_alone_says_nothing_of_a_failure() -> None:
    facts = facts_of("link.list", {"links": rows(a=80, b=50)}, ["a", "b"])
    assert not any("failed" in fact.text for fact in facts.facts)
