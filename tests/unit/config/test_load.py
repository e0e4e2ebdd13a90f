from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from teagent.config.effective import SnmpV2c, SnmpV3
from teagent.config.load import find, load
from teagent.errors import ConfigError, PolicyError
from teagent.model.announcement import Announcement
from teagent.model.policy import AnnouncedLinksGuard, NoDataGuard, UtilisationGuard
from tests.conftest import ROOT
from tests.unit.config.conftest import SECRETS, Files


def test_home_is_the_links_unless_the_prefix_says_otherwise(files: Files) -> None:
    files.bend("home: {transit-b: withhold}", "home: {transit-a: 2, transit-b: withhold}")
    network = load(files.config, environment=SECRETS).network
    assert [dict(own.home) for own in network.prefixes] == [
        {"transit-a": 0, "transit-b": 1},
        {"transit-a": 0, "transit-b": 1},
        {"transit-a": 2},
    ]
    assert Announcement(prefix=ip_network("203.0.113.0/24"), link="transit-a", prepend=2) in list(network.home())


def test_defaults_of_a_router_come_from_its_address(files: Files) -> None:
    router = load(files.config, environment=SECRETS).routers["edge1"]
    assert router.neighbor == ip_address("192.0.2.1")
    assert router.exporter_addresses == (ip_address("192.0.2.1"),)
    assert router.snmp.port == 161


def test_secrets_are_resolved_and_never_printed(files: Files) -> None:
    config = load(files.config, environment=SECRETS)
    v2c, v3 = config.routers["edge1"].snmp, config.routers["edge2"].snmp
    assert isinstance(v2c, SnmpV2c)
    assert isinstance(v3, SnmpV3)
    assert v2c.community.reveal() == "community-1"
    assert v3.auth_key is not None
    assert v3.auth_key.reveal() == "auth-pass-phrase"
    assert not any(secret in repr(config) for secret in SECRETS.values())


def test_missing_secrets_are_problems_of_the_file(files: Files) -> None:
    with pytest.raises(ConfigError) as caught:
        load(files.config, environment={"AUTH": "x"})
    assert [p.key for p in caught.value.problems] == ["routers.edge1.snmp.community", "routers.edge2.snmp.priv.key"]
    assert "the environment variable EDGE1 is not set" in str(caught.value)


def test_a_file_can_be_looked_at_without_its_secrets(files: Files) -> None:
    config = load(files.config, environment=None)
    snmp = config.routers["edge1"].snmp
    assert isinstance(snmp, SnmpV2c)
    with pytest.raises(ValueError, match="was not resolved"):
        snmp.community.reveal()


def test_dry_run_is_the_default(files: Files) -> None:
    assert load(files.config, environment=SECRETS).bgp.dry_run is True


def test_a_policy_becomes_the_value_that_it_says(files: Files) -> None:
    (policy,) = load(files.config, environment=SECRETS).policies
    assert policy.when.above == 0.8
    assert policy.when.for_seconds == 900
    assert policy.max_prepend() == 3
    assert policy.confirm.revert_if == (
        UtilisationGuard(above=0.95),
        AnnouncedLinksGuard(below=2),
        NoDataGuard(for_seconds=180),
    )


