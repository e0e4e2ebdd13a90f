"""A file that is read again when it has changed, in a thread of its own, without a gap."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Generic, TypeVar

from teagent.errors import TeagentError
from teagent.ports import Clock, FileSource

Read = TypeVar("Read")
Made = TypeVar("Made")


class WatchedFile(ABC, Generic[Read, Made]):
    """`value` is what `make` made of the last file that could be read, None before the first. `problem` says why the
    file that is there now could not be read, and is empty while it could.
    """

    def __init__(self, *, source: FileSource[Read], make: Callable[[Read], Made], clock: Clock) -> None:
        self._source = source
        self._make = make
        self._clock = clock
        self._version: object = None
        self.value: Made | None = None
        self.loaded_at: datetime | None = None
        self.problem = ""
        self.counters: Counter[str] = Counter()

    @property
    def path(self) -> str:
        return str(self._source.path)

    async def reload(self) -> None:
        """Reads the file if it is not the one that was read last."""
        try:
            version = await asyncio.to_thread(self._source.version)
        except TeagentError as error:
            self._version = None  # what comes back may be the same file again, and is to be believed again
            self._failed(error)
            return
        if version == self._version:
            return
        self._version = version
        try:
            made = await asyncio.to_thread(lambda: self._make(self._source.read()))
        except TeagentError as error:
            self._failed(error)
            return
        self.value, self.loaded_at, self.problem = made, self._clock.now(), ""
        self.counters["loads"] += 1
        self._say_loaded(made)

    def _failed(self, error: TeagentError) -> None:
        self.counters["failures"] += 1
        if error.message != self.problem:
            kept = None if self.loaded_at is None else self.loaded_at.isoformat(timespec="seconds")
            self._say_problem(error, kept)
        self.problem = error.message

    @abstractmethod
    def _say_loaded(self, made: Made) -> None: ...

    @abstractmethod
    def _say_problem(self, error: TeagentError, kept_since: str | None) -> None: ...
