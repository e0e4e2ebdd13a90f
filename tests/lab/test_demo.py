"""`make demo`, as it is run by a script and as it is run by a person, and what it leaves behind: nothing."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pty
import re
import select
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Self

import pytest

from labs.runner.state import ROOT as LABS_RUNNING

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.usefixtures("root")]

AT_MOST_SECONDS = 240
PR_SET_CHILD_SUBREAPER = 36


class Orphanage:
    """Processes whose parents die become children of this process, instead of vanishing from its sight."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._before = children()
        self._done = threading.Event()
        self._own: int | None = None
        self._thread = threading.Thread(target=self._reap)

    def __enter__(self) -> Self:
        assert self._libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
        self._done.set()
        self._thread.join()

    def leave(self, pid: int) -> None:
        """Its parent waits for it."""
        self._own = pid

    def _reap(self) -> None:
        # The dead are to go at once, as they do where process 1 is the one who adopts.
        while not self._done.wait(0.02):
            for pid in children() - self._before - {self._own}:
                with contextlib.suppress(ChildProcessError, FileNotFoundError):
                    if is_dead(pid):
                        os.waitpid(pid, 0)

    def alive(self) -> dict[int, str]:
        found = {}
        for pid in children() - self._before - {self._own}:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if not is_dead(pid):
                    found[pid] = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
        return found


def is_dead(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"


def children() -> set[int]:
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


def namespaces(instance: str) -> list[str]:
    made = Path("/run/netns")
    return [place.name for place in made.iterdir() if place.name.startswith(f"{instance}-")] if made.is_dir() else []


def environment(scratch: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(scratch), "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1"}


def assert_nothing_is_left(pid: int, scratch: Path, orphanage: Orphanage) -> None:
    instance = f"demo-{pid}"
    assert namespaces(instance) == []
    assert not (LABS_RUNNING / instance).exists()
    assert list(scratch.iterdir()) == []
    assert orphanage.alive() == {}


def test_without_a_terminal_it_does_the_whole_job_and_leaves_nothing(tmp_path: Path) -> None:
    with Orphanage() as orphanage:
        demo = subprocess.Popen(
            [sys.executable, "-m", "labs.demo"],
            cwd=ROOT,
            env=environment(tmp_path),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        orphanage.leave(demo.pid)
        try:
            out, err = demo.communicate(timeout=AT_MOST_SECONDS)
        except subprocess.TimeoutExpired:
            demo.terminate()
            out, err = demo.communicate(timeout=60)
            pytest.fail(f"not within {AT_MOST_SECONDS}s\n{out[-3000:]}\n{err[-2000:]}")
        assert (demo.returncode, err) == (0, ""), f"{out[-3000:]}\n{err[-2000:]}"
        assert_nothing_is_left(demo.pid, tmp_path, orphanage)
    assert re.search(r"LINK +BEFORE +PREDICTED +BAND +HAPPENED +WITHIN", out)
    assert re.search(r"transit-a .* yes", out)
    assert re.search(r"transit-b .* yes", out)
    assert re.search(r"HOST +TOWARDS +LOSS BEFORE +LOSS AFTER", out)
    assert re.search(r"10\.0\.0\.0/24 +[1-9][0-9.]*% +0\.0%", out)
    assert "missed:" not in out


def test_a_person_who_says_no_sees_nothing_announced_and_nothing_left(tmp_path: Path) -> None:
    with Orphanage() as orphanage:
        master, slave = pty.openpty()
        demo = subprocess.Popen(
            [sys.executable, "-m", "labs.demo"],
            cwd=ROOT,
            env={**environment(tmp_path), "TERM": "xterm"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        orphanage.leave(demo.pid)
        os.close(slave)
        try:
            shown = answer(master, rb"approve p-[0-9a-f]+\? \[y/N\]: ", b"n\n")
        finally:
            os.close(master)
            try:
                demo.wait(timeout=60)
            except subprocess.TimeoutExpired:
                demo.terminate()
                demo.wait(timeout=60)
        assert demo.returncode == 0, shown[-3000:]
        assert_nothing_is_left(demo.pid, tmp_path, orphanage)
    assert "rejected: nothing has been announced" in shown
    assert "5/7" not in shown


def answer(terminal: int, question: bytes, words: bytes) -> str:
    """What is shown until the end; the question is answered once."""
    shown, asked, deadline = b"", False, time.monotonic() + AT_MOST_SECONDS
    while time.monotonic() < deadline:
        readable, _, _ = select.select([terminal], [], [], 1.0)
        if not readable:
            continue
        try:
            more = os.read(terminal, 65536)
        except OSError:  # the other end is closed: the program has ended
            break
        if not more:
            break
        shown += more
        if not asked and re.search(question, shown):
            os.write(terminal, words)
            asked = True
    assert asked, shown.decode(errors="replace")[-3000:]
    return shown.decode(errors="replace")
