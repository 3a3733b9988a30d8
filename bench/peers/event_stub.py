"""A gateway of which only state and events exist: 200 functions at 500 calls a second, as told.

`python event_stub.py SOCKET`: on a Unix socket, any token. What it sends is what a gateway sends at
that load (counts of every function that was called since, replicas that became busy or idle), made
beforehand, so that only its readers work.
"""

from __future__ import annotations

import json
import socketserver
import sys
import time
from http.server import BaseHTTPRequestHandler
from typing import Any

FUNCTIONS = 200
CALLS_PER_S = 500
HZ = 4


def view(number: int, accepted: int = 0) -> dict[str, Any]:
    """Return a function as a gateway shows it."""
    scaling = {
        "minContainers": 0, "maxContainers": 10, "bufferContainers": 0,
        "scaledownWindowSeconds": 60.0, "targetInputs": None,
    }  # fmt: skip
    settings = {"scaling": scaling, "queueTimeoutSeconds": 60.0, "public": False}
    return {
        "name": f"f{number}", "namespace": "default", "settings": settings, "declared": settings,
        "latest": 1, "traffic": {"1": 100}, "shares": {}, "previous": [], "createdAt": 1.0,
        "state": "ready", "reason": "", "url": f"http://127.0.0.1:1/function/f{number}",
        "replicaCounts": {"ready": 1}, "counts": counts(accepted), "scaled": None,
    }  # fmt: skip


def counts(accepted: int) -> dict[str, Any]:
    """Return the numbers of a function."""
    return {
        "inFlight": accepted % 2, "queued": 0, "accepted": accepted, "ended": accepted,
        "errors": 0, "userErrors": 0, "cancelled": 0, "dead": 0, "rejected": 0, "coldStarts": 1,
        "p50Milliseconds": 1.725, "p95Milliseconds": 12.299, "memoryMebibyteSeconds": 74.874,
    }  # fmt: skip


def replica(number: int, state: str = "ready") -> dict[str, Any]:
    """Return a replica of a function."""
    return {
        "id": f"r-{number:012}", "function": f"f{number}", "namespace": "default", "revision": 1,
        "state": state, "reason": "", "inFlight": 1, "startedAt": 1.0, "node": "", "pid": 1000,
        "how": "forked", "startMilliseconds": 9.0, "loadMilliseconds": 26.0,
    }  # fmt: skip


def batch(number: int, only: frozenset[str]) -> bytes:
    """Return the events of one quarter of a second."""
    seq, parts = number * 1000, []
    calls = CALLS_PER_S // HZ
    changed = [
        *(("counts", n, counts(number)) for n in range(FUNCTIONS)),
        *(("replica", (number * calls + n) % FUNCTIONS, replica(n, "busy")) for n in range(calls)),
    ]
    for kind, n, value in changed:
        if only and f"f{n}" not in only:
            continue
        seq += 1
        event = {
            "seq": seq, "at": 1.0, "namespace": "default", "function": f"f{n}", "id": "",
            "value": value,
        }  # fmt: skip
        text = json.dumps(event, separators=(",", ":"))
        parts.append(f"event: {kind}\nid: e.{seq}\ndata: {text}\n\n")
    return "".join(parts).encode()


class Handler(BaseHTTPRequestHandler):
    """Answers state and events."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer as the gateway would."""
        path, _, query = self.path.partition("?")
        if path == "/v1/events":
            self._events(query)
        elif path == "/v1/state":
            self._json(state())
        elif path.startswith("/v1/functions/") and path.count("/") == 3:
            self._json({**view(0), "revisions": [], "replicas": [replica(0)]})
        else:
            self._json({"functions": [view(0)], "invocations": []})

    def _json(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _events(self, query: str) -> None:
        named = [one.removeprefix("functions=") for one in query.split("&") if "functions=" in one]
        only = frozenset(named[0].split(",")) if named else frozenset()
        batches = [batch(number, only) for number in range(40)]
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        number = 0
        while True:
            data = batches[number % len(batches)]
            number += 1
            try:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data) if data else b"1\r\n:\r\n")
                self.wfile.flush()
            except OSError:
                return
            time.sleep(1 / HZ)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def state() -> dict[str, Any]:
    """Return the whole state."""
    return {
        "epoch": "e", "seq": 1, "version": "0.1.0", "provider": "local", "namespace": "default",
        "url": "http://127.0.0.1:1", "startedAt": 1.0,
        "functions": [view(n) for n in range(FUNCTIONS)],
        "replicas": [replica(n) for n in range(FUNCTIONS)], "revisions": [],
    }  # fmt: skip


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """A thread for each connection."""

    daemon_threads = True


if __name__ == "__main__":
    with Server(sys.argv[1], Handler) as server:
        print("ready", flush=True)
        server.serve_forever()
