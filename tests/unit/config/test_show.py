from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from teagent.config.document import parse
from teagent.config.effective import Config
from teagent.config.load import load
from teagent.config.quantities import duration_text, rate_text, share_text
from teagent.config.show import document_of, policy_document, to_yaml
from tests.conftest import ROOT
from tests.unit.config.conftest import SECRETS, Files


def shown_and_loaded(config: Config, directory: Path) -> Config:
    """What `config show` prints, written out with its policies, and loaded again."""
    policies = directory / "shown-policies"
    policies.mkdir()
    for number, policy in enumerate(config.policies):
        (policies / f"{number:03}.yaml").write_text(to_yaml(policy_document(policy)))
    path = directory / "shown.yaml"
    path.write_text(to_yaml(document_of(config) | {"policies": str(policies)}))
    return load(path, environment=None)


def same(a: Config, b: Config) -> bool:
    """But for where they lie."""
    nowhere = Path()
    blank = {"path": nowhere, "policies_dir": nowhere, "policy_files": {}, "digest": ""}
    return dataclasses.replace(a, **blank) == dataclasses.replace(b, **blank)


@pytest.mark.parametrize("name", ["config.example.yaml", "labs/two-transit/teagent.yaml"])
def test_shipped_configurations_are_shown_as_files_that_load_to_the_same(name: str, tmp_path: Path) -> None:
    config = load(ROOT / name, environment=None)
    assert same(shown_and_loaded(config, tmp_path), config)


def test_what_is_shown_has_the_same_digest(files: Files) -> None:
    config = load(files.config, environment=None)
    shown = files.directory / "shown.yaml"
    shown.write_text(to_yaml(document_of(config)))
    assert load(shown, environment=None).digest == config.digest


def test_secrets_are_shown_as_references_only(files: Files) -> None:
    files.bend("edge1: {", "edge1: {bgp: {md5_password: env:KEY}, ")
    secrets = {**SECRETS, "KEY": "key-of-the-session"}
    text = to_yaml(document_of(load(files.config, environment=secrets)))
    assert "env:EDGE1" in text
    assert 'md5_password: "env:KEY"' in text
    assert not any(value in text for value in secrets.values())


@pytest.mark.parametrize(
    "text",
    ["no", "10:30", "0123", "0o17", "1.10", "64500:1:2", "~", "", "a: b", "#x", "-", "2001:db8::/32", "1e3", "ä"],
)
def test_text_is_text_again_for_us_and_for_every_other_reader(text: str) -> None:
    shown = to_yaml({"a": text})
    assert parse(shown.encode(), file="f").data == {"a": text}
    assert yaml.safe_load(shown) == {"a": text}


@pytest.mark.parametrize(
    ("bps", "text"), [(1e10, "10Gbps"), (1.5e9, "1.5Gbps"), (1e12, "1Tbps"), (1234567, "1234.567kbps")]
)
def test_rates_are_short_and_exact(bps: float, text: str) -> None:
    assert rate_text(bps) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(30, "30s"), (90, "90s"), (5400, "90m"), (604800, "7d"), (0.25, "0.25s")]
)
def test_durations_are_short_and_exact(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("share", "text"), [(0.8, "80%"), (0.95, "95%"), (0.125, "12.5%"), (1.0, "100%"), (0.07, "7%")]
)
def test_shares_are_short_and_exact(share: float, text: str) -> None:
    assert share_text(share) == text
