"""Services, NATS and PostgreSQL killed one by one under a scan that costs money: counted once, charged once."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import asyncpg
import pytest

from libs.bus.api import Bus, DeadLetter, Delivery, NoAnswer, Refused
from libs.bus.jetstream import connect
from libs.events.envelope import Model
from libs.events.reviewer import Task
from libs.questions.differ import RegisterRepository, RequestScan
from libs.questions.envelope import Question
from libs.questions.ledger import CostReport, GetCost, GetProgress, Progress, ResumeScan
from libs.questions.reviewer import GetReview, ListTasks
from tests.chaos.fleet import PARALLEL, Fleet, running_fleet
from tests.chaos.processes import Sightings
from tests.chaos.recount import Recount, check_no_fact_twice, check_outcomes, read_stream, recount

pytestmark = pytest.mark.chaos
SHORT = 8
KILLS_A_FLEET = 15
FIRST_BUDGET = 300_000_000
RAISE = 150_000_000
PATIENCE = 100.0
LOOK_AGAIN = 0.05
TEMPORARY = ("not_yet", "unknown_scan", "busy", "unavailable", "error")

Reply = TypeVar("Reply", bound=Model)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One booked entry of the ledger."""

    scan_id: str
    key: str
    source: str
    ticks: int


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What there is to look at when a fleet has done its scans."""

    facts: list[Delivery]
    dead: list[DeadLetter]
    progress: list[Progress]
    cost: CostReport
    tasks: list[Task]
    bill: dict[str, tuple[str, int]]
    entries: list[Entry]
    counted: dict[str, Counter[str]]
    kills: Counter[str]

    @property
    def scans(self) -> list[Recount]:
        return list(recount(self.facts).values())


async def test_money_and_outcomes_are_counted_once_whatever_dies(
    repository: Path,
    tmp_path: Path,
    sightings: Sightings,
    chaos_seed: int,
    request: pytest.FixtureRequest,
) -> None:
    wanted = request.config.getoption("--chaos-kills")
    left = SHORT if wanted is None else wanted - wanted // 2
    random = Random(chaos_seed)
    print(f"--chaos-seed {chaos_seed}")
    calm = await _run_fleet(repository, tmp_path / "calm", sightings, random, kills=0)
    _check(calm)
    kills, presumed, scans, began = Counter[str](), 0, 0, time.monotonic()
    while left > 0:
        outcome = await _run_fleet(
            repository, tmp_path / f"fleet-{scans}", sightings, random, kills=min(left, KILLS_A_FLEET)
        )
        _check(outcome)
        assert _comparable(outcome.tasks) == _comparable(calm.tasks)
        left -= outcome.kills.total()
        kills += outcome.kills
        presumed += sum(entry.source == "presumed" for entry in outcome.entries)
        scans += 1
    seconds = time.monotonic() - began
    print(f"{dict(kills)} in {scans} fleets of two scans, {presumed} presumed entries, {seconds:.0f} s")


async def _run_fleet(repository: Path, directory: Path, sightings: Sightings, random: Random, *, kills: int) -> Outcome:
    """A first scan that pays for everything, then a full one that finds everything paid for."""
    async with running_fleet(directory, sightings) as fleet, connect(fleet.nats_url, name="chaos") as bus:
        try:
            async with asyncio.timeout(PATIENCE):
                return await _two_scans(fleet, bus, repository, random, kills=kills)
        except TimeoutError:
            raise AssertionError(f"no end after {dict(fleet.kills)}\n{fleet.logs()}") from None


async def _two_scans(fleet: Fleet, bus: Bus, repository: Path, random: Random, *, kills: int) -> Outcome:
    registered = await _ask(bus, RegisterRepository(location=str(repository), engine="llm"))
    at_first = kills if kills <= SHORT else kills * 4 // 5
    first = await _tormented(fleet, bus, registered.id, random, kills=at_first, not_scan="")
    second = await _tormented(fleet, bus, registered.id, random, kills=kills, not_scan=first.scan_id)
    tasks = await _ask(bus, ListTasks(repository_id=registered.id, limit=500))
    await _wait_until_idle(bus)
    entries, counted = await _read_books(fleet.postgres_url)
    fleet.check_nobody_gave_up()
    return Outcome(
        facts=await read_stream(bus),
        dead=await bus.dead_letters(),
        progress=[await _ask(bus, GetProgress(scan_id=scan_id)) for scan_id in (first.scan_id, second.scan_id)],
        cost=await _ask(bus, GetCost(by="scan")),
        tasks=tasks.tasks,
        bill=_read_bill(fleet.bill),
        entries=entries,
        counted=counted,
        kills=fleet.kills,
    )


async def _tormented(
    fleet: Fleet, bus: Bus, repository_id: str, random: Random, *, kills: int, not_scan: str
) -> Progress:
    """A scan, with something killed now and then from its request to its review."""
    scan = asyncio.create_task(_scan(bus, repository_id, not_scan))
    try:
        await fleet.torment(random, kills, scan.done)
        return await scan
    finally:
        scan.cancel()


async def _scan(bus: Bus, repository_id: str, not_scan: str) -> Progress:
    wish = RequestScan(
        repository_id=repository_id, full=bool(not_scan), budget_ticks=FIRST_BUDGET, requested_by="chaos"
    )
    ticket = await _ask(bus, wish)
    while ticket.scan_id == not_scan:
        await asyncio.sleep(LOOK_AGAIN)
        ticket = await _ask(bus, wish)
    progress = await _see_through(bus, ticket.scan_id)
    await _ask(bus, GetReview(scan_id=ticket.scan_id))
    return progress


async def _see_through(bus: Bus, scan_id: str) -> Progress:
    """Watch the money all the way; a scan that has halted for want of it gets more."""
    budget = FIRST_BUDGET
    while True:
        progress = await _ask(bus, GetProgress(scan_id=scan_id))
        assert _committed(progress) <= (progress.budget_ticks or budget)
        if progress.state == "completed":
            return progress
        if progress.state == "halted":
            budget = (progress.budget_ticks or budget) + RAISE
            await _ask(bus, ResumeScan(scan_id=scan_id, budget_ticks=budget))
        await asyncio.sleep(LOOK_AGAIN)


def _committed(progress: Progress) -> int:
    return progress.settled_ticks + progress.presumed_ticks + progress.reserved_ticks


async def _ask(bus: Bus, question: Question[Reply]) -> Reply:
    """The answer, however often those who know it die meanwhile."""
    while True:
        try:
            return await bus.ask(question)
        except NoAnswer:
            pass
        except Refused as refusal:
            if refusal.code not in TEMPORARY:
                raise
        await asyncio.sleep(LOOK_AGAIN)


async def _wait_until_idle(bus: Bus) -> None:
    """Until the durable readers have handled every fact."""
    states = await bus.consumers()
    while any(state.waiting or state.in_hand for state in states):
        await asyncio.sleep(LOOK_AGAIN)
        states = await bus.consumers()


async def _read_books(url: str) -> tuple[list[Entry], dict[str, Counter[str]]]:
    connection = await asyncpg.connect(url)
    try:
        entries = await connection.fetch("SELECT scan_id, key, source, ticks FROM ledger.entries")
        files = await connection.fetch("SELECT scan_id, outcome FROM ledger.files")
    finally:
        await connection.close()
    counted: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in files:
        counted[row["scan_id"]][row["outcome"]] += 1
    return [Entry(**row) for row in entries], dict(counted)


def _read_bill(bill: Path) -> dict[str, tuple[str, int]]:
    """Content and price of every call, by its id."""
    lines = [json.loads(line) for line in bill.read_text().splitlines()]
    return {line["call"]: (line["content_hash"], line["ticks"]) for line in lines}


def _check(outcome: Outcome) -> None:
    first, second = outcome.scans
    check_no_fact_twice(outcome.facts)
    for scan in (first, second):
        check_outcomes(scan)
    assert outcome.dead == []
    assert second.cost_ticks == 0
    assert second.analysed == 0
    _check_charges(outcome, first)
    _check_calls(outcome, first)
    _check_read_model(outcome, [first, second])


def _check_charges(outcome: Outcome, scan: Recount) -> None:
    """What was reported is settled to the tick; what was billed and never reported is covered by presumed entries."""
    reported = {fact.analysis.summary: fact.cost.ticks for fact in scan.analyzed if not fact.reused}
    assert {call: outcome.bill[call][1] for call in reported} == reported
    settled = [entry.ticks for entry in outcome.entries if entry.source == "billed"]
    assert (len(settled), sum(settled)) == (len(reported), sum(reported.values()))
    content = {fact.key: fact.content_hash for fact in scan.analyzed}
    presumed: defaultdict[str, list[int]] = defaultdict(list)
    for entry in outcome.entries:
        if entry.source == "presumed":
            presumed[content[entry.key]].append(entry.ticks)
    lost: defaultdict[str, list[int]] = defaultdict(list)
    for call, (content_hash, ticks) in outcome.bill.items():
        if call not in reported:
            lost[content_hash].append(ticks)
    uncovered = {
        content_hash: (ticks, presumed[content_hash])
        for content_hash, ticks in lost.items()
        if len(ticks) > len(presumed[content_hash]) or sum(ticks) > sum(presumed[content_hash])
    }
    assert uncovered == {}
    assert {entry.source for entry in outcome.entries} <= {"billed", "presumed"}


def _check_calls(outcome: Outcome, scan: Recount) -> None:
    """A content is paid for once, but for calls whose answer a kill has hidden: no more than were in hand."""
    calls = Counter(content_hash for content_hash, _ in outcome.bill.values())
    again = calls.total() - len(calls)
    presumed = sum(entry.source == "presumed" for entry in outcome.entries)
    hidden = _most_hidden(outcome.kills)
    assert set(calls) == {fact.content_hash for fact in scan.analyzed}
    assert again <= hidden
    assert presumed <= hidden


def _most_hidden(kills: Counter[str]) -> int:
    """An analyzer that dies takes with it the answers to what it had in hand; nobody else's death hides any."""
    return PARALLEL * sum(times for name, times in kills.items() if name.startswith("analyzer"))


def _check_read_model(outcome: Outcome, scans: Sequence[Recount]) -> None:
    """The ledger says what comes of counting the stream again."""
    assert [progress.reserved_ticks for progress in outcome.progress] == [0, 0]
    assert [progress.settled_ticks for progress in outcome.progress] == [scan.cost_ticks for scan in scans]
    booked = sum(entry.ticks for entry in outcome.entries)
    assert sum(progress.settled_ticks + progress.presumed_ticks for progress in outcome.progress) == booked
    assert outcome.cost.total.ticks == booked
    for progress, scan in zip(outcome.progress, scans, strict=True):
        skipped = sum(progress.coverage.skipped.values())
        said = {"analysed": scan.analysed, "reused": scan.reused, "skipped": skipped}
        assert outcome.counted[progress.scan_id] == Counter(said)
        assert progress.coverage == scan.completed[0].coverage


def _comparable(tasks: Sequence[Task]) -> list[dict[str, Any]]:
    """Tasks in their order; ids are made of the repository's, which is new each time."""
    titles = {task.id: task.title for task in tasks}
    return [
        {**task.model_dump(exclude={"id"}), "depends_on": sorted(titles[other] for other in task.depends_on)}
        for task in tasks
    ]
