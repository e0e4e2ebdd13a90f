"""Links, prefixes and routers: document to text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from teagent.cli.text import (
    Column,
    age,
    clean,
    fields,
    percent,
    plural,
    rate,
    seconds_between,
    size,
    sparkline,
    table,
)
from teagent.model.units import format_duration, parse_time

Document = Mapping[str, Any]

LINKS = (
    Column("LINK"),
    Column("KIND"),
    Column("ROUTER"),
    Column("CAPACITY", right=True),
    Column("IN", right=True),
    Column("IN%", right=True),
    Column("P95", right=True),
    Column("COMMIT", right=True),
    Column("AGE", right=True),
    Column("STATE"),
    Column("OUT", right=True, wide=True),
    Column("OUT%", right=True, wide=True),
    Column("INTERFACE", wide=True),
    Column("NEIGHBOR", wide=True),
    Column("PEER", right=True, wide=True),
)


def absent(document: Any) -> Document | None:
    """The NoData of a reading that is not there."""
    found = document.get("no_data") if isinstance(document, Mapping) else None
    return found if isinstance(found, Mapping) else None


def why_absent(missing: Document) -> str:
    return f"no data since {missing['since']}: {missing['reason']}"


def _whole_percent(share: float | None) -> str | None:
    return None if share is None else f"{share * 100:.0f}"


def links(document: Document, *, wide: bool = False) -> str:
    now = document["at"]
    rows = []
    for link in document["links"]:
        load, missing = link["utilisation"], absent(link["utilisation"])
        rows.append(
            (
                link["name"],
                link["kind"],
                link["router"],
                size(link["capacity_bps"]),
                None if missing else rate(load["in_bps"]),
                None if missing else _whole_percent(load["in_utilisation"]),
                rate(link["p95"]["bps"]) if link["p95"] else None,
                size(link["commit_bps"]),
                None if missing else age(load["at"], now),
                _link_state(link, now),
                None if missing else rate(load["out_bps"]),
                None if missing else _whole_percent(load["out_utilisation"]),
                link["interface"],
                link["neighbor"],
                link["peer_asn"],
            )
        )
    text = table(LINKS, rows, wide=wide)
    histories = [(link["name"], spark) for link in document["links"] if (spark := _spark(link.get("history") or []))]
    if histories:
        text += "\n\nin% over time, 0 to 100, highest of each column\n" + fields(histories)
    return text


def _link_state(link: Document, now: str) -> str:
    missing = absent(link["utilisation"])
    if missing:
        return f"no data {age(missing['since'], now)}"
    trigger = link["trigger"]
    if trigger and trigger["above_since"]:
        return f"above target {age(trigger['above_since'], now)}"
    return "ok"


def _spark(history: Sequence[Document]) -> str:
    points = [(parse_time(row["at"]), row["in_utilisation"]) for row in history if row["in_utilisation"] is not None]
    return sparkline(points)


def link(document: Document) -> str:
    """One link, in full: times are absolute here."""
    head = f"link {document['name']}  {document['kind']} on {document['router']} {document['interface']}"
    load, missing = document["utilisation"], absent(document["utilisation"])
    trigger, p95 = document["trigger"], document["p95"]
    price = document["price_per_mbps"]
    rows: list[tuple[str, object]] = [
        ("neighbor", f"{document['neighbor']} AS{document['peer_asn']}"),
        ("home", f"prepend {document['home_prepend']}"),
        ("capacity", size(document["capacity_bps"])),
        ("bundle", _bundle(document)),
        ("commit", size(document["commit_bps"])),
        ("price", None if price is None else f"{price:g} per Mbps"),
    ]
    if missing:
        rows.append(("in", why_absent(missing)))
    else:
        window = f"{load['seconds']:g}s to {load['at']}"
        rows.append(("in", f"{rate(load['in_bps'])}  {percent(load['in_utilisation'])}  ({window})"))
        rows.append(("out", f"{rate(load['out_bps'])}  {percent(load['out_utilisation'])}"))
    if p95:
        gaps = f", {p95['missing']} missing" if p95["missing"] else ""
        figure = f"{rate(p95['bps'])}  {document['percentile']} in {p95['month']}"
        rows.append(("p95", f"{figure}, {plural(p95['buckets'], 'bucket')}{gaps}"))
    if missing:
        rows.append(("state", "no data"))
    elif trigger and trigger["above_since"]:
        rows.append(("state", f"above target since {trigger['above_since']}"))
    else:
        rows.append(("state", "ok"))
    rows += [("in doubt", clean(reason)) for reason in document["doubts"]]
    if trigger:
        rows.append(("trigger", f"{'firing' if trigger['firing'] else 'quiet'}: {trigger['message']}"))
    return f"{head}\n{fields(rows)}{_history(document.get('history') or [])}"


def _bundle(document: Document) -> str | None:
    """None where no members are told."""
    members = document["members"]
    if not members:
        return None
    up = sum(member["state"] == "up" for member in members)
    named = ", ".join(f"{member['if_name']} {member['state']}" for member in members)
    left = size(document["interface_bps"]) or "speed unknown"
    return f"{up} of {plural(len(members), 'member')} up, {left}: {named}"


def _history(history: Sequence[Document]) -> str:
    if not history:
        return ""
    span = format_duration(max(1.0, seconds_between(history[0]["at"], history[-1]["at"])))
    loads = [row["in_bps"] for row in history]
    return (
        f"\n\n  in% over {span}, 0 to 100, highest of each column\n  {_spark(history)}\n"
        f"  {history[0]['at']} to {history[-1]['at']}, lowest {rate(min(loads))}, highest {rate(max(loads))}"
    )


PREFIXES = (
    Column("PREFIX"),
    Column("OWNER"),
    Column("ENGINEER"),
    Column("ANNOUNCED"),
    Column("IN", right=True),
    Column("CHANGED", right=True),
    Column("TAGS", wide=True),
)


def prefixes(document: Document, *, wide: bool = False) -> str:
    rows = []
    for prefix in document["prefixes"]:
        said, traffic = prefix["announcements"], prefix["traffic"]
        rows.append(
            (
                prefix["prefix"],
                prefix["owner"],
                "yes" if prefix["engineer"] else "no",
                "not known" if absent(said) else ", ".join(map(_announced, said)) or "nowhere",
                None if absent(traffic) else rate(sum(row["bps"] for row in traffic)),
                age(prefix["changed_at"], document["at"]),
                ", ".join(prefix["tags"]),
            )
        )
    return table(PREFIXES, rows, wide=wide)


def _announced(row: Document) -> str:
    return f"{row['link']}+{row['prepend']}" if row["prepend"] else str(row["link"])


def path(as_path: Sequence[int] | None) -> str:
    return "not announced" if as_path is None else " ".join(map(str, as_path))


def prefix(document: Document) -> str:
    """One prefix: what each neighbor hears, and who sends to it."""
    owner = document["owner"]
    rows = [
        ("owner", "home: the routers announce it by themselves" if owner == "home" else owner),
        ("engineer", "yes" if document["engineer"] else "no: never changed"),
        ("tags", ", ".join(document["tags"]) or None),
        ("max prepend", document["max_prepend"]),
        ("changed", document["changed_at"]),
    ]
    rows += [(f"on {row['router']}", f"{row['state']}: {row['reason']}") for row in document["proofs"]]
    parts = [f"prefix {document['prefix']}\n{fields(rows)}"]
    said, traffic = document["announcements"], document["traffic"]
    loads = {} if absent(traffic) else {row["link"]: row["bps"] for row in traffic}
    if missing := absent(said):
        parts.append(f"announcements: {why_absent(missing)}")
    else:
        parts.append(_heard(said, loads) if said else "announced nowhere")
    if missing := absent(traffic):
        parts.append(f"traffic: {why_absent(missing)}")
    sources = document.get("sources")
    if sources and not absent(sources):
        parts.append(_sources(sources))
    return "\n\n".join(parts)


def _heard(said: Sequence[Document], loads: Mapping[str, float]) -> str:
    columns = (
        Column("LINK"),
        Column("ROUTER"),
        Column("NEIGHBOR"),
        Column("PEER", right=True),
        Column("PREPEND", right=True),
        Column("HOME", right=True),
        Column("AS PATH"),
        Column("SIGNAL"),
        Column("IN", right=True),
    )
    rows = [
        (
            row["link"],
            row["router"],
            row["neighbor"],
            row["peer_asn"],
            row["prepend"],
            row["home_prepend"],
            path(row["as_path"]),
            row["signal"],
            rate(loads.get(row["link"])),
        )
        for row in said
    ]
    return table(columns, rows)


def _sources(rows: Sequence[Document]) -> str:
    columns = (Column("SOURCE"), Column("LINK"), Column("IN", right=True), Column("OF LINK", right=True))
    return table(columns, [(r["source"]["name"], r["link"], rate(r["bps"]), percent(r["share_of_link"])) for r in rows])


ROUTERS = (
    Column("ROUTER"),
    Column("ADDRESS"),
    Column("LINKS"),
    Column("SYSNAME"),
    Column("UPTIME", right=True),
    Column("AGE", right=True),
    Column("STATE"),
    Column("INTERFACES", right=True, wide=True),
    Column("PDUS", right=True, wide=True),
    Column("POLL", right=True, wide=True),
)


def routers(document: Document, *, wide: bool = False) -> str:
    now = document["at"]
    rows, notes = [], []
    for router in document["routers"]:
        poll, missing = router["poll"], absent(router["poll"])
        known = {} if missing else poll
        uptime, took = known.get("sys_uptime_seconds"), known.get("seconds")
        rows.append(
            (
                router["name"],
                router["address"],
                ", ".join(router["links"]),
                known.get("sys_name"),
                None if uptime is None else format_duration(uptime),
                age(known.get("at"), now),
                f"no data {age(missing['since'], now)}" if missing else "ok",
                known.get("interfaces"),
                known.get("pdus"),
                None if took is None else format_duration(took),
            )
        )
        notes += [(router["name"], missing["reason"])] if missing else []
        notes += [(router["name"], oddity) for oddity in known.get("oddities", ())]
    text = table(ROUTERS, rows, wide=wide)
    return f"{text}\n\n{fields(notes)}" if notes else text
