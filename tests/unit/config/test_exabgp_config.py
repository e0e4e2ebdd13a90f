"""`teagent exabgp-config`: the files that ExaBGP reads, and who may read a key in them."""

from __future__ import annotations

import base64
import os
import pwd
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from teagent.cli.root import teagent
from tests.unit.config.conftest import Files

ME = pwd.getpwuid(os.getuid()).pw_name
KEY = "s3cret-of-edge1"
IN_FILE = base64.b64encode(KEY.encode()).decode()


@pytest.fixture
def keyed(files: Files) -> Files:
    files.bend("edge1: {", "edge1: {bgp: {md5_password: env:EDGE1_BGP}, ")
    return files


def run(files: Files, *, user: str = ME, key: str | None = KEY) -> Result:
    words = ["exabgp-config", "--config", str(files.config), "--output", str(written(files).parent), "--user", user]
    return CliRunner().invoke(teagent, words, env={"EDGE1_BGP": key, "EDGE1": None})


def written(files: Files) -> Path:
    return files.directory / "exabgp" / "exabgp.conf"


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_without_a_key_no_secret_is_looked_up_and_everybody_may_read(files: Files) -> None:
    assert run(files).exit_code == 0
    assert "md5-" not in written(files).read_text()
    assert mode(written(files)) == 0o644


def test_the_key_is_in_the_session_of_its_router_alone(keyed: Files) -> None:
    assert run(keyed).exit_code == 0
    (_, one, two) = written(keyed).read_text().split("neighbor 192.")
    assert f'    md5-password "{IN_FILE}";\n' in one
    assert "md5" not in two


def test_a_file_with_a_key_is_for_exabgps_group_alone_also_where_an_open_one_was(keyed: Files) -> None:
    written(keyed).parent.mkdir()
    written(keyed).write_text("")
    written(keyed).chmod(0o666)
    before = written(keyed).stat().st_ino
    said = run(keyed).stdout
    assert mode(written(keyed)) == 0o640
    assert written(keyed).stat().st_gid == pwd.getpwnam(ME).pw_gid
    assert written(keyed).stat().st_ino != before  # who has the old one open reads nothing new
    assert mode(written(keyed).with_name("exabgp.env")) == 0o644
    assert f"wrote {written(keyed)}, with keys in it: for its owner and the group of {ME} alone\n" in said
    assert not any(word in said for word in (KEY, IN_FILE))


def test_where_exabgps_user_is_not_known_the_file_is_its_owners(keyed: Files) -> None:
    said = run(keyed, user="te-nobody-here").stdout
    assert mode(written(keyed)) == 0o600
    assert "for its owner alone, since it could not be given to the group of te-nobody-here" in said


@pytest.mark.parametrize(
    ("key", "why"),
    [(None, "the environment variable EDGE1_BGP is not set"), ("s3cret-" * 12, "it has 84 characters, limit 80")],
)
def test_a_key_that_is_missing_or_none_is_named_and_nothing_written(keyed: Files, key: str | None, why: str) -> None:
    result = run(keyed, key=key)
    assert result.exit_code == 3
    assert f"{keyed.config}: routers.edge1.bgp.md5_password: " in result.output
    assert why in result.output
    assert "s3cret" not in result.output
    assert not written(keyed).exists()
