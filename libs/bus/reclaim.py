"""Takes back what dead processes had in hand, without waiting until the server misses them.

Only for whoever knows that nobody is at work on the stream, before anybody is: a living handler would find its
message given to another one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import structlog

from libs.bus.link import ApiError, Link
from libs.events.subjects import STREAM

log = structlog.get_logger(__name__)

NOT_FOUND = 404
HAND_BACK = b"-NAK"


async def reclaim(url: str) -> int:
    """Have everything delivered again at once that was delivered and not acknowledged; how many messages that is."""
    link = Link()
    await link.open(url, "reclaim")
    try:
        reclaimed = 0
        async for consumer in _durables(link):
            reclaimed += consumer["num_ack_pending"]
            if consumer["num_ack_pending"]:
                _hand_back(link, consumer)
        await link.settle()
    finally:
        await link.leave()
    if reclaimed:
        log.info("messages_reclaimed", messages=reclaimed)
    return reclaimed


async def _durables(link: Link) -> AsyncIterator[dict[str, Any]]:
    offset, total = 0, 1
    while offset < total:
        try:
            page = await link.call(f"CONSUMER.LIST.{STREAM}", {"offset": offset})
        except ApiError as error:
            if error.code == NOT_FOUND:  # the stream was not made yet
                return
            raise
        found = page.get("consumers") or []
        for consumer in found:
            if "durable_name" in consumer["config"]:
                yield consumer
        offset, total = offset + max(1, len(found)), page["total"]


def _hand_back(link: Link, consumer: dict[str, Any]) -> None:
    """Answer for every message between the acknowledged position and the last delivery.

    The server says how many of them are unanswered, not which; an answer for any other one means nothing to it. It
    finds the message by its place in the stream, and wants the delivery's number to be one that it has given out.
    """
    first, last = consumer["ack_floor"]["stream_seq"] + 1, consumer["delivered"]["stream_seq"]
    delivery = consumer["delivered"]["consumer_seq"]
    for sequence in range(first, last + 1):
        link.send(f"$JS.ACK.{STREAM}.{consumer['name']}.1.{sequence}.{delivery}.0.0", HAND_BACK)
