"""Bounds that hold whatever an exporter sends."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Per exporter. What goes over a bound displaces the oldest of its kind, or is refused and counted."""

    max_domains: int = 64  # observation domains (IPFIX), source ids (v9), engines (v5)
    max_templates: int = 1024  # over all domains
    max_new_templates: int = 512  # in one datagram
    max_fields: int = 512  # in one template
    max_samplers: int = 1024  # and interfaces with a sampling rate of their own, of one domain
    max_record_octets: int = 65_507  # what a UDP datagram can hold
    max_pending_sets: int = 256  # data sets whose template has not come yet
    max_pending_octets: int = 1 << 20
    max_pending_seconds: float = 60.0  # older data is of another window
