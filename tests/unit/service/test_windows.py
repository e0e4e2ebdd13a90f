"""Short windows beside the one that decisions rest on: closed, kept, put together, looked back on."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
import pytest_asyncio

from teagent.engine.measure.attribution import Attribution
from teagent.engine.measure.counting import Count, Counted, count
from teagent.engine.measure.demand_rows import DemandTable
from teagent.engine.measure.origin import OriginTable
from teagent.engine.measure.record_buffer import Records
from teagent.model.link import NoData
from teagent.model.origin import OriginRanges, OriginRoutes
from teagent.model.traffic import MatrixSpan, TrafficMatrix
from teagent.service.ingest import Ingest
from teagent.service.origins import Origins
from tests.fakes.clock import FakeClock
from tests.unit.service.deciding import EXPORTER, DecidingWorld
from tests.unit.service.test_ingest import heavy_bps
from tests.unit.service.test_origins import FakeFile
from tests.unit.service.world import M

pytestmark = pytest.mark.asyncio
SHORT_SECONDS = 60
WINDOW_SECONDS = 300


class WindowWorld(DecidingWorld):
    """Short windows of a minute in windows of five."""

    count: Count | None = None
    records_tell_as = True

    def build(self) -> None:
        super().build()
        self.origins = Origins(source=FakeFile(), clock=self.clock)
        self.ingest = Ingest(
            source=self.source,
            links=self.network.links,
            prefixes=[own.prefix for own in self.network.prefixes],
            exporters={EXPORTER: "edge1"},
            observer=self.observer,
            store=self.store,
            clock=self.clock,
            window_seconds=WINDOW_SECONDS,
            short_window_seconds=SHORT_SECONDS,
            max_rows=1000,
            origins=self.origins,
            count=lambda: self.count,
            records_tell_as=self.records_tell_as,
        )

    async def minutes(self, *heavy_mbps: float) -> None:
        """One short window for each; what the interface counts is 90 Mbps all the time."""
        for mbps in heavy_mbps:
            await self.run(SHORT_SECONDS)
            self.send(SHORT_SECONDS, towards={"198.51.100.7": mbps * M, "203.0.113.7": 30 * M})
            await self.ingest.close_window()

    def latest(self, span: MatrixSpan) -> TrafficMatrix:
        found = self.ingest.latest(self.clock.now(), span=span)
        assert isinstance(found, TrafficMatrix)
        return found


@pytest_asyncio.fixture
async def world(clock: FakeClock) -> WindowWorld:
    world = WindowWorld(clock)
    await world.store.start()
    return world


async def test_the_window_closes_with_the_last_of_its_short_ones_and_is_their_sum(world: WindowWorld) -> None:
    await world.minutes(60, 60, 60, 60)
    assert isinstance(world.ingest.latest(world.clock.now()), NoData)
    assert heavy_bps(world.latest(MatrixSpan.SHORT)) == pytest.approx(60 * M, rel=0.01)
    await world.minutes(360)
    whole = world.latest(MatrixSpan.WINDOW)
    assert whole.seconds == WINDOW_SECONDS
    # Of all octets 600 in 750 went to HEAVY, of those of the last minute 360 in 390; the interface counted 90.
    assert heavy_bps(whole) == pytest.approx(90 * M * 600 / 750, rel=0.01)
    assert heavy_bps(world.latest(MatrixSpan.SHORT)) == pytest.approx(90 * M * 360 / 390, rel=0.01)
    assert whole.coverage["a"] == pytest.approx(750 / 450, rel=0.01)


async def test_both_are_in_the_store_each_in_its_own_span(world: WindowWorld) -> None:
    begin = world.clock.now()
    await world.minutes(*[60] * 7)
    kept = {
        span: [m.seconds for m in await world.store.matrices(since=begin, until=world.clock.now(), span=span)]
        for span in MatrixSpan
    }
    assert kept == {MatrixSpan.SHORT: [60] * 7, MatrixSpan.WINDOW: [300], MatrixSpan.HOUR: []}


async def test_a_restart_begins_with_both_and_loses_the_open_window(world: WindowWorld) -> None:
    await world.minutes(*[60] * 7)
    before = {span: world.latest(span).at for span in (MatrixSpan.SHORT, MatrixSpan.WINDOW)}
    world.build()
    await world.ingest.load()
    assert {span: world.latest(span).at for span in before} == before
    await world.minutes(*[60] * 5)
    assert world.latest(MatrixSpan.WINDOW).seconds == WINDOW_SECONDS


async def test_a_clock_step_drops_the_open_window_with_its_parts(world: WindowWorld) -> None:
    await world.minutes(60, 60, 60)
    await world.run(SHORT_SECONDS)
    world.clock.step(3600)
    await world.ingest.close_window()
    assert world.ingest.counters["windows_dropped"] == 1
    await world.minutes(60, 60, 60, 60)
    assert world.ingest.counters["windows"] == 0
    await world.minutes(60)
    assert world.latest(MatrixSpan.WINDOW).seconds == WINDOW_SECONDS


async def test_looking_back_is_the_mean_of_what_is_stored(world: WindowWorld) -> None:
    await world.minutes(*[60] * 5, *[15] * 5)
    now = world.clock.now()
    found = await world.ingest.over(now, since=now - timedelta(seconds=600), span=MatrixSpan.WINDOW)
    assert isinstance(found, TrafficMatrix)
    assert found.seconds == 600
    assert heavy_bps(found) == pytest.approx((60 + 30) / 2 * M, rel=0.01)
    short = await world.ingest.over(now, since=now - timedelta(seconds=120), span=MatrixSpan.SHORT)
    assert isinstance(short, TrafficMatrix)
    assert heavy_bps(short) == pytest.approx(30 * M, rel=0.01)


async def test_far_back_it_is_told_by_the_hour_and_the_rest_by_the_window(world: WindowWorld) -> None:
    await world.minutes(*[60] * 130)
    await world.store.prune(now=world.clock.now())
    now = world.clock.now()
    hours = await world.store.matrices(since=now - timedelta(days=1), until=now, span=MatrixSpan.HOUR)
    windows = await world.store.matrices(since=hours[-1].at, until=now)
    found = await world.ingest.over(now, since=now - timedelta(days=1), span=MatrixSpan.WINDOW)
    assert isinstance(found, TrafficMatrix)
    assert found.seconds == sum(each.seconds for each in (*hours, *windows)) == 130 * 60
    assert heavy_bps(found) == pytest.approx(60 * M, rel=0.02)


async def test_looking_back_where_nothing_closed_is_no_data(world: WindowWorld) -> None:
    now = world.clock.now()
    found = await world.ingest.over(now, since=now - timedelta(days=2), span=MatrixSpan.WINDOW)
    assert isinstance(found, NoData)


ORIGINS = OriginTable(
    OriginRoutes(
        ipv4=OriginRanges(
            first=np.array([10 << 24], "u8"), last=np.array([11 << 24], "u8"), asn=np.array([64999], dtype="u4")
        ),
        ipv6=OriginRanges(first=np.zeros(0, "u8"), last=np.zeros(0, "u8"), asn=np.zeros(0, "u4")),
        skipped={},
    )
)


async def test_origins_name_senders_from_the_drain_after_they_were_read(world: WindowWorld) -> None:
    world.origins.value = ORIGINS
    await world.run(SHORT_SECONDS)
    world.send(SHORT_SECONDS, asn=0)
    await world.ingest.close_window()
    assert [source.asn for source in world.latest(MatrixSpan.SHORT).sources] == [64999]


@pytest.mark.parametrize(("records_tell_as", "expected"), [(True, {64496, 64497}), (False, {64999})])
async def test_origins_are_asked_for_all_where_records_do_not_tell(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch, records_tell_as: bool, expected: set[int]
) -> None:
    monkeypatch.setattr(WindowWorld, "records_tell_as", records_tell_as)
    world = WindowWorld(clock)
    await world.store.start()
    world.origins.value = ORIGINS
    await world.run(SHORT_SECONDS)
    world.send(SHORT_SECONDS, asn=64496)
    await world.ingest.close_window()
    assert {source.asn for source in world.latest(MatrixSpan.SHORT).sources} == expected


async def test_records_are_counted_by_the_quicker_way_as_soon_as_there_is_one(world: WindowWorld) -> None:
    counted: list[int] = []

    def quicker(records: Records, attribution: Attribution, table: DemandTable) -> Counted:
        counted.append(len(records.link))
        return count(records, attribution, table)

    await world.minutes(60)
    world.count = quicker
    assert counted == []
    await world.minutes(60)
    assert sum(counted) == world.ingest.last_counts.records > 0
