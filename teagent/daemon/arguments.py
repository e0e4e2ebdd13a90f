"""Arguments of a request on the control socket, which anybody may have written. All raise Refused."""

from __future__ import annotations

from collections.abc import Mapping

from teagent.errors import NotFound, Refused
from teagent.model.bgp import Prefix, parse_prefix
from teagent.model.network import Network

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


def own_prefix(network: Network, text: object) -> Prefix:
    """Of ours; an address, or a more specific of ours, means the longest of our prefixes that covers it. None is the
    first that is engineered, else the first. Raises NotFound as well.
    """
    if text is None:
        return next((own.prefix for own in network.prefixes if own.engineer), network.prefixes[0].prefix)
    said = str(text)
    try:
        prefix = parse_prefix(said if "/" in said else f"{said}/{128 if ':' in said else 32}")
    except ValueError as error:
        wrong = (
            str(error) if "/" in said else f"'{said}' is neither an address nor a prefix, for example 198.51.100.0/24"
        )
        raise Refused(wrong) from error
    covering = [
        own.prefix
        for own in network.prefixes
        if own.prefix.version == prefix.version and prefix.subnet_of(own.prefix)  # type: ignore[arg-type]
    ]
    if not covering:
        raise NotFound("prefix of ours", said, known=[str(own.prefix) for own in network.prefixes])
    return max(covering, key=lambda own: own.prefixlen)
