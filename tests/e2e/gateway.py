"""One embedded gateway for a test module: where it is, what it answers, how it is ended."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import jupyter_faas as faas
from tests.support import birth, descendants, is_alive, wait_until

__all__ = ["Answer", "Gateway", "wait_until"]


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


class Gateway:
    """The embedded gateway of one state directory, and every process it has started."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self._seen: set[tuple[int, int | None]] = set()
        self._client: Any = None

    def start(self) -> None:
        """Start it (or find it running) and make it the one this process calls."""
        if self._client is not None:
            self._client.close()
        self._client = faas.connect()
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

    def processes(self) -> list[int]:
        """Return the pids of the gateway and all it has started; remembers them."""
        with contextlib.suppress(FileNotFoundError):
            pid = self.pid
            mine = [pid, *descendants(pid)] if pid else []
            self._seen |= {(one, birth(one)) for one in mine}
        return self.survivors()

    def survivors(self) -> list[int]:
        """Return those of the processes seen so far that still run."""
        found = (pid for pid, born in self._seen if born is not None and birth(pid) == born)
        return sorted(found)

    def kill(self) -> None:
        """kill -9 the gateway alone, and wait until it is gone."""
        self.processes()
        pid = self.pid
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(pid), what="the gateway is gone")

    def stop(self) -> list[int]:
        """End the gateway politely; return what it left behind (ended here, by pid)."""
        if self._client is not None:
            self._client.close()
        self.processes()
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            if pid := self.pid:  # 0 says that it has ended; to kill(2) it is this very group
                os.kill(pid, signal.SIGTERM)
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not self.survivors(), 60.0)
        left = self.survivors()
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        return left

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

    def items(self, name: str) -> int:
        """Return how many items of a function have been counted; starts what was killed."""
        if not is_alive(self.pid):
            self.start()
        functions = self.request("GET", "/v1/state").json()["functions"]
        return next(int(one["counts"]["items"]) for one in functions if one["name"] == name)

    def replicas(self, name: str) -> list[dict[str, Any]]:
        """Return the living replicas of a function, as the gateway lists them."""
        listed = self.request("GET", f"/v1/functions/{name}/replicas").json()
        rows = listed["replicas"] if isinstance(listed, dict) else listed
        return [row for row in rows if row["state"] != "lost"]
