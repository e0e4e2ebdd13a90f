"""What an operator asks a dry run of: `prepend 198.51.100.0/24 transit-a 2`, `home 198.51.100.0/24`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from teagent.model.announcement import PREPEND_HARD_MAX
from teagent.model.bgp import Prefix, parse_prefix

FORMS = "prepend PREFIX LINK N, or home PREFIX"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPrepend:
    """The prefix as it is now, but with so many prepends on this link."""

    prefix: Prefix
    link: str
    prepend: int

    def __str__(self) -> str:
        return f"prepend {self.prefix} {self.link} {self.prepend}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GoHome:
    """The prefix as the routers announce it by themselves."""

    prefix: Prefix

    def __str__(self) -> str:
        return f"home {self.prefix}"


Wish: TypeAlias = SetPrepend | GoHome


def parse_wish(text: str) -> Wish:
    """Raises ValueError, with the form that is expected."""
    match text.split():
        case ["home", prefix]:
            return GoHome(prefix=parse_prefix(prefix))
        case ["prepend", prefix, link, count]:
            if not (count.isascii() and count.isdecimal() and len(count) < 4 and int(count) <= PREPEND_HARD_MAX):
                raise ValueError(f"'{text}': {count} is not a number of prepends from 0 to {PREPEND_HARD_MAX}")
            return SetPrepend(prefix=parse_prefix(prefix), link=link, prepend=int(count))
        case _:
            raise ValueError(f"'{text}' is not a change: {FORMS}")
