"""The types of the schema: each joins a reader to the JSON schema of what may be written."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from teagent.config import readers as r
from teagent.config.effective import Listen
from teagent.model.announcement import PREPEND_HARD_MAX
from teagent.model.bgp import Address, Asn, Prefix

RATE_PATTERN = r"^\d+(\.\d+)?\s*[kMGT]?bps$"
DURATION_PATTERN = r"^(\d+(\.\d+)?(ms|s|m|h|d|w))+$"
SHARE_PATTERN = r"^\d+(\.\d+)?\s*%$"
REFERENCE_PATTERN = r"^(env:|file:/|credential:).+$"


@dataclass(frozen=True, eq=False)  # hashed by identity: pydantic puts metadata into sets
class Reads:
    """Metadata of an Annotated type: `read` makes the value, `written` is the JSON schema of what it is made from."""

    read: Callable[[Any], Any]
    written: dict[str, Any]

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return dict(self.written)


class Row(BaseModel):
    """Defaults are written as an operator would, and read by the same readers."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True)


def written(text: str) -> Any:
    """A default as an operator would write it; the field's own reader makes the value."""
    return text


def text(read: Callable[[Any], Any], title: str, example: str, *, pattern: str | None = None) -> Reads:
    written: dict[str, Any] = {"type": "string", "title": title, "examples": [example]}
    return Reads(read, written | ({"pattern": pattern} if pattern else {}))


def line(what: str, example: str, *, most: int = 200) -> Reads:
    return text(partial(r.read_line, what=what, example=example, most=most), "text", example)


def duration(low: float, high: float, *, example: str = "30s") -> Reads:
    read = partial(r.read_duration, low=low, high=high)
    return text(read, "duration", example, pattern=DURATION_PATTERN)


def share(low: float = 0.01, high: float = 1, *, example: str = "80%") -> Reads:
    return text(partial(r.read_share, low=low, high=high), "share", example, pattern=SHARE_PATTERN)


def whole(low: int, high: int, *, what: str, example: int | None = None) -> Reads:
    example = low if example is None else example
    written = {"type": "integer", "title": "number", "minimum": low, "maximum": high, "examples": [example]}
    return Reads(partial(r.read_whole, what=what, low=low, high=high), written)


def number(low: float, high: float, *, what: str, example: float) -> Reads:
    written = {"type": "number", "title": "number", "minimum": low, "maximum": high, "examples": [example]}
    return Reads(partial(r.read_number, what=what, low=low, high=high), written)


def one_of(*known: str, what: str, later: Collection[str] = ()) -> Reads:
    written = {"type": "string", "title": "word", "enum": list(known), "examples": [known[0]]}
    return Reads(r.choice(known, what=what, later=later), written)


def some_of(*known: str, what: str) -> Reads:
    word = {"type": "string", "enum": list(known)}
    written = {"anyOf": [word, {"type": "array", "items": word, "minItems": 1}], "title": "word or list of words"}
    return Reads(r.one_or_more(known, what=what), written | {"examples": [known[0]]})


def listen(example: str) -> Reads:
    return text(partial(r.read_listen, example=example), "address:port", example)


def name(what: str, example: str) -> Reads:
    return text(partial(r.read_name, what=what, example=example), "name", example, pattern=r.NAME.pattern)


def identifier(what: str, example: str) -> Reads:
    return text(partial(r.read_identifier, what=what, example=example), "name", example, pattern=r.IDENTIFIER.pattern)


AsNumber: TypeAlias = Annotated[
    Asn, Reads(r.read_asn, {"type": ["integer", "string"], "title": "AS number", "examples": [64500]})
]
PrefixText: TypeAlias = Annotated[Prefix, text(r.read_prefix, "prefix", "198.51.100.0/24")]
IpAddress: TypeAlias = Annotated[Address, text(r.read_address, "IP address", "192.0.2.1")]
Ipv4: TypeAlias = Annotated[IPv4Address, text(r.read_ipv4, "IPv4 address", "192.0.2.250")]
Ipv6: TypeAlias = Annotated[IPv6Address, text(r.read_ipv6, "IPv6 address", "2001:db8::1")]
Host: TypeAlias = Annotated[str, text(r.read_host, "address or host name", "192.0.2.1")]
ListenAddress: TypeAlias = Annotated[Listen, listen("127.0.0.1:9617")]
FlowAddress: TypeAlias = Annotated[Listen, listen("192.0.2.250:2055")]
Rate: TypeAlias = Annotated[float, text(r.read_rate, "rate", "10Gbps", pattern=RATE_PATTERN)]
LinkName: TypeAlias = Annotated[str, name("the name of a link", "transit-a")]
RouterName: TypeAlias = Annotated[str, name("the name of a router", "edge1")]
PolicyName: TypeAlias = Annotated[str, name("the name of a policy", "transit-balance")]
Tag: TypeAlias = Annotated[str, name("a tag", "eyeball")]
Group: TypeAlias = Annotated[str, text(r.read_group, "Unix group", "netops")]
User: TypeAlias = Annotated[str, text(r.read_user, "Unix user", "root")]
FilePath: TypeAlias = Annotated[str, text(r.read_path, "path", "/var/lib/teagent/teagent.db")]
SecretReference: TypeAlias = Annotated[
    str, text(r.read_secret, "secret reference", "env:EDGE1_COMMUNITY", pattern=REFERENCE_PATTERN)
]
Model: TypeAlias = Annotated[str, text(r.read_model, "model", "llama3.2:3b")]
Url: TypeAlias = Annotated[str, text(r.read_url, "URL", "http://127.0.0.1:11434")]
Truth: TypeAlias = Annotated[bool, Reads(r.read_truth, {"type": "boolean", "title": "true or false"})]
Price: TypeAlias = Annotated[
    float, Reads(r.read_money, {"type": "number", "title": "price", "minimum": 0, "examples": [0.2]})
]
Currency: TypeAlias = Annotated[str, text(r.read_currency, "currency", "EUR", pattern="^[A-Z]{3}$")]
PrependCount: TypeAlias = Annotated[
    int,
    Reads(
        r.read_prepend,
        {"type": "integer", "title": "prepends", "minimum": 0, "maximum": PREPEND_HARD_MAX, "examples": [2]},
    ),
]
HomeAnnouncement: TypeAlias = Annotated[
    int | str,
    Reads(
        r.read_home,
        {
            "anyOf": [{"type": "integer", "minimum": 0, "maximum": PREPEND_HARD_MAX}, {"const": r.WITHHOLD}],
            "title": "prepends or withhold",
            "examples": [1],
        },
    ),
]
