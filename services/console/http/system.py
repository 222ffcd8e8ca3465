"""What runs: services, consumers, dead letters."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter

from libs.bus.api import Bus, NoAnswer, Refused
from libs.events.envelope import Model
from libs.questions.analyzer import DescribeEngines, Engines
from libs.questions.differ import ListRepositories
from libs.questions.envelope import Question
from libs.questions.ledger import ListScans
from libs.questions.reviewer import ListTasks
from services.console.http.bus import OnBus

router = APIRouter(tags=["system"])


class ConsumerView(Model):
    name: str
    ack_floor: int
    waiting: int
    in_hand: int
    redelivered: int
    paused: bool


class DeadLetterView(Model):
    sequence: int
    subject: str
    consumer: str
    reason: str
    attempts: int
    died_at: datetime


class System(Model):
    """A service maps to the empty string when it answers, else to what is wrong with it."""

    services: dict[str, str]
    engines: Engines | None
    consumers: list[ConsumerView]
    dead_letters: list[DeadLetterView]
    last_sequence: int


@router.get("/system")
async def describe_system(bus: OnBus) -> System:
    return System(
        services={
            "differ": await _health(bus, ListRepositories()),
            "analyzer": await _health(bus, DescribeEngines()),
            "ledger": await _health(bus, ListScans(limit=1)),
            "reviewer": await _health(bus, ListTasks(repository_id="none", limit=1)),
        },
        engines=await _engines(bus),
        consumers=[ConsumerView.model_validate(state, from_attributes=True) for state in await bus.consumers()],
        dead_letters=[DeadLetterView.model_validate(dead, from_attributes=True) for dead in await bus.dead_letters(20)],
        last_sequence=await bus.last_sequence(),
    )


@router.post("/dead-letters/{sequence}/redrive", status_code=204)
async def redrive(sequence: int, bus: OnBus) -> None:
    try:
        await bus.redrive(sequence)
    except KeyError as error:
        raise Refused(f"there is no dead letter {sequence}", code="unknown_dead_letter") from error


async def _health(bus: Bus, question: Question[Any]) -> str:
    try:
        await bus.ask(question, timeout=2)
    except Refused as refusal:
        return "" if refusal.code.startswith("unknown_") else refusal.reason
    except NoAnswer as error:
        return str(error) or "no answer"
    return ""


async def _engines(bus: Bus) -> Engines | None:
    try:
        return await bus.ask(DescribeEngines(), timeout=2)
    except (NoAnswer, Refused):
        return None
