"""What an exporter has told so far, within bounds."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from teagent.wire.flow.layout import Layout
from teagent.wire.flow.limits import Limits
from teagent.wire.flow.records import Domain, RecordSet, Undecoded, record_set
from teagent.wire.flow.sampling import SamplingRates
from teagent.wire.flow.sequence import Sequences
from teagent.wire.flow.template import Template

DomainKey: TypeAlias = tuple[int, int]
MOST_REFUSALS: Final = 128


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """A data set that waits for its template."""

    at: float
    body: bytes
    exported_at: float
    boot: float


class ExporterState:
    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.changes = 0  # of domains, their templates and rates
        self.undecoded: Counter[str] = Counter()
        self.refusals: deque[tuple[str, str]] = deque(maxlen=MOST_REFUSALS)  # the last ones, with the reason in words
        self.template_at: float | None = None  # unix time of the last one
        self._domains: dict[DomainKey, Domain] = {}
        self._age: dict[tuple[DomainKey, int], None] = {}  # templates, the one refreshed longest ago first
        self._held: dict[tuple[DomainKey, int], deque[Held]] = {}
        self._held_sets = 0
        self._held_octets = 0

    @property
    def templates(self) -> int:
        return len(self._age)

    @property
    def awaiting_template(self) -> int:
        return self._held_sets

    def known(self, version: int, number: int) -> Domain | None:
        """The domain, if it has been heard of, without counting that as a use."""
        return self._domains.get((version, number))

    def domain(self, version: int, number: int) -> Domain:
        """The most recently used ones are kept."""
        key = (version, number)
        domain = self._domains.pop(key, None)
        if domain is None:
            self.changes += 1
            if len(self._domains) >= self.limits.max_domains:
                oldest = next(iter(self._domains))
                for template in self._domains.pop(oldest).layouts:
                    del self._age[oldest, template]
            domain = Domain(
                version=version,
                number=number,
                layouts={},
                rates=SamplingRates(self.limits.max_samplers // self.limits.max_domains),
                sequences=Sequences(),
                boot=math.nan,
            )
        self._domains[key] = domain
        return domain

    def refuse(self, reason: Undecoded, text: str) -> None:
        """Something could not be decoded."""
        self.undecoded[reason] += 1
        self.refusals.append((reason, text))

    def held(self) -> dict[tuple[int, int, int], int]:
        """How many data sets wait for their template, by (version, domain, template)."""
        return {(*domain, template): len(queue) for (domain, template), queue in self._held.items()}

    def define(self, domain: Domain, template: Template) -> Layout:
        """A template arrived: new, refreshed or changed. The one refreshed longest ago gives way."""
        key = ((domain.version, domain.number), template.id)
        known = domain.layouts.get(template.id)
        self._age.pop(key, None)
        self._age[key] = None
        if (
            known is not None
            and known.template.fields == template.fields
            and known.template.options == template.options
        ):
            return known
        self.changes += 1
        layout = domain.layouts[template.id] = Layout(template)
        if len(self._age) > self.limits.max_templates:
            oldest, number = next(iter(self._age))
            del self._age[oldest, number]
            del self._domains[oldest].layouts[number]
        return layout

    def withdraw(self, domain: Domain, template: int) -> None:
        """RFC 7011 section 8.1: ids 2 and 3 withdraw all templates, or all options templates, of the domain."""
        self.changes += 1
        for number, layout in list(domain.layouts.items()):
            if number == template or (template in {2, 3} and layout.template.options == (template == 3)):
                del domain.layouts[number]
                del self._age[(domain.version, domain.number), number]

    def hold(self, domain: Domain, template: int, held: Held) -> None:
        """Keeps a data set until its template comes; the oldest give way and are counted as lost for want of it."""
        if len(held.body) > self.limits.max_pending_octets:
            self.refuse(
                Undecoded.NO_TEMPLATE, f"{len(held.body)} octets of data before template {template} are too many"
            )
            return
        self._held.setdefault(((domain.version, domain.number), template), deque()).append(held)
        self._held_sets += 1
        self._held_octets += len(held.body)
        while self._held_sets > self.limits.max_pending_sets or self._held_octets > self.limits.max_pending_octets:
            self._drop(next(iter(self._held)))

    def expire(self, now: float) -> None:
        for key in list(self._held):
            queue = self._held[key]
            while queue and now - queue[0].at > self.limits.max_pending_seconds:
                self._drop(key)

    def _drop(self, key: tuple[DomainKey, int]) -> None:
        queue = self._held[key]
        self._forget(queue.popleft())
        (version, domain), template = key
        self.refuse(
            Undecoded.NO_TEMPLATE, f"template {template} of version {version}, domain {domain}, has not come in time"
        )
        if not queue:
            del self._held[key]

    def _forget(self, held: Held) -> None:
        self._held_sets -= 1
        self._held_octets -= len(held.body)

    def release(self, domain: Domain, layout: Layout) -> Iterator[RecordSet]:
        """What has waited for this template."""
        for held in self._held.pop(((domain.version, domain.number), layout.template.id), ()):
            self._forget(held)
            yield record_set(domain, layout, held.body, exported_at=held.exported_at, boot=held.boot)
