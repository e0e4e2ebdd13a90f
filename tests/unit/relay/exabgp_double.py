"""An ExaBGP in memory: it answers as 5.0.15 was seen to answer, and can hang, refuse, forget or lose its session."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from teagent.relay.exabgp_pipe import ExabgpPipe

ROUTE = re.compile(
    r"neighbor (\S+) announce route (\S+) next-hop (\S+) (large-community|community) \[ ([0-9: ]+) \]", re.ASCII
)
WITHDRAW = re.compile(r"neighbor (\S+) withdraw route (\S+)", re.ASCII)
REPEAT = re.compile(r"neighbor (\S+) flush adj-rib out", re.ASCII)
END_OF_RIB = re.compile(r"neighbor (\S+) announce eor (ipv4|ipv6) unicast", re.ASCII)


class ExabgpDouble:
    """`commands` is all that was written to it. While `hanging` it keeps commands and answers none."""

    def __init__(self, *neighbors: str) -> None:
        self.commands: list[str] = []
        self.up = dict.fromkeys(neighbors, True)
        self.routes: dict[tuple[str, str], tuple[str, list[str]]] = {}
        self.hanging = False
        self.refuse: set[str] = set()
        self.fall_after: str | None = None
        self.on_command = lambda _command: None
        self._backlog: list[str] = []
        self.pipe = ExabgpPipe(self.write, ack_timeout_seconds=0.05)

    def write(self, raw: bytes) -> None:
        command = raw.decode("ascii").removesuffix("\n")
        assert "\n" not in command
        self.commands.append(command)
        self.on_command(command)
        if self.hanging:
            self._backlog.append(command)
        else:
            self._carry_out(command)

    def wake(self) -> None:
        self.hanging = False
        backlog, self._backlog = self._backlog, []
        for command in backlog:
            self._carry_out(command)

    def session(self, neighbor: str, *, up: bool) -> None:
        self.up[neighbor] = up
        if up:
            self._event(neighbor, "negotiated", negotiated={"families": ["ipv4 unicast", "ipv6 unicast"]})
        self._event(neighbor, "state", state="up" if up else "down", reason="told to")

    def sent(self) -> list[str]:
        """The commands that change what routers hear."""
        return [command for command in self.commands if " route " in command]

    def say(self, line: str) -> None:
        """Answers come after the writer has gone on, as over a pipe."""
        asyncio.get_running_loop().call_soon(self.pipe.feed, line.encode("ascii"))

    def _event(self, neighbor: str, kind: str, **body: Any) -> None:
        event = {"exabgp": "5.0.0", "type": kind, "neighbor": {"address": {"peer": neighbor}, **body}}
        self.pipe.feed(json.dumps(event).encode("ascii"))

    def _carry_out(self, command: str) -> None:
        if command in {"reset", "enable-ack"}:
            self.say("done")
        elif command == "version":
            self.say("exabgp 5.0.15")
            self.say("done")
        elif command == "show neighbor json":
            self.say(json.dumps([self._neighbor(address) for address in self.up]))
            self.say("done")
        elif command == "show adj-rib out json":
            for (neighbor, prefix), (hop, tags) in self.routes.items():
                self.say(json.dumps(_route(neighbor, prefix, hop, tags)))
            self.say("done")
        elif found := ROUTE.fullmatch(command):
            self._announce(*found.groups())
        elif found := WITHDRAW.fullmatch(command):
            self.routes.pop((found[1], found[2]), None)
            self.say("done" if found[1] in self.up else "error")
        elif END_OF_RIB.fullmatch(command):
            self.say("done")
        elif found := REPEAT.fullmatch(command):
            self.say("done" if self.up.get(found[1]) else "error")
        else:
            raise AssertionError(f"not in the grammar: {command}")

    def _announce(self, neighbor: str, prefix: str, hop: str, _kind: str, tags: str) -> None:
        if neighbor in self.refuse or neighbor not in self.up:
            self.say("error")
            return
        self.routes[neighbor, prefix] = (hop, tags.split())
        if self.fall_after == neighbor:
            self.session(neighbor, up=False)
        self.say("done")

    def _neighbor(self, address: str) -> dict[str, Any]:
        up = self.up[address]
        return {
            "state": "up" if up else "down",
            "fsm": "ESTABLISHED" if up else "ACTIVE",
            "peer": {"address": address},
            "families": ["ipv4 unicast", "ipv6 unicast"] if up else [],
        }


def _route(neighbor: str, prefix: str, hop: str, tags: list[str]) -> dict[str, Any]:
    return {
        "peer": {"address": neighbor},
        "route": {
            "nlri": {"prefix": prefix, "nexthop": hop, "family": {"afi": "ipv4", "safi": "unicast"}},
            "attributes": {"large-community": tags},
        },
    }
