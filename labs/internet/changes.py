"""Changes for a lab to make: announcement vectors drawn by chance, and back home again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from random import Random

from labs.internet.world import Internet, OwnPrefix

NOTICEABLE = 2

# by link; None where the prefix is not announced
Vector = Mapping[str, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabChange:
    """`before` and `after` are the whole vectors; `home`: whether it goes back to what the edge does by itself."""

    prefix: str
    before: Vector
    after: Vector
    home: bool

    def wishes(self) -> tuple[str, ...]:
        """As `teagent simulate` takes them."""
        if self.home:
            return (f"home {self.prefix}",)
        return tuple(f"prepend {self.prefix} {link} {self.after[link]}" for link in self._changed())

    def words(self) -> str:
        moves = ", ".join(f"{link} {self.before[link]}->{self.after[link]}" for link in self._changed())
        return f"{self.prefix}{' home' if self.home else ''}: {moves}"

    def _changed(self) -> list[str]:
        return [link for link, prepends in self.after.items() if prepends != self.before[link]]


def draw_changes(internet: Internet, *, count: int, max_prepend: int, seed: int) -> Iterator[LabChange]:
    """Never the same prefix twice in a row, and one that was changed goes home before it is changed again."""
    chance = Random(seed)
    now: dict[str, Vector] = {own.prefix: dict(own.home) for own in internet.prefixes}
    last: str | None = None
    for _ in range(count):
        own = chance.choice([own for own in internet.prefixes if own.prefix != last])
        home = dict(own.home)
        before = now[own.prefix]
        after = chance.choice(_vectors(own, max_prepend)) if before == home else home
        yield LabChange(prefix=own.prefix, before=before, after=after, home=after == home)
        now[own.prefix] = after
        last = own.prefix


def _vectors(own: OwnPrefix, max_prepend: int) -> list[Vector]:
    """Those by which some link becomes two longer against another, for one alone moves few. The least prepend is 0."""
    home = {link: prepends for link, prepends in own.home.items() if prepends is not None}
    found: list[Vector] = []
    for counts in product(range(max_prepend + 1), repeat=len(home)):
        longer = [count - prepends for count, prepends in zip(counts, home.values(), strict=True)]
        if min(counts) == 0 and max(longer) - min(longer) >= NOTICEABLE:
            found.append({**own.home, **dict(zip(home, counts, strict=True))})
    return found
