"""Counting outcomes, ending scans, and what is told of both."""

from __future__ import annotations

import asyncio
import json

import pytest

from libs.bus.api import Refused
from libs.events.differ import SkipReason
from libs.events.ledger import Coverage, ScanCancelled, ScanCompleted, ScanHalted, ScanResumed
from libs.questions.ledger import (
    CancelScan,
    FinishScan,
    GetProgress,
    ListAccounted,
    ListScans,
    PauseScan,
    Progress,
    ResumeScan,
)
from services.ledger.handlers import (
    Desk,
    account_facts,
    cancel_scan,
    finish_scan,
    get_progress,
    list_accounted,
    list_scans,
    pause_scan,
    resume_scan,
    tell_untold,
)
from tests.integration.services.ledger.scene import (
    SCAN,
    MortalBus,
    PublishingFailed,
    analysed,
    deliveries,
    failed,
    removed,
    requested,
    reused,
    skipped,
    started,
)


async def progress(desk: Desk, scan: str = SCAN) -> Progress:
    return await get_progress(desk, GetProgress(scan_id=scan))


async def test_a_scan_completes_when_its_last_listed_file_has_an_outcome(desk: Desk, bus: MortalBus) -> None:
    await account_facts(desk, deliveries(requested(), started(4), analysed("a"), reused("b", saved=7)))
    assert bus.published(ScanCompleted) == []
    await account_facts(desk, deliveries(skipped("c"), removed("d")))

    (completed,) = bus.published(ScanCompleted)
    skips = {SkipReason.BINARY: 1, SkipReason.DELETED: 1}
    assert completed.coverage == Coverage(analysed=1, reused=1, skipped=skips, total=4)
    assert (completed.status, completed.saved_ticks, completed.commit) == ("complete", 7, "c0ffee")
    assert (await progress(desk)).state == "completed"


async def test_a_failed_file_makes_the_scan_incomplete(desk: Desk, bus: MortalBus) -> None:
    await account_facts(desk, deliveries(started(2), analysed("a"), failed("b")))

    assert bus.published(ScanCompleted)[0].status == "incomplete"


async def test_a_scan_of_nothing_completes_at_once(desk: Desk, bus: MortalBus) -> None:
    await account_facts(desk, deliveries(started(0)))

    assert bus.published(ScanCompleted)[0].coverage == Coverage()


async def test_outcomes_heard_before_the_scan_started_count(desk: Desk, bus: MortalBus) -> None:
    await account_facts(desk, deliveries(analysed("a"), analysed("b")))
    before = await progress(desk)
    await account_facts(desk, deliveries(started(2)))

    assert (before.state, before.accounted, before.coverage.total) == ("requested", 2, 2)
    assert bus.published(ScanCompleted)[0].coverage == Coverage(analysed=2, total=2)


async def test_while_it_runs_the_coverage_adds_up_to_the_total(desk: Desk) -> None:
    await account_facts(desk, deliveries(started(5), analysed("a")))

    shown = await progress(desk)
    assert shown.coverage == Coverage(analysed=1, unreached=4, total=5)
    assert (shown.state, shown.accounted, shown.warnings) == ("running", 1, ["a shallow clone"])


async def test_a_fact_delivered_twice_counts_once(desk: Desk, bus: MortalBus) -> None:
    batch = deliveries(started(3), analysed("a"), analysed("a"), skipped("b"))
    await account_facts(desk, batch)
    await account_facts(desk, batch)

    assert (await progress(desk)).accounted == 2
    assert bus.published(ScanCompleted) == []


async def test_two_scans_in_one_batch_do_not_mix(desk: Desk, bus: MortalBus) -> None:
    await account_facts(desk, deliveries(started(1), analysed("a"), started(2, scan="scan-2")))
    await account_facts(desk, deliveries(analysed("a", scan="scan-2")))

    assert [fact.scan_id for fact in bus.published(ScanCompleted)] == [SCAN]
    assert (await progress(desk, "scan-2")).accounted == 1
    newest_first = await list_scans(desk, ListScans(active=False))
    assert [scan.scan_id for scan in newest_first.scans] == ["scan-2", SCAN]
    assert [scan.scan_id for scan in (await list_scans(desk, ListScans(active=True))).scans] == ["scan-2"]


