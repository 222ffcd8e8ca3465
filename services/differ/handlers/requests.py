"""Repositories and requests for scans: what people, schedules and webhooks ask of the differ."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

import structlog

from libs.bus.api import Refused
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
from services.differ.domain.location import BadLocation, parse_location, public_address
from services.differ.handlers.desk import Desk, known_repository

log = structlog.get_logger(__name__)


async def register_repository(desk: Desk, question: RegisterRepository) -> Repository:
    """Add a repository; a local path becomes absolute as the differ sees it."""
    location = _normal_location(question.location)
    repository_id = f"{slug(_name_of(location))}-{secrets.token_hex(3)}"
    return shown(await desk.store.register(repository_id, question.model_copy(update={"location": location})))


async def list_repositories(desk: Desk, _: ListRepositories) -> Repositories:
    return Repositories(repositories=[shown(repository) for repository in await desk.store.repositories()])


async def change_repository(desk: Desk, question: ChangeRepository) -> Repository:
    await known_repository(desk, question.repository_id)
    await desk.store.change(question)
    return shown(await known_repository(desk, question.repository_id))


async def remove_repository(desk: Desk, question: RemoveRepository) -> Repository:
    repository = await known_repository(desk, question.repository_id)
    if repository.active_scan_id:
        raise Refused(f"scan {repository.active_scan_id} is active; cancel it first", code="busy")
    await desk.store.remove(repository.id)
    if all(other.location != repository.location for other in await desk.store.repositories()):
        await desk.mirrors.remove(repository.location)
    return shown(repository)


async def request_scan(desk: Desk, question: RequestScan, *, again: bool = False) -> ScanTicket:
    """The active scan's ticket, or a new scan's once its request is kept and published."""
    repository = await known_repository(desk, question.repository_id)
    now = desk.clock()
    request = ScanRequested(
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
    active = await desk.store.request(request, again=again)
    if active is None:
        await desk.bus.publish([request])
        log.info("scan_requested", repository_id=repository.id, scan_id=request.scan_id)
        return ScanTicket(repository_id=repository.id, scan_id=request.scan_id)
    await desk.bus.publish([active.request])
    return ScanTicket.model_validate(
        {"repository_id": repository.id, "scan_id": active.id, "joined": True, "state": active.state}
    )


async def scan_ticket(desk: Desk, question: GetScanTicket) -> ScanTicket:
    scan = await desk.store.scan(question.scan_id)
    if scan is None:
        raise Refused(f"there is no scan {question.scan_id}", code="unknown_scan")
    return ScanTicket.model_validate(
        {"repository_id": scan.repository_id, "scan_id": scan.id, "state": scan.state, "problem": scan.problem}
    )


async def tell_untold(desk: Desk) -> None:
    """Publish the requests that a crash may have left kept but untold; the bus knows those it has already."""
    await desk.bus.publish(await desk.store.untold())


async def request_due(desk: Desk) -> None:
    """Request a scan of every repository whose interval has passed."""
    for repository_id in await desk.store.due(desk.clock()):
        await request_scan(desk, RequestScan(repository_id=repository_id, requested_by="schedule"), again=False)


def shown(repository: Repository) -> Repository:
    """The repository as it may be told: without the credentials of its address."""
    return repository.model_copy(update={"location": public_address(repository.location)})


def _normal_location(text: str) -> str:
    try:
        location = parse_location(text)
    except BadLocation as error:
        raise Refused(str(error), code="invalid") from error
    return str(Path(text).expanduser().resolve()) if location.on_disk else text


def _name_of(location: str) -> str:
    return re.split(r"[/:]", public_address(location).rstrip("/").removesuffix(".git").rstrip("/"))[-1]
