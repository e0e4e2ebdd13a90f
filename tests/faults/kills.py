"""Random SIGKILLs over daemon, relay and ExaBGP: idle, within an apply, within a confirm window.

After each: no withdrawal at any transit, at most one UPDATE to home, every override as approved or home, and all of it
reconciled within one cycle of the daemon.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from labs.scenario import Scenario, received_paths
from teagent.daemon.duties import RECONCILE_SECONDS
from teagent.errors import TeagentError
from tests.faults.figure import Figure, Options, quantile
from tests.faults.real_routers import PREFIX, Ears, Heard, Loop, teagent_on_two_transits, until

KILLS = 100
SLACK_SECONDS = 2.0
"""Of the harness: what it takes to ask the routers."""

VICTIMS = ("daemon", "relay", "exabgp")
MOMENTS = ("idle", "apply", "window")
RELAY_PAUSE_SECONDS = 20.0
"""ExaBGP ends at the sixth death of its helper within 64 s, and the relay pauses before the fourth start."""


class Life:
    def __init__(self, loop: Loop, ears: Ears, scenario: Scenario, rng: random.Random) -> None:
        self.loop, self.ears, self.scenario, self.rng = loop, ears, scenario, rng
        self.withdrawn = self.homes_too_many = 0
        self.settled: list[float] = []
        self._relay_died = 0.0

    def one(self, victim: str, moment: str) -> None:
        self._settle()
        began = time.time()
        apply = None
        if moment != "idle":
            proposal = self.loop.propose(self._other_vector())
            apply = threading.Thread(target=self._approve, args=(proposal,))
            apply.start()
            if moment == "apply":
                time.sleep(self.rng.uniform(0, 0.15))
            else:
                apply.join()
        self._kill(victim)
        if apply is not None:
            apply.join()
        self.loop.wait_for(f"the return after {victim} at {moment}", self.loop.ready, seconds=90, every=0.3)
        back = time.monotonic()
        until("a state that is as approved or home", self._consistent, seconds=60, every=0.3)
        self.settled.append(time.monotonic() - back)
        self._judge(self.ears.heard(began))

    def _settle(self) -> None:
        """What waits is rejected or confirmed, so that the next kill begins with one override or with none."""
        client = self.loop.client()
        for row in client.call("proposal.list")["proposals"]:
            with suppress(TeagentError):
                match row["state"]:
                    case "pending":
                        client.call("proposal.reject", id=row["id"])
                    case "confirming":
                        client.call("proposal.confirm", id=row["id"])
                    case _:
                        pass
        until("what is going on to end", self._quiet, seconds=60, every=0.3)

    def _quiet(self) -> bool:
        rows = self.loop.client().call("proposal.list")["proposals"]
        return all(row["state"] == "active" for row in rows) and self._consistent()

    def _other_vector(self) -> tuple[int, int]:
        held = {row["prefix"]: row for row in self._overrides()}
        now = held.get(PREFIX, {}).get("vector", {}).get("transit-a")
        return self.rng.choice([count for count in range(1, 4) if count != now]), self.rng.choice([0, 1])

    def _approve(self, proposal: str) -> None:
        with suppress(TeagentError, OSError):
            self.loop.client().call("proposal.approve", id=proposal)

    def _kill(self, victim: str) -> None:
        match victim:
            case "daemon":
                self.loop.kill_daemon()
                self.loop.start_daemon()
            case "exabgp":
                self.loop.kill_exabgp()
                self.loop.start_exabgp()
            case _:
                time.sleep(max(0.0, self._relay_died + RELAY_PAUSE_SECONDS - time.monotonic()))
                for pid in self._relays():
                    os.kill(pid, signal.SIGKILL)
                self._relay_died = time.monotonic()

    def _relays(self) -> list[int]:
        """The helpers of this lab's ExaBGP, and of nobody else's."""
        assert self.loop._exabgp is not None
        return [
            int(pid)
            for exabgp in self.loop._exabgp._children()
            for pid in Path(f"/proc/{exabgp}/task/{exabgp}/children").read_text().split()
        ]

    def _overrides(self) -> list[dict[str, Any]]:
        speaker = self.loop.client().call("status")["speaker"]
        return list(speaker["overrides"])

    def _consistent(self) -> bool:
        """The relay holds what live proposals own, and the transits have heard just that."""
        try:
            client = self.loop.client()
            live = client.call("proposal.list")["proposals"]
            overrides = self._overrides()
        except (TeagentError, OSError, KeyError, IndexError):
            return False
        # What waits for its confirmation owns its prefixes; the active one below gets them back if nobody confirms it.
        owned = {
            prefix: row["id"]
            for state in ("active", "confirming")
            for row in live
            if row["state"] == state
            for prefix in row["prefixes"]
        }
        if any(row["state"] in {"applying", "reverting", "approved"} for row in live):
            return False
        if {row["prefix"]: row["owner"] for row in overrides} != owned:
            return False
        return received_paths(self.loop.lab, self.scenario) == self._expected(overrides)

    def _expected(self, overrides: list[dict[str, Any]]) -> dict[str, dict[str, tuple[int, ...] | None]]:
        paths = {link: dict(rows) for link, rows in self.scenario.home.items()}
        for row in overrides:
            for link, prepend in row["vector"].items():
                paths[link][row["prefix"]] = (self.scenario.local_asn,) * (prepend + 1)
        return paths

    def _judge(self, heard: list[Heard]) -> None:
        self.withdrawn += sum(row.path is None for row in heard)
        for link in self.scenario.links:
            home = self.scenario.home[link.name][PREFIX]
            to_home = [row for row in heard if row.node == link.node and row.path == home]
            self.homes_too_many += len(to_home) > 1


def run(options: Options) -> Iterator[Figure]:
    rng = random.Random(options.seed)
    kills = options.count(KILLS, least=3)
    whom = [(VICTIMS[number % 3], rng.choice(MOMENTS)) for number in range(kills)]
    rng.shuffle(whom)
    with teagent_on_two_transits(window="60s") as (loop, ears, scenario):
        life = Life(loop, ears, scenario, rng)
        for victim, moment in whom:
            life.one(victim, moment)
        for victim in VICTIMS:
            yield Figure(what=f"kills of the {victim}", value=sum(each == victim for each, _ in whom))
        yield Figure(what="withdrawals heard by any transit", value=life.withdrawn, limit=0)
        yield Figure(what="kills with more than one UPDATE to home", value=life.homes_too_many, limit=0)
        yield Figure(what="reconciled after the return, p50 (s)", value=quantile(life.settled, 0.5))
        limit = RECONCILE_SECONDS + SLACK_SECONDS
        yield Figure(
            what="reconciled after the return, at the latest (s)", value=max(life.settled), limit=limit, timed=True
        )
