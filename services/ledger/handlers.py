"""What happens for a batch of facts, a reservation, and a person's word on a scan.

Always in this order: lock the scans, work it out, keep it with the facts that follow, let go, publish what is
kept. A handler that died before it published is run again (or another one is, on the same scan) and finds
the facts kept and not told.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

import structlog

from libs.bus.api import Bus, Delivery, Refused, Retry
from libs.events.differ import ScanFailed, ScanRequested, ScanStarted
from libs.events.envelope import Fact
from libs.questions.ledger import (
    AccountedFiles,
    CancelScan,
    CostReport,
    FinishScan,
    GetCost,
    GetProgress,
    ListAccounted,
    ListScans,
    PauseScan,
    Progress,
    Reservation,
    Reserve,
    ResumeScan,
    Scans,
)
from services.ledger.domain import scans as scan_rules
from services.ledger.domain.money import (
    SetAside,
    Settlement,
    again,
    book,
    decide,
    merge,
    movements,
    set_budget,
    settle,
)
from services.ledger.domain.outcomes import FileOutcome, count, outcome_of, report_of
from services.ledger.domain.scans import Change, Scan, progress_of, state_of
from services.ledger.ports import Books, Page

log = structlog.get_logger(__name__)
Asked = TypeVar("Asked")
Answer = TypeVar("Answer")
Clock = Callable[[], datetime]
PATIENCE = 20
"""How often a question is tried again while the database is contended, before the asker is told."""


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What every handler works with."""

    books: Books
    bus: Bus
    clock: Clock = utc_now


async def account_facts(desk: Desk, deliveries: Sequence[Delivery]) -> None:
    """Count and book what a batch of facts says, each exactly once; tell what follows."""
    facts = [delivery.fact for delivery in deliveries]
    repositories = {fact.scan_id: fact.repository_id for fact in facts}
    at = desk.clock()
    async with desk.books.open_page(repositories, begin=repositories) as page:
        scans = _hear_scan_facts(page.scans, facts)
        settlement = await _settle_reports(page, facts, scans, at)
        kept = await page.keep(await _count_outcomes(page, facts, scans, settlement, at))
    await tell(desk, kept)


def _hear_scan_facts(scans: Mapping[str, Scan], facts: Iterable[Fact]) -> dict[str, Scan]:
    heard = dict(scans)
    for fact in facts:
        if isinstance(fact, ScanRequested):
            heard[fact.scan_id] = scan_rules.hear_request(heard[fact.scan_id], fact)
        elif isinstance(fact, ScanStarted):
            heard[fact.scan_id] = scan_rules.hear_start(heard[fact.scan_id], fact)
        elif isinstance(fact, ScanFailed):
            heard[fact.scan_id] = scan_rules.hear_failure(heard[fact.scan_id], fact)
    return heard


async def _settle_reports(page: Page, facts: Iterable[Fact], scans: Mapping[str, Scan], at: datetime) -> Settlement:
    """Book what was spent and end the reservations it was spent from; returns only what was not booked before."""
    reports = [report for fact in facts if (report := report_of(fact))]
    reserving = {report.file for report in reports if scans[report.file[0]].reserved_ticks}
    open_now = await page.set_asides(reserving) if reserving else {}
    settlements = [
        settle(report, open_now.pop(report.file, ()), today=at.date())
        for report in reports
        if report.leaves_entry or report.file in open_now
    ]
    if not settlements:
        return Settlement()
    whole = merge(settlements)
    whole = replace(whole, entries=await page.book(whole.entries, at=at))
    await page.close(settled=whole.settled, presumed=whole.presumed)
    await page.move(movements(whole))
    return whole


