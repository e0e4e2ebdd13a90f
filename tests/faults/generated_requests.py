"""A million generated requests to a real relay and ExaBGP: what a router hears of them is all on the allow-list."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Any

from teagent.model.bgp import LargeCommunity
from teagent.wire.bgp_update import decode_update, path_attributes
from tests.faults.figure import Figure, Options
from tests.faults.listening_router import ListeningRouter
from tests.integration.exabgp_on_loopback import ALLOW, ASN, EDGE, exabgp_on_loopback, free_port

REQUESTS = 1_000_000
BATCH = 100
ALLOWED = {
    **ALLOW,
    "prefixes": [
        {"prefix": "198.51.100.0/24"},
        {"prefix": "203.0.113.0/24", "max_prepend": 1, "links": [2]},
        {"prefix": "2001:db8:100::/44"},
    ],
    "next_hop": {"ipv4": "192.0.2.254", "ipv6": "2001:db8:ffff::254"},
    "neighbors": [{"address": EDGE, "families": ["ipv4", "ipv6"]}],
    "changes_per_minute": 1e9,
}
LINKS = {"198.51.100.0/24": (1, 2), "203.0.113.0/24": (2,), "2001:db8:100::/44": (1, 2)}
CAPS = {"198.51.100.0/24": 3, "203.0.113.0/24": 1, "2001:db8:100::/44": 3}
STRANGE_PREFIXES = (
    *("198.51.100.0/25", "198.51.100.128/25", "198.51.0.0/16", "0.0.0.0/0", "8.8.8.0/24", "203.0.113.0/32"),
    *("2001:db8:100::/48", "2001:db8::/32", "::/0", "198.51.100.1/24", "198.51.100.0/24 ", "198.51.100.0"),
    "198.51.100.0/24 next-hop 10.0.0.1 as-path [ 13335 ]",
)
STRANGE_COUNTS = (-1, 4, 5, 6, 9, 10, 300, 10**30, 1.5, True, "2", None, "0 ] as-path [ 1 ]")


def announcement(rng: random.Random) -> dict[str, Any]:
    """One that the allow-list allows."""
    prefix = rng.choice(list(LINKS))
    signals: list[dict[str, Any]] = [
        {"link_id": link, "prepend": rng.randint(0, CAPS[prefix])} for link in LINKS[prefix]
    ]
    if len(signals) > 1 and rng.random() < 0.1:
        signals[rng.randrange(2)] = {"link_id": signals[0]["link_id"], "withhold": True}
        signals = [{"link_id": 1, "withhold": True}, {"link_id": 2, "prepend": 0}]
    deadline = rng.choice([None, time.time() + rng.uniform(5, 600)])
    return {
        "version": 1,
        "id": 1,
        "do": "announce",
        "prefix": prefix,
        "signals": signals,
        "owner": "p-1",
        "deadline": deadline,
    }


def strange(rng: random.Random) -> dict[str, Any]:
    """A request of the right shape with something wrong in it."""
    request = announcement(rng)
    match rng.randrange(8):
        case 0:
            request["prefix"] = rng.choice(STRANGE_PREFIXES)
        case 1:
            rng.choice(request["signals"])["prepend"] = rng.choice(STRANGE_COUNTS)
        case 2:
            rng.choice(request["signals"])["link_id"] = rng.choice([0, 3, 12, -1, 10**6, "1", None])
        case 3:
            request["signals"] = rng.choice([[], request["signals"] * 2, request["signals"][:1] * 3, {}, "x", None])
        case 4:
            request[rng.choice(["as_path", "next_hop", "community", "neighbor"])] = [13335]
        case 5:
            request["deadline"] = rng.choice([0, -1, 1e30, "soon", time.time() + 1e6, True])
        case 6:
            request["owner"] = rng.choice(["", "a b", "x" * 65, "a\u00e9", "p-1; shutdown", None, 7])
        case _:
            request[rng.choice(["version", "do", "id"])] = rng.choice([0, 2, "announce ", None, [], "shutdown"])
    return request


def mutated(rng: random.Random, line: bytes) -> bytes:
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(line) + 1)
        piece = rng.choice(
            [rng.randbytes(rng.randint(0, 4)), b"0", b"9", b"/", b"]", b"64501", b"\\n", b"\\u0000", b'"']
        )
        line = line[:at] + piece + line[at + rng.randint(0, 2) :]
    return line


def lines(rng: random.Random, count: int) -> Iterator[bytes]:
    for _ in range(count):
        chance = rng.random()
        if chance < 0.03:
            line = json.dumps(announcement(rng)).encode()
        elif chance < 0.05:
            do = rng.choice(["withdraw", "confirm"])
            line = json.dumps(
                {"version": 1, "id": 1, "do": do, "prefix": rng.choice(list(LINKS)), "owner": "p-1"}
            ).encode()
        elif chance < 0.4:
            line = json.dumps(strange(rng)).encode()
        elif chance < 0.95:
            line = mutated(rng, json.dumps(announcement(rng)).encode())
        else:
            line = rng.randbytes(rng.randint(0, 200))
        yield line.replace(b"\n", b" ") + b"\n"


def judge(message: bytes) -> str | None:
    """What is outside of the allow-list in an UPDATE, seen without the relay's code. None for nothing."""
    update = decode_update(message)
    if not update.announced:
        return None
    found = path_attributes(update.attributes)
    for net in update.announced:
        prefix = str(net.prefix())
        if prefix not in LINKS:
            return f"prefix {prefix}"
        hop = ip_address(ALLOWED["next_hop"][f"ipv{ip_network(prefix).version}"])
        if found.next_hop != hop or found.as_path or found.communities:
            return f"{prefix}: next hop {found.next_hop}, path {found.as_path}, communities {found.communities}"
        problem = _signals(prefix, found.large_communities)
        if problem:
            return f"{prefix}: {problem}"
    return None


