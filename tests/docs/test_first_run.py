"""docs/tutorial/first-run.md, as a reader runs it: every command, in its order, in one bash session on a lab.

What the page shows is held against what the commands said: every shown line must have been said, in that order, with
figures, times and ids left open. AS paths, prefixes, states and words are not.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from labs.runner import destroy
from labs.runner.images import missing_tools
from tests.docs.pages import CHECKOUT, DOCS, Block, blocks

PAGE = DOCS / "tutorial" / "first-run.md"
BLOCK_SECONDS = 90
"""What a block waits for comes within half of this, or never."""
MARK = "--- block of line"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    commands: Block
    shown: Block | None


def steps() -> list[Step]:
    page = list(blocks(PAGE.read_text(encoding="utf-8")))
    return [
        Step(commands=block, shown=after if after is not None and after.language == "text" and after.follows else None)
        for block, after in zip(page, [*page[1:], None], strict=True)
        if block.language == "sh"
    ]


def script() -> str:
    parts = ["set -euo pipefail"]
    for step in steps():
        parts += [f"echo '{MARK} {step.commands.line}'", step.commands.text]
    return "\n".join([*parts, f"echo '{MARK} 0'", ""])


_OPEN = (
    (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME"),
    (r"\bp-[0-9a-f]{4,}\b", "ID"),
    (r"\b(plan|PLAN) +[0-9a-f]{6}\b", r"\1 DIGEST"),
    (r"^[0-9a-f]{6} \*", "DIGEST *"),
    (r"(?<= )[0-9a-f]{6}(?=  )", "DIGEST"),
    (r'(": )[0-9.]+', r"\1N"),
    # the 95th percentile: a dash until five minutes by the clock are full
    (r"(\d[kMG] +\d+) +(?:-|\d+(?:\.\d+)?[kMG])(?= +-  )", r"\1  P95"),
    (r"-\d+/\+\d+", "BAND"),
    (r"\b(\d+(\.\d+)?(ms|[dhms]))+\b", "AGE"),
    (r"\b\d+(\.\d+)?[kMG]\b", "RATE"),
    (r"\b\d+(\.\d+)?%", "SHARE"),
    (r"\b\d+\.\d+(?![.\d/])\b", "N"),
    # alone in a right-aligned column
    (r"(?<=  )\d+(?=  )", "N"),
    (r"\s+", " "),
)


def shape(line: str) -> str:
    """The line with everything open that is another each time."""
    for pattern, replacement in _OPEN:
        line = re.sub(pattern, replacement, line)
    return line.strip()


def unsaid(shown: str, said: str) -> list[str]:
    """The lines shown that were not said, or not in this order."""
    rest = iter([shape(line) for line in said.splitlines()])
    return [line for line in shown.splitlines() if line.strip() and shape(line) not in rest]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("transit-a  10.0M  100%  4.21M  42% -13/+58  70%", "transit-a  9.98M   99%  4.5M   45% -9/+55  70%"),
        (
            "p-a97c  pending  transit-a-relief  39a52c  2  8.30M  3s",
            "p-01ff  pending  transit-a-relief  0d4a5b  2  8M  1m3s",
        ),
        ("transit-a  10M  10.0M  100    -       -   2s", "transit-a  10M  9.98M   99  10.0M       -   1s"),
        ('"sent": 414, "loss": 0.2633}', '"sent": 5, "loss": 0.1}'),
    ],
)
def test_figures_times_and_ids_may_differ(one: str, other: str) -> None:
    assert shape(one) == shape(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("*> 11.0.0.0/24  192.0.2.1  0  65000 65000 i", "*> 11.0.0.0/24  192.0.2.1  0  65000 i"),
        ("*> 11.0.0.0/24  192.0.2.1  0  65000 i", "*> 10.0.0.0/24  192.0.2.1  0  65000 i"),
        ("p-a97c  pending  transit-a-relief", "p-a97c  stale  transit-a-relief"),
        (
            "transit-a: 192.0.2.2 AS64501 will see AS path 65000",
            "transit-a: 192.0.2.2 AS64501 will see AS path 65000 65000",
        ),
        ("exit code 5", "exit code 6"),
        ("transit-a  10M  10.0M  100    -       -   2s", "transit-a  10M  -  -    -       -   2s"),
    ],
)
def test_paths_states_and_codes_may_not_differ(one: str, other: str) -> None:
    assert shape(one) != shape(other)


def test_a_line_that_nobody_said_and_one_out_of_order_are_found() -> None:
    assert unsaid("b\nc", "a\nb\nc") == []
    assert unsaid("b\nx", "a\nb\nc") == ["x"]
    assert unsaid("c\nb", "a\nb\nc") == ["b"]


def test_the_page_has_commands_and_shows_what_they_say() -> None:
    assert len(steps()) > 15
    assert sum(step.shown is not None for step in steps()) > 12


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, str]]:
    """What the commands of each block said, by the block's line."""
    if os.geteuid() != 0:
        pytest.skip("needs root for network namespaces")
    if lacking := missing_tools():
        pytest.skip(f"not installed: {', '.join(program for program, _ in lacking)}")
    if not (CHECKOUT / ".venv" / "bin" / "teagent").exists():
        pytest.skip("there is no .venv: make setup")
    directory = tmp_path_factory.mktemp("first-run")
    file = directory / "first-run.sh"
    file.write_text(script(), encoding="utf-8")
    lab = f"t{os.getpid()}-first-run"
    try:
        yield by_line(run(file, lab, directory))
    finally:
        destroy(lab)


