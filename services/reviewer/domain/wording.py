"""Titles and descriptions of tasks: what to do, why, how and where, in words taken from the findings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterable, Sequence

from libs.events.analyzer import Category, Severity
from services.reviewer.domain.duplicates import Cluster
from services.reviewer.domain.grouping import Group
from services.reviewer.domain.snapshot import SEVERITY_RANK, Problem

MOST_TITLE = 90
MOST_DESCRIPTION = 4000
MOST_ACTION = 60
MOST_PATH = 100
SHORTER = (60, 40, 25)
"""Characters of a path in a title, tried in turn."""
MOST_HEADLINE = 90
MOST_KINDS = 3
MOST_REASONS = 6

_NAMED = re.compile(r"`[^`]*`|'[^']*'|\"[^\"]*\"|\b\d+\b")
_QUOTED = re.compile(r"`[^`]*`|'[^']*'|\"[^\"]*\"")
_GAP = re.compile(r"^(… ?)+|: [^:…]*….*$|( (in|from|at|to|of))?( …)+$|( …)+(?=:)")
_SENTENCE = re.compile(r"(?<=[.;!?])\s+|\n|: |;")
_SPEAKS_OF_IT = re.compile(r"\b(it|its|them|the two|one of)\b", re.IGNORECASE)
_HARD = "code that is "
_COUNT = re.compile(r" \(and \d+ more\)$")
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
    """What to do and where, in one line; what is wrong as well where there is room for it."""
    actions, places = _actions(group), _places(group)
    titles = (f"{action} {place}" for place in places for action in actions)
    room = MOST_TITLE - len(places[-1]) - 1
    return next((title for title in titles if len(title) <= MOST_TITLE), f"{fit(actions[-1], room)} {places[-1]}")


def why_of(group: Group) -> str:
    """What is wrong, in one line; of several rules each, the commonest first."""
    kinds = [fit(headline(problems), MOST_HEADLINE) for problems in _by_rule(group.problems).values()]
    named = "; ".join([kinds[0], *(lower(kind) for kind in kinds[1:MOST_KINDS])])
    return _sentence(f"{named}; …" if len(kinds) > MOST_KINDS else named)


def _by_rule(problems: Iterable[Problem]) -> dict[str, list[Problem]]:
    """The commonest rule first."""
    by_rule: dict[str, list[Problem]] = {}
    for problem in problems:
        by_rule.setdefault(problem.rule, []).append(problem)
    return {rule: by_rule[rule] for rule in sorted(by_rule, key=lambda rule: (-len(by_rule[rule]), rule))}


def _places(group: Group) -> list[str]:
    """``in load of app/db.py (4 places)``, then with less and less of it."""
    count = len(group.problems)
    often = f" ({count} places)" if count > 1 and len(_by_rule(group.problems)) == 1 else ""
    return [f"in {place}{often}" for place in _names(group)]


def _names(group: Group) -> list[str]:
    paths = _worst_first(group.problems)
    if len(paths) > 1 and group.directory:
        return [f"{shorten(group.directory, most)}/" for most in SHORTER]
    if len(paths) > 1:
        return [*(_files(paths, most) for most in SHORTER[:2]), f"{len(paths)} files"]
    symbols = {problem.symbol for problem in group.problems}
    symbol = next(iter(symbols)) if len(symbols) == 1 else ""
    names = [shorten(paths[0], most) + _lines(group) for most in SHORTER]
    return ([f"{symbol} of {names[0]}", f"{symbol} of {names[-1]}"] if symbol else []) + names


def _worst_first(problems: Iterable[Problem]) -> list[str]:
    """Paths, those with the most places first."""
    count = Counter(problem.path for problem in problems)
    return sorted(count, key=lambda path: (-count[path], path))


def _files(paths: Sequence[str], most: int) -> str:
    """Two files that have no directory in common are named, more are counted behind the first."""
    if len(paths) == 2:
        return f"{shorten(paths[0], most // 2)} and {shorten(paths[1], most // 2)}"
    return f"{shorten(paths[0], most)} and {len(paths) - 1} more"


def _lines(group: Group) -> str:
    """Where a file's findings are too many for one task, which part of it this one is about."""
    first = group.problems[0]
    if f"\0{first.key}\0" not in group.cause[-1]:
        return ""
    return f" lines {first.line} to {group.problems[-1].line}"


def shorten(path: str, most: int = MOST_PATH) -> str:
    """A path that fits into a line: its end says more than its beginning, and a whole name more than a part."""
    if len(path) <= most:
        return path
    end = path[-most + 2 :]
    cut = end.find("/")
    return f"…{end[cut:]}" if 0 <= cut < len(end) // 2 else f"…{end}"


def _actions(group: Group) -> list[str]:
    """What to do, from the most to the least that can be said of it."""
    by_rule = _by_rule(group.problems)
    if len(by_rule) > 1:
        return [f"Mend {len(group.problems)} {NOUNS[group.problems[0].category]}"]
    about, advice = lower(headline(group.problems)), _advice(group.problems)
    if advice and not _SPEAKS_OF_IT.search(advice):
        brief = advice.split(", or ")[0]
        return [f"{brief}: {about}", brief]
    if about.startswith(_HARD):
        return [f"Simplify {about.split(': ')[0]}"]
    return [f"{advice}: {about}", f"Mend: {about}"] if advice else [f"Mend: {about}"]


