"""From the stored matrix to the plan, at a size that is large for one network; and whether the plan is the best.

    python benchmarks/decide.py [--seed 1] [--prefixes 1000] [--links 10] [--sources 75000] [--rows 1000000]
                                [--instances 24] [--json]

A network and its traffic are made from the seed (`decision_world.py`): heavy-tailed senders and prefixes, and as many
demands (link, prefix, source) as a matrix may hold of one address family, `flows.max_sources` at its most. Two of its
transits and an exchange port are too full, so that every shipped policy fires; with `minimise_max_utilisation` in place
of its own objective each is run once more. In a process of its own, which makes nothing and reads the matrix from a
store, as after a restart of the daemon, are measured, as CPU seconds and as seconds, median of --repeats:

- reading the matrix from the store (a restart only: the daemon has the last one in memory);
- the digest of the snapshot; preparing the scene; deciding, all policies of one round in a row;
- the peak of memory, all that Python itself takes included;
- deciding once more by the learned model (`decision_senders.py`), one round, once: it has answered nothing before, as
  with every new window of traffic; and by a young one, as before the first change, beside which the graph has a say.

Beside it, on small instances from the same seed (3 to 10 links, up to 6 prefixes, plans of up to 3): the plan that is
chosen against the best of all candidates there are, each given a dry run. `gaps` counts where they rank differently,
`learned_gaps` and `young_gaps` the same where such a model is asked; the last one has no target: there are some. In
small instances single senders decide, which a quick look tells badly. Of the large one, where brute force is out of
reach, `better_by_patience` counts the plans of all rounds, by each model, of which a search that gives up a hundred
dry runs later finds a better one.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import pickle
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
from decision_senders import MATURE, YOUNG, taught
from decision_world import NOW, Size, loads_bps, matrix, network, snapshot
from whole_numbers import at_least

from teagent.adapters.store.measurements import pack_matrix, unpack_matrix
from teagent.config.build import build_policy
from teagent.config.document import read
from teagent.config.policy_schema import PolicyFile
from teagent.engine.choose import search
from teagent.engine.choose.candidates import prepend_limit
from teagent.engine.choose.decide import decide
from teagent.engine.choose.digest import with_digest
from teagent.engine.choose.optimise import rank
from teagent.engine.choose.search import Task, consider, needed, order
from teagent.engine.predict.known_senders import KnownSenders
from teagent.engine.predict.looks import look
from teagent.engine.predict.movement import LIKELY
from teagent.engine.predict.scene import prepare
from teagent.engine.predict.shares import TIES_STICK, Forecaster, Remembering
from teagent.model.announcement import PREPEND_HARD_MAX
from teagent.model.link import NoData
from teagent.model.plan import Candidate, Considered, Decision, RefusedVerdict
from teagent.model.policy import Objective, Policy, PrefixMatch, PrependLever
from teagent.model.snapshot import Snapshot

ROOT = Path(__file__).resolve().parent.parent
TARGETS = {
    "cycle_cpu_seconds": 1.0,
    "learned_cycle_cpu_seconds": 1.0,
    "young_cycle_cpu_seconds": 1.0,
    "peak_mib": 500.0,
    "gaps": 0.0,
    "learned_gaps": 0.0,
}
MODELS = {"learned": MATURE, "young": YOUNG}
"""After how many announcements."""
ROOM = 30
PATIENT = 100
MOST_CANDIDATES = 4000
"""An instance with more than so many is made smaller: each costs a dry run."""


def shipped_policies() -> list[Policy]:
    files = sorted((ROOT / "policies").glob("*.yaml"))
    return [
        dataclasses.replace(build_policy(PolicyFile.model_validate(read(path).data)), enabled=True) for path in files
    ]


def rounds() -> dict[str, list[Policy]]:
    """The policies as they ship, `even-out` in place of those it would pull against; and all with its objective."""
    *others, even_out = shipped_policies()
    evenly = [dataclasses.replace(p, objective=Objective.MINIMISE_MAX_UTILISATION) for p in others]
    return {"shipped": others, "even_out": [even_out], "minimise_max_utilisation": evenly}


def measured(work: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Median CPU seconds and seconds."""
    cpu, seconds = [], []
    for _ in range(repeats):
        began = time.process_time(), time.perf_counter()
        work()
        cpu.append(time.process_time() - began[0])
        seconds.append(time.perf_counter() - began[1])
    return statistics.median(cpu), statistics.median(seconds)


