"""Secrets by reference, and the one place that reads the process environment.

`env:NAME` is an environment variable, `file:/path` the first line of a file, `credential:name` a file that systemd
put under $CREDENTIALS_DIRECTORY (`LoadCredential=`). A reference may be shown; what it refers to never is.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from teagent.errors import ConfigError, Problem

ENV = re.compile(r"^env:[A-Za-z_][A-Za-z0-9_]*$")
FILE = re.compile(r"^file:/[^\0]*$")
CREDENTIAL = re.compile(r"^credential:[A-Za-z0-9_][A-Za-z0-9_.@-]*$")
MAX_BYTES = 4096
MD5_PASSWORD_MAX_OCTETS = 80
"""TCP_MD5SIG_MAXKEYLEN of Linux; routers take no longer ones either."""


class Secret:
    """A reference and, once resolved, what it refers to. Prints as `***`, in tracebacks and logs as well.

    Not a dataclass, so that `dataclasses.asdict` of what holds it does not spell it out.
    """

    __slots__ = ("_value", "reference")

    def __init__(self, *, reference: str, value: str | None = None) -> None:
        self.reference = reference
        self._value = value

    @property
    def resolved(self) -> bool:
        return self._value is not None

    def reveal(self) -> str:
        """Raises ValueError where the configuration was loaded without its secrets."""
        if self._value is None:
            raise ValueError(f"the secret {self.reference} was not resolved when the configuration was loaded")
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and (self.reference, self._value) == (other.reference, other._value)

    def __hash__(self) -> int:
        return hash(self.reference)

    def __str__(self) -> str:
        return "***"

    def __repr__(self) -> str:
        return "***"


def process_environment() -> Mapping[str, str]:
    """A copy of this process's environment; everything else takes it as an argument."""
    return dict(os.environ)  # noqa: TID251  the door


def check_reference(text: str) -> str:
    """The reference itself. Raises ValueError for a literal; the message never repeats what was written."""
    if ENV.match(text) or FILE.match(text) or CREDENTIAL.match(text):
        return text
    kind = text.split(":", 1)[0]
    if kind == "env" and ":" in text:
        raise ValueError("the reference does not name an environment variable, for example env:EDGE1_COMMUNITY")
    if kind == "file" and ":" in text:
        raise ValueError("the reference is not an absolute path, for example file:/etc/teagent/edge1-community")
    if kind == "credential" and ":" in text:
        raise ValueError("the reference does not name a systemd credential, for example credential:edge1-snmp-auth")
    raise ValueError("a secret is not written here but referred to: env:NAME, file:/path or credential:NAME")


def resolve(reference: str, environment: Mapping[str, str]) -> Secret:
    """Looks the secret up. Raises ConfigError with one Problem, whose `file` is the reference."""
    place = "secret reference"  # what is not a reference may be the secret itself, and is not repeated
    try:
        place = check_reference(reference)
        return Secret(reference=reference, value=_look_up(reference, environment))
    except ValueError as error:
        raise ConfigError([Problem(file=place, line=0, column=0, key="", message=str(error))]) from error


def resolve_md5_password(reference: str, environment: Mapping[str, str], *, vendor: str) -> Secret:
    """As `resolve`, for the key of TCP MD5 signatures (RFC 2385). Raises ConfigError as well for what is none, or none
    for a router of this vendor.
    """
    secret = resolve(reference, environment)
    why = _why_no_md5_password(secret.reveal(), vendor)
    if why is not None:
        message = f"what {reference} refers to {why}"
        raise ConfigError([Problem(file=reference, line=0, column=0, key="", message=message)])
    return secret


def _why_no_md5_password(value: str, vendor: str) -> str | None:
    """A key that is another one at the router, by a space too many or an encoding, is only seen as silence; and FRR's
    configuration carries no space.
    """
    if not (value.isascii() and value.isprintable()) or " " in value:
        return "is no TCP MD5 key: it has a space, or a character that is not printable ASCII"
    if len(value) > MD5_PASSWORD_MAX_OCTETS:
        return f"is no TCP MD5 key: it has {len(value)} characters, limit {MD5_PASSWORD_MAX_OCTETS}"
    if vendor == "bird" and '"' in value:
        return "is no TCP MD5 key for BIRD: it has a double quote, which no text in bird.conf can hold"
    return None


def _look_up(reference: str, environment: Mapping[str, str]) -> str:
    kind, name = reference.split(":", 1)
    if kind == "env":
        value = environment.get(name)
        if value is None:
            raise ValueError(f"the environment variable {name} is not set")
        if not value:
            raise ValueError(f"the environment variable {name} is empty")
        return value
    if kind == "file":
        return _first_line(Path(name))
    directory = environment.get("CREDENTIALS_DIRECTORY")
    if not directory:
        raise ValueError(f"$CREDENTIALS_DIRECTORY is not set: {reference} needs LoadCredential={name}:... in the unit")
    return _first_line(Path(directory) / name)


def _first_line(path: Path) -> str:
    """Without its line end: editors add one, and no SNMP secret has one."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from error
    if len(raw) > MAX_BYTES:
        raise ValueError(f"{path} is larger than {MAX_BYTES} bytes, too large for a secret")
    try:
        lines = raw.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text") from error
    if not lines or not lines[0]:
        raise ValueError(f"{path} is empty")
    if any(line.strip() for line in lines[1:]):
        raise ValueError(f"{path} has more than one line, a secret is one line")
    return lines[0]
