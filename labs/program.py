"""What the programs that run a whole lab have in common: they need root, show where they are, and leave nothing."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from labs.runner import LabError
from teagent.errors import TeagentError

console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)


@contextmanager
def waiting(what: str, seconds: float) -> Iterator[Any]:
    """A bar on a terminal, nothing in a pipe."""
    with Progress(
        TextColumn("    {task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not sys.stdout.isatty(),
    ) as progress:
        task = progress.add_task(what, total=seconds)
        yield lambda elapsed: progress.update(task, completed=elapsed)


def percent(share: float | None) -> str:
    return "no data" if share is None else f"{share * 100:.1f}%"


def run(body: Callable[[Path], int], *, what: str, target: str, logs: Path | None) -> int:
    """The exit code of `body`, which is given a directory for logs: `logs`, or one that is gone afterwards.

    `what` is how it is called in words, `target` make's. Errors are said with their hints.
    """
    if os.geteuid() != 0:
        print(f"error: {what} needs root, for network namespaces", file=sys.stderr)
        print(f"hint:  make {target}, which asks sudo; or run it as root", file=sys.stderr)
        return 1
    before = signal.signal(signal.SIGTERM, _interrupted)
    try:
        with tempfile.TemporaryDirectory(prefix=f"teagent-{target}-") as scratch:
            directory = logs or Path(scratch)
            directory.mkdir(parents=True, exist_ok=True)
            return body(directory)
    except (LabError, TeagentError) as error:
        print(f"error: {error}", file=sys.stderr)
        if getattr(error, "hint", None):
            print(f"hint:  {error.hint}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the lab is gone", file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupted(_signal: int, _frame: object) -> None:
    # as with control-C: what was brought up is taken down
    raise KeyboardInterrupt
