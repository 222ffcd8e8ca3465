"""The read model in PostgreSQL. Whoever changes a repository holds its row, taken in sorted order."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

from pydantic import TypeAdapter

from libs.db.database import Connection, Database
from libs.events.analyzer import FileAnalysis, FileAnalyzed, Finding, Shape
from libs.events.catalog import decode
from libs.events.differ import FileFact, ScanStarted
from libs.events.envelope import Fact
from libs.events.ledger import ScanCompleted
from libs.events.reviewer import FindingsChanged, ReviewCompleted, Task, TaskChanged, TaskCreated, TaskState
from libs.questions.reviewer import ListFindings, StandingFinding
from services.reviewer.domain.changes import KnownTask, Update
from services.reviewer.domain.drafts import Planned
from services.reviewer.domain.lifecycle import Change, Kind, Life, Outcome, Place, outcomes_of, replay
from services.reviewer.domain.snapshot import SEVERITY_RANK, Problem, Snapshot, SourceFile, snapshot
from services.reviewer.ports import Heard, ReviewState

ADD_REPOSITORIES = "INSERT INTO repositories SELECT unnest($1::text[]) ON CONFLICT DO NOTHING"
HOLD_REPOSITORIES = "SELECT FROM repositories WHERE repository = ANY($1) ORDER BY repository FOR UPDATE"

ADD_OUTCOMES = """
INSERT INTO outcomes (repository, key, scan, kind, source, fingerprints)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::smallint[], $5::text[], $6::text[])
ON CONFLICT DO NOTHING
RETURNING repository, key, scan, kind
"""
COUNT_OUTCOMES = """
INSERT INTO scans (scan, repository, analysed, passed)
SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::int[])
ON CONFLICT (scan, repository)
DO UPDATE SET analysed = scans.analysed + excluded.analysed, passed = scans.passed + excluded.passed
"""
NEWEST_OUTCOMES = """
SELECT repository, key, scan, kind FROM files JOIN unnest($1::text[], $2::text[]) AS wanted(repository, key)
USING (repository, key)
"""
HISTORIES = """
WITH RECURSIVE linked(repository, key) AS (
    SELECT r COLLATE "C", k COLLATE "C" FROM unnest($1::text[], $2::text[]) AS late(r, k)
    UNION
    SELECT o.repository, CASE WHEN o.key = linked.key THEN o.source ELSE o.key END
    FROM linked JOIN outcomes AS o
        ON o.repository = linked.repository AND o.source <> '' AND (o.key = linked.key OR o.source = linked.key)
)
SELECT repository, key, scan, kind, source, fingerprints FROM outcomes JOIN linked USING (repository, key)
"""
LIVES = """
SELECT repository, key, fingerprint, first_scan, last_scan, resolved_scan, state
FROM findings JOIN unnest($1::text[], $2::text[]) AS wanted(repository, key) USING (repository, key)
"""
PUT_FILES = """
INSERT INTO files (repository, key, scan, kind, path, language, engine, lines, complexity, findings_cut,
    imports, shapes)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::smallint[], $5::text[], $6::text[], $7::text[], $8::int[],
    $9::smallint[], $10::int[], $11::text[], $12::text[])
ON CONFLICT (repository, key) DO UPDATE SET
    scan = excluded.scan, kind = excluded.kind, path = excluded.path, language = excluded.language,
    engine = excluded.engine, lines = excluded.lines, complexity = excluded.complexity,
    findings_cut = excluded.findings_cut, imports = excluded.imports, shapes = excluded.shapes
WHERE (excluded.scan, excluded.kind) > (files.scan, files.kind)
"""
PUT_FINDINGS = """
INSERT INTO findings AS known (repository, key, fingerprint, first_scan, last_scan, resolved_scan, state, severity,
    category, line, path, body)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
    $8::smallint[], $9::text[], $10::int[], $11::text[], $12::text[])
