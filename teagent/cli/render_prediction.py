"""Beliefs and scorecards: document to text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from teagent.cli.text import Column, clean, fields, percent, rate, sparkline, table
from teagent.model.units import parse_time

Document = Mapping[str, Any]

SHOWN = 12
"""Scorecards of changes, the newest."""
WORD = {"change": "changes", "shadow": "changes by others", "no_change": "no change"}


# --- beliefs --------------------------------------------------------------------------------------------------------


def ingress(document: Document) -> str:
    """The heaviest senders, a line each."""
    if not document["senders"]:
        return f"no sender of a known AS is seen towards {document['prefix']}"
    columns = (
        Column("SENDER"),
        Column("SENDS", right=True),
        Column("COMES BY"),
        Column("BELIEVED"),
        Column("SEEN UNDER", right=True),
        Column("WHY"),
    )
    rows = [
        (
            f"AS{row['asn']}",
            rate(row["bps"]),
            row["seen_on"],
            _chances(row),
            row["vectors"],
            row["why"][0] if row["why"] else None,
        )
        for row in document["senders"]
    ]
    return f"{_towards(document)}\n\n{table(columns, rows)}"


def sender(document: Document) -> str:
    """One sender with all reasons."""
    row = document["senders"][0]
    columns = (
        Column("LINK"),
        Column("BELIEVED", right=True),
        Column("HOPS", right=True),
        Column("ONLY THIS", right=True),
        Column("NEVER THIS", right=True),
        Column("IGNORES PREPENDS", right=True),
    )
    links = [
        (
            link["link"],
            percent(link["probability"]),
            link["hops"],
            percent(link["only"]),
            percent(link["never"]),
            percent(link["ignores_prepends"]),
        )
        for link in row["links"]
    ]
    facts = fields(
        [
            ("sends", rate(row["bps"])),
            ("comes by", row["seen_on"] or "not seen now"),
            ("seen under", f"{row['vectors']} announcement vectors"),
            ("keeps the older of equals", percent(row["sticky"])),
        ]
    )
    why = "\n".join(f"- {clean(reason)}" for reason in row["why"])
    return f"AS{row['asn']}  {_towards(document)}\n\n{table(columns, links)}\n\n{facts}\n\nwhy\n{why}"


def _towards(document: Document) -> str:
    vector = ", ".join(f"{link} {prepend}" for link, prepend in document["vector"].items())
    return f"towards {document['prefix']}, prepends now: {vector}"


def _chances(row: Document) -> str:
    links = sorted(row["links"], key=lambda link: (-link["probability"], link["link"]))
    return ", ".join(f"{link['link']} {percent(link['probability'])}" for link in links if link["probability"] >= 0.005)


# --- scorecards -----------------------------------------------------------------------------------------------------


def scorecards(document: Document, *, wide: bool = False) -> str:
    cards = document["scorecards"]
    if not cards:
        return (
            f"nothing was scored since {document['since']}: a prediction of no change is looked at every few windows "
            "of trusted flows, one of a change when that has settled"
        )
    parts = [_kinds(document)]
    changes = [card for card in cards if card["kind"] != "no_change"]
    if changes:
        parts.append(_changes(changes[-SHOWN:], wide=wide))
    if document["widening"] > 1:
        parts.append(f"bands are {document['widening']:.2f} times as wide: what was predicted of changes did not hold")
    return "\n\n".join(parts)


def _kinds(document: Document) -> str:
    columns = (
        Column("PREDICTED"),
        Column("COUNT", right=True),
        Column("TOP-1", right=True),
        Column("OF MOVED", right=True),
        Column("ERROR", right=True),
        Column("MISPROJECTED", right=True),
        Column("IN BAND", right=True),
        Column("TOP-1 OVER TIME"),
    )
    rows = [
        (
            WORD[row["kind"]],
            row["count"],
            percent(row["top1"]),
            percent(row["top1_moved"]),
            _points(row["error_points"]),
            percent(row["misprojected"]),
            percent(row["coverage"]),
            _line([card for card in document["scorecards"] if card["kind"] == row["kind"]]),
        )
        for row in document["kinds"]
    ]
    return table(columns, rows)


def _line(cards: Sequence[Document]) -> str:
    return sparkline([(parse_time(card["until"]), min(card["top1"], 0.999)) for card in cards], columns=30)


def _changes(cards: Sequence[Document], *, wide: bool) -> str:
    columns = (
        Column("CHANGE"),
        Column("SCORED"),
        Column("TRAFFIC", right=True),
        Column("TOP-1", right=True),
        Column("OF MOVED", right=True),
        Column("ERROR", right=True),
        Column("MISPROJECTED", right=True),
        Column("IN BAND", right=True),
        Column("PREFIXES", wide=True),
    )
    rows = [
        (
            card["proposal"] if card["kind"] == "change" else f"{card['proposal']} (not ours)",
            card["until"],
            rate(card["bps"]),
            percent(card["top1"]),
            percent(card["top1_moved"]),
            _points(card["error_points"]),
            percent(card["misprojected"]),
            percent(card["coverage"]),
            ", ".join(card["prefixes"]),
        )
        for card in cards
    ]
    return table(columns, rows, wide=wide)


def _points(error: float | None) -> str | None:
    return None if error is None else f"{error:.1f}"


# --- experiments ----------------------------------------------------------------------------------------------------

NEXT = {0: "is announced so now", 1: "step 1: FIRST alone", 2: "step 2: SECOND as good"}


def experiments(document: Document) -> str:
    """What teaches most first."""
    rows = document["experiments"]
    if not rows:
        return "there is nothing to try out: no traffic of known senders towards the configured prefixes"
    columns = (
        Column("PREFIX"),
        Column("FIRST"),
        Column("SECOND"),
        Column("TEACHES", right=True),
        Column("SENDERS", right=True),
        Column("TRAFFIC", right=True),
        Column("SEEN"),
        Column("NEXT"),
        Column("MOST FROM"),
    )
    cells = [
        (
            row["prefix"],
            row["first"],
            row["second"],
            f"{row['bits']:.2f} bit",
            row["senders"],
            rate(row["bps"]),
            "yes" if row["seen"] else "no",
            NEXT[row["step"]],
            ", ".join(f"AS{lesson['asn']}" for lesson in row["lessons"][:3]),
        )
        for row in rows
    ]
    return f"{table(columns, cells)}\n\n{_how(document)}"


def _how(document: Document) -> str:
    when = f"at {document['window']} UTC" + (", which is now" if document["open"] else "")
    if document["proposal"]:
        return f"proposed as {document['proposal']}; it can be approved {when}: teagent proposal {document['proposal']}"
    return f"nothing has been announced. to ask for approval ({when}): teagent experiment plan --propose"
