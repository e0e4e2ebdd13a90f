"""The pages and schemas that are made from the program."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from teagent.config.document import parse
from teagent.config.load import load
from teagent.config.reference import json_schema, main, page_text
from teagent.config.show import document_of, policy_document
from tests.conftest import ROOT
from tests.unit.config.conftest import CONFIG, POLICY

SHIPPED = [
    ("config", ROOT / "config.example.yaml"),
    ("config", ROOT / "labs/two-transit/teagent.yaml"),
    *(("policy", path) for path in sorted((ROOT / "policies").glob("*.yaml"))),
    *(("policy", path) for path in sorted((ROOT / "labs/two-transit/policies").glob("*.yaml"))),
]


@pytest.mark.parametrize("page", ["config", "policy"])
def test_the_reference_page_is_what_the_program_says(page: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([page]) == 0
    written = (ROOT / "docs" / "reference" / f"{page}.md").read_text()
    assert capsys.readouterr().out == written, f"python -m teagent.config.reference {page} > docs/reference/{page}.md"


def test_an_unknown_page_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["metrics"]) == 2
    assert "config|policy" in capsys.readouterr().err


@pytest.mark.parametrize("page", ["config", "policy"])
def test_every_key_is_explained(page: Any) -> None:
    rows = [line for line in page_text(page).splitlines() if line.startswith("| `")]
    assert len(rows) > 20
    for row in rows:
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
        assert len(cells) == 4, row
        assert cells[1], row
        assert "None" not in cells[1], row
        assert cells[3], row


@pytest.mark.parametrize(("page", "path"), SHIPPED, ids=lambda value: getattr(value, "name", value))
def test_shipped_files_are_valid_by_the_schema_for_editors(page: Any, path: Path) -> None:
    schema = json_schema(page)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(parse(path.read_bytes(), file=path.name).data, schema)


def test_what_is_shown_is_valid_by_the_schema_for_editors() -> None:
    config = load(ROOT / "config.example.yaml", environment=None)
    jsonschema.validate(document_of(config), json_schema("config"))
    for policy in config.policies:
        jsonschema.validate(policy_document(policy), json_schema("policy"))


@pytest.mark.parametrize(
    ("page", "text", "old", "new"),
    [
        ("config", CONFIG, "capacity: 10Gbps", "capacity: 10"),
        ("config", CONFIG, "capacity: 10Gbps", "capacty: 10Gbps"),
        ("config", CONFIG, "env:EDGE1", "public"),
        ("config", CONFIG, "kind: transit", "kind: transt"),
        ("policy", POLICY, "max: 3", "max: 6"),
        ("policy", POLICY, "guard: no_data", "guard: nodata"),
    ],
)
def test_the_schema_for_editors_refuses_what_we_refuse(page: Any, text: str, old: str, new: str) -> None:
    schema = json_schema(page)
    jsonschema.validate(parse(text.encode(), file="f").data, schema)
    assert old in text
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(parse(text.replace(old, new, 1).encode(), file="f").data, schema)


def _keys(node: Any, path: str = "") -> set[str]:
    if isinstance(node, dict):
        return {k for key, value in node.items() for k in {f"{path}{key}", *_keys(value, f"{path}{key}.")}}
    return set()


def test_the_example_has_every_key_that_there_is() -> None:
    text = (ROOT / "config.example.yaml").read_text()
    data = parse(text.encode(), file="f").data
    assert _keys(json_schema("config")["properties"]) >= set(data)
    assert set(data) == set(json_schema("config")["properties"])
    for name, row in json_schema("config")["$defs"].items():
        for key in row["properties"]:
            assert re.search(rf"\b{key}:", text), f"{name}.{key} is not in config.example.yaml"
