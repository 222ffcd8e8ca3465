"""What an owner is told of the whole: size, what is worst and where, patterns, and files where trouble gathers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import log2

from libs.events.analyzer import SEVERITY_ORDER, Severity
from libs.events.reviewer import Concern, HotSpot, Priority, Task
from services.reviewer.domain.priority import role_of
from services.reviewer.domain.snapshot import SEVERITY_RANK, Problem, Snapshot
from services.reviewer.domain.wording import common, fit, headline, shorten

MOST_CONCERNS = 12
MOST_EXAMPLES = 3
MOST_HOT_SPOTS = 10
LEAST_FILES, LEAST_SHARE = 5, 0.1
WEIGHT = {Severity.CRITICAL: 10.0, Severity.HIGH: 5.0, Severity.MEDIUM: 2.0, Severity.LOW: 0.5}


def counts(problems: Iterable[Problem]) -> dict[Severity, int]:
    counted = Counter(problem.severity for problem in problems)
    return {severity: counted[severity] for severity in SEVERITY_ORDER if counted[severity]}


def concerns(standing: Snapshot) -> list[Concern]:
    """Rules broken in many files: what to decide once instead of mending place by place."""
    by_rule: dict[str, list[Problem]] = defaultdict(list)
    for problem in standing.problems:
        by_rule[problem.rule].append(problem)
    least = max(LEAST_FILES, LEAST_SHARE * len(standing.files))
    found = []
    for rule, problems in sorted(by_rule.items()):
        files = Counter(problem.path for problem in problems)
        if len(files) >= least:
            found.append(_concern(rule, problems, files))
    found.sort(key=lambda concern: (SEVERITY_RANK[concern.severity], -concern.files, concern.rule))
    return found[:MOST_CONCERNS]


def _concern(rule: str, problems: Sequence[Problem], files: Counter[str]) -> Concern:
    severities = Counter(problem.severity for problem in problems)
    most = sorted(files, key=lambda path: (role_of(path) != "product", -files[path], path))
    return Concern(
        title=fit(f"{headline(problems)} in {len(files)} files", 300),
        description=fit(common(problem.suggestion or problem.description for problem in problems), 1000),
        category=problems[0].category,
        severity=min(severities, key=lambda severity: (-severities[severity], SEVERITY_RANK[severity])),
        rule=rule,
        findings=len(problems),
        files=len(files),
        examples=most[:MOST_EXAMPLES],
    )


def hot_spots(standing: Snapshot) -> list[HotSpot]:
    """Complexity times weighed findings, in code that users run."""
    weight: dict[str, float] = defaultdict(float)
    number: Counter[str] = Counter()
    for problem in standing.problems:
        weight[problem.key] += WEIGHT[problem.severity] * problem.confidence
        number[problem.key] += 1
    found = [
        HotSpot(
            path=file.path,
            complexity=file.complexity,
            findings=number[file.key] + file.findings_cut,
            score=round(file.complexity * log2(1 + weight[file.key]), 1),
        )
        for file in standing.files
        if number[file.key] > 1 and file.complexity and role_of(file.path) == "product"
    ]
    return sorted(found, key=lambda spot: (-spot.score, spot.path))[:MOST_HOT_SPOTS]


def summary(
    standing: Snapshot, tasks: Sequence[Task], spots: Sequence[HotSpot], unplanned: Mapping[str, int], *, partial: bool
) -> str:
    """A short paragraph or two in plain words."""
    sentences = [_size(standing), _findings(standing), _plan(tasks), *_worst(tasks), *_hot(spots)]
    if unplanned:
        left = ", ".join(f"{count} {reason}" for reason, count in sorted(unplanned.items()))
        sentences.append(f"Not planned: {left}.")
    cut = sum(file.findings_cut for file in standing.files)
    if cut:
        sentences.append(f"{_many(cut, 'further finding')} of the noisiest files {_were(cut)} left out.")
    if partial:
        sentences.append("Some listed files have no analysis from this scan, so the picture is not complete.")
    return fit(" ".join(sentence for sentence in sentences if sentence), 4000)


def _size(standing: Snapshot) -> str:
    if not standing.files:
        return "No file of this repository has an analysis."
    lines = Counter[str]()
    for file in standing.files:
        lines[file.language] += max(file.lines, 1)
    total = sum(lines.values())
    first = sorted(lines, key=lambda language: (-lines[language], language))[:3]
    shares = ", ".join(f"{language} {100 * lines[language] / total:.0f} %" for language in first)
    return f"{_many(len(standing.files), 'file')} with {total:,} lines ({shares})."


def _findings(standing: Snapshot) -> str:
    counted = counts(standing.problems)
    if not counted:
        return "Nothing was found that needs work." if standing.files else ""
    parts = ", ".join(f"{count:,} {severity}" for severity, count in counted.items())
    product = sum(role_of(problem.path) == "product" for problem in standing.problems)
    share = f"; {100 * product / len(standing.problems):.0f} % of them in product code" if product else ""
    return f"{_many(len(standing.problems), 'finding')} stand{'s' * (len(standing.problems) == 1)}: {parts}{share}."


def _worst(tasks: Sequence[Task]) -> list[str]:
    if not tasks:
        return []
    urgent = [task for task in tasks if task.priority in (Priority.CRITICAL, Priority.HIGH)]
    return [f"The first thing to do: {urgent[0].title}." if urgent else "Nothing is urgent."]


def _plan(tasks: Sequence[Task]) -> str:
    if not tasks:
        return ""
    hours = sum(task.hours for task in tasks)
    counted = Counter(task.priority for task in tasks)
    parts = ", ".join(f"{counted[priority]} {priority}" for priority in Priority if counted[priority])
    return f"The plan has {_many(len(tasks), 'task')} of about {_many(max(1, round(hours)), 'hour')} in all ({parts})."


def _hot(spots: Sequence[HotSpot]) -> list[str]:
    if not spots:
        return []
    named = ", ".join(
        f"{shorten(spot.path)} (complexity {spot.complexity}, {_many(spot.findings, 'finding')})" for spot in spots[:3]
    )
    return [f"Trouble gathers in {named}."]


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
