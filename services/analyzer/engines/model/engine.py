"""The model engine: what the static engine finds, and what a model makes of it. No answer lost, no cent unaccounted.

A file, or each piece of a large one, is asked about once, and once more where the answer cannot be used. A piece that
does not fit is cut smaller once. Where only some pieces have an answer the analysis is partial and says which lines
it lacks; where none has, the engine fails. Either way the cost of every call is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from libs.bus.api import Retry
from libs.events.analyzer import Cost, FailReason, FileAnalysis, Usage
from services.analyzer.engines.model import asking
from services.analyzer.engines.model.answers import Answer, read, read_clean, read_unclean
from services.analyzer.engines.model.merging import findings_of, merge
from services.analyzer.engines.model.pieces import Piece
from services.analyzer.engines.model.plans import Plan, plan_for, smaller
from services.analyzer.engines.model.ports import (
    ChatModel,
    ChatReply,
    ChatRequest,
    ProviderRefused,
    ProviderUnavailable,
    TooLong,
)
from services.analyzer.ports import Engine, EngineFailed, Examined, Source

Kept = TypeVar("Kept")

log = structlog.get_logger(__name__)

NAME = "llm"
MAX_UNFINISHED = 256
MAX_PLANS = 128
LONG_REPLY = 50_000
MAX_SUMMARY = 2000
_SURENESS = ("priced", "billed", "free")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a piece: an answer, or why there is none."""

    piece: Piece
    answer: Answer | None = None
    reason: FailReason = FailReason.UNUSABLE_REPLY
    detail: str = ""

    @property
    def lack(self) -> str:
        """What is missing because of it; empty where nothing is."""
        where = f"lines {self.piece.start}-{self.piece.end}"
        if self.answer is None:
            return f"{where}: {self.detail}"[:300]
        return "" if self.answer.complete else f"{where}: the reply broke off or had to be guessed at"


@dataclass(kw_only=True)
class Account:
    """What the calls for one file took, and which of its pieces are done; outlives an attempt that has to wait."""

    usage: Usage = Usage()
    cost: Cost = Cost()
    done: dict[tuple[int, int], list[Outcome]] = field(default_factory=dict)

    def book(self, reply: ChatReply) -> None:
        """Add what a call took. A figure is billed only if every part of it was."""
        added, had = reply.usage.model_dump(), self.usage.model_dump()
        self.usage = Usage(**{name: had[name] + added[name] for name in had})
        weakest = min(self.cost.source, reply.cost.source, key=_SURENESS.index)
        self.cost = Cost(ticks=self.cost.ticks + reply.cost.ticks, source=weakest, model=reply.cost.model)


