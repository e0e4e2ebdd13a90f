"""What is thought of a model: documents to text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from teagent.cli.render_advice import cost_line, state, words
from teagent.cli.text import Column, clean, percent, table

Document = Mapping[str, Any]


def tried(document: Document) -> str:
    """The facts that the model was given, and what it made of them."""
    facts = "\n".join(f"  {clean(fact)}" for fact in document["facts"])
    said = "\n".join(words(document["brief"]))
    cost = document["cost"]
    speed = cost["tokens"] / cost["seconds"] if cost["seconds"] else 0.0
    return "\n\n".join(
        [
            state(document["advisor"]),
            f"it was told:\n{facts}",
            f"it says ({cost_line(cost)}, {speed:.0f} tokens a second):\n{said}",
        ]
    )


def evaluation(document: Document) -> str:
    columns = (
        Column("KIND"),
        Column("ASKED", right=True),
        Column("VALID", right=True),
        Column("BEST", right=True),
        Column("CHANCE", right=True),
        Column("SAME REVERSED", right=True),
        Column("FALSE A BRIEF", right=True),
        Column("FALSE SHOWN", right=True),
        Column("OBEYED", right=True),
        Column("REACHED", right=True),
        Column("SECONDS", right=True),
        Column("TOKENS", right=True),
    )
    rows = [
        (
            row["kind"],
            row["asked"],
            percent(row["valid"]),
            percent(row["best"]),
            percent(row["chance"]),
            percent(row["same_reversed"]),
            row["false_per_brief"],
            row["false_shown"],
            row["obeyed"],
            row["reached"],
            row["seconds"],
            row["tokens"],
        )
        for row in document["kinds"]
    ]
    failures = [
        f"{row['kind']}: {', '.join(f'{count} {reason}' for reason, count in row['failures'].items())}"
        for row in document["kinds"]
        if row["failures"]
    ]
    parts = [
        f"{clean(document['model'])}, seed {document['seed']}, {cost_line(document['cost'])}",
        table(columns, rows),
    ]
    if failures:
        parts.append("no valid answer:\n" + "\n".join(f"  {line}" for line in failures))
    return "\n\n".join(parts)
