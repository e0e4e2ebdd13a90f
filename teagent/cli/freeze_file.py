"""The relay's freeze file, from the command line: the kill switch for when the daemon is dead."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from teagent.errors import DaemonUnreachable, Refused
from teagent.model.units import format_time

NAME = "the freeze file"
"""Who froze, where the daemon says that it was the file."""


def put(path: Path, error: DaemonUnreachable, *, reason: str) -> dict[str, Any]:
    """`error` says why the daemon could not be asked. Raises Refused where the file cannot be made."""
    try:
        # Only made, never followed or emptied: what is there already freezes as well.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))
    except FileExistsError:
        pass
    except OSError as failed:
        raise Refused(
            f"{error.message}, and {path} cannot be made: {(failed.strerror or str(failed)).lower()}",
            hint=f"as root: touch {path}",
        ) from failed
    since = datetime.fromtimestamp(path.lstat().st_mtime, UTC)
    return {"frozen": {"since": format_time(since), "by": f"{NAME} {path}", "reason": reason}}


def remove(path: Path) -> bool:
    """True when it was there. Raises Refused when it cannot be removed."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as failed:
        if not os.path.lexists(path):
            return False
        raise Refused(
            f"{path} freezes the relay and cannot be removed: {(failed.strerror or str(failed)).lower()}",
            hint=f"as root: rm {path}",
        ) from failed
    return True
