"""What makes a dry run less certain than its bands say, in words for the operator."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from teagent.engine.predict.bands import HIGH, LOW
from teagent.engine.predict.movers import Movers
from teagent.engine.predict.scene import HIDDEN_HIGH, Scene
from teagent.model.plan import Candidate
from teagent.model.units import format_bps, format_share

FEW = 0.5
"""A sender with more than this share of what may move decides the outcome alone."""
UNEXPLAINED = 0.2
COVERAGE_WELL_SEEN = 0.8


def caveats(scene: Scene, candidate: Candidate, movers: Movers) -> tuple[str, ...]:
    """One line each."""
    involved = [name for name in scene.links if any(name in dict(vector) for _, vector in candidate.vectors)]
    lines: list[str] = []
    lines += _no_data(scene, involved)
    lines += _saturated(scene, movers.links)
    lines += _few_senders(movers)
    lines += _staying(candidate, movers.unknown_bps)
    lines += _coverage(scene, movers.links)
    if movers.seen and not movers.sources:
        lines.append(
            f"nothing is expected to move: no sender does so with a chance of more than {LOW:.0%}"
            if movers.links
            else "nothing is expected to move: no sender finds a shorter path than the one it has"
        )
    if not movers.seen:
        lines.append("no traffic was seen towards these prefixes: nothing is known of what would move")
    return tuple(lines)


def _no_data(scene: Scene, involved: list[str]) -> Iterator[str]:
    for name in involved:
        if name in scene.unknown:
            yield f"{name} has no data ({scene.unknown[name].reason}): what it carries, now and then, is not known"


def _saturated(scene: Scene, columns: Sequence[int]) -> Iterator[str]:
    for column in columns:
        if scene.hidden_high[column] > 0:
            share = float(scene.load_bps[column] / scene.capacity_bps[column])
            yield (
                f"{scene.links[column]} is full ({format_share(share)}): more is offered than it carries, how much "
                f"cannot be seen; up to {HIDDEN_HIGH:.0%} more is reckoned to come along"
            )


def _few_senders(movers: Movers) -> Iterator[str]:
    # Where it is as good as certain to go there is nothing to warn of.
    if movers.share >= FEW and movers.surely < HIGH:
        yield (
            f"{movers.heaviest} alone is {format_share(movers.share)} of what may move: "
            f"it goes or stays as a whole, so the band is wide"
        )


def _staying(candidate: Candidate, unknown_bps: float) -> Iterator[str]:
    if unknown_bps >= 1:
        prefixes = ", ".join(str(prefix) for prefix, _ in candidate.vectors)
        yield f"{format_bps(unknown_bps)} towards {prefixes} comes from senders that are not known: taken to stay"


def _coverage(scene: Scene, columns: Sequence[int]) -> Iterator[str]:
    for column in columns:
        name, load = scene.links[column], float(scene.load_bps[column])
        coverage = scene.matrix.coverage.get(name)
        if coverage is not None and coverage < COVERAGE_WELL_SEEN:
            yield f"flows cover {format_share(coverage)} of {name}: what they missed is taken to be like what they saw"
        missing = load - float(scene.explained_bps[column])
        if load > 0 and missing > UNEXPLAINED * load:
            yield f"{format_bps(missing)} of {format_bps(load)} on {name} is in no flow record: taken to stay"
        stray = scene.matrix.unattributed_bps.get(name, 0.0)
        if load > 0 and stray > 0.05 * load:
            yield f"{format_bps(stray)} on {name} goes to none of our prefixes: it stays"
