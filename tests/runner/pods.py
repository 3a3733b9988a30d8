"""Runners as they run in pods: processes that serve one replica over TCP and trust one gateway."""

from __future__ import annotations

import base64
import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from jupyter_faas.core.capture import capture
from jupyter_faas.core.specialisation import SEALED, Specialisation
from jupyter_faas.wire.sealing import public_key_of, seal
from tests.runner.harness import Answer, _of_notebook
from tests.support import free_ports, wait_until

SEED = b"\x05" * 32
"""Signing key of the gateway that pods of tests trust."""
STRANGERS_SEED = b"\x06" * 32


class Pod:
    """A runner of its own, in a process or in a real pod."""

    def __init__(self, uid: str, host: str, port: int) -> None:
        self.uid = uid
        self.host = host
        self.port = port
        self.address = f"{host}:{port}"

    def request(
        self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=20)
        try:
            connection.request(method, target, body, headers or {})
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read())
        finally:
            connection.close()

    def hello(self, secret: str = "") -> dict[str, Any]:
        return msgspec.json.decode(self.request("GET", "/v1/runner", _known(secret)).body)

    def seal(
        self, message: bytes, *, seed: bytes = SEED, uid: str | None = None, **told: str
    ) -> bytes:
        """Seal a message to what this runner says of itself, or to what `told` says."""
        hello = self.hello() | told
        return seal(
            message,
            seed,
            public_key=base64.b64decode(hello["publicKey"]),
            nonce=base64.b64decode(hello["nonce"]),
            pod_uid=self.uid if uid is None else uid,
        )

    def send(self, head: bytes, blob: bytes, content_type: str = SEALED) -> Answer:
        body = len(head).to_bytes(4, "little") + head + blob
        return self.request("POST", "/v1/specialise", {"Content-Type": content_type}, body)

    def call(self, secret: str, revision: str = "r1", body: bytes = b"[]") -> Answer:
        told = {
            "Faas-Revision-Id": revision,
            "Faas-Invocation-Id": "i1",
            "Content-Type": "application/json",
        }
        return self.request("POST", "/v1/call", _known(secret) | told, body)


def told(target: Any, secret: str, **fields: Any) -> tuple[bytes, bytes]:
    """Return a specialisation in plain, and its package."""
    taken = capture(_of_notebook(target))
    given: dict[str, Any] = {
        "function": "f", "namespace": "default", "revision": 1, "revision_id": "r1",
        "replica": "r-1", "secret": secret, "package_digest": taken.package.digest,
        "kind": taken.code.kind,
    } | fields  # fmt: skip
    return msgspec.msgpack.encode(Specialisation(**given)), b"".join(taken.package.parts())


@contextmanager
def pod(
    uid: str = "pod-1", *, trust: bytes | None = None, preload: str = "", **environ: str
) -> Iterator[Pod]:
    """Give a generic runner that trusts `SEED`, as a pod would run it."""
    key = base64.b64encode(public_key_of(SEED) if trust is None else trust).decode()
    (port,) = free_ports(1)
    process = subprocess.Popen(
        [sys.executable, "-m", "jupyter_faas.runner", "serve", "--listen", f"127.0.0.1:{port}",
         "--preload", preload],
        stdin=subprocess.DEVNULL,
        env=_of_nobody() | {"FAAS_TRUST": key, "FAAS_POD_UID": uid} | environ,
    )  # fmt: skip
    made = Pod(uid, "127.0.0.1", port)
    try:
        wait_until(lambda: _answers(made) or _ended(process), what="a runner")
        yield made
        process.send_signal(signal.SIGTERM)
        process.wait(20.0)
    finally:
        process.kill()
        process.wait()


def _of_nobody() -> dict[str, str]:
    """Return the environment without what a person has set for gateways of their own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("FAAS_")}


def _ended(process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "the runner has ended"
    return False


def _answers(made: Pod) -> bool:
    try:
        return bool(made.hello())
    except OSError:
        return False


def _known(secret: str) -> dict[str, str]:
    return {"Faas-Secret": secret} if secret else {}
