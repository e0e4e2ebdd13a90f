"""Flow datagrams off UDP sockets, decoded: implements ports.FlowSource.

A thread reads the sockets and decodes what they have, all datagrams of an exporter that came together at once. `take`
hands over what has been decoded. Every place where something can be dropped counts it: the kernel's buffer, and the
batches that nobody takes.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from ipaddress import ip_address
from typing import Final

from teagent.adapters.clock import SystemClock
from teagent.adapters.flow.account import ExporterAccount
from teagent.adapters.flow.compiled import NotCompiled, Outcome, Preparation
from teagent.adapters.flow.intake_thread import IntakeThread
from teagent.adapters.flow.receiver import Binding, Chunk, Receiver
from teagent.engine.measure.counting import Count
from teagent.model.traffic import FlowBatch
from teagent.ports import Clock, ExporterHealth
from teagent.wire.flow.limits import Limits
from teagent.wire.flow.sflow_pass import OnePass

__all__ = ["Binding", "FlowListener"]

QUEUE_SIZE: Final = 16_384  # datagrams, some 24 MB when they are full
MOST_UNTAKEN_RECORDS: Final = 4_000_000  # measured: 21 octets each of NetFlow v5, 33 of v9, 41 of IPFIX, 70 of sFlow
MANY_UNTAKEN_RECORDS: Final = 32_768
"""Whoever counts more of them at once keeps the intake from its sockets for longer: with 100,000 for 12 to 15 ms in one
of 1,000 reads of sFlow, with these for 6, when both were on one core.
"""
BLOCK: Final = 32_768
"""Records that are made into columns at once: what they take is mostly still in the second-level cache."""


class FlowListener:
    """`exporters` maps the addresses that count to router names; `sampling_rates` overrides what an exporter says.

    `queue_size` bounds the datagrams that wait to be decoded, `most_untaken_records` the records that wait to be taken;
    of `many_untaken_records` tells `call_when_many`.

    Where sFlow comes in great numbers, and numba is installed, it is read by compiled code from some seconds later on,
    and `count` is there for whoever takes records, unless `compile_sflow` says no; `tell` is called with what became of
    that, by a thread of its own.
    """

    def __init__(
        self,
        *,
        bindings: Sequence[Binding],
        exporters: Mapping[str, str],
        sampling_rates: Mapping[str, float] | None = None,
        limits: Limits | None = None,
        queue_size: int = QUEUE_SIZE,
        most_untaken_records: int = MOST_UNTAKEN_RECORDS,
        many_untaken_records: int = MANY_UNTAKEN_RECORDS,
        clock: Clock | None = None,
        compile_sflow: bool = True,
        tell: Callable[[Outcome], object] | None = None,
    ) -> None:
        rates = {_normal(address): rate for address, rate in (sampling_rates or {}).items()}
        self._accounts = {
            _normal(address): ExporterAccount(
                exporter=_normal(address),
                router=router,
                limits=limits or Limits(),
                sampling_rate=rates.get(_normal(address)),
            )
            for address, router in exporters.items()
        }
        known = frozenset(self._accounts)
        self._receivers = tuple(
            Receiver(binding, exporters=known, clock=clock or SystemClock()) for binding in bindings
        )
        self._intake = IntakeThread(
            self._receivers,
            size=queue_size,
            decode=self._decode,
            in_place=self._in_place,
            decode_in_place=self._decode_in_place,
        )
        self._most_untaken = most_untaken_records
        self._many_untaken = many_untaken_records
        self._lock = threading.Lock()  # guards the accounts and all below
        self._batches: list[FlowBatch] = []
        self._untaken = 0
        self._lost_untaken = 0
        self._when_many: Callable[[], object] | None = None
        self._many_told = False
        self._tell = tell
        self._compile_sflow = compile_sflow
        self._preparation = Preparation(self._prepared)
        self.count: Count | None = None  # the compiled one, as soon as it is ready

    def start(self) -> None:
        """Raises TeagentError where an address cannot be bound; then nothing is left open. Starting twice is once."""
        if self._intake.running:
            return
        with ExitStack() as started:
            for receiver in self._receivers:
                receiver.start()
                started.callback(receiver.stop)
            started.pop_all()
        self._intake.start()

    def stop(self) -> None:
        """What was read is decoded, and can still be taken. Stopping twice is once."""
        self._intake.stop()
        self._preparation.stop()
        for receiver in self._receivers:
            receiver.stop()

    def call_when_many(self, call: Callable[[], object] | None) -> None:
        """`call` is called when so many records wait to be taken, once until they have been; by whatever thread, so it
        must be quick. Whoever takes now and then need not fear that more come in between than are kept.
        """
        with self._lock:
            self._when_many = call

    def take(self) -> Sequence[FlowBatch]:
        with self._lock:
            self._collect()
            batches, self._batches = self._batches, []
            self._untaken = 0
            self._many_told = False
        return batches

    def resume(self, since: datetime | None, now: datetime) -> datetime:  # noqa: ARG002  datagrams are gone
        return now

    def told_until(self, now: datetime) -> datetime:
        return now

    def trouble(self) -> str:
        return ""

    def exporters(self) -> Sequence[ExporterHealth]:
        """All that are configured, heard or not."""
        with self._lock:
            self._collect()
            return tuple(account.health() for account in self._accounts.values())

    def ports(self) -> tuple[int, ...]:
        """The port of each binding, in their order."""
        return tuple(receiver.port for receiver in self._receivers)

    def last_unknown(self) -> str | None:
        """The address of the one that sent last of those that are no exporters; None where there was none."""
        found = [receiver.last_unknown for receiver in self._receivers if receiver.last_unknown is not None]
        return max(found)[1] if found else None

    def dropped(self) -> Mapping[str, int]:
        """By reason, since the beginning. `not_taken` counts records, the others datagrams."""
        return {
            "kernel_buffer_full": sum(receiver.kernel_drops for receiver in self._receivers),
            "not_taken": self._lost_untaken,
            "unknown_exporter": sum(receiver.unknown_exporter for receiver in self._receivers),
        }

    def _decode(self, chunks: Sequence[Chunk]) -> None:
        with self._lock:
            for at, arrivals in chunks:
                for exporter, port, payloads in arrivals:
                    account = self._accounts[exporter]
                    account.feed(payloads, port=port, at=at)
                    if account.much_sflow and self._compile_sflow:
                        self._preparation.begin()
                    if account.pending >= BLOCK:
                        self._keep(account.collect())

    def _in_place(self, chunk: Chunk) -> bool:
        """Whether all of it is compiled sFlow, and enough of each exporter."""
        datagrams: Counter[str] = Counter()
        for exporter, _, payloads in chunk.arrivals:
            datagrams[exporter] += len(payloads)
        return all(self._accounts[exporter].reads_in_place(count) for exporter, count in datagrams.items())

    def _decode_in_place(self, chunk: Chunk) -> bool:
        """Not while another thread has the accounts: who waited for it would not read the sockets meanwhile."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            for exporter, port, payloads in chunk.arrivals:
                self._accounts[exporter].feed(payloads, port=port, at=chunk.at)
            for exporter in {found.exporter for found in chunk.arrivals}:
                account = self._accounts[exporter]
                account.settle()
                if account.pending >= BLOCK:
                    self._keep(account.collect())
        finally:
            self._lock.release()
        return True

    def read_sflow_by(self, new_pass: Callable[[], OnePass]) -> None:
        """From now on; for whoever has made it ready before."""
        with self._lock:
            for account in self._accounts.values():
                account.read_sflow_by(new_pass)

    def _prepared(self, outcome: Outcome) -> None:
        if not isinstance(outcome, NotCompiled):
            self.read_sflow_by(outcome.new_pass)
            self.count = outcome.count
        if self._tell is not None:
            self._tell(outcome)

    def _collect(self) -> None:
        for account in self._accounts.values():
            self._keep(account.collect())

    def _keep(self, batches: Sequence[FlowBatch]) -> None:
        """Newer records are worth more than older ones that nobody took."""
        self._batches.extend(batches)
        self._untaken += sum(map(len, batches))
        if self._untaken >= self._many_untaken and self._when_many is not None and not self._many_told:
            self._many_told = True
            self._when_many()
        if self._untaken <= self._most_untaken:
            return
        surplus = 0
        while self._untaken > self._most_untaken and surplus < len(self._batches):
            self._untaken -= len(self._batches[surplus])
            self._lost_untaken += len(self._batches[surplus])
            surplus += 1
        del self._batches[:surplus]


def _normal(address: str) -> str:
    return str(ip_address(address))
