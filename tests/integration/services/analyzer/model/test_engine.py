"""The model engine over the real client and a provider that misbehaves: no file without an outcome, no cent unsaid."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import pytest

from libs.bus.api import Retry
from services.analyzer.engines.model.client import open_chat_model
from services.analyzer.engines.model.engine import open_model_engine
from services.analyzer.engines.model.settings import ModelSettings
from services.analyzer.ports import Engine, EngineFailed, Source
from tests.provider.script import MALFORMED, Fault, Script
from tests.provider.server import FakeProvider, running_provider
from tests.unit.services.analyzer.engines.model.chat import FakeStaticEngine

WITHHELD = {Fault.REFUSAL, Fault.CONTENT_FILTER}


def a_source(number: int) -> Source:
    body = "".join(f"\n\ndef step_{n}(value):\n    return value + {number} * {n}\n" for n in range(12))
    return Source(path=f"src/m{number}.py", content=f"import os\n{body}".encode(), content_hash=f"hash{number}")


def the_settings(provider: FakeProvider) -> ModelSettings:
    return ModelSettings(profile="xai", url=provider.url, key="k", parallel=16)  # type: ignore[arg-type]


@dataclass
class Tally:
    """How files ended and what was said to be spent."""

    ended: Counter[str] = field(default_factory=Counter)
    calls: Counter[int] = field(default_factory=Counter)
    ticks: int = 0
    findings: list[int] = field(default_factory=list)


async def analyse(engine: Engine, source: Source, tally: Tally) -> None:
    try:
        examined = await engine.analyse(source)
    except EngineFailed as error:
        tally.ended[str(error.reason)] += 1
        tally.ticks += error.cost.ticks
        return
    except Retry:
        tally.ended["later"] += 1
        return
    tally.ended[examined.analysis.outcome] += 1
    tally.calls[examined.usage.calls] += 1
    tally.ticks += examined.cost.ticks
    tally.findings.append(len(examined.analysis.findings))


async def tally_of(provider: FakeProvider, files: int) -> Tally:
    tally = Tally()
    async with open_chat_model(the_settings(provider)) as model, asyncio.TaskGroup() as group:
        engine = open_model_engine(FakeStaticEngine(), model)
        for number in range(files):
            group.create_task(analyse(engine, a_source(number), tally))
    return tally


async def test_a_fifth_of_malformed_replies_loses_no_file_and_no_cent(capsys: pytest.CaptureFixture[str]) -> None:
    files = 120
    usual = [fault for fault in MALFORMED if fault not in {*WITHHELD, Fault.MISSING_USAGE}]
    faults = dict.fromkeys(usual, 0.2 / len(usual))
    async with running_provider(Script(faults=faults)) as provider:
        tally = await tally_of(provider, files)
        spoilt = sum(call.fault is not None for call in provider.calls)

    again = len(provider.calls) - files
    share = 1 - again / spoilt
    with capsys.disabled():
        print(f"\n{spoilt} of {len(provider.calls)} malformed: {share:.0%} recovered without a re-ask; {tally.ended}")
    assert tally.ended.total() == files
    assert tally.ended["later"] == 0
    assert all(tally.findings)
    assert tally.ticks == provider.billed_ticks
    assert share >= 0.6


@pytest.mark.parametrize("fault", MALFORMED)
async def test_each_malformed_reply_has_its_outcome(fault: Fault) -> None:
    async with running_provider(Script(plan=(fault,))) as provider:
        tally = await tally_of(provider, 1)

    assert tally.ended == (
        {"refused": 1} if fault in WITHHELD else {"partial" if fault is Fault.TRUNCATED else "complete": 1}
    )
    if fault is Fault.MISSING_USAGE:
        assert tally.ticks > provider.billed_ticks
    else:
        assert tally.ticks == provider.billed_ticks


async def test_a_provider_that_only_talks_nonsense_fails_each_file_after_two_questions() -> None:
    async with running_provider(Script(faults={Fault.NOT_JSON: 1.0})) as provider:
        tally = await tally_of(provider, 5)

    assert (tally.ended, len(provider.calls), tally.ticks) == ({"unusable_reply": 5}, 10, provider.billed_ticks)
