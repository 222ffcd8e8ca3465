"""What becomes of a scan's queue: paused, resumed, deleted, and which scan is the next one's base."""

from __future__ import annotations

from libs.bus.api import Delivery, NoAnswer, Refused, Reject, Retry
from libs.events.ledger import ScanCancelled, ScanCompleted, ScanHalted, ScanResumed
from libs.events.subjects import analyze_consumer
from libs.questions.ledger import GetProgress, ScanState
from services.differ.handlers.desk import Desk
from services.differ.handlers.requests import follow_up


async def follow_state(desk: Desk, delivery: Delivery) -> None:
    """A scan was halted, resumed, cancelled or completed: bring its consumer into the state the ledger has now.

    Facts may come late or out of order; asking makes the last word count.
    """
    fact = delivery.fact
    if isinstance(fact, ScanCompleted):
        await _close(desk, fact)
    elif isinstance(fact, ScanHalted | ScanResumed | ScanCancelled):
        await align_consumer(desk, fact.scan_id)
    else:
        raise Reject(f"the differ does not hear {fact.type_name}")


async def align_consumer(desk: Desk, scan_id: str) -> None:
    """Pause, resume or delete the scan's consumer as its present state asks.

    Asked again after acting: whoever acts last has seen the last state, however several of us are interleaved.
    """
    consumer, acted_on = analyze_consumer(scan_id), None
    while (state := await _state(desk, scan_id)) != acted_on:
        if state == "halted":
            await desk.bus.pause_consumer(consumer)
        elif state in ("cancelled", "completed", "failed"):
            await desk.bus.delete_consumer(consumer)
        else:
            await desk.bus.resume_consumer(consumer)
        acted_on = state


async def _state(desk: Desk, scan_id: str) -> ScanState:
    try:
        return (await desk.bus.ask(GetProgress(scan_id=scan_id))).state
    except (NoAnswer, Refused) as error:
        raise Retry(f"the ledger does not say how scan {scan_id} stands: {error}", after=0.5) from error


async def _close(desk: Desk, fact: ScanCompleted) -> None:
    """The scan is over: its queue goes, and if it covered everything it is the next one's base.

    What changed since some revision is not everything, however completely it was covered.
    """
    await desk.bus.delete_consumer(analyze_consumer(fact.scan_id))
    scan = await desk.store.scan(fact.scan_id)
    if scan is None:
        return
    covered = fact.status == "complete" and scan.request.base is None
    await desk.store.complete(fact.scan_id, covered=covered)
    repository = await desk.store.repository(fact.repository_id)
    if repository is None:
        return
    if covered:
        for older in await desk.store.superseded(fact.repository_id, fact.scan_id):
            await desk.mirrors.release(repository.location, older)
            await desk.store.let_go(older)
    await follow_up(desk, scan)
