"""What-ifs: document to text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from teagent.cli import render_plan
from teagent.cli.render_senders import notes, senders
from teagent.cli.text import clean

Document = Mapping[str, Any]


def simulation(document: Document) -> str:
    """The answer to `teagent simulate`."""
    head = f"what if: {'; '.join(document['wishes'])}  snapshot {document['at']}"
    if not document["changes"]:
        return f"{head}\n\nnothing would change: all of that is announced so already"
    dry_run = document["dry_run"]
    parts = [
        head,
        render_plan.changes(document["changes"]),
        render_plan.forecast(dry_run),
        senders(dry_run),
        render_plan.announcements(document["announcements"]),
        "\n".join([*(f"warning: telemetry: {clean(reason)}" for reason in document["distrust"]), *notes(dry_run)]),
        _what_now(document["proposal"]),
    ]
    return "\n\n".join(part for part in parts if part)


def _what_now(proposal: str | None) -> str:
    if proposal is None:
        return "nothing has been announced, and nothing proposed"
    return f"nothing has been announced. {proposal} waits for approval: teagent proposal {proposal} approve"


def saved(document: Document) -> str:
    return (
        f"snapshot {document['snapshot_digest'][:6]} of {document['at']}, {document['octets']} octets, is in "
        + clean(document["path"])
    )
