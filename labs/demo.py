"""`make demo`: the whole job on the two-transit lab, with real routers and real packets.

A congested transit is measured, a proposal appears with its dry run, it is approved (asked for on a terminal, said by
this script without one), goes out through ExaBGP, the traffic moves, and what happened is put beside what was said.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from labs.loop import ClosedLoop
from labs.model import ModelServer, advised
from labs.program import console, percent, run, waiting
from labs.runner import Lab, LabError
from labs.scenario import Scenario, Traffic, load_scenario, loss_towards, received_paths, wait_for_paths
from teagent.model.units import format_bps, format_share, parse_time

HERE = Path(__file__).resolve().parent
SCENARIO = HERE / "two-transit" / "scenario.yaml"
CONFIG = HERE / "two-transit" / "teagent.yaml"
TRAFFIC_SECONDS = 420
PROPOSAL_SECONDS = 120
SETTLE_SECONDS = 60
ADVICE_SECONDS = 200
LOSS_WINDOW_SECONDS = 15


@contextmanager
def step(number: int, what: str) -> Iterator[None]:
    console.print(f"[bold]{number}/7[/bold] {what}")
    started = time.monotonic()
    yield
    console.print(f"    [dim]{time.monotonic() - started:.0f}s[/dim]")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="labs.demo", description="The whole job on the two-transit lab.")
    parser.add_argument("--yes", action="store_true", help="approve without asking, on a terminal too")
    parser.add_argument("--model", metavar="NAME", help="have the proposal explained by this model of a local Ollama")
    parser.add_argument("--ollama", default="ollama", metavar="PROGRAM", help="the Ollama that has it (ollama)")
    parser.add_argument("--kill-model", action="store_true", help="kill it in the middle of its answer, and go on")
    parser.add_argument("--keep-logs", type=Path, metavar="DIR", help="where to leave the daemons' logs")
    options = parser.parse_args(arguments)
    ask = sys.stdin.isatty() and sys.stdout.isatty() and not options.yes
    model = None if options.model is None else Model(options.model, options.ollama, kill=options.kill_model)
    return run(
        lambda logs: demo(logs=logs, ask=ask, model=model), what="the demo", target="demo", logs=options.keep_logs
    )


@dataclass(frozen=True, slots=True)
class Model:
    """What explains the proposal, of which program; killed in the middle of it with `kill`."""

    name: str
    program: str
    kill: bool


def demo(*, logs: Path, ask: bool, model: Model | None = None) -> int:
    scenario = load_scenario(SCENARIO)
    lab = Lab.from_file(scenario.topology, name=f"demo-{os.getpid()}")
    with step(1, "bring up 12 nodes: our edge, two transits, a tier-1, three remote networks, hosts"):
        lab.deploy()
    try:
        with step(2, "wait for BGP: home is what the edge announces by itself"):
            wait_for_paths(lab, scenario, scenario.home)
            show_paths(lab, scenario)
        config = CONFIG if model is None else advised(CONFIG, model.name, directory=logs)
        with (
            ExitStack() as stack,
            Traffic(lab, scenario, seconds=TRAFFIC_SECONDS, directory=logs) as traffic,
            ClosedLoop(lab, config, logs=logs) as loop,
        ):
            server = None if model is None else stack.enter_context(ModelServer(lab, model.program, logs=logs))
            explain = None if model is None or server is None else lambda: explained(loop, server, model)
            return closed_loop(loop, traffic, scenario, ask=ask, explain=explain)
    finally:
        lab.destroy()


def explained(loop: ClosedLoop, server: ModelServer, model: Model) -> str:
    """The proposal that waits and of which the model has said something, or that it has nothing to say; a newer one may
    have taken the place of the first meanwhile.
    """

    def advice() -> str | None:
        waiting = [p["id"] for p in loop.proposals() if p["state"] == "pending"]
        return next((id_ for id_ in waiting if loop.ask("proposal", id_, "show")["advice"]), None)

    console.print(f"    {model.name} is {'killed while it explains' if model.kill else 'asked to explain'} it")
    if model.kill:
        loop.wait_for("a question to the model", server.asked, seconds=30, every=0.2)
        server.kill()
    found: str = loop.wait_for("advice", advice, seconds=ADVICE_SECONDS)
    return found


def closed_loop(
    loop: ClosedLoop,
    traffic: Traffic,
    scenario: Scenario,
    *,
    ask: bool,
    explain: Callable[[], str] | None = None,
) -> int:
    with step(3, "start teagent and ExaBGP on the management node; hosts send 13.5 Mbit/s towards a 10 Mbit/s transit"):
        loop.start_daemon()
        loop.start_exabgp()
        loop.wait_for("daemon and session", loop.ready, seconds=40, every=0.5)
    with step(4, "measure until the policy has seen enough"), waiting("watching transit-a", 60) as tell:
        rows = loop.wait_for(
            "a proposal",
            lambda: [p for p in loop.proposals() if p["state"] == "pending"],
            seconds=PROPOSAL_SECONDS,
            tell=tell,
        )
        proposal = rows[0]["id"]
        loss_before = losses(traffic, scenario)
        before = loads(loop)
        if explain is not None:
            proposal = explain()
    echo(loop.teagent("link").stdout)
    echo(loop.teagent("explain", "10.0.0.0/24").stdout)
    echo(loop.teagent("proposal", proposal, "show").stdout)
    if ask and not click.confirm(f"approve {proposal}?", default=False):
        loop.teagent("proposal", proposal, "reject", "--reason", "declined in the demo")
        console.print("rejected: nothing has been announced")
        return 0
    with step(5, f"approve {proposal}: store first, then the relay, ExaBGP, the edge, the transits"):
        loop.teagent("proposal", proposal, "approve", "--yes")
        plan = loop.ask("proposal", proposal, "show")
        wait_for_paths(loop.lab, scenario, expected_paths(scenario, plan), timeout_seconds=20)
        show_paths(loop.lab, scenario)
        proof = loop.wait_for("the edge's word", lambda: proven(loop, proposal), seconds=20, every=0.5)
        console.print(
            f"    {proof['state']} by BMP: " + "; ".join(f"{r['router']} {r['reason']}" for r in proof["routers"])
        )
    with step(6, "let it settle, then compare with what was predicted"), waiting("settling", SETTLE_SECONDS) as tell:
        loop.wait_for("an outcome", lambda: settled(loop, proposal), seconds=SETTLE_SECONDS + 30, tell=tell)
        plan = loop.ask("proposal", proposal, "show")
        after = loads(loop)
        loss_after = losses(traffic, scenario)
    with step(7, "confirm: without this it would go home by itself"):
        loop.teagent("proposal", proposal, "confirm")
    report(plan, before, loss_before, loss_after)
    return verdict(scenario, plan, after, loss_after)


def echo(text: str) -> None:
    console.print("\n" + "".join(f"    {line}\n" for line in text.splitlines()), markup=False, soft_wrap=True)


def loads(loop: ClosedLoop) -> dict[str, float | None]:
    return {row["name"]: row["utilisation"].get("in_bps") for row in loop.ask("link")["links"]}


def settled(loop: ClosedLoop, proposal: str) -> bool:
    """True once every link has been measured over a window of its own after settling."""
    shown = loop.ask("proposal", proposal, "show")
    if shown["state"] != "confirming":
        raise LabError(f"{proposal} is {shown['state']}: {shown['history'][-1]['reason']}")
    outcome = shown["outcome"]
    if outcome is None:
        return False
    return (parse_time(outcome["until"]) - parse_time(outcome["since"])).total_seconds() >= LOSS_WINDOW_SECONDS


def proven(loop: ClosedLoop, proposal: str) -> dict[str, Any] | None:
    """What the edge itself says of the change, once it says that it holds it."""
    proof: dict[str, Any] | None = loop.ask("proposal", proposal, "show")["proof"]
    return proof if proof is not None and proof["state"] == "proven" else None


def losses(traffic: Traffic, scenario: Scenario) -> dict[tuple[str, str], float | None]:
    """Loss of the last seconds for each (host, prefix), as the sending host knows it."""
    found = {}
    for host, lines in traffic.told().items():
        last = max((line["second"] for line in lines if "second" in line), default=0)
        for prefix in scenario.home["transit-b"]:
            found[host, prefix] = loss_towards(lines, prefix, skip_seconds=last - LOSS_WINDOW_SECONDS)
    return {key: loss for key, loss in found.items() if loss is not None}


def expected_paths(scenario: Scenario, plan: Mapping[str, Any]) -> dict[str, dict[str, tuple[int, ...] | None]]:
    """Home with the plan's own announcements over it."""
    paths: dict[str, dict[str, tuple[int, ...] | None]] = {link: dict(rows) for link, rows in scenario.home.items()}
    for row in plan["plan"]["announcements"]:
        for neighbor in row["neighbors"]:
            path = neighbor["as_path"]
            paths[neighbor["link"]][row["prefix"]] = None if path is None else tuple(path)
    return paths


