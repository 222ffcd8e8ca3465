"""The ledger as a service: what it hears and answers on a bus that shuffles and repeats."""

from __future__ import annotations

from random import Random

import pytest

from libs.bus.api import Refused
from libs.bus.memory import MemoryBus
from libs.events.ledger import Coverage, ScanCompleted, ScanHalted
from libs.questions.ledger import GetCost, GetProgress, ListAccounted, ListScans, PauseScan
from services.ledger.__main__ import HEARD, open_ledger
from services.ledger.settings import Settings
from tests.integration.services.ledger.scene import SCAN, a_review, analysed, requested, skipped, started, wants


def settings_for(database_url: str, **more: object) -> Settings:
    return Settings.model_validate({"nats_url": "nats://nowhere", "database_url": database_url, "batch": 7, **more})


async def test_two_replicas_count_a_scan_from_a_bus_that_shuffles_and_repeats(database_url: str) -> None:
    bus = MemoryBus(shuffle=Random(7), duplicate=0.3)
    settings = settings_for(database_url)
    async with open_ledger(settings, bus) as checks, open_ledger(settings, bus):
        files = [analysed(f"file-{number}", ticks=1, tokens=1) for number in range(60)]
        await bus.publish([requested(), *files, started(62), skipped("a"), skipped("b"), a_review()])
        await bus.idle()
        progress = await bus.ask(GetProgress(scan_id=SCAN))
        accounted = await bus.ask(ListAccounted(scan_id=SCAN, after=60))
        report = await bus.ask(GetCost(by="scan"))
        scans = await bus.ask(ListScans())
        ready = await checks["database"]()

    (completed,) = [fact for fact in bus.facts if isinstance(fact, ScanCompleted)]
    assert completed.coverage == progress.coverage
    assert (progress.coverage.analysed, progress.coverage.unreached, progress.settled_ticks) == (60, 0, 60)
    assert [file.ordinal for file in accounted.files] == [61, 62]
    assert (report.total.ticks, len(scans.scans), ready) == (60, 1, True)


async def test_budgets_of_the_settings_hold_over_the_bus(database_url: str) -> None:
    bus = MemoryBus()
    async with open_ledger(settings_for(database_url, daily_budget_ticks=10), bus):
        await bus.publish([started(5)])
        await bus.idle()
        granted = await bus.ask(wants("a", 10))
        refused = await bus.ask(wants("b", 1))

    assert (granted.granted, refused.granted) == (True, False)
    assert [fact.reason for fact in bus.facts if isinstance(fact, ScanHalted)] == ["budget"]


async def test_a_budget_that_left_the_settings_is_lifted_at_the_next_start(database_url: str) -> None:
    bus = MemoryBus()
    async with open_ledger(settings_for(database_url, monthly_budget_ticks=10), bus):
        await bus.publish([started(5)])
        await bus.idle()
    async with open_ledger(settings_for(database_url), bus):
        granted = await bus.ask(wants("b", 11))

    assert granted.granted


async def test_a_refusal_reaches_the_asker_with_its_code(database_url: str) -> None:
    bus = MemoryBus()
    async with open_ledger(settings_for(database_url), bus):
        with pytest.raises(Refused) as refusal:
            await bus.ask(PauseScan(scan_id="nope"))

    assert refusal.value.code == "unknown_scan"


async def test_what_was_heard_while_the_ledger_was_away_is_counted_when_it_is_back(database_url: str) -> None:
    bus = MemoryBus()
    async with open_ledger(settings_for(database_url), bus):
        await bus.publish([started(2), analysed("a")])
        await bus.idle()
    await bus.publish([analysed("b")])
    async with open_ledger(settings_for(database_url), bus):
        await bus.idle()

    (completed,) = [fact for fact in bus.facts if isinstance(fact, ScanCompleted)]
    assert completed.coverage == Coverage(analysed=2, total=2)


def test_the_ledger_does_not_hear_what_it_need_not_count() -> None:
    assert "scan.*.*.file.analyzed.*" in HEARD
    assert not any("queued" in pattern for pattern in HEARD)
