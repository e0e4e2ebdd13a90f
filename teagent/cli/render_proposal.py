"""Proposals: document to text. What an operator reads before saying yes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from teagent.cli import render_advice
from teagent.cli.render_plan import body, short
from teagent.cli.text import Column, age, clean, plural, rate, seconds_between, table
from teagent.model.units import format_duration

Document = Mapping[str, Any]


def proposals(document: Document, *, wide: bool = False) -> str:
    if not document["proposals"]:
        return "no live proposal. all of them: teagent proposal --all"
    columns = (
        Column("PROPOSAL"),
        Column("STATE"),
        Column("POLICY"),
        Column("PLAN"),
        Column("CHANGES", right=True),
        Column("MOVES", right=True),
        Column("AGE", right=True),
        Column("PROOF"),
        Column("NEXT"),
        Column("PREFIXES", wide=True),
    )
    now = document["at"]
    rows = [
        (
            row["id"],
            "in doubt" if row["doubts"] else row["state"],
            row["policy"],
            short(row["digest"]),
            len(row["changes"]),
            rate(row["moved_bps"]),
            age(row["created_at"], now),
            _proof(row),
            _next(row, now),
            ", ".join(row["prefixes"]),
        )
        for row in document["proposals"]
    ]
    return table(columns, rows, wide=wide)


def _until(at: str, now: str) -> str:
    return format_duration(max(0.0, seconds_between(now, at)))


def _next(row: Document, now: str) -> str | None:
    if row["state"] == "pending":
        return f"expires in {_until(row['expires_at'], now)}"
    if row["state"] == "confirming" and row["confirm_deadline"]:
        return f"reverts in {_until(row['confirm_deadline'], now)}"
    return "operator must look" if row["state"] == "stuck" else None


def _proof(row: Document) -> str | None:
    return row["proof"]["state"] if row["on_wire"] and row["proof"] else None


def proposal(document: Document) -> str:
    """One proposal, in full: what it does, what it is expected to do, where it stands, what comes next."""
    plan = document["plan"]
    head = f"proposal {document['id']}  {document['state']}  plan {short(plan['digest'])}  policy {document['policy']}"
    if document["experiment"]:
        head += f"\nexperiment: {clean(document['experiment'])}; it can be approved in its hour only"
    if document["doubts"]:
        head += "\n" + "\n".join(f"in doubt: {clean(reason)}" for reason in document["doubts"])
    parts = [head, body(plan, document["dry_run"], document["verdict"])]
    if document.get("outcome"):
        parts.append(_outcome(document["outcome"]))
    if document["proof"]:
        parts.append(proof(document["proof"]))
    if document.get("advice"):
        parts.append(render_advice.advice(document["advice"]))
    parts += [_story(document["history"]), standing(document)]
    return "\n\n".join(parts)


def proof(document: Document) -> str:
    """What the routers say that they hold."""
    said = "\n".join(f"  {said_by(row)}" for row in document["routers"])
    return f"{document['state']} since {document['since']}\n{said}"


def said_by(row: Document) -> str:
    return clean(f"{row['router']} {row['reason']}")


def _story(history: Sequence[Document]) -> str:
    columns = (Column("AT"), Column("STATE"), Column("BY"), Column("REASON"))
    return table(columns, [(row["at"], row["to_state"], row["actor"], row["reason"]) for row in history])


def _outcome(outcome: Document) -> str:
    columns = (
        Column("LINK"),
        Column("BEFORE", right=True),
        Column("PREDICTED", right=True),
        Column("HAPPENED", right=True),
        Column("IN BAND"),
    )
    rows = [
        (
            row["link"],
            rate(row["before_bps"]),
            rate(row["predicted"]["expected_bps"]),
            rate(row["realised_bps"]),
            None if row["within_band"] is None else "yes" if row["within_band"] else "no",
        )
        for row in outcome["links"]
    ]
    return f"measured from {outcome['since']} to {outcome['until']}\n{table(columns, rows)}"


def standing(document: Document) -> str:
    """Where it stands in a sentence, and the next command."""
    id_, deadline = document["id"], document["confirm_deadline"]
    match document["state"]:
        case "pending" if document["bgp_dry_run"]:
            return "nothing has been announced, and nothing will be: bgp.dry_run is true"
        case "pending" if document["doubts"]:
            return (
                "nothing has been announced, and it would be refused now: what it rests on is in doubt. "
                f"expires at {document['expires_at']}. to look again: teagent proposal {id_}"
            )
        case "pending" if document["approvals"]:
            given = ", ".join(document["approvals"])
            return (
                f"nothing has been announced. approved by {given}; {document['approvers'] or 'more'} people are needed "
                f"until {document['expires_at']}. somebody else: teagent proposal approve {id_}"
            )
        case "pending":
            return (
                f"nothing has been announced. expires at {document['expires_at']}. "
                f"to approve: teagent proposal approve {id_}"
            )
        case "approved" | "applying":
            return f"being announced. to take it back: teagent proposal revert {id_}"
        case "confirming":
            when = f" in {_until(deadline, document['at'])}, at {deadline}," if deadline else ""
            return f"announced. reverts by itself{when} unless confirmed: teagent proposal confirm {id_}"
        case "active":
            return f"announced and confirmed. to go home: teagent proposal revert {id_}"
        case "reverting":
            return f"going back, {plural(document['revert_attempts'], 'failed attempt')} so far"
        case "stuck":
            return (
                "stuck: routes may differ from home, look at the routers. to try again: "
                f"teagent proposal revert {id_}; once seen to: teagent proposal resolve {id_} --reason TEXT"
            )
        case state:
            return f"{state}: nothing of it is announced"


def question(document: Document) -> str:
    """What `approve` asks; it names the digest that the approval binds to."""
    plan = document["plan"]
    links = ", ".join(dict.fromkeys(row["link"] for row in plan["changes"]))
    window = document["confirm_window_seconds"]
    undo = f", reverts by itself in {format_duration(window)} unless confirmed" if window else ""
    return f"approve plan {short(plan['digest'])}: {plural(len(plan['changes']), 'change')} on {links}{undo}?"
