"""`teagent config check|show|schema`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from teagent.cli.config import config
from teagent.config.load import load
from tests.unit.config.conftest import SECRETS, Files


def run(*arguments: str | Path, **environment: str) -> Result:
    env = {"TEAGENT_CONFIG": None, "EDGE1": None, **environment}
    return CliRunner().invoke(config, [str(a) for a in arguments], env=env, catch_exceptions=False)


def test_a_good_file_says_what_it_holds(files: Files) -> None:
    result = run("check", files.config)
    assert result.exit_code == 0
    assert result.stdout == f"{files.config}: ok, 2 routers, 2 links, 3 prefixes, 1 policy; dry run\n"
    assert result.stderr == ""


def test_all_problems_go_to_standard_error_with_exit_code_3(files: Files) -> None:
    files.bend("capacity: 10Gbps, price", "capacity: 10G, price")
    files.bend("max: 3", "max: 9", policy=True)
    result = run("check", files.config)
    assert result.exit_code == 3
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        f"{files.config}:18:25: links.transit-a.capacity: '10G' is not a rate, for example 10Gbps",
        f"{files.policy}:9:27: allow[0].max: 9 is not a number of prepends from 0 to 5",
        f"2 problems in {files.config}, {files.policy}. Nothing was started.",
    ]


def test_problems_come_as_json_too(files: Files) -> None:
    files.bend("capacity: 10Gbps, price", "capacity: 10G, price")
    result = run("check", files.config, "--json")
    assert result.exit_code == 3
    document = json.loads(result.stdout)
    assert document["ok"] is False
    assert document["problems"] == [
        {
            "file": str(files.config),
            "line": 18,
            "column": 25,
            "key": "links.transit-a.capacity",
            "message": "'10G' is not a rate, for example 10Gbps",
        }
    ]


def test_a_good_file_as_json_has_its_digest(files: Files) -> None:
    document = json.loads(run("check", files.config, "--json").stdout)
    assert document["ok"] is True
    assert document["problems"] == []
    assert document["digest"] == load(files.config, environment=SECRETS).digest


def test_strict_tries_secrets_too(files: Files) -> None:
    assert "the environment variable EDGE1 is not set" in run("check", "--strict", files.config).stderr
    assert "EDGE1" not in run("check", "--strict", files.config, EDGE1="public").stderr


def test_the_file_may_come_from_the_environment(files: Files) -> None:
    assert run("check", TEAGENT_CONFIG=str(files.config)).exit_code == 0


def test_a_file_that_is_not_there_is_a_problem_with_exit_code_3(tmp_path: Path) -> None:
    result = run("check", tmp_path / "nowhere.yaml")
    assert result.exit_code == 3
    assert "nowhere.yaml: the file cannot be read: no such file or directory" in result.stderr


def test_what_is_shown_loads_again(files: Files) -> None:
    shown = files.directory / "shown.yaml"
    shown.write_text(run("show", files.config).stdout)
    before, after = load(files.config, environment=None), load(shown, environment=None)
    assert after.digest == before.digest


def test_a_policy_is_shown_by_name(files: Files) -> None:
    result = run("show", files.config, "--policy", "balance")
    assert result.stdout.startswith("version: 1\npolicy: balance\n")
    files.policy.write_text(result.stdout)
    assert run("check", files.config).exit_code == 0


def test_a_policy_that_is_not_there_is_refused_with_the_known_ones(files: Files) -> None:
    result = run("show", files.config, "--policy", "nope")
    assert result.exit_code == 5
    assert result.stderr == "error: there is no policy nope, known are balance\n"


def test_what_is_shown_as_json_has_no_secrets(files: Files) -> None:
    result = run("show", files.config, "--json", EDGE1="s3cret")
    document = json.loads(result.stdout)
    assert document["config"]["routers"]["edge1"]["snmp"]["community"] == "env:EDGE1"
    assert document["policies"][0]["policy"] == "balance"
    assert "s3cret" not in result.stdout


def test_a_bad_file_is_not_shown(files: Files) -> None:
    files.bend("asn: 64500", "asn: 0")
    result = run("show", files.config)
    assert result.exit_code == 3
    assert result.stdout == ""


@pytest.mark.parametrize("arguments", [["schema"], ["schema", "--policy"]])
def test_the_schema_is_json(arguments: list[str]) -> None:
    assert json.loads(run(*arguments).stdout)["$schema"].endswith("2020-12/schema")


def test_wrong_usage_is_exit_code_2() -> None:
    assert run("check", "--no-such-option").exit_code == 2
