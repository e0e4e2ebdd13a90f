"""What one announcement over the whole Internet costs, side by side with BGPy, and whether both say the same.

    python benchmarks/whatif.py [--as-rel FILE] [--bgpy-python PATH] [--seed 1] [--json]

FILE is a CAIDA serial-2 (else 20241001.as-rel2.txt.bz2 in $TEAGENT_DATA/asrel, or beside the checkout). BGPy
(`pip install bgpy-pkg`, in an environment of its own if need be) is run with the Python of --bgpy-python; where it is
absent its part is skipped, and said so. Both run in this one call, one after the other, in processes of their own:

- loading: text to graph, and for teagent from its cache; CPU seconds and the peak of memory;
- one announcement from each of 5 multihomed origins, plain and with 3 prepends towards its first provider: CPU seconds,
  median; for teagent including all preparation for the origin;
- 64 variants of one announcement (0 to 3 prepends on each of 3 providers, the last with one withheld); BGPy runs
  --variants of them, its figure for 64 is taken from those.

All that BGPy computed is compared: reach, class, length, next hop and ingress neighbour of every AS, ties broken as it
does, by the lowest AS number.
"""

from __future__ import annotations

import argparse
import bz2
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from whole_numbers import at_least

from teagent.adapters.as_graph import load
from teagent.engine.predict.as_graph import AsGraph, RouteClass
from teagent.engine.predict.paths import Paths
from teagent.engine.predict.propagation import Propagator
from teagent.engine.predict.sessions import Session, sessions_in_graph

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("TEAGENT_DATA", ROOT.parent / "shared" / "data"))
ORIGINS = 5
VARIANTS = 64
REPEATS = 7
TARGETS = {"times_faster": 150.0, "variants_64_cpu_seconds": 0.3, "peak_mib": 300.0, "differing_routes": 0.0}
BGPY_CLASSES = {RouteClass.CUSTOMER: 3, RouteClass.PEER: 2, RouteClass.PROVIDER: 1}

BGPY = '''
import json, resource, sys, time
from pathlib import Path
from bgpy.as_graphs import CAIDAASGraphConstructor
from bgpy.as_graphs.base import ASGraphCollector
from bgpy.shared.enums import Relationships
from bgpy.simulation_engine import BGP, Announcement, SimulationEngine

path, out, runs = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])


class LocalFile(ASGraphCollector):
    """Hands the constructor a file instead of a download."""

    default_dl_time = None

    def __init__(self, path):
        self.path = path

    def _run(self):
        return self.path


class Prepending(BGP):
    """BGPy has no setting for prepends, nor for withholding (here -1): the origin does it while it tells."""

    prepends = {}

    def _policy_propagate(self, neighbor, ann, propagate_to, send_rels):
        count = self.prepends.get(neighbor.asn, 0)
        if ann.recv_relationship != Relationships.ORIGIN or not count:
            return False
        if count > 0:
            neighbor.policy.receive_ann(ann.copy({"as_path": (self.as_.asn,) * (1 + count)}))
        return True


class Scenario:
    def __init__(self, origin, prepends):
        self.origin, self.prepends = origin, prepends
        self.announcements = (
            Announcement(prefix="192.0.2.0/24", as_path=(origin,), next_hop_asn=origin, seed_asn=origin),
        )

    def get_policy_cls(self, as_obj):
        if as_obj.asn != self.origin or not self.prepends:
            return BGP
        Prepending.prepends = self.prepends
        return Prepending


began = time.process_time()
graph = CAIDAASGraphConstructor(
    ASGraphCollectorCls=LocalFile, as_graph_collector_kwargs={"path": path}, tsv_path=None
).run()
loaded = time.process_time() - began
engine, seconds = SimulationEngine(graph), []
with open(out, "w") as file:
    for run in runs:
        scenario = Scenario(run["origin"], {int(asn): n for asn, n in run["prepends"].items()})
        engine.setup(scenario)
        began = time.process_time()
        engine.run(0, scenario)
        seconds.append(time.process_time() - began)
        rib = {}
        for one in graph:
            ann = one.policy.local_rib.get("192.0.2.0/24")
            if ann is not None and one.asn != run["origin"]:
                ingress = next((a for a in reversed(ann.as_path) if a != run["origin"]), one.asn)
                rib[one.asn] = (ann.recv_relationship.value, len(ann.as_path) - 1, ann.next_hop_asn, ingress)
        file.write(json.dumps(rib) + "\\n")
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"load_cpu_seconds": loaded, "announcement_cpu_seconds": seconds, "peak_mib": peak}))
'''


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """`prepends`: neighbour -> copies beyond the first, -1 for withheld; who is absent has none."""

    origin: int
    prepends: Mapping[int, int]

    def vector(self, sessions: Sequence[Session]) -> dict[str, int]:
        counts = {s.link: self.prepends.get(s.neighbor, 0) for s in sessions}
        return {link: n for link, n in counts.items() if n >= 0}


