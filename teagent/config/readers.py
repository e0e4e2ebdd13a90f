"""The values that a configuration is made of: each reader says what is wrong with a value and shows a right one.

Every reader takes what the document holds (text, number, truth value, nothing, list, map) and raises ValueError.
"""

# ruff: noqa: TRY004  pydantic collects ValueErrors only, and a wrong type is one more thing wrong in the file

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Literal

from teagent.config.document import DecimalNumber
from teagent.config.effective import Listen
from teagent.config.secrets import check_reference
from teagent.model.announcement import PREPEND_HARD_MAX
from teagent.model.bgp import NOBODYS_ASNS, Address, Asn, Prefix, parse_asn, parse_prefix
from teagent.model.maintenance import DailyWindow
from teagent.model.units import format_duration, parse_duration_seconds, parse_rate_bps, parse_share

NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")
HOST_LABEL = re.compile(r"^(?!-)[A-Za-z0-9-]{1,63}(?<!-)$")
GROUP = re.compile(r"^[a-z_][a-z0-9_-]{0,31}$")
MODEL = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._/:-]{0,127}$")
URL = re.compile(r"^https?://(?P<host>\[[0-9A-Fa-f:]+\]|[A-Za-z0-9.-]+)(?::(?P<port>\d{1,5}))?/?$")
IDENTIFIER = re.compile(r"^[A-Za-z_][A-Za-z0-9_.]*$")
WITHHOLD: Literal["withhold"] = "withhold"


def shown(value: object) -> str:
    """A value as it stands in the file, short enough for a message."""
    match value:
        case None:
            return "an empty value"
        case bool():
            return "true" if value else "false"
        case DecimalNumber():
            return value.text
        case int() | float():
            return str(value)
        case str():
            short = value if len(value) <= 60 else value[:57] + "..."
            return f"'{short}'" if short.isprintable() else repr(short)
        case list():
            return "a list"
        case _:
            return "a map"


def nearest_first(name: str, known: Collection[str]) -> list[str]:
    """The known names, those that look like `name` before the others, which follow in alphabetical order."""
    likeness = {k: difflib.SequenceMatcher(None, k, name).ratio() for k in known}
    close = sorted((k for k in known if likeness[k] >= 0.6), key=lambda k: (-likeness[k], k))
    return [*close, *(k for k in sorted(known) if k not in close)]


def listed(name: str, known: Collection[str], *, most: int = 20) -> str:
    """` ... known are a, b, c`, nearest first."""
    names = nearest_first(name, known)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def read_text(value: object, what: str, example: str) -> str:
    """Any text on one line, not empty."""
    if isinstance(value, bool | int | float):
        raise ValueError(f"{shown(value)} is not {what}, for example {example}; if it is meant as text, quote it")
    if not isinstance(value, str) or not value or not value.isprintable() or len(value) > 500:
        raise ValueError(f"{shown(value)} is not {what}, for example {example}")
    return value


def read_quantity(
    value: object,
    *,
    parse: Callable[[str], float],
    what: str,
    example: str,
    low: tuple[float, str],
    high: tuple[float, str],
) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f"{shown(value)} has no unit, for example {example}")
    number = parse(read_text(value, what, example))
    if number < low[0]:
        raise ValueError(f"{shown(value)} is less than {low[1]}, the least that is possible here")
    if number > high[0]:
        raise ValueError(f"{shown(value)} is more than {high[1]}, the most that is possible here")
    return number


def read_rate(value: object) -> float:
    return read_quantity(
        value, parse=parse_rate_bps, what="a rate", example="10Gbps", low=(1e3, "1kbps"), high=(1e15, "1000Tbps")
    )


def read_duration(value: object, *, low: float, high: float) -> float:
    return read_quantity(
        value,
        parse=parse_duration_seconds,
        what="a duration",
        example="30s",
        low=(low, format_duration(low)),
        high=(high, format_duration(high)),
    )


def read_share(value: object, *, low: float, high: float) -> float:
    return read_quantity(
        value,
        parse=parse_share,
        what="a share",
        example="80%",
        low=(low, f"{low * 100:.0f}%"),
        high=(high, f"{high * 100:.0f}%"),
    )


