"""``strandline scan``: a repository in, a task list out."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import click

from libs.events.analyzer import SEVERITY_ORDER, Severity
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
from services.standalone.show.safe import safe
from services.standalone.show.terminal import results_console
from services.standalone.show.views import View, view_for

GATE_FAILED = 1
TRY_AGAIN = 1.0
MOST_TRIES = 300
"""Five minutes for a deployment elsewhere to come back."""


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
    _check_wish(wish, branch)
    wish = {name: value for name, value in wish.items() if value not in (None, False)}
    begin = partial(_request, {"location": absolute_location(location), "branch": branch}, wish)
    report = await follow_to_report(place, begin, json_output=json_output)
    finish_with(report, json_output=json_output, fail_on=fail_on)


def _check_wish(wish: dict[str, Any], branch: str | None) -> None:
    if wish["full"] and wish["base"] is not None:
        raise click.UsageError("--full lists everything and --base what changed since REV: give one of them")
    if wish["base"] == "" or branch == "":
        raise click.UsageError("--base and --branch need a name")


def finish_with(report: Report, *, json_output: bool = False, fail_on: str | None = None) -> None:
    """Print what the scan came to, and exit as it deserves."""
    if json_output:
        click.echo(json.dumps(as_document(report), indent=1))
    else:
        print_report(results_console(), report)
    sys.stdout.flush()
    _exit(report, fail_on)


def _exit(report: Report, fail_on: str | None) -> None:
    failing = worst_at_or_above(report.findings, Severity(fail_on)) if fail_on else []
    if failing:
        worse = "" if fail_on == SEVERITY_ORDER[0] else " or worse"
        raise Stop(f"gate: {len(failing)} findings of severity {fail_on}{worse}", code=GATE_FAILED)
    if report.progress.status != "complete":
        coverage = report.progress.coverage
        raise Stop(f"incomplete: {coverage.failed} failed, {coverage.unreached} unreached", code=INCOMPLETE)
    if not report.progress.coverage.total and not report.review.files:
        raise Stop(f"{safe(report.progress.repository)} has no files: there is nothing to scan")


async def follow_to_report(
    place: Place, begin: Callable[[Client, View], Awaitable[Followed]], *, json_output: bool = False
) -> Report:
    """Follow a scan to its end, with another deployment whenever the one in use goes away.

    Raises:
        Stop: it waits for a person, or cannot be done.
        Unreachable: the deployment at ``--url`` was away for too long, or was never there.
    """
    followed: Followed | None = None
    view = view_for(json_output=json_output)
    outage = Outage(remote=place.url is not None)
    try:
        while True:
            try:
                async with reach(place, analysing=True) as client:
                    followed = followed or await begin(client, view)
                    outage.over()
                    await follow_scan(client, followed, view)
                    if followed.review is not None:
                        return await _report(client, followed)
            except Unreachable as gone:
                await outage.wait(gone, view, begun=followed is not None)
    except ListingFailed as failure:
        raise Stop(str(failure)) from None
    except Halted as halt:
        raise Stop(_how_to_go_on(halt.progress)) from None
    finally:
        view.close()


class Outage:
    """How long to wait for a deployment that went away, and what to say of it."""

    def __init__(self, *, remote: bool) -> None:
        self._remote = remote
        self._tries = 0

    def over(self) -> None:
        self._tries = 0

    async def wait(self, gone: Unreachable, view: View, *, begun: bool) -> None:
        """Returns when it is time to try again; raises ``gone`` where that is no use."""
        self._tries += 1
        if self._tries > (MOST_TRIES if begun or not self._remote else 1):
            raise gone
        own = gone.gone and not self._remote
        if self._tries == 1 and begun:
            view.say("the process that ran the scan is gone; going on" if own else f"waiting: {gone}")
        await asyncio.sleep(0 if own else TRY_AGAIN)


async def _request(where: dict[str, Any], wish: dict[str, Any], client: Client, view: View) -> Followed:
    repository = await client.ask(Repository, "POST", "/repositories", json=where)
    ticket = await client.ask(ScanTicket, "POST", f"/repositories/{repository.id}/scans", json=wish)
    followed = Followed(scan_id=ticket.scan_id)
    if ticket.joined:
        await _join(client, followed, wish, view)
    return followed


async def _join(client: Client, followed: Followed, wish: dict[str, Any], view: View) -> None:
    """A scan under way lists what it listed; of what is wished for now only the budget can still be had."""
    if "budget_ticks" in wish:
        budget = {"budget_ticks": wish["budget_ticks"]}
        await client.ask(Progress, "POST", f"/scans/{followed.scan_id}/resume", json=budget)
    view.say(f"joined scan {followed.scan_id}, which was under way: edits since it began wait for the next scan")
    if ignored := sorted(f"--{name}" for name in wish if name != "budget_ticks" and wish[name] != "auto"):
        view.say(f"warning: {', '.join(ignored)} cannot change it; `strandline cancel {followed.scan_id}` ends it")
    await join_scan(client, followed, view)


async def _report(client: Client, followed: Followed) -> Report:
    assert followed.review is not None
    root = f"/repositories/{followed.review.repository_id}"

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
    if "budget" in progress.halt_reason:
        mend = f"{mend} with `--budget USD`, `strandline finish {progress.scan_id}` ends it"
    return f"halted ({progress.halt_reason}): {spent}; {mend}"