async def _count_outcomes(
    page: Page, facts: Iterable[Fact], scans: Mapping[str, Scan], settlement: Settlement, at: datetime
) -> list[Change]:
    """Number the outcomes of files that have none, scan by scan, and see which scans are complete by that."""
    heard = {outcome.file: outcome for fact in reversed(list(facts)) if (outcome := outcome_of(fact))}
    known = await page.counted(heard) if heard else set()
    fresh: dict[str, list[FileOutcome]] = {scan_id: [] for scan_id in scans}
    for file, outcome in reversed(heard.items()):
        if file not in known:
            fresh[file[0]].append(outcome)
    changes, rows = [], []
    for scan in scans.values():
        counted, files = count(scan, fresh[scan.scan_id], settlement.ticks_by_file)
        rows += files
        changes.append(scan_rules.complete_if_counted(book(counted, settlement), at=at))
    if rows:
        await page.count(rows, at=at)
    return changes


async def tell(desk: Desk, scans: Iterable[Scan]) -> None:
    """Publish what is kept of these scans and may not be told, and shout how far they are."""
    scans = list(scans)
    if behind := [scan.scan_id for scan in scans if scan.told < scan.kept]:
        await tell_untold(desk, behind)
    for scan in scans:
        message = {"accounted": scan.accounted, "state": state_of(scan)}
        await desk.bus.shout(f"live.ledger.{scan.scan_id}", json.dumps(message).encode())


async def tell_untold(desk: Desk, scan_ids: Collection[str] | None = None) -> None:
    """Publish what was kept and may not be published; of all scans when none are named."""
    for scan_id, (turn, facts) in (await desk.books.untold(scan_ids)).items():
        await desk.bus.publish(facts)
        await desk.books.mark_told(scan_id, turn)


async def reserve(desk: Desk, question: Reserve) -> Reservation:
    """Set money aside for one attempt. What is free needs no lock, only a scan that goes on."""
    if question.ticks == 0:
        scan = _known(await desk.books.find_scan(question.scan_id), question.scan_id)
        return _reservation(question, _closed_to(question, scan))
    at = desk.clock()
    async with desk.books.open_page([question.scan_id]) as page:
        scan = _known(page.scans.get(question.scan_id), question.scan_id)
        refusal, change = await _decide(page, scan, question, at)
        kept = await page.keep([change])
    await tell(desk, kept)
    return _reservation(question, refusal)


async def _decide(page: Page, scan: Scan, question: Reserve, at: datetime) -> tuple[str, Change]:
    """Why not (or nothing), and what becomes of the scan. A grant stays one, however often it is asked for."""
    item = SetAside(
        file=(scan.scan_id, question.key or ""),
        stage=question.stage,
        attempt=question.attempt,
        repository_id=scan.repository_id,
        ticks=question.ticks,
        day=at.date(),
    )
    before = await page.granted(item)
    if before is not None:
        return again(item, before), (scan, ())
    if refusal := _closed_to(question, scan):
        return refusal, (scan, ())
    if await page.counted([item.file]):
        return "the file has its outcome already", (scan, ())
    return await _set_aside(page, scan, item)


async def _set_aside(page: Page, scan: Scan, item: SetAside) -> tuple[str, Change]:
    accounts = await page.accounts(item.repository_id, item.day)
    decision = decide(scan, accounts, item.ticks)
    await page.warn(
        [new for old, new in zip(accounts, decision.accounts, strict=True) if new.warned_percent > old.warned_percent]
    )
    if decision.granted:
        await page.set_aside(item)
        return "", decision.change
    scan, warnings = decision.change
    log.warning("reservation_refused", scan_id=scan.scan_id, key=item.file[1], reason=decision.lacking)
    if scan.ended:
        return decision.lacking, (scan, warnings)
    scan, halted = scan_rules.halt(scan, "budget", decision.lacking)
    return decision.lacking, (scan, (*warnings, *halted))


def _closed_to(question: Reserve, scan: Scan) -> str:
    """Why a scan in this state takes no reservations of that stage; a completed one is still reviewed."""
    state = state_of(scan)
    if state in ("requested", "running") or (state == "completed" and question.stage == "review"):
        return ""
    return f"scan {scan.scan_id} is {state}" + (f": {scan.halt_reason}" if scan.halted else "")


def _reservation(question: Reserve, refusal: str) -> Reservation:
    if refusal:
        return Reservation(granted=False, reason=refusal)
    name = f"{question.scan_id}-{question.key or 'review'}-{question.stage}-{question.attempt}"
    return Reservation(granted=True, reservation_id=name)