def plan(graph: AsGraph, rng: np.random.Generator) -> tuple[list[Run], list[Run]]:
    """(plain and prepended runs of every origin, the variants of the first)."""
    neighbors = graph.providers.counts() + graph.peers.counts() + graph.customers.counts()
    fit = graph.asn[(graph.providers.counts() >= 3) & (neighbors <= 64)]
    origins = [int(asn) for asn in rng.choice(fit, ORIGINS, replace=False)]
    runs, variants = [], []
    for origin in origins:
        providers = graph.asn[graph.providers[graph.node(origin)]].tolist()
        runs += [Run(origin=origin, prepends={}), Run(origin=origin, prepends={providers[0]: 3})]
        if not variants:
            variants = [
                Run(origin=origin, prepends={asn: v >> 2 * k & 3 for k, asn in enumerate(providers[:3])})
                for v in range(VARIANTS - 1)
            ]
            variants.append(Run(origin=origin, prepends={providers[0]: -1}))
    return runs, variants


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ours(as_rel: Path, seed: int) -> dict[str, Any]:
    """Runs in a process of its own, which is what the peak is of."""
    with tempfile.TemporaryDirectory() as directory:
        began = time.process_time()
        graph = load(as_rel, cache_dir=Path(directory))
        parsed = time.process_time() - began
        cached = []
        for _ in range(REPEATS):
            began = time.process_time()
            load(as_rel, cache_dir=Path(directory))
            cached.append(time.process_time() - began)
    runs, variants = plan(graph, np.random.default_rng(seed))
    sessions = {run.origin: sessions_in_graph(graph, run.origin) for run in runs}
    single, batch = [], []
    for _ in range(REPEATS):
        for run in runs:
            vector = run.vector(sessions[run.origin])
            began = time.process_time()
            Propagator(graph, run.origin, sessions[run.origin]).propagate([vector])
            single.append(time.process_time() - began)
        origin = variants[0].origin
        vectors = [run.vector(sessions[origin]) for run in variants]
        began = time.process_time()
        Propagator(graph, origin, sessions[origin]).propagate(vectors)
        batch.append(time.process_time() - began)
    return {
        "ases": len(graph),
        "relations": len(graph.customers.target) + len(graph.peers.target) // 2,
        "load_cpu_seconds": parsed,
        "cached_load_cpu_seconds": statistics.median(cached),
        "announcement_cpu_seconds": statistics.median(single),
        "variants_64_cpu_seconds": statistics.median(batch),
        "peak_mib": peak_mib(),
    }


def in_process_of_its_own(as_rel: Path, seed: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--as-rel", str(as_rel), "--seed", str(seed), "--ours"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def bgpy_there(python: str) -> bool:
    done = subprocess.run([python, "-c", "import bgpy.simulation_engine"], capture_output=True, check=False)
    return done.returncode == 0


def bgpy(python: str, as_rel: Path, runs: Sequence[Run]) -> tuple[dict[str, Any], list[dict[int, tuple[int, ...]]]]:
    """Its figures, and for each run AS -> (class, length, next hop, ingress neighbour)."""
    with tempfile.TemporaryDirectory() as directory:
        plain, out = Path(directory) / "as-rel2.txt", Path(directory) / "ribs.jsonl"
        raw = as_rel.read_bytes()
        plain.write_bytes(bz2.decompress(raw) if raw.startswith(b"BZh") else raw)
        command = [python, "-c", BGPY, str(plain), str(out), json.dumps([asdict(run) for run in runs])]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=directory)
        with out.open() as file:
            ribs = [{int(asn): tuple(route) for asn, route in json.loads(line).items()} for line in file]
    return json.loads(done.stdout.splitlines()[-1]), ribs