def show_paths(lab: Lab, scenario: Scenario) -> None:
    table = Table("PREFIX", *(f"AS PATH AT {link.upper()}" for link in (s.name for s in scenario.links)), box=None)
    seen = received_paths(lab, scenario)
    for prefix in sorted({prefix for rows in seen.values() for prefix in rows}):
        cells = [" ".join(map(str, path)) if (path := seen[link.name].get(prefix)) else "-" for link in scenario.links]
        table.add_row(prefix, *cells)
    console.print(table)


def report(
    plan: Mapping[str, Any],
    before: Mapping[str, float | None],
    loss_before: Mapping[tuple[str, str], float | None],
    loss_after: Mapping[tuple[str, str], float | None],
) -> None:
    links = Table(
        "LINK", "BEFORE", "PREDICTED", "BAND", "HAPPENED", "WITHIN", box=None, title="load, predicted and real"
    )
    realised = {row["link"]: row for row in plan["outcome"]["links"]}
    for row in plan["dry_run"]["links"]:
        band, name = row["after"], row["link"]
        links.add_row(
            name,
            load(before[name], row["capacity_bps"]),
            load(band["expected_bps"], row["capacity_bps"]),
            f"{format_bps(band['low_bps'])} to {format_bps(band['high_bps'])}",
            load(realised[name]["realised_bps"], row["capacity_bps"]),
            "yes" if realised[name]["within_band"] else "no",
        )
    console.print()
    console.print(links)
    loss = Table("HOST", "TOWARDS", "LOSS BEFORE", "LOSS AFTER", box=None, title="loss, as the sending hosts see it")
    for key in sorted(loss_before):
        loss.add_row(*key, percent(loss_before[key]), percent(loss_after.get(key)))
    console.print()
    console.print(loss)


