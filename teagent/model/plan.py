"""What could be done, what it would do, and what the rules say of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from teagent.model.announcement import AnnouncementSet, Change
from teagent.model.bgp import Prefix
from teagent.model.traffic import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A predicted load in bits per second: 90 % of outcomes are expected from `low` to `high`."""

    low: float
    expected: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkForecast:
    """One link in a dry run. `worst_bps`: if all that moves, up to its high end, landed here; the load now where the
    link does not gain. `target_bps`: what the policy aims for.
    """

    link: str
    capacity_bps: float
    before_bps: float
    after: Band
    worst_bps: float
    target_bps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """Traffic that a candidate is expected to move from one link to another."""

    source: Source
    prefix: Prefix
    from_link: str
    to_link: str
    band: Band


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Why it is uncertain where a sender goes; `reason` is a stable id, as in `tie`."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOutlook:
    """One sender towards the changed prefixes, over all of them.

    `before` and `after` are (link, share of its traffic), after as expected. `moved_bps` is what is expected to change
    its link, `doubt_bps` what may as well go elsewhere.
    """

    source: Source
    bps: float
    moved_bps: float
    doubt_bps: float
    before: tuple[tuple[str, float], ...]
    after: tuple[tuple[str, float], ...]
    doubts: tuple[Doubt, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedTraffic:
    """What no prepend moves off a link, because its senders have no other way; `largest` are a few of these."""

    link: str
    bps: float
    sources: int
    largest: tuple[Source, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """A dry run by its senders: who moves, who is uncertain, the heaviest of each first; and what cannot move."""

    movers: tuple[SourceOutlook, ...] = ()
    uncertain: tuple[SourceOutlook, ...] = ()
    fixed: tuple[FixedTraffic, ...] = ()


NO_OUTLOOK = Outlook()


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """Predicted result of a candidate. Nothing has been announced.

    `assumption` says in words on what the prediction rests; `warnings` what makes it less certain than its bands.
    `shifts` holds the heaviest; `sources` counts the senders that may move, which
    is with a chance of more than 5 %. `outlook` is filled in for what is shown, not for every candidate that is
    weighed.
    """

    links: tuple[LinkForecast, ...]
    shifts: tuple[Shift, ...]
    moved: Band
    assumption: str
    warnings: tuple[str, ...] = ()
    sources: int = 0
    outlook: Outlook = NO_OUTLOOK

    def link(self, name: str) -> LinkForecast:
        return next(f for f in self.links if f.link == name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How the objective values a candidate; smaller is better. The order is engine.choose.optimise.rank."""

    excess_bps: float  # what stays above target over all links, expected
    shortfall_risk_bps: float  # the same at the pessimistic end of the bands
    cost_per_month: float  # in the prices' currency, at expected loads against commits
    moved_bps: float  # moved beyond what relief takes
    changes: int
    prepends: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Lever settings being weighed; never shown as a decision."""

    vectors: tuple[tuple[Prefix, tuple[tuple[str, int], ...]], ...]  # prefix -> ((link, prepend), ...)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The chosen candidate, ordered and hashed: applying it twice is the same as once.

    `digest` is the hex SHA-256 of the canonical form of changes and policy (engine.choose.digest).
    """

    policy: str
    changes: tuple[Change, ...]
    before: AnnouncementSet
    after: AnnouncementSet
    digest: str

    def prefixes(self) -> tuple[Prefix, ...]:
        from teagent.model.announcement import changed_prefix

        return tuple(dict.fromkeys(changed_prefix(c) for c in self.changes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One rule's opinion; `rule` is a stable id, as in `max_prepend`."""

    rule: str
    ok: bool
    message: str
    value: float | str | None = None
    limit: float | str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NeedsApproval:
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedVerdict:
    reasons: tuple[Reason, ...]

    def failed(self) -> tuple[Reason, ...]:
        return tuple(r for r in self.reasons if not r.ok)


Verdict: TypeAlias = Allowed | NeedsApproval | RefusedVerdict


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerStatus:
    """Where one policy's trigger stands on one link."""

    link: str
    firing: bool
    above_since: datetime | None
    in_utilisation: float | None
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """A candidate with its dry run, score and verdict, kept for `policy explain`."""

    plan: Plan
    dry_run: DryRun
    score: Score
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Why a policy did, or did not, propose something just now.

    `chosen` is None when nothing is proposed; `message` then says why. `considered` is best first and cut to the
    first few; `candidates` counts them all.
    """

    policy: str
    at: datetime
    snapshot_digest: str
    triggers: tuple[TriggerStatus, ...]
    chosen: Considered | None
    considered: tuple[Considered, ...]
    candidates: int
    reasons: tuple[Reason, ...]
    message: str
