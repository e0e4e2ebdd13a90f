"""A router that refuses an override: noticed, named and taken back, and no transit ever hears of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from tests.faults.figure import Figure, Options
from tests.faults.real_routers import Ears, Loop, teagent_on_two_transits, until
from tests.lab.refusing_edge import Edge, LoopedPath

ROUNDS = 10
NOTICED_WITHIN_SECONDS = 10.0


class LoopedLoop(LoopedPath, Loop):
    """The whole of teagent, with an ExaBGP that may put our AS into paths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """`seconds` from the approval to the end of it; `told` is why it was taken back."""

    seconds: float
    state: str
    actor: str
    told: str
    held: int
    heard: int


def run(options: Options) -> Iterator[Figure]:
    rounds = options.count(ROUNDS)
    with teagent_on_two_transits(window="60s", loop_type=LoopedLoop) as (loop, ears, _scenario):
        edge = Edge(loop.lab)
        until("the edge's word on its routes", lambda: _told(loop), seconds=60, every=0.3)
        ways: tuple[tuple[str, str, Callable[[], AbstractContextManager[None]]], ...] = (
            ("its own address as next hop", "next hop", edge.own_next_hop),
            ("a prefix list", "inbound policy", edge.prefix_list),
            ("an AS loop", "an AS loop", lambda: _looped(loop)),
        )
        for what, word, refusing in ways:
            with refusing():
                rows = [_refused(loop, ears) for _ in range(rounds)]
            yield Figure(what=f"{what}: changes refused by the edge", value=len(rows))
            yield Figure(
                what=f"{what}: taken back, at the latest (s)",
                value=max(row.seconds for row in rows),
                limit=NOTICED_WITHIN_SECONDS,
                timed=True,
            )
            wrong = [row for row in rows if not _right(row, word)]
            for row in wrong:
                print(f"  {row}", file=sys.stderr)
            yield Figure(what=f"{what}: not reverted, or not said why", value=len(wrong), limit=0)
            yield Figure(what=f"{what}: UPDATEs heard by a transit", value=sum(row.heard for row in rows), limit=0)


def _told(loop: Loop) -> bool:
    witness = loop.client().call("status")["witness"]
    return all(row["connected"] and row["told"] for row in witness)


@contextmanager
def _looped(loop: LoopedLoop) -> Iterator[None]:
    """Until ExaBGP is started again."""
    loop.kill_exabgp()
    loop.looped = True
    loop.start_exabgp()
    loop.wait_for("the session's return", loop.ready, seconds=60, every=0.3)
    yield


def _refused(loop: Loop, ears: Ears) -> Refused:
    proposal = loop.propose((1, 0))
    client, began = loop.client(), time.time()
    client.call("proposal.approve", id=proposal)
    shown = until(
        f"the end of {proposal}",
        lambda: (row := client.call("proposal.show", id=proposal))["final"] and row,
        seconds=NOTICED_WITHIN_SECONDS + 20,
    )
    took = time.time() - began
    why = next((row for row in shown["history"] if row["event"] == "trip"), {"actor": "", "reason": ""})
    return Refused(
        seconds=took,
        state=shown["state"],
        actor=why["actor"],
        told=why["reason"],
        held=len(client.call("status")["speaker"]["overrides"]),
        heard=len(ears.heard(began)),
    )


def _right(row: Refused, word: str) -> bool:
    named = row.actor == "guard:witness" and row.told.startswith("edge dropped it") and word in row.told
    return named and row.state == "reverted" and row.held == 0
