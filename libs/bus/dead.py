"""The dead letters on JetStream: what was given up, kept with its reason until a person looks or it is redriven."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import datetime
from urllib.parse import quote, unquote

from libs.bus.api import Bucket, DeadLetter, NoAnswer
from libs.bus.hand import Batches, Singles
from libs.bus.link import NO_RESPONDERS, ApiError, Frame, Link, header_block
from libs.bus.publishing import Outgoing, store
from libs.bus.redriven import Redriven
from libs.bus.verdict import Held
from libs.events.subjects import DEAD_STREAM

ERROR_BYTES = 8 * 1024
REDRIVE_SECONDS = 5.0
PAGE = 256
_NOT_FOUND = 10043
_SAFE = " !#$&'()*+,-./:;<=>?@[]^_`{|}~"


class JetStreamMorgue:
    """Buries messages; counts beginnings in the bucket ``suspects``."""

    def __init__(self, link: Link, open_suspects: Callable[[], Awaitable[Bucket]]) -> None:
        self._link = link
        self._open_suspects = open_suspects

    async def bury(self, held: Held, *, consumer: str, reason: str, attempts: int, error: str) -> None:
        headers = {name: value for name, value in held.headers.items() if name.startswith(("ce-", "trace", "content-"))}
        headers |= {
            "strandline-subject": held.subject,
            "strandline-sequence": str(held.sequence),
            "strandline-consumer": consumer,
            "strandline-reason": quote(reason[:2000], safe=_SAFE),
            "strandline-attempts": str(attempts),
            "strandline-error": quote(error[-ERROR_BYTES:], safe=_SAFE)[-ERROR_BYTES:],
        }
        subject = f"dead.{consumer}.{held.sequence}"
        await store(self._link, [Outgoing(subject, held.payload, header_block(headers))])

    async def begun(self, consumer: str, sequence: int) -> int:
        suspects = await self._open_suspects()
        key = f"{consumer}.{sequence}"
        before = int(await suspects.get(key) or b"0")
        await suspects.put(key, str(before + 1).encode())
        return before

    async def ended(self, consumer: str, sequence: int) -> None:
        suspects = await self._open_suspects()
        await suspects.put(f"{consumer}.{sequence}", b"0")


async def newest_letters(link: Link, limit: int) -> list[DeadLetter]:
    """The dead letters, newest first. Reads backwards in pages, since sequences have gaps."""
    state = (await link.call(f"STREAM.INFO.{DEAD_STREAM}"))["state"]
    letters: list[DeadLetter] = []
    last = state["last_seq"]
    while len(letters) < limit and last >= max(1, state["first_seq"]) and state["messages"]:
        first = max(1, last - PAGE + 1)
        page = [frame for frame in await _page(link, first) if int(frame.headers["Nats-Sequence"]) <= last]
        letters += [_letter(frame) for frame in reversed(page)]
        last = first - 1
    return letters[:limit]


async def _page(link: Link, first: int) -> list[Frame]:
    """Up to ``PAGE`` messages from a sequence on, read again from the start if the connection breaks."""
    request = json.dumps({"seq": first, "batch": PAGE, "next_by_subj": "dead.>"}).encode()
    while True:
        frames: list[Frame] = []
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def hear(frame: Frame, frames: list[Frame] = frames, done: asyncio.Future[int] = done) -> bool:
            if not frame.status:
                frames.append(frame)
            elif not done.done():
                done.set_result(frame.status)
            return not frame.status

        await link.up.wait()
        reply = link.expect(hear)
        link.send(f"$JS.API.DIRECT.GET.{DEAD_STREAM}", request, reply)
        try:
            async with asyncio.timeout(5):
                if await done != NO_RESPONDERS:
                    return frames
        except TimeoutError:
            continue
        finally:
            link.forget(reply)
        await asyncio.sleep(0.1)


def _letter(frame: Frame) -> DeadLetter:
    headers = frame.headers
    return DeadLetter(
        sequence=int(headers["Nats-Sequence"]),
        subject=headers.get("strandline-subject", headers["Nats-Subject"]),
        consumer=headers.get("strandline-consumer", ""),
        reason=unquote(headers.get("strandline-reason", "")),
        attempts=int(headers.get("strandline-attempts", "0")),
        payload=frame.data,
        died_at=datetime.fromisoformat(headers["Nats-Time-Stamp"][:26].rstrip("Z") + "+00:00"),
    )


async def redrive(link: Link, sequence: int) -> None:
    """Hand a dead letter to whoever consumes under its consumer's name now.

    Raises:
        KeyError: there is no such dead letter.
        NoAnswer: nobody consumes under that name.
    """
    request = json.dumps({"seq": sequence}).encode()
    frame = await link.insist(f"$JS.API.DIRECT.GET.{DEAD_STREAM}", request)
    if frame.status:
        raise KeyError(sequence)
    headers = frame.headers
    consumer = headers["strandline-consumer"]
    kept = header_block({name: value for name, value in headers.items() if name != "Nats-Num-Pending"})
    try:
        answer = await link.ask_once(redrive_subject(consumer), frame.data, headers=kept, timeout=REDRIVE_SECONDS)
    except TimeoutError:
        return
    if answer.status == NO_RESPONDERS:
        raise NoAnswer(f"nobody consumes as {consumer} just now")


def redrive_subject(consumer: str) -> str:
    return f"redrive.{consumer}"


def redriven(link: Link, frame: Frame, intake: Singles | Batches) -> Redriven:
    """The dead letter that a redrive's request carries, as a message in hand."""
    headers = frame.headers
    dead_sequence = int(headers["Nats-Sequence"])

    async def remove() -> None:
        try:
            await link.call(f"STREAM.MSG.DELETE.{DEAD_STREAM}", {"seq": dead_sequence})
        except ApiError as error:
            if error.number != _NOT_FOUND:
                raise

    return Redriven(
        intake,
        subject=headers["strandline-subject"],
        sequence=int(headers["strandline-sequence"]),
        headers=headers,
        payload=frame.data,
        remove=remove,
        tell=lambda outcome: link.send(frame.reply, outcome.encode()),
    )
