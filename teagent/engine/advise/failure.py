"""What is known of a link that fails, without a forecast: what it carries, who else carries the same, what is left.

It is no drain. Prepends leave on a link whoever does not look at them; a failure leaves nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from teagent.engine.advise.facts import Fact
from teagent.model.announcement import AnnouncementSet
from teagent.model.units import format_bps

MOST = 8
"""So many links or prefixes are told of one by one; sums are over all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """`others` are the links that carry any prefix that `link` carries, `alone` the prefixes that no other does."""

    link: str
    others: tuple[str, ...]
    alone: tuple[str, ...]


def failure_of(link: str, live: AnnouncementSet) -> Failure:
    carried: dict[str, set[str]] = {}
    for each in live:
        carried.setdefault(str(each.prefix), set()).add(each.link)
    touched = {prefix: links - {link} for prefix, links in carried.items() if link in links}
    return Failure(
        link=link,
        others=tuple(sorted(set().union(*touched.values()))),
        alone=tuple(prefix for prefix, links in touched.items() if not links),
    )


def facts_without(failure: Failure, rows: Sequence[Mapping[str, Any]]) -> Iterator[Fact]:
    """`rows` are those of the document of `link.list`, loads in bps."""
    link, by_name = failure.link, {row["name"]: row for row in rows}
    carries = _in_bps(by_name.get(link))
    if carries is None:
        yield Fact(text=f"Of {link} there is no data: what would have to go elsewhere is not known.", about=(link,))
    else:
        yield Fact(text=f"If {link} failed, none of its {format_bps(carries)} could come over it.", about=(link,))
    if failure.alone:
        shown = failure.alone[:MOST]
        more = f" and {len(failure.alone) - MOST} more" if len(failure.alone) > MOST else ""
        yield Fact(
            text=f"Announced on {link} alone, and not to be reached without it: {', '.join(shown)}{more}.",
            about=(link, *shown),
        )
    if failure.others:
        yield from _room(failure, {name: _left(by_name.get(name)) for name in failure.others}, carries)
    yield Fact(text=f"Which links the senders on {link} would take instead is not predicted.")


def _room(failure: Failure, left: Mapping[str, float | None], carries: float | None) -> Iterator[Fact]:
    known = {name: bps for name, bps in left.items() if bps is not None}
    total = sum(known.values())
    if len(known) == len(left) and carries is not None:
        held = "less" if total < carries else "not less"
        yield Fact(
            text=f"The links that carry the same prefixes have {format_bps(total)} left together, {held} than "
            f"{failure.link} carries.",
        )
    for name in list(left)[:MOST]:
        room = f"{format_bps(known[name])} left before it is full" if name in known else "no data"
        yield Fact(text=f"{name} has {room}.", about=(name,))


def _in_bps(row: Mapping[str, Any] | None) -> float | None:
    found: float | None = None if row is None else row["utilisation"].get("in_bps")
    return found


def _left(row: Mapping[str, Any] | None) -> float | None:
    carries = _in_bps(row)
    return None if row is None or carries is None else max(0.0, row["capacity_bps"] - carries)
