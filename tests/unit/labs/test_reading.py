"""What of a containerlab topology is understood, and what is said about the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from labs.runner import Topology, load_topology
from labs.runner.topology import Bind
from teagent.errors import ConfigError


def read(tmp_path: Path, text: str) -> Topology:
    path = tmp_path / "lab.clab.yml"
    path.write_text(text)
    return load_topology(path)


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    return [f"{p.line}:{p.column}: {p.key}: {p.message}" for p in caught.value.problems]


def test_a_node_inherits_from_its_group_then_its_kind_then_the_defaults(tmp_path: Path) -> None:
    (node,) = read(
        tmp_path,
        """
name: lab
topology:
  defaults: {kind: linux, image: from-defaults, env: {A: d, B: d, C: d, D: d}, exec: [one]}
  kinds: {linux: {image: from-kind, env: {A: k, B: k, C: k}, exec: [two]}}
  groups: {core: {image: from-group, env: {A: g, B: g}, exec: [three]}}
  nodes: {r1: {group: core, env: {A: n}, exec: ["four 'and more'"]}}
""",
    ).nodes
    assert node.image == "from-group"
    assert node.env == {"A": "n", "B": "g", "C": "k", "D": "d"}
    assert node.exec == (("one",), ("two",), ("three",), ("four", "and more"))


def test_the_kind_and_the_group_may_come_from_the_defaults(tmp_path: Path) -> None:
    (node,) = read(
        tmp_path,
        """
name: lab
topology:
  defaults: {group: lan}
  groups: {lan: {kind: bridge}}
  kinds: {bridge: {image: none-needed}}
  nodes: {sw: }
""",
    ).nodes
    assert (node.kind, node.image, node.hostname) == ("bridge", "none-needed", "sw")


def test_a_bind_of_the_same_target_is_replaced_by_the_more_specific(tmp_path: Path) -> None:
    for name in ("common", "own", "other", "r1.conf"):
        (tmp_path / name).touch()
    (node,) = read(
        tmp_path,
        """
name: lab
topology:
  defaults: {binds: ["common:/etc/frr/daemons:ro", "other:/etc/other"]}
  nodes: {r1: {binds: ["own:/etc/frr/daemons:rw,z", "__clabNodeName__.conf:/etc/frr/frr.conf:ro,Z"]}}
""",
    ).nodes
    assert node.binds == (
        Bind(source=tmp_path / "own", target="/etc/frr/daemons", read_only=False),
        Bind(source=tmp_path / "other", target="/etc/other", read_only=False),
        Bind(source=tmp_path / "r1.conf", target="/etc/frr/frr.conf", read_only=True),
    )


def test_links_are_read_in_both_forms(tmp_path: Path) -> None:
    links = read(
        tmp_path,
        """
name: lab
topology:
  nodes: {a: {}, b: {}}
  links:
    - endpoints: ["a:eth1", "b:eth1"]
    - {endpoints: ["a:eth2", "b:eth2"], mtu: 9000, ipv4: [192.0.2.1/30, 192.0.2.2/30], ipv6: ["", "2001:db8::2/64"]}
    - type: veth
      mtu: 1500
      endpoints:
        - {node: a, interface: eth3, mac: "02:00:00:00:00:01", ipv4: 198.51.100.1/24, ipv6: "2001:db8:1::1/64"}
        - {node: b, interface: eth3}
    - {type: veth-stitch, endpoints: [{node: a, interface: eth4}, {node: b, interface: eth4}]}
    - {endpoints: ["a:loop1", "a:loop2"]}
""",
    ).links
    assert [tuple(str(end) for end in link.endpoints) for link in links] == [
        ("a:eth1", "b:eth1"),
        ("a:eth2", "b:eth2"),
        ("a:eth3", "b:eth3"),
        ("a:eth4", "b:eth4"),
        ("a:loop1", "a:loop2"),
    ]
    assert [link.mtu for link in links] == [None, 9000, 1500, None, None]
    assert [link.b.addresses for link in links[:2]] == [(), ("192.0.2.2/30", "2001:db8::2/64")]
    assert links[2].a.mac == "02:00:00:00:00:01"
    assert links[2].a.addresses == ("198.51.100.1/24", "2001:db8:1::1/64")


def test_a_command_replaces_what_the_image_starts(tmp_path: Path) -> None:
    (tmp_path / "vars").write_text("# comment\nFROM_FILE=a=b\nBOTH=file\n")
    (node,) = read(
        tmp_path,
        """
name: lab
topology:
  kinds: {linux: {entrypoint: "bash -c", env-files: [vars]}}
  nodes: {a: {cmd: "'echo $A'", env: {A: no, BOTH: 64500:10}, startup-delay: 3}}
""",
    ).nodes
    assert node.command == ("bash", "-c", "echo $A")
    # a scalar stays what was written: YAML 1.1 would make False and 3870010 of these
    assert node.env == {"A": "no", "BOTH": "64500:10", "FROM_FILE": "a=b"}
    assert node.startup_delay_seconds == 3


def test_environment_variables_are_expanded_where_they_are_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_IMAGE", "frr:9")
    (node,) = read(
        tmp_path,
        "name: lab\ntopology: {nodes: {a: {image: '${LAB_IMAGE}', exec: ['x ${LAB_UNSET_1} ${LAB_UNSET_2:=y}']}}}\n",
    ).nodes
    assert node.image == "frr:9"
    assert node.exec == (("x", "${LAB_UNSET_1}", "y"),)


def test_anchors_and_merge_keys_are_followed(tmp_path: Path) -> None:
    a, b = read(
        tmp_path,
        """
