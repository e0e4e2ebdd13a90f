"""A YAML file as nodes that know their line and column.

Scalars stay the text that was written: nothing here turns `64500:10` into a number or `no` into False, so a value
means the same whichever YAML version its writer had in mind.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from teagent.errors import ConfigError, Problem

# ${NAME} and ${NAME:=default}, as containerlab expands them; one that is not set stays as it is written
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::[=-](?P<default>[^}]*))?\}")


@dataclass(slots=True, kw_only=True)
class Document:
    """Reads values out of one file and gathers what is wrong with it in `problems`."""

    file: str
    problems: list[Problem] = field(default_factory=list)

    def problem(self, node: yaml.Node | None, key: str, message: str) -> None:
        line, column = (node.start_mark.line + 1, node.start_mark.column + 1) if node is not None else (0, 0)
        self.problems.append(Problem(file=self.file, line=line, column=column, key=key, message=message))

    def raise_problems(self) -> None:
        if self.problems:
            ordered = sorted(self.problems, key=lambda p: (p.line, p.column))
            raise ConfigError(ordered, hint="containerlab.dev/manual/topo-def-file describes the format")

    def mapping(self, node: yaml.Node | None, key: str) -> dict[str, yaml.Node]:
        """The values by key; empty for an absent or null node. A key that is there twice is a problem."""
        if node is None or _is_null(node):
            return {}
        if not isinstance(node, yaml.MappingNode):
            self.problem(node, key, f"expected a mapping, found a {_word(node)}")
            return {}
        merged: dict[str, yaml.Node] = {}
        own: dict[str, yaml.Node] = {}
        for name, value in self._pairs(node, key):
            if name == "<<":
                for source in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    if source is not node:
                        merged = self.mapping(source, key) | merged
            elif name in own:
                self.problem(value, f"{key}.{name}" if key else name, "is there twice")
            else:
                own[name] = value
        return merged | own

    def _pairs(self, node: yaml.MappingNode, key: str) -> Iterator[tuple[str, yaml.Node]]:
        for name, value in node.value:
            if isinstance(name, yaml.ScalarNode):
                yield name.value, value
            else:
                self.problem(name, key, "a key must be plain text")

    def items(self, node: yaml.Node | None, key: str) -> list[yaml.Node]:
        if node is None or _is_null(node):
            return []
        if not isinstance(node, yaml.SequenceNode):
            self.problem(node, key, f"expected a list, found a {_word(node)}")
            return []
        return list(node.value)

    def text(self, node: yaml.Node | None, key: str) -> str | None:
        """The scalar as it was written, environment variables expanded; None for an absent or null one."""
        if node is None or _is_null(node):
            return None
        if not isinstance(node, yaml.ScalarNode):
            self.problem(node, key, f"expected text, found a {_word(node)}")
            return None
        return _VARIABLE.sub(_expanded, str(node.value))

    def texts(self, node: yaml.Node | None, key: str) -> list[tuple[str, yaml.Node]]:
        found = [(self.text(item, f"{key}[{i}]"), item) for i, item in enumerate(self.items(node, key))]
        return [(text, item) for text, item in found if text is not None]

    def number(self, node: yaml.Node | None, key: str, *, low: int, high: int) -> int | None:
        text = self.text(node, key)
        if text is None:
            return None
        if text.isascii() and text.isdigit() and low <= int(text) <= high:
            return int(text)
        self.problem(node, key, f"{text!r} is not a whole number from {low} to {high}")
        return None

    def one_of(self, values: dict[str, yaml.Node], key: str, known: frozenset[str]) -> None:
        """Every key of `values` that is not known is a problem at its place."""
        for name, node in values.items():
            if name not in known:
                place = f"{key}.{name}" if key else name
                self.problem(node, place, f"unknown key, known keys are {', '.join(sorted(known))}")


def read(path: Path) -> tuple[Document, yaml.Node | None]:
    """The file's document and its root; raises ConfigError where it is unreadable or not YAML at all."""
    document = Document(file=str(path))
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except OSError as error:
        document.problem(None, "", (error.strerror or str(error)).lower())
    except UnicodeDecodeError as error:
        document.problem(None, "", f"is not UTF-8 at octet {error.start}")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        message = " ".join((error.problem or "is not YAML").split())
        document.problems.append(Problem(file=str(path), line=line, column=column, key="", message=message))
    except yaml.YAMLError as error:
        document.problem(None, "", " ".join(str(error).split()))
    else:
        return document, root
    document.raise_problems()
    raise AssertionError("unreachable: a problem was added above")


def _expanded(match: re.Match[str]) -> str:
    value = os.environ.get(match["name"]) or match["default"]
    return match[0] if value is None else value


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.style is None and node.value in {"", "~", "null", "Null", "NULL"}


def _word(node: yaml.Node) -> str:
    return {"MappingNode": "mapping", "SequenceNode": "list"}.get(type(node).__name__, "text")