def read_asn(value: object) -> Asn:
    text = value.text if isinstance(value, DecimalNumber) else value
    text = str(text) if isinstance(text, int) and not isinstance(text, bool) else text
    asn = parse_asn(read_text(text, "an AS number", "64500"))
    if asn in NOBODYS_ASNS:
        raise ValueError(f"AS{asn} is reserved and never a network's")
    return asn


def read_prefix(value: object) -> Prefix:
    prefix = parse_prefix(read_text(value, "a prefix", "198.51.100.0/24"))
    if prefix.prefixlen == 0:
        raise ValueError(f"{shown(value)} is a default route, not a prefix of ours")
    if prefix.is_multicast or prefix.is_loopback or prefix.is_link_local:
        raise ValueError(f"{shown(value)} is not announced to other networks: multicast, loopback or link-local")
    return prefix


def read_address(value: object) -> Address:
    text = read_text(value, "an IP address", "192.0.2.1")
    try:
        address = ip_address(text)
    except ValueError as error:
        raise ValueError(f"{shown(value)} is not an IP address, for example 192.0.2.1") from error
    if address.is_unspecified or address.is_multicast:
        raise ValueError(f"{shown(value)} is not the address of one machine")
    return address


def read_ipv4(value: object) -> IPv4Address:
    address = read_address(value)
    if not isinstance(address, IPv4Address):
        raise ValueError(f"{shown(value)} is not an IPv4 address, for example 192.0.2.250")
    return address


def read_ipv6(value: object) -> IPv6Address:
    address = read_address(value)
    if not isinstance(address, IPv6Address):
        raise ValueError(f"{shown(value)} is not an IPv6 address, for example 2001:db8::1")
    return address


def read_host(value: object) -> str:
    """An address or a host name; digits and dots that are no address are a mistake, not a name."""
    text = read_text(value, "an address or a host name", "192.0.2.1")
    try:
        return str(ip_address(text))
    except ValueError:
        labels = text.rstrip(".").split(".")
        if len(text) > 253 or not all(HOST_LABEL.match(x) for x in labels) or labels[-1].isdecimal():
            raise ValueError(f"{shown(value)} is not an address or a host name, for example 192.0.2.1") from None
        return text


def read_listen(value: object, *, example: str) -> Listen:
    text = read_text(value, "an address with a port", example)
    host, _, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    try:
        address = ip_address(bare)
    except ValueError:
        raise ValueError(f"{shown(value)} is not an address with a port, for example {example}") from None
    if address.version == 6 and not (host.startswith("[") and host.endswith("]")):
        raise ValueError(f"{shown(value)}: an IPv6 address with a port is written [::1]:9617")
    if not port.isdecimal() or not 0 < int(port) < 65536 or (len(port) > 1 and port[0] == "0"):
        raise ValueError(f"{shown(value)}: {port or 'nothing'} is not a port from 1 to 65535")
    return Listen(host=str(address), port=int(port))


def read_daily_window(value: object) -> DailyWindow:
    return DailyWindow.parse(read_text(value, "a time of day, from and to", "02:00-04:30"))


def read_name(value: object, *, what: str = "a name", example: str = "transit-a") -> str:
    text = read_text(value, what, example)
    if not NAME.match(text):
        raise ValueError(
            f"{shown(value)} is not {what}: letters, digits, '-', '_' and '.', at most 63, for example {example}"
        )
    return text


def read_line(value: object, *, what: str, example: str, most: int = 200) -> str:
    text = read_text(value, what, example)
    if len(text) > most:
        raise ValueError(f"{what} of {len(text)} characters is longer than {most}")
    if text != text.strip():
        raise ValueError(f"{shown(value)} has spaces around it")
    return text


def read_identifier(value: object, *, what: str, example: str) -> str:
    text = read_text(value, what, example)
    if not IDENTIFIER.match(text):
        raise ValueError(
            f"{shown(value)} is not {what}, which has letters, digits, _ and . alone, for example {example}"
        )
    return text


def read_group(value: object) -> str:
    text = read_text(value, "a group", "netops")
    if not GROUP.match(text):
        raise ValueError(f"{shown(value)} is not the name of a Unix group, for example netops")
    return text