name: lab
topology:
  nodes:
    a: &base {image: frr, env: {X: "1"}}
    b: {<<: *base, env: {X: "2"}}
""",
    ).nodes
    assert (a.image, b.image, a.env, b.env) == ("frr", "frr", {"X": "1"}, {"X": "2"})


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ('{endpoints: ["a:eth1", "c:eth1"]}', "there is no node c, nodes are a, b"),
        ('{endpoints: ["a:eth1", "b:eth1", "b:eth2"]}', "a link has 2 endpoints, this one has 3"),
        ('{endpoints: ["a:eth1"]}', "a link has 2 endpoints, this one has 1"),
        ('{endpoints: ["a:eth1", "b"]}', "an endpoint is NODE:INTERFACE"),
        ('{endpoints: ["a:eth1", {node: b}]}', "an endpoint is NODE:INTERFACE"),
        ('{endpoints: ["a:eth1", "host:veth0"]}', "host is the machine's own network"),
        ('{endpoints: ["a:eth1", "b:lo"]}', "'lo' is not a name for an interface"),
        ('{endpoints: ["a:eth1", "b:an-interface-too-long"]}', "'an-interface-too-long' is not a name"),
        ('{endpoints: ["a:eth0", "b:eth1"]}', "a:eth0 is already used by topology.links[0]"),
        ('{endpoints: ["a:eth1", "b:eth1"], mtu: big}', "'big' is not a whole number from 68 to 65535"),
        ('{endpoints: ["a:eth1", "b:eth1"], ipv4: [192.0.2.1]}', "'192.0.2.1' is not an address with its length"),
        ('{endpoints: ["a:eth1", "b:eth1"], color: red}', "unknown key, known keys are endpoints"),
        ("{type: vxlan, endpoint: {node: a, interface: eth1}}", "vxlan leaves the lab or needs Docker"),
        ("{mtu: 1500}", "is missing"),
        (
            "{type: veth, endpoints: [{node: a, interface: eth1, mac: x}, {node: b, interface: eth1}]}",
            "'x' is not a MAC",
        ),
    ],
)  # fmt: skip
def test_a_link_that_cannot_be_is_a_problem_at_its_line(tmp_path: Path, link: str, said: str) -> None:
    text = (
        f'name: lab\ntopology:\n  nodes: {{a: , b: }}\n  links:\n    - endpoints: ["a:eth0", "b:eth0"]\n    - {link}\n'
    )
    (problem,) = problems(tmp_path, text)
    assert problem.startswith("6:")
    assert said in problem


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ("{imagee: frr}", "topology.nodes.a.imagee: unknown key, known keys are"),
        ("{kind: nokia_srlinux}", "nokia_srlinux cannot run in a namespace, only linux and bridge"),
        ("{group: core}", "there is no group core in topology.groups"),
        ("{startup-config: r1.cfg}", "needs containerlab with Docker"),
        ("{network-mode: host}", "host is not possible, only none"),
        ("{exec: ip link}", "expected a list, found a text"),
        ('{exec: ["echo \'open"]}', "cannot be split into words: no closing quotation"),
        ("{binds: [absent:/x]}", "there is no absent beside the topology file"),
        ("{binds: [onlyone]}", "'onlyone' is not SOURCE:/TARGET"),
        ("{binds: ['.:relative']}", "'.:relative' is not SOURCE:/TARGET"),
        ("{binds: ['/var/log:/x']}", "is under a directory that every node has of its own"),
        ("{env-files: [absent]}", "absent cannot be read"),
        ("{env: [A=1]}", "expected a mapping, found a list"),
        ("{startup-delay: soon}", "'soon' is not a whole number"),
        ("{image: a, image: b}", "is there twice"),
        ("5", "expected a mapping, found a text"),
    ],
)
def test_a_node_that_cannot_be_is_a_problem_at_its_line(tmp_path: Path, node: str, said: str) -> None:
    (problem,) = problems(tmp_path, f"name: lab\ntopology:\n  nodes:\n    a: {node}\n")
    assert problem.startswith("4:")
    assert said in problem


def test_all_problems_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    said = problems(
        tmp_path,
        """name: "two words"
topology:
  nodes:
    r1: {kind: cisco_xrv}
  links:
    - endpoints: ["r1:eth1", "r2:eth1"]
colour: red
""",
    )
    assert [line.split(" ")[0] for line in said] == ["1:7:", "4:16:", "6:30:", "7:9:"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: lab\ntopology: {nodes: {a: [}}\n", "2:"),
        ("", "name: is missing"),
        ("- a\n", "expected a mapping, found a list"),
        ("name: lab\ntopology: {nodes: {}}\n", "there is no node"),
        ("name: &a {x: *a}\ntopology: {nodes: {b: }}\n", "expected text, found a mapping"),
        ("name: lab\ntopology: &t\n  <<: *t\n  nodes: {b: {kind: x}}\n", "x cannot run"),
    ],
)
def test_a_file_that_is_no_topology_is_told_as_such(tmp_path: Path, text: str, said: str) -> None:
    assert any(said in problem for problem in problems(tmp_path, text))


def test_a_file_that_cannot_be_read_is_told_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent\.yml: no such file or directory"):
        load_topology(tmp_path / "absent.yml")
    (tmp_path / "latin").write_bytes(b"name: \xe9\n")
    with pytest.raises(ConfigError, match="is not UTF-8 at octet 6"):
        load_topology(tmp_path / "latin")
