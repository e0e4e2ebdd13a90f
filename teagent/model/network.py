"""The network as the operator described it: what decisions rest on besides measurements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from teagent.model.announcement import Announcement, AnnouncementSet
from teagent.model.bgp import Asn, Prefix
from teagent.model.link import Link


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPrefix:
    """A prefix that we originate; only with `engineer` is it ever changed.

    `home` maps the links that announce it by themselves to their prepends.
    """

    prefix: Prefix
    home: Mapping[str, int]
    tags: frozenset[str] = frozenset()
    engineer: bool = False
    max_prepend: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    asn: Asn
    links: Mapping[str, Link]
    prefixes: tuple[OwnPrefix, ...] = field(default=())
    _own: Mapping[Prefix, OwnPrefix] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # The first of several, should there be any: a network of thousands is asked for one prefix very often.
        object.__setattr__(self, "_own", {own.prefix: own for own in reversed(self.prefixes)})

    def home(self) -> AnnouncementSet:
        return AnnouncementSet(
            Announcement(prefix=own.prefix, link=link, prepend=prepend)
            for own in self.prefixes
            for link, prepend in own.home.items()
        )

    def own(self, prefix: Prefix) -> OwnPrefix | None:
        return self._own.get(prefix)
