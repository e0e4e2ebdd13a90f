"""`make lab-prediction`: what teagent predicts of changes beside what then happens, on the three-transit lab.

An operator makes one change after the other, each as a proposal of his own. Before it is approved the prediction is
shown; it goes out through ExaBGP and the edge, 49 networks choose anew, and the flows that come in say who was right.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.table import Table

from labs.internet import Internet, load_internet
from labs.internet.changes import LabChange, draw_changes
from labs.internet.scenario import scenario_of, wait_for_routes
from labs.loop import ClosedLoop
from labs.program import console, percent, run, waiting
from labs.runner import Lab, LabError
from labs.scenario import Scenario, Traffic, wait_for_paths
from teagent.cli.text import BARS
from teagent.model.units import format_bps

DIRECTORY = Path(__file__).resolve().parent / "three-transit"
CONFIG = DIRECTORY / "teagent.yaml"
POLICY = "by-hand"
MAX_PREPEND = 3
TOP1_AT_LEAST = 0.85
CHANGES_MAX = 20
LOOK_SECONDS = 2.0
"""Between two questions to the daemon: each starts a program, and the machine has 38 senders to run."""
READY_SECONDS = 90
PROPOSED_SECONDS = 60
ANNOUNCED_SECONDS = 20
SCORED_SECONDS = 90
CHANGE_SECONDS = 60
SENDERS_SHOWN = 6

Document = Mapping[str, Any]
Look = Callable[[Lab, LabChange, Document], None]


class Life:
    """One lab's life: what is announced now, and the scores so far."""

    def __init__(self, lab: Lab, loop: ClosedLoop, internet: Internet, scenario: Scenario) -> None:
        self._lab = lab
        self._loop = loop
        self._internet = internet
        self._scenario = scenario
        self._paths = {link: dict(paths) for link, paths in scenario.home.items()}
        self.scored: list[tuple[LabChange, Document]] = []

    def wait_until_ready(self) -> None:
        """The session is up, every sender has been seen towards every prefix, and something was learned of it."""
        pairs = len(self._internet.senders()) * len(self._internet.prefixes)
        self._loop.wait_for("daemon and session", self._loop.ready, seconds=READY_SECONDS)
        with waiting("measuring", READY_SECONDS) as tell:
            self._loop.wait_for(
                f"{pairs} demands, and what they teach",
                lambda: len(self._demands()) >= pairs and self._answers("ingress"),
                seconds=READY_SECONDS,
                every=LOOK_SECONDS,
                tell=tell,
            )

    def _answers(self, *words: str) -> bool:
        return self._loop.teagent(*words, check=False).returncode == 0

    def _demands(self) -> list[Document]:
        done = self._loop.teagent("matrix", "--top", "1000", "--json", check=False)
        matrix = json.loads(done.stdout).get("matrix") if done.returncode == 0 else None
        return [] if matrix is None else list(matrix.get("demands", ()))

    def make(self, change: LabChange, look: Look | None) -> None:
        proposal = self.propose(change)
        show_prediction(proposal["dry_run"])
        self._loop.teagent("proposal", proposal["proposal"], "approve", "--yes")
        for link, prepends in change.after.items():
            self._paths[link][change.prefix] = self._internet.path(prepends)
        wait_for_paths(self._lab, self._scenario, self._paths, timeout_seconds=ANNOUNCED_SECONDS)
        with waiting("settling", CHANGE_SECONDS) as tell:
            card = self._loop.wait_for(
                f"the score of {proposal['proposal']}",
                lambda: self._card(proposal["proposal"]),
                seconds=SCORED_SECONDS,
                every=LOOK_SECONDS,
                tell=tell,
            )
        if look is not None:
            look(self._lab, change, card)
        self._loop.teagent("proposal", proposal["proposal"], "confirm")
        self.scored.append((change, card))

    def propose(self, change: LabChange) -> Document:
        """Tried again while telemetry is doubted or the prefix rests."""
        said = ""

        def ask() -> Document | None:
            nonlocal said
            done = self._loop.teagent("simulate", *change.wishes(), "--propose", POLICY, "--json", check=False)
            if done.returncode == 0:
                found: Document = json.loads(done.stdout)
                return found
            said = json.loads(done.stderr)["error"]["message"] if done.stderr.startswith("{") else done.stderr.strip()
            return None

        try:
            proposed: Document = self._loop.wait_for("a proposal", ask, seconds=PROPOSED_SECONDS, every=LOOK_SECONDS)
        except LabError as error:
            raise LabError(f"{change.words()}: {said or error}") from error
        return proposed

    def _card(self, proposal: str) -> Document | None:
        cards = self._loop.ask("scorecard", "--since", "1h")["scorecards"]
        return next((card for card in cards if card["proposal"] == proposal), None)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)

    def body(logs: Path) -> int:
        scored = predict(changes=options.changes, seed=options.seed, logs=logs)
        found = result(scored, seed=options.seed)
        show_summary(scored, found)
        if options.json is not None:
            options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        return 0 if found["met"] else 1

    return run(body, what="lab-prediction", target="lab-prediction", logs=options.keep_logs)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="labs.prediction", description="Predictions before changes on the three-transit lab, and their scores."
    )
    parser.add_argument("--changes", type=int, default=10, choices=range(1, CHANGES_MAX + 1), metavar="N")
    parser.add_argument("--seed", type=int, default=1, help="of the senders' rates and the changes (default: 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write figures and all scores")
    parser.add_argument("--keep-logs", type=Path, metavar="DIR", help="where to leave the daemons' logs")
    options = parser.parse_args(arguments)
    if options.json is not None and not options.json.parent.is_dir():
        parser.error(f"--json {options.json}: there is no directory {options.json.parent}")
    return options


