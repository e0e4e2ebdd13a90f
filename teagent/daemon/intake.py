"""Where flows come in, and what says which AS a sender is of: both outlive a reload where they would be the same."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from teagent.adapters.bmp.origins import BmpOrigins
from teagent.adapters.flow.compiled import NotCompiled, Outcome
from teagent.adapters.flow.listener import FlowListener
from teagent.adapters.origins import OriginFile
from teagent.config.derived import by_datagrams, sampling_rates
from teagent.config.effective import Config
from teagent.daemon.build import binding, clickhouse_source, flow_source, origin_source
from teagent.engine.measure.counting import Count
from teagent.ports import Clock
from teagent.service.observe import Observer
from teagent.service.origins import Origins

log = structlog.get_logger("intake")


class Intake:
    """`before` is the intake whose place this one takes: its listener is taken over, with the templates that it has
    learned and with what arrives meanwhile, and so is its table of origins. Built inert; `stop` leaves alone what was
    passed on.
    """

    def __init__(self, config: Config, *, observer: Observer, clock: Clock, before: Intake | None) -> None:
        self.listening = (tuple(map(binding, config.flows.listen)), by_datagrams(config), sampling_rates(config))
        self.origins_config = config.flows.origins
        self.listener: FlowListener | None = (
            before.listener if before is not None and before.listening == self.listening else self._new(clock)
        )
        kept = before if before is not None and before.origins_config == self.origins_config else None
        self.origin_source: OriginFile | BmpOrigins | None = (
            origin_source(config) if kept is None else kept.origin_source
        )
        self.origins: Origins | None = None
        if self.origin_source is not None:
            self.origins = Origins(source=self.origin_source, clock=clock) if kept is None else kept.origins
        self._clickhouse = clickhouse_source(config, observer=observer, clock=clock)
        self.flows = flow_source(self.listener, self._clickhouse)
        self._after: Intake | None = None

    def _new(self, clock: Clock) -> FlowListener | None:
        bindings, known, rates = self.listening
        if not bindings:
            return None
        return FlowListener(bindings=bindings, exporters=known, sampling_rates=rates, clock=clock, tell=_tell)

    def start(self, *, when_many: Callable[[], object]) -> None:
        """`when_many` is as in FlowListener.call_when_many."""
        if self.listener is not None:
            self.listener.call_when_many(when_many)
        self.flows.start()

    def count(self) -> Count | None:
        """The compiled one; None where there is none, or not yet."""
        return None if self.listener is None else self.listener.count

    def pass_on(self, after: Intake | None) -> None:
        """`after` takes this one's place, None where nobody does."""
        self._after = after

    def stop(self) -> None:
        after = self._after
        if self.origin_source is not None and (after is None or after.origin_source is not self.origin_source):
            self.origin_source.stop()
        if self._clickhouse is not None:
            self._clickhouse.stop()
        if self.listener is not None and (after is None or after.listener is not self.listener):
            self.listener.stop()
            self.listener.call_when_many(None)


def _tell(outcome: Outcome) -> None:
    if isinstance(outcome, NotCompiled):
        log.warning("sflow is not read by compiled code", reason=outcome.reason)
    else:
        log.info("sflow is read by compiled code")