def differing(graph: AsGraph, run: Run, rib: Mapping[int, tuple[int, ...]]) -> int:
    """How many ASes have another route than BGPy gives them."""
    sessions = sessions_in_graph(graph, run.origin)
    paths = Paths(Propagator(graph, run.origin, sessions), run.vector(sessions))
    ingress: dict[int, int] = {}
    wrong = 0
    # The shorter path comes first: whose ingress an AS shares is known by then.
    order = np.argsort(paths.length, kind="stable")
    for asn, kind, length in zip(
        *(c[order].tolist() for c in (graph.asn, paths.route_class, paths.length)), strict=True
    ):
        if kind == RouteClass.OWN:
            continue
        if kind == RouteClass.NONE:
            wrong += asn in rib
            continue
        hop = int(paths.next_hops(asn)[0])
        ingress[asn] = asn if hop == run.origin else ingress[hop]
        wrong += rib.get(asn) != (BGPY_CLASSES[RouteClass(kind)], length, hop, ingress[asn])
    return wrong


def compare(arguments: argparse.Namespace, figures: dict[str, Any]) -> None:
    graph = load(arguments.as_rel)
    runs, variants = plan(graph, np.random.default_rng(arguments.seed))
    # Of the variants the last, which withholds, and the others at equal distances.
    chosen = [variants[i] for i in np.linspace(VARIANTS - 1, 1, arguments.variants, dtype=int)]
    found, ribs = bgpy(arguments.bgpy_python, arguments.as_rel, [*runs, *chosen])
    seconds = statistics.median(found["announcement_cpu_seconds"])
    figures |= {
        "bgpy_load_cpu_seconds": found["load_cpu_seconds"],
        "bgpy_announcement_cpu_seconds": seconds,
        "bgpy_variants_64_cpu_seconds": VARIANTS * seconds,
        "bgpy_peak_mib": found["peak_mib"],
        "times_faster": seconds / figures["announcement_cpu_seconds"],
        "times_faster_64": VARIANTS * seconds / figures["variants_64_cpu_seconds"],
        "compared_routes": sum(len(rib) for rib in ribs),
        "differing_routes": sum(differing(graph, run, rib) for run, rib in zip([*runs, *chosen], ribs, strict=True)),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--as-rel", type=Path, default=DATA / "asrel" / "20241001.as-rel2.txt.bz2")
    parser.add_argument("--bgpy-python", default=sys.executable, help="a Python that has bgpy-pkg")
    parser.add_argument("--variants", type=at_least(1), default=4, help="how many of the 64 BGPy runs")
    parser.add_argument("--seed", type=at_least(0), default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--ours", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if not arguments.as_rel.is_file():
        print(f"skipped: there is no {arguments.as_rel}; --as-rel names a file of CAIDA's", file=sys.stderr)
        if arguments.json:
            print(json.dumps({"name": "whatif", "figures": {}, "targets": {}, "met": {}}))
        return 0
    if arguments.ours:
        print(json.dumps(ours(arguments.as_rel, arguments.seed)))
        return 0
    figures = in_process_of_its_own(arguments.as_rel, arguments.seed)
    if bgpy_there(arguments.bgpy_python):
        compare(arguments, figures)
    else:
        print(f"skipped: {arguments.bgpy_python} has no bgpy-pkg, nothing is compared", file=sys.stderr)
    targets = {name: value for name, value in TARGETS.items() if name in figures}
    met = {
        name: figures[name] >= value if name == "times_faster" else figures[name] <= value
        for name, value in targets.items()
    }
    if arguments.json:
        print(json.dumps({"name": "whatif", "figures": figures, "targets": targets, "met": met}))
        return 0
    for name, value in figures.items():
        target = f"   to reach {targets[name]:g}: {'met' if met[name] else 'MISSED'}" if name in targets else ""
        print(f"{name:32} {value:14.4f}{target}" if isinstance(value, float) else f"{name:32} {value:9d}{target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