def read_user(value: object) -> str:
    text = read_text(value, "a user", "root")
    if not GROUP.match(text):
        raise ValueError(f"{shown(value)} is not the name of a Unix user, for example root")
    return text


def read_path(value: object) -> str:
    text = read_text(value, "a path", "/var/lib/teagent/teagent.db")
    if text != text.strip():
        raise ValueError(f"{shown(value)} has spaces around it")
    if text.startswith("~"):
        raise ValueError(f"{shown(value)}: ~ is not expanded, write the whole path")
    return text


def read_secret(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a secret is not written here but referred to: env:NAME, file:/path or credential:NAME")
    return check_reference(value)


def read_whole(value: object, *, what: str, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{shown(value)} is not {what}: a whole number from {low} to {high}")
    if not low <= value <= high:
        raise ValueError(f"{value} is not {what} from {low} to {high}")
    return value


def read_number(value: object, *, what: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{shown(value)} is not {what}: a number from {low:g} to {high:g}")
    if not low <= value <= high:
        raise ValueError(f"{shown(value)} is not {what} from {low:g} to {high:g}")
    return float(value)


def read_prepend(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value > PREPEND_HARD_MAX:
        asn = ", it looks like an AS number" if value > 255 else ""
        raise ValueError(f"{value} is not a number of prepends from 0 to {PREPEND_HARD_MAX}{asn}")
    return read_whole(value, what="a number of prepends", low=0, high=PREPEND_HARD_MAX)


def read_home(value: object) -> int | str:
    if value == WITHHOLD:
        return WITHHOLD
    if isinstance(value, int) and not isinstance(value, bool):
        return read_prepend(value)
    raise ValueError(f"{shown(value)} is not a number of prepends from 0 to {PREPEND_HARD_MAX}, nor withhold")


def read_money(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{shown(value)} is not a price, for example 0.20")
    if not 0 <= value <= 1e6:
        raise ValueError(f"{shown(value)} is not a price from 0 to 1000000")
    return float(value)


def read_currency(value: object) -> str:
    text = read_text(value, "a currency", "EUR")
    if not re.fullmatch(r"[A-Z]{3}", text):
        raise ValueError(f"{shown(value)} is not a currency, for example EUR")
    return text


def read_truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{shown(value)} is neither true nor false")
    return value


def choice(known: Collection[str], *, what: str, later: Collection[str] = ()) -> Callable[[Any], str]:
    """A reader of one word out of `known`; `later` are words that are understood but not available yet."""

    def read(value: object) -> str:
        if isinstance(value, str) and value in known:
            return value
        if isinstance(value, str) and value in later:
            raise ValueError(f"{what} {value} is not available yet, known are {', '.join(sorted(known))}")
        raise ValueError(f"{shown(value)} is not a known {what}, known are {listed(str(value), known)}")

    return read


def one_or_more(known: Collection[str], *, what: str) -> Callable[[Any], list[str]]:
    """A reader of one word out of `known`, or of a list of them."""
    read = choice(known, what=what)

    def read_all(value: object) -> list[str]:
        if isinstance(value, list):
            if not value:
                raise ValueError(f"an empty list matches no {what}, known are {', '.join(sorted(known))}")
            return [read(item) for item in value]
        return [read(value)]

    return read_all


def read_version_1(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value == 1:
        return 1
    raise ValueError(f"{shown(value)} is not a version of this file that is known here, write 1")


def read_model(value: object) -> str:
    """As Ollama names models. Those that its server only passes on to somebody else are refused."""
    text = read_text(value, "a model", "llama3.2:3b")
    if not MODEL.match(text):
        raise ValueError(f"{shown(value)} is not the name of a model, for example llama3.2:3b")
    if text.lower().endswith(("-cloud", ":cloud")):
        raise ValueError(f"{shown(value)} does not run here: the server would send what it is told away")
    return text


def read_url(value: object) -> str:
    text = read_text(value, "a URL", "http://127.0.0.1:11434")
    found = URL.match(text)
    if found is None or not 0 < int(found["port"] or 80) < 65536:
        raise ValueError(f"{shown(value)} is not http:// or https:// with a host and a port, as http://127.0.0.1:11434")
    read_host(found["host"].strip("[]"))
    return text.rstrip("/")
