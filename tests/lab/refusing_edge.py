"""An edge that refuses what it is told, in each of the ways that routers have for it."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from labs.loop import ClosedLoop
from labs.runner import Lab

SPEAKER = "192.0.2.66"
NEXT_HOP = "192.0.2.254/32"
DENY = ("ip prefix-list NOTHING seq 5 deny any", "router bgp 65000", "address-family ipv4 unicast")


class Edge:
    """The edge's operator, who breaks things."""

    def __init__(self, lab: Lab) -> None:
        self._node = lab.node("edge")

    def configure(self, *lines: str) -> None:
        words = [word for line in ("configure terminal", *lines, "end") for word in ("-c", line)]
        self._node.run(["vtysh", *words])

    def load(self, text: str) -> None:
        """From a file, as a person would."""
        self._node.run(["tee", "/run/frr/loaded.conf"], input=text)
        self._node.run(["vtysh", "-f", "/run/frr/loaded.conf"])

    def run(self, *words: str) -> str:
        return str(self._node.run(list(words)).stdout)

    def restart_bgpd(self) -> None:
        """SIGKILL, by its pid in the node's own process namespace; its watchdog starts it again."""
        kill = 'pid=$(cat /run/frr/bgpd.pid) && [ "$(cat /proc/$pid/comm)" = bgpd ] && kill -KILL $pid'
        self._node.run(["sh", "-c", kill], timeout=20)

    @contextlib.contextmanager
    def prefix_list(self) -> Iterator[None]:
        self.configure(*DENY, f"neighbor {SPEAKER} prefix-list NOTHING in")
        yield
        self.configure(*DENY[1:], f"no neighbor {SPEAKER} prefix-list NOTHING in")

    @contextlib.contextmanager
    def own_next_hop(self) -> Iterator[None]:
        self.run("ip", "address", "add", NEXT_HOP, "dev", "lo")
        yield
        self.run("ip", "address", "del", NEXT_HOP, "dev", "lo")

    @contextlib.contextmanager
    def without_bmp(self) -> Iterator[None]:
        target = ("router bgp 65000", "bmp targets teagent")
        connect = f"bmp connect {SPEAKER} port 1790 min-retry 500 max-retry 5000"
        self.configure(*target, f"no {connect}")
        yield
        self.configure(*target, connect)


class LoopedPath(ClosedLoop):
    """An ExaBGP whose announcements have our own AS in their path, as the relay would never write them."""

    looped = False

    def write_exabgp_files(self) -> None:
        super().write_exabgp_files()
        if self.looped:
            self._put_in_between()

    def _put_in_between(self) -> None:
        file = self.read("/run/teagent/exabgp.conf")
        command = re.search(r"run (.*);", file)
        assert command is not None
        self.write(
            "/run/teagent/loop.sh",
            f"#!/bin/sh\n{command[1]} | sed -u '/announce route/s/$/ as-path [ 65000 ]/'\n",
        )
        self.write("/run/teagent/exabgp.conf", file.replace(command[0], "run /bin/sh /run/teagent/loop.sh;"))
