"""What an exporter has told so far, within bounds."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

from teagent.wire.flow.layout import Layout
from teagent.wire.flow.limits import Limits
from teagent.wire.flow.records import ANY_STREAM, Domain, RecordSet, Undecoded, record_set
from teagent.wire.flow.sampling import SamplingRates
from teagent.wire.flow.sequence import Sequences
from teagent.wire.flow.template import Template
from teagent.wire.flow.template_sets import Found

DomainKey: TypeAlias = tuple[int, int, int]
"""version, number, stream"""
MOST_REFUSALS: Final = 128


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """A data set that waits for its template."""

    at: float
    body: bytes
    exported_at: float
    boot: float


class ExporterState:
    """Templates belong to an observation domain. Where two exporting processes behind one address use one domain and
    one template id for different things, each source port (stream) has a domain of its own from then on (RFC 7011
    section 8: a template's scope is the transport session). Until then they share one, because many exporters send
    their options, or go on after a restart, from another port.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.changes = 0  # of domains, their templates and rates
        self.undecoded: Counter[str] = Counter()
        self.refusals: deque[tuple[str, str]] = deque(maxlen=MOST_REFUSALS)  # the last ones, with the reason in words
        self.template_at: float | None = None  # unix time of the last one
        self.template_sets: dict[tuple[int, int, bytes], tuple[Found, ...]] = {}  # by version, set and body
        self._domains: dict[DomainKey, Domain] = {}
        self._stream = ANY_STREAM
        self._apart: set[DomainKey] = set()  # domains of one stream
        # Templates with the stream that told them, the one refreshed longest ago first.
        self._age: dict[tuple[DomainKey, int], int] = {}
        self._held: dict[tuple[DomainKey, int], deque[Held]] = {}
        self._held_sets = 0
        self._held_octets = 0

    @property
    def templates(self) -> int:
        return len(self._age)

    @property
    def awaiting_template(self) -> int:
        return self._held_sets

    def listen(self, stream: int) -> None:
        """What is read from now on comes from this source port."""
        if stream != self._stream:
            self._stream = stream
            self.changes += bool(self._apart)

    def _key(self, version: int, number: int) -> DomainKey:
        key = (version, number, self._stream)
        return key if key in self._apart else (version, number, ANY_STREAM)

    def known(self, version: int, number: int) -> Domain | None:
        """The domain, if it has been heard of, without counting that as a use."""
        return self._domains.get(self._key(version, number))

    def domain(self, version: int, number: int) -> Domain:
        """The most recently used ones are kept."""
        key = self._key(version, number)
        domain = self._domains.pop(key, None)
        if domain is None:
            rates = SamplingRates(self.limits.max_samplers, partial(self._samplers_of_options, version))
            return self._new_domain(key, rates, Sequences())
        self._domains[key] = domain
        return domain

    def _samplers_of_options(self, version: int) -> dict[int, float]:
        """Samplers of the domains that have sent nothing but options, where they agree."""
        told: dict[int, set[float]] = {}
        for domain in self._domains.values():
            if domain.version == version and not domain.flows:
                for sampler, rate in domain.rates.of_sampler.items():
                    told.setdefault(sampler, set()).add(rate)
        return {sampler: rates.pop() for sampler, rates in told.items() if len(rates) == 1}

    def _new_domain(self, key: DomainKey, rates: SamplingRates, sequences: Sequences) -> Domain:
        self.changes += 1
        if len(self._domains) >= self.limits.max_domains:
            oldest = next(iter(self._domains))
            self._apart.discard(oldest)
            for template in self._domains.pop(oldest).layouts:
                del self._age[oldest, template]
        version, number, stream = key
        domain = Domain(
            version=version,
            number=number,
            stream=stream,
            layouts={},
            rates=rates,
            sequences=sequences,
            boot=math.nan,
        )
        self._domains[key] = domain
        return domain

    def _part(self, domain: Domain) -> Domain:
        """A domain for the stream alone, from now on. It keeps what it knew; rates and sequence numbers stay common."""
        key = (domain.version, domain.number, self._stream)
        own = self._new_domain(key, domain.rates, domain.sequences)
        own.boot = domain.boot
        own.layouts.update(domain.layouts)
        self._age |= {(key, template): self._stream for template in own.layouts}
        self._apart.add(key)
        self._shrink()
        return own

    def refuse(self, reason: Undecoded, text: str) -> None:
        """Something could not be decoded."""
        self.undecoded[reason] += 1
        self.refusals.append((reason, text))

    def held(self) -> dict[tuple[int, int, int], int]:
        """How many data sets wait for their template, by (version, domain, template)."""
        waiting: Counter[tuple[int, int, int]] = Counter()
        for ((version, domain, _), template), queue in self._held.items():
            waiting[version, domain, template] += len(queue)
        return dict(waiting)

    def define(self, domain: Domain, template: Template) -> tuple[Domain, Layout]:
        """A template arrived: new, refreshed or changed. The one refreshed longest ago gives way. Returns the domain
        that has it, which is not the one given where another stream has told of another template by this id.
        """
        known = domain.layouts.get(template.id)
        if known is not None and known.template.describes_as(template):
            self._renew(domain, template.id)
            return domain, known
        if known is not None and self._age[_key_of(domain), template.id] != self._stream:
            domain = self._part(domain)
        key = (_key_of(domain), template.id)
        self._age.pop(key, None)
        self._age[key] = self._stream
        self.changes += 1
        layout = domain.layouts[template.id] = Layout(template)
        self._shrink()
        return domain, layout

    def refresh(self, domain: Domain, templates: Iterable[int], at: float) -> None:
        """Templates that the domain has were told again."""
        self.template_at = at
        for template in templates:
            self._renew(domain, template)

    def _renew(self, domain: Domain, template: int) -> None:
        key = (_key_of(domain), template)
        self._age[key] = self._age.pop(key)

    def _shrink(self) -> None:
        while len(self._age) > self.limits.max_templates:
            oldest, number = next(iter(self._age))
            del self._age[oldest, number]
            del self._domains[oldest].layouts[number]

    def withdraw(self, domain: Domain, template: int) -> None:
        """RFC 7011 section 8.1: ids 2 and 3 withdraw all templates, or all options templates, of the domain."""
        self.changes += 1
        for number, layout in list(domain.layouts.items()):
            if number == template or (template in {2, 3} and layout.template.options == (template == 3)):
                del domain.layouts[number]
                del self._age[_key_of(domain), number]

    def hold(self, domain: Domain, template: int, held: Held) -> None:
        """Keeps a data set until its template comes; the oldest give way and are counted as lost for want of it."""
        if len(held.body) > self.limits.max_pending_octets:
            self.refuse(
                Undecoded.NO_TEMPLATE, f"{len(held.body)} octets of data before template {template} are too many"
            )
            return
        self._held.setdefault((_key_of(domain), template), deque()).append(held)
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
        (version, domain, _), template = key
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
        for held in self._held.pop((_key_of(domain), layout.template.id), ()):
            self._forget(held)
            yield record_set(domain, layout, held.body, exported_at=held.exported_at, boot=held.boot)


def _key_of(domain: Domain) -> DomainKey:
    return domain.version, domain.number, domain.stream
