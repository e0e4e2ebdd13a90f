"""What is in labs/three-transit is what its internet.yaml says."""

from __future__ import annotations

import shutil
from collections import Counter
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest

from labs.internet import Internet, load_internet
from labs.internet.__main__ import main
from labs.internet.files import files
from labs.internet.scenario import PREFIX_BPS, flows
from labs.prediction import CHANGES_MAX
from teagent.cli.router_config import border_router
from teagent.config.load import load
from teagent.engine.choose.flap import budget_reason, prefix_reasons
from teagent.model.snapshot import Busy
from teagent.wire.as_rel import parse
from teagent.wire.router_config import router_config

DIRECTORY = Path(__file__).resolve().parents[3] / "labs" / "three-transit"


@pytest.fixture(scope="module")
def internet() -> Internet:
    return load_internet(DIRECTORY / "internet.yaml")


def test_the_written_files_are_those_that_follow_from_the_data(internet: Internet) -> None:
    wanted = files(internet)
    assert {path: (DIRECTORY / path).read_text() for path in wanted} == wanted
    configs = {f"networks/{path.name}" for path in (DIRECTORY / "networks").iterdir()}
    assert configs - set(wanted) == {"networks/common.conf"}


def test_the_writer_writes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "networks").mkdir()
    shutil.copy(DIRECTORY / "internet.yaml", tmp_path)
    assert main([str(tmp_path)]) == 0
    assert (tmp_path / "networks" / "sa1.bird.conf").read_text() == files(load_internet(tmp_path / "internet.yaml"))[
        "networks/sa1.bird.conf"
    ]
    assert capsys.readouterr().out.startswith("wrote ")


@pytest.mark.parametrize(
    ("was", "becomes", "said"),
    [
        ("providers: [t1]", "providers: [t9]", "ta: there is no network t9"),
        ("keeps: older", "keeps: newer", "r1: keeps is newer, expected older"),
        ("prefers: tc", "prefers: ta", "r2: prefers ta, which is no provider of it"),
        ("asn: 64501", "asn: 64500", "an AS number comes twice"),
        ("sends: true", "send: true", "sa1: unknown key send"),
        ("runs: frr,", "runs: frr, keeps: older,", "ta: only networks with BIRD differ from the rule"),
    ],
)
def test_what_means_nothing_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], was: str, becomes: str, said: str
) -> None:
    text = (DIRECTORY / "internet.yaml").read_text()
    head, middle, tail = text.partition("\nnetworks:\n")
    (tmp_path / "internet.yaml").write_text(head + middle + tail.replace(was, becomes, 1))
    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"error: {said}\n"


def test_it_is_large_enough_and_has_several_networks_of_every_kind(internet: Internet) -> None:
    senders = internet.senders()
    kinds = Counter(
        "older"
        if network.keeps_older
        else "prefers"
        if network.prefers
        else "ignores"
        if network.ignores_prepends
        else "peer"
        if network.peers
        else "single"
        if len(network.providers) == 1
        else "order"
        for network in senders
    )
    assert len(senders) >= 30
    assert set(kinds) == {"older", "prefers", "ignores", "peer", "single", "order"}
    assert min(kinds.values()) >= 2


def test_the_relations_differ_from_the_truth_in_the_places_that_are_named(internet: Internet) -> None:
    told = parse((DIRECTORY / "as-rel.txt").read_bytes())
    transit = set(zip(told.provider.tolist(), told.customer.tolist(), strict=True))
    peering = {frozenset(pair) for pair in zip(told.peer_a.tolist(), told.peer_b.tolist(), strict=True)}
    asn = {name: network.asn for name, network in internet.networks.items()}
    sessions = internet.sessions
    true_transit = {(asn[s.b], asn[s.a]) for s in sessions if not s.peers}
    true_peering = {frozenset((asn[s.a], asn[s.b])) for s in sessions if s.peers}
    errors = internet.errors
    assert true_transit - transit == {(asn[b], asn[a]) for a, b in errors.missing}
    assert transit - true_transit == {(asn[b], asn[a]) for a, b in (*errors.invented, *errors.peers_as_customers)}
    assert true_peering - peering == {frozenset((asn[a], asn[b])) for a, b in errors.peers_as_customers}
    assert peering <= true_peering


def test_teagents_configuration_is_about_the_same_links_and_home(internet: Internet) -> None:
    network = load(DIRECTORY / "teagent.yaml", environment=None).network
    ours = {link.name: link for link in internet.links}
    assert set(network.links) == set(ours)
    for name, link in network.links.items():
        own = ours[name]
        assert (link.id, link.interface, str(link.neighbor)) == (own.link_id, own.interface, str(own.theirs))
        assert (link.peer_asn, link.capacity_bps) == (internet.networks[own.transit].asn, own.capacity_bps)
    told = {str(own.prefix): dict(own.home) for own in network.prefixes}
    carried = {own.prefix: {k: n for k, n in own.home.items() if n is not None} for own in internet.prefixes}
    assert told == carried


def test_the_policy_lets_as_many_changes_through_as_the_lab_may_make() -> None:
    [policy] = load(DIRECTORY / "teagent.yaml", environment=None).policies
    now = datetime(2026, 1, 12, tzinfo=UTC)
    moves = [now - timedelta(seconds=10 * number) for number in range(2 * CHANGES_MAX, 0, -1)]
    reasons = [*prefix_reasons(ip_network("10.0.0.0/24"), moves, policy.limits, now)]
    reasons.append(budget_reason([Busy(owner=None, changed_at=None, moves=tuple(moves))], policy.limits, now))
    assert [reason.message for reason in reasons if not reason.ok] == []


def test_the_edge_runs_the_block_that_teagent_prints() -> None:
    config = load(DIRECTORY / "teagent.yaml", environment=None)
    printed = router_config(border_router(config, config.routers["edge"]), "frr")
    operators, begin, block = (DIRECTORY / "edge" / "frr.conf").read_text().partition("! teagent begin\n")
    assert begin + block == printed[printed.index(begin) :]
    assert "TEAGENT" not in operators


def test_the_rates_are_heavy_tailed_and_come_again_with_the_seed(internet: Internet) -> None:
    drawn = flows(internet, seed=7)
    assert drawn == flows(internet, seed=7) != flows(internet, seed=8)
    for own in internet.prefixes:
        rates = sorted((flow.bps for flow in drawn if flow.destination == own.address), reverse=True)
        assert len(rates) == len(internet.senders())
        assert sum(rates) == pytest.approx(PREFIX_BPS)
        assert sum(rates[:5]) > PREFIX_BPS / 2
