"""Every format of real exporters on a router, read beside one another: each gives what was sent, by link and prefix."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from labs.runner import Lab, Node, NodeProcess
from labs.runner.images import PATH
from labs.scenario import ScenarioFlow, Traffic
from tests.lab.conftest import RunningLab

pytestmark = [pytest.mark.lab, pytest.mark.slow]

COLLECTOR = Path(__file__).with_name("flow_collector.py")
ROOT = COLLECTOR.parents[2]
COLLECTOR_ADDRESS, EXPORTER = "192.0.2.66", "192.0.2.65"
INTERFACES = {"eth1": "transit-a", "eth2": "transit-b"}
PREFIXES = ("10.0.0.0/24", "11.0.0.0/24", "12.0.0.0/24")
SECONDS = 40
PACKET_OCTETS = 1214  # of traffic.py's frames, as interfaces count them
TOLERANCE = 0.02
MOST_LOSS = TOLERANCE / 2  # before the edge it counts against the exporters, behind it against nobody

# From, to, rate, and the link by which it comes at home. Nothing is overloaded, so that all that is sent arrives.
FLOWS = (
    ("hc", "10.0.0.10", 2.1e6, "transit-a"),
    ("hc", "11.0.0.10", 4.3e6, "transit-a"),
    ("ha", "10.0.0.10", 0.7e6, "transit-a"),
    ("hc", "12.0.0.10", 1.9e6, "transit-b"),
    ("hb", "10.0.0.10", 1.3e6, "transit-b"),
    ("hb", "12.0.0.10", 5.3e6, "transit-b"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exporting:
    """`arguments` are softflowd's; None is pmacctd. `rate` is what a sample stands for, `said` whether that is said."""

    port: int
    protocol: str
    arguments: tuple[str, ...] | None = None
    rate: int = 1
    said: bool = True