async def test_outcomes_are_numbered_in_the_order_of_counting(desk: Desk) -> None:
    await account_facts(desk, deliveries(started(9), analysed("b", ticks=5, tokens=100), skipped("a")))
    await account_facts(desk, deliveries(skipped("a"), analysed("c", ticks=2, tokens=10)))

    first = await list_accounted(desk, ListAccounted(scan_id=SCAN, limit=2))
    rest = await list_accounted(desk, ListAccounted(scan_id=SCAN, after=2))
    lines = [(f.ordinal, f.path, f.outcome, f.cost_ticks, f.tokens, f.total_ticks) for f in first.files + rest.files]
    assert lines == [(1, "b", "analysed", 5, 100, 5), (2, "a", "skipped", 0, 0, 5), (3, "c", "analysed", 2, 10, 7)]


async def test_outcomes_can_be_listed_by_kind(desk: Desk) -> None:
    await account_facts(desk, deliveries(started(9), analysed("a"), skipped("b"), failed("c")))

    listed = await list_accounted(desk, ListAccounted(scan_id=SCAN, outcomes=["failed", "skipped"]))
    assert [(file.path, file.reason) for file in listed.files] == [("b", "binary"), ("c", "engine_error")]


async def test_followers_hear_how_far_it_is_after_each_batch(desk: Desk, bus: MortalBus) -> None:
    await account_facts(desk, deliveries(started(2), analysed("a")))

    ((subject, payload),) = bus.shouts
    assert (subject, json.loads(payload)) == (f"live.ledger.{SCAN}", {"accounted": 1, "state": "running"})


async def test_a_crash_before_publishing_is_mended_by_the_redelivery(desk: Desk, bus: MortalBus) -> None:
    batch = deliveries(started(1), analysed("a"))
    bus.failures = 1
    with pytest.raises(PublishingFailed):
        await account_facts(desk, batch)
    assert bus.published(ScanCompleted) == []
    kept = (await progress(desk)).completed_at
    await account_facts(desk, batch)

    assert [fact.completed_at for fact in bus.published(ScanCompleted)] == [kept]


async def test_a_crash_before_publishing_is_mended_by_the_next_start(desk: Desk, bus: MortalBus) -> None:
    await account_facts(desk, deliveries(started(5)))
    bus.failures = 1
    with pytest.raises(PublishingFailed):
        await pause_scan(desk, PauseScan(scan_id=SCAN))
    await tell_untold(desk)

    assert [fact.number for fact in bus.published(ScanHalted)] == [1]


async def test_what_is_told_is_not_published_for_ever(desk: Desk, bus: MortalBus) -> None:
    await account_facts(desk, deliveries(started(1), analysed("a")))
    await account_facts(desk, deliveries(analysed("a")))

    assert bus.asked == 1


async def test_replicas_count_the_same_batch_once(desk: Desk, bus: MortalBus) -> None:
    batch = deliveries(started(20), *(analysed(f"file-{number}") for number in range(20)))
    await asyncio.gather(*(account_facts(desk, batch[index:] + batch[:index]) for index in range(6)))

    (completed,) = bus.published(ScanCompleted)
    assert completed.coverage == Coverage(analysed=20, total=20)
    files = (await list_accounted(desk, ListAccounted(scan_id=SCAN))).files
    assert [file.ordinal for file in files] == list(range(1, 21))


async def test_a_paused_scan_resumes_under_the_number_of_its_halt(desk: Desk, bus: MortalBus) -> None:
    await account_facts(desk, deliveries(started(5)))
    for _ in range(2):
        paused = await pause_scan(desk, PauseScan(scan_id=SCAN, detail="lunch"))
        await pause_scan(desk, PauseScan(scan_id=SCAN, detail="lunch again"))
        running = await resume_scan(desk, ResumeScan(scan_id=SCAN))
        await resume_scan(desk, ResumeScan(scan_id=SCAN))

    assert (paused.state, paused.halt_reason, running.state) == ("halted", "lunch", "running")
    halts = [(fact.number, fact.reason, fact.detail) for fact in bus.published(ScanHalted)]
    assert halts == [(1, "person", "lunch"), (2, "person", "lunch")]
    assert [fact.number for fact in bus.published(ScanResumed)] == [1, 2]


