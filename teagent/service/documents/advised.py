"""What a language model said, as JSON: apart from everything else, and marked as what it is."""

from __future__ import annotations

from teagent.model.advice import Advice, Cost, ModelState, ModelText, Scored
from teagent.model.units import format_time
from teagent.service.documents.values import Document, decimal, whole


def cost_document(cost: Cost) -> Document:
    return {
        "calls": cost.calls,
        "prompt_tokens": cost.prompt_tokens,
        "tokens": cost.tokens,
        "seconds": decimal(cost.seconds, 1),
    }


def model_text_document(text: ModelText) -> Document:
    return {
        "parts": [{"heading": heading, "text": words} for heading, words in text.parts],
        "struck": text.struck,
        "contradicted": text.contradicted,
    }


def advice_document(advice: Advice) -> Document:
    """`brief` None: the model abstained from it, `abstained` says why."""
    suggestion = advice.suggestion
    return {
        "at": format_time(advice.at),
        "model": advice.model,
        "brief": None if advice.brief is None else model_text_document(advice.brief),
        "suggestion": None
        if suggestion is None
        else {
            "suggested": _scored(suggestion.suggested),
            "solver": _scored(suggestion.solver),
            "better": suggestion.better,
        },
        "preferred": advice.preferred or None,
        "abstained": list(advice.abstained),
        "cost": cost_document(advice.cost),
    }


def _scored(row: Scored) -> Document:
    return {
        "setting": row.setting,
        "excess_bps": whole(row.excess_bps),
        "shortfall_risk_bps": whole(row.shortfall_risk_bps),
        "cost_per_month": decimal(row.cost_per_month, 2),
        "moved_bps": whole(row.moved_bps),
        "verdict": row.verdict,
    }


def advisor_document(
    state: ModelState, *, day: Cost | None = None, context: int | None = None, think: bool = False
) -> Document:
    """Of `teagent advisor status`; `context` and `think` are those that are configured."""
    problems = []
    if context is not None and state.context is not None and state.context < context:
        problems.append(f"the model was trained for {state.context} tokens, advisor.context is {context}")
    if think and not state.thinks:
        problems.append("advisor.think is true, and the model cannot think first")
    return {
        "model": state.model,
        "server": state.server,
        "parameters": state.parameters,
        "quantization": state.quantization,
        "size_bytes": state.size_bytes,
        "context": state.context,
        "thinks": state.thinks,
        "problems": problems,
        "today": None if day is None else cost_document(day),
    }
