"""What neighbors hear from us, and how that changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from teagent.model.bgp import LargeCommunity, Prefix, prefix_key

PREPEND_HARD_MAX = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """What one link's neighbor hears about one prefix. `prepend` counts the copies beyond our ASN once."""

    prefix: Prefix
    link: str
    prepend: int

    def __post_init__(self) -> None:
        if not 0 <= self.prepend <= PREPEND_HARD_MAX:
            raise ValueError(f"{self.prefix} on {self.link}: prepend {self.prepend} is not in 0 to {PREPEND_HARD_MAX}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Announce:
    after: Announcement


@dataclass(frozen=True, slots=True, kw_only=True)
class Modify:
    before: Announcement
    after: Announcement


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw:
    before: Announcement


Change: TypeAlias = Announce | Modify | Withdraw


def changed_prefix(change: Change) -> Prefix:
    return change.before.prefix if isinstance(change, Withdraw) else change.after.prefix


def changed_link(change: Change) -> str:
    return change.before.link if isinstance(change, Withdraw) else change.after.link


def reverse(change: Change) -> Change:
    match change:
        case Announce(after=after):
            return Withdraw(before=after)
        case Modify(before=before, after=after):
            return Modify(before=after, after=before)
        case Withdraw(before=before):
            return Announce(after=before)


class AnnouncementSet:
    """An immutable mapping (prefix, link) -> Announcement; links where a prefix is not announced are absent."""

    __slots__ = ("_rows", "_vectors")

    def __init__(self, announcements: Iterable[Announcement] = ()) -> None:
        rows = sorted(announcements, key=lambda a: (prefix_key(a.prefix), a.link))
        self._rows: Mapping[tuple[Prefix, str], Announcement] = {(a.prefix, a.link): a for a in rows}
        self._vectors: dict[Prefix, dict[str, int]] = {}
        for (prefix, link), each in self._rows.items():
            self._vectors.setdefault(prefix, {})[link] = each.prepend

    def __iter__(self) -> Iterator[Announcement]:
        return iter(self._rows.values())

    def __len__(self) -> int:
        return len(self._rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AnnouncementSet) and self._rows == other._rows

    def __hash__(self) -> int:
        return hash(tuple(self._rows.values()))

    def __repr__(self) -> str:
        return f"AnnouncementSet({list(self)})"

    def get(self, prefix: Prefix, link: str) -> Announcement | None:
        return self._rows.get((prefix, link))

    def prefixes(self) -> tuple[Prefix, ...]:
        return tuple(self._vectors)

    def vector(self, prefix: Prefix) -> dict[str, int]:
        """link -> prepend for one prefix."""
        return dict(self._vectors.get(prefix, {}))

    def with_vector(self, prefix: Prefix, vector: Mapping[str, int]) -> AnnouncementSet:
        return self.with_vectors({prefix: vector})

    def with_vectors(self, vectors: Mapping[Prefix, Mapping[str, int]]) -> AnnouncementSet:
        """With these in place of what is announced of their prefixes."""
        kept = [a for a in self if a.prefix not in vectors]
        changed = (
            Announcement(prefix=prefix, link=link, prepend=n)
            for prefix, vector in vectors.items()
            for link, n in vector.items()
        )
        return AnnouncementSet([*kept, *changed])

    def apply(self, changes: Iterable[Change]) -> AnnouncementSet:
        """The set after `changes`. Raises ValueError when a change's `before` is not what the set holds."""
        rows = dict(self._rows)
        for change in changes:
            key = (changed_prefix(change), changed_link(change))
            before = None if isinstance(change, Announce) else change.before
            if rows.get(key) != before:
                raise ValueError(f"{key[0]} on {key[1]} is {rows.get(key)}, the change starts from {before}")
            if isinstance(change, Withdraw):
                del rows[key]
            else:
                rows[key] = change.after
        return AnnouncementSet(rows.values())


def difference(before: AnnouncementSet, after: AnnouncementSet) -> tuple[Change, ...]:
    """The changes from one set to the other; withdraws last, so that a prefix is never briefly gone."""
    changes: list[Change] = []
    for new in after:
        old = before.get(new.prefix, new.link)
        if old is None:
            changes.append(Announce(after=new))
        elif old != new:
            changes.append(Modify(before=old, after=new))
    changes += [Withdraw(before=old) for old in before if after.get(old.prefix, old.link) is None]
    return tuple(changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What the border router is told to do towards one link; `prepend` None is "do not announce"."""

    link: str
    prepend: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """What teagent adds for one prefix: the whole vector, one signal for each link that carries the prefix."""

    prefix: Prefix
    signals: tuple[Signal, ...]

    @classmethod
    def of(cls, prefix: Prefix, vector: Mapping[str, int]) -> Override:
        return cls(prefix=prefix, signals=tuple(Signal(link=link, prepend=vector[link]) for link in sorted(vector)))

    def vector(self) -> dict[str, int]:
        return {s.link: s.prepend for s in self.signals if s.prepend is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOverride:
    """An override as the relay holds it."""

    override: Override
    owner: str
    deadline: datetime | None
    acknowledged: bool


SIGNAL_PREPEND = 1
SIGNAL_WITHHOLD = 2


def signal_community(asn: int, link_id: int, signal: Signal) -> LargeCommunity:
    """RFC 8195 style: ASN:1:LINK_ID*10+count prepends, ASN:2:LINK_ID does not announce."""
    if signal.prepend is None:
        return LargeCommunity(asn, SIGNAL_WITHHOLD, link_id)
    return LargeCommunity(asn, SIGNAL_PREPEND, link_id * 10 + signal.prepend)
