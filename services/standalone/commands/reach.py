"""How a command reaches a deployment: at ``STRANDLINE_URL``, the holder of the data directory, or one of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click
import platformdirs
import structlog
import uvloop

from services.standalone.client import ApiProblem, Client, Unreachable
from services.standalone.embedded.failure import EmbeddedFailed

log = structlog.get_logger(__name__)

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

USAGE = 64
INCOMPLETE = 2
INTERRUPTED = 130
HOLDER_PATIENCE = 20.0
"""Seconds that a holder of the data directory gets to start or to die."""
HOLDERS = 3
"""One after the other they may go away just when we want to join them."""
ANSWER_PATIENCE = 10.0
"""Seconds that a holder whose socket is open gets to answer at all."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the deployment is. ``url`` wins over ``data``."""

    data: Path
    url: str | None = None


class Stop(click.ClickException):
    """One clear sentence on standard error, and the exit code that goes with it."""

    def __init__(self, message: str, *, code: int = INCOMPLETE) -> None:
        super().__init__(message)
        vars(self)["exit_code"] = code  # click declares it for the class and reads it from the instance

    def show(self, file: Any = None) -> None:
        click.echo(f"strandline: {self.format_message()}", err=True)


def data_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds ``--data-dir`` and turns it, with ``STRANDLINE_URL``, into the argument ``place``."""

    @click.option(
        "--data-dir",
        type=click.Path(path_type=Path),
        envvar="STRANDLINE_DATA_DIR",
        default=lambda: Path(platformdirs.user_data_dir("strandline")),
        show_default="the platform's data directory",
        help="Where state lives.",
    )
    @click.option("--url", envvar="STRANDLINE_URL", help="A running deployment's console, instead of a local one.")
    @wraps(function)
    def with_place(*arguments: Any, data_dir: Path, url: str | None, **options: Any) -> Any:
        return function(*arguments, place=Place(data=data_dir, url=url), **options)

    return with_place


def runs(function: Callable[Parameters, Coroutine[Any, Any, Result]]) -> Callable[Parameters, Result]:
    """Makes a plain command of an asynchronous one, and sentences of what may go wrong anywhere."""

    @wraps(function)
    def run(*arguments: Parameters.args, **options: Parameters.kwargs) -> Result:
        try:
            return uvloop.run(function(*arguments, **options))
        except ApiProblem as problem:
            raise Stop(str(problem), code=USAGE if problem.status in (404, 422) else INCOMPLETE) from None
        except (Unreachable, EmbeddedFailed) as problem:
            raise Stop(str(problem)) from None
        except KeyboardInterrupt:
            raise Stop("interrupted; the same command goes on where it was", code=INTERRUPTED) from None
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except Exception as bug:
            log.debug("command_failed", exc_info=True)
            told = f"{type(bug).__name__}: {bug}".split("\n", 1)[0]
            raise Stop(f"this is a bug in strandline: {told}; `strandline --log-level debug …` shows more") from None

    return run


@contextlib.asynccontextmanager
async def reach(place: Place, *, analysing: bool = False) -> AsyncIterator[Client]:
    """A client of the deployment. Starts one in this process where none runs on the data directory.

    ``analysing``: one that is started here also analyses; otherwise it only answers.
    """
    async with contextlib.AsyncExitStack() as stack:
        if place.url:
            client = Client.to_url(place.url)
        else:
            client = Client.over_socket(await _local_socket(stack, place, analysing=analysing))
        stack.push_async_callback(client.close)
        yield client


async def _local_socket(stack: contextlib.AsyncExitStack, place: Place, *, analysing: bool) -> str:
    # Imported here: a client of a remote deployment needs neither servers nor services.
    from services.standalone.deployment import open_deployment
    from services.standalone.embedded.directory import Held, hold_directory

    stuck = Stop("")
    for _ in range(HOLDERS):
        try:
            holding = await stack.enter_async_context(hold_directory(place.data, patience=HOLDER_PATIENCE))
        except Held as held:
            stuck = Stop(f"{held}, which does not answer; stop that process, or name another --data-dir")
            if held.socket is None:
                break
            if await _serves(held.socket, stuck=stuck):
                return str(held.socket)
            continue
        await stack.enter_async_context(open_deployment(holding, analysing=analysing))
        return str(holding.socket)
    raise stuck


async def _serves(socket: Path, *, stuck: Stop) -> bool:
    """Whether somebody is there; not when the holder has just gone. Any answer will do, the question is an empty one.

    Raises:
        Stop: it takes connections, or lives, and says nothing.
    """
    client = Client.over_socket(str(socket))
    try:
        async with asyncio.timeout(ANSWER_PATIENCE):
            await client.send("GET", "")
    except ApiProblem:
        return True
    except Unreachable:
        return False
    except TimeoutError:
        raise stuck from None
    finally:
        await client.close()
    return True


async def pages(fetch: Callable[[str | None], Awaitable[Any]], field: str) -> list[Any]:
    """Everything a paged question has, following its cursor."""
    items: list[Any] = []
    cursor: str | None = None
    while True:
        page = await fetch(cursor)
        items += getattr(page, field)
        cursor = page.cursor
        if cursor is None:
            return items


def absolute_location(location: str) -> str:
    """Local paths are meant from where the person stands, not from where the deployment runs.

    Raises:
        Stop: it is neither a path that exists nor an address.
    """
    if not location.strip():
        raise Stop("name a repository: a path or an address", code=USAGE)
    path = Path(location).expanduser()
    if path.exists():
        return str(path.resolve())
    if "://" in location or ":" in location.partition("/")[0]:
        return location
    raise Stop(f"{location} does not exist", code=USAGE)
