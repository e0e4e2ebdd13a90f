"""How fast: a token bucket for announcements, and a pause before this process dies too often for ExaBGP's taste."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

# ExaBGP 5 gives up, and withdraws everything, at the sixth respawn within 64 s; we stop to think before the fourth.
RESPAWN_WINDOW_SECONDS = 64.0
STARTS_IN_WINDOW = 4


class TokenBucket:
    """`burst` at once, then `per_minute` a minute; given at each call, as the operator may change them."""

    def __init__(self) -> None:
        self._tokens: float | None = None
        self._at = 0.0

    def take(self, now: float, *, per_minute: float, burst: int) -> bool:
        tokens = burst if self._tokens is None else self._tokens + (now - self._at) * per_minute / 60
        tokens = min(tokens, burst)
        self._at = now
        self._tokens = tokens - 1 if tokens >= 1 else tokens
        return tokens >= 1


def pause_seconds(starts: Sequence[float], now: float) -> float:
    """How long a process that starts `now`, after `starts` (uptimes), waits before it does anything else."""
    recent = sorted(at for at in starts if now - RESPAWN_WINDOW_SECONDS < at <= now)
    if len(recent) < STARTS_IN_WINDOW - 1:
        return 0.0
    return recent[-(STARTS_IN_WINDOW - 1)] + RESPAWN_WINDOW_SECONDS - now


def record_start(path: Path, parent: int, now: float) -> tuple[float, ...]:
    """Notes this start in a small file and returns the earlier ones under the same parent: one ExaBGP counts its own.

    Never raises: this is what runs first.
    """
    earlier: list[tuple[int, float]] = []
    try:
        found = json.loads(path.read_bytes())
        earlier = [(int(pid), float(at)) for pid, at in found if 0 <= float(at) <= now][-16:]
    except (OSError, ValueError, TypeError, RecursionError):
        pass
    temporary = path.with_name(path.name + ".new")
    try:
        temporary.write_text(json.dumps([*earlier, (parent, now)]), encoding="ascii")
        temporary.replace(path)
    except OSError:
        pass
    return tuple(at for pid, at in earlier if pid == parent)