def predict(*, changes: int, seed: int, logs: Path, look: Look | None = None) -> list[tuple[LabChange, Document]]:
    """Each change with its scorecard; `look` is called while it is as it was scored.

    Raises LabError where something does not happen in its time; the lab is gone in any case.
    """
    internet = load_internet(DIRECTORY / "internet.yaml")
    scenario = scenario_of(internet, DIRECTORY, seed=seed)
    seconds = READY_SECONDS + changes * (PROPOSED_SECONDS + ANNOUNCED_SECONDS + SCORED_SECONDS)
    lab = Lab.from_file(scenario.topology, name=f"prediction-{os.getpid()}")
    console.print(
        f"bring up {len(lab.nodes)} nodes: our edge, three transits, {len(internet.networks) - 3} other networks"
    )
    with lab:
        wait_for_paths(lab, scenario, scenario.home)
        wait_for_routes(lab, scenario)
        with Traffic(lab, scenario, seconds=seconds, directory=logs), ClosedLoop(lab, CONFIG, logs=logs) as loop:
            loop.start_daemon()
            loop.start_exabgp()
            life = Life(lab, loop, internet, scenario)
            life.wait_until_ready()
            for number, change in enumerate(
                draw_changes(internet, count=changes, max_prepend=MAX_PREPEND, seed=seed), start=1
            ):
                console.print(f"\n[bold]{number}/{changes}[/bold] {change.words()}")
                life.make(change, look)
                show_score(life.scored)
            return life.scored


# --- figures --------------------------------------------------------------------------------------------------------


def result(scored: Sequence[tuple[LabChange, Document]], *, seed: int) -> dict[str, Any]:
    cards = [card for _, card in scored]
    moved = [(card["top1_moved"], card["moved_bps"]) for card in cards if card["top1_moved"] is not None]
    within = [row["within_band"] for card in cards for row in card["links"] if row["within_band"] is not None]
    top1 = fmean(card["top1"] for card in cards)
    figures = {
        "changes": len(cards),
        "seed": seed,
        "top1": top1,
        "top1_if_nothing_moved": fmean(_stayed(card) for card in cards),
        "top1_of_moved": _weighted(moved),
        "error_points": fmean(card["error_points"] for card in cards),
        "within_band": fmean(within) if within else None,
    }
    rows = [{"change": change.words(), "wishes": list(change.wishes()), "scorecard": card} for change, card in scored]
    met = top1 >= TOP1_AT_LEAST
    targets = {"top1": {"at_least": TOP1_AT_LEAST}}
    return {"name": "lab-prediction", "figures": figures, "targets": targets, "met": met, "changes": rows}


def _stayed(card: Document) -> float:
    """What somebody who says that nothing ever moves would have got."""
    return 1 - card["moved_bps"] / card["bps"] if card["bps"] else 1.0