def test_paths_start_at_the_directory_of_the_file(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    files.bend("policies: policies", "policies: policies\nstore: {path: data/teagent.db}")
    monkeypatch.chdir(files.directory.parent)
    config = load(Path(files.directory.name) / "config.yaml", environment=SECRETS)
    assert config.store.path == files.directory / "data" / "teagent.db"
    assert config.policies_dir == files.directory / "policies"


def test_policies_come_in_the_order_of_their_files_and_other_files_are_left_alone(files: Files) -> None:
    text = files.policy.read_text().replace("policy: balance", "policy: early\nenabled: false")
    (files.policy.parent / "05-early.yml").write_text(text)
    (files.policy.parent / "README.md").write_text("not yaml: [")
    (files.policy.parent / ".10-balance.yaml.swp.yaml").write_text("not yaml: [")
    config = load(files.config, environment=SECRETS)
    assert [p.name for p in config.policies] == ["early", "balance"]
    assert config.policy_files["early"].name == "05-early.yml"


def test_no_policies_is_a_configuration_that_only_watches(files: Files) -> None:
    files.policy.unlink()
    assert load(files.config, environment=SECRETS).policies == ()


def test_a_missing_directory_of_policies_is_a_problem_of_the_file(files: Files) -> None:
    files.bend("policies: policies", "policies: nowhere")
    (problem,) = files.problems()
    assert problem.startswith("config.yaml:26:11: policies: the directory")


@pytest.mark.parametrize("value", ['"\\u0007"', "\U00018cd6", "~/policies", "[a]"])
def test_what_is_no_path_of_policies_is_one_problem_on_one_line(files: Files, value: str) -> None:
    files.bend("policies: policies", f"policies: {value}")
    (problem,) = files.problems()
    assert problem.startswith("config.yaml:26:11: policies: ")
    assert problem.isprintable()


def test_problems_in_policies_alone_are_a_policy_error(files: Files) -> None:
    files.bend("max: 3", "max: 4", policy=True)
    with pytest.raises(PolicyError):
        load(files.config, environment=SECRETS)
    files.bend("asn: 64500", "asn: 0")
    with pytest.raises(ConfigError) as caught:
        load(files.config, environment=SECRETS)
    assert not isinstance(caught.value, PolicyError)


def test_a_policy_that_is_not_yaml_does_not_hide_the_others(files: Files) -> None:
    (files.policy.parent / "05-broken.yaml").write_text("a: [\n")
    files.bend("max: 3", "max: 4", policy=True)
    assert len(files.problems()) == 2


def test_the_digest_is_of_what_is_in_force_and_not_of_how_it_is_spelled(files: Files) -> None:
    before = load(files.config, environment=SECRETS).digest
    files.bend("capacity: 10Gbps", "capacity: 10000Mbps")
    files.bend("bgp:\n", "bgp:\n  dry_run: true\n")
    files.bend("window: 20m", "window: 1200s", policy=True)
    assert load(files.config, environment=SECRETS).digest == before
    files.bend("window: 1200s", "window: 21m", policy=True)
    assert load(files.config, environment=SECRETS).digest != before


def test_the_digest_does_not_depend_on_secrets(files: Files) -> None:
    with_secrets = load(files.config, environment=SECRETS).digest
    assert load(files.config, environment=dict.fromkeys(SECRETS, "other")).digest == with_secrets
    assert load(files.config, environment=None).digest == with_secrets


def test_the_file_is_found_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("teagent.config.load.DEFAULT_PATHS", (Path("config.yaml"), tmp_path / "etc.yaml"))
    with pytest.raises(ConfigError, match=r"there is none of config.yaml, .*etc.yaml") as caught:
        find(None, {})
    assert caught.value.exit_code == 3
    (tmp_path / "etc.yaml").touch()
    assert find(None, {}) == tmp_path / "etc.yaml"
    (tmp_path / "config.yaml").touch()
    assert find(None, {}) == Path("config.yaml")
    assert find(None, {"TEAGENT_CONFIG": "/else/where.yaml"}) == Path("/else/where.yaml")
    assert find(Path("given.yaml"), {"TEAGENT_CONFIG": "/else/where.yaml"}) == Path("given.yaml")


@pytest.mark.parametrize("name", ["config.example.yaml", "labs/two-transit/teagent.yaml"])
def test_shipped_configurations_load(name: str) -> None:
    assert load(ROOT / name, environment=None).policies


def test_the_shipped_example_announces_nothing() -> None:
    assert load(ROOT / "config.example.yaml", environment=None).bgp.dry_run is True


def test_all_shipped_policies_are_part_of_the_example() -> None:
    config = load(ROOT / "config.example.yaml", environment=None)
    assert {p.name for p in config.policy_files.values()} == {p.name for p in (ROOT / "policies").iterdir()}
    assert all(policy.approval.required for policy in config.policies)


def test_the_labs_home_is_the_scenarios() -> None:
    config = load(ROOT / "labs/two-transit/teagent.yaml", environment={"TEAGENT_LAB_COMMUNITY": "lab"})
    assert {str(own.prefix): dict(own.home) for own in config.network.prefixes} == {
        "10.0.0.0/24": {"transit-a": 0, "transit-b": 2},
        "11.0.0.0/24": {"transit-a": 0, "transit-b": 2},
        "12.0.0.0/24": {"transit-b": 0},
    }
    assert config.bgp.dry_run is False


def test_the_problems_in_how_to_write_a_policy_are_those_that_it_shows(tmp_path: Path) -> None:
    page = (ROOT / "docs/how-to/write-a-policy.md").read_text()
    policy = (ROOT / "policies/10-transit-balance.yaml").read_text()
    (tmp_path / "policies").mkdir()
    (tmp_path / "config.yaml").write_text((ROOT / "config.example.yaml").read_text())
    spoilt = policy.replace("clear_below: 70%", "clear_below: 85%").replace("max: 3}", "max: 4}")
    (tmp_path / "policies/10-transit-balance.yaml").write_text(spoilt)
    with pytest.raises(PolicyError) as caught:
        load(tmp_path / "config.yaml", environment=None)
    assert len(caught.value.problems) == 2
    for problem in caught.value.problems:
        assert str(problem).replace(f"{tmp_path}/", "") in page
