"""Polling several routers: each fails alone, what is not known is said with its reason, and the clock may step."""

from __future__ import annotations

from dataclasses import replace

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from teagent.errors import DiskFull, SnmpAuthFailed, SnmpTimeout
from teagent.model.link import Link, NoData, Utilisation
from teagent.service.observe import BREAKER_FAILURES, BREAKER_PROBE_SECONDS, Observer
from tests.fakes.clock import FakeClock
from tests.fakes.store import MemoryStore
from tests.fakes.telemetry import FakeTelemetry
from tests.unit.service.world import M, network

pytestmark = pytest.mark.asyncio

SILENT = SnmpTimeout("edge2 does not answer", hint="check the community")


class Watchtower:
    """An observer of three routers with a link each; `edge1` has one more, whose interface may be missing."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.store = MemoryStore()
        self.telemetry = FakeTelemetry(clock, {f"edge{n}": {"eth1": 10 * n * M} for n in (1, 2, 3)})
        link = network().links["a"]
        self.links: dict[str, Link] = {f"l{n}": replace(link, name=f"l{n}", id=n, router=f"edge{n}") for n in (1, 2, 3)}
        self.build()

    def build(self, **more: Link) -> None:
        self.links |= more
        self.observer = Observer(
            links=self.links,
            telemetry=self.telemetry,
            store=self.store,
            clock=self.clock,
            poll_seconds=10,
            stale_after_seconds=30,
            history_seconds=3600,
        )

    async def poll(self, times: int = 1, *, every: float = 10) -> None:
        for _ in range(times):
            self.clock.advance(every)
            await self.observer.poll()

    def bps(self) -> dict[str, float | str]:
        return {
            name: reading.reason if isinstance(reading, NoData) else round(reading.in_bps / M)
            for name, reading in self.observer.readings(self.clock.now()).items()
        }


@pytest_asyncio.fixture
async def tower(clock: FakeClock) -> Watchtower:
    tower = Watchtower(clock)
    await tower.store.start()
    return tower


async def test_before_the_first_poll_nothing_is_known(tower: Watchtower) -> None:
    assert set(tower.bps().values()) == {"not polled yet"}
    assert isinstance(tower.observer.reading("edge1"), NoData)


async def test_two_polls_make_a_rate_for_each_link(tower: Watchtower) -> None:
    await tower.poll(2)
    assert tower.bps() == {"l1": 10, "l2": 20, "l3": 30}
    rows = await tower.store.utilisation(since=tower.clock.now().replace(year=2025), until=tower.clock.now())
    assert sorted(row.link for row in rows) == ["l1", "l2", "l3"]


async def test_one_router_of_three_that_is_gone_takes_no_other_with_it(tower: Watchtower) -> None:
    await tower.poll(2)
    tower.telemetry.errors["edge2"] = SILENT
    with capture_logs() as logs:
        await tower.poll(3)
        del tower.telemetry.errors["edge2"]
        await tower.poll(2)
    assert tower.bps() == {"l1": 10, "l2": 20, "l3": 30}
    said = [line["event"] for line in logs if line.get("router") == "edge2"]
    assert said == ["router gives no data", "router gives data again"]
    assert logs[0]["hint"] == "check the community"


async def test_a_lost_router_is_no_data_with_the_time_of_its_last_reading(tower: Watchtower) -> None:
    await tower.poll(2)
    last = tower.clock.now()
    tower.telemetry.errors["edge2"] = SILENT
    await tower.poll(3)
    reading = tower.observer.readings(tower.clock.now())["l2"]
    assert reading == NoData(since=last, reason="edge2 does not answer")
    health = {row.router: row for row in tower.observer.health()}["edge2"]
    assert (health.no_data_since, health.failures, health.hint) == (last, 3, "check the community")


async def test_after_five_failures_a_router_is_asked_once_a_minute(tower: Watchtower) -> None:
    tower.telemetry.rates = {"edge2": {"eth1": M}}
    tower.links = {"l2": tower.links["l2"]}
    tower.build()
    tower.telemetry.errors["edge2"] = SILENT
    await tower.poll(BREAKER_FAILURES)
    assert tower.telemetry.reads == BREAKER_FAILURES
    asked = []
    for _ in range(18):  # three minutes
        before = tower.telemetry.reads
        await tower.poll()
        asked.append(tower.telemetry.reads - before)
    assert asked == [0, 0, 0, 0, 0, 1] * 3
    assert BREAKER_PROBE_SECONDS == 60

    del tower.telemetry.errors["edge2"]
    await tower.poll(6)
    assert tower.observer.health()[0].failures == 0
    before = tower.telemetry.reads
    await tower.poll(3)
    assert tower.telemetry.reads == before + 3


async def test_a_wrong_secret_is_no_data_as_well(tower: Watchtower) -> None:
    tower.telemetry.errors["edge1"] = SnmpAuthFailed("edge1 refuses the user teagent")
    await tower.poll(2)
    assert tower.bps() == {"l1": "edge1 refuses the user teagent", "l2": 20, "l3": 30}


async def test_a_bug_in_reading_one_router_harms_no_other(tower: Watchtower) -> None:
    tower.telemetry.errors["edge2"] = KeyError("a bug")  # type: ignore[assignment]
    with capture_logs() as logs:
        await tower.poll(4)
    assert (tower.bps()["l1"], tower.bps()["l3"]) == (10, 30)
    assert tower.bps()["l2"] == "polling edge2 broke: KeyError('a bug')"
    broke = [line for line in logs if line["event"] == "polling broke"]
    assert [(line["router"], type(line["exc_info"])) for line in broke] == [("edge2", KeyError)]


async def test_a_link_without_its_interface_is_told_with_near_names_and_the_others_work(tower: Watchtower) -> None:
    tower.build(l4=replace(tower.links["l1"], name="l4", id=4, interface="eth10"))
    with capture_logs() as logs:
        await tower.poll(5)
    assert tower.bps() == {
        "l1": 10,
        "l2": 20,
        "l3": 30,
        "l4": "there is no interface eth10, near matches are eth1",
    }
    assert [line["reason"] for line in logs if line.get("link") == "l4"] == [tower.bps()["l4"]]


async def test_an_interface_that_appears_later_is_found(tower: Watchtower) -> None:
    tower.build(l4=replace(tower.links["l1"], name="l4", id=4, interface="eth10"))
    await tower.poll(2)
    tower.telemetry.rates["edge1"]["eth10"] = 70 * M
    with capture_logs() as logs:
        await tower.poll(2)
    assert tower.bps()["l4"] == 70
    assert [line["event"] for line in logs if line.get("link") == "l4"] == ["link has no data", "link has data"]


async def test_an_interface_whose_index_moves_is_followed(tower: Watchtower) -> None:
    await tower.poll(2)
    tower.telemetry.rates["edge1"] = {"eth0": 5 * M, "eth1": 10 * M}  # eth1 is ifIndex 3 now
    with capture_logs() as logs:
        await tower.poll()
    assert "first reading" in str(tower.bps()["l1"])
    assert [(line["was"], line["now"]) for line in logs if line["event"] == "interface has moved"] == [(2, 3)]
    await tower.poll()
    assert tower.bps()["l1"] == 10
    assert tower.observer.interface_links()["edge1", 3] == "l1"


async def test_counters_that_were_reset_give_no_rate_and_then_a_right_one(tower: Watchtower) -> None:
    await tower.poll(2)
    tower.telemetry.boot_monotonic = tower.clock.monotonic()
    tower.telemetry._octets = dict.fromkeys(tower.telemetry._octets, 0.0)
    await tower.poll()
    assert "agent restarted" in str(tower.bps()["l1"])
    await tower.poll()
    assert tower.bps() == {"l1": 10, "l2": 20, "l3": 30}


async def test_counters_that_went_back_without_a_restart_give_no_rate(tower: Watchtower) -> None:
    await tower.poll(2)
    tower.telemetry._octets["edge1", "eth1"] = 0.0
    await tower.poll()
    assert "went back" in str(tower.bps()["l1"])
    assert tower.bps()["l2"] == 20


async def test_a_reading_that_is_too_old_is_no_data_and_never_the_old_figure(tower: Watchtower) -> None:
    await tower.poll(2)
    tower.clock.advance(31)
    assert set(tower.bps().values()) == {"last reading is 31s old"}


async def test_a_clock_that_steps_back_starts_the_history_anew(tower: Watchtower) -> None:
    await tower.poll(5)
    tower.clock.step(-3600)
    await tower.poll()
    assert set(tower.bps().values()) == {"our clock stepped back"}
    reading = tower.observer.readings(tower.clock.now())["l1"]
    assert isinstance(reading, NoData)
    assert reading.since <= tower.clock.now()
    await tower.poll()
    assert tower.bps()["l1"] == 10
    assert [len(rows) for rows in tower.observer.history().values()] == [1, 1, 1]


async def test_a_clock_that_steps_forward_makes_one_gap(tower: Watchtower) -> None:
    await tower.poll(3)
    tower.clock.step(3600)
    await tower.poll()
    assert "one of them was set" in str(tower.bps()["l1"])
    await tower.poll()
    assert tower.bps()["l1"] == 10


async def test_with_a_full_disk_polling_goes_on_and_the_trouble_is_told_once(tower: Watchtower) -> None:
    await tower.poll(2)
    tower.store.fail_with = DiskFull("teagent.db cannot grow", hint="free space")
    with capture_logs() as logs:
        await tower.poll(3)
        assert tower.bps() == {"l1": 10, "l2": 20, "l3": 30}
        assert tower.observer.store_trouble == "teagent.db cannot grow"
        tower.store.fail_with = None
        await tower.poll()
    assert tower.observer.store_trouble == ""
    assert [line["event"] for line in logs] == ["utilisation cannot be stored", "utilisation is stored again"]
    assert tower.observer.counters["store_failures"] == 3


async def test_a_restart_remembers_the_history(tower: Watchtower) -> None:
    await tower.poll(4)
    tower.build()
    await tower.observer.load()
    assert [len(rows) for rows in tower.observer.history().values()] == [3, 3, 3]
    assert set(tower.bps().values()) == {"not polled yet"}


async def test_a_history_holds_no_more_than_its_span(tower: Watchtower) -> None:
    await tower.poll(400)
    rows = tower.observer.history()["l1"]
    assert (rows[-1].at - rows[0].at).total_seconds() == 3600


async def test_an_average_over_too_little_is_no_data(tower: Watchtower) -> None:
    await tower.poll(3)
    now = tower.clock.now()
    covered = tower.observer.average("l1", since=tower.observer.history()["l1"][0].at, until=now)
    assert isinstance(covered, Utilisation)
    early = tower.observer.average("l1", since=now.replace(hour=1), until=now)
    assert isinstance(early, NoData)
    assert early.reason.startswith("readings cover 20s of")
