"""How fast the reviewer takes files in and plans: ``python -m benchmarks.reviewer [files] [findings]``."""

from __future__ import annotations

import asyncio
import json
import random
import resource
import sys
import time

from libs.db.database import open_database
from libs.db.migrations import migrate
from libs.events.analyzer import Category, FileAnalysis, FileAnalyzed, Finding, Severity
from libs.events.subjects import file_key
from services.reviewer.domain.plan import make_plan
from services.reviewer.domain.snapshot import Problem, SourceFile, snapshot
from services.reviewer.store import PostgresReadModel
from tests.servers.postgres import fresh_database, running_postgres

BATCH = 250
RULES = 80


def a_path(number: int) -> str:
    return f"src/area{number % 40}/part{number % 400}/module_{number}.py"


def a_finding(chance: random.Random, number: int) -> Finding:
    rule, line = chance.randrange(RULES), chance.randrange(1, 900)
    return Finding(
        rule=f"ruff/r{rule}",
        category=list(Category)[rule % 7],
        severity=chance.choices(list(Severity), (1, 6, 40, 53))[0],
        title=f"Rule {rule} is broken",
        description=f"What rule {rule} forbids makes the code hard to trust, and this place does it. " * 2,
        suggestion=f"Do what rule {rule} asks for.",
        start_line=line,
        end_line=line + 2,
        symbol=f"Class{number % 7}.method_{number % 13}",
        fingerprint=f"{number:016x}",
    )


def facts(count: int, each: int, scan: str) -> list[FileAnalyzed]:
    chance = random.Random(7)
    return [
        FileAnalyzed(
            repository_id="bench",
            scan_id=scan,
            key=file_key(a_path(number).encode()),
            path=a_path(number),
            content_hash="c" * 16,
            analysis=FileAnalysis(
                language="python",
                engine="static",
                engine_version="1",
                outcome="complete",
                lines=200,
                complexity=number % 100,
                findings=[a_finding(chance, number * 100 + index) for index in range(each)],
                imports=["os", "sys", f"area{number % 40}.part{number % 400}.module_{number // 2}"],
            ),
        )
        for number in range(count)
    ]


async def take_in(count: int) -> dict[str, float]:
    """Files a second into the read model, for new files and again for files that are known."""
    rates = {}
    with running_postgres() as server:
        async with (
            fresh_database(server.url, "reviewer") as made,
            open_database(made.url, "reviewer", patience=30) as database,
        ):
            await migrate(database, "services.reviewer")
            model = PostgresReadModel(database)
            for name, scan in (("new", "s1"), ("known", "s2")):
                heard = facts(count, 3, scan)
                started, cpu = time.perf_counter(), time.process_time()
                for start in range(0, count, BATCH):
                    await model.record(heard[start : start + BATCH])
                rates[f"{name} files/s"] = round(count / (time.perf_counter() - started))
                rates[f"{name} files, own CPU µs each"] = round(1e6 * (time.process_time() - cpu) / count)
            started = time.perf_counter()
            async with model.repository("bench") as standing:
                await standing.snapshot()
            rates["snapshot s"] = round(time.perf_counter() - started, 2)
    return rates


def plan(count: int) -> dict[str, float]:
    """Seconds and memory to plan so many findings in a third as many files."""
    chance = random.Random(7)
    paths = [a_path(number) for number in range(count // 3)]
    keys = [file_key(path.encode()) for path in paths]
    files = [
        SourceFile(
            key=key,
            path=path,
            language="python",
            lines=200,
            complexity=number % 100,
            imports=("os", "sys", f"area{number % 40}.part{number % 400}.module_{number // 2}"),
        )
        for number, (key, path) in enumerate(zip(keys, paths, strict=True))
    ]
    problems = []
    for number in range(count):
        found, place = a_finding(chance, number), chance.randrange(len(paths))
        problems.append(
            Problem(
                key=keys[place],
                path=paths[place],
                fingerprint=found.fingerprint,
                rule=found.rule,
                category=found.category,
                severity=found.severity,
                title=found.title,
                description=found.description,
                suggestion=found.suggestion,
                line=found.start_line,
                symbol=found.symbol,
            )
        )
    started = time.perf_counter()
    made = make_plan(snapshot("bench", files, problems))
    seconds = time.perf_counter() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"plan s": round(seconds, 2), "peak MB": round(memory), "tasks": len(made.tasks)}


def main() -> None:
    files, findings = (int(word) for word in (*sys.argv[1:], "10000", "100000")[:2])
    measured = {**asyncio.run(take_in(files)), **plan(findings)}
    for name, value in measured.items():
        print(f"{name:32} {value:>10}", file=sys.stderr)
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
