"""A second process for tests: loads packages and payloads as a worker does, and answers."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jupyter_faas.core import codec
from jupyter_faas.core.capture import Capture

ROOT = Path(__file__).resolve().parents[2]

_WORKER = """
import struct, sys, traceback, types
from jupyter_faas.core import codec
from jupyter_faas.core.classes import ClassTable
from jupyter_faas.execution.load import load
sys.modules["__main__"] = types.ModuleType("__main__")
source, sink = sys.stdin.buffer, sys.stdout.buffer
sys.stdout = sys.stderr
loaded, classes = None, ClassTable(None)
def answer(kind, parts):
    body = b"".join(parts)
    sink.write(struct.pack("<cQ", kind, len(body)) + body)
    sink.flush()
while head := source.read(9):
    kind, length = struct.unpack("<cQ", head)
    body = bytearray(source.read(length))
    try:
        if kind == b"L":
            if loaded is not None:
                loaded.close()
            loaded = load(body)
            classes = loaded.classes
            answer(b"V", codec.dumps(None))
        elif kind == b"E":
            answer(b"V", codec.dumps(codec.loads(body, classes=classes), classes=classes))
        else:
            method, args, kwargs = codec.loads(body, classes=classes)
            answer(b"V", codec.dumps(loaded.call(method)(*args, **kwargs), classes=classes))
    except BaseException as exc:
        parts = codec.dumps_exception(exc, classes=classes)
        text = "".join(traceback.format_exception(exc))
        answer(b"X", codec.dumps((text, None if parts is None else b"".join(parts))))
"""


class Elsewhere:
    """A process without this one's notebook, its modules or its path."""

    def __init__(self, cwd: str | Path = "/") -> None:
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "99"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environ,
            cwd=cwd,
        )
        self.traceback = ""
        """Of the last exception, as text."""

    def load(self, captured: Capture) -> None:
        """Load a package."""
        captured.raise_for_problems()
        self._ask(b"L", captured.package.parts())

    def call(self, *args: Any, method: str | None = None, **kwargs: Any) -> Any:
        """Call what was loaded; raises what it raises."""
        return self._ask(b"C", codec.dumps((method, args, kwargs)))

    def echo(self, value: Any) -> Any:
        """Send a value there and back."""
        return self._ask(b"E", codec.dumps(value))

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(60)

    def _ask(self, kind: bytes, parts: Sequence[Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        body = b"".join(parts)
        self._process.stdin.write(struct.pack("<cQ", kind, len(body)) + body)
        self._process.stdin.flush()
        answer, length = struct.unpack("<cQ", self._process.stdout.read(9))
        value = codec.loads(self._process.stdout.read(length))
        if answer == b"V":
            return value
        self.traceback, payload = value
        if payload is None:
            raise RuntimeError(self.traceback)
        raise codec.loads(payload)