def cycle(directory: Path, seed: int, repeats: int) -> dict[str, Any]:
    """Runs in a process of its own, which is what the peak is of."""
    packed = (directory / "matrix").read_bytes()
    with (directory / "rest").open("rb") as file:
        links, loads = pickle.load(file)
    figures: dict[str, Any] = {}
    phases: dict[str, tuple[float, float]] = {"read_matrix": measured(lambda: unpack_matrix(packed), 1)}
    taken = snapshot(links, loads, unpack_matrix(packed))
    phases["digest"] = measured(lambda: with_digest(taken), repeats)
    phases["prepare"] = measured(lambda: prepare(taken), repeats)
    decisions: dict[str, tuple[Decision, ...]] = {}
    for name, policies in rounds().items():

        def one_round(name: str = name, policies: list[Policy] = policies) -> None:
            decisions[name] = decide(taken, policies, NOW)

        phases[f"decide_{name}"] = measured(one_round, repeats)
    for name, (cpu, seconds) in phases.items():
        figures |= {f"{name}_cpu_seconds": cpu, f"{name}_seconds": seconds}
    assert not isinstance(taken.matrix, NoData)
    for name, announcements in MODELS.items():
        cpu, plans = by_model(taken, KnownSenders(taught(taken.matrix, np.random.default_rng(seed), announcements)))
        figures |= {f"{name}_cycle_cpu_seconds": figures["digest_cpu_seconds"] + cpu, f"{name}_plans": plans}
    # `decide` prepares the scene itself: `prepare` is not counted twice.
    slowest = max(figures[f"decide_{name}_cpu_seconds"] for name in decisions)
    figures["cycle_cpu_seconds"] = figures["digest_cpu_seconds"] + slowest
    # Before there is more to remember than a daemon has.
    figures["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures["demands"] = len(taken.matrix)
    figures["candidates"] = sum(each.candidates for found in decisions.values() for each in found)
    figures["policies_firing"] = sum(any(t.firing for t in each.triggers) for d in decisions.values() for each in d)
    figures |= patiently(taken, seed)
    figures["plans"] = sum(each.chosen is not None for found in decisions.values() for each in found)
    return figures


def by_model(taken: Snapshot, learned: KnownSenders) -> tuple[float, int]:
    """CPU seconds of a round, and how many plans it has."""
    decisions: list[Decision] = []
    policies = rounds()["shipped"]
    cpu, _ = measured(lambda: decisions.extend(decide(taken, policies, NOW, forecaster=learned)), 1)
    return cpu, sum(each.chosen is not None for each in decisions)


def patiently(taken: Snapshot, seed: int) -> dict[str, int]:
    """How many plans there are of all rounds, and of how many of them a more patient search finds a better one."""
    assert not isinstance(taken.matrix, NoData)
    models = {"plain": TIES_STICK} | {
        name: KnownSenders(taught(taken.matrix, np.random.default_rng(seed), announcements))
        for name, announcements in MODELS.items()
    }
    asked = [(forecaster, policy) for forecaster in models.values() for one in rounds().values() for policy in one]
    usual = [decide(taken, [policy], NOW, forecaster=forecaster)[0] for forecaster, policy in asked]
    kept = search.PATIENCE, search.GROPING
    search.PATIENCE = search.GROPING = PATIENT
    patient = [decide(taken, [policy], NOW, forecaster=forecaster)[0] for forecaster, policy in asked]
    search.PATIENCE, search.GROPING = kept
    better = 0
    for (_, policy), one, other in zip(asked, usual, patient, strict=True):
        hot = tuple(status.link for status in one.triggers if status.firing)
        found = [each.chosen and rank(policy, taken.network, hot, each.chosen) for each in (one, other)]
        better += found[1] is not None and (found[0] is None or found[1] < found[0])
    return {"patient_plans": sum(each.chosen is not None for each in patient), "better_by_patience": better}


def in_process_of_its_own(size: Size, seed: int, repeats: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    links = network(rng, size)
    loads = loads_bps(rng, links)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        began = time.process_time()
        traffic = matrix(rng, size, links, loads)
        made = time.process_time() - began
        (directory / "matrix").write_bytes(pack_matrix(traffic))
        with (directory / "rest").open("wb") as file:
            pickle.dump((links, loads), file)
        command = [sys.executable, __file__, "--cycle-of", name, "--repeats", str(repeats), "--seed", str(seed)]
        # As the daemon does it.
        environment = {"OPENBLAS_NUM_THREADS": "1", **os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    figures: dict[str, Any] = {"make_world_cpu_seconds": made, **json.loads(done.stdout)}
    return figures


def instance(rng: np.random.Generator) -> tuple[Snapshot, Policy]:
    """Small enough for all candidates; which are left out as unlikely is not known beforehand."""
    links = int(rng.integers(3, 11))
    most = max(m for m in range(1, 4) if m == 1 or (m + 1) ** links <= 400)
    vectors = (most + 1) ** links - most**links
    prefixes, depth = int(rng.integers(1, 7)), int(rng.integers(1, 4))
    while depth > 1 and sum(len(list(combinations(range(prefixes), n))) * vectors**n for n in range(1, depth + 1)) > (
        MOST_CANDIDATES
    ):
        prefixes, depth = (prefixes - 1, depth) if prefixes > depth else (prefixes, depth - 1)
    while prefixes > 1 and prefixes * vectors > MOST_CANDIDATES:
        prefixes -= 1
    size = Size(prefixes=prefixes, links=links, sources=int(rng.choice([8, 40, 200])), rows=2000, vectors=3)
    own = network(rng, size)
    loads = loads_bps(rng, own)
    # Few prefixes are coarse: what is moved is much, and needs wide links to go to.
    wide = {
        name: float(rng.choice([1.0, 3.0, 10.0])) if loads[name] < 0.8 * link.capacity_bps else 1.0
        for name, link in own.links.items()
    }
    widened = {
        name: dataclasses.replace(link, capacity_bps=wide[name] * link.capacity_bps) for name, link in own.links.items()
    }
    own = dataclasses.replace(own, links=widened)
    base = shipped_policies()[0]
    policy = dataclasses.replace(
        base,
        prefixes=PrefixMatch(),
        levers=(PrependLever(max=most),),
        objective=Objective(str(rng.choice([o.value for o in Objective]))),
        limits=dataclasses.replace(
            base.limits,
            changes_per_plan=int(rng.choice([2, 4, 12])),
            prefixes_per_plan=depth,
            shift_per_plan_bps=None if rng.random() < 0.5 else base.limits.shift_per_plan_bps,
        ),
    )
    return snapshot(own, loads, matrix(rng, size, own, loads)), policy


def best_of_all(
    taken: Snapshot, policy: Policy, triggered: tuple[str, ...], forecaster: Forecaster
) -> tuple[Task, Considered | None, int]:
    """All vectors that are likely, in all combinations."""
    scene = prepare(taken)
    task = Task(scene=scene, policy=policy, triggered=triggered, now=NOW, forecaster=Remembering(forecaster))
    hot = [scene.links.index(name) for name in triggered]
    options = {}
    for own in taken.network.prefixes:
        live = scene.vectors[own.prefix]
        if not own.engineer or len(live) < 2:
            continue
        grid = product(range(min(prepend_limit(policy, own), PREPEND_HARD_MAX) + 1), repeat=len(live))
        found = [tuple(zip(sorted(live), counts, strict=True)) for counts in grid if min(counts) == 0]
        found = [vector for vector in found if dict(vector) != dict(live)]
        looks = look(scene, own.prefix, [dict(vector) for vector in found], forecaster)
        leaving, surely = looks.leaving[:, hot].sum(axis=1), looks.surely[:, hot].sum(axis=1)
        worth = np.flatnonzero((surely >= LIKELY * leaving) & (leaving > 1e-6))
        options[own.prefix] = [found[number] for number in worth]
    weighed = [
        consider(task, Candidate(vectors=tuple(zip(group, chosen, strict=True))))
        for depth in range(1, policy.limits.prefixes_per_plan + 1)
        for group in combinations(options, depth)
        for chosen in product(*(options[prefix] for prefix in group))
    ]
    allowed = [one for one in needed(order(task), weighed) if not isinstance(one.verdict, RefusedVerdict)]
    return task, min(allowed, key=order(task), default=None), len(weighed)


def roomy(taken: Snapshot, policy: Policy) -> tuple[Snapshot, Policy]:
    """With room on all links but the first and no limit to what is moved: of few coarse prefixes much moves at once,
    and without that few instances have a plan.
    """
    links = {
        name: link if number == 0 else dataclasses.replace(link, capacity_bps=ROOM * link.capacity_bps)
        for number, (name, link) in enumerate(taken.network.links.items())
    }
    return (
        dataclasses.replace(taken, network=dataclasses.replace(taken.network, links=links)),
        dataclasses.replace(policy, limits=dataclasses.replace(policy.limits, shift_per_plan_bps=None)),
    )


def gaps(seed: int, instances: int) -> dict[str, Any]:
    """`gaps`: instances where something better was there than what was chosen; the largest in points of capacity. Each
    is decided by a model that learned, too, as it is and with more room: by turns by either of MODELS.
    """
    rng = np.random.default_rng(seed)
    found = {"instances": 0, "instances_with_a_plan": 0, "brute_force_candidates": 0, "gaps": 0}
    found |= {f"{kind}_{name}": 0 for kind in MODELS for name in found}
    largest = 0.0
    for number in range(instances):
        taken, policy = instance(rng)
        largest = max(largest, _gap(taken, policy, TIES_STICK, found, ""))
        assert not isinstance(taken.matrix, NoData)
        kind, announcements = list(MODELS.items())[number % len(MODELS)]
        learned = KnownSenders(taught(taken.matrix, np.random.default_rng((seed, number)), announcements))
        for case in ((taken, policy), roomy(taken, policy)):
            largest = max(largest, _gap(*case, learned, found, f"{kind}_"))
    return {**found, "largest_gap_points": largest}


def _gap(taken: Snapshot, policy: Policy, forecaster: Forecaster, found: dict[str, int], kind: str) -> float:
    """Counted in `found`; how large it is."""
    (decision,) = decide(taken, [policy], NOW, forecaster=forecaster)
    triggered = tuple(t.link for t in decision.triggers if t.firing)
    if not triggered:
        return 0.0
    task, best, count = best_of_all(taken, policy, triggered, forecaster)
    found[f"{kind}instances"] += 1
    found[f"{kind}instances_with_a_plan"] += best is not None
    found[f"{kind}brute_force_candidates"] += count
    if best is None or (decision.chosen is not None and order(task)(best) >= order(task)(decision.chosen)):
        return 0.0
    found[f"{kind}gaps"] += 1
    capacity = sum(link.capacity_bps for link in taken.network.links.values() if link.name in triggered)
    left = decision.chosen.score.excess_bps if decision.chosen else excess(best)
    return 100 * (left - best.score.excess_bps) / capacity


def excess(one: Considered) -> float:
    """What is above target when nothing is done."""
    return sum(max(0.0, f.before_bps - f.target_bps) for f in one.dry_run.links)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for field in dataclasses.fields(Size):
        least = 2 if field.name == "links" else 1
        parser.add_argument(f"--{field.name}", type=at_least(least), default=field.default)
    parser.add_argument(
        "--instances", type=at_least(0), default=24, help="how many small ones are compared with brute force"
    )
    parser.add_argument("--repeats", type=at_least(1), default=5)
    parser.add_argument("--seed", type=at_least(0), default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--cycle-of", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.cycle_of is not None:
        print(json.dumps(cycle(arguments.cycle_of, arguments.seed, arguments.repeats)))
        return 0
    size = Size(**{field.name: getattr(arguments, field.name) for field in dataclasses.fields(Size)})
    figures = in_process_of_its_own(size, arguments.seed, arguments.repeats)
    figures |= gaps(arguments.seed, arguments.instances)
    met = {name: figures[name] <= value for name, value in TARGETS.items()}
    if arguments.json:
        print(json.dumps({"name": "decide", "figures": figures, "targets": TARGETS, "met": met}))
        return 0
    for name, value in figures.items():
        target = f"   to reach {TARGETS[name]:g}: {'met' if met[name] else 'MISSED'}" if name in TARGETS else ""
        print(f"{name:44} {value:14.4f}{target}" if isinstance(value, float) else f"{name:44} {value:9d}{target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
