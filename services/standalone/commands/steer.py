"""A person's word on scans: how they are, pause, resume, cancel, finish, review again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import click

from libs.events.reviewer import ReviewCompleted
from libs.questions.ledger import Progress, Scans
from services.standalone.client import Client
from services.standalone.commands.reach import Place, data_option, reach, runs
from services.standalone.commands.scan import Dollars, finish_with, follow_to_report
from services.standalone.following import Followed, join_scan
from services.standalone.show.money import dollars
from services.standalone.show.safe import safe
from services.standalone.show.table import print_table
from services.standalone.show.terminal import results_console
from services.standalone.show.views import View


class ScanId(click.ParamType[str]):
    """A scan's id as ``strandline status`` shows it."""

    name = "SCAN_ID"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,80}", value):
            self.fail(f"{value!r} is no scan id; `strandline status` shows those there are", param, ctx)
        return str(value)


@click.command()
@click.argument("scan_id", type=ScanId(), required=False)
@click.option("--json", "json_output", is_flag=True)
@data_option
@runs
async def status(place: Place, scan_id: str | None, json_output: bool) -> None:
    """How a scan stands, or the latest scans."""
    async with reach(place) as client:
        if scan_id:
            scans = [await client.ask(Progress, "GET", f"/scans/{scan_id}")]
        else:
            scans = (await client.ask(Scans, "GET", "/scans", params={"limit": 20})).scans
    if json_output:
        click.echo(Scans(scans=scans).model_dump_json(indent=1))
    elif not scans:
        click.echo("No scans yet: strandline scan PATH|URL")
    else:
        _print_scans(scans)


@click.command()
@click.argument("scan_id", type=ScanId())
@data_option
@runs
async def pause(place: Place, scan_id: str) -> None:
    """Hand out no further files of a scan; those in hand are finished."""
    async with reach(place) as client:
        _say(await client.ask(Progress, "POST", f"/scans/{scan_id}/pause"))


@click.command()
@click.argument("scan_id", type=ScanId())
@click.option("--budget", "budget_ticks", type=Dollars(), metavar="USD", help="Another budget for the scan.")
@data_option
@runs
async def resume(place: Place, scan_id: str, budget_ticks: int | None) -> None:
    """Go on with a halted scan, and follow it to its end."""
    body = {} if budget_ticks is None else {"budget_ticks": budget_ticks}

    async def begin(client: Client, view: View) -> Followed:
        await client.ask(Progress, "POST", f"/scans/{scan_id}/resume", json=body)
        followed = Followed(scan_id=scan_id)
        await join_scan(client, followed, view)
        return followed

    finish_with(await follow_to_report(place, begin))


@click.command()
@click.argument("scan_id", type=ScanId())
@data_option
@runs
async def cancel(place: Place, scan_id: str) -> None:
    """End a scan; what was not reached stays unreached."""
    async with reach(place) as client:
        _say(await client.ask(Progress, "POST", f"/scans/{scan_id}/cancel"))


@click.command()
@click.argument("scan_id", type=ScanId())
@data_option
@runs
async def finish(place: Place, scan_id: str) -> None:
    """Complete a halted scan as it is; its review is marked partial."""
    async with reach(place) as client:
        _say(await client.ask(Progress, "POST", f"/scans/{scan_id}/finish"))


@click.command()
@click.argument("scan_id", type=ScanId())
@data_option
@runs
async def review(place: Place, scan_id: str) -> None:
    """Make a scan's review again."""
    async with reach(place) as client:
        made = await client.ask(ReviewCompleted, "POST", f"/scans/{scan_id}/review")
    click.echo(safe(made.summary))
    click.echo(f"{made.tasks} tasks: strandline tasks {made.repository_id}")


def _say(progress: Progress) -> None:
    click.echo(
        f"scan {progress.scan_id}: {progress.status or progress.state}, "
        f"{progress.accounted}/{progress.coverage.total} files, {dollars(progress.settled_ticks)}"
    )


def _print_scans(scans: Sequence[Progress]) -> None:
    columns = ("scan", "requested", "files", "cost", "state", "repository", "")
    print_table(results_console(), columns, [_row(progress) for progress in scans], right={"files", "cost"})


def _row(progress: Progress) -> tuple[str, ...]:
    return (
        progress.scan_id,
        progress.requested_at.strftime("%Y-%m-%d %H:%M:%S") if progress.requested_at else "",
        f"{progress.accounted}/{progress.coverage.total}",
        dollars(progress.settled_ticks),
        progress.status or progress.state,
        safe(progress.repository or progress.repository_id),
        safe(progress.halt_reason),
    )