EXPORTING = {
    "softflowd v5": Exporting(port=2101, protocol="netflow-v5", arguments=("-v", "5")),
    "softflowd v9": Exporting(port=2102, protocol="netflow-v9", arguments=("-v", "9")),
    "softflowd IPFIX": Exporting(port=2103, protocol="ipfix", arguments=("-v", "10", "-A", "milli")),
    # All that comes in is the way back here: softflowd takes the lower address for the one that began.
    "softflowd IPFIX both ways": Exporting(port=2109, protocol="ipfix", arguments=("-v", "10", "-A", "milli", "-b")),
    "softflowd v5 1:10": Exporting(port=2104, protocol="netflow-v5", arguments=("-v", "5", "-s", "10"), rate=10),
    "softflowd v9 1:10": Exporting(port=2105, protocol="netflow-v9", arguments=("-v", "9", "-s", "10"), rate=10),
    "softflowd IPFIX 1:10": Exporting(
        port=2106, protocol="ipfix", arguments=("-v", "10", "-A", "milli", "-s", "10"), rate=10
    ),
    "pmacctd nfprobe v9": Exporting(port=2107, protocol="netflow-v9", said=False),
    "pmacctd nfprobe IPFIX": Exporting(port=2108, protocol="ipfix", said=False),
    "pmacctd sfprobe 1:10": Exporting(port=6343, protocol="sflow-v5", rate=10),
}
PMACCTD = """\
daemonize: false
pcap_interface: {interface}
pcap_direction: in
promisc: false
plugins: sfprobe[s], nfprobe[n], nfprobe[i]
sfprobe_receiver[s]: {collector}:6343
sfprobe_agentip[s]: {exporter}
sfprobe_agentsubid[s]: {index}
sampling_rate[s]: 10
sfprobe_ifindex[s]: {index}
sfprobe_ifspeed[s]: 1000000000
sfprobe_direction[s]: in
aggregate[s]: src_host, dst_host, src_port, dst_port, proto, in_iface
nfprobe_receiver[n]: {collector}:2107
nfprobe_version[n]: 9
nfprobe_receiver[i]: {collector}:2108
nfprobe_version[i]: 10
""" + "".join(
    f"""\
nfprobe_timeouts[{plugin}]: tcp=5:maxlife=5:udp=5:general=5:expint=2
nfprobe_ifindex[{plugin}]: {{index}}
nfprobe_direction[{plugin}]: in
nfprobe_engine[{plugin}]: {{index}}
nfprobe_source_ip[{plugin}]: {{exporter}}
aggregate[{plugin}]: src_host, dst_host, src_port, dst_port, proto, tos, in_iface, out_iface, src_as, dst_as
"""
    for plugin in "ni"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """`sent` is in octets of frames by link and prefix, `interfaces` what the edge's interfaces counted meanwhile."""

    found: dict[str, Any]
    sent: dict[str, dict[str, float]]
    interfaces: dict[str, int]


def received(edge: Node) -> dict[str, int]:
    files = [f"/sys/class/net/{interface}/statistics/rx_bytes" for interface in INTERFACES]
    return dict(zip(INTERFACES.values(), map(int, edge.run(["cat", *files]).stdout.split()), strict=True))


def indexes(edge: Node) -> dict[str, int]:
    files = [f"/sys/class/net/{interface}/ifindex" for interface in INTERFACES]
    return dict(zip(INTERFACES, map(int, edge.run(["cat", *files]).stdout.split()), strict=True))


class Exporters:
    """All of them on the edge; what they hold is told and they are gone when `stop` returns."""

    def __init__(self, edge: Node, directory: Path) -> None:
        self._edge = edge
        self._directory = directory
        self._softflowd: dict[str, NodeProcess] = {}
        self._pmacctd: list[NodeProcess] = []

    def start(self) -> None:
        for interface, index in indexes(self._edge).items():
            for number, exporting in enumerate(EXPORTING.values()):
                if exporting.arguments is not None:
                    self._start_softflowd(f"{interface}-{number}", interface, index, exporting)
            config = self._directory / f"pmacctd-{interface}.conf"
            values = {"interface": interface, "index": index, "collector": COLLECTOR_ADDRESS, "exporter": EXPORTER}
            config.write_text(PMACCTD.format(**values))
            with (self._directory / f"pmacctd-{interface}.log").open("w") as log:
                self._pmacctd.append(self._edge.popen(["pmacctd", "-f", str(config)], stdout=log, stderr=log))

    def _start_softflowd(self, name: str, interface: str, index: int, exporting: Exporting) -> None:
        timeouts = [word for t in ("maxlife", "tcp", "udp", "icmp", "general") for word in ("-t", f"{t}=5")]
        command = ["softflowd", "-d", "-N", "-C", "1514", "-i", f"{index}:{interface}", *timeouts, "-t", "expint=1"]
        command += ["-n", f"{COLLECTOR_ADDRESS}:{exporting.port}", "-c", f"/run/{name}.ctl", "-p", f"/run/{name}.pid"]
        with (self._directory / f"softflowd-{name}.log").open("w") as log:
            arguments = exporting.arguments or ()
            self._softflowd[name] = self._edge.popen([*command, *arguments, "inbound"], stdout=log, stderr=log)

    def stop(self) -> None:
        for name, process in self._softflowd.items():
            self._edge.run(["softflowctl", "-c", f"/run/{name}.ctl", "shutdown"], check=False)
            _ended(process)
        for process in self._pmacctd:
            process.terminate()
            _ended(process)


def _ended(process: NodeProcess) -> None:
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def collector(lab: Lab) -> NodeProcess:
    settings = {
        "host": COLLECTOR_ADDRESS,
        "exporter": EXPORTER,
        "ports": [exporting.port for exporting in EXPORTING.values()],
        "interfaces": {index: INTERFACES[name] for name, index in indexes(lab.node("edge")).items()},
        "prefixes": PREFIXES,
    }
    process = lab.node("mgmt").popen(
        [sys.executable, str(COLLECTOR), json.dumps(settings)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.fixture(scope="module")
def run(two_transit: RunningLab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    for program in ("softflowd", "softflowctl", "pmacctd"):
        if shutil.which(program, path=PATH) is None:
            pytest.skip(f"not installed: {program}")
    directory, lab = tmp_path_factory.mktemp("exporters"), two_transit.lab
    flows = tuple(ScenarioFlow(host=host, destination=to, bps=bps) for host, to, bps, _ in FLOWS)
    scenario = dataclasses.replace(two_transit.scenario, flows=flows)
    exporters = Exporters(lab.node("edge"), directory)
    with ExitStack() as stack:
        collecting = collector(lab)
        stack.callback(_killed, collecting)
        stack.callback(exporters.stop)
        exporters.start()
        time.sleep(3)  # they open their captures
        before = received(lab.node("edge"))
        with Traffic(lab, scenario, seconds=SECONDS, directory=directory) as traffic:
            told = traffic.finish()
        time.sleep(6)  # flows that ended are told of
        counted = {link: octets - before[link] for link, octets in received(lab.node("edge")).items()}
        exporters.stop()
        time.sleep(1)
        found, _ = collecting.communicate(json.dumps(counted) + "\n", timeout=30)
        yield Run(found=json.loads(found), sent=sent_octets(told), interfaces=counted)


def _killed(process: NodeProcess) -> None:
    process.kill()
    process.wait()


def sent_octets(told: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, float]]:
    """What the senders say themselves, which must have arrived: otherwise the lab was too busy to tell anything."""
    links = {(host, to): link for host, to, _, link in FLOWS}
    table = {link: dict.fromkeys(PREFIXES, 0.0) for link in INTERFACES.values()}
    for host, lines in told.items():
        for line in lines:
            if line.get("summary"):
                assert line["loss"] is not None
                assert line["loss"] < MOST_LOSS, f"{host} lost {line['loss']:.2%} towards {line['destination']}"
                prefix = line["destination"].rpartition(".")[0] + ".0/24"
                table[links[host, line["destination"]]][prefix] += line["sent"] * PACKET_OCTETS
    return table


def cells(table: dict[str, dict[str, float]]) -> dict[tuple[str, str], float]:
    """By link and prefix, without those that nobody sends to."""
    return {(link, prefix): octets for link, row in table.items() for prefix, octets in row.items() if octets}


def test_the_interfaces_counted_what_was_sent(run: Run):
    """Or the rest of this proves nothing. The 1 % is BGP, ARP and the lab's own answers."""
    for link, octets in run.interfaces.items():
        assert octets == pytest.approx(sum(run.sent[link].values()), rel=0.01)


@pytest.mark.parametrize("name", EXPORTING)
def test_what_an_exporter_sends_is_understood(run: Run, name: str):
    exporting = EXPORTING[name]
    found = run.found[str(exporting.port)]
    assert (found["protocol"], found["undecoded"], found["dropped"]) == (exporting.protocol, {}, 0)
    assert found["lost"] == 0
    assert found["records"] > 0
    assert found["sampling_rate"] == (exporting.rate if exporting.said else None)


@pytest.mark.parametrize("name", [name for name, e in EXPORTING.items() if e.rate == 1])
def test_unsampled_flows_agree_with_what_was_sent_within_two_percent(run: Run, name: str):
    found = run.found[str(EXPORTING[name].port)]
    assert cells(found["octets"]) == pytest.approx(cells(run.sent), rel=TOLERANCE)
    assert found["coverage"] == pytest.approx(dict.fromkeys(INTERFACES.values(), 1.0), rel=TOLERANCE)


@pytest.mark.parametrize("name", [name for name, e in EXPORTING.items() if e.rate > 1])
def test_sampled_flows_agree_with_what_was_sent_within_the_error_of_sampling(run: Run, name: str):
    """One packet in `rate`: n packets are found with a standard error of sqrt(n (rate - 1)), relative to n; four of
    them are allowed, since six cells are looked at in four formats, and the 2 % of the unsampled.
    """
    exporting = EXPORTING[name]
    found = run.found[str(exporting.port)]
    table = cells(found["octets"])
    assert set(table) == set(cells(run.sent))
    for cell, sent in cells(run.sent).items():
        error = math.sqrt((exporting.rate - 1) / (sent / PACKET_OCTETS))
        assert table[cell] == pytest.approx(sent, rel=TOLERANCE + 4 * error), cell
    for link, coverage in found["coverage"].items():
        error = math.sqrt((exporting.rate - 1) / (sum(run.sent[link].values()) / PACKET_OCTETS))
        assert coverage == pytest.approx(1.0, rel=TOLERANCE + 4 * error), link