async def pause_scan(desk: Desk, question: PauseScan) -> Progress:
    def pause(scan: Scan, at: datetime) -> Change:
        if scan.ended:
            raise _wrong_state(scan, "paused")
        return (scan, ()) if scan.halted else scan_rules.halt(scan, "person", question.detail)

    return await _change(desk, question.scan_id, pause)


async def resume_scan(desk: Desk, question: ResumeScan) -> Progress:
    def resume(scan: Scan, at: datetime) -> Change:
        if scan.ended:
            raise _wrong_state(scan, "resumed", mend="scan again; what was analysed is reused")
        return scan_rules.resume(set_budget(scan, question.budget_ticks))

    return await _change(desk, question.scan_id, resume)


async def cancel_scan(desk: Desk, question: CancelScan) -> Progress:
    def cancel(scan: Scan, at: datetime) -> Change:
        if scan.status == "cancelled":
            return scan, ()
        if scan.ended:
            raise _wrong_state(scan, "cancelled")
        return scan_rules.cancel(scan, question.detail, at=at)

    return await _change(desk, question.scan_id, cancel)


async def finish_scan(desk: Desk, question: FinishScan) -> Progress:
    def finish(scan: Scan, at: datetime) -> Change:
        if scan.status == "cancelled":
            raise _wrong_state(scan, "finished", mend="scan again; what was analysed is reused")
        if scan.ended:
            return scan, ()
        if scan.started_at is None:
            raise _wrong_state(scan, "finished", mend="its listing is not done: wait for it, or cancel the scan")
        return scan_rules.finish(scan, at=at)

    return await _change(desk, question.scan_id, finish)


async def _change(desk: Desk, scan_id: str, rule: Callable[[Scan, datetime], Change]) -> Progress:
    at = desk.clock()
    async with desk.books.open_page([scan_id]) as page:
        kept = await page.keep([rule(_found(page.scans.get(scan_id), scan_id), at)])
    await tell(desk, kept)
    return progress_of(kept[0])


async def get_progress(desk: Desk, question: GetProgress) -> Progress:
    return progress_of(_found(await desk.books.find_scan(question.scan_id), question.scan_id))


async def list_scans(desk: Desk, question: ListScans) -> Scans:
    return Scans(scans=[progress_of(scan) for scan in await desk.books.list_scans(question)])


async def list_accounted(desk: Desk, question: ListAccounted) -> AccountedFiles:
    files = await desk.books.list_accounted(question)
    if not files:
        _found(await desk.books.find_scan(question.scan_id), question.scan_id)
    return AccountedFiles(files=files)


async def get_cost(desk: Desk, question: GetCost) -> CostReport:
    if question.scan_id is not None:
        _found(await desk.books.find_scan(question.scan_id), question.scan_id)
    return await desk.books.cost(question)


def _found(scan: Scan | None, scan_id: str) -> Scan:
    if scan is None:
        raise Refused(
            f"the ledger knows no scan {scan_id}: look for its id with `strandline status`, or ask again in a moment"
            " if it was requested just now",
            code="unknown_scan",
        )
    return scan


def _known(scan: Scan | None, scan_id: str) -> Scan:
    """For money: file facts alone tell no budget."""
    return _found(scan if scan is not None and scan.known else None, scan_id)


def _wrong_state(scan: Scan, wanted: str, *, mend: str = "") -> Refused:
    sentence = f"scan {scan.scan_id} is {state_of(scan)} and cannot be {wanted}"
    return Refused(f"{sentence}: {mend}" if mend else sentence, code="wrong_state")


async def patiently(handler: Callable[[Desk, Asked], Awaitable[Answer]], desk: Desk, question: Asked) -> Answer:
    """Answer once the database lets us; a question has nobody who would deliver it again."""
    for _ in range(PATIENCE):
        try:
            return await handler(desk, question)
        except Retry as reason:
            await asyncio.sleep(reason.after)
    raise Refused("the ledger's database cannot be reached: try again in a moment", code="unavailable")
