"""What a bundle (IEEE 802.1AX) carries while members of it are missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from teagent.model.link import BundleMember, Interface, Link
from teagent.model.units import format_bps

SHRUNK_BELOW = 0.99
"""Of its own earlier speed: figures are rounded to whole megabits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleMemory:
    """What an interface once had: its greatest speed, and all members that were ever listed, by ifIndex."""

    widest_bps: float = 0.0
    members: Mapping[int, BundleMember]

    @classmethod
    def of(cls, interface: Interface, before: BundleMemory | None = None) -> BundleMemory:
        """`before` is of the same interface."""
        listed = {member.if_index: member for member in interface.members}
        return cls(
            widest_bps=max(0.0 if before is None else before.widest_bps, interface.if_high_speed_bps or 0.0),
            members=listed if before is None else {**before.members, **listed},
        )


def members(interface: Interface, memory: BundleMemory) -> tuple[BundleMember, ...]:
    """Those that are listed, and those that once were and are `gone`; none where the agent lists none at all."""
    if not interface.members:
        return ()
    listed = {member.if_index for member in interface.members}
    gone = (replace(each, state="gone") for index, each in memory.members.items() if index not in listed)
    return (*interface.members, *gone)


def left_bps(interface: Interface, memory: BundleMemory) -> float | None:
    """What the interface carries now; None where nobody tells. Some agents leave the speed of an aggregate as it was
    when a member is lost, so where one is not up the others are added up.
    """
    speed = interface.if_high_speed_bps
    each = members(interface, memory)
    speeds = [member.if_high_speed_bps for member in each if member.up]
    told = [one for one in speeds if one is not None]
    if all(member.up for member in each) or len(told) < len(speeds):
        return speed
    return min(sum(told), sum(told) if speed is None else speed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrunk:
    """A link that carries less than is configured."""

    link: str
    left_bps: float
    reason: str


def shrunk(link: Link, interface: Interface, memory: BundleMemory) -> Shrunk | None:
    """That the link carries less than is configured since its bundle lost a member: by the members where they
    are told, else since its interface has become slower than it was. A speed that was always less is not one of these:
    of virtual interfaces it is often made up.
    """
    left = left_bps(interface, memory)
    if left is None:
        return None
    each = members(interface, memory)
    missing = [member for member in each if not member.up]
    if missing and left < link.capacity_bps * SHRUNK_BELOW:
        named = ", ".join(f"{member.if_name} {member.state}" for member in missing)
        reason = (
            f"{link.name} has lost capacity: {len(missing)} of {len(each)} members of its bundle not up ({named}), "
            f"{format_bps(left)} are left, configured are {format_bps(link.capacity_bps)}"
        )
    elif left < min(link.capacity_bps, memory.widest_bps) * SHRUNK_BELOW:
        reason = (
            f"{link.name} has lost capacity: its interface has {format_bps(left)}, configured are "
            f"{format_bps(link.capacity_bps)}; a member of its bundle may be down"
        )
    else:
        return None
    return Shrunk(link=link.name, left_bps=left, reason=reason)