ON CONFLICT (repository, key, fingerprint) DO UPDATE SET
    first_scan = excluded.first_scan, last_scan = excluded.last_scan,
    resolved_scan = excluded.resolved_scan, state = excluded.state,
    severity = CASE WHEN excluded.resolved_scan IS NULL THEN COALESCE(excluded.severity, known.severity) END,
    category = CASE WHEN excluded.resolved_scan IS NULL THEN COALESCE(excluded.category, known.category) END,
    line = CASE WHEN excluded.resolved_scan IS NULL THEN COALESCE(excluded.line, known.line) END,
    path = CASE WHEN excluded.resolved_scan IS NULL THEN COALESCE(excluded.path, known.path) END,
    body = CASE WHEN excluded.resolved_scan IS NULL THEN COALESCE(excluded.body, known.body) END
"""
ADD_CHANGES = """
INSERT INTO changes (repository, scan, key, path, opened, resolved, reopened)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
ON CONFLICT DO NOTHING
"""
CHANGES = """
SELECT repository, scan, key, path, opened, resolved, reopened
FROM changes JOIN unnest($1::text[], $2::text[], $3::text[]) AS wanted(repository, scan, key)
USING (repository, scan, key) ORDER BY repository, scan, key
"""

NOTE_SCAN = "INSERT INTO scans (scan, repository) VALUES ($1, $2) ON CONFLICT DO NOTHING"
HEARD = "SELECT analysed, passed FROM scans WHERE scan = $1 AND repository = $2"
KEEP_REVIEW = """
INSERT INTO scans (scan, repository, completed, review) VALUES ($1, $2, $3, $4)
ON CONFLICT (scan, repository) DO UPDATE SET completed = excluded.completed, review = excluded.review
"""
REVIEW = "SELECT repository, completed, review FROM scans WHERE scan = $1"
STANDING_FILES = """
SELECT key, path, language, lines, complexity, findings_cut, imports, shapes FROM files
WHERE repository = $1 AND kind = $2
"""
STANDING_FINDINGS = "SELECT key, path, body FROM findings WHERE repository = $1 AND severity IS NOT NULL"
TOLD = "SELECT type, payload FROM told WHERE repository = $1 AND scan = $2 ORDER BY ordinal"
TOLD_OF_TASKS = """
SELECT task, count(*) FILTER (WHERE type = $3) AS changes, max(ordinal) AS last FROM told
WHERE repository = $1 AND scan = $2 GROUP BY task
"""
ADD_TOLD = """
INSERT INTO told (repository, scan, ordinal, task, type, payload)
SELECT $1, $2, * FROM unnest($3::int[], $4::text[], $5::text[], $6::text[])
"""
TASKS = "SELECT position, superseded, members, body FROM tasks WHERE repository = $1"
PUT_TASKS = """
INSERT INTO tasks (repository, id, position, state, superseded, members, body)
SELECT $1, * FROM unnest($2::text[], $3::int[], $4::text[], $5::boolean[], $6::text[], $7::text[])
ON CONFLICT (repository, id) DO UPDATE SET position = excluded.position, state = excluded.state,
    superseded = excluded.superseded, members = excluded.members, body = excluded.body
"""
LIST_TASKS = """
SELECT position, body FROM tasks
WHERE repository = $1 AND state = ANY($2) AND ($3::int IS NULL OR (position, id) > ($3, $4))
ORDER BY position, id LIMIT $5
"""
COUNT_TASKS = "SELECT count(*) FROM tasks WHERE repository = $1 AND state = ANY($2)"

_MATCHING = """
FROM findings JOIN files USING (repository, key)
WHERE repository = $1 AND severity IS NOT NULL AND (cardinality($2::smallint[]) = 0 OR severity = ANY($2))
    AND (cardinality($3::text[]) = 0 OR category = ANY($3)) AND starts_with(findings.path, $4)
"""
LIST_FINDINGS = f"""
SELECT key, fingerprint, findings.path, engine, first_scan, last_scan, state, body {_MATCHING}
    AND ($5::smallint IS NULL OR (severity, "left"(findings.path, 200), line, key, fingerprint) > ($5, $6, $7, $8, $9))
