"""pydantic's errors as ours: at the file, line and column, in our words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from teagent.config.document import Document, Keys
from teagent.config.readers import listed, shown
from teagent.errors import Problem

# A row whose tag is wrong is another kind of row: what else seems wrong in it is noise.
TAGS = frozenset({"lever", "guard", "version"})
KEY = "[key]"  # how pydantic says that it is the key of a map that is wrong


def problems_of(error: ValidationError, document: Document, model: type[BaseModel]) -> list[Problem]:
    """One Problem for each error, in the order of the file; one for each place, the YAML's own first."""
    schema = model.model_json_schema()
    details = error.errors(include_url=False)
    wrong_rows = [row for detail in details for row in _wrong_row(detail, document)]
    taken = {(p.line, p.column) for p in document.problems}
    found: list[Problem] = []
    for detail in details:
        path = path_of(document.data, detail["loc"])
        if any(path[: len(row)] == row and path != tag for row, tag in wrong_rows):
            continue
        problem = _problem(detail, path, document, schema)
        if (problem.line, problem.column) not in taken or detail["type"] == "missing":
            found.append(problem)
    return found


def path_of(data: Any, loc: tuple[int | str, ...]) -> Keys:
    """Where `loc` leads in the document: without the tags that pydantic puts in for unions."""
    path: list[str | int] = []
    for position, part in enumerate(loc):
        last = position == len(loc) - 1
        inside = part in data if isinstance(data, dict) else isinstance(data, list) and _is_index(part, data)
        if inside:
            data = data[part]
        elif part == KEY or not (last and isinstance(data, dict)):
            continue
        path.append(part)
    return tuple(path)


def _is_index(part: int | str, items: list[Any]) -> bool:
    return isinstance(part, int) and part < len(items)


def _wrong_row(detail: ErrorDetails, document: Document) -> Iterator[tuple[Keys, Keys]]:
    """The row of a wrong tag, and the path that its one problem keeps."""
    path = path_of(document.data, detail["loc"])
    if detail["type"] == "value_error" and path and path[-1] in TAGS:
        yield path[:-1], path


def _problem(detail: ErrorDetails, path: Keys, document: Document, schema: Mapping[str, Any]) -> Problem:
    kind, given, loc = detail["type"], detail["input"], detail["loc"]
    context = detail.get("ctx", {})
    match kind:
        case "value_error":
            return document.problem(path, str(context["error"]), at_key=loc[-1:] == (KEY,))
        case "extra_forbidden":
            known = list(node_at(schema, loc[:-1]).get("properties", {}))
            message = f"unknown key, known keys are {listed(str(path[-1]), known)}" if known else "unknown key"
            return document.problem(path, message, at_key=True)
        case "missing":
            return document.problem(path, _missing(path, node_at(schema, loc[:-1])))
        case "union_tag_not_found" | "union_tag_invalid":
            return _wrong_tag(context, given, path, document)
        case _:
            return document.problem(path, _of_type(kind, given, context))


def _of_type(kind: str, given: object, context: Mapping[str, Any]) -> str:
    match kind:
        case "model_type" | "model_attributes_type" | "dict_type" | "dataclass_type":
            return f"{shown(given)}, where a map of keys is wanted"
        case "list_type":
            return f"{shown(given)}, where a list is wanted: write [ ] around it"
        case "too_short":
            return f"nothing in it, at least {context['min_length']} is needed"
        case "literal_error":
            return f"{shown(given)} is not {context['expected']}"
        case _:
            return f"{shown(given)} is not what belongs here ({kind.replace('_', ' ')})"


def _missing(path: Keys, parent: Mapping[str, Any]) -> str:
    examples = parent.get("properties", {}).get(str(path[-1]), {}).get("examples", [])
    return f"required key is missing, for example {path[-1]}: {examples[0]}" if examples else "required key is missing"


def _wrong_tag(context: Mapping[str, Any], given: object, path: Keys, document: Document) -> Problem:
    name = str(context["discriminator"]).strip("'")
    tags = sorted({str(t).strip("' ") for t in str(context.get("expected_tags", "")).split(",")} - {""})
    here = (*path, name)
    if not isinstance(given, dict) or name not in given:
        return document.problem(here, f"required key is missing, it says which kind of row this is{_tags(here)}")
    return document.problem(here, f"{shown(given[name])} is not a known {name}, known are {', '.join(tags)}")


def _tags(path: Keys) -> str:
    return ": 2c or 3" if path[-1] == "version" else ""


def node_at(schema: Mapping[str, Any], loc: tuple[int | str, ...]) -> Mapping[str, Any]:
    """The part of a JSON schema that describes what is at `loc`; empty where there is none."""
    definitions = schema.get("$defs", {})
    node: Mapping[str, Any] = schema
    for part in loc:
        node = _step(node, part, definitions)
    return _follow(node, definitions)


def _step(node: Mapping[str, Any], part: int | str, definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    node = _follow(node, definitions)
    tags = node.get("discriminator", {}).get("mapping", {})
    if str(part) in tags:
        return {"$ref": tags[str(part)]}
    inner: object = node.get("properties", {}).get(part)
    if inner is None and isinstance(part, int):
        inner = node.get("items")
    if inner is None:
        inner = node.get("additionalProperties") or next(iter(node.get("patternProperties", {}).values()), None)
    return inner if isinstance(inner, dict) else {}


def _follow(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Through references, and past `| None`."""
    while True:
        if "$ref" in node:
            node = definitions[str(node["$ref"]).rsplit("/", 1)[-1]]
        elif choices := [c for c in node.get("anyOf", []) if c.get("type") != "null"]:
            if len(choices) != 1:
                return node
            node = choices[0]
        else:
            return node
