"""What scans have come to: tasks, findings, money, and the facts themselves."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from libs.events.analyzer import SEVERITY_ORDER, Severity
from libs.questions.differ import Repositories, Repository
from libs.questions.ledger import CostReport, CostRow, Scans
from libs.questions.reviewer import Findings, StandingFinding, Tasks
from services.standalone.client import Client, Unreachable
from services.standalone.commands.reach import USAGE, Place, Stop, data_option, pages, reach, runs
from services.standalone.show.money import dollars
from services.standalone.show.report import SEVERITY_COLOURS, finding_document, print_tasks
from services.standalone.show.safe import safe
from services.standalone.show.table import print_table
from services.standalone.show.terminal import results_console


class Moment(click.ParamType[str]):
    """A sequence number or a time, as the API takes them."""

    name = "MOMENT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return value if value.isdecimal() else datetime.fromisoformat(value).astimezone().isoformat()
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is neither a sequence number nor a time like 2026-11-22T14:30", param, ctx)


@click.command()
@click.argument("repository", required=False)
@click.option("--json", "json_output", is_flag=True)
@data_option
@runs
async def tasks(place: Place, repository: str | None, json_output: bool) -> None:
    """The task queue of a repository, in the order in which it is best worked."""
    async with reach(place) as client:
        chosen = await pick_repository(client, repository)

        async def page(cursor: str | None) -> Tasks:
            return await client.ask(Tasks, "GET", f"/repositories/{chosen.id}/tasks", params=_page(cursor))

        listed = await pages(page, "tasks")
    if json_output:
        click.echo(json.dumps([task.model_dump(mode="json") for task in listed], indent=1))
    else:
        print_tasks(results_console(), listed)


@click.command()
@click.argument("repository", required=False)
@click.option("--severity", type=click.Choice([severity.value for severity in Severity]), help="This severe or worse.")
@click.option("--path", "path_prefix", default="", help="Only paths that start so.")
@click.option("--json", "json_output", is_flag=True)
@data_option
@runs
async def findings(
    place: Place, repository: str | None, severity: str | None, path_prefix: str, json_output: bool
) -> None:
    """The findings that stand in a repository, the worst first."""
    wanted = SEVERITY_ORDER[: SEVERITY_ORDER.index(Severity(severity)) + 1] if severity else ()
    async with reach(place) as client:
        chosen = await pick_repository(client, repository)

        async def page(cursor: str | None) -> Findings:
            parameters = {**_page(cursor), "path_prefix": path_prefix, "severity": list(wanted)}
            return await client.ask(Findings, "GET", f"/repositories/{chosen.id}/findings", params=parameters)

        listed: list[StandingFinding] = await pages(page, "findings")
    if json_output:
        click.echo(json.dumps([finding_document(item) for item in listed], indent=1))
    else:
        _print_findings(listed)


@click.command()
@click.option(
    "--by", type=click.Choice(["day", "week", "month", "repository", "scan", "model", "stage", "file"]), default="scan"
)
@click.option("--json", "json_output", is_flag=True)
@data_option
@runs
async def cost(place: Place, by: str, json_output: bool) -> None:
    """What was spent, and on what."""
    async with reach(place) as client:
        report = await client.ask(CostReport, "GET", "/cost", params={"by": by})
    if json_output:
        click.echo(report.model_dump_json(indent=1))
        return
    figures = ("files", "tokens", "cost", "of it presumed", "saved")
    rows = [_cost_row(row) for row in (*report.rows, report.total)]
    print_table(results_console(), (*figures, by), rows, right=figures)


def _cost_row(row: CostRow) -> tuple[str, ...]:
    money = (dollars(row.ticks), dollars(row.presumed_ticks), dollars(row.saved_ticks))
    return (f"{row.files:,}", f"{row.tokens:,}", *money, safe(row.group))


@click.command()
@click.option("--since", type=Moment(), help="A time (ISO 8601) or a sequence number to start at.")
@click.option("--from-start", is_flag=True, help="Everything the stream still has, then what comes.")
@click.option("--scan", "scan_id", help="Only this scan's facts.")
@data_option
@runs
async def events(place: Place, since: str | None, from_start: bool, scan_id: str | None) -> None:
    """Follow the facts live, one JSON document a line."""
    if from_start and since:
        raise click.UsageError("--from-start and --since exclude each other")
    parameters: dict[str, Any] = {"scan_id": scan_id} if scan_id else {}
    start = "1" if from_start else since
    while True:
        if start is not None:
            parameters["since"] = start
        async with (
            reach(place, analysing=True) as client,
            contextlib.aclosing(client.events("/events", **parameters)) as facts,
        ):
            try:
                async for name, sequence, data in facts:
                    click.echo(json.dumps({"sequence": int(sequence), "type": name, "fact": json.loads(data)}))
                    start = str(int(sequence) + 1)
            except Unreachable:
                if place.url:
                    raise


async def pick_repository(client: Client, named: str | None) -> Repository:
    """The repository of that id or location; the only one, or the one scanned last, where none is named."""
    known = (await client.ask(Repositories, "GET", "/repositories")).repositories
    if not known:
        raise Stop("no repository is registered yet: strandline scan PATH|URL", code=USAGE)
    if named is None:
        return await _scanned_last(client, known)
    places = {named, str(Path(named).expanduser().resolve())}  # noqa: ASYNC240  one look at the disk
    meant = [repository for repository in known if repository.id == named]
    meant = meant or [repository for repository in known if repository.location in places]
    if not meant:
        raise Stop(f"no repository {named} is registered; `strandline repos list` shows those that are", code=USAGE)
    return await _scanned_last(client, meant)


async def _scanned_last(client: Client, among: Sequence[Repository]) -> Repository:
    """Of several, the one whose scan was the last to have a result: a path can be there with several branches."""
    if len(among) == 1:
        return among[0]
    by_id = {repository.id: repository for repository in among}
    for scan in (await client.ask(Scans, "GET", "/scans", params={"limit": 500})).scans:
        if scan.repository_id in by_id and scan.status not in (None, "failed"):
            return by_id[scan.repository_id]
    return max(among, key=lambda repository: repository.last_scan_id or "")


def _print_findings(listed: Sequence[StandingFinding]) -> None:
    console = results_console()
    for item in listed:
        found = item.finding
        line = Text(f"{found.severity:8} ", style=SEVERITY_COLOURS[found.severity])
        line.append(f"{safe(item.path)}:{found.start_line}", style="bold").append(f" {safe(found.title)} ")
        console.print(line.append(safe(found.rule), style="dim"), soft_wrap=True)
    console.print(Text(f"{len(listed):,} findings", style="dim"))


def _page(cursor: str | None) -> dict[str, Any]:
    return {"limit": 500, **({"cursor": cursor} if cursor else {})}
