"""What the relay does: announce, withdraw, confirm, watch deadlines, and keep ExaBGP in step with the journal.

All that speaks to ExaBGP holds `_turn`: one command is outstanding at a time, and what was read is still so when it
is acted upon.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from teagent.relay.allow_list import AllowList, BadAllowListError, load, refuse
from teagent.relay.exabgp import Exabgp, Tell
from teagent.relay.exabgp_pipe import ExabgpPipe
from teagent.relay.freeze_file import FreezeFile
from teagent.relay.journal import Entry, Journal, JournalError
from teagent.relay.moments import Clock, Deadline
from teagent.relay.pace import TokenBucket
from teagent.relay.protocol import Announce, Confirm, Override, Prefix, WithdrawRequest
from teagent.relay.refusal import Json, Refusal

TICK_SECONDS = 1.0
RETRY_SECONDS = 5.0
LOOK_SECONDS = 60.0
"""What ExaBGP holds is compared with the journal this often, even where nothing has happened."""
REPEAT_SECONDS = 0.5
"""What is told again costs each router an UPDATE an override."""


class Relay:
    """`tell` hands an event to whoever listens, `log` writes a line for the operator; neither blocks."""

    def __init__(
        self,
        *,
        allow_path: Path,
        allow_owners: frozenset[int],
        freeze_file: Path | None = None,
        journal: Journal,
        pipe: ExabgpPipe,
        clock: Clock,
        tell: Tell,
        log: Callable[[str], None],
    ) -> None:
        self.journal = journal
        self.journal_problem = "not read yet"
        self.allow: AllowList | None = None
        self.allow_problem = "not read yet"
        self.counters: Counter[str] = Counter()
        self.exabgp = Exabgp(pipe=pipe, clock=clock, tell=self._told)
        self._allow_path = allow_path
        self._allow_owners = allow_owners
        self._allow_stamp: tuple[int, ...] | None = None
        self._freeze_file = FreezeFile(freeze_file, log)
        self._pipe = pipe
        self._clock = clock
        self._tell = tell
        self._log = log
        self._turn = asyncio.Lock()
        self._wake = asyncio.Event()
        self._bucket = TokenBucket()
        self._acknowledged: set[Prefix] = set()
        self._repeated_at = -REPEAT_SECONDS  # uptime
        self._not_before = 0.0  # uptime of the next attempt to get in step
        self._look_at = 0.0  # uptime of the next look at ExaBGP's table where nothing gives reason to

    # what clients ask for

    async def announce(self, request: Announce) -> dict[str, Json]:
        """Raises Refusal. With kind `unknown` the override stays on record and may come to be on the wire."""
        async with self._turn:
            allow = self._admit(request)
            prefix = request.override.prefix
            before = self.journal.entries.get(prefix)
            entry = self._entry(request, before)
            self._record(entry)
            self._acknowledged.discard(prefix)
            problem = await self.exabgp.announce(allow, entry.override)
            if problem is None:
                self._acknowledged.add(prefix)
                self._wake.set()
                return {"acked": True}
            if problem.kind != "unknown":
                await self._undo(allow, prefix, before)
            self._wake.set()
            raise problem

    async def withdraw(self, request: WithdrawRequest) -> dict[str, Json]:
        """Never refused. Raises Refusal (unknown) when ExaBGP has not acknowledged it yet: it is tried until it has."""
        async with self._turn:
            held = request.prefix in self.journal.entries
            if not held and (self.allow is None or request.prefix not in self.allow.prefixes):
                return {"held": False, "acked": True}
            if not await self._go_home(request.prefix):
                raise Refusal("unknown", "ack_timeout", f"ExaBGP has not acknowledged that {request.prefix} goes home")
            return {"held": held, "acked": True}

    def confirm(self, request: Confirm) -> dict[str, Json]:
        """Raises Refusal. Clears the deadline; doing it twice is the same as once."""
        entry = self.journal.entries.get(request.prefix)
        if entry is None:
            refuse("held", f"there is no override for {request.prefix}", value=str(request.prefix))
        if entry.owner != request.owner:
            refuse("owner", f"the override for {request.prefix} is another's", value=request.owner, limit=entry.owner)
        if entry.deadline is not None:
            if entry.deadline.remaining(self._clock) <= 0:
                refuse("deadline", "the deadline has passed, the override is going home", value=entry.deadline.wall)
            self._record(replace(entry, deadline=None, before=None))
            self.counters["confirms"] += 1
        return {}

    @property
    def frozen(self) -> bool:
        """By a request, or by the operator's file: that one needs neither the daemon nor this socket."""
        return self._freeze_file.is_there() or self.journal.frozen

    def freeze(self, *, frozen: bool) -> dict[str, Json]:
        """A freeze holds at once, even when it cannot be written; a thaw only when it can. Raises Refusal."""
        try:
            self.journal.freeze(frozen=frozen)
        except JournalError as error:
            self.journal.frozen |= frozen
            raise self._journal_refusal(error) from error
        self._log("frozen" if frozen else "thawed")
        return {"frozen": self.frozen, "freeze_file": self._freeze_file.is_there()}

    async def reconcile(self) -> dict[str, Json]:
        """Raises Refusal when ExaBGP could not be brought in step now; it is tried again by itself."""
        async with self._turn:
            self.exabgp.in_step = False
            self._not_before = 0.0
            await self._keep_in_step()
            if not self.exabgp.in_step:
                raise Refusal("unknown", "ack_timeout", "ExaBGP is not in step yet; it is tried again")
        return {}

    async def repeat(self) -> dict[str, Json]:
        """What routers were told, told again, so that they answer for it anew. It says nothing new, and only while
        ExaBGP holds what it should. Raises Refusal.
        """
        async with self._turn:
            if self.allow is None or not self.exabgp.in_step:
                raise Refusal("down", "exabgp", "ExaBGP is not in step yet")
            now = self._clock.uptime()
            if now < self._repeated_at + REPEAT_SECONDS:
                refuse("rate", "it was repeated a moment ago", limit=REPEAT_SECONDS)
            self._repeated_at = now
            if not await self.exabgp.repeat(self.allow):
                raise Refusal("unknown", "ack_timeout", "ExaBGP has not acknowledged that it told the routers again")
        return {}

    def state(self) -> dict[str, Json]:
        allow = self.allow
        return {
            "overrides": [self._as_json(entry) for entry in self.journal.entries.values()],
            "neighbors": self.exabgp.sessions.as_json([str(n.address) for n in allow.neighbors] if allow else []),
            "exabgp": self.exabgp.version,
            "in_step": self.exabgp.in_step,
            "allow_list": {"digest": allow.digest if allow else None, "problem": self.allow_problem or None},
            "journal": {"problem": self.journal_problem or None, "damaged_lines": self.journal.damaged_lines},
            "frozen": self.frozen,
            "freeze_file": self._freeze_file.is_there(),
            "counters": {
                **self.counters,
                **self.exabgp.counters,
                "late_answers": self._pipe.late,
                "stray_answers": self._pipe.strays,
            },
        }

    # what happens by itself

    async def run(self) -> None:
        """Until cancelled: read the files, synchronise, expire, replay, correct."""
        while True:
            self._wake.clear()
            async with self._turn:
                self.reload_allow_list()
                self._freeze_file.is_there()  # so that the log says when it came and went
                self._settle_journal()
                await self._expire()
                await self._keep_in_step()
            waits = [TICK_SECONDS, *(deadline.remaining(self._clock) for _, deadline in self._deadlines())]
            try:
                async with asyncio.timeout(max(0.01, min(waits))):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def reload_allow_list(self) -> None:
        """Reads the file if it has changed. A bad one leaves the last good one in force, and says so."""
        try:
            found = self._allow_path.stat()
            # The time of the last change of its inode: rights that were given or taken leave the others as they are.
            stamp: tuple[int, ...] = (found.st_ctime_ns, found.st_mtime_ns, found.st_ino, found.st_size)
        except OSError:
            stamp = ()
        # Rights of a directory above it are in no stamp of the file: one that could not be used is tried again.
        if stamp == self._allow_stamp and not self.allow_problem:
            return
        known, self._allow_stamp = (self._allow_stamp, self.allow_problem), stamp
        try:
            self.allow, self.allow_problem = load(self._allow_path, owners=self._allow_owners), ""
        except BadAllowListError as error:
            self.allow_problem = str(error)
        if known == (stamp, self.allow_problem):
            return
        self.exabgp.in_step = False
        digest = self.allow.digest if self.allow else None
        self._log(f"allow-list  digest={(digest or 'none')[:12]} problem={self.allow_problem or 'none'}")
        self._tell("allow_list", digest=digest, problem=self.allow_problem or None)

    def _settle_journal(self) -> None:
        try:
            if self.journal_problem and not self.journal.is_open:
                self.journal.open()
                self.journal.resume(self._clock)
                self.exabgp.in_step = False
            self.journal.settle()
        except JournalError as error:
            if self.journal_problem != str(error.strerror):
                self._log(f"journal cannot be used  reason={error.strerror}")
            self.journal_problem = str(error.strerror)
        else:
            self.journal_problem = ""

    async def _keep_in_step(self) -> None:
        """Without a list or a journal what is on the wire stays: nobody could say what belongs there."""
        now = self._clock.uptime()
        idle = self.exabgp.in_step and now < self._look_at
        if idle or now < self._not_before or self.allow is None or not self.journal.is_open:
            return
        if self.exabgp.stalled and not self.exabgp.lost_its_place():
            return
        self._not_before = now + RETRY_SECONDS
        allow = self.allow
        self._drop_what_is_no_longer_allowed(allow)
        if not await self.exabgp.synchronise():
            return
        wanted = {prefix: entry.override for prefix, entry in self.journal.entries.items()}
        if await self.exabgp.bring_in_step(allow, wanted):
            self._acknowledged = set(wanted)
            self._not_before, self._look_at = 0.0, now + LOOK_SECONDS

    def _drop_what_is_no_longer_allowed(self, allow: AllowList) -> None:
        for prefix, entry in list(self.journal.entries.items()):
            try:
                allow.check_override(entry.override)
            except Refusal as refusal:
                self._log(f"override is no longer allowed  prefix={prefix} rule={refusal.rule}")
                self._tell("disallowed", prefix=str(prefix), owner=entry.owner, rule=refusal.rule)
                self._forget(prefix)

    async def _expire(self) -> None:
        for entry, deadline in list(self._deadlines()):
            if deadline.remaining(self._clock) > 0:
                continue
            prefix = entry.override.prefix
            self.counters["expired"] += 1
            restored = await self._restore(entry)
            if restored is None:
                await self._go_home(prefix)
            self._log(f"deadline passed unconfirmed  prefix={prefix} owner={entry.owner} restored={restored or 'home'}")
            self._tell("expired", prefix=str(prefix), owner=entry.owner, restored=restored)

    async def _restore(self, entry: Entry) -> str | None:
        """Back to the confirmed override that `entry` replaced; its owner, or None when there is none to be had."""
        if self.allow is None or entry.before is None:
            return None
        override, owner = entry.before
        earlier = Entry(override=override, owner=owner, accepted_at=self._clock.wall(), deadline=None)
        try:
            self.allow.check_override(override)
            self._record(earlier)
        except Refusal:
            return None
        await self._send_again(self.allow, override)
        return owner

    # parts

    def _admit(self, request: Announce) -> AllowList:
        """The checks before anything is written, in this order. Raises Refusal."""
        self.reload_allow_list()
        allow, override = self.allow, request.override
        if allow is None:
            refuse("allow_list", f"there is no usable allow-list: {self.allow_problem}")
        allow.check_override(override)
        allow.check_deadline(request, self._clock.wall())
        if self.frozen and not self._goes_back(override):
            refuse("frozen", "the relay is frozen and announces nothing new")
        if not self.journal.is_open:
            raise Refusal("journal", "journal", f"the journal cannot be used: {self.journal_problem}")
        if self.exabgp.version is None:
            raise Refusal("down", "exabgp", "ExaBGP has not answered yet")
        if self.exabgp.stalled:
            raise Refusal("busy", "exabgp", "ExaBGP has not answered an earlier command yet")
        self.exabgp.check_sessions(allow, override.family)
        held = self.journal.entries
        if override.prefix not in held and len(held) >= allow.max_overrides:
            refuse("max_overrides", "there are as many overrides as may be", value=len(held), limit=allow.max_overrides)
        in_time = self._bucket.take(self._clock.uptime(), per_minute=allow.changes_per_minute, burst=allow.burst)
        if not in_time and not self._goes_back(override):
            refuse("rate", "too many announcements in a short time", limit=allow.changes_per_minute)
        return allow

    def _goes_back(self, override: Override) -> bool:
        """What is there already, or was confirmed before it: a freeze or a rate never stands in the way of a revert."""
        held = self.journal.entries.get(override.prefix)
        if held is None:
            return False
        return override == held.override or (held.before is not None and override == held.before[0])

    def _entry(self, request: Announce, held: Entry | None) -> Entry:
        before = None
        if request.deadline is not None and held is not None:
            before = (held.override, held.owner) if held.deadline is None else held.before
        return Entry(
            override=request.override,
            owner=request.owner,
            accepted_at=self._clock.wall(),
            deadline=None if request.deadline is None else Deadline.at(request.deadline, self._clock),
            before=before,
        )

    def _record(self, entry: Entry) -> None:
        try:
            self.journal.put(entry)
        except JournalError as error:
            raise self._journal_refusal(error) from error

    def _journal_refusal(self, error: JournalError) -> Refusal:
        self.counters["journal_failures"] += 1
        return Refusal("journal", "journal", f"the journal cannot be written: {error.strerror}")

    async def _undo(self, allow: AllowList, prefix: Prefix, before: Entry | None) -> None:
        """After an announcement that failed: what was there before, or home when that cannot be had."""
        if before is not None:
            try:
                self._record(before)
            except Refusal:
                pass
            else:
                await self._send_again(allow, before.override)
                return
        await self._go_home(prefix)

    async def _send_again(self, allow: AllowList, override: Override) -> None:
        problem = await self.exabgp.announce(allow, override)
        if problem is None:
            self._acknowledged.add(override.prefix)
        else:
            self.exabgp.in_step = False

    async def _go_home(self, prefix: Prefix) -> bool:
        """Withdraws, whatever the disk says. False when ExaBGP has not acknowledged; it is then corrected later."""
        self._forget(prefix)
        if self.allow is None:
            self.exabgp.in_step = False
            return False
        return await self.exabgp.withdraw(self.allow, prefix)

    def _forget(self, prefix: Prefix) -> None:
        self._acknowledged.discard(prefix)
        try:
            self.journal.remove(prefix)
        except JournalError as error:
            self.counters["journal_failures"] += 1
            self._log(f"journal cannot be written  reason={error.strerror}")

    def _deadlines(self) -> Iterator[tuple[Entry, Deadline]]:
        for entry in self.journal.entries.values():
            if entry.deadline is not None:
                yield entry, entry.deadline

    def _told(self, event: str, **fields: Json) -> None:
        """ExaBGP's news pass on to the listeners, and a session that came up is work for us."""
        if event == "neighbor":
            self._not_before = 0.0
            self._wake.set()
            self._log(f"session is {fields['state']}  neighbor={fields['neighbor']} reason={fields['reason'] or '-'}")
        self._tell(event, **fields)

    def _as_json(self, entry: Entry) -> Json:
        prefix = entry.override.prefix
        sent: dict[str, Json] = {**self.exabgp.sent.get(prefix, {})}
        return {
            "prefix": str(prefix),
            "signals": [s.as_json() for s in entry.override.signals],
            "owner": entry.owner,
            "accepted_at": entry.accepted_at,
            "deadline": entry.deadline.wall if entry.deadline else None,
            "seconds_left": entry.deadline.remaining(self._clock) if entry.deadline else None,
            "acked": prefix in self._acknowledged,
            "sent": sent,
            "before": entry.before[1] if entry.before else None,
        }
