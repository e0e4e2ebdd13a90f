"""What the daemon does by itself, and how often."""

from __future__ import annotations

from typing import TYPE_CHECKING

from teagent.adapters.allocator import give_back_free_memory
from teagent.daemon.figures import figures

if TYPE_CHECKING:
    from teagent.daemon.app import App

DRAIN_SECONDS = 1.0
"""And at once where many records wait: see FlowListener.call_when_many."""
RECONCILE_SECONDS = 3.0
PRUNE_SECONDS = 3600.0
ORIGINS_SECONDS = 60.0
"""Between two tables of origins, where routers report them as they change."""
WATCH_SECONDS = 1.0
BEAT_SECONDS = 1.0
LOOK_SECONDS = 1.0
ADVISE_SECONDS = 2.0
HUNG_SECONDS = 120.0
"""A watch that has not ended for so long never will: systemd is then told nothing more, and starts us anew."""


def schedule(app: App) -> None:
    """Every job of the daemon."""
    _Duties(app).schedule()


class _Duties:
    def __init__(self, app: App) -> None:
        self._app = app

    def schedule(self) -> None:
        app, jobs = self._app, self._app.jobs
        config = app.config
        jobs.every(config.poll.interval_seconds, "poll", app.observer.poll, at_once=True, breakable=True)
        jobs.every(DRAIN_SECONDS, "drain", self._drain)
        jobs.every(config.flows.short_window_seconds, "window", self._window)
        if config.flows.origins is not None and app.intake.origins is not None:
            every = ORIGINS_SECONDS if config.flows.origins.bmp else config.flows.origins.reload_seconds
            jobs.every(every, "origins", app.intake.origins.reload, at_once=True, breakable=True)
        app.predicting.schedule(jobs, app.decider.distrust)
        jobs.every(config.decide.interval_seconds, "decide", app.decider.cycle)
        jobs.every(WATCH_SECONDS, "watch", self._watch)
        jobs.every(LOOK_SECONDS, "second_look", self._second_look, breakable=True)
        jobs.every(BEAT_SECONDS, "beat", self._beat, at_once=True)
        jobs.every(RECONCILE_SECONDS, "reconcile", app.reconcile)
        jobs.every(PRUNE_SECONDS, "prune", self._prune)
        if app.advising is not None:
            jobs.every(ADVISE_SECONDS, "advise", app.advising.cycle, breakable=True, patient=True)

    async def _drain(self) -> None:
        self._app.ingest.drain()

    async def _window(self) -> None:
        await self._app.ingest.close_window()
        give_back_free_memory()  # of what the window took while it was open, and of what waited while it was closed

    async def _watch(self) -> None:
        now = self._app.clock.now()
        self._app.predicting.evidence.note(now)
        self._app.witness_log.look()
        await self._app.watcher.tick(now)
        await self._app.scorer.measure(self._app.policies, now)

    async def _second_look(self) -> None:
        """A guard that one reading has broken need not wait for the next poll."""
        links = self._app.config.network.links
        routers = {links[name].router for name in self._app.watcher.unsure(self._app.clock.now())}
        if routers:
            await self._app.observer.poll(routers)
            await self._app.watcher.tick(self._app.clock.now())

    async def _beat(self) -> None:
        """Beside the watch, which a full disk makes fail: to be restarted for that would help nobody."""
        if self._app.jobs.running_seconds("watch") < HUNG_SECONDS:
            self._app.notify.watchdog()
        self._app.notify.status(self._status_line())
        self._app.metrics.set(figures(self._app))

    def _status_line(self) -> str:
        live = len(self._app.book.live())
        frozen = "frozen; " if self._app.freeze.frozen else ""
        dry = "dry run; " if self._app.config.bgp.dry_run else ""
        return (
            f"{frozen}{dry}{len(self._app.config.network.links)} links, {live} live proposal{'s' if live != 1 else ''}"
        )

    async def _prune(self) -> None:
        await self._app.store.prune(now=self._app.clock.now())
