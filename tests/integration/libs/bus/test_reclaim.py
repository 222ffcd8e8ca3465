"""What a dead process had in hand comes back at once, and nothing else does."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from libs.bus.api import Bus, Consumer, Delivery
from libs.bus.jetstream import connect
from libs.bus.reclaim import reclaim
from libs.events.differ import FileRemoved
from libs.events.subjects import file_key
from tests.servers.nats import running_nats

CONSUMER = Consumer(name="reader", filters=("scan.>",))
HOLDER = """
import asyncio, sys
from libs.bus.jetstream import connect
from libs.bus.api import Consumer

async def main(url, hold):
    async def handle(delivery):
        if delivery.sequence in hold:
            print(delivery.sequence, flush=True)
            await asyncio.Event().wait()
    async with connect(url, name="holder") as bus:
        async with bus.consume(Consumer(name="reader", filters=("scan.>",)), handle):
            await asyncio.Event().wait()

asyncio.run(main(sys.argv[1], {2, 4, 5}))
"""


def a_fact(number: int) -> FileRemoved:
    return FileRemoved(repository_id="r", scan_id="s", key=file_key(str(number).encode()), path=str(number))


async def test_what_a_killed_process_had_in_hand_is_delivered_at_once(tmp_path: Path) -> None:
    with running_nats(tmp_path) as server:
        async with connect(server.url, name="test") as bus:
            await bus.publish([a_fact(number) for number in range(6)])
            await _hold_and_die(bus, server.url)

            assert await reclaim(server.url) == 3
            assert await _deliveries(bus, 3) == [2, 4, 5]


async def test_before_there_is_a_stream_there_is_nothing_to_take_back(tmp_path: Path) -> None:
    with running_nats(tmp_path) as server:
        assert await reclaim(server.url) == 0


async def _hold_and_die(bus: Bus, url: str) -> None:
    """Three of six messages are in hand, the others acknowledged, when the process is killed."""
    holder = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOLDER, url, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[4]
    )
    assert holder.stdout is not None
    assert sorted([int(await holder.stdout.readline()) for _ in range(3)]) == [2, 4, 5]
    async with asyncio.timeout(10):
        while [state.in_hand for state in await bus.consumers("reader")] != [3]:  # noqa: ASYNC110 - the server's state
            await asyncio.sleep(0.01)
    holder.kill()
    await holder.communicate()


async def _deliveries(bus: Bus, count: int) -> list[int]:
    """What arrives, well before the server itself would take anything for lost."""
    heard: list[int] = []
    enough = asyncio.Event()

    async def handle(delivery: Delivery) -> None:
        heard.append(delivery.sequence)
        if len(heard) == count:
            enough.set()

    async with bus.consume(CONSUMER, handle), asyncio.timeout(10):
        await enough.wait()
    return sorted(heard)