class ModelEngine:
    """Made by ``open_model_engine``."""

    name = NAME

    def __init__(self, static: Engine, model: ChatModel) -> None:
        self._static = static
        self._model = model
        self._unfinished: dict[str, Account] = {}
        self._plans: dict[str, Plan] = {}
        self.version = f"{asking.SCHEMA_VERSION}.{asking.PROMPT_HASH[:12]}+{model.name}+static.{static.version}"[:300]

    def identity(self, source: Source) -> str:
        parts = (self._static.identity(source), self._model.name, asking.PROMPT_HASH, str(self._model.context_tokens))
        return "/".join(parts)

    def worst_case_ticks(self, source: Source) -> int:
        """Each piece asked about twice with the longest answer, whole or cut smaller, whichever is dearer."""
        key = self._key(source)
        plan = self._plans.get(key) or plan_for(source, self._model)
        _keep(self._plans, key, plan, most=MAX_PLANS)
        return sum(max(self._price(plan, [piece]), self._price(plan, smaller(plan, piece))) for piece in plan.pieces)

    def _price(self, plan: Plan, pieces: Sequence[Piece]) -> int:
        output = asking.output_tokens(self._model)
        inputs = [asking.worst_input_tokens(plan.text, piece, self._model) for piece in pieces]
        return sum(2 * self._model.price_ticks(input_tokens=count, output_tokens=output) for count in inputs)

    async def analyse(self, source: Source) -> Examined:
        examined = await self._static.analyse(source)
        key = self._key(source)
        plan = self._plans.pop(key, None) or plan_for(source, self._model)
        if not plan.pieces:
            return Examined(analysis=self._by_static_alone(examined.analysis, plan))
        account = self._unfinished.pop(key, None) or Account()
        try:
            outcomes = await self._ask_all(plan, examined.analysis, account)
        except ProviderUnavailable as error:
            self._put_aside(key, account)
            raise Retry(f"{self._model.name}: {error}", after=error.after) from error
        except asyncio.CancelledError:
            self._put_aside(key, account)
            raise
        if all(outcome.answer is None for outcome in outcomes):
            raise EngineFailed(outcomes[0].reason, outcomes[0].detail, usage=account.usage, cost=account.cost)
        analysis = self._analysis(examined.analysis, plan, outcomes)
        return Examined(analysis=analysis, usage=account.usage, cost=account.cost)

    def _key(self, source: Source) -> str:
        return f"{source.content_hash}/{self.identity(source)}"

    def _put_aside(self, key: str, account: Account) -> None:
        """What was paid for is not paid for again when the file comes back to this process."""
        if account.usage.calls:
            _keep(self._unfinished, key, account, most=MAX_UNFINISHED)

    async def _ask_all(self, plan: Plan, static: FileAnalysis, account: Account) -> list[Outcome]:
        """Piece after piece: whoever stops in between has paid for nothing that is thrown away."""
        for piece in plan.pieces:
            place = (piece.start, piece.end)
            if place not in account.done:
                account.done[place] = await self._ask_or_cut(plan, piece, static, account)
        return [outcome for outcomes in account.done.values() for outcome in outcomes]

    async def _ask_or_cut(self, plan: Plan, piece: Piece, static: FileAnalysis, account: Account) -> list[Outcome]:
        try:
            return [await self._ask(plan, piece, static, account)]
        except TooLong:
            log.info("piece_cut_smaller", model=self._model.name, lines=len(piece.lines))
        outcomes: list[Outcome] = []
        for part in smaller(plan, piece):
            try:
                outcomes.append(await self._ask(plan, part, static, account))
            except TooLong as error:
                detail = f"does not fit the context of {self._model.name}: {error}"
                outcomes.append(Outcome(piece=part, reason=FailReason.ENGINE_ERROR, detail=detail))
        return outcomes

    async def _ask(self, plan: Plan, piece: Piece, static: FileAnalysis, account: Account) -> Outcome:
        """Once, and once more where the answer cannot be used."""
        fault = ""
        for _ in range(2):
            request = asking.ask(plan.text, piece, findings=static.findings, model=self._model, fault=fault)
            try:
                reply = await self._model.ask(request)
            except TooLong:
                if not fault:
                    raise
                break
            except ProviderRefused as error:
                return Outcome(piece=piece, reason=FailReason.ENGINE_ERROR, detail=str(error))
            account.book(reply)
            if reply.finish in {"refused", "filtered"}:
                return Outcome(piece=piece, reason=FailReason.REFUSED, detail=f"{self._model.name}: {reply.finish}")
            answer = await _read(reply, piece, last=len(plan.text.lines))
            self._tell(answer, request)
            if answer.state != "unusable":
                return Outcome(piece=piece, answer=answer)
            fault = answer.fault if reply.finish != "cut" else f"the reply was too long; {answer.fault}"
        return Outcome(piece=piece, detail=f"{self._model.name}: asked twice; {fault}")

    def _tell(self, answer: Answer, request: ChatRequest) -> None:
        if answer.state != "clean" or answer.cut:
            sent = asking.digest_of(request)
            dropped = dict(answer.dropped)
            log.info("reply_not_clean", state=answer.state, dropped=dropped, cut=answer.cut, sent=sent)

    def _by_static_alone(self, static: FileAnalysis, plan: Plan) -> FileAnalysis:
        summary = f"{static.summary} Not shown to the model: {plan.skipped}."
        return self._analysis(static.model_copy(update={"summary": summary}), plan, [])

    def _analysis(self, static: FileAnalysis, plan: Plan, outcomes: Sequence[Outcome]) -> FileAnalysis:
        answers = [outcome.answer for outcome in outcomes if outcome.answer is not None]
        drafts = [*plan.text.hostile, *(draft for answer in answers for draft in answer.findings)]
        findings, cut = merge(static.findings, findings_of(drafts, analysis=static, lines=plan.text.lines))
        said = " ".join(filter(None, (answer.summary for answer in answers)))
        lacks = [outcome.lack for outcome in outcomes if outcome.lack]
        return static.model_copy(
            update={
                "engine": self.name,
                "engine_version": self.version,
                "outcome": "partial" if lacks else static.outcome,
                "summary": (said or static.summary)[:MAX_SUMMARY],
                "findings": findings,
                "findings_cut": static.findings_cut + cut + sum(answer.cut for answer in answers),
                "partial_reasons": [*static.partial_reasons, *lacks],
            }
        )


def _keep(kept: dict[str, Kept], key: str, value: Kept, *, most: int) -> None:
    """The newest, up to so many."""
    kept.pop(key, None)
    kept[key] = value
    while len(kept) > most:
        kept.pop(next(iter(kept)))


async def _read(reply: ChatReply, piece: Piece, *, last: int) -> Answer:
    if len(reply.text) > LONG_REPLY:
        return await asyncio.to_thread(read, reply.text, shown=piece.shown, last=last)
    answer = read_clean(reply.text, shown=piece.shown, last=last)
    if answer is not None and answer.state != "unusable":
        return answer
    return await asyncio.to_thread(read_unclean, reply.text, shown=piece.shown, last=last)


def open_model_engine(static: Engine, model: ChatModel) -> Engine:
    """The engine ``llm``: the static engine's findings first, then the model's."""
    return ModelEngine(static, model)
