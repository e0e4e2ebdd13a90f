"""Run in a node of a lab: takes flow datagrams on many ports, each with a matrix of its own, until it is told what
octets the interfaces counted; then it prints what it found, as one line of JSON.

    flow_collector.py '{"host": ..., "exporter": ..., "ports": [2101], "interfaces": {"2": "transit-a"}, ...}'
"""

from __future__ import annotations

import json
import select
import sys
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

from teagent.adapters.flow.listener import Binding, FlowListener
from teagent.engine.measure.attribution import Attribution
from teagent.engine.measure.matrix import MatrixBuilder

AT = datetime(2026, 1, 12, 19, 40, tzinfo=UTC)
TAKE_SECONDS = 0.2
MOST_TAKES = 3000  # then nobody is there any more


def main(settings: dict[str, Any]) -> None:
    exporter: str = settings["exporter"]
    links = sorted(set(settings["interfaces"].values()))
    attribution = Attribution(
        links=links,
        interfaces={("edge", int(index)): link for index, link in settings["interfaces"].items()},
        prefixes=[ip_network(prefix) for prefix in settings["prefixes"]],
        routers={exporter: "edge"},
    )
    listeners: dict[int, FlowListener] = {}
    for port in settings["ports"]:
        listeners[port] = FlowListener(
            bindings=[Binding(host=settings["host"], port=port)], exporters={exporter: "edge"}
        )
        listeners[port].start()
    builders = {port: MatrixBuilder(attribution) for port in listeners}
    print("ready", flush=True)
    for _ in range(MOST_TAKES):
        told = select.select([sys.stdin], [], [], TAKE_SECONDS)[0]
        for port, listener in listeners.items():
            for batch in listener.take():
                builders[port].add(batch)
        if told:
            break
    octets = json.loads(sys.stdin.readline())
    for listener in listeners.values():
        listener.stop()
    found = {}
    for port, builder in builders.items():
        for batch in listeners[port].take():
            builder.add(batch)
        matrix = builder.build(at=AT, seconds=8, interface_octets=octets)
        table = matrix.by_link_and_prefix()
        [health] = listeners[port].exporters()
        found[port] = {
            "octets": {
                link: {str(prefix): float(table[i, k]) for k, prefix in enumerate(matrix.prefixes)}
                for i, link in enumerate(matrix.links)
            },
            "coverage": matrix.coverage,
            "protocol": health.protocol,
            "sampling_rate": health.sampling_rate,
            "records": health.records,
            "lost": health.lost,
            "undecoded": {str(reason): count for reason, count in health.undecoded.items()},
            "dropped": sum(listeners[port].dropped().values()),
        }
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
