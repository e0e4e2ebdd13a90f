"""The reference pages of command line, errors, exit codes and JSON say what the program does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from teagent.adapters.as_graph import AsGraphFile
from teagent.cli import reference
from teagent.cli.root import COMMANDS
from teagent.engine.choose.what_if import what_if
from teagent.model.advice import Cost
from teagent.model.audit import ChainRow
from teagent.model.announcement import HeldOverride, Override
from teagent.model.maintenance import DailyWindow
from teagent.model.proposal import ProposalState
from teagent.model.what_if import parse_wish
from teagent.service import documents
from teagent.service.as_graphs import AsGraphs
from teagent.service.predictor import Predictor
from teagent.service.score import LinkOutcome, Outcome
from teagent.wire import control
from tests.fakes import measured, shown
from tests.fakes.clock import FakeClock
from tests.fakes.desk import Desk, snapshot

DOCS = Path(__file__).resolve().parents[2] / "docs" / "reference"


@pytest.mark.parametrize("page", reference.PAGES)
def test_a_generated_page_is_what_the_program_would_write_now(page: str) -> None:
    written = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    assert written == reference.PAGES[page](), f"run: python -m teagent.cli.reference {page} > docs/reference/{page}.md"


def test_the_generator_runs_as_the_pages_say() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "teagent.cli.reference", "exit-codes"],
        cwd=DOCS.parents[1],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout == (DOCS / "exit-codes.md").read_text(encoding="utf-8")


def test_every_kind_of_error_is_explained_and_nothing_else_is() -> None:
    assert set(reference.EXPLAINED) == {kind.__name__ for kind in reference.kinds()}


def test_every_exit_code_of_the_tree_has_a_meaning() -> None:
    assert {kind.exit_code for kind in reference.kinds()} <= set(reference.EXIT_MEANS)


def test_every_command_has_its_section() -> None:
    text = (DOCS / "cli.md").read_text(encoding="utf-8")
    for name in COMMANDS:
        assert f"\n## `teagent {name}`\n" in text


def test_every_command_of_the_socket_is_in_json_md_and_is_answered() -> None:
    text = (DOCS / "json.md").read_text(encoding="utf-8").split("## Which command prints what")[1].split("\n## ")[0]
    documented = set(re.findall(r"`((?:\w+\.)?\w+)`", " ".join(line.split("|")[2] for line in _rows(text))))
    assert documented == set(control.COMMANDS) == set(Desk().commands())


def _rows(section: str) -> list[str]:
    return [line for line in section.splitlines() if line.startswith("|") and not line.startswith("| ---")][1:]


def fields(section: str) -> set[str]:
    text = (DOCS / "json.md").read_text(encoding="utf-8").split(f"\n## {section}\n")[1].split("\n## ")[0]
    return set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))


def proposal() -> dict[str, Any]:
    forecast = shown.dry_run().links[0]
    row = LinkOutcome(link="transit-a", before_bps=1.0, predicted=forecast.after, realised_bps=1.0, within_band=False)
    outcome = Outcome(proposal="p-7f3c", since=measured.ago(60), until=measured.NOW, links=(row,))
    return shown.proposal_document(ProposalState.CONFIRMING) | {
        "outcome": documents.outcome_document(outcome),
        "advice": advised(),
    }


def advised() -> dict[str, Any]:
    return documents.advice_document(shown.advice())


def simulation() -> dict[str, Any]:
    return documents.what_if_document(snapshot(), what_if(snapshot(), [parse_wish("home 198.51.100.0/24")]))


def ingress() -> dict[str, Any]:
    given = [(shown.belief(), 1e6)]
    return documents.ingress_document(given, at=measured.NOW, prefix=measured.EYEBALL, vector={"transit-a": 0})


def experiments() -> dict[str, Any]:
    window = DailyWindow.parse("02:00-04:30")
    return documents.experiments_document([shown.experiment()], at=measured.NOW, window=window, proposal=None)


def as_graphs() -> AsGraphs:
    return AsGraphs(source=AsGraphFile(Path("as-rel.txt"), cache_dir=Path("cache")), clock=FakeClock(measured.NOW))


def documented() -> dict[str, Any]:
    """Section of json.md -> a document of that kind, made of real values with everything in them."""
    link = documents.link_document(
        measured.A,
        latest=measured.READING_A,
        p95=measured.P95_A,
        trigger=measured.FIRING,
        history=measured.HISTORY_A,
        members=measured.MEMBERS,
        left_bps=10e9,
    )
    prefix = documents.prefix_document(
        measured.NETWORK.prefixes[0],
        network=measured.NETWORK,
        live=shown.announcements(2),
        owner="p-7f3c",
        matrix=measured.matrix(),
        top=3,
    )
    decision: dict[str, Any] = documents.decision_document(shown.decision(), measured.NETWORK)
    status: dict[str, Any] = shown.status_document()
    router: dict[str, Any] = measured.router_documents()[0]
    matrix: dict[str, Any] = documents.matrix_document(measured.matrix(), at=measured.NOW)
    explanation: Any = Desk()._explain()
    full, chosen = proposal(), decision["chosen"]
    return {
        "Link": link,
        "Utilisation": link["utilisation"],
        "Trigger": link["trigger"],
        "Prefix": prefix,
        "Proof": full["proof"],
        "Witness": documents.witness_document(measured.WITNESS),
        "Announcement": prefix["announcements"][0],
        "Router": router,
        "Poll": router["poll"],
        "Exporter": documents.exporter_document(measured.EXPORTER),
        "Matrix": matrix["matrix"],
        "Demand": matrix["matrix"]["demands"][0],
        "Policy": documents.policy_document(shown.POLICY),
        "Decision": decision,
        "Considered": chosen,
        "Score": chosen["score"],
        "Reason": chosen["verdict"]["reasons"][0],
        "Plans": documents.plans_document([decision], at=measured.NOW),
        "Plan": chosen["plan"],
        "Change": chosen["plan"]["changes"][0],
        "Router announcement": chosen["plan"]["announcements"][0],
        "Dry run": chosen["dry_run"],
        "Sender": chosen["dry_run"]["uncertain"][0],
        "Simulation": simulation(),
        "AS graph": documents.as_graph_document(Predictor(network=measured.NETWORK, as_graphs=as_graphs())),
        "Scorecards": documents.scorecards_document(
            shown.scorecards(), at=measured.NOW, since=measured.ago(86400), widening=1.0
        ),
        "Scorecard": documents.scorecard_document(shown.scorecards()[2]),
        "Experiments": experiments(),
        "Experiment": experiments()["experiments"][0],
        "Ingress": ingress(),
        "Belief": ingress()["senders"][0],
        "Forecast": chosen["dry_run"]["links"][0],
        "Band": chosen["dry_run"]["moved"],
        "Proposal summary": documents.proposal_summary_document(shown.proposal()),
        "Advice": advised(),
        "Model text": advised()["brief"],
        "Scored setting": advised()["suggestion"]["solver"],
        "Advisor": {"at": "", **shown.advisor_document()},
        "Answer": shown.asked_document("how busy is it?"),
        "History": full["history"][0],
        "Outcome": full["outcome"],
        "Status": status,
        "Speaker": status["speaker"],
        "Freeze": documents.freeze_document(since=measured.NOW, by="alice", reason=""),
        "Check": documents.check_document(status),
        "Event": documents.event_document(shown.EVENT),
        "Chain row": documents.chain_row_document(
            "event", ChainRow(position=1, row={}, previous_digest="", digest="")
        ),
        "Explanation": explanation,
        "Explained link": explanation["links"][0],
    }


@pytest.mark.parametrize("section", documented())
def test_json_md_has_every_field_of_a_document_and_no_other(section: str) -> None:
    assert fields(section) == set(documented()[section])


def test_a_proposal_is_its_summary_and_more() -> None:
    assert fields("Proposal") | fields("Proposal summary") == set(proposal())


@pytest.mark.parametrize(
    ("text", "document"),
    [
        ('{"month", "bps", "buckets", "missing"}', documented()["Link"]["p95"]),
        ('{"link", "bps"}', documented()["Prefix"]["traffic"][0]),
        ('{"name", "asn", "prefix"}', documented()["Demand"]["source"]),
        ('{"demands", "bps"}', documented()["Matrix"]["rest"]),
        ('{"kinds", "names"}', documented()["Policy"]["links"]),
        ('{"tags", "prefixes"}', documented()["Policy"]["prefixes"]),
        ('{"metric", "above", "for_seconds", "clear_below"}', documented()["Policy"]["when"]),
        (
            '{"at", "message", "firing", "proposed"}',
            documents.policy_document(shown.POLICY, last=shown.decision())["last_decision"],
        ),
        ('{"verdict", "reasons"}', documented()["Considered"]["verdict"]),
        (
            '{"link", "neighbor", "peer_asn", "prepend", "as_path"}',
            documented()["Router announcement"]["neighbors"][0],
        ),
        ('{"source", "prefix", "from_link", "to_link", "bps"}', documented()["Dry run"]["shifts"][0]),
        ('{"link", "bps", "sources", "largest"}', documented()["Dry run"]["cannot_move"][0]),
        ('{"link", "before", "after"}', documented()["Sender"]["links"][0]),
        (
            '{"link", "predicted", "realised_bps", "within_band", "predicted_share", "realised_share"}',
            documented()["Scorecard"]["links"][0],
        ),
        (
            '{"source", "bps", "predicted_link", "realised_link", "missed_bps"}',
            documented()["Scorecard"]["missed"][0],
        ),
        (
            '{"kind", "count", "top1", "top1_moved", "error_points", "misprojected", "coverage"}',
            documented()["Scorecards"]["kinds"][0],
        ),
        (
            '{"link", "probability", "hops", "ignores_prepends", "never", "only"}',
            documented()["Belief"]["links"][0],
        ),
        (
            '{"proposal", "until", "misprojected", "widening"}',
            documents.misprojected_document(shown.scorecards()[2], widening=2.0),
        ),
        ('{"asn", "bps", "bits"}', documented()["Experiment"]["lessons"][0]),
        ('{"reason", "message"}', documented()["Sender"]["doubts"][0]),
        (
            '{"link", "before_bps", "predicted", "realised_bps", "within_band"}',
            documented()["Outcome"]["links"][0],
        ),
        ('{"address", "state", "since", "router", "md5_password"}', documented()["Speaker"]["neighbors"][0]),
        (
            '{"prefix", "owner", "vector", "deadline", "acknowledged"}',
            documents.held_override_document(
                HeldOverride(
                    override=Override.of(measured.EYEBALL, {"transit-a": 2}),
                    owner="p-7f3c",
                    deadline=None,
                    acknowledged=True,
                )
            ),
        ),
        ('{"calls", "prompt_tokens", "tokens", "seconds"}', documents.cost_document(Cost())),
        ('{"heading", "text"}', documented()["Model text"]["parts"][0]),
        ('{"suggested", "solver", "better"}', documented()["Advice"]["suggestion"]),
        ('{"typed", "means", "command"}', documented()["Answer"]["choices"][0]),
        ('{"link", "prepend", "home_prepend"}', documented()["Explanation"]["announced"][0]),
        ('{"link", "bps", "share", "top_sources"}', documented()["Explanation"]["ingress"][0]),
        (
            '{"policy", "digest", "proposal", "link", "before_bps", "expected_bps", "message"}',
            documented()["Explanation"]["helps"][0],
        ),
        ('{"prefix", "bps", "share"}', documented()["Explained link"]["by_prefixes"][0]),
        ('{"source", "bps", "share"}', documented()["Explained link"]["by_sources"][0]),
        ('{"since", "reason"}', documents.matrix_document(measured.SILENT, at=measured.NOW)["matrix"]["no_data"]),
    ],
)
def test_a_small_object_inside_a_row_has_the_keys_that_the_row_says(text: str, document: dict[str, Any]) -> None:
    assert text in (DOCS / "json.md").read_text(encoding="utf-8")
    assert set(re.findall(r'"(\w+)"', text)) == set(document)
