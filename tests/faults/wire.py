"""From an approval to the transit's wire; home at the deadline when the daemon has been killed, and at once when it is
stopped.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

from labs.scenario import Scenario
from tests.faults.figure import Figure, Options, quantile
from tests.faults.real_routers import PREFIX, Ears, Loop, teagent_on_two_transits, until

CHANGES = 50
DEATHS = 5
STOPS = 5
WINDOW_SECONDS = 12
P95_MS = 100.0
LATE_SECONDS = 2.0
STOPPED_SECONDS = 5.0


def run(options: Options) -> Iterator[Figure]:
    rng = random.Random(options.seed)
    with teagent_on_two_transits(window=f"{WINDOW_SECONDS}s") as (loop, ears, scenario):
        took, withdrawn = _changes(loop, ears, rng, options.count(CHANGES, least=4))
        yield Figure(what="changes approved", value=len(took))
        yield Figure(what="approve to UPDATE on the transit's wire, p50 (ms)", value=quantile(took, 0.5))
        yield Figure(
            what="approve to UPDATE on the transit's wire, p95 (ms)",
            value=quantile(took, 0.95),
            limit=P95_MS,
            timed=True,
        )
        yield Figure(what="withdrawals heard meanwhile", value=withdrawn, limit=0)
        late = [_killed_unconfirmed(loop, ears, scenario, rng) for _ in range(options.count(DEATHS))]
        yield Figure(what="daemons killed with a change unconfirmed", value=len(late))
        yield Figure(what="home after the deadline, at the latest (s)", value=max(late), limit=LATE_SECONDS, timed=True)
        yield Figure(what="home before the deadline (s early, at most)", value=max(-min(late), 0.0), limit=0.5)
        stops = [_stopped_unconfirmed(loop, ears, scenario, rng) for _ in range(options.count(STOPS))]
        yield Figure(what="daemons stopped with a change unconfirmed", value=len(stops))
        yield Figure(what="home after SIGTERM, at the latest (s)", value=max(stops), limit=STOPPED_SECONDS, timed=True)


def _vectors(rng: random.Random) -> Iterator[tuple[int, int]]:
    """Each changes what transit A hears."""
    last = 0
    while True:
        last = rng.choice([count for count in range(4) if count != last])
        # home is (0, 2): this is never it
        yield (last, rng.choice([0, 1, 3]))


def _changes(loop: Loop, ears: Ears, rng: random.Random, count: int) -> tuple[list[float], int]:
    vectors, took, began = _vectors(rng), [], time.time()
    for _ in range(count):
        a, b = next(vectors)
        proposal = loop.propose((a, b))
        client, path = loop.client(), (65000,) * (a + 1)
        started = time.time()
        client.call("proposal.approve", id=proposal)
        heard = until(
            f"{proposal} at transit A",
            lambda started=started, path=path: [
                row for row in ears.heard(started) if row.node == "ta" and row.path == path
            ],
            seconds=10,
        )
        took.append((heard[0].at - started) * 1000)
        client.call("proposal.confirm", id=proposal)
    last = loop.client().call("proposal.list")["proposals"]
    for row in last:
        loop.client().call("proposal.revert", id=row["id"])
    until("home", lambda: _at_home(loop), seconds=20)
    return took, sum(row.path is None for row in ears.heard(began))


def _at_home(loop: Loop) -> bool:
    """Nothing is held, and nothing is on its way."""
    document = loop.client().call("status")
    return not document["speaker"]["overrides"] and not any(row["on_wire"] for row in document["proposals"])


def _killed_unconfirmed(loop: Loop, ears: Ears, scenario: Scenario, rng: random.Random) -> float:
    """Seconds from the deadline to home on the wire of transit A."""
    proposal = loop.propose((rng.randint(1, 3), 0))
    loop.client().call("proposal.approve", id=proposal)
    applied = time.time()
    loop.kill_daemon()
    back = _home(ears, scenario, since=applied + 1, seconds=WINDOW_SECONDS + 20)
    _begin_again(loop)
    return back - applied - WINDOW_SECONDS


def _stopped_unconfirmed(loop: Loop, ears: Ears, scenario: Scenario, rng: random.Random) -> float:
    """Seconds from SIGTERM to home on the wire of transit A."""
    proposal = loop.propose((rng.randint(1, 3), 0))
    loop.client().call("proposal.approve", id=proposal)
    time.sleep(1)
    stopped = time.time()
    code = loop.stop_daemon()
    assert code == 0, f"the daemon ended with {code}"
    back = _home(ears, scenario, since=stopped, seconds=STOPPED_SECONDS)
    _begin_again(loop)
    return back - stopped


def _home(ears: Ears, scenario: Scenario, *, since: float, seconds: float) -> float:
    """When transit A heard the path that it has at home."""
    home = tuple(scenario.home["transit-a"][PREFIX] or ())
    rows = until(
        "home without the daemon",
        lambda: [row for row in ears.heard(since) if row.node == "ta" and row.path == home],
        seconds=seconds,
        every=0.2,
    )
    return float(rows[0].at)


def _begin_again(loop: Loop) -> None:
    loop.start_daemon()
    loop.wait_for("the daemon's return", loop.ready, seconds=60)
    until("the daemon to see that it is home", lambda: _at_home(loop), seconds=20, every=0.2)
