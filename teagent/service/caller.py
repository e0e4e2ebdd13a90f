"""The one way to the language model: a call at a time, a breaker, and what it costs."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import date

import structlog

from teagent.errors import AdvisorError, StoreError
from teagent.model.advice import Cost, Prompt, Reply, cost_of
from teagent.ports import Advisor, Clock, Store

log = structlog.get_logger("advisor")

FAILURES = 3
"""So many failures in a row, and the model is left alone for OPEN_SECONDS; then one call tries whether it is back."""
OPEN_SECONDS = 300.0
FACT = "advisor:day"
THOUGHT_CHARACTERS = 2000
"""Of what a model thought, so much goes into the log."""
OF_THE_ANSWER = frozenset({"malformed", "unknown_choice", "empty", "too_long", "length"})
"""Reasons that say something of the model, not of the way to it: these do not open the breaker."""


class Caller:
    """Raises AdvisorError and nothing else. `day` is what the calls of this day (UTC) cost."""

    def __init__(self, *, advisor: Advisor, store: Store, clock: Clock) -> None:
        self.advisor = advisor
        self._store = store
        self._clock = clock
        self._lock = asyncio.Lock()
        self._failures = 0
        self._open_until = 0.0
        self._date: date | None = None
        self.day = Cost()
        self.counters: Counter[str] = Counter()
        self.trouble = ""

    async def load(self) -> None:
        kept = await self._store.fact(FACT)
        self._date = self._clock.now().date()
        if isinstance(kept, dict) and kept.get("date") == self._date.isoformat():
            calls, prompt, tokens, seconds = (kept.get(k) for k in ("calls", "prompt_tokens", "tokens", "seconds"))
            if isinstance(calls, int) and isinstance(prompt, int) and isinstance(tokens, int):
                self.day = Cost(
                    calls=calls,
                    prompt_tokens=prompt,
                    tokens=tokens,
                    seconds=seconds if isinstance(seconds, int | float) else 0.0,
                )

    @property
    def open(self) -> bool:
        """Is the model being left alone?"""
        return self._clock.monotonic() < self._open_until

    async def ask(self, prompt: Prompt, *, wait: bool = True) -> Reply:
        """One call at a time. A person need not wait for another's, but is told so."""
        if self._lock.locked() and not wait:
            raise AdvisorError(f"{self.advisor.model} is busy with another question", reason="busy")
        async with self._lock:
            if self.open:
                raise AdvisorError(
                    f"{self.advisor.model} is left alone after {FAILURES} failures: {self.trouble}", reason="breaker"
                )
            try:
                reply = await self.advisor.ask(prompt)
            except AdvisorError as error:
                self._failed(error)
                raise
            self._worked()
            await self._spend(cost_of(reply))
            if reply.thinking:
                log.debug("model thought", model=reply.model, thinking=reply.thinking[:THOUGHT_CHARACTERS])
            return reply

    def _failed(self, error: AdvisorError) -> None:
        self.counters[error.reason] += 1
        if error.reason in OF_THE_ANSWER:
            return
        self._failures += 1
        if not self.trouble:
            log.warning("advisor does not answer", model=self.advisor.model, error=error.message, hint=error.hint)
        self.trouble = error.message
        if self._failures >= FAILURES:
            self._open_until = self._clock.monotonic() + OPEN_SECONDS

    def _worked(self) -> None:
        self.counters["ok"] += 1
        if self.trouble:
            log.info("advisor answers again", model=self.advisor.model, failures=self._failures)
        self._failures, self._open_until, self.trouble = 0, 0.0, ""

    async def _spend(self, cost: Cost) -> None:
        today = self._clock.now().date()
        self.day = cost if today != self._date else self.day + cost
        self._date, day = today, self.day
        kept = {
            "date": today.isoformat(),
            "calls": day.calls,
            "prompt_tokens": day.prompt_tokens,
            "tokens": day.tokens,
            "seconds": round(day.seconds, 3),
        }
        try:
            await self._store.set_fact(FACT, kept)
        except StoreError:
            self.counters["store_failures"] += 1  # the day's sum is lost with a restart, and nothing else
