"""The reference pages and JSON schemas, made from the schema.

python -m teagent.config.reference config > docs/reference/config.md
python -m teagent.config.reference policy > docs/reference/policy.md
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel

from teagent.config.policy_schema import PolicyFile
from teagent.config.schema import ConfigFile

Page: TypeAlias = Literal["config", "policy"]
FILES: Mapping[Page, type[BaseModel]] = {"config": ConfigFile, "policy": PolicyFile}
IDS: Mapping[Page, str] = {
    "config": "https://teagent.invalid/schema/config-1.json",
    "policy": "https://teagent.invalid/schema/policy-1.json",
}
HEADERS: Mapping[Page, str] = {
    "config": """\
# config.yaml

Made from the program by `python -m teagent.config.reference config`; do not edit. The same file with an explanation of
every key, ready to be copied: `config.example.yaml`. Check yours with `teagent config check`, and see what is in force,
defaults included, with `teagent config show`.

Files are UTF-8 YAML with the scalars of YAML 1.2: `no` and `10:30` are text, and a number with a leading zero is
refused. Unknown and duplicate keys are errors, and so are anchors, aliases and tags. Rates (`10Gbps`), durations
(`30s`, `1h30m`) and shares (`80%`) carry their unit; a bare number is an error. Relative paths start at the directory
of the file.

A secret is referred to and never written: `env:NAME` (environment variable), `file:/path` (a file with one line),
`credential:NAME` (a file under `$CREDENTIALS_DIRECTORY`, where systemd's `LoadCredential=` puts it).
""",
    "policy": """\
# Policy files

Made from the program by `python -m teagent.config.reference policy`; do not edit. One policy a file, in the directory
that `policies` of `config.yaml` names; every `*.yaml` there is read, in the order of the names. How to write one:
[write a policy](../how-to/write-a-policy.md). The spelling of values is that of [config.yaml](config.md).

A policy reads as a sentence: *match* these, *when* this holds, aim for this *objective*, you are *allowed* these
levers, within these *limits*, with this *approval*, and undo it unless *confirmed*, or *if*.
""",
}


def json_schema(page: Page) -> dict[str, Any]:
    """JSON Schema 2020-12 of what may be written."""
    schema = FILES[page].model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": IDS[page], **schema}


def page_text(page: Page) -> str:
    """The reference page as Markdown."""
    schema = json_schema(page)
    return "\n".join([HEADERS[page], *_tables(schema, schema, page)])


def _tables(node: Mapping[str, Any], schema: Mapping[str, Any], path: str) -> Iterator[str]:
    """A table for the keys of `node`, then one for each row that is reached from it, depth first."""
    required = set(node.get("required", []))
    properties: Mapping[str, Any] = node["properties"]
    yield f"## {_heading(path)}"
    yield ""
    if node.get("description"):
        yield node["description"]
        yield ""
    yield "| Key | Value | Default | Meaning |"
    yield "| --- | --- | --- | --- |"
    for key, value in properties.items():
        default = "required" if key in required else _default(value)
        meaning = value.get("description") or _plain(value, schema).get("description", "")
        yield f"| `{key}` | {_cell(_value(value, schema))} | {default} | {_cell(meaning)} |"
    yield ""
    for key, value in properties.items():
        for suffix, row in _rows(value, schema):
            yield from _tables(row, schema, f"{path}.{key}{suffix}")


def _heading(path: str) -> str:
    _, _, keys = path.partition(".")
    return f"`{keys}`" if keys else "The file"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _default(value: Mapping[str, Any]) -> str:
    if "default" not in value or value["default"] is None:
        return ""
    default = value["default"]
    return (
        f"`{default}`" if isinstance(default, str) and default else f"`{json.dumps(default)}`" if default != "" else ""
    )


def _plain(node: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without `| None`, and through a reference."""
    choices = [c for c in node.get("anyOf", []) if c.get("type") != "null"]
    if len(choices) == 1 and len(node["anyOf"]) > 1:
        node = choices[0]
    if "$ref" in node:
        node = schema["$defs"][node["$ref"].rsplit("/", 1)[-1]]
    return node


def _value(node: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """What may stand there, in a few words."""
    node = _plain(node, schema)
    if "properties" in node:
        return "map, see below"
    if "oneOf" in node:
        return f"map, by `{node['discriminator']['propertyName']}`, see below"
    if node.get("type") == "array":
        return f"list of: {_value(node['items'], schema)}"
    if node.get("type") == "object":
        return f"map by name of: {_value(_of_names(node), schema)}"
    words = [node["const"]] if "const" in node else node.get("enum", [])
    if words:
        return ", ".join(dict.fromkeys(f"`{w if isinstance(w, str) else json.dumps(w)}`" for w in words))
    if "anyOf" in node:
        return " or ".join(_value(choice, schema) for choice in node["anyOf"])
    text = str(node.get("title", node.get("type")))
    if "minimum" in node and "maximum" in node:
        text += f" from {node['minimum']} to {node['maximum']}"
    return text + (f", as `{node['examples'][0]}`" if node.get("examples") and "default" not in node else "")


def _of_names(node: Mapping[str, Any]) -> Mapping[str, Any]:
    inner = node.get("additionalProperties")
    return inner if isinstance(inner, dict) else next(iter(node["patternProperties"].values()))


def _rows(node: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The maps of fixed keys under a value: (what is added to its path, the map)."""
    node = _plain(node, schema)
    if "properties" in node:
        yield "", node
    elif "oneOf" in node:
        tag = node["discriminator"]["propertyName"]
        seen: set[str] = set()
        for word, reference in node["discriminator"]["mapping"].items():
            if reference not in seen:
                seen.add(reference)
                yield f" ({tag}: {word})", _plain({"$ref": reference}, schema)
    elif node.get("type") == "array":
        for suffix, row in _rows(node["items"], schema):
            yield f"[]{suffix}", row
    elif node.get("type") == "object":
        for suffix, row in _rows(_of_names(node), schema):
            yield f".NAME{suffix}", row


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in FILES:
        sys.stderr.write(f"usage: python -m teagent.config.reference {'|'.join(FILES)}\n")
        return 2
    page: Page = "config" if arguments[0] == "config" else "policy"
    sys.stdout.write(page_text(page))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
