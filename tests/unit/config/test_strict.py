"""What `config check --strict` tries on this machine."""

from __future__ import annotations

import dataclasses
from ipaddress import ip_address

import pytest

from teagent.config.effective import AsGraphConfig, Config, OriginsConfig
from teagent.config.load import load
from teagent.config.strict import try_out
from tests.unit.config.conftest import SECRETS, Files


@pytest.fixture
def local(files: Files) -> Config:
    """Everything at home on the loopback of this machine, and in the test's directory."""
    files.bend("  edge1: {address: 192.0.2.1,", "  edge1: {address: 127.0.0.2,")
    files.bend("    address: 192.0.2.2\n", "    address: 127.0.0.3\n")
    files.bend("local_address: 192.0.2.250", "local_address: 127.0.0.1")
    files.bend(
        "policies: policies",
        "store: {path: teagent.db}\ncontrol: {socket: teagent.sock, approvers: [root]}\n"
        "metrics: {listen: 127.0.0.1:9617}",
    )
    files.bend(
        "bgp:\n",
        "bgp:\n  relay: relay.sock\n  allow_list: allow.json\n  freeze_file: freeze\n  journal: journal.json\n",
    )
    return load(files.config, environment=None)


def tried(config: Config, environment: dict[str, str] | None = None) -> list[str]:
    problems = try_out(config, SECRETS if environment is None else environment)
    assert all(problem.line for problem in problems)
    return [f"{problem.key}: {problem.message}" for problem in problems]


def test_what_is_all_here_has_no_problem(local: Config) -> None:
    assert tried(local) == []


def test_missing_secrets_are_found(local: Config) -> None:
    assert [problem.split(":")[0] for problem in tried(local, {})] == [
        "routers.edge1.snmp.community",
        "routers.edge2.snmp.auth.key",
        "routers.edge2.snmp.priv.key",
    ]


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (None, "the environment variable KEY is not set"),
        ("", "the environment variable KEY is empty"),
        ("k ", "what env:KEY refers to is no TCP MD5 key: it has a space, or a character that is not printable ASCII"),
        ("k" * 81, "what env:KEY refers to is no TCP MD5 key: it has 81 characters, limit 80"),
    ],
)
def test_a_key_that_no_session_can_be_signed_with_is_found_where_it_stands(
    local: Config, files: Files, key: str | None, why: str
) -> None:
    files.bend("edge1: {", "edge1: {bgp: {md5_password: env:KEY}, ")
    keyed = load(files.config, environment=None)
    assert tried(keyed, {**SECRETS, "KEY": "k"}) == []
    assert tried(keyed, SECRETS if key is None else {**SECRETS, "KEY": key}) == [
        f"routers.edge1.bgp.md5_password: {why}"
    ]


def test_the_file_of_origins_has_to_be_there(local: Config) -> None:
    path = local.store.path.parent / "bview.gz"
    origins = OriginsConfig(path=path, bmp=False, reload_seconds=3600)
    local = dataclasses.replace(local, flows=dataclasses.replace(local.flows, origins=origins))
    # The file under test does not have the key, so that the problem is said of the file itself.
    assert [problem.message for problem in try_out(local, SECRETS)] == [
        f"{path} is not there, or cannot be read by this user"
    ]
    path.touch()
    assert try_out(local, SECRETS) == []


def test_the_as_graph_has_to_be_there(local: Config) -> None:
    path = local.store.path.parent / "as-rel.txt"
    local = dataclasses.replace(local, as_graph=AsGraphConfig(path=path, reload_seconds=3600))
    assert [problem.message for problem in try_out(local, SECRETS)] == [
        f"{path} is not there, or cannot be read by this user"
    ]
    path.touch()
    assert try_out(local, SECRETS) == []


def test_directories_have_to_be_there(local: Config) -> None:
    gone = local.store.path.parent / "gone" / "teagent.db"
    config = dataclasses.replace(local, store=dataclasses.replace(local.store, path=gone))
    assert tried(config) == [f"store.path: the directory {gone.parent} does not exist"]


def test_groups_have_to_be_there(local: Config) -> None:
    config = dataclasses.replace(local, control=dataclasses.replace(local.control, approvers=("no-such-group-here",)))
    assert tried(config) == ["control.approvers[0]: this machine has no group no-such-group-here"]


def test_our_addresses_have_to_be_of_this_machine(local: Config) -> None:
    config = dataclasses.replace(local, bgp=dataclasses.replace(local.bgp, local_address=ip_address("192.0.2.250")))
    assert [p.split(": ")[0] for p in tried(config)] == ["bgp.local_address"]


def test_names_have_to_resolve(local: Config) -> None:
    edge1 = dataclasses.replace(local.routers["edge1"], address="no-such-host.invalid")
    config = dataclasses.replace(local, routers=local.routers | {"edge1": edge1})
    (problem,) = tried(config)
    assert problem.startswith("routers.edge1.address: no-such-host.invalid cannot be resolved")
