"""The control protocol: one JSON document a line over a Unix stream socket.

Request  {"version": 1, "id": 1, "command": "proposal.approve", "arguments": {"id": "p-7f3c"}}
Reply    {"version": 1, "id": 1, "ok": true, "result": {...}}, with "more": true while a stream goes on
Refusal  {"version": 1, "id": 1, "ok": false, "error": {"kind", "exit_code", "message", "hint", "fields"}}

Both ends use this module, so neither can drift. Decoders raise WireError and nothing else, whatever the bytes.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from teagent.errors import BadVersion, LimitExceeded, NotFound, TeagentError, WireError
from teagent.model.bgp import ASN_MAX

VERSION = 1
MAX_REQUEST_BYTES = 64 * 1024
MAX_REPLY_BYTES = 64 * 1024 * 1024
MAX_TEXT = 1000
MAX_TEXTS = 100
MAX_COUNT = 1_000_000


class Kind(Enum):
    TEXT = "text"
    TEXTS = "a list of texts"
    COUNT = "a whole number"
    ASN = "an AS number"
    SECONDS = "a number of seconds"
    FLAG = "true or false"


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a command; without a default it has to be there. None as default: it may be left out."""

    kind: Kind
    required: bool = False
    default: object = None


ID = Argument(Kind.TEXT, required=True)
TEXT = Argument(Kind.TEXT)
REASON = Argument(Kind.TEXT, default="")

COMMANDS: Mapping[str, Mapping[str, Argument]] = {
    "status": {},
    "check": {},
    "doctor": {},
    "link.list": {"since_seconds": Argument(Kind.SECONDS)},
    "link.show": {"name": ID, "since_seconds": Argument(Kind.SECONDS, default=86400)},
    "prefix.list": {},
    "prefix.show": {"prefix": ID},
    "router.list": {},
    "exporter.list": {},
    "matrix.show": {
        "link": TEXT,
        "prefix": TEXT,
        "source_as": Argument(Kind.ASN),
        "window_seconds": Argument(Kind.SECONDS),
        "since_seconds": Argument(Kind.SECONDS),
        "top": Argument(Kind.COUNT, default=20),
    },
    "policy.list": {},
    "policy.explain": {"policy": ID},
    "plan.compute": {"policy": TEXT, "propose": Argument(Kind.FLAG, default=False)},
    "simulate.compute": {"changes": Argument(Kind.TEXTS, required=True), "propose": TEXT},
    "snapshot.take": {},
    "scorecard.list": {"since_seconds": Argument(Kind.SECONDS, default=30 * 86400)},
    "experiment.plan": {
        "propose": Argument(Kind.FLAG, default=False),
        "prefix": TEXT,
        "first": TEXT,
        "second": TEXT,
    },
    "ingress.show": {"asn": Argument(Kind.ASN), "prefix": TEXT, "top": Argument(Kind.COUNT, default=20)},
    "proposal.list": {"all": Argument(Kind.FLAG, default=False)},
    "proposal.show": {"id": ID},
    "proposal.approve": {"id": ID, "digest": TEXT},
    "proposal.reject": {"id": ID, "reason": REASON},
    "proposal.confirm": {"id": ID},
    "proposal.revert": {"id": ID, "reason": REASON},
    "proposal.resolve": {"id": ID, "reason": ID},
    "freeze": {"reason": REASON},
    "thaw": {},
    "log.list": {"limit": Argument(Kind.COUNT, default=50), "proposal": TEXT},
    "log.follow": {"proposal": TEXT},
    "log.export": {},
    "explain.show": {"prefix": ID},
    "advisor.status": {},
    "ask": {"question": ID},
    "config.reload": {},
}
"""Every command with its arguments; what the client sends and what the server lets through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    id: int
    command: str
    arguments: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteError:
    """An error as the other end states it."""

    kind: str
    exit_code: int
    message: str
    hint: str | None
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Exactly one of `result` and `error` says something; `more` is true while a stream goes on."""

    id: int | None
    result: object
    error: RemoteError | None
    more: bool


