"""Plans, policies and decisions: document to text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from teagent.cli.render_senders import notes, senders
from teagent.cli.render_traffic import path
from teagent.cli.text import GAP, Column, age, clean, fields, percent, plural, rate, table
from teagent.model.units import format_duration

Document = Mapping[str, Any]

SIGN = {"announce": "+", "modify": "~", "withdraw": "-"}
SHORT = 6
"""Digits of a digest that are shown; approve binds to all of them."""


def short(digest: str) -> str:
    return digest[:SHORT]


# --- what changes ---------------------------------------------------------------------------------------------------


def changes(rows: Sequence[Document]) -> str:
    places = [(row["prefix"], row["link"]) for row in rows]
    wide_prefix = max((len(prefix) for prefix, _ in places), default=0)
    wide_link = max((len(link) for _, link in places), default=0)
    lines = []
    for row in rows:
        place = f"{row['prefix'].ljust(wide_prefix)}{GAP}{row['link'].ljust(wide_link)}"
        lines.append(f"  {SIGN[row['action']]} {place}{GAP}{_what(row)}")
    return "\n".join(lines)


def _what(change: Document) -> str:
    match change["action"]:
        case "announce":
            return f"announce, prepend {change['after_prepend']}"
        case "withdraw":
            return f"withdraw (was prepend {change['before_prepend']})"
        case _:
            return f"prepend {change['before_prepend']} -> {change['after_prepend']}"


# --- what that would do ---------------------------------------------------------------------------------------------


def _share(bps: float, capacity_bps: float) -> float | None:
    return bps / capacity_bps if capacity_bps else None


def _load(bps: float, capacity_bps: float) -> str:
    return f"{rate(bps)}{GAP}{percent(_share(bps, capacity_bps)) or '-'}"


def _band(row: Document) -> str:
    """In points of a percent of capacity; two figures where the band is lopsided."""
    after, capacity = row["after"], row["capacity_bps"]
    if not capacity:
        return ""
    below = round((after["expected_bps"] - after["low_bps"]) / capacity * 100)
    above = round((after["high_bps"] - after["expected_bps"]) / capacity * 100)
    return f"±{above}" if abs(above - below) <= 1 else f"-{below}/+{above}"


def forecast(dry_run: Document) -> str:
    columns = (
        Column("LINK"),
        Column("NOW", right=True),
        Column("NOW%", right=True),
        Column("PREDICTED", right=True),
        Column("PREDICTED%", right=True),
        Column("TARGET", right=True),
    )
    rows = [
        (
            row["link"],
            rate(row["before_bps"]),
            percent(_share(row["before_bps"], row["capacity_bps"])),
            rate(row["after"]["expected_bps"]),
            f"{percent(_share(row['after']['expected_bps'], row['capacity_bps']))} {_band(row)}",
            percent(_share(row["target_bps"], row["capacity_bps"])),
        )
        for row in dry_run["links"]
    ]
    worst = [
        f"worst case: {row['link']} at {_load(row['worst_bps'], row['capacity_bps'])}, if all that moves lands there"
        for row in dry_run["links"]
        if row["worst_bps"] > row["before_bps"]
    ]
    return "\n".join([table(columns, rows), *worst])


def summary(plan: Document, dry_run: Document) -> str:
    counts = {action: sum(row["action"] == action for row in plan["changes"]) for action in SIGN}
    moved = rate(dry_run["moved"]["expected_bps"])
    return (
        f"plan: {counts['announce']} to announce, {counts['modify']} to modify, {counts['withdraw']} to withdraw; "
        f"about {moved} moves, {plural(dry_run['sources'], 'source')}"
    )


def announcements(rows: Iterable[Document]) -> str:
    """To each router, and what each of its neighbors will then see."""
    lines = []
    for row in rows:
        if row["action"] == "withdraw":
            lines.append(f"to {row['router']}: withdraw the override of {row['prefix']}, home is heard again")
        else:
            communities = " ".join(row["large_communities"])
            lines.append(f"to {row['router']}: {row['prefix']} large-community [{communities}]")
        for neighbor in row["neighbors"]:
            heard = path(neighbor["as_path"])
            seen = f"will see AS path {heard}" if neighbor["as_path"] else "will not hear it"
            lines.append(f"  {neighbor['link']}: {neighbor['neighbor']} AS{neighbor['peer_asn']} {seen}")
    return "\n".join(clean(line, keep_indent=True) for line in lines)


def checks(verdict: Document) -> str:
    failed = [reason for reason in verdict["reasons"] if not reason["ok"]]
    count = len(verdict["reasons"])
    if not failed:
        return f"checks: {count} passed"
    rows = fields((reason["rule"], reason["message"]) for reason in failed)
    return f"checks: {len(failed)} of {count} failed\n{rows}"


def body(plan: Document, dry_run: Document, verdict: Document) -> str:
    """Everything that a yes would be a yes to."""
    parts = [
        changes(plan["changes"]),
        forecast(dry_run),
        senders(dry_run),
        announcements(plan["announcements"]),
        "\n".join([summary(plan, dry_run), checks(verdict), *notes(dry_run)]),
    ]
    return "\n\n".join(part for part in parts if part)


# --- plans and decisions --------------------------------------------------------------------------------------------


def plans(document: Document) -> str:
    """The answer to `teagent plan`."""
    return "\n\n".join(map(_plan, document["plans"])) or "there is no policy"


def _plan(decision: Document) -> str:
    chosen, policy = decision["chosen"], decision["policy"]
    if chosen is None:
        return (
            f"policy {policy}: nothing to do. {clean(decision['message'])}\n"
            f"nothing has been announced. why: teagent policy {policy} explain"
        )
    plan = chosen["plan"]
    if decision["proposal"]:
        following = f"it waits for approval: teagent proposal approve {decision['proposal']}"
    elif chosen["verdict"]["verdict"] == "refused":
        following = f"it will not be proposed. why: teagent policy {policy} explain"
    else:
        following = f"to ask for approval: teagent plan --policy {policy} --propose"
    return "\n\n".join(
        [
            f"plan {short(plan['digest'])}  policy {policy}  snapshot {decision['at']}",
            body(plan, chosen["dry_run"], chosen["verdict"]),
            f"nothing has been announced. {following}",
        ]
    )


def policies(document: Document, *, wide: bool = False) -> str:
    columns = (
        Column("POLICY"),
        Column("ENABLED"),
        Column("WHEN"),
        Column("FOR", right=True),
        Column("FIRING"),
        Column("LAST", right=True),
        Column("MESSAGE"),
        Column("OBJECTIVE", wide=True),
        Column("DESCRIPTION", wide=True),
    )
    rows = []
    for policy in document["policies"]:
        when, last = policy["when"], policy["last_decision"] or {}
        rows.append(
            (
                policy["name"],
                "yes" if policy["enabled"] else "no",
                f"{when['metric']} > {percent(when['above'])}",
                format_duration(when["for_seconds"]),
                ", ".join(last.get("firing", ())),
                age(last.get("at"), document["at"]),
                last.get("message"),
                policy["objective"],
                policy["description"],
            )
        )
    return table(columns, rows, wide=wide)


def policy(document: Document) -> str:
    """One policy of the list, in full."""
    when, matched, last = document["when"], document["links"], document["last_decision"]
    which = [*matched["kinds"], *matched["names"]]
    ours = [*document["prefixes"]["tags"], *document["prefixes"]["prefixes"]]
    rows = [
        ("enabled", "yes" if document["enabled"] else "no"),
        ("links", ", ".join(which) or "any"),
        ("prefixes", ", ".join(ours) or "any"),
        (
            "when",
            (
                f"{when['metric']} above {percent(when['above'])} for {format_duration(when['for_seconds'])}, "
                f"clear below {percent(when['clear_below'])}"
            ),
        ),
        ("objective", document["objective"]),
        ("max prepend", document["max_prepend"]),
        ("approval", "required" if document["approval_required"] else "not required"),
        ("confirm window", format_duration(document["confirm_window_seconds"])),
        ("last decision", f"{last['at']}: {last['message']}" if last else "none yet"),
    ]
    head = clean(f"policy {document['name']}  {document['description']}")
    return f"{head}\n{fields(rows)}\nwhy: teagent policy {document['name']} explain"


def explanation(decision: Document) -> str:
    """Why did it, or did it not, fire just now."""
    parts = [f"policy {decision['policy']} at {decision['at']}: {clean(decision['message'])}"]
    triggers = [
        (
            trigger["link"],
            percent(trigger["in_utilisation"]),
            "firing" if trigger["firing"] else "quiet",
            trigger["above_since"],
            trigger["message"],
        )
        for trigger in decision["triggers"]
    ]
    columns = (Column("LINK"), Column("IN%", right=True), Column("TRIGGER"), Column("ABOVE SINCE"), Column("WHY"))
    if triggers:
        parts.append(table(columns, triggers))
    if decision["reasons"]:
        parts.append("rules\n" + fields((_mark(reason), reason["message"]) for reason in decision["reasons"]))
    if decision["considered"]:
        parts.append(_considered(decision))
    if decision["proposal"]:
        parts.append(f"proposed as {decision['proposal']}: teagent proposal {decision['proposal']} show")
    return "\n\n".join(parts)


def _mark(reason: Document) -> str:
    return f"{'ok  ' if reason['ok'] else 'fail'} {reason['rule']}"


def _considered(decision: Document) -> str:
    chosen = decision["chosen"]["plan"]["digest"] if decision["chosen"] else None
    columns = (
        Column("PLAN"),
        Column("ABOVE TARGET", right=True),
        Column("AT RISK", right=True),
        Column("PER MONTH", right=True),
        Column("MOVED", right=True),
        Column("CHANGES", right=True),
        Column("VERDICT"),
        Column("WHAT"),
    )
    rows = []
    for row in decision["considered"]:
        score, plan = row["score"], row["plan"]
        failed = [reason["message"] for reason in row["verdict"]["reasons"] if not reason["ok"]]
        what = "; ".join(f"{change['prefix']} {change['link']} {_what(change)}" for change in plan["changes"])
        rows.append(
            (
                short(plan["digest"]) + (" *" if plan["digest"] == chosen else ""),
                rate(score["excess_bps"]),
                rate(score["shortfall_risk_bps"]),
                f"{score['cost_per_month']:.2f}" if score["cost_per_month"] is not None else None,
                rate(row["dry_run"]["moved"]["expected_bps"]),
                score["changes"],
                row["verdict"]["verdict"].replace("_", " "),
                f"{what} ({'; '.join(failed)})" if failed else what,
            )
        )
    shown = f"best {len(rows)} of {plural(decision['candidates'], 'candidate')}"
    return f"{shown}{', * is chosen' if chosen else ''}\n{table(columns, rows)}"
