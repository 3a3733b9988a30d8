"""One embedded gateway for a test module: where it is, what it answers, how it is ended."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import psutil

import jupyter_faas as faas


class Answer(NamedTuple):
    """An HTTP answer, read to its end."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The `code` of a problem document."""
        return str(self.json()["code"])


def wait_until(
    look: Callable[[], Any],
    timeout_s: float = 10.0,
    *,
    what: str = "condition",
    pause_s: float = 0.02,
) -> Any:
    """Return the first true value of `look`; a time-out says what was seen last."""
    deadline = time.monotonic() + timeout_s
    while not (seen := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout_s} s; seen last: {seen!r}")
        time.sleep(pause_s)
    return seen


class Gateway:
    """The embedded gateway of one state directory, and every process it has started."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self._seen: dict[int, psutil.Process] = {}

    def start(self) -> None:
        """Start it (or find it running) and make it the one this process calls."""
        faas.connect()
        faas.gateway().state()

    @property
    def info(self) -> dict[str, Any]:
        return dict(json.loads((self.state_dir / "gateway.json").read_text()))

    @property
    def pid(self) -> int:
        return int(self.info["pid"])

    @property
    def token(self) -> str:
        return str(self.info["token"])

    @property
    def address(self) -> tuple[str, int]:
        split = urlsplit(self.info["url"])
        assert split.hostname
        assert split.port
        return split.hostname, split.port

    def processes(self) -> list[psutil.Process]:
        """Return the gateway and all it has started, living ones only; remembers them."""
        try:
            gateway = psutil.Process(self.pid)
            family = [gateway, *gateway.children(recursive=True)]
        except (psutil.NoSuchProcess, FileNotFoundError):
            family = []
        self._seen.update({process.pid: process for process in family})
        return self.survivors()

    def survivors(self) -> list[psutil.Process]:
        """Return those of the processes seen so far that still run."""
        return [process for process in self._seen.values() if is_running(process)]

    def kill(self) -> None:
        """kill -9 the gateway alone, and wait until it is gone."""
        self.processes()
        pid = self.pid
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_running(self._seen[pid]), what="gateway is gone")

    def stop(self) -> list[psutil.Process]:
        """End the gateway politely; return what it left behind (ended here, by pid)."""
        self.processes()
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            os.kill(self.pid, signal.SIGTERM)
        try:
            wait_until(lambda: not self.survivors(), 15.0, what="everything has ended")
        except AssertionError:
            left = self.survivors()
            for process in left:
                process.kill()
            return left
        return []

    def connect(self, timeout_s: float = 30.0) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(*self.address, timeout=timeout_s)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        token: str | None = "",
        timeout_s: float = 30.0,
    ) -> Answer:
        """Ask over plain HTTP. `token`: "" is the gateway's own, None sends none.

        A `body` that is not bytes is sent as JSON.
        """
        sent = dict(headers or {})
        if token is not None:
            sent.setdefault("Authorization", f"Bearer {token or self.token}")
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        connection = self.connect(timeout_s)
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            lower = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, lower, answer.read())
        finally:
            connection.close()

    def call(self, name: str, body: Any = None, **more: Any) -> Answer:
        """POST to a function."""
        return self.request("POST", f"/function/{name}", body, **more)

    def replicas(self, name: str) -> list[dict[str, Any]]:
        """Return the living replicas of a function, as the gateway lists them."""
        listed = self.request("GET", f"/v1/functions/{name}/replicas").json()
        rows = listed["replicas"] if isinstance(listed, dict) else listed
        return [row for row in rows if row["state"] != "lost"]


def is_running(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running()) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
