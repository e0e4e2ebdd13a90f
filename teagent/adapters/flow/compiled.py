"""The compiled way to read sFlow and to count records, where numba can be had: made ready beside the intake, which
goes on without it.

What is compiled stays in numba's cache. A process of its own puts it there: that takes seconds, in which the
interpreter of this one would be busy, and memory, which would stay; and where numba does not work it is only that
process that fails.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from teagent.engine.measure.counting import Count
from teagent.wire.flow.sflow_pass import OnePass

EXTRA = "numba"
COMPILE = """
import contextlib, os
with contextlib.suppress(OSError):  # the shipped unit forbids it
    os.nice(10)
from teagent.engine.measure.counting_compiled import CompiledCount
from teagent.wire.flow.sflow_compiled import CompiledPass
CompiledPass(), CompiledCount()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotCompiled:
    """Why sFlow goes on being read by numpy, though numba is installed."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """`count`, and each pass, is for one thread at a time; a pass is for one exporter."""

    new_pass: Callable[[], OnePass]
    count: Count


Outcome: TypeAlias = Compiled | NotCompiled


class Preparation:
    """Begun once. When it has ended, `done` is called by a thread of its own; but neither after `stop`, nor where numba
    is not installed, of which there is nothing to be said.
    """

    def __init__(self, done: Callable[[Outcome], object]) -> None:
        self._done = done
        self._thread: threading.Thread | None = None
        self._compiler: subprocess.Popen[str] | None = None
        self._stopped = False
        self._lock = threading.Lock()  # guards the three above it

    def begin(self) -> None:
        with self._lock:
            if self._thread is None and not self._stopped:
                self._thread = threading.Thread(target=self._run, name="sflow compiler", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            thread = self._thread
            if self._compiler is not None:
                self._compiler.kill()
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        if importlib.util.find_spec(EXTRA) is None:
            return
        outcome = self._outcome()
        if not self._stopped:
            self._done(outcome)

    def _outcome(self) -> Outcome:
        try:
            with self._lock:
                if self._stopped:
                    return NotCompiled(reason="stopped")
                self._compiler = compiler()
            _, told = self._compiler.communicate()
        except OSError as error:
            return NotCompiled(reason=str(error))
        if self._compiler.returncode:
            return NotCompiled(reason=(told.strip() or f"it ended with {self._compiler.returncode}").splitlines()[-1])
        return loaded()


def compiler() -> subprocess.Popen[str]:
    """Fills the cache, and ends at once where it is filled. Raises OSError."""
    return subprocess.Popen(
        [sys.executable, "-P", "-c", COMPILE], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def loaded() -> Outcome:
    """What the cache has. Takes a few tenths of a second and some 64 MiB, or much longer where it has nothing."""
    try:
        from teagent.engine.measure.counting_compiled import CompiledCount
        from teagent.wire.flow.sflow_compiled import CompiledPass

        CompiledPass()
        return Compiled(new_pass=CompiledPass, count=CompiledCount())
    except Exception as error:  # noqa: BLE001  whatever it is that does not work in numba, there is the other way
        return NotCompiled(reason=f"{type(error).__name__}: {error}")
