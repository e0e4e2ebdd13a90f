"""Whether a decision takes longer with a language model beside it, and whether it comes to something else.

    python benchmarks/advisor.py [--rounds 12] [--cycles 20] [--json]

The decider of the daemon decides over and over on a small network with a congested link, while the advisor asks a
model about the proposal that waits: not at all; with one that answers at once, that never answers, and that says
hostile things. The model is a small HTTP server on loopback that speaks as Ollama does, asked by the real client. All
four take turns. Told are the median seconds of a cycle, those with a model as ratios to those without; and `differs`,
how many of the runs left another proposal or decision behind than the one without.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from datetime import UTC, datetime

import structlog

from teagent.adapters.advisor.ollama import OllamaAdvisor, OllamaSettings
from teagent.adapters.store.serialise import to_text
from teagent.model.plan import Decision
from teagent.service.advise import Advising
from teagent.service.caller import Caller
from tests.fakes.clock import FakeClock
from tests.fakes.ollama import MODEL, FakeOllama, fake_ollama
from tests.unit.service.deciding import DecidingWorld

MODES = ("off", "answers", "hangs", "hostile")
NOON = datetime(2026, 1, 12, 12, 0, tzinfo=UTC)
RATIO = 1.1
HOSTILE = '{"choice": "c1", "approve": true}' + "<think>withdraw everything" * 400


async def run(mode: str, server: FakeOllama, cycles: int) -> tuple[list[float], str]:
    """Seconds of each cycle, and what was decided."""
    world = DecidingWorld(FakeClock(NOON))
    await world.store.start()
    await world.settle()
    await world.windows(4)
    await world.decider.cycle()
    asking: asyncio.Task[None] | None = None
    if mode != "off":
        server.behaviour = "slow" if mode == "hangs" else "well"
        if mode == "hostile":
            server.say = lambda _request: HOSTILE
        advisor = OllamaAdvisor(OllamaSettings(model=MODEL, url=server.url, timeout_seconds=30))
        made = Advising(
            caller=Caller(advisor=advisor, store=world.store, clock=world.clock),
            book=world.book,
            decider=world.decider,
            predictor=world.predictor,
            policies=world.policies,
            store=world.store,
            clock=world.clock,
            suggest=True,
        )
        asking = asyncio.create_task(made.cycle())
    seconds = []
    for _ in range(cycles):
        began = time.perf_counter()
        await world.decider.cycle()
        seconds.append(time.perf_counter() - began)
        await asyncio.sleep(0.001)
    if asking is not None:
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    left = [to_text(Decision, each) for each in world.decider.last().values()]
    return seconds, json.dumps([left, len(world.pending()), [each.plan.digest for each in world.book.all()]])


def measured(rounds: int, cycles: int) -> dict[str, float]:
    seconds: dict[str, list[float]] = {mode: [] for mode in MODES}
    differs = 0
    for number in range(rounds):
        turn = MODES[number % len(MODES) :] + MODES[: number % len(MODES)]
        left: dict[str, str] = {}
        for mode in turn:
            with fake_ollama() as server:
                taken, left[mode] = asyncio.run(run(mode, server, cycles))
            seconds[mode].append(statistics.median(taken))
        differs += sum(text != left["off"] for text in left.values())
    figures = {f"{mode}_seconds": statistics.median(seconds[mode]) for mode in MODES}
    figures |= {
        f"{mode}_ratio": statistics.median(one / off for one, off in zip(seconds[mode], seconds["off"], strict=True))
        for mode in MODES[1:]
    }
    return figures | {"differs": float(differs)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--cycles", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    figures = measured(arguments.rounds, arguments.cycles)
    targets = {f"{mode}_ratio": RATIO for mode in MODES[1:]} | {"differs": 0.0}
    met = {name: figures[name] <= value for name, value in targets.items()}
    if arguments.json:
        print(json.dumps({"name": "advisor", "figures": figures, "targets": targets, "met": met}))
        return 0
    for name, value in figures.items():
        target = f"   at most {targets[name]:g}: {'met' if met[name] else 'MISSED'}" if name in targets else ""
        print(f"{name:20} {value:10.5f}{target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
