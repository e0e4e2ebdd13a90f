"""A policy: match these, when this holds, aim for this, with these levers, within these limits, undo it if."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from teagent.model.link import LinkKind


class Objective(StrEnum):
    RELIEVE_AT_LEAST_COST = "relieve_at_least_cost"
    MINIMISE_MAX_UTILISATION = "minimise_max_utilisation"


class Metric(StrEnum):
    IN_UTILISATION = "in_utilisation"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkMatch:
    """Empty means any."""

    kinds: frozenset[LinkKind] = frozenset()
    names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixMatch:
    tags: frozenset[str] = frozenset()
    prefixes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """Fires when `metric` stayed above `above` for `for_seconds`; clears below `clear_below`. Shares of capacity."""

    metric: Metric
    above: float
    for_seconds: float
    clear_below: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PrependLever:
    max: int


Lever: TypeAlias = PrependLever


@dataclass(frozen=True, slots=True, kw_only=True)
class Damping:
    """Each move of a prefix adds 1 to its penalty, which halves every `half_life_seconds`.

    Above `suppress_above` it is left alone until it is below `reuse_below`, and never longer than `at_most_seconds`.
    """

    half_life_seconds: float = 7200
    suppress_above: float = 3.0
    reuse_below: float = 1.5
    at_most_seconds: float = 43_200


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """`headroom` is the share of capacity left free on every link that gains; `shift_per_plan_bps` None: no limit."""

    changes_per_plan: int = 4
    prefixes_per_plan: int = 2
    shift_per_plan_bps: float | None = None
    cooldown_seconds: float = 3600
    moves_per_day: int = 6
    all_moves_per_day: int = 50
    damping: Damping = Damping()
    headroom: float = 0.15
    min_links_per_prefix: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """`tolerance`: how far a link may move (share of capacity) between what was shown and the approval.

    `approvers` different people approve each plan.
    """

    required: bool = True
    approvers: int = 1
    expires_after_seconds: float = 1800
    tolerance: float = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class UtilisationGuard:
    above: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnouncedLinksGuard:
    below: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoDataGuard:
    for_seconds: float


Guard: TypeAlias = UtilisationGuard | AnnouncedLinksGuard | NoDataGuard


class Unproven(StrEnum):
    """Whether a change may be approved, and confirmed, that no router has proven to hold."""

    ALLOW = "allow"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm:
    """An unconfirmed change goes home after `window_seconds`; guards are read from `settle_seconds` on."""

    window_seconds: float = 1200
    settle_seconds: float = 360
    unproven: Unproven = Unproven.ALLOW
    revert_if: tuple[Guard, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    name: str
    description: str
    links: LinkMatch
    prefixes: PrefixMatch
    when: Trigger
    objective: Objective
    levers: tuple[Lever, ...]
    limits: Limits
    approval: Approval
    confirm: Confirm
    enabled: bool = True

    def max_prepend(self) -> int:
        return max((lever.max for lever in self.levers), default=0)
