"""`teagent allow-list`: the operator's own hand on what the relay lets out."""

from __future__ import annotations

import json
import os
import pwd
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from teagent.cli.root import teagent
from tests.unit.config.conftest import Files

ME = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture
def place(files: Files) -> Path:
    path = files.config.parent / "etc" / "allow.json"
    files.bend("bgp:\n", f"bgp:\n  allow_list: {path}\n  allow_list_owner: {ME}\n")
    return path


def run(files: Files, verb: str) -> Result:
    return CliRunner().invoke(teagent, ["allow-list", verb, "--config", str(files.config)])


def test_it_is_shown_without_being_written(files: Files, place: Path) -> None:
    shown = json.loads(run(files, "show").stdout)
    assert (shown["version"], shown["max_prepend"]) == (1, 3)
    assert not place.exists()


def test_the_budget_of_the_configuration_is_the_relays(files: Files, place: Path) -> None:
    assert not place.exists()
    files.bend("bgp:\n", "bgp:\n  budget: {max_overrides: 3, changes_per_minute: 7, burst: 2}\n")
    shown = json.loads(run(files, "show").stdout)
    assert (shown["max_overrides"], shown["changes_per_minute"], shown["burst"]) == (3, 7, 2)


def test_it_is_written_once_and_checked(files: Files, place: Path) -> None:
    assert run(files, "check").exit_code == 5
    assert run(files, "write").stdout == f"wrote {place}\n"
    assert run(files, "write").stdout == f"{place} says so already\n"
    assert run(files, "check").stdout == f"{place} is what {files.config.name} says\n"
    assert place.stat().st_mode & 0o777 == 0o644


def test_a_list_that_others_could_write_fails_the_check(files: Files, place: Path) -> None:
    run(files, "write")
    place.chmod(0o666)
    result = run(files, "check")
    assert result.exit_code == 5
    assert f"the relay does not use {place}: others than its owner may write it" in result.stderr


def test_it_is_not_written_where_the_relay_would_not_use_it(files: Files, place: Path) -> None:
    place.parent.mkdir()
    place.parent.chmod(0o777)
    result = run(files, "write")
    assert result.exit_code == 5
    assert f"the relay would not use {place}" in result.stderr
    assert not place.exists()


def test_an_owner_that_this_machine_does_not_have_is_named(files: Files, place: Path) -> None:
    files.bend(f"allow_list_owner: {ME}", "allow_list_owner: no-such-user")
    result = run(files, "write")
    assert "this machine has no user no-such-user" in result.stderr
    assert not place.exists()
