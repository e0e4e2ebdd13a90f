"""Score: what was predicted for each link beside what happened."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from teagent.model.link import NoData
from teagent.model.plan import Band
from teagent.model.policy import Policy
from teagent.model.proposal import Proposal, ProposalState
from teagent.ports import Store
from teagent.service.observe import Observer
from teagent.service.proposals import ProposalBook
from teagent.service.watch import applied_at


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkOutcome:
    """`realised_bps` is None while the readings say too little."""

    link: str
    before_bps: float
    predicted: Band
    realised_bps: float | None
    within_band: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Measured from the end of settling on; `final` once the window in which it counts has closed."""

    proposal: str
    since: datetime
    until: datetime
    links: tuple[LinkOutcome, ...]


class Scorer:
    """Keeps one outcome for each applied change; later issues feed them to the ingress model."""

    def __init__(self, *, book: ProposalBook, observer: Observer, store: Store) -> None:
        self._book = book
        self._observer = observer
        self._store = store
        self._outcomes: dict[str, Outcome] = {}

    def outcome(self, proposal: str) -> Outcome | None:
        return self._outcomes.get(proposal)

    async def load(self) -> None:
        for proposal in self._book.all():
            fact = await self._store.fact(f"outcome:{proposal.id}")
            if isinstance(fact, dict):
                self._outcomes[proposal.id] = _from_fact(proposal, fact)

    async def measure(self, policies: dict[str, Policy], now: datetime) -> None:
        for proposal in self._book.in_state(ProposalState.CONFIRMING, ProposalState.ACTIVE):
            policy = policies.get(proposal.policy)
            since = applied_at(proposal)
            if policy is None or since is None:
                continue
            begin = since + timedelta(seconds=policy.confirm.settle_seconds)
            # Until the last reading: what is measured, and written, once a second would be the same in between.
            end = min(now, since + timedelta(seconds=policy.confirm.window_seconds), self._observer.read_until(now))
            known = self._outcomes.get(proposal.id)
            if end <= begin or (known is not None and known.until >= end):
                continue
            outcome = self._measure(proposal, begin, end)
            self._outcomes[proposal.id] = outcome
            await self._store.set_fact(f"outcome:{proposal.id}", _to_fact(outcome))

    def _measure(self, proposal: Proposal, begin: datetime, end: datetime) -> Outcome:
        rows = []
        for forecast in proposal.dry_run.links:
            average = self._observer.average(forecast.link, since=begin, until=end)
            realised = None if isinstance(average, NoData) else average.in_bps
            rows.append(
                LinkOutcome(
                    link=forecast.link,
                    before_bps=forecast.before_bps,
                    predicted=forecast.after,
                    realised_bps=realised,
                    within_band=None if realised is None else forecast.after.low <= realised <= forecast.after.high,
                )
            )
        return Outcome(proposal=proposal.id, since=begin, until=end, links=tuple(rows))


def _to_fact(outcome: Outcome) -> dict[str, object]:
    return {
        "since": outcome.since.isoformat(),
        "until": outcome.until.isoformat(),
        "realised_bps": {row.link: row.realised_bps for row in outcome.links},
    }


def _from_fact(proposal: Proposal, fact: dict[str, object]) -> Outcome:
    realised = fact["realised_bps"]
    assert isinstance(realised, dict)  # noqa: S101 - our own row, written by _to_fact
    rows = []
    for forecast in proposal.dry_run.links:
        bps = realised.get(forecast.link)
        rows.append(
            LinkOutcome(
                link=forecast.link,
                before_bps=forecast.before_bps,
                predicted=forecast.after,
                realised_bps=bps,
                within_band=None if bps is None else forecast.after.low <= bps <= forecast.after.high,
            )
        )
    return Outcome(
        proposal=proposal.id,
        since=datetime.fromisoformat(str(fact["since"])),
        until=datetime.fromisoformat(str(fact["until"])),
        links=tuple(rows),
    )
