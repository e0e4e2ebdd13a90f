"""Whose file it is: what decides over the routers is taken only from where nobody but its owner can put it.

The daemon proposes, the operator installs. A list that the daemon's user could write, or put another one in the place
of, would let a daemon that was taken over widen what it may do.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

ROOT = 0
WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH  # with a POSIX ACL the group's bits are its mask: that counts as well


def owner_named(name: str) -> int:
    """The uid of a user, or of a number. Raises LookupError."""
    return int(name) if name.isdecimal() else pwd.getpwnam(name).pw_uid


def why_untrusted(fd: int, path: Path, owners: frozenset[int]) -> str | None:
    """None when only `owners` (uids) can have written the open file `fd` or decide which file `path` names."""
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        return "it is not a regular file"
    if found.st_uid not in owners:
        return f"it belongs to {_name(found.st_uid)}, not to {_names(owners)}"
    if found.st_mode & WRITABLE_BY_OTHERS:
        return f"others than its owner may write it (mode {stat.S_IMODE(found.st_mode):04o})"
    return why_place_untrusted(path, owners)


def why_place_untrusted(path: Path, owners: frozenset[int]) -> str | None:
    """None when only `owners` can put a file in this place, or another one into the place of what is there."""
    for directory in _directories(path):
        held = directory.stat()
        if held.st_uid not in owners:
            return f"{directory} belongs to {_name(held.st_uid)}, not to {_names(owners)}"
        if held.st_mode & WRITABLE_BY_OTHERS and not held.st_mode & stat.S_ISVTX:
            return f"others than its owner may write into {directory} (mode {stat.S_IMODE(held.st_mode):04o})"
    return None


def _directories(path: Path) -> Iterator[Path]:
    """All that the way to the file leads through, by its name and by where symbolic links lead."""
    seen: set[Path] = set()
    for way in (path.absolute(), path.resolve()):
        for directory in way.parents:
            if directory not in seen:
                seen.add(directory)
                yield directory


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _names(uids: frozenset[int]) -> str:
    return " or ".join(_name(uid) for uid in sorted(uids))
