"""Follows the output of functions for panels: a thread and a connection for each, while wished."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import msgspec

from jupyter_faas.core.errors import FaasError
from jupyter_faas.notebook.cells import OWN_THREADS
from jupyter_faas.wire.blocking import BlockingConnection, Response

PAUSE_S = 0.25
"""Between two batches; what is printed meanwhile waits in the socket."""

_RETRY_S = 2.0
_TAIL = 100

Open = Callable[[str], tuple[BlockingConnection, Response]]
Tell = Callable[[str, list[dict[str, Any]]], None]


class LogFeed:
    """The functions that are followed.

    Args:
        open: Asks a gateway on a connection of its own.
        tell: Takes the lines of a function.
    """

    def __init__(self, open: Open, tell: Tell) -> None:
        self._open = open
        self._tell = tell
        self._followed: dict[str, _Follower] = {}

    def follow(self, functions: set[str]) -> None:
        """Follow these and no others."""
        for name in set(self._followed) - functions:
            self._followed.pop(name).close()
        for name in functions - set(self._followed):
            self._followed[name] = _Follower(name, self._open, self._tell)


class _Follower:
    """Follows one function."""

    def __init__(self, function: str, open: Open, tell: Tell) -> None:
        self._function = function
        self._open = open
        self._tell = tell
        self._over = threading.Event()
        self._connection: BlockingConnection | None = None
        threading.Thread(target=self._read, name=f"{OWN_THREADS}-log", daemon=True).start()

    def close(self) -> None:
        """Stop; wakes up who reads."""
        self._over.set()
        connection = self._connection
        if connection is not None:
            connection.close()

    def _read(self) -> None:
        tail = _TAIL
        while not self._over.is_set():
            try:
                self._read_once(tail)
            except (FaasError, OSError, msgspec.MsgspecError):
                tail = 0  # what was shown is shown; the rest comes with the next connection
            self._over.wait(_RETRY_S)

    def _read_once(self, tail: int) -> None:
        path = f"/v1/functions/{quote(self._function, safe='')}/logs?follow=1&tail={tail}"
        connection, answer = self._open(path)
        self._connection = connection
        held = b""
        try:
            if self._over.is_set():
                return  # it was closed before there was a connection to close
            for chunk in answer.iter_body():
                *lines, held = (held + bytes(chunk)).split(b"\n")
                pieces = [msgspec.json.decode(line) for line in lines if line.strip()]
                if self._over.is_set():
                    return
                if pieces:
                    self._tell(self._function, pieces)
                    self._over.wait(PAUSE_S)
        finally:
            connection.close()
            self._connection = None
