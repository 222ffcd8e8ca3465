"""The same messages and rows moved by nats-py and asyncpg alone: no models, no checks, nothing decided.

What a scan left in its data directory is read back and then moved again through fresh servers of the same settings,
by the same stages side by side in one process: list, analyse, count, review. Each uses its driver's quickest way:
``publish_async`` in windows, ``fetch`` of pull consumers, direct gets side by side, ``COPY`` in a transaction a batch.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import nats
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.client import JetStreamContext
from nats.js.errors import NotFoundError

from benchmarks.processes import cpu_seconds, cpu_since
from libs.bus.jetstream import connect
from libs.db.database import open_database
from libs.db.migrations import migrate
from libs.events.subjects import STREAM
from services.standalone.embedded.directory import hold_directory
from services.standalone.embedded.servers import Servers, embedded_servers

BATCH = 250
TABLES = {
    "ledger": {"files": "right(file_id, 16)"},
    "reviewer": dict.fromkeys(("outcomes", "files", "findings", "changes"), "key"),
}
"""What has rows for each file, and how the file's key is read from them."""
Rows = dict[tuple[str, str], dict[str, list[Sequence[Any]]]]
"""Rows by schema and table, then by the key of their file."""


@dataclass(frozen=True)
class Message:
    subject: str
    headers: dict[str, str]
    payload: bytes

    @property
    def key(self) -> str:
        return self.subject.rpartition(".")[2]


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What one scan moved: facts by kind, contents and analyses by file, rows by file."""

    queued: list[Message]
    analyzed: dict[str, Message]
    changed: dict[str, Message]
    blobs: list[Message]
    blob_of: dict[str, str]
    analyses: list[Message]
    rows: Rows


async def move_the_same(data: Path, files: int) -> tuple[float, float]:
    """Files a second, and seconds of CPU a file, after a scan of so many files was made in that data directory."""
    async with _servers(data) as servers:
        recorded = await _record(servers)
    if len(recorded.analyzed) != files:
        raise RuntimeError(f"{len(recorded.analyzed)} of {files} files were recorded")
    fresh = data.with_name(f"{data.name}-raw")
    async with _servers(fresh) as servers:
        await _lay_out(servers)
        before = cpu_seconds()
        rate = files / await _move(servers, recorded)
        return rate, sum(cpu_since(before).values()) / files


@contextlib.asynccontextmanager
async def _servers(data: Path) -> AsyncIterator[Servers]:
    async with hold_directory(data) as holding, embedded_servers(holding.path) as servers:
        yield servers


async def _lay_out(servers: Servers) -> None:
    """The streams, buckets and tables of the product."""
    async with connect(servers.nats_url, name="benchmark") as bus:
        await bus.bucket("blobs")
        await bus.bucket("analyses")
    for schema in TABLES:
        async with open_database(servers.database_url(schema), schema) as database:
            await migrate(database, f"services.{schema}")


async def _record(servers: Servers) -> Recorded:
    client = await nats.connect(servers.nats_url)
    try:
        facts, blobs, analyses = [
            [message async for message in _stored(client.jetstream(), stream)]
            for stream in (STREAM, "KV_blobs", "KV_analyses")
        ]
    finally:
        await client.close()
    by_kind: dict[str, list[Message]] = defaultdict(list)
    for fact in facts:
        by_kind[".".join(fact.subject.split(".")[3:5])].append(fact)
    queued = by_kind["file.queued"]
    return Recorded(
        queued=queued,
        analyzed={message.key: message for message in by_kind["file.analyzed"]},
        changed={message.key: message for message in by_kind["findings.changed"]},
        blobs=blobs,
        blob_of={message.key: f"$KV.blobs.{json.loads(message.payload)['content_hash']}" for message in queued},
        analyses=analyses,
        rows={
            (schema, table): await _rows(servers, schema, table, key)
            for schema, tables in TABLES.items()
            for table, key in tables.items()
        },
    )


async def _stored(stream: JetStreamContext, name: str) -> AsyncIterator[Message]:
    last = (await stream.stream_info(name)).state.last_seq
    reader = await stream.pull_subscribe(">", stream=name, config=ConsumerConfig(ack_policy=AckPolicy.NONE))
    seen = 0
    while seen < last:
        for message in await reader.fetch(500, timeout=5):
            seen = message.metadata.sequence.stream
            yield Message(message.subject, dict(message.headers or {}), message.data)


async def _rows(servers: Servers, schema: str, table: str, key: str) -> dict[str, list[Sequence[Any]]]:
    connection = await asyncpg.connect(servers.database_url(schema), server_settings={"search_path": schema})
    try:
        rows: dict[str, list[Sequence[Any]]] = defaultdict(list)
        for row in await connection.fetch(f"SELECT {key} AS file, {table}.* FROM {table}"):
            rows[row["file"]].append(tuple(row)[1:])
        return rows
    finally:
        await connection.close()


async def _move(servers: Servers, recorded: Recorded) -> float:
    client = await nats.connect(servers.nats_url)
    ledger, reviewer = [await asyncpg.connect(servers.database_url(schema)) for schema in TABLES]
    stream = client.jetstream(publish_async_max_pending=100_000)
    files = len(recorded.queued)
    began = time.perf_counter()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_list(stream, recorded))
            group.create_task(_analyse(stream, recorded, files))
            group.create_task(_count(stream, recorded, ledger, files))
            group.create_task(_review(stream, recorded, reviewer, files))
        return time.perf_counter() - began
    finally:
        await client.close()
        await ledger.close()
        await reviewer.close()


async def _list(stream: JetStreamContext, recorded: Recorded) -> None:
    for messages in (recorded.blobs, recorded.queued):
        for start in range(0, len(messages), 2000):
            await _publish(stream, messages[start : start + 2000])


async def _analyse(stream: JetStreamContext, recorded: Recorded, files: int) -> None:
    analyses = iter(recorded.analyses)
    async for batch in _fetched(stream, "scan.*.*.file.queued.*", "analyse", files):
        keys = [message.subject.rpartition(".")[2] for message in batch]
        await asyncio.gather(*(_get(stream, "KV_blobs", recorded.blob_of[key]) for key in keys))
        kept = [next(analyses) for _ in keys]
        await asyncio.gather(*(_get(stream, "KV_analyses", message.subject) for message in kept))
        await _publish(stream, kept)
        await _publish(stream, [recorded.analyzed[key] for key in keys])


async def _count(stream: JetStreamContext, recorded: Recorded, ledger: asyncpg.Connection, files: int) -> None:
    async for batch in _fetched(stream, "scan.*.*.file.analyzed.*", "ledger", files):
        await _copy(ledger, "ledger", recorded, [message.subject.rpartition(".")[2] for message in batch])


async def _review(stream: JetStreamContext, recorded: Recorded, reviewer: asyncpg.Connection, files: int) -> None:
    async for batch in _fetched(stream, "scan.*.*.file.analyzed.*", "reviewer", files):
        keys = [message.subject.rpartition(".")[2] for message in batch]
        await _copy(reviewer, "reviewer", recorded, keys)
        await _publish(stream, [recorded.changed[key] for key in keys])


async def _fetched(stream: JetStreamContext, subject: str, durable: str, files: int) -> AsyncIterator[list[Any]]:
    """Batches of all messages; each is acknowledged when the next is asked for."""
    reader = await stream.pull_subscribe(subject, durable=durable, stream=STREAM)
    while files:
        try:
            batch = await reader.fetch(BATCH, timeout=0.05)
        except TimeoutError:
            continue
        yield batch
        files -= len(batch)
        for message in batch:
            await message.ack()


async def _publish(stream: JetStreamContext, messages: Sequence[Message]) -> None:
    await asyncio.gather(
        *[
            await stream.publish_async(message.subject, message.payload, headers=message.headers or None)
            for message in messages
        ]
    )


async def _get(stream: JetStreamContext, name: str, subject: str) -> bytes | None:
    try:
        return (await stream.get_msg(name, subject=subject, direct=True)).data
    except NotFoundError:
        return None


async def _copy(connection: asyncpg.Connection, schema: str, recorded: Recorded, keys: Sequence[str]) -> None:
    async with connection.transaction():
        for table in TABLES[schema]:
            rows = recorded.rows[schema, table]
            await connection.copy_records_to_table(
                table, schema_name=schema, records=[row for key in keys for row in rows[key]]
            )
