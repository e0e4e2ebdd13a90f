"""Which interface of a router is meant, however its indexes move."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

from teagent.errors import SnmpNoSuchObject
from teagent.model.link import Interface

_BY_INDEX = re.compile(r"^ifIndex:(\d+)$")
_NEAR = 5


def find_interface(selector: str, interfaces: Sequence[Interface]) -> Interface:
    """The interface whose ifName, else ifDescr, else ifAlias is exactly the selector, else `ifIndex:N`.

    Where several share it (duplicate names are real), the only one that is up is meant. Raises SnmpNoSuchObject,
    with the near matches, when there is none, and with the indexes to choose from when several remain.
    """
    for attribute in ("if_name", "if_descr", "if_alias"):
        matches = [row for row in interfaces if getattr(row, attribute) == selector and selector]
        if matches:
            return _one(selector, attribute, matches)
    wanted = _BY_INDEX.match(selector)
    if wanted is not None:
        for row in interfaces:
            if row.if_index == int(wanted[1]):
                return row
    near = _near(selector, interfaces)
    told = f", near matches are {', '.join(near)}" if near else f" among {len(interfaces)}"
    raise SnmpNoSuchObject(
        f"there is no interface {selector}{told}",
        hint="teagent router probe ADDRESS lists what there is; ifName, ifDescr, ifAlias or ifIndex:N will do",
        interface=selector,
        near=near,
    )


def _one(selector: str, attribute: str, matches: Sequence[Interface]) -> Interface:
    if len(matches) == 1:
        return matches[0]
    up = [row for row in matches if row.if_oper_status == "up"]
    if len(up) == 1:
        return up[0]
    indexes = sorted(row.if_index for row in matches)
    field = {"if_name": "ifName", "if_descr": "ifDescr", "if_alias": "ifAlias"}[attribute]
    state = "none of them is up" if not up else f"{len(up)} of them are up"
    shown = ", ".join(str(index) for index in indexes[:_NEAR]) + (", ..." if len(indexes) > _NEAR else "")
    raise SnmpNoSuchObject(
        f"{len(matches)} interfaces have the {field} {selector} and {state}, their ifIndex are {shown}",
        hint=f"name the one that is meant by another of its names, or as ifIndex:{indexes[0]}",
        interface=selector,
        if_indexes=indexes,
    )


def _near(selector: str, interfaces: Sequence[Interface]) -> list[str]:
    """Other spellings first, then names that look alike."""
    names = list(
        dict.fromkeys(name for row in interfaces for name in (row.if_name, row.if_descr, row.if_alias) if name)
    )
    folded = selector.casefold()
    same = [name for name in names if name.casefold() == folded]
    close = get_close_matches(selector, names, n=_NEAR, cutoff=0.6)
    return list(dict.fromkeys(same + close))[:_NEAR]
