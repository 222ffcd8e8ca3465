"""Holds a data directory with its servers, says where they are, and waits to be killed."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from services.standalone.embedded.directory import hold_directory
from services.standalone.embedded.servers import embedded_servers


async def main(data: Path) -> None:
    async with hold_directory(data) as holding, embedded_servers(holding.path) as servers:
        print(json.dumps({"nats": servers.nats_url, "ledger": servers.database_url("ledger")}), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
