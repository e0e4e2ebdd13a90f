"""A dry run of what an operator has in mind: no policy, no verdict, nothing proposed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from teagent.engine.predict.outlook import with_outlook
from teagent.engine.predict.scene import prepare
from teagent.engine.predict.shares import TIES_STICK, Forecaster
from teagent.engine.predict.simulate import check, dry_run
from teagent.errors import NotFound, Refused
from teagent.model.announcement import AnnouncementSet, Change, difference
from teagent.model.plan import Candidate, DryRun
from teagent.model.snapshot import Snapshot
from teagent.model.what_if import GoHome, SetPrepend, Wish

if TYPE_CHECKING:
    from teagent.engine.predict.topology import Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """`changes` are against what is live, all that the wishes come to together; none where everything is so already."""

    wishes: tuple[Wish, ...]
    after: AnnouncementSet
    candidate: Candidate
    changes: tuple[Change, ...]
    dry_run: DryRun


def what_if(
    snapshot: Snapshot,
    wishes: Sequence[Wish],
    *,
    targets: Mapping[str, float] | None = None,
    forecaster: Forecaster = TIES_STICK,
    topology: Topology | None = None,
) -> WhatIf:
    """Wishes are carried out in their order, each on what the ones before left. `targets` (link -> bps) only go into
    the forecasts; where there is none it is the link's capacity.

    Raises NotFound for a prefix or link that is not ours, Refused for one that does not carry the prefix and where
    there is no traffic matrix.
    """
    after = _carried_out(snapshot, wishes)
    prefixes = tuple(dict.fromkeys(wish.prefix for wish in wishes))
    candidate = Candidate(vectors=tuple((prefix, tuple(after.vector(prefix).items())) for prefix in prefixes))
    check(snapshot, candidate)
    scene = prepare(snapshot)
    predicted = dry_run(scene, candidate, targets=targets, forecaster=forecaster)
    return WhatIf(
        wishes=tuple(wishes),
        after=after,
        candidate=candidate,
        changes=difference(snapshot.live, after),
        dry_run=with_outlook(scene, candidate, predicted, forecaster=forecaster, topology=topology),
    )


def _carried_out(snapshot: Snapshot, wishes: Sequence[Wish]) -> AnnouncementSet:
    after, network = snapshot.live, snapshot.network
    for wish in wishes:
        own = network.own(wish.prefix)
        if own is None:
            raise NotFound("prefix of ours", str(wish.prefix), known=[str(o.prefix) for o in network.prefixes])
        match wish:
            case GoHome():
                after = after.with_vector(wish.prefix, own.home)
            case SetPrepend(link=link, prepend=prepend):
                if link not in network.links:
                    raise NotFound("link", link, known=list(network.links))
                vector = after.vector(wish.prefix)
                if link not in vector:
                    raise Refused(
                        f"{wish.prefix} is not announced on {link}, so there is nothing to prepend to",
                        hint=f"it is announced on {', '.join(sorted(vector)) or 'no link'}",
                    )
                after = after.with_vector(wish.prefix, vector | {link: prepend})
    return after
