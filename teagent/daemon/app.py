"""The composition root: every concrete class is named here, and only here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import structlog

from teagent.adapters.clock import SystemClock
from teagent.adapters.exabgp.allow_list import digest
from teagent.adapters.exabgp.speaker import RelaySpeaker
from teagent.adapters.metrics import MetricsServer
from teagent.adapters.snmp.telemetry import SnmpTelemetry
from teagent.adapters.store.sqlite import SqliteStore
from teagent.config.derived import (
    active_timeouts,
    allow_list,
    exporters,
    speaking_routers,
)
from teagent.config.effective import Config, SourceAs
from teagent.daemon.build import (
    advisor,
    allow,
    bmp_witness,
    exporter_bounds,
    refuse_allow_list,
    refuse_to_abandon,
    session_witness,
    snmp_target,
)
from teagent.daemon.control import ControlServer
from teagent.daemon.duties import schedule
from teagent.daemon.handlers import Handlers
from teagent.daemon.intake import Intake
from teagent.daemon.jobs import Jobs
from teagent.daemon.notify import Notify
from teagent.daemon.predicting import Predicting, experiments
from teagent.errors import TeagentError
from teagent.service.advise import Advising
from teagent.service.apply import Applier
from teagent.service.approve import Approver
from teagent.service.caller import Caller
from teagent.service.decide import Decider
from teagent.service.diagnose import Doctor
from teagent.service.exporters import ExporterWatch
from teagent.service.freeze import FreezeSwitch
from teagent.service.ingest import Ingest
from teagent.service.observe import Observer
from teagent.service.proposals import ProposalBook
from teagent.service.prove import Prover
from teagent.service.reconcile import Reconciler, Routes
from teagent.service.score import Scorer
from teagent.service.watch import Watcher
from teagent.service.witness_log import WitnessLog
from teagent.service.witnesses import Witnesses

log = structlog.get_logger("daemon")


class App:
    """Built inert from a configuration; `start` opens in order, `stop` closes in reverse.

    `before` is the app whose place this one takes: what of it would be the same is taken over.
    """

    def __init__(
        self, config: Config, *, on_reload: Callable[[str], None] | None = None, before: App | None = None
    ) -> None:
        network = config.network
        self.config = config
        self.policies = {policy.name: policy for policy in config.policies}
        self.clock = SystemClock()
        self.started_at = self.clock.now()
        self._on_reload = on_reload
        self.store = SqliteStore(
            config.store.path,
            keep_short_seconds=config.store.keep_short_seconds,
            keep_raw_seconds=config.store.keep_raw_seconds,
            keep_rollup_seconds=config.store.keep_hourly_seconds,
        )
        self.telemetry = SnmpTelemetry(
            {name: snmp_target(router, config.poll) for name, router in config.routers.items()},
            clock=self.clock,
            interests={
                name: tuple(link.interface for link in network.links.values() if link.router == name)
                for name in config.routers
            },
        )
        self.speaker = (
            None
            if config.bgp.dry_run
            else RelaySpeaker(config.bgp.relay, link_ids={link.name: link.id for link in network.links.values()})
        )
        self.observer = Observer(
            links=network.links,
            telemetry=self.telemetry,
            store=self.store,
            clock=self.clock,
            poll_seconds=config.poll.interval_seconds,
            stale_after_seconds=config.poll.stale_after_seconds,
            history_seconds=_look_back(config),
        )
        self.intake: Intake = Intake(
            config, observer=self.observer, clock=self.clock, before=None if before is None else before.intake
        )
        self.exporter_watch = ExporterWatch(
            source=self.intake.flows,
            links={link.name: link.router for link in network.links.values()},
            clock=self.clock,
            bounds=exporter_bounds(config.flows.trust),
            active_timeouts=active_timeouts(config),
        )
        self.ingest = Ingest(
            source=self.intake.flows,
            links=network.links,
            prefixes=[own.prefix for own in network.prefixes],
            exporters=exporters(config),
            observer=self.observer,
            store=self.store,
            clock=self.clock,
            window_seconds=config.flows.window_seconds,
            max_rows=config.flows.max_sources,
            short_window_seconds=config.flows.short_window_seconds,
            origins=self.intake.origins,
            count=self.intake.count,
            exporter_watch=self.exporter_watch,
            coverage_limits=(config.flows.trust.coverage_low, config.flows.trust.coverage_high),
            source_prefix_ipv4=config.flows.source_prefix_ipv4,
            source_prefix_ipv6=config.flows.source_prefix_ipv6,
            records_tell_as=config.flows.source_as is SourceAs.RECORD,
        )
        home = network.home()
        self.book = ProposalBook(store=self.store, clock=self.clock)
        self.routes = Routes(speaker=self.speaker, home=home, clock=self.clock)
        self.freeze = FreezeSwitch(store=self.store, clock=self.clock, speaker=self.speaker)
        self.applier = (
            None
            if self.speaker is None
            else Applier(book=self.book, routes=self.routes, speaker=self.speaker, home=home, clock=self.clock)
        )
        self.bmp = bmp_witness(config, clock=self.clock, origins=self.intake.origin_source)
        asked = [each for each in (self.bmp, session_witness(config, clock=self.clock)) if each is not None]
        self.witness = Witnesses(asked, clock=self.clock) if asked else None
        self.witness_log = WitnessLog(self.witness)
        self.prover = Prover(
            witness=self.witness,
            speaker=self.speaker,
            routes=self.routes,
            neighbors={router.name: router.neighbor for router in speaking_routers(config)},
            network=network,
            book=self.book,
            store=self.store,
            clock=self.clock,
        )
        self.reconciler = (
            None
            if self.speaker is None
            else Reconciler(book=self.book, routes=self.routes, speaker=self.speaker, home=home)
        )
        self.predicting: Predicting = Predicting(
            config,
            book=self.book,
            observer=self.observer,
            ingest=self.ingest,
            routes=self.routes,
            store=self.store,
            clock=self.clock,
            before=None if before is None else before.predicting,
        )
        self.scorer = Scorer(book=self.book, observer=self.observer, store=self.store)
        self.decider = Decider(
            network=network,
            policies=config.policies,
            config_digest=config.digest,
            observer=self.observer,
            ingest=self.ingest,
            routes=self.routes,
            book=self.book,
            store=self.store,
            freeze=self.freeze,
            clock=self.clock,
            predictor=self.predicting.predictor,
            scorecards=self.predicting.scorecards,
        )
        self.approver = Approver(
            book=self.book,
            applier=self.applier,
            freeze=self.freeze,
            prover=self.prover,
            policies=self.policies,
            recheck=self.decider.recheck,
            clock=self.clock,
            maintenance=None if config.decide.experiments is None else config.decide.experiments.window,
        )
        self.decider.approver = self.approver
        self.experiments = experiments(config, decider=self.decider, predictor=self.predicting.predictor)
        self.watcher = Watcher(
            book=self.book,
            applier=self.applier,
            observer=self.observer,
            prover=self.prover,
            policies=self.policies,
            links=network.links,
        )
        self.advising: Advising | None = self._advising(config)
        self.doctor = Doctor(
            network=network,
            neighbors={router.name: router.neighbor for router in speaking_routers(config)},
            signed={name for name, router in config.routers.items() if router.md5_password is not None},
            dry_run=config.bgp.dry_run,
            allow_list_digest=digest(allow_list(config)),
            routes=self.routes,
            prover=self.prover,
            witness=self.witness,
            observer=self.observer,
            ingest=self.ingest,
            exporter_watch=self.exporter_watch,
            clock_skew_seconds=config.flows.trust.clock_skew_seconds,
        )
        listen = config.metrics.listen
        self.metrics = MetricsServer(None if listen is None else (listen.host, listen.port))
        self.notify = Notify()
        self.jobs = Jobs(self.clock)
        self.control = ControlServer(
            config.control.socket,
            Handlers(self).commands(),
            approvers=config.control.approvers,
            viewers=config.control.viewers,
            administrators=config.control.administrators,
        )
        self._stack = AsyncExitStack()

    def _advising(self, config: Config) -> Advising | None:
        """Beside everything else: nothing of this app holds it, and it changes nothing of what it is given."""
        model = advisor(config)
        if model is None:
            return None
        return Advising(
            caller=Caller(advisor=model, store=self.store, clock=self.clock),
            book=self.book,
            decider=self.decider,
            predictor=self.predicting.predictor,
            policies=self.policies,
            store=self.store,
            clock=self.clock,
            suggest=config.advisor.suggest,
        )

    def admit(self, config: Config) -> None:
        """Raises Refused where `config` may not follow on this app."""
        refuse_to_abandon(config, self.book)
        if not config.bgp.dry_run:
            refuse_allow_list(config)

    def request_reload(self, actor: str) -> None:
        """Raises ConfigError when the file would not load. What follows, follows after the answer has gone out."""
        from teagent.config.load import load
        from teagent.config.secrets import process_environment

        self.admit(load(self.config.path, environment=process_environment()))
        if self._on_reload is None:
            raise TeagentError("this process cannot reload", hint="restart it")
        self._on_reload(actor)

    async def start(self) -> None:
        """In order; when a later start fails, what was started is stopped again and the error is raised."""
        async with AsyncExitStack() as stack:
            await self._open(stack, self.store.start, self.store.stop)
            await self.book.load()
            refuse_to_abandon(self.config, self.book)
            await self.freeze.load()
            await self.scorer.load()
            await self.predicting.scorecards.load()
            await self.prover.load()
            await self.observer.load()
            await self.ingest.load()
            await self.decider.load()
            if self.advising is not None:
                await self.advising.load()
            stack.push_async_callback(self.telemetry.stop)
            self.intake.start(
                when_many=partial(asyncio.get_running_loop().call_soon_threadsafe, self.jobs.soon, "drain")
            )
            stack.callback(self.intake.stop)
            self.metrics.start()
            stack.callback(self.metrics.stop)
            if self.witness is not None:
                await self._open(stack, self.witness.start, self.witness.stop)
            if self.speaker is not None:
                allow(self.config)
                await self._open(stack, self.speaker.start, self.speaker.stop)
                await self.freeze.tell_relay()
                await self._settle_routes()
            else:
                await self.routes.refresh()
            schedule(self)
            self.jobs.start()
            stack.push_async_callback(self.jobs.stop)
            await self._open(stack, self.control.start, self.control.stop)
            self._stack = stack.pop_all()
        log.info(
            "started",
            config=str(self.config.path),
            asn=int(self.config.network.asn),
            links=len(self.config.network.links),
            prefixes=len(self.config.network.prefixes),
            policies=len(self.config.policies),
            dry_run=self.config.bgp.dry_run,
        )

    @staticmethod
    async def _open(
        stack: AsyncExitStack, start: Callable[[], Awaitable[None]], stop: Callable[[], Awaitable[None]]
    ) -> None:
        await start()
        stack.push_async_callback(stop)

    async def _settle_routes(self) -> None:
        """What an earlier life left behind: half-applied changes go back, active ones are held."""
        await self.routes.refresh()
        await self.approver.recover()
        await self.reconcile()

    async def look(self) -> None:
        """What is announced now, and not what was at the last cycle: ExaBGP may have died since."""
        await self.routes.refresh()
        self.freeze.see(self.routes.state)

    async def reconcile(self) -> None:
        async with self.book.lock:
            if self.reconciler is None:
                await self.routes.refresh()
            else:
                await self.reconciler.cycle(self.clock.now())
            self.freeze.see(self.routes.state)

    async def stop(self, *, reverting: bool, after: App | None = None) -> None:
        """In reverse. `reverting`: unconfirmed changes are taken back first, as a clean stop does.

        `after` is the app that takes this one's place. May be called twice.
        """
        self.intake.pass_on(None if after is None else after.intake)
        # Nobody may ask for anything any more before it is looked what there is to take back.
        await self.control.stop()
        await self.jobs.stop()
        if reverting:
            await self._take_back_unconfirmed()
        stack, self._stack = self._stack, AsyncExitStack()
        await stack.aclose()
        log.info("stopped")

    async def _take_back_unconfirmed(self) -> None:
        try:
            await self.approver.revert_unconfirmed(reason="the daemon stops")
        except TeagentError as error:
            # The relay holds their deadlines too, and brings them home without us.
            log.error("unconfirmed changes are left to the relay", error=error.message)


def _look_back(config: Config) -> float:
    """How far triggers, windows and scores look back, with room for what arrives late."""
    holds = [policy.when.for_seconds for policy in config.policies]
    windows = [policy.confirm.window_seconds for policy in config.policies]
    return max([3600.0, *(hold * 2 for hold in holds), *windows, config.flows.window_seconds * 4])


def build(path: Path, *, on_reload: Callable[[str], None] | None = None, before: App | None = None) -> App:
    """Loads and builds; opens nothing. Raises ConfigError with every problem."""
    from teagent.config.load import load
    from teagent.config.secrets import process_environment

    return App(load(path, environment=process_environment()), on_reload=on_reload, before=before)
