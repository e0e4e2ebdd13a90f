"""A customer complains about a prefix: where is it announced, over what does its traffic come, what is wrong there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from teagent.engine.choose.decide import describe
from teagent.engine.predict.scene import Scene, prepare
from teagent.errors import NotFound
from teagent.model.bgp import Prefix, prefix_key
from teagent.model.link import NoData, Utilisation
from teagent.model.plan import Considered, Decision, TriggerStatus
from teagent.model.snapshot import Snapshot
from teagent.model.traffic import Source
from teagent.model.units import format_bps, format_share

TOP = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """What one link's neighbor hears; `home_prepend` None: the routers would not announce it there."""

    link: str
    prepend: int
    home_prepend: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceShare:
    source: Source
    bps: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingress:
    """The prefix's traffic on one link; `share` of all the prefix's traffic, as each source's share is of this."""

    link: str
    bps: float
    share: float
    top_sources: tuple[SourceShare, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixShare:
    prefix: Prefix
    bps: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkState:
    """A link that carries the prefix. `in_utilisation` and `in_bps` are None where there is no data.

    `congested`: a policy's trigger fires on it. `above_since`: since when it is above the trigger, firing or not yet.
    `by_prefixes` and `by_sources`: who fills it, heaviest first; shares are of the link's load.
    """

    link: str
    capacity_bps: float
    in_bps: float | None
    in_utilisation: float | None
    congested: bool
    above_since: datetime | None
    message: str
    by_prefixes: tuple[PrefixShare, ...]
    by_sources: tuple[SourceShare, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Help:
    """A plan that would relieve a link which the prefix comes over. `digest` leads to its proposal."""

    policy: str
    digest: str
    link: str
    before_bps: float
    expected_bps: float
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """`owner`: the proposal whose override the prefix follows, None at home. `summary`: all of it in sentences."""

    prefix: Prefix
    at: datetime
    engineer: bool
    owner: str | None
    at_home: bool
    announced: tuple[Announced, ...]
    ingress: tuple[Ingress, ...]
    links: tuple[LinkState, ...]
    helps: tuple[Help, ...]
    notes: tuple[str, ...]
    summary: tuple[str, ...]


def explain_prefix(snapshot: Snapshot, decisions: Sequence[Decision], prefix: Prefix) -> Explanation:
    """Raises NotFound when the prefix is not one of ours. `decisions` are the last of each policy."""
    own = snapshot.network.own(prefix)
    if own is None:
        raise NotFound("prefix of ours", str(prefix), known=[str(o.prefix) for o in snapshot.network.prefixes])
    live = snapshot.live.vector(prefix)
    busy = snapshot.busy.get(prefix)
    scene = None if isinstance(snapshot.matrix, NoData) else prepare(snapshot)
    ingress = () if scene is None else _ingress(scene, prefix)
    carrying = [name for name in snapshot.network.links if name in live or name in {i.link for i in ingress}]
    links = tuple(_link(snapshot, scene, name, decisions) for name in carrying)
    ridden = {i.link for i in ingress} or set(carrying)
    helps = tuple(h for decision in decisions for h in _helps(decision, ridden))
    notes = _notes(snapshot, decisions, ridden, helps)
    return Explanation(
        prefix=prefix,
        at=snapshot.taken_at,
        engineer=own.engineer,
        owner=None if busy is None else busy.owner,
        at_home=live == dict(own.home),
        announced=tuple(
            Announced(link=name, prepend=live[name], home_prepend=own.home.get(name)) for name in sorted(live)
        ),
        ingress=ingress,
        links=links,
        helps=helps,
        notes=notes,
        summary=(*_summary(prefix, ingress, links), *(h.message for h in helps), *notes),
    )


def _ingress(scene: Scene, prefix: Prefix) -> tuple[Ingress, ...]:
    columns = scene.demands.get(prefix)
    if columns is None or not len(columns.bps):
        return ()
    total = float(columns.bps.sum())
    rows = []
    for column, name in enumerate(scene.links):
        here = columns.link_index == column
        bps = float(columns.bps[here].sum())
        if bps > 0:
            by_source = np.bincount(
                columns.source_index[here], weights=columns.bps[here], minlength=len(columns.sources)
            )
            rows.append(Ingress(link=name, bps=bps, share=bps / total, top_sources=_top_sources(scene, by_source, bps)))
    return tuple(sorted(rows, key=lambda row: (-row.bps, row.link)))


def _top_sources(scene: Scene, by_source: npt.NDArray[Any], whole_bps: float) -> tuple[SourceShare, ...]:
    heaviest = np.argsort(-by_source, kind="stable")[:TOP]
    return tuple(
        SourceShare(source=scene.matrix.sources[int(i)], bps=float(by_source[i]), share=float(by_source[i]) / whole_bps)
        for i in heaviest
        if by_source[i] > 0 and whole_bps > 0
    )


def _link(snapshot: Snapshot, scene: Scene | None, name: str, decisions: Sequence[Decision]) -> LinkState:
    link = snapshot.network.links[name]
    reading = snapshot.latest.get(name)
    in_bps = reading.in_bps if isinstance(reading, Utilisation) else None
    status = _status(decisions, name)
    by_prefixes, by_sources = ((), ()) if scene is None or not in_bps else _who_fills(scene, name, in_bps)
    return LinkState(
        link=name,
        capacity_bps=link.capacity_bps,
        in_bps=in_bps,
        in_utilisation=None if in_bps is None else in_bps / link.capacity_bps,
        congested=status is not None and status.firing,
        above_since=None if status is None else status.above_since,
        message=_link_message(status, reading if isinstance(reading, NoData) else None),
        by_prefixes=by_prefixes,
        by_sources=by_sources,
    )


def _status(decisions: Sequence[Decision], link: str) -> TriggerStatus | None:
    """Of several policies' triggers the one that fires, or is nearest to it."""
    found = [status for decision in decisions for status in decision.triggers if status.link == link]
    found.sort(key=lambda s: (not s.firing, s.above_since is None, s.above_since))
    return found[0] if found else None


def _link_message(status: TriggerStatus | None, missing: NoData | None) -> str:
    if missing is not None:
        return f"no data: {missing.reason}"
    return "no policy watches it" if status is None else status.message


def _who_fills(scene: Scene, name: str, in_bps: float) -> tuple[tuple[PrefixShare, ...], tuple[SourceShare, ...]]:
    column = scene.links.index(name)
    prefixes = [
        PrefixShare(prefix=prefix, bps=bps, share=bps / in_bps)
        for prefix, bps in scene.demands.by_prefix(column).items()
    ]
    prefixes.sort(key=lambda p: (-p.bps, prefix_key(p.prefix)))
    return tuple(prefixes[:TOP]), _top_sources(scene, scene.demands.by_source(column), in_bps)


def _helps(decision: Decision, ridden: set[str]) -> list[Help]:
    chosen: Considered | None = decision.chosen
    if chosen is None:
        return []
    firing = {status.link for status in decision.triggers if status.firing}
    return [
        Help(
            policy=decision.policy,
            digest=chosen.plan.digest,
            link=f.link,
            before_bps=f.before_bps,
            expected_bps=f.after.expected,
            message=f"plan {chosen.plan.digest[:6]} of {decision.policy} would help: {describe(chosen.plan)}; "
            f"{f.link} {format_bps(f.before_bps)} -> {format_bps(f.after.expected)} expected",
        )
        for f in chosen.dry_run.links
        if f.link in ridden and f.link in firing and f.after.expected < f.before_bps
    ]


def _notes(
    snapshot: Snapshot, decisions: Sequence[Decision], ridden: set[str], helps: tuple[Help, ...]
) -> tuple[str, ...]:
    notes = []
    if isinstance(snapshot.matrix, NoData):
        notes.append(f"who sends what is not known: {snapshot.matrix.reason}")
    notes += list(snapshot.distrust)
    helped = {h.policy for h in helps}
    for decision in decisions:
        congested = [s.link for s in decision.triggers if s.firing and s.link in ridden]
        if congested and decision.policy not in helped:
            notes.append(f"{decision.policy} proposes nothing: {decision.message}")
    return tuple(notes)


def _summary(prefix: Prefix, ingress: tuple[Ingress, ...], links: tuple[LinkState, ...]) -> list[str]:
    lines = []
    if ingress:
        ways = ", ".join(f"{format_share(i.share)} ({format_bps(i.bps)}) over {i.link}" for i in ingress)
        lines.append(f"traffic to {prefix} comes {ways}")
    for state in links:
        if not state.congested:
            continue
        by = ", ".join(f"{p.prefix} {format_bps(p.bps)} ({format_share(p.share)})" for p in state.by_prefixes)
        who = ", ".join(f"{s.source} {format_bps(s.bps)}" for s in state.by_sources)
        lines.append(
            f"{state.link} is congested: {format_bps(state.in_bps)} of {format_bps(state.capacity_bps)}, "
            f"{state.message}"
        )
        if by:
            lines.append(f"{state.link} is filled by {by}; sent by {who}")
    unknown = [state.link for state in links if state.in_bps is None]
    if unknown:
        lines.append(f"no data of {', '.join(unknown)}: whether congested is not known")
    elif links and not any(state.congested for state in links):
        lines.append(f"no link that carries {prefix} is congested: the trouble is elsewhere")
    return lines
