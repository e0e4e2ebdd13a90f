"""The kill switch that needs neither the daemon nor this process's socket: a file that somebody put there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


class FreezeFile:
    """What is in the file does not count, nor whose it is: to freeze is always safe. `path` None: there is no such."""

    def __init__(self, path: Path | None, log: Callable[[str], None]) -> None:
        self._path = path
        self._log = log
        self._was_there = False

    def is_there(self) -> bool:
        if self._path is None:
            return False
        try:
            self._path.lstat()
            there = True
        except (FileNotFoundError, NotADirectoryError):
            there = False
        except OSError:
            there = True  # a kill switch that cannot be seen counts as thrown
        if there != self._was_there:
            self._was_there = there
            self._log(f"freeze file is {'there, frozen' if there else 'gone'}  path={self._path}")
        return there