def _line(document: Mapping[str, object]) -> bytes:
    # ASCII with escapes: a lone surrogate in a device's name can neither break the encoder nor the line.
    return json.dumps(document, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"


def encode_request(request: Request) -> bytes:
    """Raises LimitExceeded when the line would be longer than the server reads."""
    line = _line(
        {"version": VERSION, "id": request.id, "command": request.command, "arguments": dict(request.arguments)}
    )
    if len(line) > MAX_REQUEST_BYTES:
        raise LimitExceeded(f"request is {len(line)} octets long, limit {MAX_REQUEST_BYTES}")
    return line


def encode_result(request_id: int, result: object, *, more: bool = False) -> bytes:
    """Raises ValueError or TypeError for a result that is not JSON: a programming error of the handler's."""
    document: dict[str, object] = {"version": VERSION, "id": request_id, "ok": True, "result": result}
    if more:
        document["more"] = True
    return _line(document)


def error_document(error: TeagentError) -> dict[str, object]:
    """The facts of an error, as `--json` prints them."""
    return {
        "kind": error.kind,
        "exit_code": error.exit_code,
        "message": error.message,
        "hint": error.hint,
        "fields": dict(error.fields),
    }


def encode_error(request_id: int | None, error: TeagentError) -> bytes:
    document = {"version": VERSION, "id": request_id, "ok": False, "error": error_document(error)}
    try:
        return _line(document)
    except (TypeError, ValueError):
        # A field that is no JSON must not hide the error that carries it.
        document["error"] = {**error_document(error), "fields": {}}
        return _line(document)


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _load(line: bytes) -> dict[str, object]:
    try:
        document = json.loads(line.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise WireError("line is not a JSON document") from error
    if not isinstance(document, dict):
        raise WireError("line is not a JSON object")
    version = document.get("version")
    if version != VERSION or isinstance(version, bool):
        raise BadVersion(
            f"control protocol is version {json.dumps(version)[:20]}, this teagent speaks {VERSION}", supported=VERSION
        )
    return document


def decode_request(line: bytes) -> Request:
    """Raises BadVersion or WireError."""
    document = _load(line)
    request_id, command, arguments = document.get("id"), document.get("command"), document.get("arguments", {})
    if not isinstance(request_id, int) or isinstance(request_id, bool):
        raise WireError("request has no id, which is a whole number")
    if not isinstance(command, str):
        raise WireError("request has no command")
    if not isinstance(arguments, dict):
        raise WireError("arguments of a request are an object")
    return Request(id=request_id, command=command, arguments=arguments)


def decode_reply(line: bytes) -> Reply:
    """Raises BadVersion or WireError."""
    document = _load(line)
    request_id, ok = document.get("id"), document.get("ok")
    if not (request_id is None or isinstance(request_id, int)) or not isinstance(ok, bool):
        raise WireError("reply has no id or does not say whether it went well")
    more = document.get("more") is True
    if ok:
        return Reply(id=request_id, result=document.get("result"), error=None, more=more)
    error = document.get("error")
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        raise WireError("reply refuses without saying why")
    exit_code, hint, fields = error.get("exit_code"), error.get("hint"), error.get("fields")
    return Reply(
        id=request_id,
        result=None,
        more=more,
        error=RemoteError(
            kind=str(error.get("kind", "TeagentError")),
            # 0 would turn a refusal into a success.
            exit_code=exit_code if isinstance(exit_code, int) and 0 < exit_code < 126 else 1,
            message=error["message"],
            hint=hint if isinstance(hint, str) else None,
            fields=fields if isinstance(fields, dict) else {},
        ),
    )


def check_arguments(command: str, arguments: Mapping[str, object]) -> dict[str, object]:
    """The arguments with defaults filled in. Raises NotFound for an unknown command, WireError for the rest."""
    known = COMMANDS.get(command)
    if known is None:
        raise NotFound(
            "command", command[:60], hint="the daemon may be older than this command line: systemctl restart teagent"
        )
    for name in arguments:
        if name not in known:
            listed = f"known are {', '.join(known)}" if known else "it takes none"
            raise WireError(f"{command} has no argument {name[:60]}, {listed}", command=command)
    return {name: _value(command, name, argument, arguments) for name, argument in known.items()}


def _value(command: str, name: str, argument: Argument, arguments: Mapping[str, object]) -> object:
    value = arguments.get(name)
    if value is None:
        if argument.required:
            raise WireError(f"{command} needs the argument {name}", command=command, argument=name)
        return argument.default
    if not _fits(argument.kind, value):
        shown = json.dumps(value)[:60]
        raise WireError(
            f"argument {name} of {command} is {shown}, not {argument.kind.value}", command=command, argument=name
        )
    return value


def _fits(kind: Kind, value: object) -> bool:
    if kind is Kind.FLAG:
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if kind is Kind.TEXTS:
        return isinstance(value, list) and len(value) <= MAX_TEXTS and all(_fits(Kind.TEXT, each) for each in value)
    if kind is Kind.TEXT:
        # Control characters would reach logs and terminals.
        return (
            isinstance(value, str)
            and len(value) <= MAX_TEXT
            and not any(unicodedata.category(c) in {"Cc", "Cs"} for c in value)
        )
    if kind is Kind.COUNT:
        return isinstance(value, int) and 1 <= value <= MAX_COUNT
    if kind is Kind.ASN:
        return isinstance(value, int) and 1 <= value <= ASN_MAX
    return isinstance(value, int | float) and 0 < value <= 10 * 366 * 86400
