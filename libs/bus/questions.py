"""Questions over NATS request and reply: one answer from any replica, a refusal in a header."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar
from urllib.parse import quote, unquote

import structlog
from opentelemetry import context as trace_context
from opentelemetry import propagate
from pydantic import ValidationError

from libs.bus.api import Asked, NoAnswer, Refused, Retry
from libs.bus.hand import finish
from libs.bus.link import NO_RESPONDERS, Frame, Link, header_block
from libs.bus.tracing import trace_headers
from libs.events.envelope import Model
from libs.questions.envelope import Question

log = structlog.get_logger(__name__)

Reply = TypeVar("Reply", bound=Model)
AT_ONCE = 64
REFUSED = "strandline-refused"


def encode_model(model: Model) -> bytes:
    return model.__pydantic_serializer__.to_json(model)


def decode_reply(question: Question[Reply], payload: bytes) -> Reply:
    """The reply of that question's type.

    Raises:
        Refused: the answerer speaks of something this version cannot read.
    """
    try:
        return question.reply_type().model_validate_json(payload)
    except ValidationError as error:
        problem = error.errors()[0]
        raise Refused(
            f"{question.subject()} was answered with something unreadable: {problem['loc']}", code="bad_reply"
        ) from error


async def reply_to(
    question: type[Asked], payload: bytes, handler: Callable[[Asked], Awaitable[Model]]
) -> Model | Refused:
    """What the handler makes of a question's bytes; whatever goes wrong becomes a refusal."""
    try:
        asked = question.model_validate_json(payload)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part) for part in problem["loc"]) or "the question"
        return Refused(f"{place}: {problem['msg']}", code="bad_question")
    try:
        return await handler(asked)
    except Refused as refusal:
        return refusal
    except Retry as retry:
        return Refused(f"not now: {retry.reason}", code="unavailable")
    except Exception:
        log.exception("answer_failed", question=question.subject())
        service = question.subject().split(".")[1]
        return Refused(f"{question.__name__} failed; see the log of {service}", code="internal")


async def ask(link: Link, question: Question[Reply], timeout: float) -> Reply:
    """One answer over the link, see ``Bus.ask``."""
    subject, payload = question.subject(), encode_model(question)
    headers = trace_headers()
    block = header_block(headers) if headers else b""
    try:
        frame = await link.ask_once(subject, payload, headers=block, timeout=timeout)
    except TimeoutError:
        raise NoAnswer(f"{subject} was not answered within {timeout:g} seconds") from None
    if frame.status == NO_RESPONDERS:
        raise NoAnswer(f"nobody answers {subject} just now: {frame.description or 'nobody is there'}")
    code = frame.headers.get(REFUSED)
    if code is not None:
        raise Refused(unquote(frame.data.decode("utf-8", "replace")), code=code)
    return decode_reply(question, frame.data)


@contextlib.asynccontextmanager
async def answering(
    link: Link, question: type[Asked], handler: Callable[[Asked], Awaitable[Model]], grace: float
) -> AsyncIterator[None]:
    """Answer over the link until the context is left; answers under way get ``grace`` seconds."""
    places, tasks = asyncio.Semaphore(AT_ONCE), set[asyncio.Task[None]]()

    async def answer(frame: Frame) -> None:
        async with places:
            headers = frame.headers
            if "traceparent" in headers:
                trace_context.attach(propagate.extract(headers))
            reply = await reply_to(question, frame.data, handler)
        payload = b"" if isinstance(reply, Refused) else encode_model(reply)
        if len(payload) > link.max_payload - 1024:
            # The server would close the connection over it, and every subscription with it.
            reply = Refused(
                f"the answer has {len(payload)} bytes, too many for one message: ask for fewer", code="invalid"
            )
        if isinstance(reply, Refused):
            link.send(frame.reply, quote(reply.reason).encode(), headers=header_block({REFUSED: reply.code}))
        else:
            link.send(frame.reply, payload)

    def hear(frame: Frame) -> None:
        task = asyncio.create_task(answer(frame))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    service = question.subject().split(".")[1]
    subscription = await link.listen(question.subject(), hear, queue=service)
    try:
        # Open means answering: whoever asks from now on finds the server knowing of us.
        await link.settle()
        yield
    finally:
        await link.unlisten(subscription)
        await finish(tasks, grace)
