"""The Markdown pages of the checkout, as far as tests look into them: fenced blocks, links, anchors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
DOCS = CHECKOUT / "docs"
INDEX = DOCS / "index.md"

_FENCE = re.compile(r"^ {0,3}```(?P<language>\S*)[^`]*$")
_LINK = re.compile(r"(?<!!)\[(?:[^\]\[]|\[[^\]]*\])*\]\((?P<target>[^()\s]+)\)")


def pages() -> list[Path]:
    """Every page of the documentation, and the pages at the root that lead to it."""
    return [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]


def name(page: Path) -> str:
    return str(page.relative_to(CHECKOUT))


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block. `line` is that of its opening fence; `follows` says that only blank lines part it from the block
    before.
    """

    language: str
    text: str
    line: int
    follows: bool


def blocks(text: str) -> Iterator[Block]:
    lines = iter(enumerate(text.splitlines(), 1))
    follows = False
    for number, line in lines:
        opening = _FENCE.match(line)
        if opening is None:
            follows = follows and not line.strip()
            continue
        inside: list[str] = []
        for _, inner in lines:
            if inner.strip() == "```":
                break
            inside.append(inner)
        yield Block(language=opening["language"], text="\n".join(inside), line=number, follows=follows)
        follows = True


def prose(text: str) -> str:
    """The page without its fenced blocks and without what is in backticks."""
    for block in blocks(text):
        text = text.replace(block.text, "") if block.text else text
    return re.sub(r"`[^`\n]*`", "", text)


def links(text: str) -> list[str]:
    return [match["target"] for match in _LINK.finditer(prose(text))]


def anchors(text: str) -> set[str]:
    """What `#...` may name: headings as GitHub makes anchors of them."""
    found: set[str] = set()
    for line in _without_blocks(text):
        if line.startswith("#"):
            title = line.lstrip("#").strip().lower()
            found.add(re.sub(r"[^\w\- ]", "", title).replace(" ", "-"))
    return found


def _without_blocks(text: str) -> list[str]:
    kept, inside = [], False
    for line in text.splitlines():
        if _FENCE.match(line):
            inside = not inside
        elif not inside:
            kept.append(line)
    return kept
