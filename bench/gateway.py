"""A fresh embedded gateway for a benchmark, and functions to deploy on it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.harness import environment, wait_until


class BenchGateway:
    """Where the gateway of a state directory is."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir

    @property
    def info(self) -> dict[str, Any]:
        """What the gateway's state file says."""
        return dict(json.loads((self.state_dir / "gateway.json").read_text()))

    @property
    def pid(self) -> int:
        """Process id of the gateway."""
        return int(self.info["pid"])

    @property
    def address(self) -> tuple[str, int]:
        """Host and TCP port."""
        split = urlsplit(self.info["url"])
        return str(split.hostname), int(split.port or 80)

    def head(self, name: str) -> bytes:
        """Return the head of a JSON call to a function, up to the value of Content-Length."""
        return (
            f"POST /function/{name} HTTP/1.1\r\nHost: bench\r\n"
            f"Authorization: Bearer {self.info['token']}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()

    def stop(self) -> None:
        """End the gateway, wait until it is gone."""
        with suppress(FileNotFoundError, ProcessLookupError):
            pid = self.pid
            os.kill(pid, signal.SIGTERM)
            wait_until(lambda: not Path(f"/proc/{pid}").exists(), 15, "the gateway ends")


@contextmanager
def fresh_state() -> Iterator[BenchGateway]:
    """Give a state directory of its own; a gateway started in it is ended at the end."""
    state_dir = Path(tempfile.mkdtemp(prefix="faas-bench-"))
    running = BenchGateway(state_dir)
    try:
        with environment(FAAS_STATE_DIR=str(state_dir), FAAS_GATEWAY_URL="", FAAS_GATEWAY_TOKEN=""):
            yield running
    finally:
        running.stop()
        shutil.rmtree(state_dir, ignore_errors=True)


@contextmanager
def fresh_gateway() -> Iterator[BenchGateway]:
    """Give a running gateway that this process's functions use."""
    import jupyter_faas as faas

    with fresh_state() as running:
        faas.connect()
        faas.gateway().state()
        yield running


def define(source: str, entry: str = "f", **settings: Any) -> Any:
    """Return a remote function as a notebook cell would define it (in `__main__`)."""
    from jupyter_faas import serverless

    space: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(source, "<cell>", "exec"), space)
    return serverless(**settings)(space[entry])
