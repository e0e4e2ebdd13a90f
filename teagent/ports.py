"""What the services need of the world, as Protocols owned by the core."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol, TypeVar

from teagent.model.advice import ModelState, Prompt, Reply
from teagent.model.announcement import AnnouncementSet, HeldOverride, Override
from teagent.model.audit import ChainRow
from teagent.model.bgp import Prefix
from teagent.model.link import CounterSample, Interface, NoData, Utilisation
from teagent.model.plan import Decision
from teagent.model.proposal import Proposal
from teagent.model.scorecard import Scorecard
from teagent.model.traffic import Column, FlowBatch, MatrixSpan, TrafficMatrix
from teagent.model.witness import Sighting, WitnessKind

T_co = TypeVar("T_co", covariant=True)


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware, UTC; may step."""

    def monotonic(self) -> float:
        """Seconds; never steps back."""

    async def sleep(self, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RouterReading:
    """One poll of one router: its interfaces and, for each, the counters (absent where the agent had none).

    `sys_uptime_seconds` is None where the agent keeps no time.
    """

    router: str
    at: datetime
    sys_uptime_seconds: float | None
    sys_name: str
    interfaces: tuple[Interface, ...]
    counters: Mapping[int, CounterSample]
    pdus: int
    seconds: float
    oddities: tuple[str, ...] = ()


class Telemetry(Protocol):
    """Reads routers (SNMP)."""

    async def read(self, router: str) -> RouterReading:
        """Raises TelemetryError (SnmpTimeout, SnmpAuthFailed, ...)."""

    async def stop(self) -> None: ...


class FlowSource(Protocol):
    """Where decoded flow records come from. `take` never blocks."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def take(self) -> Sequence[FlowBatch]:
        """All batches decoded since the last call."""

    def resume(self, since: datetime | None, now: datetime) -> datetime:
        """Before `start`. What came up to `since` has been counted; a source that remembers goes on from there, as far
        as it can. Returns from when on it will tell: when the first window opens.
        """

    def told_until(self, now: datetime) -> datetime:
        """Up to when all flows have been taken: `now` itself where they are told as they come."""

    def trouble(self) -> str:
        """Why nothing comes, empty while there is no reason."""

    def dropped(self) -> Mapping[str, int]:
        """What was lost on our side since the beginning, by reason."""

    def exporters(self) -> Sequence[ExporterHealth]:
        """All that are configured, heard or not."""


class FileSource(Protocol[T_co]):
    """A file that is read again when it changes. Both calls block, and raise TeagentError where it cannot be read."""

    @property
    def path(self) -> Path: ...
    def version(self) -> object:
        """Equal as long as the file is the same."""

    def read(self) -> T_co: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ExporterHealth:
    """Counts are since the beginning. `expected` is what `lost` is a share of: received and lost, in the units of the
    protocol's sequence numbers. None is what is not known, or what the protocol does not have.
    """

    exporter: str
    router: str | None
    protocol: str
    last_at: datetime | None
    datagrams: int
    records: int
    lost: int  # by sequence numbers
    undecoded: Mapping[str, int]  # reason -> datagrams or sets
    sampling_rate: float | None
    templates: int
    awaiting_template: int
    last_template_at: datetime | None = None
    sequence_gaps: int = 0
    expected: int = 0
    clock_skew_seconds: float | None = None  # the exporter's clock less ours
    active_timeout_seconds: float | None = None  # 1 in 20 octets comes in records that sum up this time or more
    future_share: float = 0.0  # of the records, those that end in the future
    samples: int = 0  # sFlow's flow samples that came
    samples_lost: int = 0  # by their own sequence numbers
    samples_dropped: int = 0  # by the exporter itself, as it says


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighborState:
    address: str
    state: str  # up, down, unknown
    since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeakerState:
    """What the relay holds and to whom it can speak."""

    overrides: tuple[HeldOverride, ...]
    neighbors: tuple[NeighborState, ...]
    frozen: bool
    counters: Mapping[str, int]
    freeze_file: bool = False
    """The relay sees the operator's freeze file; `frozen` is then true as well."""
    allow_list: str | None = None
    """Hex SHA-256 of the file that the relay goes by; None while it has none, `allow_list_problem` says why."""
    allow_list_problem: str = ""


class Speaker(Protocol):
    """Announces overrides. Every method raises SpeakerDown, NotAcknowledged or SpeakerRejected."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def announce(self, override: Override, *, owner: str, deadline: datetime | None) -> None: ...
    async def withdraw(self, prefix: Prefix, *, owner: str) -> None:
        """Back to home; withdrawing what is not there is done already."""

    async def confirm(self, prefix: Prefix, *, owner: str) -> None:
        """Clears the deadline."""

    async def repeat(self) -> None:
        """Tells the routers again what they were told: they answer for it anew. Nothing else hears of it."""

    async def state(self) -> SpeakerState: ...
    async def freeze(self, *, frozen: bool) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSeen:
    """A BGP session of a router, as the router tells."""

    address: str
    asn: int
    up: bool
    since: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessHealth:
    """One router's account, by one of its ways to tell. `told`: its whole table has come. `routes` are those of our own
    prefixes.
    """

    router: str
    kind: WitnessKind
    connected: bool
    since: datetime
    reason: str
    told: bool
    system: str
    messages: int
    undecoded: int
    routes: int
    sessions: tuple[SessionSeen, ...]


class Witness(Protocol):
    """Sees what the routers hold of what the speaker tells them. Looking never blocks."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def sighting(self, router: str, prefix: Prefix) -> Sighting | NoData:
        """NoData, with a reason that follows the router's name, while the router tells nothing."""

    def health(self) -> Sequence[WitnessHealth]:
        """Of every router that is expected to tell."""

    def strangers(self) -> frozenset[str]:
        """Addresses that wanted to tell something and were not listened to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """A row of the log: what happened, to what, by whom."""

    at: datetime
    kind: str
    actor: str
    subject: str
    message: str
    fields: Mapping[str, object]


CHAINS = ("proposal_event", "event")
"""The two histories of a store: what became of proposals, and the log."""


class LearnedKind(StrEnum):
    """What is kept as arrays: what windows showed, the model made of it, predictions that are to be scored, and what
    could not be read any more.
    """

    OBSERVATION = "observation"
    INGRESS_MODEL = "ingress_model"
    PREDICTION = "prediction"
    SET_ASIDE = "set_aside"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LearnedRow:
    """`arrays` is None where they cannot be read."""

    key: str
    at: datetime
    arrays: Mapping[str, Column] | None


class Store(Protocol):
    """Durable state. Every write is committed when the call returns. Raises StoreError."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...

    # utilisation
    async def add_utilisation(self, rows: Sequence[Utilisation]) -> None: ...
    async def utilisation(self, *, since: datetime, until: datetime, link: str | None = None) -> Sequence[Utilisation]:
        """Raw rows where kept, oldest first; roll-ups before that."""

    async def five_minute_buckets(self, *, link: str, since: datetime, until: datetime) -> Sequence[Utilisation]: ...

    # matrix
    async def add_matrix(self, matrix: TrafficMatrix, *, span: MatrixSpan = MatrixSpan.WINDOW) -> None:
        """Those of an hour are made by `prune`."""

    async def latest_matrix(self, *, span: MatrixSpan = MatrixSpan.WINDOW) -> TrafficMatrix | None: ...
    async def matrices(
        self, *, since: datetime, until: datetime, span: MatrixSpan = MatrixSpan.WINDOW
    ) -> Sequence[TrafficMatrix]:
        """Oldest first."""

    # proposals
    async def add_proposal(self, proposal: Proposal, *, events: Sequence[StoredEvent] = ()) -> None: ...
    async def save_proposals(self, *proposals: Proposal, events: Sequence[StoredEvent] = ()) -> None:
        """New state and appended history of all, and what the log says of it, in one transaction; history rows that
        exist are never changed.
        """

    async def proposal(self, id: str) -> Proposal | None: ...  # noqa: A002
    async def proposals(self, *, live_only: bool = False, limit: int = 200) -> Sequence[Proposal]:
        """Newest first."""

    async def proposal_ids(self) -> Sequence[str]:
        """Of all that were ever stored, so that no id is given twice."""

    # decisions, for `policy explain`
    async def save_decision(self, decision: Decision) -> None: ...
    async def last_decision(self, policy: str) -> Decision | None: ...

    # what was learned and predicted
    async def keep_learned(self, kind: LearnedKind, key: str, at: datetime, arrays: Mapping[str, Column]) -> None:
        """In the place of what the key had before; of each kind a number is kept, the newest."""

    async def learned(
        self, kind: LearnedKind, *, since: datetime | None = None, limit: int = 1000
    ) -> Sequence[LearnedRow]:
        """The newest, oldest of them first."""

    async def forget_learned(self, kind: LearnedKind, keys: Collection[str]) -> None: ...
    async def set_learned_aside(self, kind: LearnedKind, key: str) -> None:
        """Out of the way, and not lost."""

    async def add_scorecard(self, card: Scorecard) -> None: ...
    async def scorecards(self, *, since: datetime, limit: int = 1000) -> Sequence[Scorecard]:
        """Those that ended after `since`, oldest first; the newest `limit`."""

    # the log and small facts
    async def log(self, event: StoredEvent) -> None: ...
    async def events(self, *, limit: int = 200, subject: str | None = None) -> Sequence[StoredEvent]: ...
    async def chain_rows(self, chain: str, *, after: int, limit: int) -> Sequence[ChainRow]:
        """Rows of one of CHAINS behind position `after`, in the order in which they were written."""

    async def set_fact(self, key: str, value: object) -> None: ...
    async def fact(self, key: str) -> object: ...

    async def prune(self, *, now: datetime) -> Mapping[str, int]:
        """Rolls up and deletes by retention; returns rows deleted by table."""


class Advisor(Protocol):
    """A language model. Both calls raise AdvisorError and nothing else, within a deadline of their own."""

    @property
    def model(self) -> str: ...
    async def state(self) -> ModelState:
        """What the server says of the model."""

    async def ask(self, prompt: Prompt) -> Reply:
        """One answer, not to be believed. Being cancelled ends the server's work on it as well."""


class LiveView(Protocol):
    """What is announced as far as we know: home plus the overrides held."""

    def live(self) -> AnnouncementSet | NoData: ...


class Notifier(Protocol):
    """Tells the service manager."""

    def ready(self) -> None: ...
    def stopping(self) -> None: ...
    def watchdog(self) -> None: ...
    def status(self, text: str) -> None: ...
    def reloading(self) -> None: ...
