"""How a snapshot becomes a listing: settings, attributes, history and contents read, every file decided.

Contents are handed on chunk by chunk, and deciding runs in a thread, so that the process goes on with the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing

from services.differ.domain.listing import Listing, ListingBuilder, candidates, departures
from services.differ.domain.scan_settings import (
    MAX_SETTINGS_BYTES,
    SETTINGS_PATH,
    BadSettings,
    Rules,
    ScanSettings,
    parse_settings,
)
from services.differ.domain.tree import SUBMODULE, SYMLINK, Entry
from services.differ.ports import Mirrors, RepositoryProblem

KeepContents = Callable[[Mapping[str, bytes]], Awaitable[None]]


async def read_settings(
    mirrors: Mirrors, location: str, entries: Sequence[Entry], *, service: Rules | None = None
) -> ScanSettings:
    """The ``.strandline.toml`` of a tree (all its entries), over the service's own rules.

    Raises:
        RepositoryProblem: it is there and wrong; the sentence names line and key.
    """
    settings = ScanSettings()
    entry = next((entry for entry in entries if entry.path == SETTINGS_PATH), None)
    if entry is not None and entry.mode not in (SYMLINK, SUBMODULE):
        content = await _read_one(mirrors, location, entry)
        try:
            settings = parse_settings(content)
        except BadSettings as error:
            raise RepositoryProblem(str(error)) from None
    return settings.under(service) if service is not None else settings


async def make_listing(
    mirrors: Mirrors,
    location: str,
    *,
    tree: str,
    commit: str | None,
    settings: ScanSettings,
    keep_contents: KeepContents,
    entries: Sequence[Entry] | None = None,
    base_tree: str | None = None,
    seen_trees: Sequence[str] = (),
) -> Listing:
    """The listing of a tree: all its ``entries``, or without them only what changed since ``base_tree``.

    Of ``seen_trees`` only what the tree lacks is listed, as removed.
    ``keep_contents`` gets the content of every queued file, by content hash, before the listing is returned.
    """
    if entries is None and base_tree is None:
        raise ValueError("a listing is of all entries, or of what changed since a base")
    changes = await mirrors.compare(location, base_tree, tree) if base_tree is not None else None
    gone = [change for seen in seen_trees for change in departures(await mirrors.compare(location, seen, tree))]
    listed = await asyncio.to_thread(candidates, entries, [*(changes or ()), *gone])
    attributes = await mirrors.attributes(location, tree, [entry.path for entry in listed.entries])
    churn = await mirrors.churn(location, commit) if commit is not None and listed.entries else {}
    builder = await asyncio.to_thread(ListingBuilder, listed, settings, attributes=attributes, churn=churn)
    wanted = builder.wanted()
    if wanted:
        async with aclosing(mirrors.read(location, wanted, most=builder.largest)) as batches:
            async for batch in batches:
                kept = await asyncio.to_thread(builder.take, batch)
                if kept:
                    await keep_contents(kept)
    return await asyncio.to_thread(builder.finish)


async def _read_one(mirrors: Mirrors, location: str, entry: Entry) -> bytes:
    if entry.size is not None and entry.size > MAX_SETTINGS_BYTES:
        raise RepositoryProblem(f".strandline.toml is larger than {MAX_SETTINGS_BYTES} bytes")
    async with aclosing(mirrors.read(location, [entry.oid], most=MAX_SETTINGS_BYTES)) as batches:
        async for batch in batches:
            for _, content in batch:
                if content is not None:
                    return content
    raise RepositoryProblem(".strandline.toml cannot be read from the repository")
