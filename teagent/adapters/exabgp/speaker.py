"""The Speaker port on the relay's socket.

A connection per request: it costs a tenth of a millisecond, a relay that was restarted is found by itself, and an
answer can never be taken for that to another request. The protocol is in docs/reference/relay-protocol.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from teagent.errors import NotAcknowledged, SpeakerDown, SpeakerError, SpeakerRejected
from teagent.model.announcement import HeldOverride, Override, Signal
from teagent.model.bgp import Prefix, parse_prefix
from teagent.ports import NeighborState, SpeakerState

VERSION = 1
LINE_MAX_BYTES = 16_000_000
CONNECT_SECONDS = 2.0
QUICK_SECONDS = 5.0
WIRE_SECONDS = 30.0
"""The relay gives ExaBGP 5 s for each neighbor's command, and may be busy with another request first."""


class RelaySpeaker:
    """Implements teagent.ports.Speaker. `link_ids` maps the names of links to their LINK_IDs."""

    def __init__(self, path: Path, *, link_ids: Mapping[str, int]) -> None:
        self._path = path
        self._link_ids = dict(link_ids)
        self._link_names = {link_id: name for name, link_id in link_ids.items()}
        self._last_id = 0

    async def start(self) -> None:
        """Nothing to start: the relay may come and go."""

    async def stop(self) -> None:
        """Nothing to stop."""

    async def announce(self, override: Override, *, owner: str, deadline: datetime | None) -> None:
        signals = [self._signal(override.prefix, signal) for signal in override.signals]
        await self._ask(
            "announce",
            seconds=WIRE_SECONDS,
            prefix=str(override.prefix),
            signals=signals,
            owner=owner,
            deadline=None if deadline is None else deadline.timestamp(),
        )

    async def withdraw(self, prefix: Prefix, *, owner: str) -> None:
        await self._ask("withdraw", seconds=WIRE_SECONDS, prefix=str(prefix), owner=owner)

    async def confirm(self, prefix: Prefix, *, owner: str) -> None:
        await self._ask("confirm", seconds=QUICK_SECONDS, prefix=str(prefix), owner=owner)

    async def repeat(self) -> None:
        await self._ask("repeat", seconds=QUICK_SECONDS)

    async def freeze(self, *, frozen: bool) -> None:
        await self._ask("freeze" if frozen else "thaw", seconds=QUICK_SECONDS)

    async def state(self) -> SpeakerState:
        answer = await self._ask("state", seconds=QUICK_SECONDS)
        try:
            return self._state(answer["state"])
        except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
            raise self._nonsense(repr(error)) from error

    def _signal(self, prefix: Prefix, signal: Signal) -> dict[str, object]:
        link_id = self._link_ids.get(signal.link)
        if link_id is None:
            raise SpeakerRejected(f"{prefix}: link {signal.link} has no id", prefix=str(prefix), link=signal.link)
        if signal.prepend is None:
            return {"link_id": link_id, "withhold": True}
        return {"link_id": link_id, "prepend": signal.prepend}

    async def _ask(self, do: str, *, seconds: float, **fields: object) -> Mapping[str, Any]:
        """The answer when it is ok. Raises SpeakerDown, NotAcknowledged or SpeakerRejected, and does so in time."""
        self._last_id += 1
        identity = self._last_id
        request = {"version": VERSION, "id": identity, "do": do, **fields}
        reader, writer = await self._connect()
        try:
            async with asyncio.timeout(seconds):
                writer.write(json.dumps(request).encode("ascii") + b"\n")
                line = await reader.readuntil(b"\n")
        except (OSError, EOFError, asyncio.LimitOverrunError) as error:  # TimeoutError is an OSError
            raise self._unanswered(do, fields.get("prefix"), seconds) from error
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        return self._answer(line, identity, fields)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                return await asyncio.open_unix_connection(str(self._path), limit=LINE_MAX_BYTES)
        except TimeoutError as error:
            raise self._down("it does not take the connection") from error
        except OSError as error:
            raise self._down(error.strerror or str(error)) from error

    def _answer(self, line: bytes, identity: int, fields: Mapping[str, object]) -> Mapping[str, Any]:
        try:
            answer = json.loads(line)
        except ValueError as error:
            raise self._nonsense("not JSON") from error
        if not isinstance(answer, dict) or answer.get("version") != VERSION:
            raise self._nonsense("another version")
        if answer.get("ok") is True and answer.get("id") == identity:
            return answer
        denial = answer.get("error")
        if answer.get("ok") is not False or not isinstance(denial, dict):
            raise self._nonsense("neither yes nor no")
        raise _refusal(denial, fields.get("prefix"))

    def _state(self, state: Mapping[str, Any]) -> SpeakerState:
        allow = state["allow_list"]
        return SpeakerState(
            overrides=tuple(self._held(row) for row in state["overrides"]),
            neighbors=tuple(
                NeighborState(address=str(row["address"]), state=str(row["state"]), since=_moment(row["since"]))
                for row in state["neighbors"]
            ),
            frozen=bool(state["frozen"]),
            freeze_file=bool(state.get("freeze_file")),
            counters={str(name): int(count) for name, count in state["counters"].items()},
            allow_list=None if allow["digest"] is None else str(allow["digest"]),
            allow_list_problem=str(allow["problem"] or ""),
        )

    def _held(self, row: Mapping[str, Any]) -> HeldOverride:
        signals = [
            Signal(
                link=self._link_names.get(item["link_id"], f"link-{item['link_id']}"),
                prepend=None if item.get("withhold") else int(item["prepend"]),
            )
            for item in row["signals"]
        ]
        return HeldOverride(
            override=Override(
                prefix=parse_prefix(row["prefix"]), signals=tuple(sorted(signals, key=lambda signal: signal.link))
            ),
            owner=str(row["owner"]),
            deadline=_moment(row["deadline"]),
            acknowledged=bool(row["acked"]),
        )

    def _down(self, why: str) -> SpeakerDown:
        return SpeakerDown(
            f"relay cannot be reached at {self._path}: {why}",
            hint="systemctl status exabgp-teagent",
            relay=str(self._path),
        )

    def _nonsense(self, why: str) -> SpeakerDown:
        return SpeakerDown(
            f"relay at {self._path} does not speak protocol {VERSION}: {why}",
            hint="the daemon and the relay come from one package: restart both",
            relay=str(self._path),
        )

    def _unanswered(self, do: str, prefix: object, seconds: float) -> SpeakerError:
        if prefix is None:
            return self._down(f"no answer to {do} within {seconds:g}s")
        return NotAcknowledged(
            f"no answer to {do} {prefix} within {seconds:g}s; it may still go out",
            prefix=prefix,
            timeout_seconds=seconds,
        )


def _refusal(denial: Mapping[str, Any], prefix: object) -> SpeakerError:
    kind, rule, message = (str(denial.get(key)) for key in ("kind", "rule", "message"))
    value, limit = denial.get("value"), denial.get("limit")
    if value is not None and limit is not None:
        message = f"{message} (value {value}, limit {limit})"
    if prefix is not None:
        message = f"{prefix}: {message}"
    match kind:
        case "unknown":
            return NotAcknowledged(message, prefix=prefix, rule=rule, value=value, limit=limit)
        case "down" | "busy":
            return SpeakerDown(message, prefix=prefix, rule=rule, value=value, limit=limit)
        case _:
            return SpeakerRejected(f"{message}, by rule {rule}", prefix=prefix, rule=rule, value=value, limit=limit)


def _moment(seconds: Any) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(float(seconds), UTC)
