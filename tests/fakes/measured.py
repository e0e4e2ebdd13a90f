"""One network and what is measured of it: links, routers, exporters, who sends what. `shown` says what follows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network

from teagent.model.bgp import Asn, Prefix
from teagent.model.link import P95, BundleMember, Interface, Link, LinkKind, NoData, Utilisation
from teagent.model.network import Network, OwnPrefix
from teagent.model.plan import TriggerStatus
from teagent.model.traffic import Demand, Source, TrafficMatrix, build_matrix
from teagent.model.witness import WitnessKind
from teagent.ports import ExporterHealth, NeighborState, RouterReading, SessionSeen, SpeakerState, WitnessHealth
from teagent.service import documents
from teagent.service.documents import Document

NOW = datetime(2026, 1, 12, 19, 40, 30, tzinfo=UTC)
EYEBALL: Prefix = ip_network("198.51.100.0/24")
HEAVY: Prefix = ip_network("203.0.113.0/24")


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def link(name: str, link_id: int, neighbor: str, peer_asn: int, *, router: str = "edge1", home: int = 0) -> Link:
    return Link(
        name=name,
        id=link_id,
        kind=LinkKind.TRANSIT,
        router=router,
        interface="xe-0/0/0",
        neighbor=ip_address(neighbor),
        peer_asn=Asn(peer_asn),
        capacity_bps=10e9,
        commit_bps=6e9 if name == "transit-a" else None,
        price_per_mbps=0.2,
        home_prepend=home,
    )


A = link("transit-a", 1, "192.0.2.9", 64510)
B = link("transit-b", 2, "192.0.2.17", 64520, router="edge2", home=1)
NETWORK = Network(
    asn=Asn(64500),
    links={"transit-a": A, "transit-b": B},
    prefixes=(
        OwnPrefix(prefix=EYEBALL, home={"transit-a": 0, "transit-b": 1}, tags=frozenset({"eyeball"}), engineer=True),
        OwnPrefix(prefix=HEAVY, home={"transit-a": 0, "transit-b": 1}, tags=frozenset({"dns"})),
    ),
)
READING_A = Utilisation(link="transit-a", at=ago(12), in_bps=9.31e9, out_bps=1.2e9, seconds=30)
READING_B = Utilisation(link="transit-b", at=ago(12), in_bps=4.02e9, out_bps=0.8e9, seconds=30)
SILENT = NoData(since=ago(120), reason="edge2 did not answer within 2s")
HISTORY_A = tuple(
    Utilisation(link="transit-a", at=ago(30 * (40 - i)), in_bps=1e8 * (50 + i), out_bps=1e9, seconds=30)
    for i in range(40)
)
P95_A = P95(link="transit-a", month="2026-01", bps=8.8e9, buckets=3300)
FIRING = TriggerStatus(
    link="transit-a", firing=True, above_since=ago(1080), in_utilisation=0.931, message="above 80% for 18m (for 15m)"
)
QUIET = TriggerStatus(
    link="transit-b", firing=False, above_since=None, in_utilisation=0.402, message="40% is below 80%"
)


def matrix() -> TrafficMatrix:
    rows = [
        Demand(source=Source(asn=64496), prefix=EYEBALL, link="transit-a", bps=3.1e9),
        Demand(source=Source(asn=64497), prefix=EYEBALL, link="transit-a", bps=1.2e9),
        Demand(source=Source(prefix="192.0.2.0/24"), prefix=HEAVY, link="transit-a", bps=4.0e9),
        Demand(source=Source(), prefix=HEAVY, link="transit-b", bps=2.0e9),
        Demand(source=Source(asn=64496), prefix=EYEBALL, link="transit-b", bps=1.0e9),
    ]
    return build_matrix(
        rows,
        at=ago(30),
        seconds=300,
        coverage={"transit-a": 0.97, "transit-b": None},
        unattributed_bps={"transit-a": 1e7},
    )


ROUTER_OK = RouterReading(
    router="edge1",
    at=ago(12),
    sys_uptime_seconds=864000.0,
    sys_name="edge1",
    interfaces=(
        Interface(
            if_index=7,
            if_name="xe-0/0/0",
            if_descr="xe-0/0/0",
            if_alias="transit-a",
            if_high_speed_bps=10e9,
            if_oper_status="up",
        ),
    ),
    counters={},
    pdus=3,
    seconds=0.041,
    oddities=("counters are 32 bits wide on xe-0/0/0",),
)
EXPORTER = ExporterHealth(
    exporter="192.0.2.1",
    router="edge1",
    protocol="ipfix",
    last_at=ago(3),
    datagrams=12000,
    records=300000,
    lost=4,
    undecoded={"no template": 2},
    sampling_rate=1000.0,
    templates=2,
    awaiting_template=0,
)
SPEAKER = SpeakerState(
    overrides=(),
    neighbors=(NeighborState(address="192.0.2.1", state="up", since=ago(3600)),),
    frozen=False,
    counters={"announced": 2},
)
WITNESS = WitnessHealth(
    router="edge1",
    kind=WitnessKind.BMP,
    connected=True,
    since=ago(3600),
    reason="",
    told=True,
    system="edge1 FRRouting 8.4.4",
    messages=4711,
    undecoded=0,
    routes=4,
    sessions=(
        SessionSeen(address="192.0.2.250", asn=64500, up=True, since=ago(3600), reason=""),
        SessionSeen(address="192.0.2.9", asn=64510, up=False, since=ago(90), reason="the peer closed it: cease"),
    ),
)

WITNESS_SESSION = WitnessHealth(
    router="edge2",
    kind=WitnessKind.IBGP,
    connected=True,
    since=ago(1800),
    reason="",
    told=True,
    system="",
    messages=42,
    undecoded=0,
    routes=2,
    sessions=(),
)

MEMBERS = (
    BundleMember(if_index=511, if_name="xe-1/0/0", if_high_speed_bps=10e9, state="up"),
    BundleMember(if_index=512, if_name="xe-1/0/1", if_high_speed_bps=10e9, state="down"),
)


def link_documents() -> list[Document]:
    return [
        documents.link_document(A, latest=READING_A, p95=P95_A, trigger=FIRING),
        documents.link_document(B, latest=SILENT, trigger=QUIET),
    ]


def router_documents() -> list[Document]:
    return [
        documents.router_document("edge1", address="192.0.2.1", links=["transit-a"], reading=ROUTER_OK),
        documents.router_document("edge2", address="192.0.2.2", links=["transit-b"], reading=SILENT),
    ]