def _weighted(pairs: Sequence[tuple[float, float]]) -> float | None:
    weight = sum(bps for _, bps in pairs)
    return sum(share * bps for share, bps in pairs) / weight if weight else None


# --- showing --------------------------------------------------------------------------------------------------------


def show_prediction(dry_run: Document) -> None:
    table = Table("LINK", "NOW", "PREDICTED", "BAND", box=None, padding=(0, 2, 0, 4))
    for row in dry_run["links"]:
        band = row["after"]
        table.add_row(
            row["link"],
            format_bps(row["before_bps"]),
            format_bps(band["expected_bps"]),
            f"{format_bps(band['low_bps'])} to {format_bps(band['high_bps'])}",
        )
    console.print(table)
    senders = {row["source"]["name"]: row for row in (*dry_run["movers"], *dry_run["uncertain"])}
    if not senders:
        console.print("    nobody is expected to move")
        return
    table = Table("SENDER", "SENDS", "COMES BY", "WILL COME BY", box=None, padding=(0, 2, 0, 4))
    heaviest = sorted(senders.values(), key=lambda row: -row["bps"])
    for row in heaviest[:SENDERS_SHOWN]:
        table.add_row(
            row["source"]["name"],
            format_bps(row["bps"]),
            _shares(row["links"], "before"),
            _shares(row["links"], "after"),
        )
    console.print(table)
    if len(heaviest) > SENDERS_SHOWN:
        console.print(f"    and {len(heaviest) - SENDERS_SHOWN} smaller ones; the others are expected to stay")


def _shares(links: Sequence[Document], when: str) -> str:
    rows = sorted(links, key=lambda row: -row[when])
    return ", ".join(f"{row['link']} {row[when]:.0%}" for row in rows if row[when] >= 0.005)


def show_score(scored: Sequence[tuple[LabChange, Document]]) -> None:
    card = scored[-1][1]
    table = Table("LINK", "PREDICTED", "HAPPENED", "SHARE", "WITHIN BAND", box=None, padding=(0, 2, 0, 4))
    for row in card["links"]:
        within = row["within_band"]
        table.add_row(
            row["link"],
            format_bps(row["predicted"]["expected_bps"]),
            format_bps(row["realised_bps"]),
            f"{row['predicted_share']:.0%} -> {row['realised_share']:.0%}",
            "no data" if within is None else "yes" if within else "no",
        )
    console.print(table)
    missed = [row for row in card["missed"] if row["missed_bps"]]
    for row in missed[:SENDERS_SHOWN]:
        console.print(
            f"    {row['source']['name']}, {format_bps(row['bps'])}: predicted on {row['predicted_link']}, "
            f"came by {row['realised_link']}"
        )
    mean = fmean(card["top1"] for _, card in scored)
    of_moved = "nothing moved" if card["top1_moved"] is None else f"{percent(card['top1_moved'])} of what moved"
    console.print(
        f"    top-1 {percent(card['top1'])}, {of_moved}; error {card['error_points']:.1f} points; "
        f"so far {sparkline(scored)} mean {percent(mean)}"
    )


def sparkline(scored: Sequence[tuple[LabChange, Document]]) -> str:
    """A bar for each change, from 0 to all."""
    return "".join(BARS[min(len(BARS) - 1, int(card["top1"] * len(BARS)))] for _, card in scored)


def show_summary(scored: Sequence[tuple[LabChange, Document]], found: Document) -> None:
    table = Table("CHANGE", "TOP-1", "OF MOVED", "IF NOTHING MOVED", "ERROR", "IN BAND", box=None)
    for change, card in scored:
        table.add_row(
            change.words(),
            percent(card["top1"]),
            "-" if card["top1_moved"] is None else percent(card["top1_moved"]),
            percent(_stayed(card)),
            f"{card['error_points']:.1f}",
            percent(card["coverage"]),
        )
    console.print()
    console.print(table)
    figures = found["figures"]
    console.print(
        f"\ntop-1 {percent(figures['top1'])} in the mean of {figures['changes']} changes, "
        f"{percent(figures['top1_of_moved'])} of what moved; {percent(figures['top1_if_nothing_moved'])} had nothing "
        f"moved; {percent(figures['within_band'])} of the links within their bands"
    )
    if not found["met"]:
        console.print(f"[red]missed:[/red] top-1 of at least {TOP1_AT_LEAST:.0%}")


if __name__ == "__main__":
    sys.exit(main())
