"""What the differ makes of a scan that halts, goes on, is cancelled or ends, in whatever order it hears of it."""

from __future__ import annotations

import itertools

import pytest

from libs.bus.api import Reject, Retry
from libs.events.differ import ScanRequested
from libs.events.ledger import ScanCancelled, ScanHalted, ScanResumed
from libs.questions.differ import RequestScan
from libs.questions.ledger import ScanState
from services.differ.handlers.requests import request_scan
from tests.integration.services.differ.conftest import Repository as GitRepository
from tests.integration.services.differ.scene import Died, Office


def steering(repository_id: str, scan_id: str) -> list[ScanHalted | ScanResumed | ScanCancelled]:
    return [
        ScanHalted(repository_id=repository_id, scan_id=scan_id, number=1, reason="person"),
        ScanResumed(repository_id=repository_id, scan_id=scan_id, number=1),
        ScanHalted(repository_id=repository_id, scan_id=scan_id, number=2, reason="budget"),
    ]


@pytest.mark.parametrize(("state", "paused"), [("halted", [True]), ("running", [False]), ("cancelled", [])])
async def test_the_queue_ends_in_the_ledgers_present_state_in_whatever_order_it_is_told(
    office: Office, repository: GitRepository, state: ScanState, paused: list[bool]
) -> None:
    registered = await office.register(repository.location)
    scan_id = await office.scan(registered)
    for order in itertools.permutations(steering(registered.id, scan_id)):
        for number, fact in enumerate(order):
            office.states[scan_id] = "halted" if number % 2 else "running"
            await office.hear(fact)
        office.states[scan_id] = state
        await office.hear(order[-1])

        assert [consumer.paused for consumer in await office.bus.consumers()] == paused


async def test_a_cancelled_scan_has_no_queue_and_a_late_resumption_brings_none_back(
    office: Office, repository: GitRepository
) -> None:
    registered = await office.register(repository.location)
    scan_id = await office.scan(registered)
    office.states[scan_id] = "cancelled"
    await office.hear(ScanCancelled(repository_id=registered.id, scan_id=scan_id))
    await office.complete(scan_id, status="cancelled")
    await office.hear(ScanResumed(repository_id=registered.id, scan_id=scan_id, number=1))
    await office.list(scan_id)

    assert await office.bus.consumers() == []


async def test_without_the_ledger_nothing_is_decided(office: Office, repository: GitRepository) -> None:
    registered = await office.register(repository.location)
    scan_id = await office.scan(registered)

    office.ledger_is_silent = True
    with pytest.raises(Retry):
        await office.hear(ScanHalted(repository_id=registered.id, scan_id=scan_id, number=1, reason="person"))

    assert [consumer.paused for consumer in await office.bus.consumers()] == [False]


async def test_what_the_differ_does_not_follow_is_rejected(office: Office, repository: GitRepository) -> None:
    await office.request(await office.register(repository.location))
    (request,) = office.bus.told(ScanRequested)
    with pytest.raises(Reject):
        await office.hear(request)


async def test_the_end_of_a_scan_nobody_here_knows_is_no_news(office: Office, repository: GitRepository) -> None:
    registered = await office.register(repository.location)
    scan_id = await office.whole_scan(registered)
    await office.desk.store.remove(registered.id)

    await office.complete(scan_id)


async def ask_again(office: Office, repository_id: str) -> None:
    ticket = await request_scan(office.desk, RequestScan(repository_id=repository_id), again=True)
    assert ticket.joined


async def test_a_scan_asked_for_again_meanwhile_is_followed_by_exactly_one(
    office: Office, repository: GitRepository
) -> None:
    registered = await office.register(repository.location)
    first = await office.scan(registered)
    await ask_again(office, registered.id)
    await ask_again(office, registered.id)
    await office.complete(first)
    await office.complete(first)

    _, follow_up = office.bus.told(ScanRequested)
    assert follow_up.requested_by == "follow-up"
    await office.complete(follow_up.scan_id)
    await office.complete(first)
    assert len(office.bus.told(ScanRequested)) == 2


async def test_a_crash_between_the_end_and_the_next_request_loses_neither(
    office: Office, repository: GitRepository
) -> None:
    registered = await office.register(repository.location)
    first = await office.scan(registered)
    await ask_again(office, registered.id)
    office.bus.facts_left = 0
    with pytest.raises(Died):
        await office.complete(first)
    await office.complete(first)

    assert len(office.bus.told(ScanRequested)) == 2


async def test_a_scan_that_could_not_be_listed_is_followed_too(office: Office, repository: GitRepository) -> None:
    registered = await office.register(repository.location, branch="nope")
    ticket = await office.request(registered)
    await ask_again(office, registered.id)
    await office.list(ticket.scan_id)
    await office.list(ticket.scan_id)

    assert len(office.bus.told(ScanRequested)) == 2


async def test_only_the_trees_that_can_still_be_a_base_are_kept(office: Office, repository: GitRepository) -> None:
    registered = await office.register(repository.location)
    scans = []
    for number in range(3):
        repository.write(a_dot_py=f"print({number})\n").commit()
        scans.append(await office.whole_scan(registered))
    (mirror,) = office.mirrors.glob("repository-*.git")
    refs = repository.git("--git-dir", str(mirror), "for-each-ref", "--format=%(refname)", "refs/strandline/scans")

    assert {ref.split("/")[3] for ref in refs.splitlines()} == {scans[-1]}
