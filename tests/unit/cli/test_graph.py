"""`teagent graph`, on files, without a daemon."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from teagent.cli.root import teagent

ROOT = Path(__file__).resolve().parents[3]
# 64500 buys from 10 and 20 and peers with 40; 30 buys from both.
TEXT = """\
# small
1|2|0
1|10|-1
2|20|-1
10|64500|-1
20|64500|-1
40|64500|0
10|30|-1
20|30|-1
20|21|-1
"""

Run = Callable[..., Result]


@pytest.fixture
def as_rel(tmp_path: Path) -> Path:
    path = tmp_path / "small.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture
def graph(as_rel: Path, tmp_path: Path) -> Run:
    def invoke(*arguments: str) -> Result:
        environment = {"TEAGENT_AS_REL": str(as_rel), "XDG_CACHE_HOME": str(tmp_path / "cache")}
        return CliRunner().invoke(teagent, ["graph", *arguments], env=environment)

    return invoke


def document(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def rows(result: Result) -> dict[int, tuple[str, int | None, list[int]]]:
    return {a["asn"]: (a["class"], a["length"], a["ingress_neighbors"]) for a in document(result)["ases"]}


def test_info_counts(graph: Run, as_rel: Path) -> None:
    assert document(graph("info", "--json")) == {
        "file": str(as_rel),
        "ases": 8,
        "transit_relations": 7,
        "peerings": 2,
        "siblings": 0,
        "stubs": 4,
        "multihomed_stubs": 2,
        "top": [1, 2],
        "ranks": 3,
        "largest": [
            {"asn": 20, "customers": 3, "peers": 0},
            {"asn": 10, "customers": 2, "peers": 0},
            {"asn": 1, "customers": 1, "peers": 1},
            {"asn": 2, "customers": 1, "peers": 1},
            {"asn": 21, "customers": 0, "peers": 0},
            {"asn": 30, "customers": 0, "peers": 0},
            {"asn": 40, "customers": 0, "peers": 1},
            {"asn": 64500, "customers": 0, "peers": 1},
        ],
        "provider_cycles": [],
    }


def test_info_names_ases_that_are_each_others_providers(graph: Run, as_rel: Path) -> None:
    as_rel.write_text("1|2|-1\n2|3|-1\n3|1|-1\n4|5|2\n")
    shown = graph("info").stdout
    assert "cycles        1 group of each other's providers\n  AS1 AS2 AS3\n" in shown
    assert "siblings      1 pair, taken as peers" in shown


def test_the_graph_is_kept_in_the_users_cache(graph: Run, tmp_path: Path) -> None:
    graph("info")
    assert [p.suffix for p in (tmp_path / "cache" / "teagent").iterdir()] == [".npz"]


def test_every_as_has_class_length_and_ingress(graph: Run) -> None:
    assert rows(graph("propagate", "--origin", "AS64500", "--json")) == {
        1: ("customer", 2, [10]),
        2: ("customer", 2, [20]),
        10: ("customer", 1, [10]),
        20: ("customer", 1, [20]),
        21: ("provider", 2, [20]),
        30: ("provider", 2, [10, 20]),
        40: ("peer", 1, [40]),
        64500: ("own", 0, []),
    }


def test_prepends_and_withheld_links_are_obeyed(graph: Run) -> None:
    found = rows(graph("propagate", "--origin", "64500", "--prepend", "AS10=2", "--withhold", "40", "--json"))
    assert found[10] == ("customer", 3, [10])
    assert found[30] == ("provider", 2, [20])
    assert found[40] == ("none", None, [])


def test_what_is_known_of_a_neighbor_is_obeyed(graph: Run, as_rel: Path) -> None:
    as_rel.write_text(TEXT + "10|20|-1\n")
    plain = rows(graph("propagate", "--origin", "64500", "--prepend", "10=3", "--json"))
    ignoring = rows(graph("propagate", "--origin", "64500", "--prepend", "10=3", "--ignores-prepends", "10", "--json"))
    assert plain[10] == ("customer", 2, [20])
    assert ignoring[10] == ("customer", 4, [10])


def test_the_text_sums_up(graph: Run) -> None:
    shown = graph("propagate", "--origin", "64500", "--prepend", "10=1", "--withhold", "40", "-o", "wide")
    assert shown.stdout.splitlines() == [
        "AS64500 is heard by 6 of 7 ASes: 4 by a customer, 0 by a peer, 2 by a provider, 1 not at all",
        "",
        "LINK  NEIGHBOR  WE ARE    PREPEND  ALONE  TIED  ALONE%  AT MOST%",
        "AS20  AS20      customer        0      4     0     57%       57%",
        "AS10  AS10      customer        1      2     0     29%       29%",
        "",
        "withheld: AS40",
    ]


def test_a_path_is_shown_with_its_ties(graph: Run) -> None:
    assert document(graph("path", "30", "--origin", "64500", "--json")) == {
        "asn": 30,
        "class": "provider",
        "length": 2,
        "ingress_neighbors": [10, 20],
        "ingress_links": ["AS10", "AS20"],
        "origin": 64500,
        "next_hops": [10, 20],
        "path": [10, 64500],
    }
    assert "next hops    AS10 AS20" in graph("path", "30", "--origin", "64500").stdout


def test_who_has_no_path_is_said(graph: Run) -> None:
    assert graph("path", "40", "--origin", "64500", "--withhold", "40").stdout == "AS40 has no path to AS64500\n"
    assert graph("path", "64500", "--origin", "64500").stdout == "AS64500 is the origin\n"


def test_a_cone_is_shown_with_what_is_shared_and_cut(graph: Run) -> None:
    found = document(graph("cone", "20", "--with", "10", "--origin", "64500", "--json"))
    assert found["cone"] == [20, 21, 30, 64500]
    assert found["upstreams"] == [2]
    assert found["shared_upstreams"] == []
    assert found["cut_by_failure"] == [21]
    shown = graph("cone", "20", "--with", "10", "--origin", "64500").stdout
    assert "cut off from AS64500  1: AS21" in shown


def test_our_links_come_from_the_configuration(graph: Run) -> None:
    config = str(ROOT / "config.example.yaml")
    found = document(graph("propagate", "--config", config, "--prepend", "transit-a=3", "--json"))
    prepends = {row["link"]: row["prepend"] for row in found["sessions"]}
    assert prepends["transit-a"] == 3
    # What the file says of AS64500 does not count any more, but for peers behind the exchange.
    assert {row["neighbor"] for row in found["sessions"]} & {10, 20} == set()
    assert ("ix-1", 40) in {(row["link"], row["neighbor"]) for row in found["sessions"]}
    assert {a["asn"]: a["class"] for a in found["ases"]}[30] == "none"


def test_neighbors_that_the_graph_does_not_know_are_said(graph: Run) -> None:
    config = str(ROOT / "config.example.yaml")
    for command in (["propagate"], ["path", "30"]):
        said = graph(*command, "--config", config).stderr.splitlines()
        assert said == [f"AS graph: it does not know the neighbor of {n}" for n in ("transit-a", "transit-b", "ix-1")]
        assert graph(*command, "--config", config, "--quiet").stderr == ""


def test_without_a_file_it_is_that_of_the_configuration(graph: Run, as_rel: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"as_graph: {{path: {as_rel.name}}}\n")
    environment = {"TEAGENT_CONFIG": str(config), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    result = CliRunner().invoke(teagent, ["graph", "info", "--json"], env=environment)
    assert document(result)["file"] == str(as_rel)
    config.write_text("{}\n")
    result = CliRunner().invoke(teagent, ["graph", "info", "--json"], env=environment)
    assert (result.exit_code, "which graph?" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["propagate"], 2, "either --origin ASN or --config FILE"),
        (["propagate", "--origin", "64500", "--config", "x"], 2, "either --origin ASN or --config FILE"),
        (["propagate", "--origin", "64501"], 5, "there is no AS 64501 in the graph"),
        (["propagate", "--origin", "x"], 2, "'x' is not an AS number"),
        (["propagate", "--origin", "64500", "--prepend", "10"], 2, "'10' is not NEIGHBOR=N"),
        (["propagate", "--origin", "64500", "--prepend", "10=101"], 2, "N from 0 to 100"),
        (["propagate", "--origin", "64500", "--prepend", "=1"], 2, "is not NEIGHBOR=N"),
        (["propagate", "--origin", "64500", "--prepend", "11=1"], 5, "called 11, known are AS10, AS20, AS40"),
        (["propagate", "--origin", "64500", "--withhold", "transit"], 5, "called transit, known are"),
        (["propagate", "--origin", "64500", "--prefers-us", "30"], 5, "there is no neighbor AS30 of AS64500"),
        (["propagate", "--origin", "64500", "--prepend", "10=1", "--prepend", "10=2"], 2, "--prepend says 10 twice"),
        (
            ["propagate", "--origin", "64500", "--prepend", "10=1", "--prepend", "AS10=2"],
            2,
            "--prepend says 10 and AS10, which are both AS10",
        ),
        (
            ["path", "30", "--origin", "64500", "--prepend", "10=1", "--withhold", "AS10"],
            2,
            "AS10 is withheld, and prep",
        ),
        (["cone", "7"], 5, "there is no AS 7 in the graph"),
        (["info", "--as-rel", "/nonexistent/file"], 1, "/nonexistent/file cannot be read: no such file"),
    ],
)
def test_mistakes_are_said_in_a_line(graph: Run, arguments: list[str], code: int, said: str) -> None:
    result = graph(*arguments)
    assert result.exit_code == code
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_a_configuration_that_cannot_be_read_is_the_reason_and_not_the_graph_that_it_does_not_name(
    tmp_path: Path,
) -> None:
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    result = CliRunner().invoke(
        teagent, ["graph", "propagate", "--config", str(tmp_path / "none.yaml")], env=environment
    )
    assert result.exit_code == 3
    assert "none.yaml" in result.stderr
    assert "which graph?" not in result.stderr


def test_of_many_neighbors_some_are_named_and_the_others_counted(graph: Run, as_rel: Path) -> None:
    as_rel.write_text("".join(f"64500|{asn}|0\n" for asn in range(1, 31)))
    said = graph("propagate", "--origin", "64500", "--prepend", "99=1").stderr
    assert said.count(" AS") == 1 + 20  # ours, and those
    assert said.endswith(" and 10 more\n")


def test_a_bad_file_is_said_with_its_line(graph: Run, as_rel: Path) -> None:
    as_rel.write_text("1|2|-1\nnonsense\n")
    result = graph("info")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {as_rel}: line 2: 'nonsense' is not a|b|relation")


@pytest.mark.parametrize(
    ("section", "arguments"),
    [
        ("info", ["info"]),
        ("cone", ["cone", "20", "--with", "10", "--origin", "64500"]),
        ("propagate", ["propagate", "--origin", "64500"]),
        ("path", ["path", "30", "--origin", "64500"]),
    ],
)
def test_the_reference_has_every_key_and_no_other(graph: Run, section: str, arguments: list[str]) -> None:
    page = (ROOT / "docs" / "reference" / "graph.md").read_text(encoding="utf-8")
    route, own = keys(page, "A route:"), keys(page, f"## `graph {section}`")
    found = document(graph(*arguments, "--json"))
    assert set(found) == (own | route if section == "path" else own)
    for one in found["ases"] if section == "propagate" else []:
        assert set(one) == route


def keys(page: str, heading: str) -> set[str]:
    """Of the first table below the heading."""
    rows = re.search(r"(?:^\|.*\n)+", page.split(heading)[1], re.MULTILINE)
    assert rows is not None
    first = [line.split("|")[1] for line in rows[0].splitlines()[2:]]
    return set(re.findall(r"`(\w+)`", " ".join(first)))


def test_a_generated_graph_is_one(graph: Run, as_rel: Path) -> None:
    as_rel.write_text(graph("generate", "--ases", "60", "--seed", "7").stdout)
    assert document(graph("info", "--json"))["ases"] == 60
    assert graph("generate", "--ases", "60", "--seed", "7").stdout == as_rel.read_text()
    assert graph("generate", "--ases", "60", "--seed", "8").stdout != as_rel.read_text()


@pytest.mark.parametrize("ases", ["20", "21", "100"])
def test_small_graphs_can_be_generated(graph: Run, ases: str) -> None:
    assert graph("generate", "--ases", ases).exit_code == 0
