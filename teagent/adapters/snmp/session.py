"""Asks one agent, one request at a time, with time-outs and retries, and says in words what went wrong."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import Counter

from teagent.adapters.snmp.channel import UdpChannel
from teagent.adapters.snmp.message import (
    Answer,
    ErrorStatus,
    Noise,
    Oid,
    Refusal,
    Report,
    Request,
    Unspeakable,
    messages_for,
)
from teagent.adapters.snmp.target import SnmpTarget
from teagent.errors import SnmpAuthFailed, SnmpTimeout, SnmpUnreachable, TelemetryError

# Discovery of engine id and of time take one report each; an agent that restarts in between takes two more.
MAX_REPORTS = 5


class SnmpSession:
    """A conversation with the agent that the messages call `name`.

    Not for concurrent use: the owner sees to one request at a time. `pdus` counts requests sent, retries included;
    `noise` counts datagrams that were no answer, by kind.
    """

    def __init__(self, name: str, target: SnmpTarget) -> None:
        self.name = name
        self.target = target
        self.pdus = 0
        self._who = name if name == target.endpoint else f"{name} ({target.endpoint})"
        self.noise: Counter[Noise] = Counter()
        self._messages = messages_for(target)
        self._channel: UdpChannel | None = None

    async def get(self, oids: tuple[Oid, ...]) -> Answer:
        return await self._ask(Request(oids=oids))

    async def bulk(self, once: tuple[Oid, ...], repeated: tuple[Oid, ...], repetitions: int) -> Answer:
        return await self._ask(Request(oids=once + repeated, non_repeaters=len(once), repetitions=repetitions))

    async def close(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    async def _ask(self, request: Request) -> Answer:
        """Raises SnmpTimeout, SnmpAuthFailed or SnmpUnreachable; all that was learned is then forgotten."""
        try:
            answer = await self._exchange(request)
        except TelemetryError:
            self._messages.reset()
            await self.close()
            raise
        if answer.error_status == ErrorStatus.AUTHORIZATION_ERROR and not answer.error_index:
            raise self._refused(Report(refusal=Refusal.VIEW))
        return answer

    async def _exchange(self, request: Request) -> Answer:
        try:
            if self._channel is None:
                self._channel = await UdpChannel.open(self.target.address, self.target.port)
            channel = self._channel
            channel.drop_late()
            heard = Counter[Noise | Refusal]()
            self._messages.begin(request)
            for _ in range(self.target.retries + 1):
                try:
                    async with asyncio.timeout(self.target.timeout_seconds):
                        return await self._attempt(channel, heard)
                except TimeoutError:
                    continue
        except Unspeakable as error:
            raise self._refused(Report(refusal=Refusal.OURS, detail=str(error))) from error
        except OSError as error:
            raise self._unreachable(error) from error
        if heard[Refusal.ENGINE] and self.target.priv_key:
            # net-snmp and others drop what they cannot decrypt, where RFC 3414 section 3.2 has them report it.
            raise self._refused(Report(refusal=Refusal.DECRYPTION))
        raise self._timeout(heard)

    async def _attempt(self, channel: UdpChannel, heard: Counter[Noise | Refusal]) -> Answer:
        """Sends, and listens until the answer is there. Reports of discovery are followed up at once."""
        self.pdus += 1
        channel.send(self._messages.encode())
        while True:
            outcome = self._messages.decode(await channel.receive())
            if isinstance(outcome, Answer):
                return outcome
            if isinstance(outcome, Noise):
                heard[outcome] += 1
                self.noise[outcome] += 1
                continue
            heard[outcome.refusal] += 1
            if outcome.refusal not in {Refusal.ENGINE, Refusal.TIME_WINDOW} or heard[outcome.refusal] > MAX_REPORTS:
                raise self._refused(outcome)
            self.pdus += 1
            channel.send(self._messages.encode())

    def _timeout(self, heard: Counter[Noise | Refusal]) -> SnmpTimeout:
        target = self.target
        attempts = target.retries + 1
        tries = "1 attempt" if attempts == 1 else f"{attempts} attempts"
        if heard[Noise.NOT_AUTHENTIC]:
            hint = "answers came, but not under these keys: check authentication and privacy key"
        elif heard[Noise.MALFORMED]:
            hint = "something answers there that is not SNMP as it should be: check address and port"
        elif target.version == "2c":
            hint = "a wrong community looks the same: check the community, the agent's access list and the way there"
        elif heard[Refusal.ENGINE] or heard[Refusal.TIME_WINDOW]:
            hint = "the agent answers discovery, but not our user: check the agent's access list and view"
        else:
            hint = "check the address, the agent's access list and the way to its port"
        return SnmpTimeout(
            f"{self._who} gave no SNMP answer within {target.timeout_seconds:g}s, {tries}",
            hint=hint,
            **self._fields(),
            attempts=attempts,
        )

    def _unreachable(self, error: OSError) -> SnmpUnreachable:
        hint = "check the address and the routes to it"
        if isinstance(error, socket.gaierror):
            message, hint = f"{self._who} has a name that does not resolve", "check the name and the resolver"
        elif isinstance(error, ConnectionRefusedError):
            message, hint = f"{self._who} refuses SNMP: nothing listens there", "check the port and that the agent runs"
        elif error.errno in {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL}:
            message = f"there is no route to {self._who}"
        else:
            message = f"{self._who} cannot be reached: {(error.strerror or str(error)).lower()}"
        return SnmpUnreachable(message, hint=hint, **self._fields())

    def _refused(self, report: Report) -> SnmpAuthFailed:
        target = self.target
        level, user = target.security_level, target.user
        message, hint = {
            Refusal.USER: (f"the agent knows no user {user}", "check the user name"),
            Refusal.DIGEST: (
                f"the agent refuses the authentication of user {user}",
                f"wrong authentication key, or the protocol is not {target.auth_protocol}",
            ),
            Refusal.DECRYPTION: (
                f"the agent answers, but not what user {user} encrypts",
                f"wrong privacy key, or the protocol is not {target.priv_protocol}",
            ),
            Refusal.SECURITY_LEVEL: (
                f"the agent does not offer {level} to user {user}",
                "check which of authentication and privacy the agent has for this user",
            ),
            Refusal.TIME_WINDOW: (
                "the agent keeps saying that we are outside its time window",
                "another agent with the same engine id, or a clock that jumps",
            ),
            Refusal.ENGINE: (
                "the agent keeps denying its own engine id",
                "two agents behind one address, or one that restarts all the time",
            ),
            Refusal.VIEW: (
                "the agent grants no access to what was asked",
                "its view must include 1.3.6.1.2.1.1, 1.3.6.1.2.1.2 and 1.3.6.1.2.1.31",
            ),
            Refusal.OURS: (
                f"these credentials make no request: {report.detail}",
                "check user, protocols and keys, and that the cryptography package is installed",
            ),
            Refusal.OTHER: (
                f"the agent refuses with a report: {report.detail or 'empty'}",
                "check the user, its level and its context",
            ),
        }[report.refusal]
        return SnmpAuthFailed(f"{self._who}: {message}", hint=hint, **self._fields(), refusal=report.refusal.value)

    def _fields(self) -> dict[str, object]:
        return {"router": self.name, "address": self.target.address, "port": self.target.port}
