"""Titles and descriptions of tasks: what to do, why, how and where, in words taken from the findings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from libs.events.analyzer import Category, Severity
from services.reviewer.domain.grouping import Group
from services.reviewer.domain.snapshot import SEVERITY_RANK, Problem

MOST_TITLE = 300
MOST_DESCRIPTION = 4000
MOST_ACTION = 90
MOST_PATH = 100
MOST_REASONS = 6

_QUOTED = re.compile(r"`[^`]*`|'[^']*'|\"[^\"]*\"|\b\d+\b")
_SENTENCE = re.compile(r"(?<=[.;!?])\s+|\n|: |;")
NOUNS = {
    Category.SECURITY: "security problems",
    Category.CORRECTNESS: "likely bugs",
    Category.ERROR_HANDLING: "gaps in error handling",
    Category.PERFORMANCE: "performance problems",
    Category.TESTING: "gaps in tests",
    Category.REFACTORING: "hard-to-change places",
    Category.DOCUMENTATION: "documentation debts",
}


def title_of(group: Group) -> str:
    """What to do, where, and how often."""
    rules = {problem.rule for problem in group.problems}
    if len(rules) == 1:
        return fit(f"{_action(group.problems)} {where(group)}", MOST_TITLE)
    first = group.problems[0]
    noun = NOUNS[first.category]
    return fit(f"Mend {len(group.problems)} {noun} of {len(rules)} kinds {_place(group)}", MOST_TITLE)


def where(group: Group) -> str:
    """``in app/db.py (4 places)``."""
    places, files = len(group.problems), len({problem.key for problem in group.problems})
    if places == 1:
        return f"{_place(group)}"
    count = f"{places} places" if files == 1 or files == places else f"{places} places in {files} files"
    return f"{_place(group)} ({count})"


def _place(group: Group) -> str:
    paths = {problem.path for problem in group.problems}
    if len(paths) > 1:
        return f"in {shorten(group.directory)}/" if group.directory else f"in {len(paths)} files"
    symbols = {problem.symbol for problem in group.problems}
    path = shorten(next(iter(paths)))
    symbol = next(iter(symbols)) if len(symbols) == 1 else ""
    return f"in {symbol} of {path}" if symbol and len(symbol) <= MOST_ACTION else f"in {path}"


def shorten(path: str) -> str:
    """A path that fits into a line: its end says more than its beginning."""
    return path if len(path) <= MOST_PATH else "…" + path[-MOST_PATH + 1 :]


def _action(problems: Sequence[Problem]) -> str:
    """The commonest suggestion where it is short enough to be a heading, else what is wrong."""
    suggestion = _SENTENCE.split(common(problem.suggestion for problem in problems).strip(), maxsplit=1)[0]
    suggestion = suggestion.strip().rstrip(".;:,")
    if 0 < len(suggestion) <= MOST_ACTION and (len(problems) == 1 or not _QUOTED.search(suggestion)):
        return suggestion[0].upper() + suggestion[1:]
    return f"Mend: {fit(headline(problems), MOST_ACTION)}"


def headline(problems: Sequence[Problem]) -> str:
    """What is wrong, in words that fit all of them."""
    titles = {problem.title for problem in problems}
    if len(titles) == 1:
        return next(iter(titles)).rstrip(".")
    return common(_QUOTED.sub("…", title) for title in (problem.title for problem in problems)).rstrip(".")


def common(texts: Iterable[str]) -> str:
    """The commonest, the first in the alphabet where several are."""
    counted = Counter(text for text in texts if text)
    return min(counted, key=lambda text: (-counted[text], text), default="")


def description_of(group: Group) -> str:
    """What, why and how for each rule, then every place, as many as fit."""
    by_rule: dict[str, list[Problem]] = {}
    for problem in group.problems:
        by_rule.setdefault(problem.rule, []).append(problem)
    rules = sorted(by_rule, key=lambda rule: (-len(by_rule[rule]), rule))
    reasons = [_reason(rule, by_rule[rule]) for rule in rules[:MOST_REASONS]]
    if len(rules) > MOST_REASONS:
        reasons.append(f"… and {len(rules) - MOST_REASONS} more rules.")
    head = fit("\n\n".join(reasons), MOST_DESCRIPTION * 2 // 3)
    single = len(rules) == 1 and len({problem.title for problem in group.problems}) == 1
    worst_first = sorted(
        group.problems, key=lambda problem: (SEVERITY_RANK[problem.severity], problem.path, problem.line, problem.id)
    )
    return listing(head + "\n\nWhere:", [_reference(problem, titled=not single) for problem in worst_first])


def _reason(rule: str, problems: Sequence[Problem]) -> str:
    why = common(problem.description for problem in problems)
    how = common(problem.suggestion for problem in problems)
    count = f" ({len(problems)}×)" if len(problems) > 1 else ""
    severity = min((problem.severity for problem in problems), key=list(Severity).index)
    parts = [f"{headline(problems).rstrip('.')}{count} [{rule}, {severity}].", why, how and f"To do: {how}"]
    return fit(" ".join(part.strip() for part in parts if part), 900)


def _reference(problem: Problem, *, titled: bool) -> str:
    place = f"- {shorten(problem.path)}:{problem.line}"
    symbol = f" in {problem.symbol}" if problem.symbol else ""
    return fit(place + symbol + (f": {problem.title}" if titled else ""), 300)


def listing(head: str, lines: Sequence[str]) -> str:
    """The head and as many lines as a description holds; what is left out is counted."""
    room = MOST_DESCRIPTION - len(head) - 40
    taken = 0
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        taken += 1
    rest = [f"- … and {len(lines) - taken} more places."] if taken < len(lines) else []
    return "\n".join([head, *lines[:taken], *rest])


def fit(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