ORDER BY severity, "left"(findings.path, 200), line, key, fingerprint LIMIT $10
"""
COUNT_FINDINGS = f"SELECT count(*) {_MATCHING}"

_SHAPES = TypeAdapter(tuple[Shape, ...])
Row = tuple[object, ...]


class PostgresReadModel:
    """``ports.ReadModel``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, facts: Sequence[FileFact]) -> list[FindingsChanged]:
        outcomes = {(each.place, each.order): each for fact in facts for each in outcomes_of(fact)}
        async with self._database.transaction() as connection:
            await _hold(connection, {fact.repository_id for fact in facts})
            fresh = await _add_outcomes(connection, outcomes)
            if fresh:
                await _advance(connection, fresh, facts)
            return await _changes_of(connection, facts)

    async def note(self, started: ScanStarted) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(NOTE_SCAN, started.scan_id, started.repository_id)

    @contextlib.asynccontextmanager
    async def repository(self, repository_id: str) -> AsyncIterator[PostgresStanding]:
        async with self._database.transaction() as connection:
            await _hold(connection, {repository_id})
            yield PostgresStanding(connection, repository_id)

    async def review(self, scan_id: str) -> ReviewState | None:
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(REVIEW, scan_id)
        if row is None:
            return None
        return ReviewState(
            repository_id=row["repository"],
            completed=row["completed"] and ScanCompleted.model_validate_json(row["completed"]),
            review=row["review"] and ReviewCompleted.model_validate_json(row["review"]),
        )

    async def list_tasks(
        self, repository_id: str, states: Sequence[TaskState], *, after: tuple[int, str] | None, limit: int
    ) -> tuple[list[tuple[int, Task]], int]:
        async with self._database.transaction() as connection:
            total = await connection.fetchval(COUNT_TASKS, repository_id, list(states))
            rows = await connection.fetch(LIST_TASKS, repository_id, list(states), *(after or (None, None)), limit)
        return [(row["position"], Task.model_validate_json(row["body"])) for row in rows], total

    async def list_findings(
        self, question: ListFindings, *, after: tuple[int, str, int, str, str] | None
    ) -> tuple[list[StandingFinding], int]:
        filters = (
            question.repository_id,
            [SEVERITY_RANK[severity] for severity in question.severities],
            list(question.categories),
            question.path_prefix,
        )
        async with self._database.transaction() as connection:
            total = await connection.fetchval(COUNT_FINDINGS, *filters)
            rows = await connection.fetch(LIST_FINDINGS, *filters, *(after or (None,) * 5), question.limit)
        return [
            StandingFinding(
                id=f"{row['key']}-{row['fingerprint']}",
                key=row["key"],
                path=row["path"],
                finding=Finding.model_validate_json(row["body"]),
                engine=row["engine"],
                first_scan_id=row["first_scan"],
                last_scan_id=row["last_scan"],
                state=row["state"],
            )
            for row in rows
        ], total


