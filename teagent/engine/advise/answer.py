"""A model's answer, read as the schema asked for it. Servers hold no bound of a schema, so all of it is checked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from teagent.engine.advise.check import check, without_thinking
from teagent.engine.advise.facts import Facts
from teagent.errors import AdvisorError
from teagent.model.advice import ModelText

MAX_ANSWER = 20_000
"""Characters; more is no answer to anything that is asked here."""
_FENCE = re.compile(r"^```(?:json)?\s*(.*?)\s*```$", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """`key` is asked for under this name, `heading` is ours to show, `asks` tells the model what belongs there."""

    key: str
    heading: str
    asks: str


BRIEF = (
    Part(key="wrong", heading="what is wrong", asks="which link has too much load"),
    Part(key="does", heading="what the proposal does", asks="what the plan changes and where traffic goes"),
    Part(key="risk", heading="what could go wrong", asks="what to be careful about"),
    Part(key="watch", heading="what to watch", asks="which link to watch after the change"),
)
ANSWER = (Part(key="answer", heading="answer", asks="the answer to the question, from the facts alone"),)


def schema_of(parts: Sequence[Part]) -> dict[str, object]:
    return {
        "type": "object",
        "properties": {part.key: {"type": "string", "maxLength": 300} for part in parts},
        "required": [part.key for part in parts],
        "additionalProperties": False,
    }


def choice_schema(ids: Sequence[str]) -> dict[str, object]:
    return {
        "type": "object",
        "properties": {"choice": {"type": "string", "enum": list(ids)}},
        "required": ["choice"],
        "additionalProperties": False,
    }


def read_object(text: str) -> Mapping[str, object]:
    """The JSON object in the answer, in a fence or not. Raises AdvisorError."""
    said, _ = without_thinking(text[: MAX_ANSWER + 1])
    if len(text) > MAX_ANSWER:
        raise AdvisorError(f"the model's answer is longer than {MAX_ANSWER} characters", reason="too_long")
    if not said:
        raise AdvisorError("the model's answer is empty", reason="empty")
    fenced = _FENCE.match(said)
    try:
        found = json.loads(
            fenced.group(1) if fenced else said, parse_constant=_refuse, object_pairs_hook=_without_duplicates
        )
    except (ValueError, RecursionError) as error:
        raise AdvisorError("the model's answer is not the JSON that was asked for", reason="malformed") from error
    if not isinstance(found, dict):
        raise AdvisorError("the model's answer is not a JSON object", reason="malformed")
    return found


def _refuse(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands there twice")
    return found


def read_choice(text: str, ids: Sequence[str]) -> str:
    """One of the ids. Raises AdvisorError for everything else."""
    found = read_object(text)
    choice = found.get("choice")
    if set(found) != {"choice"} or not isinstance(choice, str) or choice not in ids:
        raise AdvisorError("the model chose nothing that was on the list", reason="unknown_choice")
    return choice


def read_text(text: str, parts: Sequence[Part], facts: Facts) -> ModelText:
    """Every part checked against the facts. Raises AdvisorError where one is missing, empty or no text."""
    found = read_object(text)
    rows, struck, contradicted = [], 0, 0
    for part in parts:
        words = found.get(part.key)
        if not isinstance(words, str):
            raise AdvisorError(f"the model's answer lacks {part.key}", reason="malformed")
        checked = check(words, facts)
        if not checked.text:
            raise AdvisorError(f"the model says nothing in {part.key}", reason="empty")
        struck, contradicted = struck + checked.struck, contradicted + checked.contradicted
        rows.append((part.heading, checked.text))
    return ModelText(parts=tuple(rows), struck=struck, contradicted=contradicted)
