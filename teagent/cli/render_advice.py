"""What a language model said: document to text, marked on every line, so that nothing of it passes for ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from teagent.cli.text import clean, fields, plural, rate

Document = Mapping[str, Any]
MARK = "| "


def advice(document: Document) -> str:
    """What stands below a proposal; the model's words behind a bar, our figures without."""
    lines = [
        f"text of the language model {clean(document['model'])} ({cost_line(document['cost'])}); it decides nothing:"
    ]
    if document["brief"] is not None:
        lines += words(document["brief"])
    if document["preferred"]:
        lines.append(f"of equal plans it prefers, in either order: {clean(document['preferred'])}")
    if document["suggestion"] is not None:
        lines += _suggestion(document["suggestion"])
    lines += [f"missing: {clean(reason)}" for reason in document["abstained"]]
    return "\n".join(lines)


def words(text: Document) -> list[str]:
    lines = [f"{MARK}{clean(part['heading'])}: {clean(part['text'])}" for part in text["parts"]]
    if text["struck"] or text["contradicted"]:
        taken = f"{plural(text['struck'], 'figure')}, {plural(text['contradicted'], 'statement')}"
        lines.append(f"struck from it, because the facts do not say so: {taken}")
    return lines


def _suggestion(suggestion: Document) -> list[str]:
    lines = []
    for who, row in (("it would try", suggestion["suggested"]), ("the solver", suggestion["solver"])):
        lines.append(
            f"{who}: {clean(row['setting'])}: {rate(row['excess_bps'])} above target, "
            f"{rate(row['shortfall_risk_bps'])} at worst, cost {row['cost_per_month']}, "
            f"moves {rate(row['moved_bps'])} more than needed; {clean(row['verdict'])}"
        )
    better = "its own scores better" if suggestion["better"] else "its own does not score better"
    return [*lines, f"{better}; nothing follows from that by itself"]


def cost_line(cost: Document) -> str:
    return f"{plural(cost['calls'], 'call')}, {cost['tokens']} tokens, {cost['seconds']}s"


def state(document: Document) -> str:
    size = document["size_bytes"]
    rows = [
        ("model", document["model"]),
        ("server", document["server"]),
        ("size", f"{document['parameters']} parameters, {document['quantization']}"),
        ("on disk", None if size is None else f"{size / 1e9:.2f} GB"),
        ("context", document["context"]),
        ("thinks", "yes" if document["thinks"] else "no"),
        ("today", None if document["today"] is None else cost_line(document["today"])),
    ]
    problems = [f"problem: {clean(problem)}" for problem in document["problems"]]
    return "\n".join([fields(rows, indent=""), *problems])