class PostgresStanding:
    """``ports.Standing``: lives as long as the transaction that holds the repository."""

    def __init__(self, connection: Connection, repository_id: str) -> None:
        self._connection = connection
        self._repository_id = repository_id

    async def heard(self, scan_id: str) -> Heard:
        row = await self._connection.fetchrow(HEARD, scan_id, self._repository_id)
        return Heard() if row is None else Heard(analysed=row["analysed"], passed=row["passed"])

    async def told(self, scan_id: str) -> list[Fact]:
        rows = await self._connection.fetch(TOLD, self._repository_id, scan_id)
        return [decode(row["type"], row["payload"].encode()) for row in rows]

    async def snapshot(self) -> Snapshot:
        files = [
            SourceFile(
                key=row["key"],
                path=row["path"],
                language=row["language"],
                lines=row["lines"],
                complexity=row["complexity"],
                findings_cut=row["findings_cut"],
                imports=tuple(row["imports"].split("\n")) if row["imports"] else (),
                shapes=_SHAPES.validate_json(row["shapes"]) if row["shapes"] else (),
            )
            async for row in self._connection.cursor(
                STANDING_FILES, self._repository_id, Kind.ANALYSED.value, prefetch=1000
            )
        ]
        same: dict[str, str] = {}
        problems = [
            _problem(row["key"], row["path"], Finding.model_validate_json(row["body"]), same)
            async for row in self._connection.cursor(STANDING_FINDINGS, self._repository_id, prefetch=1000)
        ]
        return snapshot(self._repository_id, files, problems)

    async def tasks(self) -> dict[str, KnownTask]:
        known = {}
        for row in await self._connection.fetch(TASKS, self._repository_id):
            task = Task.model_validate_json(row["body"])
            planned = Planned(task, tuple(row["members"].split()))
            known[task.id] = KnownTask(planned=planned, position=row["position"], superseded=row["superseded"])
        return known

    async def keep(self, completed: ScanCompleted, updates: Sequence[Update], review: ReviewCompleted) -> list[Fact]:
        scan = completed.scan_id
        await self._connection.execute(PUT_TASKS, self._repository_id, *_columns(map(_task_row, updates), 6))
        facts = await self._tell(scan, [update for update in updates if update.reason], review)
        await self._connection.execute(
            KEEP_REVIEW, scan, self._repository_id, completed.model_dump_json(), review.model_dump_json()
        )
        return facts

    async def _tell(self, scan: str, updates: Sequence[Update], review: ReviewCompleted) -> list[Fact]:
        """A review that is made again tells of changes under further numbers; that of the project is told once."""
        rows = await self._connection.fetch(TOLD_OF_TASKS, self._repository_id, scan, TaskChanged.type_name)
        last = max((row["last"] for row in rows), default=0)
        changes = {row["task"]: row["changes"] for row in rows}
        facts: list[Fact] = []
        for update in updates:
            task = update.known.planned.task
            place = {"repository_id": self._repository_id, "scan_id": scan, "task": task}
            if update.created:
                facts.append(TaskCreated(**place))
            else:
                facts.append(TaskChanged(**place, number=changes.get(task.id, 0) + 1, reason=update.reason[:300]))
        facts += [review] if not rows else []
        told = [(last + number, *_told_row(fact)) for number, fact in enumerate(facts, start=1)]
        await self._connection.execute(ADD_TOLD, self._repository_id, scan, *_columns(told, 4))
        return facts


async def _hold(connection: Connection, repositories: Iterable[str]) -> None:
    names = sorted(repositories)
    await connection.execute(ADD_REPOSITORIES, names)
    await connection.execute(HOLD_REPOSITORIES, names)


async def _add_outcomes(
    connection: Connection, outcomes: Mapping[tuple[Place, tuple[str, Kind]], Outcome]
) -> list[Outcome]:
    """The outcomes that were not known before; they are counted for their scans."""
    rows = await connection.fetch(ADD_OUTCOMES, *_columns(map(_outcome_row, outcomes.values()), 6))
    fresh = [outcomes[(row["repository"], row["key"]), (row["scan"], Kind(row["kind"]))] for row in rows]
    counts: dict[tuple[str, str], list[int]] = {}
    for outcome in fresh:
        count = counts.setdefault((outcome.scan, outcome.place[0]), [0, 0])
        count[0] += outcome.kind is Kind.ANALYSED
        count[1] += outcome.kind in (Kind.REMOVED, Kind.SKIPPED)
    await connection.execute(COUNT_OUTCOMES, *_columns(((*scan, *count) for scan, count in sorted(counts.items())), 4))
    return fresh


async def _advance(connection: Connection, fresh: Sequence[Outcome], facts: Sequence[FileFact]) -> None:
    """Take the lives of findings on by the new outcomes; where one comes late, replay the whole history instead."""
    places = {outcome.place for outcome in fresh} | {place for each in fresh if (place := each.source_place)}
    newest = await _newest(connection, places)
    late = {each.place for each in fresh if _is_late(each, newest)}
    histories = await _histories(connection, late) if late else []
    rewritten = {outcome.place for outcome in histories}
    known = await _lives(connection, (newest.keys() & places) - rewritten)
    lives, changes = replay([each for each in fresh if each.place not in rewritten], known)
    relived, rechanged = replay(histories, {})
    told = {(each.place, each.scan) for each in fresh}
    contents = _newest_contents(fresh, facts, newest)
    await _put_findings(connection, {**lives, **relived}, known, contents)
    await _put_files(connection, fresh, contents)
    await _add_changes(
        connection, {each: change for each, change in {**changes, **rechanged}.items() if each in told}, facts
    )


