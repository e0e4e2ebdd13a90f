"""The allow-list: what the file may say, and what each rule refuses."""

from __future__ import annotations

import ipaddress
import json

import pytest

from teagent.relay import allow_list
from teagent.relay.allow_list import BadAllowListError
from teagent.relay.protocol import Announce, Override, Signal
from teagent.relay.refusal import Refusal

NOW = 1_760_000_000.0


def parse(document):
    return allow_list.parse(json.dumps(document).encode())


def override(prefix: str, *signals: tuple[int, int | None]) -> Override:
    return Override(
        prefix=ipaddress.ip_network(prefix), signals=tuple(Signal(link_id=i, prepend=p) for i, p in signals)
    )


def rule(allow, what: Override) -> tuple[str, object, object] | None:
    try:
        allow.check_override(what)
    except Refusal as refusal:
        return (refusal.rule, refusal.value, refusal.limit) if refusal.kind == "refused" else None
    return None


@pytest.mark.parametrize(
    "allowed",
    [
        override("198.51.100.0/24", (1, 3), (2, 0)),
        override("198.51.100.0/24", (1, 0), (2, 0)),
        override("203.0.113.0/24", (2, 1)),
        override("2001:db8:100::/44", (1, 1), (2, 2)),
    ],
)
def test_what_is_listed_is_allowed(allow_document, allowed):
    assert rule(parse(allow_document), allowed) is None


@pytest.mark.parametrize(
    ("refused", "expected"),
    [
        (override("198.51.100.0/25", (1, 0), (2, 0)), ("prefix", "198.51.100.0/25", None)),
        (override("198.51.0.0/16", (1, 0), (2, 0)), ("prefix", "198.51.0.0/16", None)),
        (override("8.8.8.0/24", (1, 0), (2, 0)), ("prefix", "8.8.8.0/24", None)),
        (override("0.0.0.0/0", (1, 0), (2, 0)), ("prefix", "0.0.0.0/0", None)),
        (override("198.51.100.0/24", (1, 4), (2, 0)), ("max_prepend", 4, 3)),
        (override("198.51.100.0/24", (1, 0), (2, 999)), ("max_prepend", 999, 3)),
        (override("203.0.113.0/24", (2, 2)), ("max_prepend", 2, 1)),
        (override("198.51.100.0/24", (1, 0), (3, 0)), ("link", 3, [1, 2])),
        (override("203.0.113.0/24", (1, 0), (2, 0)), ("link", 1, [2])),
        (override("198.51.100.0/24", (1, 0)), ("whole_vector", [1], [1, 2])),
        (override("198.51.100.0/24", (1, None), (2, 0)), ("withhold", 1, None)),
        (override("198.51.100.0/24", (1, 0), (1, 1), (2, 0)), ("one_signal_per_link", None, 1)),
    ],
)
def test_what_is_not_listed_is_refused_by_its_rule(allow_document, refused, expected):
    assert rule(parse(allow_document), refused) == expected


def test_the_hard_cap_of_five_holds_whatever_the_file_says(allow_document):
    with pytest.raises(BadAllowListError, match="max_prepend is not a whole number from 0 to 5"):
        parse({**allow_document, "max_prepend": 6})


def test_a_prefix_may_be_withheld_from_a_link_where_the_list_says_so_but_not_from_all(allow_document):
    allow = parse({**allow_document, "withhold": True})
    assert rule(allow, override("198.51.100.0/24", (1, None), (2, 0))) is None
    assert rule(allow, override("198.51.100.0/24", (1, None), (2, None))) == ("announced_links", 0, 1)


def test_a_family_without_a_next_hop_or_a_neighbor_is_refused(allow_document):
    six = override("2001:db8:100::/44", (1, 0), (2, 0))
    assert rule(parse({**allow_document, "next_hop": {"ipv4": "192.0.2.254"}}), six) == ("next_hop", "ipv6", None)
    four_only = [{"address": "192.0.2.73", "families": ["ipv4"]}]
    assert rule(parse({**allow_document, "neighbors": four_only}), six) == ("neighbor", "ipv6", None)


def announcement(deadline: float | None) -> Announce:
    return Announce(override=override("198.51.100.0/24", (1, 0)), owner="p", deadline=deadline)


