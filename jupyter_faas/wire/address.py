"""Addresses of gateways and replicas: `unix:PATH`, `HOST:PORT`, `http://HOST:PORT`, `https://…`.

Pure: nothing is resolved or opened here.
"""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

import msgspec

from jupyter_faas.core.errors import InvalidSpec

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Address(msgspec.Struct, frozen=True):
    """Where a server listens. `path` is set for `unix`, `host` and `port` for the others."""

    kind: Literal["unix", "tcp", "tls"]
    path: str = ""
    host: str = ""
    port: int = 0
    prefix: str = ""
    """Path before every target, without a trailing slash (a gateway behind a reverse proxy)."""

    @property
    def authority(self) -> bytes:
        """What a request says in its Host header."""
        if self.kind == "unix":
            return b"localhost"
        return self._host_port.encode("ascii")

    @property
    def url(self) -> str:
        """The address as users write it."""
        if self.kind == "unix":
            return f"unix:{self.path}"
        scheme = "https" if self.kind == "tls" else "http"
        return f"{scheme}://{self._host_port}{self.prefix}"

    @property
    def _host_port(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    def __str__(self) -> str:
        return self.url


def parse_address(text: str) -> Address:
    """Read an address.

    Raises:
        InvalidSpec: None of the known forms; the text names them.
    """
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if path.startswith("//"):
            path = path[2:]
        if not path or "\0" in path:
            raise _invalid(text)
        return Address("unix", path=path)
    try:
        return _parse_url(text if "://" in text else f"http://{text}")
    except ValueError as error:
        raise _invalid(text) from error


def _parse_url(text: str) -> Address:
    parts = urlsplit(text)
    host = parts.hostname or ""
    if parts.scheme not in _DEFAULT_PORTS or not host or parts.query or parts.username:
        raise ValueError(text)
    host = host.encode("idna").decode("ascii") if not host.isascii() else host
    if any(character.isspace() for character in host):
        raise ValueError(text)
    port = parts.port if parts.port is not None else _DEFAULT_PORTS[parts.scheme]
    kind: Literal["tcp", "tls"] = "tls" if parts.scheme == "https" else "tcp"
    return Address(kind, host=host, port=port, prefix=parts.path.rstrip("/"))


def _invalid(text: str) -> InvalidSpec:
    return InvalidSpec(
        f"{text!r} is no address: http://HOST:PORT, https://HOST:PORT, HOST:PORT or unix:PATH."
    )
