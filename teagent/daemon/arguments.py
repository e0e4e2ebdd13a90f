"""Arguments of a request on the control socket, which anybody may have written. All raise Refused."""

from __future__ import annotations

from collections.abc import Mapping

from teagent.errors import Refused

LONGEST_SECONDS = 400 * 86400


def text_of(arguments: Mapping[str, object], key: str) -> str:
    value = arguments.get(key)
    if not isinstance(value, str) or not value:
        raise Refused(f"the request lacks {key}")
    return value


def seconds_of(value: object, key: str = "since_seconds") -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LONGEST_SECONDS:
        raise Refused(f"{key} {value} is not a number of seconds from 1 to {LONGEST_SECONDS}")
    return float(value)


def count_of(arguments: Mapping[str, object], key: str, default: int, limit: int) -> int:
    value = arguments.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= limit:
        raise Refused(f"{key} {value} is not a number from 1 to {limit}")
    return value
