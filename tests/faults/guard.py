"""A guard is broken by real traffic: home on the transit's wire within one poll plus five seconds."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from labs.scenario import Traffic
from tests.faults.figure import Figure, Options
from tests.faults.real_routers import PREFIX, teagent_on_two_transits, until

BREACHES = 3
POLL_SECONDS = 5.0
ALLOWED_SECONDS = POLL_SECONDS + 5.0
BURST_SECONDS = 30
LOW = (("above: 80%", "above: 5%"), ("clear_below: 70%", "clear_below: 4%"), ("above: 95%", "above: 10%"))
"""The burst fills the link nine tenths, so that the poll in the middle of which it begins shows it."""


def run(options: Options) -> Iterator[Figure]:
    took: list[float] = []
    withdrawn = 0
    with teagent_on_two_transits(window="10m", edits=LOW) as (loop, ears, scenario):
        home = scenario.home["transit-a"][PREFIX]
        for _ in range(options.count(BREACHES)):
            proposal = loop.propose((1, 0))
            loop.client().call("proposal.approve", id=proposal)
            time.sleep(2 * POLL_SECONDS + 2)  # settled, and a reading since
            with tempfile.TemporaryDirectory(prefix="te-") as name:
                began = time.time()
                with Traffic(loop.lab, scenario, seconds=BURST_SECONDS, directory=Path(name)):
                    back = until(
                        "home",
                        lambda began=began: [row for row in ears.heard(began) if row.node == "ta" and row.path == home],
                        seconds=60,
                        every=0.2,
                    )
                    took.append(back[0].at - began)
            withdrawn += sum(row.path is None for row in ears.heard(began))
            shown = loop.client().call("proposal.show", id=proposal)
            assert any(row["actor"] == "guard:in_utilisation" for row in shown["history"]), shown["history"]
            time.sleep(3 * POLL_SECONDS)  # the burst has left the readings
    yield Figure(what="guards broken by traffic", value=len(took))
    yield Figure(
        what="breach to home on the transit's wire, at the latest (s)",
        value=max(took),
        limit=ALLOWED_SECONDS,
        timed=True,
    )
    yield Figure(what="withdrawals heard meanwhile", value=withdrawn, limit=0)
