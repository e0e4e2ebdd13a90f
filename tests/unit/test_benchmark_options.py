"""The benchmarks of predictions: an option that makes no world is refused, not taken for another."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from teagent.engine.predict.synthetic import Shape, internet
from tests.conftest import ROOT


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("ingress_world")


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--form=source,nosuch", "there is no nosuch, there is source,path,capped,level"),
        ("--strength=weak", "there is no weak, there is medium,strong"),
        ("--bias=nosuch=1", "there is no nosuch, there is diurnal, drift"),
        ("--bias=sticky", "'' is no number from 0 to 1"),
        ("--bias=sticky=1.5", "'1.5' is no number from 0 to 1"),
        ("--bias=volume_noise=nan", "'nan' is no number of 0 or more"),
        ("--near=-0.1", "'-0.1' is no number from 0 to 1"),
        ("--worlds=0", "0 is no whole number of 1 or more"),
        ("--senders=1", "1 is no whole number of 2 or more"),
        ("--seed=-1", "-1 is no whole number of 0 or more"),
    ],
)
def test_an_option_that_makes_no_world_is_refused(
    benchmark: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str, said: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["ingress_world.py", option])
    with pytest.raises(SystemExit) as caught:
        benchmark.main()
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "option", "said"),
    [
        ("decide", "--links=1", "1 is no whole number of 2 or more"),
        ("decide", "--repeats=0", "0 is no whole number of 1 or more"),
        ("whatif", "--seed=-1", "-1 is no whole number of 0 or more"),
        ("ingress_oracle", "--form=path", "there is no path, there is source,capped,level"),
        ("ingress_oracle", "--after=3", "there is no 3, there is 0,5,20"),
        ("ingress_oracle", "--bias=luck=1", "there is no luck, there is diurnal, drift, "),
    ],
)
def test_the_other_benchmarks_refuse_such_options_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, option: str, said: str
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setattr(sys, "argv", [f"{name}.py", option])
    with pytest.raises(SystemExit) as caught:
        importlib.import_module(name).main()
    assert caught.value.code == 2
    assert said in capsys.readouterr().err


def test_a_graph_that_is_too_small_for_the_senders_is_refused(benchmark: ModuleType) -> None:
    graph = internet(np.random.default_rng(3), Shape(ases=200, tier1=4, transit=30))
    arguments = argparse.Namespace(seed=3, worlds=1, senders=500, near=0.0, asked_near=0.5)
    with pytest.raises(SystemExit, match="have a way to the origin: too few for 500 senders"):
        benchmark.worlds(graph, "source", benchmark.biases_of("medium", {}), arguments)


@pytest.mark.parametrize("changed", [{}, {"missing": 1.0}, {"missing": 0.9, "noise": 1.0, "sticky": 1.0}])
def test_any_biases_give_figures(benchmark: ModuleType, changed: dict[str, float]) -> None:
    """Also where an observation sees next to nobody, or nobody at all."""
    graph = internet(np.random.default_rng(3), Shape(ases=300, tier1=4, transit=60))
    arguments = argparse.Namespace(seed=3, worlds=1, senders=40, near=0.0, asked_near=0.5)
    found = benchmark.worlds(graph, "source", benchmark.biases_of("strong", changed), arguments)
    assert json.dumps(benchmark.summary(found), allow_nan=False)


def test_without_its_data_a_comparison_still_gives_one_object(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.setattr(sys, "argv", ["whatif.py", "--json", f"--as-rel={tmp_path / 'none.bz2'}"])
    assert importlib.import_module("whatif").main() == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {"name": "whatif", "figures": {}, "targets": {}, "met": {}}
    assert "skipped: there is no" in err


def test_an_oracle_that_draws_the_same_graph_twice_foretells_what_one_with_that_graph_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    oracle, hidden, episode = map(importlib.import_module, ("ingress_oracle", "hidden_world", "ingress_episode"))
    for name, value in (("GROUP_RULES", 60), ("OWN_RULES", 8), ("GRAPHS", 2)):
        monkeypatch.setattr(oracle, name, value)
    graph = internet(np.random.default_rng(3), Shape(ases=300, tier1=4, transit=60))
    steps, biases = episode.Steps(), hidden.Biases()
    for seed in range(20):  # some move nothing, and make no episode
        world = hidden.HiddenWorld(graph, form="source", biases=biases, senders=40, seed=seed)
        told = episode.episode_of(world, steps=steps, seed=seed, checkpoints=episode.CHECKPOINTS[:-1])
        if told is not None:
            break
    known = world.told()

    def foretold(model: Any) -> list[np.ndarray]:
        model.learn(told.steps[0][0])
        return [model.predict(test.vector) for test in told.tests[0]]

    def with_graphs(times: int) -> list[np.ndarray]:
        guess = oracle.Guess(cost=np.stack([known.cost] * times), shifts={(0, 0, 0): 1.0})
        return foretold(oracle.Oracle(told, known, guess, world, np.random.default_rng(1)))

    once = with_graphs(1)
    assert np.sum(once, axis=2) == pytest.approx(1.0, abs=1e-5)
    assert np.array(with_graphs(2)) == pytest.approx(np.array(once), abs=1e-5)
    # The same rules are drawn for all of them: what differs comes of the graphs.
    models = oracle.models(told, world, graph)
    doubts = np.array(foretold(models["oracle, doubts its graph"]))
    assert doubts.sum(axis=2) == pytest.approx(1.0, abs=1e-5)
    assert np.abs(doubts - foretold(models["oracle, wrong graph"])).max() > 0.01


def test_in_a_world_nobody_sells_to_whoever_sells_to_him(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else large networks would be customers of small ones, and paths through chains of customers 20 hops long."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    hidden = importlib.import_module("hidden_world")
    graph = internet(np.random.default_rng(4), Shape(ases=2000, tier1=6, transit=300))
    world = hidden.distorted(graph, 0.3, np.random.default_rng(5))
    assert (graph.cycles(), world.cycles()) == ((), ())
    # And it is another one: it lacks some of who sells to whom, and has others.
    known, drawn = ({*zip(*map(np.ndarray.tolist, g.transit_pairs()), strict=True)} for g in (graph, world))
    assert len(known - drawn) > 100
    assert len(drawn - known) > 100