@pytest.mark.parametrize("deadline", [None, NOW + 0.1, NOW + 86_400])
def test_a_deadline_in_the_window_is_allowed(allow_document, deadline):
    parse(allow_document).check_deadline(announcement(deadline), NOW)


@pytest.mark.parametrize("deadline", [NOW, NOW - 1, NOW + 86_401])
def test_a_deadline_that_has_passed_or_is_too_far_away_is_refused(allow_document, deadline):
    with pytest.raises(Refusal) as caught:
        parse(allow_document).check_deadline(announcement(deadline), NOW)
    assert caught.value.rule == "deadline"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "version is 2"),
        ({"local_asn": 0}, "local_asn"),
        ({"local_asn": "64500"}, "local_asn"),
        ({"local_asn": True}, "local_asn"),
        ({"local_asn": 2**32}, "local_asn"),
        ({"local_asn": 200_000, "signals": "standard"}, "local_asn"),
        ({"links": {"10000": "x"}, "signals": "standard"}, "not a link id"),
        ({"signals": "extended"}, "signals"),
        ({"links": {}}, "links is not"),
        ({"links": []}, "links is not"),
        ({"links": {"0": "x"}}, "not a link id"),
        ({"links": {"01": "x"}}, "not a link id"),
        ({"links": {"\u0661": "x"}}, "not a link id"),
        ({"links": {"1": 7}}, "not a name"),
        ({"prefixes": {}}, "prefixes is not a list"),
        ({"prefixes": [{"prefix": "198.51.100.1/24"}]}, "is not a prefix"),
        ({"prefixes": [{"prefix": "0.0.0.0/0"}]}, "is not a prefix"),
        ({"prefixes": [{"prefix": "::/0"}]}, "is not a prefix"),
        ({"prefixes": [{"prefix": 7}]}, "is not a prefix"),
        ({"prefixes": [{"prefix": "198.51.100.0/24"}] * 2}, "listed twice"),
        ({"prefixes": [{"prefix": "198.51.100.0/24", "links": [9]}]}, "links is not"),
        ({"prefixes": [{"prefix": "198.51.100.0/24", "links": []}]}, "links is not"),
        ({"prefixes": [{"prefix": "198.51.100.0/24", "links": [True]}]}, "links is not"),
        ({"prefixes": [{"prefix": "198.51.100.0/24", "max_prepends": 9}]}, "unknown key"),
        ({"prefixes": ["198.51.100.0/24"]}, "is not an object"),
        ({"next_hop": {"ipv4": "2001:db8::1"}}, "other family"),
        ({"next_hop": {"ipv6": "192.0.2.1"}}, "other family"),
        ({"next_hop": {"ipv4": "224.0.0.1"}}, "not an address of a host"),
        ({"next_hop": {"ipv4": "0.0.0.0"}}, "not an address of a host"),
        ({"next_hop": {"ipv6": "fe80::1%eth0"}}, "not an address of a host"),
        ({"neighbors": []}, "neighbors is not"),
        ({"neighbors": ["192.0.2.65"]}, "is not an object"),
        ({"neighbors": [{"address": "192.0.2.65", "families": []}]}, "families"),
        ({"neighbors": [{"address": "192.0.2.65", "families": ["ipv5"]}]}, "families"),
        ({"neighbors": [{"address": "192.0.2.65", "families": ["ipv4"]}] * 2}, "twice"),
        ({"withhold": 1}, "withhold"),
        ({"burst": 0}, "burst"),
        ({"changes_per_minute": float("inf")}, "changes_per_minute"),
        ({"max_window_seconds": 0}, "max_window_seconds"),
        ({"max_prepends": 3}, "unknown key 'max_prepends'"),
    ],
)
def test_a_file_that_says_something_odd_is_not_used_at_all(allow_document, change, message):
    with pytest.raises(BadAllowListError, match=message):
        parse({**allow_document, **change})


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b'{"version": 1, "version": 1}', b"\xff", b'"' + b"[" * 9999])
def test_bytes_that_are_no_allow_list_raise_only_that(raw):
    with pytest.raises(BadAllowListError):
        allow_list.parse(raw)


def test_a_file_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(BadAllowListError, match=r"allow\.json: No such file"):
        allow_list.load(tmp_path / "allow.json")
