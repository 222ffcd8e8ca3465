"""The connection against a real server: what a caller does to it must not hurt the others."""

from __future__ import annotations

import asyncio

from libs.bus.link import Link


async def test_a_round_trip_whose_caller_left_does_not_end_the_connection(nats_url: str) -> None:
    link = Link()
    await link.open(nats_url, "test")
    try:
        leaving = asyncio.create_task(link.flush(timeout=2))
        await asyncio.sleep(0)  # it has begun, and the server cannot have answered yet
        assert link._pongs
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        await link.flush(timeout=2)

        assert await link.call("INFO")
    finally:
        await link.leave()
