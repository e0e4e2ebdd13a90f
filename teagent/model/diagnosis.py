"""What `teagent doctor` finds: each thing that teagent rests on, and whether it is so."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """From bad to good."""

    WRONG = "wrong"
    ASSUMED = "assumed"  # nothing here can tell
    PROVEN = "proven"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """`check` is one word for what was looked at, `subject` what it was looked at on: a link, a prefix, an exporter.

    `router` is "" for what is no router's. `remedy` is "" where it is proven.
    """

    verdict: Verdict
    check: str
    router: str
    subject: str
    message: str
    remedy: str = ""
