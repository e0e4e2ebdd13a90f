"""Protocol version 1: one JSON document a line, both ways. Everything that a client sends is taken apart here.

A parsed request holds only checked values: canonical prefixes, small integers, short ASCII words. Nothing that a
client wrote is ever copied into a command. See docs/reference/relay-protocol.md.
"""

from __future__ import annotations

import ipaddress
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias, TypeGuard

from teagent.relay.refusal import Json, Refusal

VERSION = 1
LINE_MAX_BYTES = 65_536
SIGNALS_MAX = 256
LINK_ID_MAX = 99_999
PREPEND_HARD_MAX = 5
ID_MAX = 2**53 - 1

OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", re.ASCII)
PREFIX = re.compile(r"[0-9a-fA-F.:]{2,45}/[0-9]{1,3}", re.ASCII)

Prefix: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Signal:
    """What the routers do towards one link. `prepend` is 0 to 5, or None for "do not announce"."""

    link_id: int
    prepend: int | None

    def as_json(self) -> Json:
        if self.prepend is None:
            return {"link_id": self.link_id, "withhold": True}
        return {"link_id": self.link_id, "prepend": self.prepend}


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """The whole vector for one prefix; the signals are sorted by link and name each link once."""

    prefix: Prefix
    signals: tuple[Signal, ...]

    @property
    def family(self) -> str:
        return f"ipv{self.prefix.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Announce:
    override: Override
    owner: str
    deadline: float | None  # seconds since the epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawRequest:
    prefix: Prefix
    owner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirm:
    prefix: Prefix
    owner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """A request without operands: state, subscribe, freeze, thaw, reconcile, repeat."""

    do: str


Request: TypeAlias = Announce | WithdrawRequest | Confirm | Plain
PLAIN = ("state", "subscribe", "freeze", "thaw", "reconcile", "repeat")


