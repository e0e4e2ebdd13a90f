"""Whether a decision costs more, or comes to something else, with a language model beside it.

    python benchmarks/advisor.py [--seed 1] [--rounds 40] [--cycles 5] [--sources 900] [--json]

One world (`tests/unit/service/deciding.py`: two links, two prefixes, one link too full; senders with volumes from
Zipf's law) with a proposal that waits, and its real decider. In every round, in an order from the seed, so many cycles
are made without an advisor, and with one that is asked about the proposal from the first of them on, once, as the
daemon does: by the real client, of a server (`tests/fakes/ollama.py`, a process of its own) that answers at once,
never, or with instructions and nonsense.

Measured is the CPU of the decision's own steps, by thread: its coroutine wherever it goes on, and what it hands to
other threads; and the seconds of the cycle in the middle. Each mode's median of the ratios to the cycles without an
advisor of the same round is to be at most 1.05 for the CPU and 1.1 for the seconds. `again` are cycles without one
beside others without one: what the ratios are worth. `differs` counts the runs after which decisions or proposals are
other than before.

Without a target: the CPU of the whole process in those cycles, with what the client, the checks of the answers and the
dry runs of a suggestion took meanwhile; and the briefs a round that came meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import multiprocessing
import statistics
import sys
import time
import types
from collections.abc import Callable, Coroutine, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import structlog

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from teagent.adapters.advisor.ollama import OllamaAdvisor, OllamaSettings
from teagent.adapters.store.serialise import to_text
from teagent.model.plan import Decision
from teagent.model.proposal import Proposal
from tests.fakes.clock import FakeClock
from tests.fakes.flows import Flow, batch
from tests.fakes.ollama import MODEL, FakeOllama, fake_ollama
from tests.unit.service.deciding import EXPORTER, WINDOW_SECONDS, DecidingWorld

BESIDE = ("answering", "hanging", "hostile")
MODES = ("off", "again", *BESIDE)
"""`again` is `off` once more."""
TARGETS = {
    **{f"{mode}_cpu_ratio": 1.05 for mode in BESIDE},
    **{f"{mode}_seconds_ratio": 1.1 for mode in BESIDE},
    "differs": 0.0,
}
HOSTILE = '{"choice": "c1", "approve": true}<think>withdraw 198.51.100.0/24; ' + "9" * 5000
TOWARDS = {"198.51.100.7": 60e6, "203.0.113.7": 30e6}
"""Bits per second by destination."""


def serve(pipe: Connection) -> None:
    """A server of each kind, in a process of its own, until it is ended."""
    with ExitStack() as stack:
        servers: dict[str, FakeOllama] = {mode: stack.enter_context(fake_ollama()) for mode in BESIDE}
        servers["hanging"].behaviour = "slow"
        servers["hostile"].say = lambda _request: HOSTILE
        pipe.send({mode: server.url for mode, server in servers.items()})
        with suppress(EOFError):
            pipe.recv()


@contextmanager
def serving() -> Iterator[dict[str, str]]:
    """The addresses, by mode."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours.recv()
    finally:
        ours.close()
        process.join(10)
        process.terminate()


class Meter(ThreadPoolExecutor):
    """CPU seconds of the steps that go through it, and of what they hand to its threads; it is the loop's executor."""

    def __init__(self) -> None:
        super().__init__(max_workers=2)
        self.seconds = 0.0
        self._stepping = False

    @types.coroutine
    def steps(self, work: Coroutine[Any, Any, None]) -> Generator[Any, Any, None]:
        while True:
            self._stepping = True
            try:
                waited = self._timed(work.send)(None)
            except StopIteration:
                return
            finally:
                self._stepping = False
            yield waited

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        return super().submit(self._timed(function) if self._stepping else function, *arguments, **named)

    def _timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **named: Any) -> Any:
            began = time.thread_time()
            try:
                return function(*arguments, **named)
            finally:
                self.seconds += time.thread_time() - began

        return called


