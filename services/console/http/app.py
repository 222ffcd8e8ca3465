"""The application: its routes, and how a refusal becomes a problem document (RFC 9457)."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from libs.bus.api import Bus, NoAnswer, Refused
from services.console.http import events, repositories, results, scans, system

STATUS_OF_CODE = {"bad_question": 422, "internal": 500, "invalid": 422, "unknown": 404}
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


async def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refused)
    status = 404 if error.code.startswith(UNKNOWN) else STATUS_OF_CODE.get(error.code, 409)
    return problem(status, error.code, error.reason)


async def _no_answer(_: Request, error: Exception) -> JSONResponse:
    return problem(503, "no_answer", f"{error}; it may be starting, try again")


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    said = [f"{'.'.join(str(part) for part in fault['loc'][1:])}: {fault['msg']}" for fault in error.errors()]
    return problem(422, "invalid", "; ".join(said))