def load(bps: float | None, capacity_bps: float) -> str:
    return "no data" if bps is None else f"{format_bps(bps)} {format_share(bps / capacity_bps)}"


def verdict(
    scenario: Scenario,
    plan: Mapping[str, Any],
    after: Mapping[str, float | None],
    loss_after: Mapping[tuple[str, str], float | None],
) -> int:
    """What scenario.yaml expects of the plan; every miss is said."""
    wanted = scenario.raw["plan"]
    misses = []
    if plan["prefixes"] != wanted["moved"]:
        misses.append(f"moved {plan['prefixes']}, expected {wanted['moved']}")
    for name, bounds in scenario.plan_load.items():
        bps = after.get(name)
        if bps is None or not bounds[0] <= bps <= bounds[1]:
            limits = " to ".join(format_bps(bound) for bound in bounds)
            misses.append(f"{name} carries {format_bps(bps)}, expected {limits}")
    for bound in scenario.plan_loss:
        loss = loss_after.get((bound.host, bound.prefix))
        if loss is None or not bound.at_least <= loss <= bound.at_most:
            misses.append(
                f"{bound.host} loses {percent(loss)} towards {bound.prefix}, expected {percent(bound.at_most)}"
            )
    console.print()
    for miss in misses:
        console.print(f"[red]missed:[/red] {miss}")
    if not misses:
        console.print("transit-a is relieved and still in use, and 10.0.0.0/24 loses nothing any more")
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
