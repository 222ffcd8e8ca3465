"""``strandline scan``: a repository in, a task list out."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from libs.events.analyzer import Severity
from libs.questions.differ import Repository, ScanTicket
from libs.questions.ledger import Progress
from libs.questions.reviewer import Findings, Tasks
from services.standalone.client import Client, Unreachable
from services.standalone.commands.reach import (
    INCOMPLETE,
    Place,
    Stop,
    absolute_location,
    data_option,
    pages,
    reach,
    runs,
)
from services.standalone.following import Followed, Halted, ListingFailed, follow_scan, join_scan
from services.standalone.show.money import dollars, ticks_of
from services.standalone.show.report import Report, as_document, print_report, worst_at_or_above
from services.standalone.show.terminal import results_console
from services.standalone.show.views import View, view_for

GATE_FAILED = 1


class Dollars(click.ParamType[int]):
    """An amount as typed, in ticks."""

    name = "USD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return ticks_of(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@click.argument("location")
@click.option("--branch", help="A branch; without it a local work tree is scanned as it is on disk.")
@click.option("--full", is_flag=True, help="List every file, not only what changed since the last scan.")
@click.option("--base", metavar="REV", help="List what changed since this revision.")
@click.option("--engine", type=click.Choice(["static", "llm", "auto"]), default="auto", show_default=True)
@click.option("--budget", "budget_ticks", type=Dollars(), metavar="USD", help="The most this scan may spend.")
@click.option("--json", "json_output", is_flag=True, help="One JSON document on standard output.")
@click.option(
    "--fail-on",
    type=click.Choice([severity.value for severity in Severity]),
    help="Exit 1 when a finding this severe stands.",
)
@click.option("--parallel", type=click.IntRange(1, 4096), metavar="N", help="Files in hand at once.")
@data_option
@runs
async def scan(
    place: Place, location: str, branch: str | None, json_output: bool, fail_on: str | None, **wish: Any
) -> None:
    """Scan the repository at LOCATION, a path or an address, and print its task list.

    Exit status: 0 clean or below the gate, 1 gate failed, 2 incomplete, 64 usage.
    """
    wish = {name: value for name, value in wish.items() if value not in (None, False)}
    report = await _scan(
        place, {"location": absolute_location(location), "branch": branch}, wish, json_output=json_output
    )
    if json_output:
        json.dump(as_document(report), sys.stdout, ensure_ascii=False, indent=1)
        sys.stdout.write("\n")
    else:
        print_report(results_console(), report)
    sys.stdout.flush()
    _exit(report, fail_on)


def _exit(report: Report, fail_on: str | None) -> None:
    failing = worst_at_or_above(report.findings, Severity(fail_on)) if fail_on else []
    if failing:
        raise Stop(f"gate: {len(failing)} findings of severity {fail_on} or worse", code=GATE_FAILED)
    if report.progress.status != "complete":
        coverage = report.progress.coverage
        raise Stop(f"incomplete: {coverage.failed} failed, {coverage.unreached} unreached", code=INCOMPLETE)


async def _scan(place: Place, where: dict[str, Any], wish: dict[str, Any], *, json_output: bool) -> Report:
    """Follow the scan to its end, starting another deployment whenever the one in use goes away."""
    followed: Followed | None = None
    view = view_for(json_output=json_output)
    try:
        while True:
            try:
                async with reach(place, analysing=True) as client:
                    repository = await client.ask(Repository, "POST", "/repositories", json=where)
                    followed = followed or await _request(client, repository, wish, view)
                    await follow_scan(client, followed, view)
                    if followed.review is not None:
                        return await _report(client, repository.id, followed)
            except Unreachable:
                if place.url or followed is None:
                    raise
                view.say("the process that ran the scan is gone; going on in this one")
    except ListingFailed as failure:
        raise Stop(str(failure)) from None
    except Halted as halt:
        raise Stop(_how_to_go_on(halt.progress)) from None
    finally:
        view.close()


async def _request(client: Client, repository: Repository, wish: dict[str, Any], view: View) -> Followed:
    ticket = await client.ask(ScanTicket, "POST", f"/repositories/{repository.id}/scans", json=wish)
    followed = Followed(scan_id=ticket.scan_id)
    if ticket.joined:
        await join_scan(client, followed, view)
    return followed


async def _report(client: Client, repository_id: str, followed: Followed) -> Report:
    assert followed.review is not None
    root = f"/repositories/{repository_id}"

    async def tasks(cursor: str | None) -> Tasks:
        return await client.ask(Tasks, "GET", f"{root}/tasks", params=_page(cursor))

    async def findings(cursor: str | None) -> Findings:
        return await client.ask(Findings, "GET", f"{root}/findings", params=_page(cursor))

    return Report(
        progress=await client.ask(Progress, "GET", f"/scans/{followed.scan_id}"),
        review=followed.review,
        tasks=await pages(tasks, "tasks"),
        findings=await pages(findings, "findings"),
    )


def _page(cursor: str | None) -> dict[str, Any]:
    return {"limit": 500, **({"cursor": cursor} if cursor else {})}


def _how_to_go_on(progress: Progress) -> str:
    unreached = progress.coverage.total - progress.accounted
    spent = f"{dollars(progress.settled_ticks)} spent, {unreached} files wait"
    mend = f"`strandline resume {progress.scan_id}` goes on"
    if progress.halt_reason.startswith("budget"):
        mend = f"{mend} with `--budget USD`, `strandline finish {progress.scan_id}` ends it"
    return f"halted ({progress.halt_reason}): {spent}; {mend}"


async def follow_to_the_end(client: Client, scan_id: str) -> None:
    """Follow a scan that is under way, as ``scan`` does, and print its page."""
    view = view_for(json_output=False)
    followed = Followed(scan_id=scan_id)
    try:
        await join_scan(client, followed, view)
        await follow_scan(client, followed, view)
    except Halted as halt:
        raise Stop(_how_to_go_on(halt.progress)) from None
    finally:
        view.close()
    progress = await client.ask(Progress, "GET", f"/scans/{scan_id}")
    report = await _report(client, progress.repository_id, followed)
    print_report(results_console(), report)
    _exit(report, None)