def decode(line: bytes) -> dict[str, Any]:
    """One line to a JSON object. Raises Refusal (bad_request) whatever the bytes."""
    if len(line) > LINE_MAX_BYTES:
        bad("line_length", "the request is too long", value=len(line), limit=LINE_MAX_BYTES)
    try:
        document = json.loads(line.decode("ascii"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except UnicodeDecodeError:
        bad("ascii", "the request has a byte that is not ASCII")
    except (ValueError, RecursionError) as error:
        bad("json", f"the request is not one JSON document: {str(error)[:80]}")
    if not isinstance(document, dict):
        bad("json", "the request is not a JSON object")
    return document


def identifier(document: Mapping[str, Any]) -> int | None:
    """The id to answer with, None where it is absent or not a number."""
    found = document.get("id")
    return found if _is_int(found) and 0 <= found <= ID_MAX else None


def parse(document: Mapping[str, Any]) -> Request:
    """Checks the shape, not yet whether it is allowed. Raises Refusal (bad_request)."""
    if document.get("version") != VERSION or isinstance(document.get("version"), bool):
        bad("version", f"this relay speaks version {VERSION}", value=_shown(document.get("version")), limit=VERSION)
    if identifier(document) is None:
        bad("id", f"id is missing or not a whole number from 0 to {ID_MAX}")
    match document.get("do"):
        case "announce":
            _only(document, "prefix", "signals", "deadline", "owner")
            return Announce(
                override=Override(
                    prefix=parse_prefix(document.get("prefix")), signals=_signals(document.get("signals"))
                ),
                owner=_owner(document),
                deadline=_deadline(document.get("deadline")),
            )
        case "withdraw":
            _only(document, "prefix", "owner")
            return WithdrawRequest(prefix=parse_prefix(document.get("prefix")), owner=_owner(document))
        case "confirm":
            _only(document, "prefix", "owner")
            return Confirm(prefix=parse_prefix(document.get("prefix")), owner=_owner(document))
        case str(do) if do in PLAIN:
            _only(document)
            return Plain(do=do)
        case _:
            known = ", ".join(("announce", "withdraw", "confirm", *PLAIN))
            shown = _shown(document.get("do"))
            raise Refusal("bad_request", "do", f"unknown request, known are {known}", value=shown)


def parse_prefix(value: object) -> Prefix:
    """Raises Refusal (bad_request) for all that is not the canonical text of a prefix without host bits."""
    if not isinstance(value, str) or not PREFIX.fullmatch(value):
        bad("prefix", "prefix is not an IPv4 or IPv6 prefix", value=_shown(value))
    try:
        return ipaddress.ip_network(value, strict=True)
    except ValueError:
        bad("prefix", "prefix is not an IPv4 or IPv6 prefix without host bits", value=_shown(value))


def answer(identity: int | None, **fields: Json) -> bytes:
    return encode({"version": VERSION, "id": identity, "ok": True, **fields})


def denial(identity: int | None, refusal: Refusal) -> bytes:
    return encode({"version": VERSION, "id": identity, "ok": False, "error": refusal.as_json()})


def encode(document: Mapping[str, Json]) -> bytes:
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


def bad(rule: str, message: str, *, value: Json = None, limit: Json = None) -> NoReturn:
    raise Refusal("bad_request", rule, message, value=value, limit=limit) from None


def _signals(value: object) -> tuple[Signal, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= SIGNALS_MAX:
        bad("signals", f"signals is not a list of 1 to {SIGNALS_MAX} signals")
    signals = sorted((_signal(item) for item in value), key=lambda s: s.link_id)
    links = [s.link_id for s in signals]
    twice = sorted({link for link in links if links.count(link) > 1})
    if twice:
        raise Refusal(
            "refused", "one_signal_per_link", f"link {twice[0]} has more than one signal", value=twice[0], limit=1
        )
    return tuple(signals)


def _signal(item: object) -> Signal:
    if not isinstance(item, dict):
        bad("signals", "a signal is not an object", value=_shown(item))
    link_id = item.get("link_id")
    if not _is_int(link_id) or not 0 < link_id <= LINK_ID_MAX:
        bad("link_id", f"link_id is not a whole number from 1 to {LINK_ID_MAX}", value=_shown(link_id))
    if set(item) == {"link_id", "prepend"}:
        prepend = item["prepend"]
        if not _is_int(prepend) or not 0 <= prepend < 1000:
            bad("prepend", "prepend is not a whole number from 0", value=_shown(prepend), limit=PREPEND_HARD_MAX)
        return Signal(link_id=link_id, prepend=prepend)
    if set(item) == {"link_id", "withhold"} and item["withhold"] is True:
        return Signal(link_id=link_id, prepend=None)
    bad("signals", "a signal has link_id and either prepend or withhold true, and nothing else", value=_shown(item))


def _owner(document: Mapping[str, Any]) -> str:
    owner = document.get("owner")
    if not isinstance(owner, str) or not OWNER.fullmatch(owner):
        bad("owner", "owner is not 1 to 64 of A-Z a-z 0-9 . _ : -", value=_shown(owner))
    return owner


def _deadline(value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e11 or math.isnan(value):
        bad("deadline", "deadline is not seconds since the epoch, nor null", value=_shown(value))
    return float(value)


def _only(document: Mapping[str, Any], *known: str) -> None:
    unknown = sorted(set(document) - {"version", "id", "do", *known})
    if unknown:
        bad(
            "unknown_key",
            f"unknown key, known are {', '.join(('version', 'id', 'do', *known))}",
            value=_shown(unknown[0]),
        )


def _is_int(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _shown(value: object) -> Json:
    """A client's value as it may be repeated in an answer: short, and JSON whatever it was."""
    if value is None or isinstance(value, bool):
        return value
    text = value if isinstance(value, str) else repr(value) if isinstance(value, int | float) else json.dumps(value)
    return text.encode("ascii", "backslashreplace").decode("ascii")[:80]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key appears twice")
    return document


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
