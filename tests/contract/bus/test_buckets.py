"""Buckets keep values by key, for a while."""

from __future__ import annotations

import asyncio
import os
from datetime import timedelta

import pytest

from libs.bus.api import Bus
from tests.contract.bus.scene import eventually


async def test_a_value_that_was_put_can_be_got(bus: Bus) -> None:
    bucket = await bus.bucket("blobs")
    content = os.urandom(100_000)
    await bucket.put("a/b_c-d=.e", content)

    assert await bucket.get("a/b_c-d=.e") == content


async def test_what_was_never_put_is_none(bus: Bus) -> None:
    bucket = await bus.bucket("blobs")
    await bucket.put("there", b"")

    assert await bucket.get("nowhere") is None
    assert await bucket.get("there") == b""


async def test_the_newest_value_counts(bus: Bus) -> None:
    bucket = await bus.bucket("analyses")
    await bucket.put("k", b"old")
    await bucket.put("k", b"new")

    assert await bucket.get("k") == b"new"


async def test_of_many_who_add_a_value_one_wins(bus: Bus) -> None:
    bucket = await bus.bucket("claims")
    values = [str(number).encode() for number in range(20)]

    won = await asyncio.gather(*(bucket.add("k", value) for value in values))

    [winner] = [value for value, has_won in zip(values, won, strict=True) if has_won]
    assert await bucket.get("k") == winner
    assert await bucket.add("k", winner)


async def test_a_value_that_was_removed_can_be_added_again(bus: Bus) -> None:
    bucket = await bus.bucket("claims")
    await bucket.put("k", b"old")
    await bucket.put("other", b"stays")
    await bucket.remove("k")
    await bucket.remove("k")

    assert await bucket.get("k") is None
    assert await bucket.add("k", b"new")
    assert await bucket.get_all(["k", "other"]) == {"k": b"new", "other": b"stays"}


async def test_a_value_that_grew_too_old_can_be_added_again(bus: Bus) -> None:
    bucket = await bus.bucket("claims", ttl=timedelta(seconds=0.2))
    await bucket.put("k", b"old")

    async def added() -> bool:
        return await bucket.add("k", b"new")

    await eventually(added)


async def test_many_values_at_once(bus: Bus) -> None:
    bucket = await bus.bucket("blobs")
    values = {f"key{number}": str(number).encode() for number in range(700)}
    await bucket.put_all(values)

    assert await bucket.get_all([*values, "missing"]) == values
    assert await bucket.get_all([]) == {}


async def test_the_same_name_is_the_same_bucket(bus: Bus) -> None:
    await (await bus.bucket("one")).put("k", b"1")
    await (await bus.bucket("two")).put("k", b"2")

    assert await (await bus.bucket("one")).get("k") == b"1"


async def test_values_grow_too_old(bus: Bus) -> None:
    bucket = await bus.bucket("short", ttl=timedelta(seconds=0.2))
    await bucket.put("k", b"v")

    async def forgotten() -> bool:
        return await bucket.get("k") is None

    await eventually(forgotten)


@pytest.mark.parametrize("key", ["", "a b", "a*", ">", ".a", "a.", "a..b", "ä", "a\r\nPUB x"])
async def test_a_key_that_no_subject_can_hold_is_refused(bus: Bus, key: str) -> None:
    bucket = await bus.bucket("blobs")

    with pytest.raises(ValueError, match="no key"):
        await bucket.put(key, b"")
    with pytest.raises(ValueError, match="no key"):
        await bucket.get(key)