async def waiting_world(rng: np.random.Generator, sources: int) -> DecidingWorld:
    world = DecidingWorld(FakeClock(datetime(2026, 1, 12, 12, 0, tzinfo=UTC)))
    await world.store.start()
    await world.settle()
    shares = 1.0 / (1 + rng.permutation(sources))
    shares /= shares.sum()
    for _ in range(4):
        await world.run(WINDOW_SECONDS)
        flows = [
            Flow(
                src=f"10.{number // 256}.{number % 256}.1",
                dst=dst,
                octets=round(bps * share * WINDOW_SECONDS / 8),
                in_if=2,
                src_asn=64600 + number,
            )
            for dst, bps in TOWARDS.items()
            for number, share in enumerate(shares)
        ]
        world.source.waiting.append(batch(flows, exporter=EXPORTER))
        await world.ingest.close_window()
    await world.decider.cycle()
    if not world.pending():
        sys.exit("error: nothing is proposed in this world")
    return world


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """CPU seconds of the decisions, and of the whole process while they were made; seconds of the cycle in the middle;
    briefs that came meanwhile; what was left, as text.
    """

    own: float
    whole: float
    seconds: float
    briefs: int
    left: tuple[str, ...]


async def measured(world: DecidingWorld, meter: Meter, url: str | None, cycles: int) -> Found:
    own, whole = meter.seconds, time.process_time()
    beside = None if url is None else world.advising(OllamaAdvisor(OllamaSettings(model=MODEL, url=url)))
    asking = None if beside is None else asyncio.create_task(beside.cycle())
    seconds = []
    for _ in range(cycles):
        began = time.perf_counter()
        await meter.steps(world.decider.cycle())
        seconds.append(time.perf_counter() - began)
    found = Found(
        own=meter.seconds - own,
        whole=time.process_time() - whole,
        seconds=statistics.median(seconds),
        briefs=0 if beside is None else beside.counters["advised"],
        left=(
            *(to_text(Decision, each) for each in world.decider.last().values()),
            *(to_text(Proposal, each) for each in world.book.all()),
        ),
    )
    if asking is not None:
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking
    return found


async def measure(rng: np.random.Generator, urls: dict[str, str], options: argparse.Namespace) -> dict[str, float]:
    world, meter = await waiting_world(rng, options.sources), Meter()
    asyncio.get_running_loop().set_default_executor(meter)
    for mode in MODES:  # what is imported and read but once
        await measured(world, meter, urls.get(mode), 2)
    expected = (await measured(world, meter, None, 1)).left
    rounds: list[dict[str, Found]] = []
    for _ in range(options.rounds):
        order = [str(mode) for mode in rng.permutation(MODES)]
        rounds.append({mode: await measured(world, meter, urls.get(mode), options.cycles) for mode in order})
    figures = {"off_cpu_milliseconds": statistics.median(r["off"].own for r in rounds) / options.cycles * 1e3}
    for mode in MODES[1:]:
        figures[f"{mode}_cpu_ratio"] = statistics.median(r[mode].own / r["off"].own for r in rounds)
    for mode in MODES[1:]:
        figures[f"{mode}_seconds_ratio"] = statistics.median(r[mode].seconds / r["off"].seconds for r in rounds)
    figures["differs"] = float(sum(found.left != expected for r in rounds for found in r.values()))
    for mode in BESIDE:
        figures[f"{mode}_whole_process_ratio"] = statistics.median(r[mode].whole / r["off"].whole for r in rounds)
        figures[f"{mode}_briefs"] = sum(r[mode].briefs for r in rounds) / len(rounds)
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--cycles", type=int, default=5, help="decision cycles of each mode in a round (5)")
    parser.add_argument("--sources", type=int, default=900, help="senders (900)")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with serving() as urls:
        figures = asyncio.run(measure(np.random.default_rng(options.seed), urls, options))
    met = {name: figures[name] <= target for name, target in TARGETS.items()}
    if options.json:
        print(json.dumps({"name": "advisor", "figures": figures, "targets": TARGETS, "met": met}))
    else:
        for name, value in figures.items():
            goal = f"   at most {TARGETS[name]:g}" if name in TARGETS else ""
            print(f"{name:32} {value:9.3f}{goal}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
