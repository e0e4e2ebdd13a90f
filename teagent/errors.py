"""The error tree.

    TeagentError                       exit 1
      Unreadable(path, reason)                    a file that is not there, no file, not ours to read, or damaged
      WrongUsage                       exit 2
      ConfigError(problems)            exit 3    every Problem: file, line, column, key, message
      PolicyError(problems)            exit 3
      DaemonUnreachable                exit 4
      Refused                          exit 5
        NotFound(what, name)
        IllegalTransition(state, event, legal)
        GuardRefused(reasons)
        NotAuthorised(actor)
        Frozen(since, by)
        Expired(proposal, ...)
      StalePlan(approved, current)     exit 6
      TelemetryError(router)
        SnmpTimeout | SnmpAuthFailed | SnmpNoSuchObject | SnmpUnreachable
      WireError(reason, offset)
        Truncated | BadVersion | BadLength | UnknownTemplate | LimitExceeded
      SpeakerError
        SpeakerDown | NotAcknowledged(change) | SpeakerRejected(change, reply)
      StoreError
        SchemaTooNew(found, supported) | StoreCorrupt | DiskFull
      AdvisorError(reason)

Fields come first, the message second: `str(error)` is built from the fields, so `--json` prints the same facts.
A message is one line, lower case, no full stop; `hint` says what to do next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

KNOWN_SHOWN = 20
"""So many names are listed to whoever gave one that is not there."""


class TeagentError(Exception):
    """Anything that teagent raises on purpose.

    `exit_code` is what the command line exits with; `fields` are the facts, as JSON-ready values; `hint` is what
    the reader may do next, or None.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str | None = None, **fields: object) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.fields: Mapping[str, object] = fields

    @property
    def kind(self) -> str:
        return type(self).__name__


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong in a file. `line` and `column` count from 1; 0 says that the place is not known."""

    file: str
    line: int
    column: int
    key: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"


class Unreadable(TeagentError):
    """A file cannot be read. For all that read one but the configuration, whose problems are all listed at once."""

    def __init__(self, path: object, error: Exception, *, hint: str | None = None) -> None:
        reason = (getattr(error, "strerror", None) or str(error) or "it ends early").lower()
        super().__init__(f"{path} cannot be read: {reason}", hint=hint, path=str(path), reason=reason)


class WrongUsage(TeagentError):
    """What was said on the command line cannot be obeyed."""

    exit_code = 2


class ConfigError(TeagentError):
    """All that is wrong in the configuration, at once."""

    exit_code = 3

    def __init__(self, problems: Sequence[Problem], *, hint: str | None = None) -> None:
        self.problems = tuple(problems)
        files = sorted({p.file for p in self.problems})
        count = len(self.problems)
        lines = [str(p) for p in self.problems]
        lines.append(f"{count} problem{'s' if count != 1 else ''} in {', '.join(files)}")
        rows = [
            {"file": p.file, "line": p.line, "column": p.column, "key": p.key, "message": p.message}
            for p in self.problems
        ]
        super().__init__("\n".join(lines), hint=hint, problems=rows)


class PolicyError(ConfigError):
    """All that is wrong in a policy file, at once."""


class DaemonUnreachable(TeagentError):
    exit_code = 4


class Refused(TeagentError):
    """Understood, and not done. Nothing has changed."""

    exit_code = 5


class NotFound(Refused):
    """`where` follows the name in the message: `in the graph`."""

    def __init__(
        self, what: str, name: str, *, where: str = "", known: Sequence[str] = (), hint: str | None = None
    ) -> None:
        place = f" {where}" if where else ""
        more = f" and {len(known) - KNOWN_SHOWN} more" if len(known) > KNOWN_SHOWN else ""
        listed = f", known are {', '.join(sorted(known)[:KNOWN_SHOWN])}{more}" if known else ""
        super().__init__(
            f"there is no {what} {name}{place}{listed}", hint=hint, what=what, name=name, known=list(known)
        )


class IllegalTransition(Refused):
    def __init__(self, *, proposal: str, state: str, event: str, legal: Sequence[str], hint: str | None = None) -> None:
        can = f"it can {', '.join(legal)}" if legal else "nothing can be done with it any more"
        super().__init__(
            f"proposal {proposal} is {state}: {event} is not possible, {can}",
            hint=hint,
            proposal=proposal,
            state=state,
            event=event,
            legal=list(legal),
        )


class Expired(Refused):
    """An approval that came after the proposal's time."""


