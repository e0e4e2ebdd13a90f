"""Which prepend vectors are worth a dry run.

For one prefix only differences between its links count, so vectors are normalised: the least prepend is 0. On up to
`FULL_GRID` vectors (three links at 5 prepends, four at 3) all are tried. Beyond that only the useful ones are: a
triggered link longer by up to the maximum, and with it one other link, or all others, shorter or longer. That grows
with links times maximum instead of maximum to the power of links. From the best of these the search goes on to their
`neighbors`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import permutations, product

from teagent.model.announcement import PREPEND_HARD_MAX
from teagent.model.network import OwnPrefix
from teagent.model.policy import Policy

FULL_GRID = 256
ANY_NUMBER = 2**31

Vector = tuple[tuple[str, int], ...]


def prepend_limit(policy: Policy, own: OwnPrefix) -> int:
    """The most that this policy may prepend this prefix on any link."""
    of_prefix = PREPEND_HARD_MAX if own.max_prepend is None else own.max_prepend
    return min(policy.max_prepend(), of_prefix, PREPEND_HARD_MAX)


def vectors(
    live: Mapping[str, int], triggered: Collection[str], limit: int, most: int = ANY_NUMBER
) -> tuple[Vector, ...]:
    """The normalised vectors up to `limit`, of up to `most` changes, that make some triggered link longer against
    another link, which may be triggered too: a small one that is nearly full is relieved by a large one that is not
    quite.

    `triggered` are those that the prefix has traffic on. The live vector and its like are not among them. In a fixed
    order: fewest prepends first, then by link name.
    """
    return _vectors(tuple(sorted(live.items())), tuple(sorted(triggered)), limit, most)


@lru_cache(maxsize=1024)
def _vectors(ordered: Vector, triggered: tuple[str, ...], limit: int, most: int) -> tuple[Vector, ...]:
    """Many prefixes are announced alike."""
    live = dict(ordered)
    links = sorted(live)
    hot = [name for name in links if name in triggered]
    cool = [name for name in links if name not in triggered]
    if not hot or len(links) < 2 or limit < 0:
        return ()
    raw = _grid(links, limit) if is_full(len(links), limit) else _useful(live, hot, cool, limit)
    found = set()
    for vector in raw:
        least = min(vector.values())
        after = {name: prepend - least for name, prepend in vector.items()}
        if max(after.values()) <= limit and _relieves(live, after, hot):
            found.add(tuple(sorted(after.items())))
    few = [vector for vector in found if changes(live, vector) <= most]
    return tuple(sorted(few, key=lambda v: (sum(n for _, n in v), v)))


def changes(live: Mapping[str, int], vector: Vector) -> int:
    """How many announcements are changed for it."""
    return sum(live.get(link) != prepend for link, prepend in vector)


def is_full(links: int, limit: int) -> bool:
    """Are all vectors tried?"""
    return int((limit + 1) ** links) <= FULL_GRID


def neighbors(vector: Vector, live: Mapping[str, int], triggered: Collection[str], limit: int) -> set[Vector]:
    """The vectors, as those of `vectors`, that have one prepend more or one less on one link."""
    moved = (dict(vector) | {name: prepend + by} for name, prepend in vector for by in (-1, 1))
    return _proper(moved, live, triggered, limit) - {vector}


def swapped(vector: Vector, live: Mapping[str, int], triggered: Collection[str], limit: int) -> set[Vector]:
    """As `neighbors`, with one prepend less on one link and one more on another."""
    moved = (
        dict(vector) | {less: first - 1, more: second + 1}
        for (less, first), (more, second) in permutations(vector, 2)
        if first > 0
    )
    return _proper(moved, live, triggered, limit) - {vector}


def _proper(
    raw: Iterable[Mapping[str, int]], live: Mapping[str, int], triggered: Collection[str], limit: int
) -> set[Vector]:
    """Normalised, those within the limit that relieve."""
    hot = [name for name in live if name in triggered]
    found = set()
    for prepends in raw:
        least = min(prepends.values())
        after = {name: n - least for name, n in prepends.items()}
        if max(after.values()) <= limit and _relieves(live, after, hot):
            found.add(tuple(sorted(after.items())))
    return found


def _relieves(live: Mapping[str, int], after: Mapping[str, int], hot: list[str]) -> bool:
    return any(after[h] - after[other] > live[h] - live[other] for h in hot for other in live)


def _grid(links: list[str], limit: int) -> Iterator[dict[str, int]]:
    for counts in product(range(limit + 1), repeat=len(links)):
        yield dict(zip(links, counts, strict=True))


def _useful(live: Mapping[str, int], hot: list[str], cool: list[str], limit: int) -> Iterator[dict[str, int]]:
    # What was announced beyond the limit, by hand or under another policy, has to come down to it first.
    live = {name: min(prepend, limit) for name, prepend in live.items()}
    groups = [(), *((name,) for name in cool), tuple(cool)]
    for raised, by in product(dict.fromkeys([tuple(hot), *((name,) for name in hot)]), range(limit + 1)):
        base = live | {name: live[name] + by for name in raised}
        for group in groups:
            for less in range(-limit, limit + 1):
                yield base | {name: live[name] + less for name in group}
