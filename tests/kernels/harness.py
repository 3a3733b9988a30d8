"""Kernels "Python 3 (serverless)" in this process, and a Jupyter server that has some."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager

from jupyter_faas.kernels.nursery import nursery
from tests.notebook.kernel import Kernel
from tests.support import wait_until

SERVERLESS = "python3-serverless"
PLAIN = "python3"


@contextlib.contextmanager
def manager(name: str = SERVERLESS, **launch: Any) -> Iterator[KernelManager]:
    """Start a kernel; end it at the latest afterwards."""
    running = KernelManager(kernel_name=name)
    running.start_kernel(**launch)
    try:
        yield running
    finally:
        running.shutdown_kernel(now=True)
        running.cleanup_resources()


@contextlib.contextmanager
def kernel(name: str = SERVERLESS, **launch: Any) -> Iterator[Kernel]:
    """Start a kernel and give its front end."""
    with manager(name, **launch) as running:
        started = Kernel(running)
        try:
            yield started
        finally:
            started.client.stop_channels()


def evaluate(running: Kernel, code: str) -> Any:
    """Return what an expression is in a kernel, by way of JSON."""
    cell = running.run(f"import json\nprint(json.dumps({code}))")
    return json.loads(running.text(cell))


def is_forked(running: Kernel) -> bool:
    """Return whether a kernel has a zygote of this process as its parent."""
    return evaluate(running, "__import__('os').getppid()") in nursery().pids()


class Server:
    """A Jupyter server process, spoken to over HTTP."""

    def __init__(self, directory: Path, environ: dict[str, str]) -> None:
        self._log = directory / "server.log"
        self._runtime = directory / "runtime"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"),
                    *("--ServerApp.port=0", "--IdentityProvider.token=t"),
                    f"--ServerApp.root_dir={directory}",
                ],
                env={
                    **environ,
                    "JUPYTER_RUNTIME_DIR": str(self._runtime),
                    "JUPYTER_CONFIG_DIR": str(directory / "config"),
                },
                cwd=directory,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.url = wait_until(self._find, 90, what="a Jupyter server", seen=self.log)

    def log(self) -> str:
        """Return what it has written."""
        return self._log.read_text()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request to its REST API."""
        request = urllib.request.Request(
            f"{self.url}api/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": "token t", "Content-Type": "application/json"},
        )
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request, timeout=90) as answer:  # a zygote imports first
            text = answer.read()
        return json.loads(text) if text else None

    def connection(self, kernel_id: str) -> Path:
        """Return the connection file of one of its kernels."""
        return self._runtime / f"kernel-{kernel_id}.json"

    def close(self) -> None:
        """Kill it, however it is."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, 9)
        self.process.wait()

    def _find(self) -> str:
        """Return the URL once it answers: the file is written before it listens."""
        assert self.process.poll() is None, self.log()
        for file in self._runtime.glob("jpserver-*.json"):
            with contextlib.suppress(ValueError, OSError):
                found = json.loads(file.read_text())
                socket.create_connection(("127.0.0.1", found["port"]), 1).close()
                return f"http://127.0.0.1:{found['port']}/"
        return ""
