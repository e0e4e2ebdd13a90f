"""Dry runs by their senders: who moves, who is uncertain and why, what cannot move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from teagent.cli.text import Column, clean, percent, plural, rate, table

Document = Mapping[str, Any]

SHOWN = 5
"""Of each list; --json has more."""
NOTICEABLE = 0.005


def notes(dry_run: Document) -> list[str]:
    """On what it rests, and what makes it less certain than it looks."""
    lines = [f"assumption: {clean(dry_run['assumption'])}"] if dry_run["assumption"] else []
    return lines + [f"warning: {clean(warning)}" for warning in dry_run["warnings"]]


def senders(dry_run: Document) -> str:
    """Who moves, who is uncertain and why, and what cannot move."""
    parts = [_movers(dry_run["movers"]), _uncertain(dry_run["uncertain"]), _fixed(dry_run["cannot_move"])]
    return "\n\n".join(part for part in parts if part)


def _movers(rows: Sequence[Document]) -> str:
    columns = (Column("MOVES"), Column("SENDS", right=True), Column("OF IT", right=True), Column("NOW"), Column("THEN"))
    cells = [
        (row["source"]["name"], rate(row["bps"]), rate(row["moved_bps"]), _links(row, "before"), _links(row, "after"))
        for row in rows[:SHOWN]
    ]
    return table(columns, cells) + _more(rows) if rows else ""


def _uncertain(rows: Sequence[Document]) -> str:
    columns = (Column("UNCERTAIN"), Column("SENDS", right=True), Column("IN DOUBT", right=True), Column("WHY"))
    cells = [
        (
            row["source"]["name"],
            rate(row["bps"]),
            rate(row["doubt_bps"]),
            "; ".join(doubt["message"] for doubt in row["doubts"]),
        )
        for row in rows[:SHOWN]
    ]
    return table(columns, cells) + _more(rows) if rows else ""


def _more(rows: Sequence[Document]) -> str:
    return f"\nand {len(rows) - SHOWN} more, in --json" if len(rows) > SHOWN else ""


def _links(row: Document, when: str) -> str:
    shares = sorted(((link[when], link["link"]) for link in row["links"]), key=lambda one: (-one[0], one[1]))
    return ", ".join(f"{name} {percent(share)}" for share, name in shares if share >= NOTICEABLE)


def _fixed(rows: Sequence[Document]) -> str:
    lines = []
    for row in rows:
        names = ", ".join(source["name"] for source in row["largest"][:3])
        lines.append(
            f"cannot move if the AS graph is right: {rate(row['bps'])} on {row['link']}, from "
            f"{plural(row['sources'], 'sender')} with no other way ({names}{', ...' if row['sources'] > 3 else ''})"
        )
    return "\n".join(map(clean, lines))
