"""Output of remote calls, published under the cell that made the call.

The only place that knows ipykernel's streams. A call binds the parent message of its cell; what
it prints is written to ipykernel's own stream with that parent set for the moment of the write,
so it stays in order with what the cell prints itself.
"""

from __future__ import annotations

import sys
from typing import Any

from jupyter_faas.notebook.cells import CellMemory
from jupyter_faas.wire.frames import STDERR

FLUSH_INTERVAL_S = 0.04
"""ipykernel collects 0.2 s of output by default; a remote line should be there within 0.1 s."""


class CellOutput:
    """The output sink of a kernel.

    Args:
        kernel: The running `ipykernel` kernel.
        memory: Knows the cell of the calling thread.
    """

    def __init__(self, kernel: Any, memory: CellMemory) -> None:
        self._kernel = kernel
        self._memory = memory

    def bind(self) -> BoundCell:
        """Return the output of the cell that runs here and now."""
        return BoundCell(self._kernel, self._memory.parent())


class BoundCell:
    """Output of one call, under one cell."""

    __slots__ = ("_kernel", "_parent")

    def __init__(self, kernel: Any, parent: dict[str, Any]) -> None:
        self._kernel = kernel
        self._parent = parent

    def write(self, stream: int, text: str) -> None:
        """Write to the cell's stdout or stderr; a redirected `sys.stdout` gets it as it is."""
        name = "stderr" if stream == STDERR else "stdout"
        target = getattr(sys, name)
        if hasattr(target, "set_thread_parent"):
            target.flush_interval = FLUSH_INTERVAL_S
            token = target.set_thread_parent(self._parent)
            try:
                target.write(text)
            finally:
                target.reset_thread_parent(token)
        elif hasattr(target, "pub_thread"):
            self._send("stream", {"name": name, "text": text}, f"stream.{name}")
        else:
            target.write(text)

    def display(self, bundle: dict[str, Any]) -> None:
        """Publish what the function displayed, after what was written before."""
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        content = {name: bundle.get(name) or {} for name in ("data", "metadata", "transient")}
        kind = "update_display_data" if bundle.get("update") else "display_data"
        self._send(kind, content, kind)

    def _send(self, kind: str, content: dict[str, Any], topic: str) -> None:
        # `iopub_socket` hands the message to the kernel's I/O thread: safe from any thread.
        self._kernel.session.send(
            self._kernel.iopub_socket,
            kind,
            content,
            parent=self._parent,
            ident=topic.encode(),
        )