class GuardRefused(Refused):
    """Refused by checks; `reasons` holds every one that failed as {rule, message, value, limit}."""

    def __init__(self, reasons: Sequence[Mapping[str, object]], *, checks: int, hint: str | None = None) -> None:
        lines = [f"{len(reasons)} of {checks} checks failed"]
        lines += [f"  {r['rule']}  {r['message']}" for r in reasons]
        super().__init__("\n".join(lines), hint=hint, reasons=[dict(r) for r in reasons], checks=checks)


class NotAuthorised(Refused):
    def __init__(self, *, actor: str, needs: Sequence[str], action: str) -> None:
        super().__init__(
            f"{actor} may not {action}: it takes membership of {' or '.join(needs) if needs else 'root'}",
            hint="control.viewers, approvers and administrators in the configuration list the groups",
            actor=actor,
            needs=list(needs),
            action=action,
        )


class Frozen(Refused):
    def __init__(self, *, since: str, by: str, reason: str) -> None:
        super().__init__(
            f"frozen since {since} by {by}: {reason}" if reason else f"frozen since {since} by {by}",
            hint="teagent thaw",
            since=since,
            by=by,
            reason=reason,
        )


class StalePlan(TeagentError):
    """The inputs moved after the plan was shown; nothing has been applied."""

    exit_code = 6

    def __init__(self, *, approved: str, current: str, differences: Sequence[str], hint: str | None = None) -> None:
        head = f"plan changed since it was shown (shown {approved[:6]}, now {current[:6]})"
        super().__init__(
            "\n".join([head, *(f"       {d}" for d in differences)]),
            hint=hint,
            approved=approved,
            current=current,
            differences=list(differences),
        )


class TelemetryError(TeagentError):
    """A router could not be read; its readings are NoData until it answers."""


class SnmpTimeout(TelemetryError):
    pass


class SnmpAuthFailed(TelemetryError):
    pass


class SnmpNoSuchObject(TelemetryError):
    pass


class SnmpUnreachable(TelemetryError):
    """The host refuses or there is no route to it."""


class WireError(TeagentError):
    """Bytes that are not what they claim to be; the only thing that a decoder raises.

    `offset` is the octet in the datagram at which decoding stopped.
    """

    def __init__(self, message: str, *, offset: int = 0, hint: str | None = None, **fields: object) -> None:
        super().__init__(message, hint=hint, offset=offset, **fields)
        self.offset = offset


class Truncated(WireError):
    pass


class BadVersion(WireError):
    pass


class BadLength(WireError):
    pass


class UnknownTemplate(WireError):
    pass


class LimitExceeded(WireError):
    pass


class SpeakerError(TeagentError):
    """The way to the routers is not as it should be."""


class SpeakerDown(SpeakerError):
    """The relay or its ExaBGP cannot be reached, or the session to the router is down."""


class NotAcknowledged(SpeakerError):
    """No answer in time: unknown, never failed; it may still go out."""


class SpeakerRejected(SpeakerError):
    """The relay or ExaBGP said no; nothing was sent."""


class StoreError(TeagentError):
    pass


class SchemaTooNew(StoreError):
    def __init__(self, *, found: int, supported: int) -> None:
        super().__init__(
            f"the store has schema {found}, this teagent knows up to {supported}",
            hint="run the teagent that wrote it, or restore the backup made before the upgrade",
            found=found,
            supported=supported,
        )


class StoreCorrupt(StoreError):
    pass


class DiskFull(StoreError):
    pass


class AdvisorError(TeagentError):
    """The model, or the way to it. `reason` is a stable id, as in `timeout`.

    It ends in service/advise.py and in the advisor's own commands; nothing that decides ever sees one.
    """

    def __init__(self, message: str, *, reason: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint, reason=reason)
        self.reason = reason
