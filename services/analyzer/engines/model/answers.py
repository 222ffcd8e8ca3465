"""What a model's reply is worth: each finding judged by itself, and how clean the whole was. Never an exception.

A reply is either usable or says what is wrong with it: no reply is taken for "nothing found" that does not say so.

| field | taken as it is | mended | otherwise |
|---|---|---|---|
| a finding | an object | | dropped: ``not_an_object`` |
| title | text | a list of texts; white space folded, cut; the description's beginning | dropped: ``no_title`` |
| category, severity | a word of ours | a near word | dropped: ``unknown_category``, ``unknown_severity`` |
| start_line | a line that was shown | ``"12"``, ``12.0``, ``"L12-15"``; 0 is 1 | ``no_line``, ``outside_file`` |
| end_line | from start_line on | what is missing, wrong or before it is start_line, what is past the end is the end | |
| confidence | 0 to 1 | percent, words; else 0.7 | |
| cwe, rule | as it is | ``"CWE-89"``; white space | none; the category |
| other fields | | | ignored |
"""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from libs.events.analyzer import SEVERITY_ORDER, Category, Severity
from services.analyzer.engines.model.salvage import Candidate, candidates, strict
from services.analyzer.engines.static.drafts import MAX_TEXT, MAX_TITLE, Draft, bounded

MAX_KEPT = 100
MAX_SUMMARY = 600
PREFIX = "llm/"
_CATEGORIES = {
    Category.SECURITY: "vulnerability secret secrets injection auth privacy safety",
    Category.CORRECTNESS: "bug bugs logic defect error concurrency race type types typing functionality reliability",
    Category.ERROR_HANDLING: "exception exceptions errors error-management resilience robustness",
    Category.PERFORMANCE: "efficiency speed memory resource resources scalability optimization",
    Category.TESTING: "test tests coverage testability",
    Category.REFACTORING: (
        "maintainability style readability complexity duplication design architecture code-quality smell dead-code"
        " best-practice best-practices naming maintenance"
    ),
    Category.DOCUMENTATION: "docs doc comment comments docstring",
}
_SEVERITIES = {
    Severity.CRITICAL: "blocker fatal severe very-high urgent",
    Severity.HIGH: "major error important serious",
    Severity.MEDIUM: "moderate warning warn normal average",
    Severity.LOW: "minor info informational note trivial hint suggestion very-low none",
}
_CONFIDENCES = {"certain": 0.95, "very-high": 0.95, "high": 0.9, "medium": 0.6, "low": 0.3}
_USUAL_CONFIDENCE = 0.7
_NUMBER = re.compile(r"\D{0,6}(\d{1,7})(?!\d)")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """``complete``: nothing can be missing. ``fault`` is what is wrong with an unusable one, to be quoted."""

    state: Literal["clean", "repaired", "salvaged", "unusable"]
    complete: bool = False
    summary: str = ""
    findings: tuple[Draft, ...] = ()
    dropped: Counter[str] = field(default_factory=Counter)
    cut: int = 0
    fault: str = ""


def read_clean(text: str, *, shown: Container[int], last: int) -> Answer | None:
    """The answer where it is as it should be; none where it needs ``read_unclean``. ``last`` is the last line."""
    found = strict(text)
    return None if found is None else _judge(found, shown=shown, last=last)


def read_unclean(text: str, *, shown: Container[int], last: int) -> Answer:
    """The best that can be made of a reply. May take a second: not for the event loop."""
    best: Answer | None = None
    for candidate in candidates(text):
        answer = _judge(candidate, shown=shown, last=last)
        if best is None or _worth(answer) > _worth(best):
            best = answer
    return best or Answer(state="unusable", fault=_fault(text))


def read(text: str, *, shown: Container[int], last: int) -> Answer:
    """Both, for whoever has the time."""
    answer = read_clean(text, shown=shown, last=last)
    return answer if answer and answer.state != "unusable" else read_unclean(text, shown=shown, last=last)


def _worth(answer: Answer) -> tuple[bool, int, bool, int]:
    kept = len(answer.findings) + answer.cut
    return answer.state != "unusable", kept, answer.complete, answer.dropped.total()


def _fault(text: str) -> str:
    stripped = text.strip()
    if not stripped:
        return "the reply was empty"
    if stripped[:1] == "<":
        return "the reply was markup, not JSON"
    return "the reply was no JSON object with the fields 'summary' and 'findings'"