def _is_late(outcome: Outcome, newest: Mapping[Place, tuple[str, Kind]]) -> bool:
    """Something newer is known of the file, or of the one it was renamed from."""
    if outcome.place in newest and newest[outcome.place] > outcome.order:
        return True
    source = outcome.source_place
    return source is not None and source in newest and newest[source] > (outcome.scan, Kind.REMOVED)


async def _newest(connection: Connection, places: Iterable[Place]) -> dict[Place, tuple[str, Kind]]:
    rows = await connection.fetch(NEWEST_OUTCOMES, *_columns(sorted(places), 2))
    return {(row["repository"], row["key"]): (row["scan"], Kind(row["kind"])) for row in rows}


async def _histories(connection: Connection, places: Iterable[Place]) -> list[Outcome]:
    return [
        Outcome(
            place=(row["repository"], row["key"]),
            scan=row["scan"],
            kind=Kind(row["kind"]),
            fingerprints=tuple(row["fingerprints"].split()),
            source=row["source"],
        )
        for row in await connection.fetch(HISTORIES, *_columns(sorted(places), 2))
    ]


async def _lives(connection: Connection, places: Iterable[Place]) -> dict[Place, dict[str, Life]]:
    known: dict[Place, dict[str, Life]] = {}
    wanted = sorted(places)
    for row in await connection.fetch(LIVES, *_columns(wanted, 2)) if wanted else ():
        life = Life(row["first_scan"], row["last_scan"], row["resolved_scan"], row["state"])
        known.setdefault((row["repository"], row["key"]), {})[row["fingerprint"]] = life
    return known


def _newest_contents(
    fresh: Sequence[Outcome], facts: Sequence[FileFact], newest: Mapping[Place, tuple[str, Kind]]
) -> dict[Place, FileAnalyzed]:
    """The analyses in this batch that are the newest word on their files."""
    last: dict[Place, tuple[str, Kind]] = {}
    for outcome in fresh:
        last[outcome.place] = max(outcome.order, last.get(outcome.place, outcome.order))
    return {
        place: fact
        for fact in facts
        if isinstance(fact, FileAnalyzed)
        and last.get(place := (fact.repository_id, fact.key)) == (fact.scan_id, Kind.ANALYSED)
        and newest.get(place, ("", Kind.MOVED)) < (fact.scan_id, Kind.ANALYSED)
    }


async def _put_findings(
    connection: Connection,
    lives: Mapping[Place, Mapping[str, Life]],
    known: Mapping[Place, Mapping[str, Life]],
    contents: Mapping[Place, FileAnalyzed],
) -> None:
    rows: list[Row] = []
    for place, findings in lives.items():
        fact, before = contents.get(place), known.get(place, {})
        bodies = {each.fingerprint: each for each in reversed(fact.analysis.findings)} if fact else {}
        for fingerprint, life in findings.items():
            body = bodies.get(fingerprint)
            if body is not None or before.get(fingerprint) != life:
                rows.append((*place, fingerprint, *_life_row(life), *_content_row(fact, body)))
    await connection.execute(PUT_FINDINGS, *_columns(rows, 12))


def _life_row(life: Life) -> Row:
    return (life.first_scan, life.last_scan, life.resolved_scan, life.state)


def _content_row(fact: FileAnalyzed | None, finding: Finding | None) -> Row:
    if fact is None or finding is None:
        return (None,) * 5
    body = _storable(finding.__pydantic_serializer__.to_json(finding, exclude_defaults=True).decode())
    return (SEVERITY_RANK[finding.severity], finding.category.value, finding.start_line, _storable(fact.path), body)


