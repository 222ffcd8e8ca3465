"""Run the fake provider by hand: ``python -m tests.provider --port 8200 --script malformed``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib

from tests.provider.script import SCRIPTS
from tests.provider.server import running_provider


async def serve(name: str, port: int) -> None:
    async with running_provider(SCRIPTS[name], port=port) as provider:
        print(f"{provider.url} follows the script {name!r} as model {provider.script.model!r}", flush=True)
        try:
            await asyncio.Event().wait()
        finally:
            print(f"{len(provider.calls)} requests, {provider.billed_ticks / 10**10:.4f} USD would be billed")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.provider", description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--script", choices=sorted(SCRIPTS), default="clean")
    asked = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(asked.script, asked.port))


if __name__ == "__main__":
    main()
