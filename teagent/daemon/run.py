"""The life of the process: signals, reloads, and the order in which it comes and goes."""

from __future__ import annotations

import asyncio
import gc
import signal
from pathlib import Path

import structlog

from teagent.adapters.allocator import use_one_arena
from teagent.daemon.app import App, build
from teagent.daemon.logs import configure
from teagent.errors import TeagentError

log = structlog.get_logger("daemon")


class Process:
    """One App at a time; a reload exchanges it, and keeps the old one when the new one is bad."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._wake = asyncio.Event()
        self._stopping = False
        self._reload_by: str | None = None

    def _stop(self, name: str) -> None:
        log.info("stopping", signal=name)
        self._stopping = True
        self._wake.set()

    def _reload(self, actor: str) -> None:
        self._reload_by = actor
        self._wake.set()

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, self._stop, each.name)
        loop.add_signal_handler(signal.SIGHUP, self._reload, "signal")
        app = build(self._path, on_reload=self._reload)
        await self._start(app)
        app.notify.ready()
        while not self._stopping:
            await self._wake.wait()
            self._wake.clear()
            if self._reload_by is not None and not self._stopping:
                actor, self._reload_by = self._reload_by, None
                app = await self._exchange(app, actor)
                # An app is held by what it holds; megabytes of it need not wait for the collector's next full round.
                gc.collect()
        app.notify.stopping()
        await app.stop(reverting=True)
        return 0

    async def _exchange(self, old: App, actor: str) -> App:
        """Live changes stay as they are: neither the stop of the old nor the start of the new reverts them."""
        old.notify.reloading()
        log.info("reloading", actor=actor)
        new = self._successor(old)
        if new is None:
            old.notify.ready()
            return old
        await old.stop(reverting=False, after=new)
        try:
            await self._start(new)
        except Exception as error:  # noqa: BLE001 - whatever it is, what ran before runs again
            _say("new configuration does not start, going back to the old one", error)
            new = App(old.config, on_reload=self._reload, before=new)
            await self._start(new)
        new.notify.ready()
        return new

    def _successor(self, old: App) -> App | None:
        """What the file asks for now; None, and said, where it is bad."""
        try:
            new = build(self._path, on_reload=self._reload, before=old)
            old.admit(new.config)
        except Exception as error:  # noqa: BLE001 - a file must not take down what runs
            _say("new configuration is bad, the old one stays", error)
            return None
        return new

    @staticmethod
    async def _start(app: App) -> None:
        configure(level=app.config.log.level.value, form=app.config.log.format.value)
        await app.start()


def _say(event: str, error: Exception) -> None:
    known = isinstance(error, TeagentError)
    log.error(event, error=error.message if isinstance(error, TeagentError) else repr(error), exc_info=not known)


def run(path: Path) -> int:
    """The daemon, until SIGTERM or SIGINT. Raises TeagentError when it cannot start."""
    use_one_arena()
    return asyncio.run(Process(path).run())