async def _put_files(connection: Connection, fresh: Sequence[Outcome], contents: Mapping[Place, FileAnalyzed]) -> None:
    last: dict[Place, Outcome] = {}
    for outcome in sorted(fresh, key=lambda outcome: outcome.order):
        last[outcome.place] = outcome
    rows = [_file_row(outcome, contents.get(place)) for place, outcome in last.items()]
    await connection.execute(PUT_FILES, *_columns(rows, 12))


def _file_row(outcome: Outcome, fact: FileAnalyzed | None) -> Row:
    if fact is None:
        return (*outcome.place, outcome.scan, outcome.kind.value, "", "", "", 0, 0, 0, "", "")
    analysis: FileAnalysis = fact.analysis
    return (
        *outcome.place,
        outcome.scan,
        outcome.kind.value,
        _storable(fact.path),
        _storable(analysis.language),
        _storable(analysis.engine),
        min(analysis.lines, 2**31 - 1),
        analysis.complexity,
        min(analysis.findings_cut, 2**31 - 1),
        _storable("\n".join(name.replace("\n", " ") for name in analysis.imports)),
        _storable(_SHAPES.dump_json(tuple(analysis.shapes)).decode()) if analysis.shapes else "",
    )


async def _add_changes(
    connection: Connection, changes: Mapping[tuple[Place, str], Change], facts: Sequence[FileFact]
) -> None:
    paths = {((fact.repository_id, fact.key), fact.scan_id): fact.path for fact in facts}
    rows = [
        (
            place[0],
            scan,
            place[1],
            _storable(paths[place, scan]),
            " ".join(change.opened),
            " ".join(change.resolved),
            " ".join(change.reopened),
        )
        for (place, scan), change in changes.items()
        if (place, scan) in paths
    ]
    await connection.execute(ADD_CHANGES, *_columns(rows, 7))


async def _changes_of(connection: Connection, facts: Sequence[FileFact]) -> list[FindingsChanged]:
    wanted = sorted({(fact.repository_id, fact.scan_id, fact.key) for fact in facts})
    return [
        FindingsChanged(
            repository_id=row["repository"],
            scan_id=row["scan"],
            key=row["key"],
            path=row["path"],
            opened=row["opened"].split(),
            resolved=row["resolved"].split(),
            reopened=row["reopened"].split(),
        )
        for row in await connection.fetch(CHANGES, *_columns(wanted, 3))
    ]


def _outcome_row(outcome: Outcome) -> Row:
    fingerprints = " ".join(outcome.fingerprints)
    return (*outcome.place, outcome.scan, outcome.kind.value, outcome.source, fingerprints)


def _task_row(update: Update) -> Row:
    known, task = update.known, update.known.planned.task
    body = _storable(task.model_dump_json())
    return (task.id, known.position, task.state, known.superseded, " ".join(known.planned.members), body)


def _told_row(fact: Fact) -> Row:
    task = fact.task.id if isinstance(fact, TaskCreated | TaskChanged) else ""
    return (task, fact.type_name, _storable(fact.model_dump_json()))


def _problem(key: str, path: str, finding: Finding, same: dict[str, str]) -> Problem:
    """Rules and their texts recur in thousands of findings: ``same`` keeps one of each in memory."""

    def one(text: str) -> str:
        return same.setdefault(text, text)

    return Problem(
        key=one(key),
        path=one(path),
        fingerprint=finding.fingerprint,
        rule=one(finding.rule),
        category=finding.category,
        severity=finding.severity,
        title=one(finding.title),
        description=one(finding.description),
        suggestion=one(finding.suggestion),
        line=finding.start_line,
        symbol=one(finding.symbol),
        confidence=finding.confidence,
    )


def _storable(text: str) -> str:
    """PostgreSQL's text holds every character but NUL, which JSON writes as an escape."""
    return text.replace("\0", "")


def _columns(rows: Iterable[Sequence[object]], width: int) -> list[list[object]]:
    columns = [list(column) for column in zip(*rows, strict=True)]
    return columns or [[] for _ in range(width)]
