"""Flow datagrams off UDP sockets, decoded: implements ports.FlowSource.

One thread a socket does nothing but empty it into a bounded queue; one thread decodes what is in the queue, all
datagrams of an exporter that came together at once. `take` hands over what has been decoded. Every place where
something can be dropped counts it: the kernel's buffer, the queue, and the batches that nobody takes.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from ipaddress import ip_address
from typing import Final

from teagent.adapters.clock import SystemClock
from teagent.adapters.flow.account import ExporterAccount
from teagent.adapters.flow.receiver import Binding, DatagramQueue, Receiver
from teagent.model.traffic import FlowBatch
from teagent.ports import Clock, ExporterHealth
from teagent.wire.flow.limits import Limits

__all__ = ["Binding", "FlowListener"]

QUEUE_SIZE: Final = 16_384  # datagrams, some 24 MB when they are full
MOST_UNTAKEN_RECORDS: Final = 4_000_000  # measured: 21 octets each of NetFlow v5, 33 of v9, 41 of IPFIX, 70 of sFlow
BLOCK: Final = 16_384
"""Records that are made into columns at once: what they take stays in the second-level cache."""


class FlowListener:
    """`exporters` maps the addresses that count to router names; `sampling_rates` overrides what an exporter says."""

    def __init__(
        self,
        *,
        bindings: Sequence[Binding],
        exporters: Mapping[str, str],
        sampling_rates: Mapping[str, float] | None = None,
        limits: Limits | None = None,
        queue_size: int = QUEUE_SIZE,
        most_untaken_records: int = MOST_UNTAKEN_RECORDS,
        clock: Clock | None = None,
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
        self._queue = DatagramQueue(queue_size)
        known = frozenset(self._accounts)
        self._receivers = tuple(
            Receiver(binding, exporters=known, queue=self._queue, clock=clock or SystemClock()) for binding in bindings
        )
        self._decoder: threading.Thread | None = None
        self._most_untaken = most_untaken_records
        self._lock = threading.Lock()  # guards the accounts and all below
        self._batches: list[FlowBatch] = []
        self._untaken = 0
        self._lost_untaken = 0

    def start(self) -> None:
        """Raises TeagentError where an address cannot be bound; then nothing is left open. Starting twice is once."""
        if self._decoder is not None:
            return
        self._queue.open()
        with ExitStack() as started:
            for receiver in self._receivers:
                receiver.start()
                started.callback(receiver.stop)
            started.pop_all()
        self._decoder = threading.Thread(target=self._decode, name="flow decoder", daemon=True)
        self._decoder.start()

    def stop(self) -> None:
        """What is in the queue is still decoded, and can still be taken. Stopping twice is once."""
        if self._decoder is None:
            return
        for receiver in self._receivers:
            receiver.stop()
        self._queue.close()
        self._decoder.join()
        self._decoder = None

    def take(self) -> Sequence[FlowBatch]:
        with self._lock:
            self._collect()
            batches, self._batches = self._batches, []
            self._untaken = 0
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

    def dropped(self) -> Mapping[str, int]:
        """By reason, since the beginning. `not_taken` counts records, the others datagrams."""
        return {
            "kernel_buffer_full": sum(receiver.kernel_drops for receiver in self._receivers),
            "not_taken": self._lost_untaken,
            "queue_full": self._queue.dropped,
            "unknown_exporter": sum(receiver.unknown_exporter for receiver in self._receivers),
        }

    def _decode(self) -> None:
        while (chunk := self._queue.get()) is not None:
            with self._lock:
                for exporter, port, payloads in chunk.arrivals:
                    account = self._accounts[exporter]
                    account.feed(payloads, port=port, at=chunk.at)
                    if account.pending >= BLOCK:
                        self._keep(account.collect())

    def _collect(self) -> None:
        for account in self._accounts.values():
            self._keep(account.collect())

    def _keep(self, batches: Sequence[FlowBatch]) -> None:
        """Newer records are worth more than older ones that nobody took."""
        self._batches.extend(batches)
        self._untaken += sum(map(len, batches))
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
