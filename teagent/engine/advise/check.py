"""A model's text, held against the facts that it was given.

Figures that the facts do not hold are struck out, and so is what says that a load goes where the facts say it does not.
A clause about one link may only have figures of that link. What cannot be decided so is left, for text of a model is
shown as such.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from teagent.engine.advise.facts import Facts, Trend
from teagent.engine.advise.figures import Figure, found_in, same, words

STRUCK = "[struck]"
CONTRADICTED = "[struck: the facts say otherwise]"
MAX_CHARACTERS = 400
"""Of one part; a model that goes on is cut."""

_THOUGHT = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_THOUGHT_END = re.compile(r"^.*</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_THOUGHT_START = re.compile(r"<think(?:ing)?>.*$", re.DOTALL | re.IGNORECASE)
_CLAUSE = re.compile(r"(?<=[.!?;:])\s+|,\s+|\s+(?=(?:and|but|while|whereas|so|then|because|which|although)\s)")
_PUNCTUATION = str.maketrans(
    {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-", "\u2011": "-"}
    | {"\u2192": " to "}
)

UPWARD = words(
    "up upward upwards more higher rise rises rising rose increase increases increased increasing grow grows growing "
    "gain gains gaining heavier busier climb climbs raise raises raised worse worsen worsens overload overloads"
)
DOWNWARD = words(
    "down downward downwards less fewer lower lowers lowered drop drops dropping dropped decrease decreases decreased "
    "decreasing fall falls falling fell reduce reduces reduced reducing reduction shrink shrinks relieve relieves "
    "relieved relieving lighter ease eases eased decline declines unload unloads"
)
STEADY = words("unchanged constant steady same stays")
_NEGATION = re.compile(r"\b(?:no|not|never|without|neither|nor|hardly|cannot)\b|n't\b", re.IGNORECASE)


def without_thinking(text: str) -> tuple[str, str]:
    """What is said and what was thought: `<think>...</think>`, a lone `</think>`, or one that never ends."""
    said = _THOUGHT.sub(" ", text)
    said = _THOUGHT_END.sub(" ", said)
    said = _THOUGHT_START.sub(" ", said)
    return said.strip(), "" if said == text else text


def plain(text: str) -> str:
    """One line of printable ASCII: digits of other scripts, marks and control characters have no way through."""
    shown = unicodedata.normalize("NFKC", text.translate(_PUNCTUATION)).replace("\u2044", "/")
    kept = "".join(c if " " <= c <= "~" else " " for c in shown)
    return re.sub(r" +", " ", kept).strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    text: str
    struck: int
    contradicted: int


def check(text: str, facts: Facts) -> Checked:
    """The text as it may be shown."""
    line = plain(text)
    if len(line) > MAX_CHARACTERS:
        line = line[:MAX_CHARACTERS].rsplit(" ", 1)[0] + " ..."
    struck = contradicted = 0
    clauses: list[str] = []
    place = 0
    for gap in (*_CLAUSE.finditer(line), None):
        clause = line[place : len(line) if gap is None else gap.start()]
        if contradicts(clause, facts):
            contradicted += 1
            clauses.append(CONTRADICTED)
        else:
            cleaned, count = _strike(clause, facts)
            struck += count
            clauses.append(cleaned)
        if gap is not None:
            clauses.append(gap.group())
            place = gap.end()
    return Checked(text="".join(clauses), struck=struck, contradicted=contradicted)


def named(clause: str, facts: Facts) -> tuple[str, ...]:
    """The links and prefixes that the clause names, in the order in which they stand."""
    places = sorted(
        (match.start(), name) for name in facts.names for match in re.finditer(_word(name), clause, re.IGNORECASE)
    )
    return tuple(dict.fromkeys(name for _, name in places))


def _word(name: str) -> str:
    return rf"(?<![\w./:-]){re.escape(name)}(?![\w/:]|[.-]\w)"


def _strike(clause: str, facts: Facts) -> tuple[str, int]:
    about = set(named(clause, facts))
    allowed = _figures(facts, about)
    masked = clause
    for name in sorted(facts.names, key=len, reverse=True):
        masked = re.sub(_word(name), lambda match: "_" * len(match.group()), masked, flags=re.IGNORECASE)
    spans: list[tuple[int, int]] = []
    for found in found_in(masked):
        figure = found.figure
        if figure is None or not any(same(figure, known) for known in allowed):
            spans.append((found.start, found.end))
    for start, end in sorted(spans, reverse=True):
        clause = clause[:start] + STRUCK + clause[end:]
    return clause, len(spans)


def _figures(facts: Facts, about: set[str]) -> list[Figure]:
    """Those that a clause about these may have; a clause about nothing in particular may have any."""
    rows = [fact for fact in facts.facts if not about or not fact.about or about & set(fact.about)]
    figures: list[Figure] = []
    for fact in rows:
        text = fact.text
        for name in sorted(facts.names, key=len, reverse=True):
            text = re.sub(_word(name), "_", text)
        figures += [found.figure for found in found_in(text) if found.figure is not None]
    return figures


def contradicts(clause: str, facts: Facts) -> bool:
    """Does it say of a link that its load goes where it does not go?"""
    links = [name for name in named(clause, facts) if name in facts.trends]
    said = set(re.findall(r"[a-z]+", clause.lower()))
    up, down, steady = (bool(said & some) for some in (UPWARD, DOWNWARD, STEADY))
    if len(links) == 1:
        goes = facts.trends[links[0]]
        if (up or down) and _NEGATION.search(clause):
            return True  # which way it is meant is not to be told
        wrong = {Trend.UP: down or steady, Trend.DOWN: up or steady, Trend.SAME: up or down}
        return wrong[goes]
    if len(links) == 2:
        first, second = links
        if re.search(rf"\bfrom\b.*{re.escape(first)}.*\bto\b.*{re.escape(second)}", clause, re.IGNORECASE):
            return facts.trends[first] is Trend.UP or facts.trends[second] is Trend.DOWN
    return False
