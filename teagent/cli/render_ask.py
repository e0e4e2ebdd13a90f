"""The answer to `teagent ask`: document to text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from teagent.cli import render_explain, render_exporters, render_plan, render_proposal, render_simulate, render_traffic
from teagent.cli.render_advice import cost_line, words
from teagent.cli.text import clean, fields

Document = Mapping[str, Any]

RESULTS = {
    "explain.show": render_explain.explain,
    "link.list": render_traffic.links,
    "link.show": render_traffic.link,
    "matrix.show": render_exporters.matrix,
    "simulate.compute": render_simulate.simulation,
    "proposal.list": render_proposal.proposals,
    "plan.compute": render_plan.plans,
    "policy.explain": render_plan.explanation,
}


def asked(document: Document) -> str:
    """The look-up as a person would have typed it, its result, and the model's words on it."""
    parts: list[str] = []
    if document["lookup"] is not None:
        parts.append(f"$ {document['lookup']['typed']}")
    if document["result"] is not None:
        parts.append(RESULTS[document["lookup"]["command"]](document["result"]))
    if document["draft"] is not None:
        parts.append(_draft(document["draft"]))
    if document["answer"] is not None:
        head = f"text of the language model {clean(document['model'])} ({cost_line(document['cost'])}):"
        parts.append("\n".join([head, *words(document["answer"])]))
    if document["lookup"] is None:
        rows = [(row["typed"], row["means"]) for row in document["choices"]]
        parts.append(f"what can be looked up:\n{fields(rows)}")
    parts += [f"missing: {clean(reason)}" for reason in document["abstained"]]
    return "\n\n".join(parts)


def _draft(document: Document) -> str:
    found = [f"problem: {clean(problem)}" for problem in document["problems"]] or ["policy check: ok"]
    head = f"# A draft. It is in force nowhere. To use it, put it in the place of {document['instead_of']},"
    tail = "# run `teagent policy check` and `teagent config reload`. A policy has no end: take it back by hand."
    text = [clean(line, keep_indent=True) for line in document["text"].splitlines()]
    return "\n".join([head, tail, *text, *found])
