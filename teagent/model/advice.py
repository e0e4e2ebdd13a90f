"""What a language model is asked, what it said, and what is kept of it. Nothing here can become a change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """`schema` is the JSON schema of the answer. `max_tokens` bounds the answer, without what a model thinks first."""

    system: str
    user: str
    schema: Mapping[str, object]
    max_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """As the model gave it, unchecked, but without what it thought, which is for the log only."""

    text: str
    thinking: str
    model: str
    prompt_tokens: int
    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelState:
    """What the server says of the model. `context` is the longest it was trained for, None where it is not said."""

    model: str
    server: str
    parameters: str
    quantization: str
    size_bytes: int | None
    context: int | None
    thinks: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    calls: int = 0
    prompt_tokens: int = 0
    tokens: int = 0
    seconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            calls=self.calls + other.calls,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            tokens=self.tokens + other.tokens,
            seconds=self.seconds + other.seconds,
        )


def cost_of(reply: Reply) -> Cost:
    return Cost(calls=1, prompt_tokens=reply.prompt_tokens, tokens=reply.tokens, seconds=reply.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelText:
    """Checked text: (heading, words) in order. `struck` figures were not in the facts, `contradicted` clauses said the
    opposite of them; both have been taken out.
    """

    parts: tuple[tuple[str, str], ...]
    struck: int = 0
    contradicted: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A lever setting after the same simulation and checks as any candidate; `setting` is our text for it."""

    setting: str
    excess_bps: float
    shortfall_risk_bps: float
    cost_per_month: float
    moved_bps: float
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """What the model would try, beside what the solver chose. `better`: by the score that ranks all candidates."""

    suggested: Scored
    solver: Scored
    better: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """`preferred` is our text of the plan it prefers among those that the solver holds for equal; empty for none.

    `abstained` says, for each part that is missing, why. No field of this could become a change.
    """

    proposal: str
    at: datetime
    model: str
    brief: ModelText | None
    suggestion: Suggestion | None = None
    preferred: str = ""
    abstained: tuple[str, ...] = ()
    cost: Cost = Cost()