def _advice(problems: Sequence[Problem]) -> str:
    """How the commonest suggestion begins; nothing where it is long, or names what is in one of the places only."""
    suggestion = _SENTENCE.split(common(problem.suggestion for problem in problems).strip(), maxsplit=1)[0]
    suggestion = suggestion.strip().rstrip(".;:,")
    if not 0 < len(suggestion) <= MOST_ACTION or (len(problems) > 1 and _QUOTED.search(suggestion)):
        return ""
    return f"{suggestion[0].upper()}{suggestion[1:]}"


def headline(problems: Sequence[Problem]) -> str:
    """What is wrong, in words that fit all of them: without names, then without details, until most agree."""
    titles = [_without_symbol(problem) for problem in problems]
    if len(set(titles)) == 1:
        return titles[0]
    shared = frozenset.intersection(*(frozenset(_NAMED.findall(title)) for title in titles))
    nameless = [_without_names(title, shared) for title in titles]
    brief = [title.split(": ")[0] for title in nameless]
    for candidates in (nameless, brief):
        best = common(candidates)
        if 2 * candidates.count(best) > len(candidates):
            break
    return best + (" comments" if best.isupper() else "")


def _without_symbol(problem: Problem) -> str:
    """The place names the symbol already: ``load is hard to change`` becomes ``Code that is hard to change``."""
    title = _COUNT.sub("", problem.title.rstrip("."))
    for name in (problem.symbol, problem.symbol.rsplit(".", 1)[-1]):
        if name and title.startswith(f"{name} is "):
            return f"Code that {title[len(name) + 1 :]}"
    return title


def _without_names(title: str, shared: Container[str]) -> str:
    nameless = _NAMED.sub(lambda name: name[0] if name[0] in shared else "…", title)
    left = _GAP.sub("", nameless).strip()
    return (left[:1].upper() + left[1:] if nameless.startswith("…") else left) or title


def lower(title: str) -> str:
    """A title inside a sentence: its first letter small, unless the word is a name, a call or an abbreviation."""
    word = title.split(" ", 1)[0]
    return (
        title[0].lower() + title[1:]
        if word[1:].islower() and word.replace("-", "").isalpha() and word != "Python"
        else title
    )


def common(texts: Iterable[str]) -> str:
    """The commonest, the first in the alphabet where several are."""
    counted = Counter(text for text in texts if text)
    return min(counted, key=lambda text: (-counted[text], text), default="")


def description_of(group: Group) -> str:
    """What is wrong in a line; then what, why and how for each rule; then every place, as many as fit."""
    by_rule = _by_rule(group.problems)
    rules = list(by_rule)
    reasons = [_reason(rule, by_rule[rule]) for rule in rules[:MOST_REASONS]]
    if len(rules) > MOST_REASONS:
        reasons.append(f"… and {len(rules) - MOST_REASONS} more rules.")
    head = fit("\n\n".join([why_of(group), *reasons]), MOST_DESCRIPTION * 2 // 3)
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
    parts = (f"{headline(problems)}{count} [{rule}, {severity}]", why, how and f"To do: {how}")
    return fit(" ".join(_sentence(part) for part in parts if part.strip()), 900)


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


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


def copies_title(cluster: Cluster) -> str:
    """What to unite, where, and how many lines go."""
    names = _copied(cluster)
    what = f"the copies of {fit(names[0], MOST_ACTION // 2)}" if len(names) == 1 else f"{len(names)} copied functions"
    paths, lines = cluster.paths, f"({cluster.lines} lines)"
    if len(paths) == 1:
        places = [f"within {shorten(paths[0], most)}" for most in SHORTER]
    else:
        places = [*(f"in {_files(paths, most)}" for most in SHORTER), f"in {len(paths)} files"]
    titles = [f"Unite {what} {place} {lines}" for place in places]
    return next((title for title in titles if len(title) <= MOST_TITLE), titles[-1])


def _copied(cluster: Cluster) -> list[str]:
    """The functions' names as they are in the first of the files."""
    return [copy[0][1].symbol.rsplit(".", 1)[-1] or "a block" for copy in cluster.copies]


def copies_description(cluster: Cluster) -> str:
    """Why, how, and which places are alike."""
    names = _copied(cluster)
    named = ", ".join(fit(name, MOST_ACTION // 2) for name in names[:MOST_KINDS]) + ", …" * (len(names) > MOST_KINDS)
    head = (
        f"Alike but for names and literals: {named}.\n\nA bug mended in one copy stays in the others. "
        "To do: keep one, give it what differs as parameters, and call it from the other places; "
        f"about {cluster.lines} lines go.\n\nWhere:"
    )
    lines = [
        "- " + " = ".join(f"{shorten(path)}:{shape.start_line} {shape.symbol}".strip() for path, shape in copy[:8])
        for copy in cluster.copies
    ]
    return listing(head, lines)


def fit(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
