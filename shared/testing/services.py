"""The five event services as real processes on a real Kafka and PostgreSQL, for tests that kill things."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

SERVICES = ("intake", "classifier", "dispatcher", "tracker", "notifier")
OPERATIONS_TOKEN = "operations-of-a-test"


@dataclass
class RunningServices:
    """Starts, kills and stops services; `ports` and `urls` are by service name."""

    bootstrap_servers: str
    urls: Mapping[str, str]
    ports: Mapping[str, int]
    logs: Path
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def start(self, name: str) -> None:
        """Starts one service; returns at once."""
        environment = {
            **os.environ,
            "CHIKAYA_KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "CHIKAYA_DATABASE_URL": self.urls[name],
            "CHIKAYA_HTTP_PORT": str(self.ports[name]),
            "CHIKAYA_INSTANCE_ID": f"{name}-0",
            "CHIKAYA_ACCESS_CODE_KEYS": '{"k1": "00112233445566778899aabbccddeeff"}',
            "CHIKAYA_OPERATIONS_TOKEN": OPERATIONS_TOKEN,
        }
        with (self.logs / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", f"services.{name}.service"], env=environment, stdout=log, stderr=log
            )

    def wait_ready(self, name: str, seconds: float = 30.0) -> None:
        """Raises TimeoutError when the service does not become ready."""
        give_up_at = time.monotonic() + seconds
        while time.monotonic() < give_up_at:
            try:
                if httpx.get(f"{self.address(name)}/health/ready", timeout=1).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        raise TimeoutError(f"{name} is not ready; its log: {self.logs / f'{name}.log'}")

    def kill(self, name: str) -> None:
        """SIGKILL."""
        self.processes[name].kill()
        self.processes[name].wait()

    def stop(self) -> dict[str, int]:
        """Stops all gracefully; exit codes by name."""
        for process in self.processes.values():
            process.terminate()
        return {name: process.wait(20) for name, process in self.processes.items()}

    def address(self, name: str) -> str:
        """http://host:port of a service."""
        return f"http://127.0.0.1:{self.ports[name]}"
