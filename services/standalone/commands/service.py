"""Running as a service, and finding out what is wrong: ``up`` and ``doctor``."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys

import click

from libs.events.envelope import Model
from libs.questions.analyzer import Engines
from services.standalone.client import ApiProblem, Unreachable
from services.standalone.commands.reach import INCOMPLETE, Place, Stop, data_option, reach, runs
from services.standalone.show.safe import safe

LEAST_FREE = 512 * 2**20
OLDEST_GIT = (2, 31)


@click.command()
@data_option
@runs
async def up(place: Place) -> None:
    """Run as a service until stopped: the scheduler and all services."""
    if place.url:
        raise click.UsageError("`up` runs a deployment here; it cannot be used with --url")
    # Imported here: what serves HTTP takes a fifth of a second to import, and other commands do not need it.
    from libs.runtime.serve import stop_signal

    stopping = stop_signal()
    async with reach(place, analysing=True):
        click.echo(f"strandline runs on {place.data}; stop it with Ctrl-C", err=True)
        await stopping.wait()


class SystemView(Model):
    """What ``doctor`` reads of the system's description."""

    services: dict[str, str]
    engines: Engines | None
    last_sequence: int
    dead_letters: list[dict[str, object]]


@click.command()
@data_option
@runs
async def doctor(place: Place) -> None:
    """What is configured, what answers, and what is wrong, with the mend."""
    faults = _check_machine() + _check_place(place)
    try:
        async with reach(place) as client:
            system = await client.ask(SystemView, "GET", "/system")
    except (Stop, Unreachable, ApiProblem) as error:
        said = error.format_message() if isinstance(error, Stop) else str(error)
        _line(False, "deployment", said)
        raise Stop("something is wrong, see above", code=INCOMPLETE) from None
    _line(True, "deployment", place.url or f"embedded, in {place.data}")
    for service, fault in system.services.items():
        idle = service == "analyzer" and bool(fault) and not place.url
        _line(not fault or idle, service, "starts with a scan" if idle else fault or "answers")
        faults += bool(fault) and not idle
    for engine, version in (system.engines.engines if system.engines else {}).items():
        _line(True, "engine", f"{engine} {version}")
    for engine, problem in (system.engines.problems if system.engines else {}).items():
        _line(True, "engine", f"{engine} cannot be used: {problem}")
    dead = len(system.dead_letters)
    _line(not dead, "dead letters", f"{dead}, the last: {safe(_last_words(system))}" if dead else "none")
    _line(True, "stream", f"{system.last_sequence} facts so far")
    if faults:
        raise Stop("something is wrong, see above", code=INCOMPLETE)


def _last_words(system: SystemView) -> str:
    dead = system.dead_letters[0]
    return f"{dead.get('subject')} by {dead.get('consumer')}: {dead.get('reason')}"


def _check_place(place: Place) -> int:
    """Whether there is room for what a scan keeps; nothing to check for a deployment elsewhere."""
    if place.url:
        return 0
    there = next(path for path in (place.data.absolute(), *place.data.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    fine = free >= LEAST_FREE
    _line(fine, "disk", f"{free / 2**30:.1f} GiB free" + ("" if fine else f"; make room on the disk of {there}"))
    return 0 if fine else 1


def _check_machine() -> int:
    _line(sys.version_info >= (3, 11), "python", platform.python_version())
    git = shutil.which("git")
    version = _git_version(git) if git else ()
    fine = version >= OLDEST_GIT
    wanted = ".".join(map(str, OLDEST_GIT))
    _line(fine, "git", ".".join(map(str, version)) if fine else f"{wanted} or newer is needed; install git")
    return 0 if fine else 1


def _git_version(git: str) -> tuple[int, ...]:
    said = subprocess.run([git, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    numbers = (said.split() or [""])[2:3]
    return tuple(int(part) for part in (numbers[0].split(".") if numbers else []) if part.isdigit())


def _line(fine: bool, what: str, said: str) -> None:
    click.echo(f"{'ok ' if fine else 'BAD'}  {what:14} {said}")
