"""ExaBGP's grammar: the commands that are written and the lines that are read, as 5.0.15 was seen to print them."""

from __future__ import annotations

import ipaddress
import json

import pytest

from teagent.relay import grammar
from teagent.relay.grammar import (
    Answer,
    HeldRoute,
    NegotiatedEvent,
    NeighborEvent,
    OtherEvent,
    SentEvent,
    Session,
    Shutdown,
    Text,
)
from teagent.relay.protocol import Override, Signal

NEIGHBOR = (
    '"neighbor": { "address": { "local": "192.0.2.66", "peer": "192.0.2.65" }, '
    '"asn": { "local": 65000, "peer": 65000 }, "router-id": "192.0.2.66" '
)
HEAD = '{ "exabgp": "5.0.0", "time": 1795226235.4, "host" : "mgmt", "pid" : 43, "ppid" : 1, "counter": 12, '


def override(prefix: str) -> Override:
    signals = (Signal(link_id=1, prepend=1), Signal(link_id=12, prepend=0), Signal(link_id=3, prepend=None))
    return Override(prefix=ipaddress.ip_network(prefix), signals=signals)


def test_an_announcement_names_one_neighbor_and_no_as_path():
    command = grammar.announce(
        ipaddress.ip_address("192.0.2.65"),
        override("198.51.100.0/24"),
        next_hop=ipaddress.ip_address("192.0.2.254"),
        asn=65000,
        form="large",
    )
    assert command == (
        "neighbor 192.0.2.65 announce route 198.51.100.0/24 next-hop 192.0.2.254 "
        "large-community [ 65000:1:11 65000:1:120 65000:2:3 ]"
    )


def test_standard_communities_withhold_with_a_nine():
    assert grammar.communities(65000, override("198.51.100.0/24").signals, "standard") == (
        "65000:11",
        "65000:120",
        "65000:39",
    )


def test_ipv6_has_its_own_next_hop_and_end_of_rib():
    command = grammar.announce(
        ipaddress.ip_address("2001:db8::65"),
        override("2001:db8:100::/44"),
        next_hop=ipaddress.ip_address("2001:db8::254"),
        asn=65000,
        form="large",
    )
    assert command.startswith("neighbor 2001:db8::65 announce route 2001:db8:100::/44 next-hop 2001:db8::254 large-")
    assert (
        grammar.end_of_rib(ipaddress.ip_address("192.0.2.65"), "ipv6")
        == "neighbor 192.0.2.65 announce eor ipv6 unicast"
    )


@pytest.mark.parametrize(
    ("line", "meaning"),
    [
        ("done", Answer(ok=True)),
        ("error", Answer(ok=False)),
        ('{ "answer": "done", "message": "command completed" }', Answer(ok=True)),
        ('{ "answer": "error", "message": "this command does not support json output" }', Answer(ok=False)),
        ("shutdown", Shutdown()),
        ("exabgp 5.0.15", Text(line="exabgp 5.0.15")),
        ("", Text(line="")),
        ("{ not json", Text(line="{ not json")),
        (
            HEAD + '"type": "state", ' + NEIGHBOR + ', "state": "up" } }',
            NeighborEvent(neighbor="192.0.2.65", state="up", reason=""),
        ),
        (
            HEAD + '"type": "state", ' + NEIGHBOR + ', "state": "down", "reason": "peer reset, message [x]" } }',
            NeighborEvent(neighbor="192.0.2.65", state="down", reason="peer reset, message [x]"),
        ),
        (
            HEAD + '"type": "negotiated", ' + NEIGHBOR + ', "negotiated": { "message_size": 65535, "hold_time": 30, '
            '"families": ["ipv4 unicast", "ipv6 unicast", "ipv4 flow"], "add_path": {"send": [], "receive": []} }  } }',
            NegotiatedEvent(neighbor="192.0.2.65", families=("ipv4", "ipv6")),
        ),
        (
            HEAD + '"type": "update", ' + NEIGHBOR + ', "direction": "send", "message": { "update": { "attribute": '
            '{ "origin": "igp", "local-preference": 100, "large-community": [ [ 65000, 1, 11 ] ] }, "announce": '
            '{ "ipv4 unicast": { "192.0.2.254": [ { "nlri": "10.0.0.0/24" } ] } } } } } }',
            SentEvent(neighbor="192.0.2.65", announced=("10.0.0.0/24",), withdrawn=()),
        ),
        (
            HEAD + '"type": "update", ' + NEIGHBOR + ', "direction": "send", "message": { "update": { "withdraw": '
            '{ "ipv4 unicast": [ { "nlri": "10.0.0.0/24" } ] } } } } }',
            SentEvent(neighbor="192.0.2.65", announced=(), withdrawn=("10.0.0.0/24",)),
        ),
        (
            HEAD
            + '"type": "update", '
            + NEIGHBOR
            + ', "direction": "send", "message": { "eor": { "afi" : "ipv4" } } } }',
            OtherEvent(type="update"),
        ),
        (HEAD + '"type": "notification", "notification": "shutdown" }', Shutdown()),
        (HEAD + '"type": "state", "neighbor": {} }', OtherEvent(type="unreadable")),
        (HEAD + '"type": "update", ' + NEIGHBOR + "} }", OtherEvent(type="unreadable")),
    ],
)
def test_a_line_is_read_as_what_it_is(line, meaning):
    assert grammar.parse_line(line) == meaning


def test_a_session_is_up_when_its_fsm_is_established_because_state_says_down_for_a_second():
    rows = [
        {"state": "down", "fsm": "ESTABLISHED", "peer": {"address": "192.0.2.65"}, "families": ["ipv4 unicast"]},
        {"state": "down", "fsm": "ACTIVE", "peer": {"address": "192.0.2.73"}, "families": []},
    ]
    assert grammar.parse_neighbors([json.dumps(rows)]) == (
        Session(neighbor="192.0.2.65", up=True, families=("ipv4",)),
        Session(neighbor="192.0.2.73", up=False, families=()),
    )


def test_held_routes_are_read_with_both_kinds_of_communities():
    line = json.dumps(
        {
            "peer": {"address": "192.0.2.65"},
            "route": {
                "nlri": {"prefix": "10.0.0.0/24", "nexthop": "192.0.2.254", "family": {"afi": "ipv4"}},
                "attributes": {"community": ["65000:1012"], "large-community": [[65000, 1, 11]], "as-path": "[ 1 ]"},
            },
        }
    )
    assert grammar.parse_routes([line]) == (
        HeldRoute(
            neighbor="192.0.2.65",
            prefix=ipaddress.ip_network("10.0.0.0/24"),
            next_hop="192.0.2.254",
            tags=frozenset({"65000:1012", "65000:1:11"}),
            path_is_empty=False,
        ),
    )


@pytest.mark.parametrize("lines", [["nonsense"], ["{}"], ["[]"], ['{"route": 7}'], ['{"peer": {"address": "x"}}']])
def test_routes_that_are_not_understood_raise_value_error_and_nothing_else(lines):
    with pytest.raises(ValueError, match=r"unexpected answer|Expecting value|does not appear"):
        grammar.parse_routes(lines)


@pytest.mark.parametrize("lines", [["nonsense"], ["7"], ["[7]"], ['[{"peer": 7}]'], ["[{}]"], ['[{"peer": {}}]']])
def test_neighbors_that_are_not_understood_raise_value_error_and_nothing_else(lines):
    with pytest.raises(ValueError, match=r"unexpected answer|Expecting value"):
        grammar.parse_neighbors(lines)