def _judge(candidate: Candidate, *, shown: Container[int], last: int) -> Answer:
    dropped: Counter[str] = Counter()
    kept: list[Draft] = []
    for raw in candidate.findings:
        judged = _finding(raw, shown=shown, last=last)
        if isinstance(judged, Draft):
            kept.append(judged)
        else:
            dropped[judged] += 1
    if not kept and (dropped or not candidate.whole):
        return Answer(state="unusable", dropped=dropped, fault=_why_none(dropped))
    kept = list(dict.fromkeys(kept))
    ranked = sorted(kept, key=lambda draft: (SEVERITY_ORDER.index(draft.severity), -draft.confidence))[:MAX_KEPT]
    return Answer(
        state="repaired" if candidate.rung == "clean" and dropped else candidate.rung,
        complete=candidate.whole,
        summary=_text(candidate.summary, MAX_SUMMARY),
        findings=tuple(ranked),
        dropped=dropped,
        cut=len(kept) - len(ranked),
    )


def _why_none(dropped: Counter[str]) -> str:
    reasons = ", ".join(f"{reason.replace('_', ' ')} ({count})" for reason, count in dropped.most_common(5))
    return (
        f"no finding could be used: {reasons}" if reasons else "the JSON broke off before the first finding was whole"
    )


def _finding(raw: Any, *, shown: Container[int], last: int) -> Draft | str:
    """The finding, or why it is dropped."""
    if not isinstance(raw, dict):
        return "not_an_object"
    description = _text(raw.get("description"), MAX_TEXT)
    title = _text(raw.get("title"), MAX_TITLE) or bounded(description.split(". ")[0], MAX_TITLE)
    category, severity = _near(raw.get("category"), _CATEGORY), _near(raw.get("severity"), _SEVERITY)
    line = _integer(raw.get("start_line"))
    start = 1 if line == 0 else line
    for missing, reason in (
        (not title, "no_title"),
        (category is None, "unknown_category"),
        (severity is None, "unknown_severity"),
        (start is None, "no_line"),
        (start is not None and (start > last or start not in shown), "outside_file"),
    ):
        if missing:
            return reason
    assert category is not None
    assert severity is not None
    assert start is not None
    return Draft(
        rule=_rule(raw.get("rule"), category),
        category=Category(category),
        severity=Severity(severity),
        title=title,
        description=description,
        suggestion=_text(raw.get("suggestion"), MAX_TEXT),
        start_line=start,
        end_line=min(max(start, _integer(raw.get("end_line")) or start), last),
        cwe=_cwe(raw.get("cwe")),
        confidence=_confidence(raw.get("confidence")),
    )


def _text(value: object, limit: int) -> str:
    """White space folded; control characters and halves of surrogate pairs, which no fact can carry, taken out."""
    if isinstance(value, list):
        value = " ".join(part for part in value[:20] if isinstance(part, str))
    if not isinstance(value, str):
        return ""
    text = value[: limit * 2].encode("utf-8", "replace").decode()
    folded = " ".join(text.split())
    return bounded("".join(c for c in folded if c.isprintable()), limit)


def _words(table: dict[Any, str]) -> dict[str, str]:
    return {word: str(value) for value, words in table.items() for word in (str(value), *words.split())}


_CATEGORY = _words(_CATEGORIES)
_SEVERITY = _words(_SEVERITIES)


def _near(value: object, words: dict[str, str]) -> str | None:
    """The word of ours that is meant, if any: another spelling, a synonym, a slip of the pen."""
    if not isinstance(value, str):
        return None
    word = re.sub(r"[^a-z]+", "-", value[:60].lower()).strip("-")
    if word in words:
        return words[word]
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.8)
    parts = [words[part] for part in word.split("-") if part in words]
    return words[close[0]] if close else next(iter(parts), None)


def _integer(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if value >= 0 else None
    if isinstance(value, float):
        return int(value) if math.isfinite(value) and value >= 0 else None
    match = _NUMBER.match(value[:40]) if isinstance(value, str) and "-" not in value[:1] else None
    return int(match[1]) if match else None


def _cwe(value: object) -> int | None:
    number = _integer(value)
    return number if number and number < 10_000 else None


def _confidence(value: object) -> float:
    if isinstance(value, str):
        return _CONFIDENCES.get("-".join(value.lower().split()), _USUAL_CONFIDENCE)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        return _USUAL_CONFIDENCE
    return float(value / 100 if value > 1 else value)


def _rule(value: object, category: str) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", value[:80].lower()).strip("-") if isinstance(value, str) else ""
    return PREFIX + (name[:60].strip("-") or str(category))


def total_dropped(answers: Iterable[Answer]) -> Counter[str]:
    """What was dropped over several answers, by reason."""
    return sum((answer.dropped for answer in answers), Counter())
