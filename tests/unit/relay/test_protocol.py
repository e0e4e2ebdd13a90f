"""Protocol version 1: what is a request, and what is said about what is not."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import pytest

from teagent.relay import protocol
from teagent.relay.protocol import Announce, Override, Plain, Signal
from teagent.relay.refusal import Refusal

GOOD: dict[str, Any] = {
    "version": 1,
    "id": 7,
    "do": "announce",
    "prefix": "198.51.100.0/24",
    "signals": [{"link_id": 2, "prepend": 0}, {"link_id": 1, "withhold": True}],
    "deadline": 1760000000.5,
    "owner": "p-7f3c",
}


def refusal(document: dict[str, Any]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        protocol.parse(document)
    return caught.value


def test_an_announcement_is_parsed_to_checked_values_with_its_signals_sorted():
    signals = (Signal(link_id=1, prepend=None), Signal(link_id=2, prepend=0))
    assert protocol.parse(GOOD) == Announce(
        override=Override(prefix=ipaddress.ip_network("198.51.100.0/24"), signals=signals),
        owner="p-7f3c",
        deadline=1760000000.5,
    )


@pytest.mark.parametrize("do", ["state", "subscribe", "freeze", "thaw", "reconcile", "repeat"])
def test_requests_without_operands_are_known(do):
    assert protocol.parse({"version": 1, "id": 0, "do": do}) == Plain(do=do)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"version": 2}, "version"),
        ({"version": True}, "version"),
        ({"version": "1"}, "version"),
        ({"id": None}, "id"),
        ({"id": -1}, "id"),
        ({"id": 1.5}, "id"),
        ({"id": True}, "id"),
        ({"id": 2**60}, "id"),
        ({"do": "shutdown"}, "do"),
        ({"do": None}, "do"),
        ({"do": ["announce"]}, "do"),
        ({"prefix": "198.51.100.1/24"}, "prefix"),
        ({"prefix": "198.51.100.0"}, "prefix"),
        ({"prefix": "198.51.100.0/24 next-hop 1.1.1.1"}, "prefix"),
        ({"prefix": "198.51.100.0/24\nshutdown"}, "prefix"),
        ({"prefix": "198.51.100.0/33"}, "prefix"),
        ({"prefix": "١٩٨.51.100.0/24"}, "prefix"),
        ({"prefix": 0}, "prefix"),
        ({"prefix": "fe80::%eth0/64"}, "prefix"),
        ({"signals": []}, "signals"),
        ({"signals": {}}, "signals"),
        ({"signals": [{"link_id": 1, "prepend": 0}] * 300}, "signals"),
        ({"signals": [1]}, "signals"),
        ({"signals": [{"link_id": 1}]}, "signals"),
        ({"signals": [{"link_id": 1, "prepend": 0, "withhold": True}]}, "signals"),
        ({"signals": [{"link_id": 1, "withhold": False}]}, "signals"),
        ({"signals": [{"link_id": 0, "prepend": 0}]}, "link_id"),
        ({"signals": [{"link_id": True, "prepend": 0}]}, "link_id"),
        ({"signals": [{"link_id": "1", "prepend": 0}]}, "link_id"),
        ({"signals": [{"link_id": 1, "prepend": -1}]}, "prepend"),
        ({"signals": [{"link_id": 1, "prepend": 65000}]}, "prepend"),
        ({"signals": [{"link_id": 1, "prepend": 1.0}]}, "prepend"),
        ({"signals": [{"link_id": 1, "prepend": True}]}, "prepend"),
        ({"signals": [{"link_id": 1, "prepend": 0}, {"link_id": 1, "prepend": 1}]}, "one_signal_per_link"),
        ({"owner": ""}, "owner"),
        ({"owner": "p 1"}, "owner"),
        ({"owner": "p-1\n"}, "owner"),
        ({"owner": "x" * 65}, "owner"),
        ({"owner": None}, "owner"),
        ({"deadline": "soon"}, "deadline"),
        ({"deadline": True}, "deadline"),
        ({"deadline": -1}, "deadline"),
        ({"deadline": 1e300}, "deadline"),
        ({"as_path": [64500, 64500]}, "unknown_key"),
    ],
)
def test_what_is_not_a_request_is_refused_by_rule(change, rule):
    assert refusal({**GOOD, **change}).rule == rule


@pytest.mark.parametrize("key", ["version", "id", "do", "prefix", "signals", "owner"])
def test_a_missing_key_is_refused(key):
    assert refusal({k: v for k, v in GOOD.items() if k != key}).rule == key


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        (b"", "json"),
        (b"{", "json"),
        (b"[]", "json"),
        (b"7", "json"),
        (b"null", "json"),
        (b'{"id": NaN}', "json"),
        (b'{"id": 1, "id": 2}', "json"),
        (b'{"a": ' * 5000 + b"1" + b"}" * 5000, "json"),
        (b'{"id": ' + b"9" * 5000 + b"}", "json"),
        (b'{"owner": "\xc3\xa9"}', "ascii"),
        (b"\x00\xff", "ascii"),
        (b" " * 70_000, "line_length"),
    ],
)
def test_bytes_that_are_no_json_object_are_refused_and_raise_nothing_else(line, rule):
    with pytest.raises(Refusal) as caught:
        protocol.decode(line)
    assert (caught.value.kind, caught.value.rule) == ("bad_request", rule)


def test_an_answer_is_one_ascii_line_with_what_was_wrong():
    refused = refusal({**GOOD, "do": "größer\n"})
    raw = protocol.denial(7, refused)
    assert raw.isascii()
    assert raw.count(b"\n") == 1
    assert json.loads(raw)["error"]["value"] == "gr\\xf6\\xdfer\n"
