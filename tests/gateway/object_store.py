"""An S3 server on this machine, with a bucket and its credentials."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from tests.support import free_ports

BUCKET = "packages"


class S3Server:
    """An S3 server that can be away for a while; what is in it stays.

    Args:
        host: Address to listen at.
        port: 0: any, of a server that is never away: others could get it meanwhile. None: one that
            the kernel gives to nobody.
    """

    def __init__(self, host: str = "127.0.0.1", port: int | None = None) -> None:
        self._host = host
        self._port = free_ports(1)[0] if port is None else port
        self.start()
        made = urllib.request.Request(f"{self.endpoint}/{BUCKET}", method="PUT")
        urllib.request.urlopen(made, timeout=10.0).close()

    @property
    def endpoint(self) -> str:
        return f"http://{self._host}:{self._port}"

    @property
    def variables(self) -> dict[str, str]:
        """What a process needs to use it."""
        return {
            "AWS_ENDPOINT": self.endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "a-key",
            "AWS_SECRET_ACCESS_KEY": "a-secret",
        }

    def start(self) -> None:
        """Serve, again at the same address."""
        self._server = ThreadedMotoServer(self._host, self._port, verbose=False)
        self._server.start()
        _, self._port = self._server.get_host_and_port()

    def stop(self) -> None:
        """Be away."""
        self._server.stop()


@contextmanager
def s3_server(host: str = "127.0.0.1") -> Iterator[dict[str, str]]:
    """Serve S3; yields the variables that a gateway needs to use it."""
    server = S3Server(host, port=0)
    try:
        yield server.variables
    finally:
        server.stop()
