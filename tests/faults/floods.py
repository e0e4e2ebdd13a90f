"""A million commands from daemons that never read, and from one that floods: sessions stay, memory stays flat."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from tests.faults.figure import Figure, Options, rss_kib
from tests.integration.bird_network import PREFIX, Network, bird_network

COMMANDS = 1_000_000
BATCH = 200
ANNOUNCED_EVERY = 40
"""One command in so many goes on to ExaBGP as a changed announcement; the others are refused or answered at once."""
SAME_SECONDS = 0.1
"""BIRD reckons anew, from two clocks, since when a session has been up: it differs by a millisecond now and then."""
GROWTH_KIB = 4096
SETTLED_GROWTH_KIB = 512
"""In the second half of it, which is like the first: what is allocated once has been allocated by then."""


def run(options: Options) -> Iterator[Figure]:
    quarter = options.count(COMMANDS // 4, least=500)
    with bird_network() as network:
        exabgp = network.exabgp
        # what is allocated once is not growth
        _flood(network, 2000)
        relay, speaker = exabgp.relay_pid(), exabgp.pid
        memory = [(rss_kib(relay), rss_kib(speaker))]
        up_since = _up_since(network)
        deaf = flooded = 0
        for _ in range(2):
            deaf += _deaf(network, quarter)
            flooded += _flood(network, quarter)
            memory.append((rss_kib(relay), rss_kib(speaker)))
        state = exabgp.ready(session="up")
        yield Figure(what="commands of daemons that never read", value=deaf)
        yield Figure(what="commands of a daemon that floods", value=flooded)
        yield Figure(what="UPDATEs that ExaBGP sent for them", value=state["counters"]["updates_sent"])
        yield Figure(what="sessions lost, by the relay", value=state["counters"].get("sessions_down", 0), limit=0)
        since = _up_since(network)
        yield Figure(what="sessions lost, by the router", value=abs(since - up_since) > SAME_SECONDS, limit=0)
        yield Figure(what="relays that died", value=exabgp.relay_pid() != relay, limit=0)
        for name, before, halfway, after in zip(("the relay", "ExaBGP"), *memory, strict=True):
            yield Figure(what=f"growth of {name} (KiB)", value=after - before, limit=GROWTH_KIB)
            settled = after - halfway
            yield Figure(what=f"growth of {name} in the second half (KiB)", value=settled, limit=SETTLED_GROWTH_KIB)


def _line(number: int) -> bytes:
    announced = number % ANNOUNCED_EVERY == 0
    prepend = (number // ANNOUNCED_EVERY) % 4 if announced else 9
    signals = [{"link_id": 1, "prepend": prepend}, {"link_id": 2, "prepend": 0}]
    request = {"version": 1, "id": 1, "do": "announce", "prefix": PREFIX, "signals": signals, "owner": "p-1"}
    return json.dumps(request | {"deadline": None}).encode() + b"\n"


def _deaf(network: Network, count: int) -> int:
    """Sends until the relay does not take any more, lets go, and begins anew."""
    sent = 0
    while sent < count:
        with network.exabgp.client(timeout_seconds=0.2) as client:
            try:
                while sent < count:
                    batch = b"".join(_line(sent + index) for index in range(BATCH))
                    client.socket.sendall(batch)
                    sent += BATCH
            except (TimeoutError, ConnectionError):
                # part of this batch was taken: it counts as none
                continue
    return sent


def _flood(network: Network, count: int) -> int:
    answered = 0
    with network.exabgp.client(timeout_seconds=60) as client:
        for first in range(0, count, BATCH):
            client.socket.sendall(b"".join(_line(first + index) for index in range(BATCH)))
            for _ in range(BATCH):
                client.line()
                answered += 1
    return answered


def _up_since(network: Network) -> float:
    """Seconds of the day, as the router tells it."""
    told = network.edge.ask("show", "protocols")
    found = re.search(r"^teagent\S*\s+BGP\s.*\s(\d+):(\d+):([\d.]+)\s+Established\b", told, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3])
