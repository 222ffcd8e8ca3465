"""The application: its routes, and how a refusal becomes a problem document (RFC 9457)."""

from __future__ import annotations

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.bus.api import Bus, NoAnswer, Refused
from services.console.http import events, repositories, results, scans, system

log = structlog.get_logger(__name__)

STATUS_OF_CODE = {
    "bad_cursor": 422,
    "bad_question": 422,
    "unavailable": 503,
    "internal": 500,
    "invalid": 422,
    "unknown": 404,
}
UNKNOWN = "unknown_"


def make_app(bus: Bus) -> FastAPI:
    """The API on a bus."""
    app = FastAPI(title="Strandline", version="1", docs_url=None, redoc_url=None)
    app.state.bus = bus
    for module in (repositories, scans, results, events, system):
        app.include_router(module.router, prefix="/api/v1")
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(NoAnswer, _no_answer)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ValidationError, _impossible)
    app.add_exception_handler(HTTPException, _no_route)
    app.add_middleware(Mishaps)
    return app


def problem(status: int, code: str, detail: str) -> JSONResponse:
    """A problem document."""
    body = {
        "type": f"urn:strandline:problem:{code}",
        "title": code.replace("_", " "),
        "status": status,
        "detail": detail,
    }
    return JSONResponse(body, status_code=status, media_type="application/problem+json")


class Mishaps:
    """What no handler expected becomes a problem document and one log entry, not a broken connection."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = begun or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception:
            log.exception("request_failed", path=scope.get("path", ""))
            if not begun:
                await problem(500, "internal", "this request failed; see the log of the console")(scope, receive, send)


async def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refused)
    status = 404 if error.code.startswith(UNKNOWN) else STATUS_OF_CODE.get(error.code, 409)
    return problem(status, error.code, error.reason)


async def _no_answer(_: Request, error: Exception) -> JSONResponse:
    return problem(503, "no_answer", f"{error}; it may be starting, try again")


async def _no_route(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    where = f"{request.method} {request.url.path}"
    code = {404: "unknown_address", 405: "unknown_method"}.get(error.status_code, "refused")
    return problem(error.status_code, code, f"{where}: {error.detail}")


async def _impossible(_: Request, error: Exception) -> JSONResponse:
    """A value that no question can hold: an id with a slash, a number out of bounds."""
    assert isinstance(error, ValidationError)
    said = [f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors()]
    return problem(422, "invalid", "; ".join(said))


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    said = [f"{'.'.join(str(part) for part in fault['loc'][1:])}: {fault['msg']}" for fault in error.errors()]
    return problem(422, "invalid", "; ".join(said))
