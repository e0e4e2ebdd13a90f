"""Something wrong, by its place in the document."""

from __future__ import annotations

from dataclasses import dataclass

from teagent.config.document import Keys


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong at `path`; `at_key` points at the key, for names that are wrong themselves."""

    path: Keys
    message: str
    at_key: bool = False
