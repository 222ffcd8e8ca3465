"""Questions about repositories and requests for scans, from the question to what is published."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from libs.bus.api import Refused
from libs.events.differ import ScanRequested
from libs.questions.differ import ChangeRepository, GetScanTicket, ListRepositories, RemoveRepository, RequestScan
from services.differ.handlers.requests import (
    change_repository,
    list_repositories,
    remove_repository,
    request_due,
    request_scan,
    scan_ticket,
    tell_untold,
)
from tests.integration.services.differ.conftest import Repository as GitRepository
from tests.integration.services.differ.scene import Died, Office


async def test_a_repository_is_registered_once_by_whatever_spelling_of_its_path(
    office: Office, repository: GitRepository
) -> None:
    ids = {
        (await office.register(spelling)).id
        for spelling in (repository.location, f"{repository.location}/", f"{repository.location}/src/..")
    }

    assert len(ids) == 1


async def test_credentials_of_an_address_are_never_told(office: Office) -> None:
    registered = await office.register("https://user:s3cret@example.org/code.git")
    listed = await list_repositories(office.desk, ListRepositories())
    changed = await change_repository(office.desk, ChangeRepository(repository_id=registered.id, enabled=False))

    assert "s3cret" not in f"{registered}{listed}{changed}"
    assert registered.location == "https://example.org/code.git"


@pytest.mark.parametrize("location", ["ext::sh -c true", "~nobody-of-that-name/x", "a\nb", "https://"])
async def test_what_is_no_location_is_refused(office: Office, location: str) -> None:
    with pytest.raises(Refused) as refusal:
        await office.register(location)

    assert refusal.value.code == "invalid"


async def test_an_interval_that_is_too_short_is_refused(office: Office, repository: GitRepository) -> None:
    registered = await office.register(repository.location)
    with pytest.raises(Refused, match="at least 60 seconds"):
        await change_repository(office.desk, ChangeRepository(repository_id=registered.id, interval_seconds=59))


async def test_a_request_takes_what_it_does_not_say_from_the_repository(
    office: Office, repository: GitRepository
) -> None:
    registered = await office.register(repository.location, engine="llm", budget_ticks=5)
    ticket = await office.request(registered)
    await office.complete(ticket.scan_id)
    other = await office.request(registered, engine="static", budget_ticks=0)

    (first,), (second,) = office.bus.told(ScanRequested, ticket.scan_id), office.bus.told(ScanRequested, other.scan_id)
    assert (first.engine, first.budget_ticks) == ("llm", 5)
    assert (second.engine, second.budget_ticks) == ("static", 0)


async def test_a_request_joins_the_active_scan_and_is_told_how_that_stands(
    office: Office, repository: GitRepository
) -> None:
    registered = await office.register(repository.location)
    first = await office.request(registered)
    requested = await office.request(registered)
    await office.list(first.scan_id)
    active = await office.request(registered)
    office.states[first.scan_id] = "halted"
    halted = await office.request(registered)

    assert {ticket.scan_id for ticket in (requested, active, halted)} == {first.scan_id}
    assert [ticket.state for ticket in (requested, active, halted)] == ["requested", "active", "halted"]
    assert (await scan_ticket(office.desk, GetScanTicket(scan_id=first.scan_id))).state == "halted"
    assert len(office.bus.told(ScanRequested)) == 1


async def test_a_finished_scan_is_not_joined(office: Office, repository: GitRepository) -> None:
    registered = await office.register(repository.location)
    first = await office.whole_scan(registered)
    second = await office.request(registered)

    assert second.scan_id > first
    assert (await scan_ticket(office.desk, GetScanTicket(scan_id=first))).state == "completed"


async def test_a_request_that_a_crash_left_untold_is_told_at_the_next_start(
    office: Office, repository: GitRepository
) -> None:
    registered = await office.register(repository.location)
    office.bus.facts_left = 0
    with pytest.raises(Died):
        await office.request(registered)
    assert office.bus.facts == []
    await tell_untold(office.desk)
    await tell_untold(office.desk)

    (request,) = office.bus.told(ScanRequested)
    assert (await office.request(registered)).scan_id == request.scan_id


async def test_a_request_that_joins_tells_what_a_crash_left_untold(office: Office, repository: GitRepository) -> None:
    registered = await office.register(repository.location)
    office.bus.facts_left = 0
    with pytest.raises(Died):
        await office.request(registered)
    joined = await office.request(registered)

    assert joined.joined
    assert [request.scan_id for request in office.bus.told(ScanRequested)] == [joined.scan_id]


async def test_nobody_is_asked_to_scan_what_is_not_registered(office: Office) -> None:
    with pytest.raises(Refused) as refusal:
        await request_scan(office.desk, RequestScan(repository_id="nope"))

    assert refusal.value.code == "unknown_repository"


async def test_a_repository_that_is_being_scanned_is_not_removed(office: Office, repository: GitRepository) -> None:
    registered = await office.register(repository.location)
    scan_id = await office.scan(registered)
    with pytest.raises(Refused, match="cancel it first"):
        await remove_repository(office.desk, RemoveRepository(repository_id=registered.id))
    await office.complete(scan_id, status="cancelled")
    await remove_repository(office.desk, RemoveRepository(repository_id=registered.id))

    assert (await list_repositories(office.desk, ListRepositories())).repositories == []
    assert list(office.mirrors.glob("repository-*")) == []


async def test_a_mirror_stays_as_long_as_another_branch_or_account_uses_it(
    office: Office, repository: GitRepository
) -> None:
    tree, main = await office.register(repository.location), await office.register(repository.location, branch="main")
    await office.whole_scan(tree)
    first = await office.whole_scan(main)
    await remove_repository(office.desk, RemoveRepository(repository_id=tree.id))
    repository.write(a_dot_py="print(3)\n").commit()
    second = await office.scan(main)

    assert office.files(second) == {"a.py": "modified"}
    assert office.started(second).mode_reason == f"what changed since scan {first}"


async def test_the_same_address_with_other_credentials_keeps_the_mirror(office: Office) -> None:
    one = await office.register("https://one:1@example.org/code.git")
    await office.register("https://two:2@example.org/code.git")
    mirror = office.desk.mirrors._mirror("https://example.org/code.git").git_dir  # type: ignore[attr-defined]
    mirror.mkdir(parents=True)
    await remove_repository(office.desk, RemoveRepository(repository_id=one.id))

    assert mirror.exists()


async def test_what_is_due_is_requested_once_an_interval(
    office: Office, repository: GitRepository, make_repository: Callable[[str], GitRepository]
) -> None:
    registered = await office.register(repository.location, interval_seconds=3600)
    await office.register(make_repository("never").start().location)
    assert registered.registered_at is not None
    office.clock.now = registered.registered_at
    await request_due(office.desk)
    assert office.bus.told(ScanRequested) == []
    office.clock.now += timedelta(seconds=3700)
    for _ in range(3):
        await request_due(office.desk)

    (request,) = office.bus.told(ScanRequested)
    assert (request.repository_id, request.requested_by) == (registered.id, "schedule")
    office.clock.now += timedelta(seconds=3700)
    await request_due(office.desk)
    assert len(office.bus.told(ScanRequested)) == 1, "the first is still active"
    await office.complete(request.scan_id)
    office.clock.now += timedelta(seconds=3700)
    await request_due(office.desk)
    assert len(office.bus.told(ScanRequested)) == 2


async def test_one_due_repository_that_cannot_be_requested_does_not_keep_the_others_back(
    office: Office, make_repository: Callable[[str], GitRepository], monkeypatch: pytest.MonkeyPatch
) -> None:
    registered = [
        await office.register(make_repository(name).start().location, interval_seconds=60) for name in ("a", "b")
    ]
    assert registered[1].registered_at is not None
    office.clock.now = registered[1].registered_at + timedelta(seconds=100)
    known = office.desk.store.repository

    async def first_is_removed(repository_id: str) -> object:
        return None if repository_id == registered[0].id else await known(repository_id)

    monkeypatch.setattr(office.desk.store, "repository", first_is_removed)
    await request_due(office.desk)

    assert [request.repository_id for request in office.bus.told(ScanRequested)] == [registered[1].id]
