"""What is asked of a model, word for word. Everything in it is ours, but for an operator's own question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from teagent.engine.advise.answer import ANSWER, BRIEF, Part, choice_schema, schema_of
from teagent.engine.advise.check import plain
from teagent.engine.advise.facts import Facts
from teagent.errors import AdvisorError
from teagent.model.advice import Prompt

MAX_PROMPT = 3600
"""Characters, about 1200 tokens: a small computer reads them in seconds, and no server cuts them silently."""
MAX_QUESTION = 300
BRIEF_TOKENS, ANSWER_TOKENS, CHOICE_TOKENS = 350, 200, 40

_WRITER = (
    "You explain facts to a network engineer in plain, short English. Use only figures from the facts, exactly as they "
    "are written there. One or two short sentences for each key. Reply with JSON only."
)
_CHOOSER = "You pick one option from a list for a network engineer. Reply with JSON only."


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """`id` means nothing; `text` is ours."""

    id: str
    text: str


def options(texts: Sequence[str]) -> tuple[Option, ...]:
    return tuple(Option(id=f"c{number}", text=text) for number, text in enumerate(texts, start=1))


def brief(facts: Facts) -> Prompt:
    return _write(f"Facts about a proposed change of BGP announcements:\n{facts.text()}", BRIEF, BRIEF_TOKENS)


def answer(question: str, facts: Facts) -> Prompt:
    asked = f"Facts:\n{facts.text()}\n\nQuestion of the engineer: {plain(question)[:MAX_QUESTION]}"
    return _write(asked, ANSWER, ANSWER_TOKENS)


def choose(task: str, listed: Sequence[Option]) -> Prompt:
    lines = "\n".join(f"{option.id}: {option.text}" for option in listed)
    user = f"{task}\n\nOptions:\n{lines}\n\nReply with the id of one option."
    return _bounded(
        Prompt(
            system=_CHOOSER,
            user=user,
            schema=choice_schema([option.id for option in listed]),
            max_tokens=CHOICE_TOKENS,
        )
    )


def _write(user: str, parts: Sequence[Part], max_tokens: int) -> Prompt:
    keys = "\n".join(f"- {part.key}: {part.asks}" for part in parts)
    return _bounded(
        Prompt(
            system=_WRITER, user=f"{user}\n\nWrite these keys:\n{keys}", schema=schema_of(parts), max_tokens=max_tokens
        )
    )


def _bounded(prompt: Prompt) -> Prompt:
    size = len(prompt.system) + len(prompt.user)
    if size > MAX_PROMPT:
        raise AdvisorError(
            f"there is too much to tell a model: {size} characters, limit {MAX_PROMPT}", reason="prompt_too_long"
        )
    return prompt
