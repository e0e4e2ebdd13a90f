"""What pydantic finds, said in our words at the right place."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.config.conftest import Files

Bent = Callable[..., list[str]]


def test_an_untouched_configuration_has_no_problem(files: Files) -> None:
    assert files.problems() == []


def test_an_unknown_key_is_placed_at_the_key_with_the_known_keys_nearest_first(bent: Bent) -> None:
    (problem,) = bent("capacity: 10Gbps, home", "capacity: 10Gbps, max_prepnd: 2, home")
    assert problem.startswith("config.yaml:20:33: links.transit-b.max_prepnd: unknown key, known keys are ")


def test_the_nearest_known_key_is_named_first(bent: Bent) -> None:
    (missing, unknown) = bent("router_id", "routerid")
    assert missing == ("config.yaml:2:1: local.router_id: required key is missing, for example router_id: 192.0.2.250")
    assert unknown == "config.yaml:2:21: local.routerid: unknown key, known keys are router_id, asn"


def test_a_wrong_unit_is_placed_at_the_value(bent: Bent) -> None:
    assert bent("capacity: 10Gbps, price", "capacity: 10G, price") == [
        "config.yaml:18:25: links.transit-a.capacity: '10G' is not a rate, for example 10Gbps"
    ]


def test_all_problems_of_all_files_come_out_in_one_run_in_order(files: Files) -> None:
    files.bend("asn: 64500", "asn: 0")
    files.bend("engineer: true", "engineer: yes")
    files.bend("kind: transit", "kind: transt")
    files.bend("capacity: 10Gbps, home", "capacity: 10, home")
    files.bend("local_address", "local_adress")
    files.bend("max: 3", "max: 7", policy=True)
    places = [problem.split(": ")[0] for problem in files.problems()]
    assert [place.rsplit(":", 1)[0] for place in places] == [
        *(f"config.yaml:{line}" for line in (2, 4, 17, 20, 23, 24)),
        "policies/10-balance.yaml:9",
    ]


def test_problems_of_the_yaml_and_of_the_shape_come_out_together(files: Files) -> None:
    files.bend("asn: 64500,", "asn: 64500, asn: 64501, x: 1,")
    assert files.problems() == [
        "config.yaml:2:21: local.asn: duplicate key, it is on line 2 already",
        "config.yaml:2:33: local.x: unknown key, known keys are asn, router_id",
    ]


def test_one_place_has_one_problem(bent: Bent) -> None:
    (problem,) = bent("id: 2", "id: 02")
    assert problem.startswith("config.yaml:19:19: links.transit-b.id: may be read as octal")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("version: 1\n", "version: 2\n", "version: 2 is not a version of this file that is known here, write 1"),
        ("version: 1\n", "", "version: required key is missing, for example version: 1"),
        ("version: 2c", "version: 2", "routers.edge1.snmp.version: 2 is not a known version, known are 2c, 3"),
        ("version: 2c, ", "", "routers.edge1.snmp.version: required key is missing"),
        ("version: 2c, ", "version: 2c, prot: 1, ", "routers.edge1.snmp.prot: unknown key, known keys are port"),
        ('"env:EDGE1"', "public", "routers.edge1.snmp.community: a secret is not written here but referred to"),
        ("sha256", "sha", "routers.edge2.snmp.auth.protocol: 'sha' is not a known authentication protocol"),
        (
            "netflow",
            "xflow",
            "flows.listen[0].protocol: 'xflow' is not a known flow protocol, known are sflow, netflow",
        ),
        (
            '[{protocol: netflow, address: "127.0.0.1:2055"}]',
            "[]",
            "flows.listen: required key is missing, and so is flows.clickhouse",
        ),
        (
            "tags: [eyeball]",
            "tags: eyeball",
            "prefixes[0].tags: 'eyeball', where a list is wanted: write [ ] around it",
        ),
        ("home: {transit-b: withhold}", "home: {transit-b: no}", "home.transit-b: 'no' is not a number of prepends"),
        (
            "home: {prepend: 1}",
            "home: {prepend: 65000}",
            "65000 is not a number of prepends from 0 to 5, it looks like",
        ),
        ("home: {prepend: 1}", "home:", "links.transit-b.home: an empty value, where a map of keys is wanted"),
        ("  transit-b:", "  transit b:", "links.transit b: 'transit b' is not the name of a link"),
        ("bgp:\n", "bgp:\n  mode: direct\n", "bgp.mode: mode direct is not available yet, known are signal"),
        ("bgp:\n", "bgp:\n  signals: standard\n", "bgp.signals: form of signals standard is not available yet"),
        ("bgp:\n", "bgp:\n  max_prepend: 6\n", "bgp.max_prepend: 6 is not a number of prepends from 0 to 5"),
        ("bgp:\n", "bgp:\n  dry_run: no\n", "bgp.dry_run: 'no' is neither true nor false"),
        ("policies: policies", "advisor: {enabled: true}", "advisor: an advisor that is enabled needs a model"),
        ("policies: policies", "advisor: {model: gpt-oss:120b-cloud}", "'gpt-oss:120b-cloud' does not run here"),
        ("policies: policies", "advisor: {model: 'a b'}", "advisor.model: 'a b' is not the name of a model"),
        ("policies: policies", "advisor: {url: localhost}", "advisor.url: 'localhost' is not http:// or https://"),
        ("policies: policies", "advisor: {think: true, thinking_tokens: 4000}", "4000 is more than half of context"),
        ("policies: policies", "policies: 3", "policies: 3 is not a path"),
        ("policies: policies", "poll: {interval: 30}", "poll.interval: 30 has no unit, for example 30s"),
        ("policies: policies", "control: []", "control: a list, where a map of keys is wanted"),
        ("policies: policies", "log: {level: warn}", "'warn' is not a known level, known are warning, debug"),
        ("policies: policies", "currency: euro", "currency: 'euro' is not a currency, for example EUR"),
        ("id: 1,", "id: 429496729,", "links.transit-a.id: 429496729 is not a link id from 1 to 429496728"),
        ("id: 1,", "id: 1.0,", "links.transit-a.id: 1.0 is not a link id: a whole number from 1 to 429496728"),
    ],
)
def test_the_configuration_is_held_to_its_shape(bent: Bent, old: str, new: str, message: str) -> None:
    assert any(message in problem for problem in bent(old, new))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("lever: prepend, max: 3", "lever: med, max: 3", "allow[0].lever: lever med is not available yet"),
        ("lever: prepend, max: 3", "lever: foo, bar: 3", "allow[0].lever: 'foo' is not a known lever"),
        ("lever: prepend, max: 3", "max: 3", "allow[0].lever: required key is missing, for example lever: prepend"),
        ("guard: no_data, for", "guard: nodata, for", "confirm.revert_if[2].guard: 'nodata' is not a known guard"),
        ("guard: no_data, for: 3m", "guard: no_data, for: 3", "confirm.revert_if[2].for: 3 has no unit"),
        ("guard: no_data, for: 3m", "guard: no_data, above: 3%", "revert_if[2].above: unknown key, known keys are for"),
        ("above: 80%", "above: 80", "when.above: 80 has no unit, for example 80%"),
        ("for: 15m", "for_: 15m", "when.for_: unknown key, known keys are for"),
        ("{kind: transit}", "{}", "match.links: nothing to match by, give kind or names"),
        ("{tags: [eyeball]}", "{}", "match.prefixes: nothing to match by, give tags or prefixes"),
        ("{tags: [eyeball]}", "{tags: []}", "match.prefixes.tags: nothing in it, at least 1 is needed"),
        ("{kind: transit}", "{kind: [transit, foo]}", "match.links.kind: 'foo' is not a known kind of link"),
        ("relieve_at_least_cost", "cheapest", "objective: 'cheapest' is not a known objective"),
        ("policy: balance", "policy: a b", "policy: 'a b' is not the name of a policy"),
    ],
)
def test_a_policy_is_held_to_its_shape(bent: Bent, old: str, new: str, message: str) -> None:
    assert any(message in problem for problem in bent(old, new, policy=True))


def test_a_row_of_an_unknown_kind_has_one_problem_only(bent: Bent) -> None:
    problems = bent("{lever: prepend, max: 3}", "{lever: community, link: transit-a, add: x}", policy=True)
    assert problems == [
        "policies/10-balance.yaml:9:13: allow[0].lever: lever community is not available yet, known are prepend"
    ]


def test_a_file_of_another_version_has_one_problem_only(files: Files) -> None:
    files.config.write_text("version: 2\nsomething: new\n")
    assert files.problems()[0].startswith("config.yaml:1:10: version: 2 is not a version")
    assert len([p for p in files.problems() if p.startswith("config.yaml")]) == 1


@pytest.mark.parametrize("text", ["just text\n", "~\n", "[1, 2]\n", "3\n"])
def test_a_file_that_is_no_map_says_so(files: Files, text: str) -> None:
    files.config.write_text(text)
    assert "where a map of keys is wanted" in files.problems()[0]


def test_no_message_shows_how_the_program_is_made(files: Files) -> None:
    files.config.write_text(
        "version: 1\nlocal: 3\nprefixes: {a: 1}\nrouters: []\nlinks: {a: {home: 3}}\nflows: x\nbgp:\n"
    )
    text = "\n".join(files.problems())
    for word in ("Value error", "Input should", "pydantic", "dict", "NoneType", "None", "int_", "Row"):
        assert word not in text
