"""Fifty command lines at once, half of them writing: each gets its own answer, and what is illegal is refused."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from teagent.adapters.store import SqliteStore
from tests.fakes.proposals import example_proposal
from tests.faults.figure import Figure, Options
from tests.integration.running import Router, RunningDaemon, Site, free_port, site, teagent

ROUNDS = 8
CLIENTS = 50
WRITERS_EACH = 5
"""So many want to reject the same proposal at the same time; one of them does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    proposal: str
    writes: bool
    done: subprocess.CompletedProcess[str]

    def right(self) -> bool:
        """Whether this is an answer to what was asked, and one that can be true."""
        if self.writes and self.done.returncode == 5:
            return self.proposal in self.done.stderr and "rejected" in self.done.stderr
        if self.writes:
            return self.done.returncode == 0 and self.done.stdout.startswith(f"{self.proposal} is rejected.")
        if self.done.returncode != 0:
            return False
        document = json.loads(self.done.stdout)
        return bool(document["id"] == self.proposal and document["state"] == document["history"][-1]["to_state"])


def run(options: Options) -> Iterator[Figure]:
    rng = random.Random(options.seed)
    rounds = options.count(ROUNDS)
    targets = CLIENTS // 2 // WRITERS_EACH
    ids = [f"p-{number:04x}" for number in range(rounds * targets)]
    asked: list[Asked] = []
    # nobody answers on the router's port: what is asked for here needs no readings
    routers = [Router(name="edge1", address="127.0.0.1", port=free_port())]
    links = [("transit-a", "edge1", "eth0"), ("transit-b", "edge1", "eth1")]
    with site(routers=routers, links=links) as where:
        asyncio.run(_fill(where, ids))
        where.write()
        with RunningDaemon(where) as daemon:
            daemon.ready()
            for number in range(rounds):
                asked += _at_once(where, rng, ids, ids[number * targets : (number + 1) * targets])
            stopped = daemon.stop()
    won = Counter(each.proposal for each in asked if each.writes and each.done.returncode == 0)
    yield Figure(what="command lines, 50 at a time", value=len(asked))
    yield Figure(what="wrong or mixed answers", value=sum(not each.right() for each in asked), limit=0)
    yield Figure(what="proposals not rejected by exactly one of five", value=sum(won[id_] != 1 for id_ in ids), limit=0)
    yield Figure(what="daemons that did not end cleanly", value=stopped != 0, limit=0)


async def _fill(where: Site, ids: list[str]) -> None:
    store = SqliteStore(where.directory / where.store)
    await store.start()
    for id_ in ids:
        await store.add_proposal(example_proposal(id_, now=datetime.now(UTC), expires_after_seconds=3600))
    await store.stop()


def _at_once(where: Site, rng: random.Random, ids: list[str], targets: list[str]) -> list[Asked]:
    def reject(id_: str) -> Asked:
        return Asked(proposal=id_, writes=True, done=teagent(where, "proposal", id_, "reject", "--reason", "a test"))

    def show(id_: str) -> Asked:
        return Asked(proposal=id_, writes=False, done=teagent(where, "proposal", id_, "show", "--json"))

    jobs = [(reject, id_) for id_ in targets for _ in range(WRITERS_EACH)]
    jobs += [(show, rng.choice(ids)) for _ in range(CLIENTS - len(jobs))]
    rng.shuffle(jobs)
    with ThreadPoolExecutor(CLIENTS) as pool:
        return [future.result() for future in [pool.submit(job, id_) for job, id_ in jobs]]
