"""The two-transit lab with the whole of teagent on it, and what its transits heard, to the microsecond."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from labs.loop import ENVIRONMENT, NODE, ClosedLoop
from labs.runner import Lab
from labs.scenario import Scenario, load_scenario, wait_for_paths
from teagent.cli.client import Client

ROOT = Path(__file__).resolve().parents[2]
LAB = ROOT / "labs" / "two-transit"
PREFIX = "10.0.0.0/24"
ATTRIBUTES = re.compile(r"^(\S+ \S+) .*?(?:path|, path) ([0-9 ]+)(?:,|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """`path` None: a withdrawal."""

    at: float  # seconds since the epoch
    node: str
    prefix: str
    path: tuple[int, ...] | None


class Loop(ClosedLoop):
    """`teagent run` with the door of tests.faults.proposer."""

    def start_daemon(self) -> None:
        log = self._log("teagent")
        self._daemon = self.lab.node(NODE).popen(
            [sys.executable, "-m", "tests.faults.proposer", str(self.config)],
            env={**ENVIRONMENT, "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )

    def client(self) -> Client:
        """From outside of the node, without the start of a process."""
        assert self._daemon is not None
        inside = self._daemon._children()[0]
        return Client(Path(f"/proc/{inside}/root/run/teagent/teagent.sock"), timeout_seconds=20)

    def propose(self, vector: tuple[int, int], *, prefix: str = PREFIX) -> str:
        a, b = vector
        return str(self.client().call("plan.compute", policy=f"{prefix} {a} {b}", propose=True)["id"])


class Ears:
    """What the transits' bgpd logs of UPDATEs from our edge."""

    def __init__(self, lab: Lab, scenario: Scenario) -> None:
        self._lab = lab
        self._links = scenario.links
        for link in scenario.links:
            lab.node(link.node).run(
                [
                    *("vtysh", "-c", "configure terminal", "-c", "log file /var/log/frr/frr.log debugging"),
                    *("-c", "log timestamp precision 6", "-c", "debug bgp updates in", "-c", "end"),
                ]
            )

    def heard(self, since: float, prefix: str = PREFIX) -> list[Heard]:
        rows: list[Heard] = []
        for link in self._links:
            path: tuple[int, ...] = ()
            for line in self._lab.node(link.node).run("cat /var/log/frr/frr.log").stdout.splitlines():
                if link.neighbor not in line or len(line) < 26:
                    continue
                if found := re.search(r"path ([0-9][0-9 ]*)", line):
                    path = tuple(map(int, found[1].split()))
                gone = re.search(r"rcvd UPDATE about (\S+) \S+ \S+ -- withdrawn", line)
                came = re.search(r"rcvd (\d[0-9a-f.:/]+) IPv", line)
                told = gone or came
                if told is None or told[1] != prefix or (at := _moment(line)) < since:
                    continue
                rows.append(Heard(at=at, node=link.node, prefix=told[1], path=None if gone else path))
        return sorted(rows, key=lambda row: row.at)


def _moment(line: str) -> float:
    return datetime.strptime(line[:26], "%Y/%m/%d %H:%M:%S.%f").timestamp()  # noqa: DTZ007  # FRR logs local time


def until(what: str, look: Callable[[], Any], *, seconds: float, every: float = 0.05) -> Any:
    end = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds:g}s")
        time.sleep(every)
    return found


@contextmanager
def teagent_on_two_transits(
    *, window: str = "90s", edits: tuple[tuple[str, str], ...] = (), loop_type: type[Loop] = Loop
) -> Iterator[tuple[Loop, Ears, Scenario]]:
    """Converged, live, and at home; everything has ended afterwards. `edits` are made to the policy's text."""
    scenario = load_scenario(LAB / "scenario.yaml")
    with (
        tempfile.TemporaryDirectory(prefix="te-") as name,
        Lab.from_file(scenario.topology, name=Path(name).name) as lab,
    ):
        directory = Path(name)
        wait_for_paths(lab, scenario, scenario.home)
        shutil.copy(LAB / "teagent.yaml", directory)
        (directory / "policies").mkdir()
        text = (LAB / "policies" / "10-transit-a.yaml").read_text(encoding="utf-8")
        for old, new in (
            ("window: 90s", f"window: {window}"),
            ("settle: 20s", "settle: 1s"),
            ("    - {guard: no_data, for: 30s}\n", ""),
            *edits,
        ):
            assert old in text
            text = text.replace(old, new)
        (directory / "policies" / "10-transit-a.yaml").write_text(text, encoding="utf-8")
        ears = Ears(lab, scenario)
        with loop_type(lab, directory / "teagent.yaml", logs=directory) as loop:
            loop.start_daemon()
            loop.start_exabgp()
            loop.wait_for("daemon and session", loop.ready, seconds=90)
            yield loop, ears, scenario
