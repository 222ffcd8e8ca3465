"""Listing real repositories, from the request to the published facts, through crashes and changes of heart."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable

import pytest

from libs.bus.api import Delivery, Retry
from libs.events.differ import FileQueued, ScanFailed, ScanRequested, ScanStarted
from libs.events.subjects import analyze_consumer
from libs.questions.differ import GetScanTicket
from services.differ.domain.scan_settings import Rules
from services.differ.handlers.listing import give_up
from services.differ.handlers.requests import scan_ticket
from tests.integration.services.differ.conftest import Repository as GitRepository
from tests.integration.services.differ.scene import Died, Office


async def test_the_first_scan_lists_every_file_once(office: Office, repository: GitRepository) -> None:
    repository.write(logo_dot_bin="\0\1").commit()
    scan_id = await office.scan(await office.register(repository.location))

    assert office.files(scan_id) == {"a.py": "listed", "src/b.py": "listed", "logo.bin": "skipped: binary"}
    started = office.started(scan_id)
    assert (started.mode, started.mode_reason, started.queued) == ("full", "everything: the first scan", 2)
    consumers = [state.name for state in await office.bus.consumers()]
    assert consumers == [analyze_consumer(scan_id)]


async def test_every_queued_content_is_kept_under_its_hash(office: Office, repository: GitRepository) -> None:
    scan_id = await office.scan(await office.register(repository.location))

    queued = {fact.path: fact.content_hash for fact in office.bus.told(FileQueued, scan_id)}
    assert await office.desk.blobs.get(queued["a.py"]) == b"print(1)\n"


async def test_the_second_scan_lists_what_changed_was_renamed_and_is_gone(
    office: Office, repository: GitRepository
) -> None:
    repository.write(old_dot_py="print('a longer file that is moved')\n" * 5, gone_dot_py="1\n").commit()
    registered = await office.register(repository.location)
    first = await office.whole_scan(registered)
    repository.git("mv", "old.py", "new.py")
    repository.git("rm", "-q", "gone.py")
    repository.write(a_dot_py="print(3)\n", fresh_dot_py="x = 1\n").commit()

    second = await office.scan(registered)

    assert office.files(second) == {
        "a.py": "modified",
        "fresh.py": "added",
        "new.py": "renamed from old.py",
        "old.py": "moved to new.py",
        "gone.py": "removed",
    }
    assert office.started(second).mode_reason == f"what changed since scan {first}"


async def test_nothing_changed_lists_nothing(office: Office, repository: GitRepository) -> None:
    registered = await office.register(repository.location)
    await office.whole_scan(registered)
    second = await office.scan(registered)

    assert office.files(second) == {}
    assert await office.bus.consumers() == []


@pytest.mark.parametrize(
    "end", [{"failed": 1}, {"unreached": 1}, {"status": "cancelled"}, {"status": "incomplete"}], ids=str
)
async def test_after_a_scan_that_missed_something_everything_is_listed(
    office: Office, repository: GitRepository, end: dict[str, object]
) -> None:
    registered = await office.register(repository.location)
    await office.whole_scan(registered)
    repository.write(a_dot_py="print(3)\n").commit()
    second = await office.scan(registered)
    await office.complete(second, **end)  # type: ignore[arg-type]
    third = await office.scan(registered)

    assert set(office.files(third)) == {"a.py", "src/b.py"}
    assert office.started(third).base is None
    assert office.started(third).mode_reason.startswith("everything: the last scan did not cover everything")


async def test_what_a_scan_since_the_base_told_of_a_file_that_is_as_before_is_told_anew(
    office: Office, repository: GitRepository
) -> None:
    registered = await office.register(repository.location)
    await office.whole_scan(registered)
    repository.write(a_dot_py="eval(input())\n")
    await office.complete(await office.scan(registered, base="HEAD"))
    repository.git("checkout", "-q", "a.py")
    third = await office.scan(registered)

    assert "a.py" in office.files(third)


async def test_a_file_that_was_excluded_for_one_scan_is_listed_again(office: Office, repository: GitRepository) -> None:
    registered = await office.register(repository.location)
    await office.whole_scan(registered)
    repository.put(".strandline.toml", b'exclude = ["a.py"]\n')
    await office.whole_scan(registered)
    repository.put(".strandline.toml", b"")
    third = await office.scan(registered)

    assert office.files(third)["a.py"] == "listed"


async def test_a_scan_that_was_cancelled_before_it_was_listed_is_no_base(
    office: Office, repository: GitRepository
) -> None:
    registered = await office.register(repository.location)
    ticket = await office.request(registered)
    await office.complete(ticket.scan_id, status="cancelled")
    await office.list(ticket.scan_id)
    scan_id = await office.scan(registered)

    assert office.bus.told(ScanStarted, ticket.scan_id) == []
    assert set(office.files(scan_id)) == {"a.py", "src/b.py"}


async def test_what_changed_since_a_revision_is_no_base_for_later_scans(
    office: Office, repository: GitRepository
) -> None:
    repository.write(a_dot_py="print(3)\n").commit()
    registered = await office.register(repository.location)
    since = await office.whole_scan(registered, base="HEAD~1")
    after = await office.scan(registered)

    assert office.files(since) == {"a.py": "modified"}
    assert office.started(since).mode_reason == "what changed since HEAD~1"
    assert office.files(after) == {"a.py": "listed", "src/b.py": "listed"}


async def test_everything_is_listed_when_asked_for(office: Office, repository: GitRepository) -> None:
    registered = await office.register(repository.location)
    await office.whole_scan(registered)
    repository.git("rm", "-q", "a.py")
    repository.commit()
    full = await office.scan(registered, full=True)

    assert office.files(full) == {"src/b.py": "listed", "a.py": "removed"}
    assert office.started(full).mode_reason == "everything, as asked"


async def test_a_file_that_came_and_went_between_two_covering_scans_is_told_as_removed(
    office: Office, repository: GitRepository
) -> None:
    registered = await office.register(repository.location)
    await office.whole_scan(registered)
    repository.write(brief_dot_py="x = 1\n").commit()
    await office.complete(await office.scan(registered), failed=1)
    repository.git("rm", "-q", "brief.py")
    repository.commit()
    third = await office.scan(registered)
    await office.complete(third, failed=1)
    fourth = await office.scan(registered)

    await office.complete(fourth)
    fifth = await office.scan(registered)
    assert office.files(third)["brief.py"] == office.files(fourth)["brief.py"] == "removed"
    assert office.files(fifth) == {}


async def test_a_file_that_went_before_any_scan_covered_everything_is_told_as_removed(
    office: Office, repository: GitRepository
) -> None:
    registered = await office.register(repository.location)
    await office.complete(await office.scan(registered), failed=1)
    repository.git("rm", "-q", "a.py")
    repository.commit()
    second = await office.scan(registered)

    assert office.files(second) == {"src/b.py": "listed", "a.py": "removed"}
    assert office.started(second).mode_reason == "everything: no scan has covered everything yet"


async def test_rewritten_history_lists_everything_and_says_so(office: Office, repository: GitRepository) -> None:
    registered = await office.register(repository.location)
    await office.whole_scan(registered)
    repository.git("rm", "-q", "a.py")
    repository.git("commit", "-q", "--amend", "-m", "another past")
    second = await office.scan(registered)

    assert office.files(second) == {"src/b.py": "listed", "a.py": "removed"}
    assert office.started(second).mode_reason == "everything: the history was rewritten"


async def test_other_settings_or_another_engine_version_list_everything(
    office: Office, repository: GitRepository
) -> None:
    registered = await office.register(repository.location)
    await office.whole_scan(registered)
    repository.put(".strandline.toml", b'exclude = ["src/**"]\n')
    repository.commit()
    settings = await office.whole_scan(registered)
    office.engines["static"] = "2"
    engine = await office.scan(registered)

    assert office.files(settings)["a.py"] == "listed"
    assert office.files(settings)["src/b.py"] == "skipped: excluded"
    assert set(office.files(engine)) == {"a.py", "src/b.py", ".strandline.toml"}
    assert office.started(engine).mode_reason == "everything: the engine or the settings changed"


async def test_after_scans_by_another_engine_everything_is_listed(office: Office, repository: GitRepository) -> None:
    office.engines["llm"] = "1"
    registered = await office.register(repository.location)
    await office.whole_scan(registered, engine="llm")
    await office.whole_scan(registered, engine="static")
    repository.write(src__b_dot_py="print('b')\n").commit()
    by_model = await office.scan(registered, engine="llm")

    assert set(office.files(by_model)) == {"a.py", "src/b.py"}


async def test_a_lost_mirror_is_made_again_and_what_cannot_be_compared_is_listed_whole(
    office: Office, repository: GitRepository
) -> None:
    repository.write(a_dot_py="print('uncommitted')\n")
    registered = await office.register(repository.location)
    await office.whole_scan(registered)
    (mirror,) = office.mirrors.glob("repository-*.git")
    shutil.rmtree(mirror)
    repository.write(a_dot_py="print('now committed otherwise')\n").commit()
    second = await office.scan(registered)

    assert office.files(second) == {"a.py": "listed", "src/b.py": "listed"}
    assert office.started(second).mode_reason == "everything: the last scanned tree is gone"


async def test_a_crash_between_plan_and_publishing_repeats_the_listing_that_was_planned(
    office: Office, repository: GitRepository
) -> None:
    registered = await office.register(repository.location)
    ticket = await office.request(registered)
    office.bus.facts_left = 0
    with pytest.raises(Died):
        await office.list(ticket.scan_id)
    repository.write(a_dot_py="print('later')\n", later_dot_py="x = 1\n")
    await office.list(ticket.scan_id)

    assert office.files(ticket.scan_id) == {"a.py": "listed", "src/b.py": "listed"}
    (first,) = [fact for fact in office.bus.told(FileQueued) if fact.path == "a.py"]
    assert await office.desk.blobs.get(first.content_hash) == b"print(1)\n"


async def test_a_request_that_is_listed_twice_at_once_is_listed_by_one_plan(
    office: Office, repository: GitRepository
) -> None:
    ticket = await office.request(await office.register(repository.location))
    await asyncio.gather(
        office.list(ticket.scan_id), office.list(ticket.scan_id), office.replica().list(ticket.scan_id)
    )

    assert office.files(ticket.scan_id) == {"a.py": "listed", "src/b.py": "listed"}


async def test_another_replica_takes_over_a_listing_that_was_planned_elsewhere(
    office: Office, repository: GitRepository
) -> None:
    registered = await office.register(repository.location)
    ticket = await office.request(registered)
    office.bus.facts_left = 2
    with pytest.raises(Died):
        await office.list(ticket.scan_id)
    repository.write(a_dot_py="print('later')\n").commit()
    await office.replica().list(ticket.scan_id)

    assert office.files(ticket.scan_id) == {"a.py": "listed", "src/b.py": "listed"}


async def test_a_planned_tree_that_is_nowhere_any_more_ends_the_scan(office: Office, repository: GitRepository) -> None:
    repository.write(a_dot_py="print('uncommitted')\n")
    ticket = await office.request(await office.register(repository.location))
    office.bus.facts_left = 2
    with pytest.raises(Died):
        await office.list(ticket.scan_id)
    repository.git("checkout", "-q", "a.py")
    await office.replica().list(ticket.scan_id)

    (failed,) = office.bus.told(ScanFailed)
    assert failed.reason == "what the scan was to list is in no mirror any more: scan again"


@pytest.mark.parametrize("published", range(1, 6))
async def test_a_crash_in_the_middle_of_publishing_is_made_up_for(
    office: Office, repository: GitRepository, published: int
) -> None:
    repository.write(c_dot_py="x = 1\n", d_dot_py="y = 1\n", e_dot_bin="\0").commit()
    registered = await office.register(repository.location)
    ticket = await office.request(registered)
    office.bus.facts_left = published
    with pytest.raises(Died):
        await office.list(ticket.scan_id)
    repository.git("rm", "-q", "-f", "a.py", "c.py")
    repository.put(".strandline.toml", b'exclude = ["*"]\n')
    repository.commit()
    await office.list(ticket.scan_id)
    await office.list(ticket.scan_id)

    assert office.files(ticket.scan_id) == {
        "a.py": "listed",
        "src/b.py": "listed",
        "c.py": "listed",
        "d.py": "listed",
        "e.bin": "skipped: binary",
    }


async def test_rules_of_the_differ_that_change_in_the_middle_of_publishing_end_the_scan(
    office: Office, repository: GitRepository
) -> None:
    registered = await office.register(repository.location)
    ticket = await office.request(registered)
    office.bus.facts_left = 2
    with pytest.raises(Died):
        await office.list(ticket.scan_id)
    await office.with_rules(Rules(exclude=("a.py",))).list(ticket.scan_id)

    (failed,) = office.bus.told(ScanFailed)
    assert "rules changed" in failed.reason
    assert await office.bus.consumers() == []


async def test_a_listing_that_ends_in_a_halted_scan_pauses_its_queue(office: Office, repository: GitRepository) -> None:
    registered = await office.register(repository.location)
    ticket = await office.request(registered)
    office.states[ticket.scan_id] = "halted"
    await office.list(ticket.scan_id)

    assert [state.paused for state in await office.bus.consumers()] == [True]


async def test_a_crash_before_the_queue_was_brought_into_step_is_made_up_for(
    office: Office, repository: GitRepository
) -> None:
    registered = await office.register(repository.location)
    scan_id = await office.scan(registered)
    office.states[scan_id] = "halted"
    await office.list(scan_id)

    assert [state.paused for state in await office.bus.consumers()] == [True]


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda at: at.put(".strandline.toml", b"max_file_size = true\n"), ".strandline.toml"),
        (lambda at: at.git("checkout", "-q", "--detach") or at.git("branch", "-D", "main"), "no branch 'main'"),
        (lambda at: shutil.rmtree(at.path), "does not exist"),
    ],
    ids=["settings", "branch", "location"],
)
async def test_what_cannot_be_listed_fails_with_a_sentence_and_can_be_scanned_once_it_is_mended(
    office: Office,
    make_repository: Callable[[str], GitRepository],
    spoil: Callable[[GitRepository], object],
    sentence: str,
) -> None:
    place = make_repository("place").start().write(a_dot_py="x = 1\n")
    place.commit()
    registered = await office.register(place.location, branch="main" if "branch" in sentence else None)
    spoil(place)
    if place.path.exists() and "toml" in sentence:
        place.commit()
    failed_id = await office.scan(registered)

    (failed,) = office.bus.told(ScanFailed)
    ticket = await scan_ticket(office.desk, GetScanTicket(scan_id=failed_id))
    assert sentence in failed.reason
    assert (ticket.state, ticket.problem) == ("failed", failed.reason)
    shutil.rmtree(place.path, ignore_errors=True)
    mended = make_repository("place").start().write(a_dot_py="x = 2\n")
    mended.commit()
    again = await office.scan(registered)
    assert office.files(again) == {"a.py": "listed"}


async def test_a_crash_between_failing_and_telling_is_made_up_for(office: Office, repository: GitRepository) -> None:
    registered = await office.register(repository.location, branch="nope")
    ticket = await office.request(registered)
    office.bus.facts_left = 0
    with pytest.raises(Died):
        await office.list(ticket.scan_id)
    await office.list(ticket.scan_id)

    (failed,) = office.bus.told(ScanFailed)
    assert "no branch 'nope'" in failed.reason


async def test_a_fault_of_ours_ends_the_scan_so_that_another_can_begin(
    office: Office, repository: GitRepository
) -> None:
    registered = await office.register(repository.location)
    ticket = await office.request(registered)
    (request,) = office.bus.told(ScanRequested)
    await give_up(office.desk, Delivery(fact=request, subject=request.subject, sequence=1), "KeyError: 'x'")

    (failed,) = office.bus.told(ScanFailed, ticket.scan_id)
    assert "KeyError" in failed.reason
    assert not (await office.request(registered)).joined


async def test_an_engine_that_is_not_there_is_named_with_those_that_are(
    office: Office, repository: GitRepository
) -> None:
    await office.scan(await office.register(repository.location), engine="llm")

    (failed,) = office.bus.told(ScanFailed)
    assert failed.reason == "there is no engine 'llm' here; there are: static"


async def test_a_request_waits_while_too_many_scans_are_active(
    office: Office, repository: GitRepository, make_repository: Callable[[str], GitRepository]
) -> None:
    other = make_repository("other").start().write(x_dot_py="1\n")
    other.commit()
    first = await office.scan(await office.register(repository.location))
    crowded = office.with_limit(1)
    waiting = await office.request(await office.register(other.location))
    with pytest.raises(Retry):
        await crowded.list(waiting.scan_id)
    await office.complete(first)
    await crowded.list(waiting.scan_id)

    assert office.files(waiting.scan_id) == {"x.py": "listed"}


async def test_nothing_is_listed_before_an_analyzer_says_which_engines_there_are(
    office: Office, repository: GitRepository
) -> None:
    ticket = await office.request(await office.register(repository.location))
    office.engines.clear()
    with pytest.raises(Retry):
        await office.list(ticket.scan_id)
    office.engines["static"] = "1"
    await office.list(ticket.scan_id)

    assert office.started(ticket.scan_id).total == 2
