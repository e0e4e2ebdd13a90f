"""What the control socket answers about what is measured: links, routers, exporters, the matrix, prefixes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from teagent.daemon.arguments import count_of, own_prefix, seconds_of, text_of
from teagent.daemon.control import Actor, Command
from teagent.daemon.which_matrix import matrix_of
from teagent.engine.measure.percentile import percentile_95
from teagent.errors import NotFound
from teagent.model.bgp import ASN_MAX, Prefix
from teagent.model.link import P95, Link, NoData, Utilisation
from teagent.model.plan import TriggerStatus
from teagent.service import documents
from teagent.service.documents import Document

if TYPE_CHECKING:
    from teagent.daemon.app import App

MAX_TOP = 10_000


class MeasuredHandlers:
    """All of them only read."""

    def __init__(self, app: App) -> None:
        self._app = app

    def commands(self) -> Mapping[str, Command]:
        return {
            "link.list": Command(self.link_list),
            "link.show": Command(self.link_show),
            "prefix.list": Command(self.prefix_list),
            "prefix.show": Command(self.prefix_show),
            "router.list": Command(self.router_list),
            "exporter.list": Command(self.exporter_list),
            "matrix.show": Command(self.matrix_show),
        }

    @property
    def _now(self) -> datetime:
        return self._app.clock.now()

    async def link_list(self, _actor: Actor, arguments: Mapping[str, object]) -> Document:
        since = arguments.get("since_seconds")
        span = None if since is None else seconds_of(since)
        return documents.listing("links", await self.links(span), at=self._now)

    async def links(self, span_seconds: float | None = None) -> list[Document]:
        """With a span, each with its history."""
        return [await self._link(link, span_seconds) for link in self._app.config.network.links.values()]

    async def link_show(self, _actor: Actor, arguments: Mapping[str, object]) -> Document:
        links, name = self._app.config.network.links, text_of(arguments, "name")
        if name not in links:
            raise NotFound("link", name, known=list(links))
        return await self._link(links[name], seconds_of(arguments.get("since_seconds") or 3600))

    async def _link(self, link: Link, span_seconds: float | None) -> Document:
        app, now, name = self._app, self._now, link.name
        history: Sequence[Utilisation] | None = None
        if span_seconds is not None:
            since = now - timedelta(seconds=span_seconds)
            history = await app.store.utilisation(since=since, until=now, link=name)
        return documents.link_document(
            link,
            latest=app.observer.readings(now)[name],
            p95=await self._p95(name, now),
            trigger=self._triggers().get(name),
            doubts=app.observer.doubts().get(name, ()),
            history=history,
            members=app.observer.members(name),
            left_bps=app.observer.left_bps(name),
        )

    async def _p95(self, name: str, now: datetime) -> P95 | None:
        link = self._app.config.network.links[name]
        month = datetime(now.year, now.month, 1, tzinfo=UTC)
        buckets = await self._app.store.five_minute_buckets(link=name, since=month, until=now)
        found = percentile_95(buckets, link=name, month=now.strftime("%Y-%m"), series=link.percentile, now=now)
        return None if isinstance(found, NoData) else found

    def _triggers(self) -> dict[str, TriggerStatus]:
        """For each link the most alarming of what the policies say of it."""
        found: dict[str, TriggerStatus] = {}
        for decision in self._app.decider.last().values():
            for trigger in decision.triggers:
                known = found.get(trigger.link)
                if known is None or (trigger.firing, trigger.above_since is not None) > (
                    known.firing,
                    known.above_since is not None,
                ):
                    found[trigger.link] = trigger
        return found

    def routers(self) -> list[Document]:
        app = self._app
        return [
            documents.router_document(
                name,
                address=router.address,
                links=[link.name for link in app.config.network.links.values() if link.router == name],
                reading=app.observer.reading(name),
            )
            for name, router in app.config.routers.items()
        ]

    async def router_list(self, _actor: Actor, _arguments: Mapping[str, object]) -> Document:
        return documents.listing("routers", self.routers(), at=self._now)

    async def exporter_list(self, _actor: Actor, _arguments: Mapping[str, object]) -> Document:
        intake = self._app.intake
        return documents.listing("exporters", self.exporters(self._now), at=self._now) | {
            "dropped": dict(intake.flows.dropped()),
            "last_unknown_exporter": None if intake.listener is None else intake.listener.last_unknown(),
            "origins": None if intake.origins is None else documents.origins_document(intake.origins),
        }

    def exporters(self, now: datetime) -> list[Document]:
        figures, doubts = self._app.exporter_watch.figures(), self._app.ingest.exporter_doubts(now)
        return [
            documents.exporter_document(each, figures=figures.get(each.exporter), doubts=doubts.get(each.exporter, ()))
            for each in self._app.ingest.exporters()
        ]

    async def matrix_show(self, _actor: Actor, arguments: Mapping[str, object]) -> Document:
        link = arguments.get("link")
        if link is not None and link not in self._app.config.network.links:
            raise NotFound("link", str(link), known=list(self._app.config.network.links))
        prefix = None if arguments.get("prefix") is None else self._own(arguments)
        now = self._now
        window, since = (
            None if arguments.get(key) is None else seconds_of(arguments[key], key)
            for key in ("window_seconds", "since_seconds")
        )
        return documents.matrix_document(
            await matrix_of(self._app, now, window_seconds=window, since_seconds=since),
            at=now,
            link=None if link is None else str(link),
            prefix=prefix,
            source_as=None if arguments.get("source_as") is None else count_of(arguments, "source_as", 0, ASN_MAX),
            top=count_of(arguments, "top", 20, MAX_TOP),
        )

    def _own(self, arguments: Mapping[str, object]) -> Prefix:
        return own_prefix(self._app.config.network, text_of(arguments, "prefix"))

    async def prefix_list(self, _actor: Actor, _arguments: Mapping[str, object]) -> Document:
        await self._app.look()
        rows = [self._prefix_document(own.prefix, None) for own in self._app.config.network.prefixes]
        return documents.listing("prefixes", rows, at=self._now)

    async def prefix_show(self, _actor: Actor, arguments: Mapping[str, object]) -> Document:
        own = self._own(arguments)
        await self._app.look()
        return self._prefix_document(own, 10)

    def _prefix_document(self, prefix: Prefix, top: int | None) -> Document:
        app = self._app
        own = app.config.network.own(prefix)
        assert own is not None  # noqa: S101 - both callers took it from the network
        owner = app.book.owner(prefix)
        return documents.prefix_document(
            own,
            network=app.config.network,
            live=app.routes.live(),
            owner=None if owner is None else owner.id,
            changed_at=app.book.changed_at(prefix),
            matrix=app.ingest.latest(self._now),
            top=top,
            proofs=app.prover.at(prefix) if own.engineer else (),
        )