async def test_a_paused_scan_still_completes_by_what_was_in_hand(desk: Desk, bus: MortalBus) -> None:
    await account_facts(desk, deliveries(started(1)))
    await pause_scan(desk, PauseScan(scan_id=SCAN))
    await account_facts(desk, deliveries(analysed("a")))

    assert (await progress(desk)).state == "completed"


async def test_a_cancelled_scan_leaves_the_rest_unreached(desk: Desk, bus: MortalBus) -> None:
    await account_facts(desk, deliveries(started(5), analysed("a")))
    for _ in range(2):
        shown = await cancel_scan(desk, CancelScan(scan_id=SCAN, detail="wrong branch"))

    assert (shown.state, shown.status) == ("cancelled", "cancelled")
    assert [fact.detail for fact in bus.published(ScanCancelled)] == ["wrong branch"]
    (completed,) = bus.published(ScanCompleted)
    assert (completed.status, completed.coverage) == ("cancelled", Coverage(analysed=1, unreached=4, total=5))


async def test_what_arrives_after_the_end_is_recorded_but_moves_no_coverage(desk: Desk, bus: MortalBus) -> None:
    await account_facts(desk, deliveries(started(3), analysed("a")))
    await cancel_scan(desk, CancelScan(scan_id=SCAN))
    await account_facts(desk, deliveries(analysed("b", ticks=9, tokens=1)))
    await account_facts(desk, deliveries(analysed("b", ticks=9, tokens=1), analysed("c")))

    shown = await progress(desk)
    assert (shown.accounted, shown.settled_ticks) == (1, 9)
    assert shown.coverage == Coverage(analysed=1, unreached=2, total=3)
    files = (await list_accounted(desk, ListAccounted(scan_id=SCAN))).files
    assert [(file.ordinal, file.path) for file in files] == [(1, "a"), (2, "b"), (3, "c")]
    assert len(bus.published(ScanCompleted)) == 1


async def test_a_scan_cancelled_before_its_listing_stays_cancelled(desk: Desk, bus: MortalBus) -> None:
    await account_facts(desk, deliveries(requested()))
    await cancel_scan(desk, CancelScan(scan_id=SCAN))
    await account_facts(desk, deliveries(started(1), analysed("a")))

    shown = await progress(desk)
    assert (shown.state, shown.coverage) == ("cancelled", Coverage())


async def test_a_halted_scan_can_be_finished_as_it_is(desk: Desk, bus: MortalBus) -> None:
    await account_facts(desk, deliveries(started(5), analysed("a")))
    await pause_scan(desk, PauseScan(scan_id=SCAN))
    for _ in range(2):
        shown = await finish_scan(desk, FinishScan(scan_id=SCAN))

    assert (shown.state, shown.status, shown.halt_reason) == ("completed", "incomplete", "")
    assert bus.published(ScanCompleted)[0].coverage == Coverage(analysed=1, unreached=4, total=5)


async def test_a_word_that_comes_too_late_is_refused_in_a_sentence(desk: Desk) -> None:
    await account_facts(desk, deliveries(started(1), analysed("a")))

    with pytest.raises(Refused, match="scan-1 is completed and cannot be resumed: scan again"):
        await resume_scan(desk, ResumeScan(scan_id=SCAN))
    with pytest.raises(Refused, match="cannot be paused"):
        await pause_scan(desk, PauseScan(scan_id=SCAN))
    with pytest.raises(Refused, match="cannot be cancelled"):
        await cancel_scan(desk, CancelScan(scan_id=SCAN))


async def test_a_scan_that_is_not_listed_cannot_be_finished(desk: Desk) -> None:
    await account_facts(desk, deliveries(requested()))

    with pytest.raises(Refused, match="its listing is not done"):
        await finish_scan(desk, FinishScan(scan_id=SCAN))


async def test_an_unknown_scan_is_refused_with_the_mend(desk: Desk) -> None:
    for question in (get_progress(desk, GetProgress(scan_id="nope")), cancel_scan(desk, CancelScan(scan_id="nope"))):
        with pytest.raises(Refused, match="strandline status") as refusal:
            await question
        assert refusal.value.code == "unknown_scan"
    with pytest.raises(Refused):
        await list_accounted(desk, ListAccounted(scan_id="nope"))
