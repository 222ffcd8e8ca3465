"""``strandline repos``: what is registered, and how often it is scanned."""

from __future__ import annotations

from typing import Any

import click

from libs.questions.differ import Repositories, Repository
from services.standalone.commands.reach import Place, absolute_location, data_option, reach, runs
from services.standalone.commands.results import pick_repository
from services.standalone.commands.scan import Dollars
from services.standalone.show.money import dollars
from services.standalone.show.safe import safe
from services.standalone.show.table import print_table
from services.standalone.show.terminal import results_console

ENGINES = click.Choice(["static", "llm", "auto"])


@click.group()
def repos() -> None:
    """Registered repositories."""


@repos.command("add")
@click.argument("location")
@click.option("--branch")
@click.option("--every", "interval_seconds", type=click.IntRange(min=60), metavar="SECONDS", help="Scan so often.")
@click.option("--budget", "budget_ticks", type=Dollars(), metavar="USD", help="The most one scan may spend.")
@click.option("--engine", type=ENGINES, default="auto")
@data_option
@runs
async def add(place: Place, location: str, **wish: Any) -> None:
    """Register a repository without scanning it now."""
    body = {"location": absolute_location(location)}
    body |= {name: value for name, value in wish.items() if value is not None}
    async with reach(place) as client:
        repository = await client.ask(Repository, "POST", "/repositories", json=body)
    click.echo(repository.id)


@repos.command("list")
@click.option("--json", "json_output", is_flag=True)
@data_option
@runs
async def list_(place: Place, json_output: bool) -> None:
    """What is registered."""
    async with reach(place) as client:
        answer = await client.ask(Repositories, "GET", "/repositories")
    if json_output:
        click.echo(answer.model_dump_json(indent=1))
        return
    if not answer.repositories:
        click.echo("No repositories yet: strandline repos add PATH|URL")
        return
    columns = ("id", "on", "every", "budget", "engine", "last scan", "branch", "location")
    print_table(results_console(), columns, [_row(repository) for repository in answer.repositories])


def _row(repository: Repository) -> tuple[str, ...]:
    return (
        repository.id,
        "yes" if repository.enabled else "no",
        f"{repository.interval_seconds} s" if repository.interval_seconds else "",
        dollars(repository.budget_ticks, places=2) if repository.budget_ticks is not None else "",
        repository.engine,
        repository.last_scan_id or "",
        safe(repository.branch or ""),
        safe(repository.location),
    )


@repos.command("set")
@click.argument("repository")
@click.option("--every", "interval_seconds", type=click.IntRange(min=0), metavar="SECONDS", help="0: only when asked.")
@click.option("--budget", "budget_ticks", type=Dollars(), metavar="USD")
@click.option("--engine", type=ENGINES)
@click.option("--on/--off", "enabled", default=None)
@data_option
@runs
async def set_(place: Place, repository: str, **wish: Any) -> None:
    """Change a repository's settings; those that are not named stay."""
    body = {name: value for name, value in wish.items() if value is not None}
    if not body:
        raise click.UsageError("name a setting to change: --every, --budget, --engine, --on or --off")
    async with reach(place) as client:
        chosen = await pick_repository(client, repository)
        await client.ask(Repository, "PATCH", f"/repositories/{chosen.id}", json=body)


@repos.command("remove")
@click.argument("repository")
@data_option
@runs
async def remove(place: Place, repository: str) -> None:
    """Forget a repository and its mirror; published facts stay."""
    async with reach(place) as client:
        chosen = await pick_repository(client, repository)
        await client.ask(Repository, "DELETE", f"/repositories/{chosen.id}")
    click.echo(f"removed {chosen.id}")
