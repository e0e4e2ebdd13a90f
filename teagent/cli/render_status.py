"""The daemon itself, its log and its health: document to text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from teagent.cli import render_exporters, render_plan, render_proposal, render_traffic
from teagent.cli.render_traffic import absent, why_absent
from teagent.cli.text import Column, age, clean, fields, plural, table

Document = Mapping[str, Any]


def status(document: Document, *, wide: bool = False) -> str:
    """One screen: what it is, what is frozen, sessions, links, routers, exporters, live proposals."""
    now = document["at"]
    mode = "dry run: nothing is announced" if document["bgp_dry_run"] else "live"
    parts = [
        f"teagent {document['version']}  AS{document['asn']}  {mode}  up {age(document['started_at'], now)}",
        *_alarms(document),
        f"sessions\n{_speaker(document)}",
        *_witness(document),
        render_traffic.links(document, wide=wide),
        render_traffic.routers(document, wide=wide),
    ]
    exporters = document["exporters"]
    parts.append(render_exporters.exporters(document, wide=wide) if exporters else "no exporter has sent flows")
    if graph := document["as_graph"]:
        parts.append(_as_graph(graph, now))
    policies = document["policies"]
    parts.append(render_plan.policies(document, wide=wide) if policies else "no policy")
    parts.append(render_proposal.proposals(document, wide=wide))
    return "\n\n".join(parts)


def _as_graph(graph: Document, now: str) -> str:
    lines = [
        f"AS graph: {graph['path']}, {plural(graph['ases'], 'AS', 'ASes')}, read {age(graph['loaded_at'], now)} ago"
    ]
    if graph["ases"] is None:
        lines = [f"AS graph: {graph['path']}, not read yet"]
    lines += [f"AS graph: {graph['problem']}"] if graph["problem"] else []
    lines += [f"AS graph: it does not know the neighbor of {name}" for name in graph["unknown_neighbors"]]
    return "\n".join(map(clean, lines))


def _alarms(document: Document) -> list[str]:
    frozen = document["frozen"]
    lines = [frozen_line(frozen)] if frozen else []
    lines += [f"no decisions: {clean(reason)}" for reason in document["distrust"]]
    return ["\n".join(lines)] if lines else []


def frozen_line(frozen: Document) -> str:
    why = f": {frozen['reason']}" if frozen["reason"] else ""
    return clean(f"frozen since {frozen['since']} by {frozen['by']}{why}. to go on: teagent thaw")


def _speaker(document: Document) -> str:
    speaker = document["speaker"]
    if speaker is None:
        return "  none: bgp.dry_run is true"
    if missing := absent(speaker):
        return f"  {clean(why_absent(missing))}"
    rows: list[tuple[str, object]] = [
        (row["address"], f"{row['state']} {age(row['since'], document['at']) or ''}") for row in speaker["neighbors"]
    ]
    for held in speaker["overrides"]:
        vector = ", ".join(f"{link} {_held(prepend)}" for link, prepend in held["vector"].items())
        doubt = "" if held["acknowledged"] else ", not acknowledged"
        until = f", goes home at {held['deadline']} unless confirmed" if held["deadline"] else ""
        rows.append((held["prefix"], f"{held['owner']}: {vector}{until}{doubt}"))
    return fields(rows) or "  none"


WAYS = {"bmp": "bmp", "ibgp": "witness session"}


def _witness(document: Document) -> list[str]:
    """Who proves what was announced; nothing where nobody is asked."""
    if document["witness"] is None:
        return []
    now = document["at"]
    rows: list[tuple[str, object]] = []
    for row in document["witness"]:
        way = WAYS.get(row["kind"], row["kind"])
        if row["connected"]:
            up = sum(bool(session["up"]) for session in row["sessions"])
            more = f", {plural(up, 'session')} up" if row["kind"] == "bmp" else f", {plural(row['routes'], 'route')}"
            telling = "" if row["told"] else ", telling its table"
            rows.append((row["router"], f"{way} up {age(row['since'], now)}{more}{telling}"))
        else:
            rows.append((row["router"], f"no {way} for {age(row['since'], now)}: {row['reason']}"))
        rows += [("", _down(session, now)) for session in row["sessions"] if not session["up"]]
    rows += [
        (row["prefix"], f"{row['router']} holds an override that nobody owns") for row in document["stray_overrides"]
    ]
    return [f"witness\n{fields(rows)}"]


def _down(session: Document, now: str) -> str:
    away = f"session to {session['address']} AS{session['asn']} down {age(session['since'], now)}"
    return f"{away}: {session['reason']}" if session["reason"] else away


def _held(prepend: int | None) -> str:
    return "withheld" if prepend is None else f"prepend {prepend}"


def check(document: Document) -> str:
    """One line for a monitoring system."""
    problems = document["problems"]
    if not problems:
        counts = [
            (document["links"], "link"),
            (document["routers"], "router"),
            (document["proposals"], "live proposal"),
        ]
        return f"ok: {', '.join(plural(count, word) for count, word in counts)}"
    said = "; ".join(problem["message"] for problem in problems)
    return clean(f"{document['level']}: {plural(len(problems), 'problem')}: {said}")


def doctor(document: Document) -> str:
    """Worst first; what is to be done stands below what it is about."""
    columns = (Column("VERDICT"), Column("CHECK"), Column("ROUTER"), Column("SUBJECT"), Column("FINDING"))
    rows = document["diagnoses"]
    shown = table(columns, [(r["verdict"], r["check"], r["router"], r["subject"], r["message"]) for r in rows])
    lines = shown.splitlines()
    told = [lines[0]]
    for row, line in zip(rows, lines[1:], strict=True):
        told.append(line)
        if row["remedy"] and row["verdict"] == "wrong":
            told.append(clean(f"  remedy: {row['remedy']}", keep_indent=True))
    counts = ", ".join(f"{document[verdict]} {verdict}" for verdict in ("wrong", "assumed", "proven"))
    return "\n".join([*told, "", counts])


def freeze(document: Document) -> str:
    frozen = document["frozen"]
    return frozen_line(frozen) if frozen else "not frozen: proposals may be approved"


def events(document: Document) -> str:
    """Oldest first, as logs are read."""
    columns = (Column("AT"), Column("BY"), Column("WHAT"), Column("EVENT"), Column("MESSAGE"))
    rows = [
        (row["at"], row["actor"], row["subject"], row["kind"], row["message"]) for row in reversed(document["events"])
    ]
    return table(columns, rows) if rows else "nothing has happened"


def event(document: Document) -> str:
    """One line of --follow; a stream has no widths to align to."""
    parts = (document[key] for key in ("at", "actor", "subject", "kind", "message"))
    return "  ".join(clean(part) or "-" for part in parts)
