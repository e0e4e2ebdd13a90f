"""The JSON documents: model values in, JSON-ready dictionaries out. Exactly what `--json` prints.

The contract is docs/reference/json.md: fields are added, never renamed or removed within a major version. Pure.
"""

from teagent.service.documents.explained import explain_document
from teagent.service.documents.health import check_document, freeze_document, speaker_document, status_document
from teagent.service.documents.plans import (
    OPERATOR_EVENTS,
    change_document,
    considered_document,
    decision_document,
    dry_run_document,
    event_document,
    held_override_document,
    history_document,
    outcome_document,
    override_document,
    plan_document,
    plan_overrides,
    plans_document,
    policy_document,
    proposal_document,
    proposal_summary_document,
    reason_document,
    score_document,
    verdict_document,
)
from teagent.service.documents.traffic import (
    announcement_document,
    exporter_document,
    link_document,
    link_state,
    listing,
    matrix_document,
    prefix_document,
    router_document,
    trigger_document,
    utilisation_document,
)
from teagent.service.documents.values import Document

__all__ = [
    "OPERATOR_EVENTS",
    "Document",
    "announcement_document",
    "change_document",
    "check_document",
    "considered_document",
    "decision_document",
    "dry_run_document",
    "event_document",
    "explain_document",
    "exporter_document",
    "freeze_document",
    "held_override_document",
    "history_document",
    "link_document",
    "link_state",
    "listing",
    "matrix_document",
    "outcome_document",
    "override_document",
    "plan_document",
    "plan_overrides",
    "plans_document",
    "policy_document",
    "prefix_document",
    "proposal_document",
    "proposal_summary_document",
    "reason_document",
    "router_document",
    "score_document",
    "speaker_document",
    "status_document",
    "trigger_document",
    "utilisation_document",
    "verdict_document",
]
