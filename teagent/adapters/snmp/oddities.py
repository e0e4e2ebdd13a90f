"""What an operator should know of an agent before trusting its figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

from teagent.adapters.snmp.reading import MAX_HIGH_SPEED, interfaces, sample
from teagent.adapters.snmp.table import COUNTERS_64, NAMES, Column, Oddity, Table
from teagent.adapters.snmp.text import is_clean
from teagent.model.link import Interface

MAX_IF_INDEX = 2**31 - 1  # InterfaceIndex (RFC 2863)
_SHOWN = 3

# For each kind about interfaces: what is said of one, and of `{count}` with their names in `{names}`.
_WORDS = {
    "counters_32_bit": "only 32-bit octet counters",
    "no_counters": "no octet counters",
    "half_counters": "64-bit counters in one direction only",
    "no_speed": "up, without a speed",
    "high_speed_zero": "up with ifHighSpeed 0, the speed is ifSpeed's",
    "speed_implausible": "an ifHighSpeed beyond all ports, it is not used",
    "no_discontinuity_time": "no ifCounterDiscontinuityTime, a reset shows only when a counter goes back",
    "no_name": "no ifName",
    "duplicate_name": "the same ifName as another",
    "descr_unlike_name": "an ifDescr unlike its ifName",
    "unclean_text": "a name or description with characters that are not shown",
    "index_out_of_range": "an ifIndex that is none",
}


def find(table: Table, *, only: Collection[int]) -> tuple[Oddity, ...]:
    """About the agent first, then about the interfaces in `only`, in the order of ifIndex."""
    rows = interfaces(table)
    found = list(table.notes.values())
    if not rows:
        found.append(Oddity(kind="no_interfaces", if_index=None, message="the agent shows no interfaces"))
    if table.last is not None and table.last.ticks is None and not any(o.kind == "no_uptime" for o in found):
        message = "the agent has no sysUpTime: intervals are measured by our clock, a restart may go unseen"
        found.append(Oddity(kind="no_uptime", if_index=None, message=message))
    if table.truncated_at is not None:
        message = f"PDUs are truncated at {table.truncated_at} variables"
        found.append(Oddity(kind="truncated", if_index=None, message=message))
    chosen = frozenset(only)
    names = Counter(row.if_name for row in rows if row.if_name)
    for row in rows:
        if row.if_index not in chosen:
            continue
        for kind in _of_interface(table, row, names):
            message = f"{label(row)} has {_WORDS[kind]}" if kind not in _STATES else f"{label(row)} is {_WORDS[kind]}"
            found.append(Oddity(kind=kind, if_index=row.if_index, message=message))
    return tuple(found)


_STATES = {"no_speed", "high_speed_zero"}


def _of_interface(table: Table, row: Interface, names: Counter[str]) -> Iterator[str]:
    index = row.if_index
    counters = sample(table, index)
    whole = [table.number(column, index) is not None for column in COUNTERS_64]
    if any(whole) and not all(whole):
        yield "half_counters"
    if counters is None:
        yield "no_counters"
    elif counters.bits == 32:
        yield "counters_32_bit"
    high = table.number(Column.IF_HIGH_SPEED, index)
    if row.if_oper_status == "up":
        if row.if_high_speed_bps is None:
            yield "no_speed"
        elif high == 0:
            yield "high_speed_zero"
    if high is not None and high > MAX_HIGH_SPEED:
        yield "speed_implausible"
    if counters is not None and counters.discontinuity is None:
        yield "no_discontinuity_time"
    if not row.if_name:
        yield "no_name"
    elif names[row.if_name] > 1:
        yield "duplicate_name"
    if row.if_name and row.if_descr and not _alike(row.if_name, row.if_descr):
        yield "descr_unlike_name"
    if not all(is_clean(table.octets(c, index)) for c in NAMES):
        yield "unclean_text"
    if not 1 <= index <= MAX_IF_INDEX:
        yield "index_out_of_range"


def _alike(name: str, descr: str) -> bool:
    """Whether the name abbreviates the description: its characters come in it in the same order (Gi0/1 does)."""
    rest = iter(descr.lower())
    return all(character in rest for character in name.lower())


def label(row: Interface) -> str:
    """What to call an interface in a sentence."""
    return row.if_name or row.if_descr or f"ifIndex:{row.if_index}"


def sentences(found: Sequence[Oddity], rows: Sequence[Interface]) -> tuple[str, ...]:
    """The same, one sentence a kind: those about interfaces are counted, with the first names."""
    agent = [oddity.message for oddity in found if oddity.if_index is None]
    labels = {row.if_index: label(row) for row in rows}
    by_kind: dict[str, list[int]] = {}
    for oddity in found:
        if oddity.if_index is not None:
            by_kind.setdefault(oddity.kind, []).append(oddity.if_index)
    return (*agent, *(_sentence(kind, [labels[i] for i in indexes]) for kind, indexes in by_kind.items()))


def _sentence(kind: str, names: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(names))
    more = f" and {len(distinct) - _SHOWN} more" if len(distinct) > _SHOWN else ""
    shown = ", ".join(distinct[:_SHOWN]) + more
    one = len(names) == 1
    verb = ("is" if one else "are") if kind in _STATES else ("has" if one else "have")
    return f"{len(names)} {'interface' if one else 'interfaces'} {verb} {_WORDS[kind]}: {shown}"