def _signals(prefix: str, communities: frozenset[LargeCommunity]) -> str | None:
    told: list[int] = []
    announced = 0
    for community in communities:
        asn, function, parameter = str(community).split(":")
        link, count = (int(parameter) // 10, int(parameter) % 10) if function == "1" else (int(parameter), 0)
        if int(asn) != ASN or function not in {"1", "2"} or count > CAPS[prefix]:
            return f"community {community}"
        told.append(link)
        announced += function == "1"
    if sorted(told) != sorted(LINKS[prefix]) or not announced:
        return f"signals {sorted(map(str, communities))}"
    return None


def run(options: Options) -> Iterator[Figure]:
    rng = random.Random(options.seed)
    count = options.count(REQUESTS, least=1000)
    port = free_port()
    with (
        ListeningRouter(EDGE, port, asn=ASN, judge=judge) as router,
        exabgp_on_loopback(port=port, allow=ALLOWED, families=("ipv4", "ipv6")) as exabgp,
    ):
        exabgp.start()
        exabgp.ready(session="up", seconds=60)
        accepted = answered = 0
        with exabgp.client(timeout_seconds=60) as client:
            for batch in _batches(lines(rng, count)):
                client.socket.sendall(b"".join(batch))
                for _ in batch:
                    answered += 1
                    accepted += client.line()["ok"] is True
        state = exabgp.ready(session="up")
        yield Figure(what="requests", value=answered)
        yield Figure(what="of these accepted", value=accepted)
        yield Figure(what="UPDATEs that the router heard", value=router.updates)
        yield Figure(what="announcements outside the allow-list", value=len(router.outside), limit=0)
        yield Figure(what="requests without an answer", value=count - answered, limit=0)
        yield Figure(what="sessions lost", value=router.sessions - 1, limit=0)
        yield Figure(what="routes of ExaBGP that the journal lacked", value=_foreign(state), limit=0)


def _foreign(state: dict[str, Any]) -> int:
    return int(state["counters"].get("foreign_routes_withdrawn", 0))


def _batches(found: Iterator[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for line in found:
        batch.append(line)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
