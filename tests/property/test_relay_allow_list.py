"""Whatever bytes a client sends, no command outside the allow-list is ever written to ExaBGP.

The commands are judged by a reader of their own here, which shares nothing with the relay's grammar.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from teagent.relay import allow_list, protocol
from teagent.relay.dry_run import dry_run
from teagent.relay.journal import Journal
from teagent.relay.relay import Relay
from teagent.relay.server import Client, Clients, Server
from tests.unit.relay.conftest import ALLOW
from tests.unit.relay.exabgp_double import ExabgpDouble
from tests.unit.relay.setting import StillClock

NOW = StillClock().wall()
ALLOWED = allow_list.parse(json.dumps({**ALLOW, "withhold": True, "burst": 1_000_000}).encode())
PREFIXES = {
    "198.51.100.0/24": ({1, 2}, 3, "192.0.2.254"),
    "203.0.113.0/24": ({2}, 1, "192.0.2.254"),
    "2001:db8:100::/44": ({1, 2}, 3, "2001:db8:ffff::254"),
}
NEIGHBORS = {"192.0.2.65": {4, 6}, "192.0.2.73": {4}}


def outside_the_list(command: str) -> str | None:
    """Why this command must never be written; None when it may."""
    words = command.split(" ")
    if not command.isascii() or not command.isprintable():
        return "characters"
    if command in {"reset", "enable-ack", "version", "show neighbor json", "show adj-rib out json"}:
        return None
    if len(words) < 4 or words[0] != "neighbor" or words[1] not in NEIGHBORS:
        return "neighbor"
    if words[2:5] == ["announce", "eor", words[4]] and words[5:] == ["unicast"]:
        return None if words[4] in {"ipv4", "ipv6"} else "eor"
    if words[2:4] == ["withdraw", "route"]:
        return None if len(words) == 5 and "/" in words[4] else "withdraw"
    if words[2:4] != ["announce", "route"] or words[4] not in PREFIXES:
        return "prefix"
    links, cap, hop = PREFIXES[words[4]]
    if ipaddress.ip_network(words[4]).version not in NEIGHBORS[words[1]]:
        return "family"
    if words[5:7] != ["next-hop", hop] or words[7:9] != ["large-community", "["] or words[-1] != "]":
        return "form"
    return _outside_signals(words[9:-1], links, cap)


def _outside_signals(tags: list[str], links: set[int], cap: int) -> str | None:
    told = []
    announced = 0
    for tag in tags:
        if not re.fullmatch(r"64500:[12]:[0-9]{1,3}", tag):
            return "community"
        function, parameter = map(int, tag.split(":")[1:])
        if function == 1:
            announced += 1
            if parameter % 10 > cap:
                return "prepend"
        told.append(parameter // 10 if function == 1 else parameter)
    if sorted(told) != sorted(links):
        return "links"
    return None if announced else "nowhere"


link_ids = st.one_of(st.sampled_from([1, 2, 3, 10, 11, 99_999]), st.integers(-2, 100_000), st.just("1"), st.none())
counts = st.one_of(
    st.integers(0, 5), st.sampled_from([6, 9, 10, 255, 65_000, -1, 10**30]), st.floats(), st.text(max_size=3)
)
signals = st.one_of(
    st.fixed_dictionaries({"link_id": link_ids, "prepend": counts}),
    st.fixed_dictionaries({"link_id": link_ids, "withhold": st.one_of(st.booleans(), st.integers(0, 1))}),
    st.fixed_dictionaries({"link_id": st.sampled_from([1, 2]), "prepend": st.integers(0, 5)}),
)
prefixes = st.one_of(
    st.sampled_from(
        [*PREFIXES, "198.51.100.0/25", "198.51.0.0/16", "0.0.0.0/0", "2001:db8:100::/45", "198.51.100.0/24 "]
    ),
    st.builds(lambda a, n: f"{ipaddress.IPv4Address(a)}/{n}", st.integers(0, 2**32 - 1), st.integers(0, 40)),
    st.builds(lambda a, n: f"{ipaddress.IPv6Address(a)}/{n}", st.integers(0, 2**128 - 1), st.integers(0, 140)),
    st.text(max_size=40),
)
good_vectors = st.lists(st.integers(0, 4), min_size=2, max_size=2).map(
    lambda counted: [{"link_id": index + 1, "prepend": count} for index, count in enumerate(counted)]
)
requests = st.fixed_dictionaries(
    {
        "version": st.one_of(st.just(1), st.integers(0, 3)),
        "id": st.integers(0, 10),
        "do": st.sampled_from(["announce", "announce", "announce", "withdraw", "confirm", "state", "freeze", "thaw"]),
    },
    optional={
        "prefix": prefixes,
        "signals": st.one_of(good_vectors, st.lists(signals, max_size=4)),
        "owner": st.one_of(st.just("p-1"), st.text(max_size=5)),
        "deadline": st.one_of(st.none(), st.just(NOW + 60), st.floats(), st.integers()),
        "as_path": st.lists(st.integers()),
    },
)


def as_line(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")


def mutated(line: bytes, cuts: list[tuple[int, bytes]]) -> bytes:
    for at, piece in cuts:
        place = at % (len(line) + 1)
        line = line[:place] + piece + line[place + len(piece) // 2 :]
    return line.replace(b"\n", b" ")


valid = st.fixed_dictionaries(
    {
        "version": st.just(1),
        "id": st.integers(0, 10),
        "do": st.just("announce"),
        "prefix": st.sampled_from(sorted(PREFIXES)),
        "signals": good_vectors,
        "owner": st.just("p-1"),
        "deadline": st.sampled_from([None, NOW + 60]),
    }
)
lines = st.one_of(
    requests.map(as_line),
    valid.map(as_line),
    st.builds(mutated, valid.map(as_line), st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=6)), max_size=3)),
    st.binary(max_size=200).map(lambda raw: raw.replace(b"\n", b"")),
)


@settings(max_examples=300, deadline=None)
@given(lines)
def test_any_line_is_answered_by_one_json_line_and_only_allowed_commands(line):
    for told in dry_run(ALLOWED, [line]):
        number, _, text = told.partition(": ")
        assert number == "1"
        if text.startswith("neighbor "):
            assert outside_the_list(text) is None


async def converse(batch: list[bytes], directory: Path) -> ExabgpDouble:
    exabgp = ExabgpDouble(*NEIGHBORS)
    path = directory / "allow.json"
    path.write_text(json.dumps({**ALLOW, "withhold": True, "burst": 1_000_000}))
    clients = Clients()
    still = StillClock()
    relay = Relay(
        allow_path=path,
        allow_owners=frozenset({0, os.getuid()}),
        journal=Journal(directory / "journal"),
        pipe=exabgp.pipe,
        clock=still,
        tell=clients.tell,
        log=lambda _line: None,
    )
    server = Server(path=directory / "unused", group=None, relay=relay, clients=clients, log=lambda _line: None)
    client = Client.__new__(Client)
    running = asyncio.ensure_future(relay.run())
    try:
        for _ in range(50):
            await asyncio.sleep(0)
        assert relay.exabgp.in_step
        for turn, line in enumerate(batch):
            answer = json.loads(await server.answer(client, line))
            assert answer["version"] == protocol.VERSION
            assert answer["ok"] in {True, False}
            if turn % 7 == 6:
                still.advance(61)  # deadlines pass, and what they bring about is judged too
            await asyncio.sleep(0)
        for _ in range(50):
            await asyncio.sleep(0)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        relay.journal.close()
    return exabgp


@settings(max_examples=60, deadline=None)
@given(st.lists(lines, min_size=1, max_size=25))
def test_no_sequence_of_lines_makes_the_relay_write_a_command_outside_the_list(batch):
    with tempfile.TemporaryDirectory() as directory:
        exabgp = asyncio.run(converse(batch, Path(directory)))
    assert [why for command in exabgp.commands if (why := outside_the_list(command))] == []


def test_what_is_allowed_does_get_through(tmp_path):
    request = {"version": 1, "id": 1, "do": "announce", "prefix": "203.0.113.0/24", "owner": "p-1", "deadline": None}
    exabgp = asyncio.run(converse([as_line({**request, "signals": [{"link_id": 2, "prepend": 1}]})], tmp_path))
    assert [command.split()[1] for command in exabgp.sent()] == list(NEIGHBORS)


def test_the_judge_refuses_what_it_should():
    route = "neighbor 192.0.2.65 announce route 198.51.100.0/24 next-hop 192.0.2.254"
    good = f"{route} large-community [ 64500:1:11 64500:2:2 ]"
    assert outside_the_list(good) is None
    for wrong in (
        good.replace("198.51.100.0", "198.51.101.0"),
        good.replace("1:11", "1:14"),
        good.replace("64500:2:2", "64500:2:1"),
        good.replace("64500:1:11 ", ""),
        good.replace("64500:1", "64501:1"),
        good.replace("next-hop 192.0.2.254", "next-hop 192.0.2.253"),
        good.replace("]", "] as-path [ 1 ]"),
        good.replace("192.0.2.65", "192.0.2.66"),
        "shutdown",
    ):
        assert outside_the_list(wrong) is not None, wrong
