"""The daemon as it is, with one door more: `plan.compute` with a policy of `PREFIX A B` proposes that very vector.

What decides is tried elsewhere; here proposals are wanted at once, and the way from an approval to the wire as it is.
Run in a lab's management node: python -m tests.faults.proposer CONFIG
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from ipaddress import ip_network
from pathlib import Path

from teagent.daemon import run as process
from teagent.daemon.app import App
from teagent.daemon.app import build as build_app
from teagent.daemon.control import Actor, Command, ControlServer, Right
from teagent.daemon.handlers import Handlers
from teagent.engine.choose.digest import plan_digest
from teagent.model.announcement import AnnouncementSet, difference
from teagent.model.plan import Band, Considered, DryRun, LinkForecast, NeedsApproval, Plan
from teagent.model.policy import Policy
from teagent.model.proposal import Proposal
from tests.unit.service.world import SCORE

M = 1_000_000.0


def dry_run() -> DryRun:
    """Both links are affected, so that guards look at both."""

    def forecast(link: str, capacity: float, before: float, after: float) -> LinkForecast:
        band = Band(low=after * 0.8, expected=after, high=after * 1.2)
        return LinkForecast(
            link=link,
            capacity_bps=capacity,
            before_bps=before,
            after=band,
            worst_bps=capacity,
            target_bps=capacity * 0.7,
        )

    return DryRun(
        links=(forecast("transit-a", 10 * M, 9 * M, 4 * M), forecast("transit-b", 100 * M, 10 * M, 15 * M)),
        shifts=(),
        moved=Band(low=2 * M, expected=5 * M, high=7 * M),
        assumption="a test's",
    )


def build(path: Path, *, on_reload: Callable[[str], None] | None = None, before: App | None = None) -> App:
    app = build_app(path, on_reload=on_reload, before=before)
    recheck = app.decider.recheck

    async def looked_at(proposal: Proposal, policy: Policy, now: datetime) -> Sequence[str]:
        """What it costs is paid; what it says of a plan that nobody decided on does not count."""
        await recheck(proposal, policy, now)
        return ()

    app.approver._recheck = looked_at

    async def propose(_actor: Actor, arguments: Mapping[str, object]) -> object:
        prefix, a, b = str(arguments["policy"]).split()
        live = app.routes.live()
        before_ = live if isinstance(live, AnnouncementSet) else app.config.network.home()
        after = before_.with_vector(ip_network(prefix), {"transit-a": int(a), "transit-b": int(b)})
        policy = app.config.policies[0]
        changes = difference(before_, after)
        plan = Plan(
            policy=policy.name,
            changes=changes,
            before=before_,
            after=after,
            digest=plan_digest(policy.name, changes, before_, after),
        )
        async with app.book.lock:
            proposal = await app.book.create(
                Considered(plan=plan, dry_run=dry_run(), score=SCORE, verdict=NeedsApproval(reasons=())),
                policy=policy,
                snapshot_digest="5" * 64,
                inputs_digest="1" * 64,
                now=app.clock.now(),
            )
        return {"id": proposal.id}

    commands = {**Handlers(app).commands(), "plan.compute": Command(propose, right=Right.APPROVE)}
    app.control = ControlServer(app.config.control.socket, commands)
    return app


if __name__ == "__main__":
    process.build = build
    sys.exit(asyncio.run(process.Process(Path(sys.argv[1])).run()))
