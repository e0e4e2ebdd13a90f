"""The pages hold together: links lead somewhere, every page is found from the index, examples are of documentation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from tests.docs.pages import CHECKOUT, DOCS, INDEX, anchors, blocks, links, name, pages

ELSEWHERE = ("http://", "https://", "mailto:")
# the lab's own addresses and those that mean no machine, beside the documentation ranges (RFC 5737, RFC 2544)
ADDRESSES = [
    ip_network(text)
    for text in (
        *("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "198.18.0.0/15"),
        *("10.0.0.0/24", "11.0.0.0/24", "12.0.0.0/24", "127.0.0.0/8", "0.0.0.0/32"),
    )
]


def local_links(page: Path) -> Iterator[tuple[Path, str]]:
    """(file, anchor) of every link to a file of the checkout."""
    for target in links(page.read_text(encoding="utf-8")):
        if not target.startswith(ELSEWHERE):
            path, _, anchor = target.partition("#")
            yield (page.parent / path).resolve() if path else page, anchor


@pytest.mark.parametrize("page", pages(), ids=name)
def test_every_link_leads_to_a_file_and_to_a_heading_in_it(page: Path) -> None:
    for file, anchor in local_links(page):
        assert file.exists(), f"{name(page)} links to {file.name}, which is not there"
        assert file.is_relative_to(CHECKOUT)
        if anchor:
            assert anchor in anchors(file.read_text(encoding="utf-8")), f"{name(page)}: no #{anchor} in {name(file)}"


def test_every_page_can_be_reached_from_the_index() -> None:
    found, ahead = {INDEX}, [INDEX]
    while ahead:
        for file, _ in local_links(ahead.pop()):
            if file.suffix == ".md" and file.is_relative_to(DOCS) and file not in found:
                found.add(file)
                ahead.append(file)
    assert {name(page) for page in DOCS.rglob("*.md")} - {name(page) for page in found} == set()


def test_the_readme_leads_to_the_index() -> None:
    assert INDEX in {file for file, _ in local_links(CHECKOUT / "README.md")}


@pytest.mark.parametrize("page", pages(), ids=name)
def test_a_page_has_one_title_and_its_fences_are_closed(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert len(re.findall(r"^ {0,3}```", text, re.MULTILINE)) % 2 == 0
    outside = text
    for block in blocks(text):
        outside = outside.replace(block.text, "") if block.text else outside
    assert len(re.findall(r"^# ", outside, re.MULTILINE)) == 1


@pytest.mark.parametrize("page", pages(), ids=name)
def test_addresses_in_examples_are_for_documentation_or_the_labs(page: Path) -> None:
    for text in re.findall(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.]*\d)", page.read_text(encoding="utf-8")):
        assert any(ip_address(text) in network for network in ADDRESSES), f"{name(page)}: {text}"


@pytest.mark.parametrize("page", pages(), ids=name)
def test_as_numbers_in_examples_are_for_documentation_or_private(page: Path) -> None:
    for text in re.findall(r"\bAS ?(\d+)\b", page.read_text(encoding="utf-8")):
        asn = int(text)
        assert 64496 <= asn <= 65534 or 65536 <= asn <= 65551, f"{name(page)}: AS {asn}"


@pytest.mark.parametrize("page", pages(), ids=name)
def test_nothing_of_the_machine_that_it_was_written_on_is_in_it(page: Path) -> None:
    assert not re.search(r"/(work|root|home)/", page.read_text(encoding="utf-8"))


def test_links_in_code_are_no_links_and_links_in_tables_are() -> None:
    text = "| [a](b.md) |\n\n```\n[c](d.md)\n```\n`[e](f.md)` [g `h`](i.md#j)\n"
    assert links(text) == ["b.md", "i.md#j"]


def test_anchors_are_made_of_headings_as_on_github() -> None:
    assert anchors("# A `b` c, d: e\n\n```\n# no\n```\n## Junos (MX)\n") == {"a-b-c-d-e", "junos-mx"}
