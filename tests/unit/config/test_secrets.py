from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from teagent.config.effective import SnmpV2c
from teagent.config.secrets import Secret, resolve, resolve_md5_password
from teagent.errors import ConfigError


def refusal(reference: str, environment: dict[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        resolve(reference, environment)
    return str(caught.value).splitlines()[0]


def test_an_environment_variable_is_looked_up_in_what_is_given() -> None:
    assert resolve("env:EDGE1", {"EDGE1": "s3cret"}).reveal() == "s3cret"


def test_a_file_is_one_line_without_its_end(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret \n")
    assert resolve(f"file:{tmp_path}/secret", {}).reveal() == "s3cret "


def test_a_credential_is_a_file_in_the_directory_that_systemd_made(tmp_path: Path) -> None:
    (tmp_path / "edge1").write_text("s3cret")
    assert resolve("credential:edge1", {"CREDENTIALS_DIRECTORY": str(tmp_path)}).reveal() == "s3cret"


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    assert refusal("env:EDGE1", {}) == "env:EDGE1: the environment variable EDGE1 is not set"
    assert refusal("env:EDGE1", {"EDGE1": ""}) == "env:EDGE1: the environment variable EDGE1 is empty"
    assert "no such file or directory" in refusal(f"file:{tmp_path}/secret", {})
    assert "is a directory" in refusal(f"file:{tmp_path}", {})
    assert "$CREDENTIALS_DIRECTORY is not set" in refusal("credential:edge1", {})


@pytest.mark.parametrize("content", [b"", b"\n", b"a\nb\n", b"\xff\xfe", b"x" * 5000])
def test_a_file_that_holds_no_secret_is_refused_without_showing_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secret").write_bytes(content)
    message = refusal(f"file:{tmp_path}/secret", {})
    assert message.startswith(f"file:{tmp_path}/secret: ")
    assert "xxx" not in message


def test_a_literal_is_refused_and_not_repeated() -> None:
    assert "public" not in refusal("public", {})


def test_a_credential_cannot_lead_out_of_its_directory(tmp_path: Path) -> None:
    assert "does not name" in refusal("credential:../etc/passwd", {"CREDENTIALS_DIRECTORY": str(tmp_path)})


@pytest.mark.parametrize("key", ["x", 'x";#{}[]\\', "deadbeef", "~" * 80])
def test_a_key_of_a_session_is_1_to_80_printable_characters(key: str) -> None:
    assert resolve_md5_password("env:KEY", {"KEY": key}, vendor="frr").reveal() == key


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("x" * 81, "it has 81 characters, limit 80"),
        ("schlüssel", "it has a space, or a character that is not printable ASCII"),
        ("x\ty", "it has a space, or a character that is not printable ASCII"),
        ("s3cret ", "it has a space, or a character that is not printable ASCII"),
    ],
)
def test_what_no_session_can_be_signed_with_is_refused_without_showing_it(key: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve_md5_password("env:KEY", {"KEY": key}, vendor="frr")
    (problem,) = caught.value.problems
    assert problem.message == f"what env:KEY refers to is no TCP MD5 key: {why}"
    assert key not in str(caught.value)


def test_a_key_that_bird_cannot_be_told_is_refused_for_bird() -> None:
    with pytest.raises(ConfigError, match="is no TCP MD5 key for BIRD: it has a double quote"):
        resolve_md5_password("env:KEY", {"KEY": 's"cret'}, vendor="bird")


def test_a_secret_shows_in_no_form() -> None:
    secret = Secret(reference="env:A", value="s3cret")
    holder = SnmpV2c(community=secret)
    assert f"{secret} {secret!r} {holder} {dataclasses.asdict(holder)}".count("s3cret") == 0
    assert str(secret) == "***"
    with pytest.raises(TypeError):
        json.dumps(dataclasses.asdict(holder))
