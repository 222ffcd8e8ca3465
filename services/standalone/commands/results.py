"""What scans have come to: tasks, findings, money, and the facts themselves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from libs.events.analyzer import SEVERITY_ORDER, Severity
from libs.questions.differ import Repositories, Repository
from libs.questions.ledger import CostReport
from libs.questions.reviewer import Findings, StandingFinding, Tasks
from services.standalone.client import Client
from services.standalone.commands.reach import USAGE, Place, Stop, data_option, pages, reach, runs
from services.standalone.show.money import dollars
from services.standalone.show.report import finding_document, print_tasks
from services.standalone.show.safe import safe
from services.standalone.show.terminal import results_console


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
        click.echo(json.dumps([task.model_dump(mode="json") for task in listed], ensure_ascii=False, indent=1))
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
        click.echo(json.dumps([finding_document(item) for item in listed], ensure_ascii=False, indent=1))
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
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in (by, "files", "tokens", "cost", "of it presumed", "saved"):
        table.add_column(column, justify="left" if column == by else "right")
    for row in (*report.rows, report.total):
        money = (dollars(row.ticks), dollars(row.presumed_ticks), dollars(row.saved_ticks))
        table.add_row(escape(safe(row.group)), f"{row.files:,}", f"{row.tokens:,}", *money)
    results_console().print(table)


@click.command()
@click.option("--since", help="A time (ISO 8601) or a sequence number to start at.")
@click.option("--from-start", is_flag=True, help="Everything the stream still has, then what comes.")
@click.option("--scan", "scan_id", help="Only this scan's facts.")
@data_option
@runs
async def events(place: Place, since: str | None, from_start: bool, scan_id: str | None) -> None:
    """Follow the facts live, one JSON document a line."""
    parameters: dict[str, Any] = {}
    if from_start or since:
        parameters["since"] = "1" if from_start else since
    if scan_id:
        parameters["scan_id"] = scan_id
    async with reach(place, analysing=True) as client:
        async for name, sequence, data in client.events("/events", **parameters):
            click.echo(json.dumps({"sequence": int(sequence), "type": name, "fact": json.loads(data)}))


async def pick_repository(client: Client, named: str | None) -> Repository:
    """The repository of that id or location; the only one, or the one scanned last, where none is named."""
    known = (await client.ask(Repositories, "GET", "/repositories")).repositories
    if not known:
        raise Stop("no repository is registered yet: strandline scan PATH|URL", code=USAGE)
    if named is None:
        return max(known, key=lambda repository: repository.last_scan_id or "")
    places = {named, str(Path(named).expanduser().resolve())}  # noqa: ASYNC240  one look at the disk
    for repository in known:
        if repository.id == named or repository.location in places:
            return repository
    raise Stop(f"no repository {named}; there are: {', '.join(repository.id for repository in known)}", code=USAGE)


def _print_findings(listed: Sequence[StandingFinding]) -> None:
    console = results_console()
    for item in listed:
        found = item.finding
        place = f"{safe(item.path)}:{found.start_line}"
        console.print(f"[bold]{found.severity:8}[/] {escape(place)} {escape(safe(found.title))} [dim]{found.rule}[/]")
    console.print(f"{len(listed)} findings", style="dim")


def _page(cursor: str | None) -> dict[str, Any]:
    return {"limit": 500, **({"cursor": cursor} if cursor else {})}
