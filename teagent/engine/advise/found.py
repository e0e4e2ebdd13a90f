"""The facts of a look-up's document: figures and names of ours, and nothing that a device or a peer wrote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from teagent.engine.advise.facts import SAME, Fact, Facts, Trend
from teagent.engine.advise.failure import Failure, facts_without
from teagent.model.units import format_bps, format_share

MOST = 12


def facts_of(
    command: str, document: Mapping[str, Any], names: Sequence[str], *, failure: Failure | None = None
) -> Facts:
    """`names` are the operator's: links, prefixes, policies. Of a document of another kind there are none.

    With `failure` the list of links is told as what would be left without that one.
    """
    rows: list[Fact] = []
    trends: dict[str, Trend] = {}
    match command:
        case "link.list":
            if failure is not None:
                rows, trends = list(facts_without(failure, document["links"])), {failure.link: Trend.DOWN}
            rows += [
                fact
                for row in document["links"][:MOST]
                for fact in _load(row["name"], row["capacity_bps"], row["utilisation"].get("in_bps"))
            ]
        case "link.show":
            rows = list(_load(document["name"], document["capacity_bps"], document["utilisation"].get("in_bps")))
        case "explain.show":
            rows = list(_explained(document))
        case "matrix.show":
            rows = list(_matrix(document["matrix"]))
            demands = document["matrix"].get("demands", ())
            names = [*names, *(f"AS{row['source']['asn']}" for row in demands if row["source"]["asn"])]
        case "simulate.compute":
            rows, trends = _dry_run(document["dry_run"])
        case "plan.compute":
            chosen = [row["chosen"] for row in document["plans"] if row["chosen"] is not None]
            rows = [Fact(text=f"The policies would make {document['proposed_changes']} changes now.")]
            for one in chosen[:1]:
                more, trends = _dry_run(one["dry_run"])
                rows += more
        case "policy.explain":
            firing = [row["link"] for row in document["triggers"] if row["firing"]]
            fires = f"fires on {', '.join(firing)}" if firing else "does not fire on any link"
            rows = [Fact(text=f"Policy {document['policy']} {fires}.")]
            rows.append(
                Fact(text=f"It weighed {document['candidates']} candidates and chose {1 if document['chosen'] else 0}.")
            )
        case "proposal.list":
            rows = [Fact(text=f"There are {len(document['proposals'])} live proposals.")]
            rows += [
                Fact(
                    text=f"{row['id']} is {row['state']}; it changes {', '.join(row['prefixes'][:4])}.",
                    about=tuple(row["prefixes"]),
                )
                for row in document["proposals"][:MOST]
            ]
            names = [*names, *(row["id"] for row in document["proposals"])]
        case _:
            pass
    return Facts(facts=tuple(rows[: 2 * MOST]), names=frozenset(names), trends=trends)


def _load(name: str, capacity_bps: float, in_bps: float | None) -> Iterator[Fact]:
    if in_bps is None:
        yield Fact(text=f"Of {name} there is no data.", about=(name,))
    else:
        load = f"{format_bps(in_bps)} ({format_share(in_bps / capacity_bps)} of {format_bps(capacity_bps)})"
        yield Fact(text=f"{name} carries {load} now.", about=(name,))


def _explained(document: Mapping[str, Any]) -> Iterator[Fact]:
    prefix = document["prefix"]
    for row in document["links"][:MOST]:
        yield from _load(row["link"], row["capacity_bps"], row["in_bps"])
        state = "congested" if row["congested"] else "not congested"
        yield Fact(text=f"{row['link']} is {state}.", about=(row["link"],))
    for row in document["ingress"][:MOST]:
        share = "" if row["share"] is None else f", {format_share(row['share'])} of its traffic"
        yield Fact(
            text=f"{prefix} gets {format_bps(row['bps'])} over {row['link']}{share}.", about=(prefix, row["link"])
        )
    for row in document["helps"][:2]:
        loads = f"from {format_bps(row['before_bps'])} to {format_bps(row['expected_bps'])}"
        yield Fact(text=f"A plan of policy {row['policy']} would bring {row['link']} {loads}.", about=(row["link"],))


def _matrix(matrix: Mapping[str, Any]) -> Iterator[Fact]:
    if "no_data" in matrix:
        yield Fact(text="There is no traffic matrix.")
        return
    for row in matrix["demands"][:MOST]:
        sender = row["source"]
        who = f"AS{sender['asn']}" if sender["asn"] else "A sender whose AS is not known"
        yield Fact(
            text=f"{who} sends {format_bps(row['bps'])} to {row['prefix']} over {row['link']}.",
            about=(row["prefix"], row["link"]),
        )


def _dry_run(dry_run: Mapping[str, Any]) -> tuple[list[Fact], dict[str, Trend]]:
    rows: list[Fact] = []
    trends: dict[str, Trend] = {}
    for row in dry_run["links"][:MOST]:
        name, capacity, before, after = row["link"], row["capacity_bps"], row["before_bps"], row["after"]
        moved = after["expected_bps"] - before
        trends[name] = Trend.SAME if abs(moved) < SAME * capacity else Trend.UP if moved > 0 else Trend.DOWN
        goes = {Trend.UP: "would go up to", Trend.DOWN: "would go down to", Trend.SAME: "would stay at"}[trends[name]]
        low, high = format_bps(after["low_bps"]), format_bps(after["high_bps"])
        rows += _load(name, capacity, before)
        then = f"{format_bps(after['expected_bps'])} ({format_share(after['expected_bps'] / capacity)})"
        rows.append(Fact(text=f"The load of {name} {goes} {then}, between {low} and {high}.", about=(name,)))
    return rows, trends
