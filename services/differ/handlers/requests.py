"""Repositories and requests for scans: what people, schedules and webhooks ask of the differ."""

from __future__ import annotations

import contextlib
import re
import secrets
from pathlib import Path

import structlog

from libs.bus.api import NoAnswer, Refused, Retry
from libs.events.differ import ScanRequested
from libs.events.subjects import new_scan_id, slug
from libs.questions.differ import (
    ChangeRepository,
    GetScanTicket,
    ListRepositories,
    RegisterRepository,
    RemoveRepository,
    Repositories,
    Repository,
    RequestScan,
    ScanTicket,
)
from libs.questions.ledger import GetProgress
from services.differ.domain.location import BadLocation, parse_location, public_address
from services.differ.handlers.desk import Desk, known_repository
from services.differ.ports import Scan

log = structlog.get_logger(__name__)

SHORTEST_INTERVAL = 60
"""Seconds; as when a repository is registered."""
LEDGER_SECONDS = 1.0


async def register_repository(desk: Desk, question: RegisterRepository) -> Repository:
    """Add a repository; a local path becomes absolute as the differ sees it."""
    location = _normal_location(question.location)
    repository_id = f"{slug(_name_of(location))}-{secrets.token_hex(3)}"
    return shown(await desk.store.register(repository_id, question.model_copy(update={"location": location})))


async def list_repositories(desk: Desk, _: ListRepositories) -> Repositories:
    return Repositories(repositories=[shown(repository) for repository in await desk.store.repositories()])


async def change_repository(desk: Desk, question: ChangeRepository) -> Repository:
    await known_repository(desk, question.repository_id)
    if question.interval_seconds is not None and 0 < question.interval_seconds < SHORTEST_INTERVAL:
        raise Refused(f"the interval has to be 0 or at least {SHORTEST_INTERVAL} seconds", code="invalid")
    await desk.store.change(question)
    return shown(await known_repository(desk, question.repository_id))


async def remove_repository(desk: Desk, question: RemoveRepository) -> Repository:
    repository = await known_repository(desk, question.repository_id)
    if active := await desk.store.remove(repository.id):
        raise Refused(f"scan {active} is active; cancel it first", code="busy")
    # Mirrors are named by the address: two repositories that differ in branch or credentials share one.
    mirrored = {public_address(other.location) for other in await desk.store.repositories()}
    if public_address(repository.location) not in mirrored:
        await desk.mirrors.remove(repository.location)
    return shown(repository)


async def request_scan(desk: Desk, question: RequestScan, *, again: bool = False) -> ScanTicket:
    """The active scan's ticket, or a new scan's once its request is kept and published."""
    repository = await known_repository(desk, question.repository_id)
    request = _request(desk, repository, question)
    try:
        active = await desk.store.request(request, again=again)
    except KeyError:
        raise Refused(f"repository {repository.id} was removed just now", code="unknown_repository") from None
    await desk.bus.publish([request if active is None else active.request])
    if active is None:
        log.info("scan_requested", repository_id=repository.id, scan_id=request.scan_id)
        return ScanTicket(repository_id=repository.id, scan_id=request.scan_id)
    return (await _ticket(desk, active)).model_copy(update={"joined": True})


async def follow_up(desk: Desk, scan: Scan) -> None:
    """The scan has ended: begin the one that was asked for meanwhile, and tell it though a crash lost the telling."""
    repository = await desk.store.repository(scan.repository_id)
    if repository is None:
        return
    question = RequestScan(repository_id=repository.id, requested_by="follow-up")
    await desk.store.follow_up(scan.id, _request(desk, repository, question))
    await tell_untold(desk)


def _request(desk: Desk, repository: Repository, question: RequestScan) -> ScanRequested:
    now = desk.clock()
    return ScanRequested(
        repository_id=repository.id,
        scan_id=new_scan_id(now),
        base=question.base,
        full=question.full,
        engine=question.engine or repository.engine,
        budget_ticks=question.budget_ticks if question.budget_ticks is not None else repository.budget_ticks,
        parallel=question.parallel,
        requested_by=question.requested_by,
        requested_at=now,
    )


async def scan_ticket(desk: Desk, question: GetScanTicket) -> ScanTicket:
    scan = await desk.store.scan(question.scan_id)
    if scan is None:
        raise Refused(f"there is no scan {question.scan_id}", code="unknown_scan")
    return await _ticket(desk, scan)


async def _ticket(desk: Desk, scan: Scan) -> ScanTicket:
    """How the scan stands. Whether an active one is halted the ledger knows; if it is silent, that is left unsaid."""
    state = scan.state
    if state == "active":
        with contextlib.suppress(NoAnswer, Refused):
            progress = await desk.bus.ask(GetProgress(scan_id=scan.id), timeout=LEDGER_SECONDS)
            state = "halted" if progress.state == "halted" else state
    return ScanTicket.model_validate(
        {"repository_id": scan.repository_id, "scan_id": scan.id, "state": state, "problem": scan.problem}
    )


async def tell_untold(desk: Desk) -> None:
    """Publish the requests that a crash may have left kept but untold; the bus knows those it has already."""
    await desk.bus.publish(await desk.store.untold())


async def request_due(desk: Desk) -> None:
    """Request a scan of every repository whose interval has passed."""
    for repository_id in await desk.store.due(desk.clock()):
        try:
            await request_scan(desk, RequestScan(repository_id=repository_id, requested_by="schedule"))
        except (Refused, Retry) as problem:
            # Its next turn is an interval away; those after it are still due now.
            log.warning("scheduled_request_failed", repository_id=repository_id, reason=str(problem))


def shown(repository: Repository) -> Repository:
    """The repository as it may be told: without the credentials of its address."""
    return repository.model_copy(update={"location": public_address(repository.location)})


def _normal_location(text: str) -> str:
    try:
        location = parse_location(text)
    except BadLocation as error:
        raise Refused(str(error), code="invalid") from error
    if not location.on_disk:
        return text
    try:
        return str(Path(text).expanduser().resolve())
    except (OSError, RuntimeError) as error:
        raise Refused(f"{text} is no path here: {error}", code="invalid") from error


def _name_of(location: str) -> str:
    return re.split(r"[/:]", public_address(location).rstrip("/").removesuffix(".git").rstrip("/"))[-1]