def run(file: Path, lab: str, directory: Path) -> str:
    log = directory / "said"
    with log.open("w") as output:
        shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc", str(file)],
            cwd=CHECKOUT,
            env={**os.environ, "TEAGENT_LAB": lab, "TMPDIR": str(directory), "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            how = watch(shell, log)
        finally:
            if shell.poll() is None:
                os.killpg(shell.pid, signal.SIGKILL)
                shell.wait()
    text = log.read_text(encoding="utf-8", errors="replace").replace(lab, "two-transit")
    if how:
        logs = [f"--- {path.name}\n{path.read_text()[-2000:]}" for path in directory.glob("tmp.*/*.log")]
        pytest.fail("\n".join([f"the tutorial {how}; the end of what was said:", text[-3000:], *logs]))
    return text


def watch(shell: subprocess.Popen[bytes], log: Path) -> str:
    """Waits for the end; how it went wrong, or nothing."""
    block, since = "", time.monotonic()
    while True:
        try:
            code = shell.wait(timeout=1)
        except subprocess.TimeoutExpired:
            now = log.read_text(encoding="utf-8", errors="replace").rpartition(MARK)[2].partition("\n")[0]
            if now != block:
                block, since = now, time.monotonic()
            elif time.monotonic() - since > BLOCK_SECONDS:
                return f"has been in the block of line{block} for {BLOCK_SECONDS}s"
        else:
            return f"ended with {code}" if code else ""


def by_line(text: str) -> dict[int, str]:
    parts = re.split(rf"^{MARK} (\d+)\n", text, flags=re.MULTILINE)
    return {int(line): said for line, said in zip(parts[1::2], parts[2::2], strict=True)}


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.parametrize("step", [step for step in steps() if step.shown], ids=lambda step: f"line{step.commands.line}")
def test_what_the_page_shows_is_what_its_commands_say(step: Step, said: dict[int, str]) -> None:
    assert step.shown is not None
    answer = said[step.commands.line]
    assert unsaid(step.shown.text, answer) == [], answer


@pytest.mark.lab
@pytest.mark.slow
def test_every_command_of_the_page_has_run_to_the_end(said: dict[int, str]) -> None:
    assert list(said) == [*(step.commands.line for step in steps()), 0]


@pytest.mark.lab
@pytest.mark.slow
def test_the_page_leaves_no_namespace_behind(said: dict[int, str]) -> None:
    assert said[0] == ""
    assert [path.name for path in Path("/run/netns").glob(f"t{os.getpid()}-first-run*")] == []
