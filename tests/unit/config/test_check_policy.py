"""A policy has to fit the network and the other policies."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.config.conftest import POLICY, Files

Bent = Callable[..., list[str]]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("clear_below: 70%", "clear_below: 80%", "6:67: when.clear_below: 80% is not below above, which is 80%"),
        ("for: 15m", "for: 20s", "when.for: 20s is shorter than poll.interval, which is 30s"),
        ("for: 15m", "for: 2m", "when.for: 2m is shorter than flows.window, which is 5m"),
        ("max: 3", "max: 4", "allow[0].max: 4 is more than bgp.max_prepend, which is 3"),
        ("max: 3", "max: 0", "allow[0].max: 0 prepends allow nothing"),
        ("max: 3}", "max: 3}\n  - {lever: prepend, max: 2}", "allow[1].lever: prepend is allowed already, in allow[0]"),
        ("settle: 6m", "settle: 20m", "confirm.settle: 20m is not below window, which is 20m"),
        ("above: 95%", "above: 80%", "confirm.revert_if[0].above: 80% is not above when.above, which is 80%"),
        ("below: 2", "below: 3", "confirm.revert_if[1].below: 3 is more than the 2 links that carry a matched prefix"),
        ("for: 3m", "for: 10s", "confirm.revert_if[2].for: 10s is shorter than poll.interval, which is 30s"),
        ("{kind: transit}", "{kind: ix}", "match.links: no link is of kind ix"),
        ("{kind: transit}", "{kind: ix, names: [transit-a]}", "match.links: no link is of kind ix and named so"),
        (
            "{kind: transit}",
            "{names: [transit-x]}",
            "match.links.names: there is no link transit-x, known are transit-",
        ),
        (
            "[eyeball]",
            "[eyebal]",
            "match.prefixes.tags: there is no prefix with the tag eyebal, known are eyeball, dns",
        ),
        ("[eyeball]", "[dns]", "match.prefixes: none of the matched prefixes has engineer: true"),
        ("{tags: [eyeball]}", "{prefixes: [192.0.2.0/24]}", "match.prefixes.prefixes: there is no prefix 192.0.2.0/24"),
        (
            "allow:",
            "limits: {min_links_per_prefix: 3}\nallow:",
            "3 is more than the 2 links that carry 198.51.100.0/24",
        ),
        ("allow:", "limits: {headroom: 92%}\nallow:", "limits.headroom: 92% leaves 800Mbps on the links that could"),
    ],
)
def test_what_does_not_fit_is_found(bent: Bent, old: str, new: str, problem: str) -> None:
    found = bent(old, new, policy=True)
    assert any(problem in line for line in found), found


def test_a_policy_needs_a_link_that_announces_what_it_may_change(files: Files) -> None:
    third = "  ix-1: {id: 3, kind: ix, router: edge1, interface: eth3, neighbor: 192.0.2.33, peer_asn: 64502, "
    files.bend("flows:\n", f"{third}capacity: 10Gbps}}\nflows:\n")
    for _ in range(2):
        files.bend("engineer: true}", "engineer: true, home: {ix-1: withhold}}")
    files.bend("{kind: transit}", "{kind: ix}", policy=True)
    (problem,) = files.problems()
    assert "match: no matched link announces any of the matched prefixes" in problem
    files.bend("{kind: ix}", "{kind: [ix, transit]}", policy=True)
    assert files.problems() == []


def test_headroom_that_just_suffices_is_accepted(bent: Bent) -> None:
    assert bent("allow:", "limits: {headroom: 89%}\nallow:", policy=True) == []


def test_a_hold_longer_than_the_readings_kept_can_never_be_seen(files: Files) -> None:
    files.bend("policies: policies", "store: {keep: {raw: 1h}}")
    files.bend("for: 15m", "for: 2h", policy=True)
    assert "when.for: 2h is longer than store.keep.raw, which is 1h" in files.problems()[0]


def test_cost_cannot_be_weighed_without_a_price(files: Files) -> None:
    files.bend(", price_per_mbps: 0.20", "")
    assert "objective: relieve_at_least_cost needs a price_per_mbps on at least one link" in files.problems()[0]


def test_two_policies_do_not_own_the_same_prefix_and_link(files: Files) -> None:
    other = files.policy.parent / "20-other.yaml"
    other.write_text(
        POLICY.replace("policy: balance", "policy: other").replace("{kind: transit}", "{names: [transit-b]}")
    )
    (problem,) = files.problems()
    assert problem == (
        "policies/20-other.yaml:3:1: match: policy balance has 198.51.100.0/24 on transit-b and 1 more already, one "
        "policy decides on a prefix and link"
    )


def test_a_disabled_policy_owns_nothing(files: Files) -> None:
    other = files.policy.parent / "20-other.yaml"
    other.write_text(POLICY.replace("policy: balance", "policy: other\nenabled: false"))
    assert files.problems() == []


def test_a_disabled_policy_is_checked_all_the_same(files: Files) -> None:
    other = files.policy.parent / "20-other.yaml"
    other.write_text(POLICY.replace("policy: balance", "policy: other\nenabled: false").replace("max: 3", "max: 5"))
    assert "allow[0].max: 5 is more than bgp.max_prepend" in files.problems()[0]


def test_policies_on_different_links_live_side_by_side(files: Files) -> None:
    files.bend("{kind: transit}", "{names: [transit-a]}", policy=True)
    other = files.policy.parent / "20-other.yaml"
    other.write_text(
        POLICY.replace("policy: balance", "policy: other").replace("{kind: transit}", "{names: [transit-b]}")
    )
    assert files.problems() == []


def test_a_policy_name_is_used_once(files: Files) -> None:
    other = files.policy.parent / "20-other.yaml"
    other.write_text(POLICY.replace("{kind: transit}", "{names: [transit-b]}"))
    assert any(
        "policies/20-other.yaml:2:9: policy: balance is the policy of" in problem for problem in files.problems()
    )
