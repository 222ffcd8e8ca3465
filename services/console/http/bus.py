"""How a route gets at the bus."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request

from libs.bus.api import Bus


def bus_of(request: Request) -> Bus:
    return cast("Bus", request.app.state.bus)


OnBus = Annotated[Bus, Depends(bus_of)]
